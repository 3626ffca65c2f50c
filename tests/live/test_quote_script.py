"""The cache's script, called as several workers might, in any order: only a newer quote is ever written."""

from __future__ import annotations

from importlib import resources

import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pseudofeed.settings import Connections

SCRIPT = resources.files("pseudofeed.cache").joinpath("quote.lua").read_text(encoding="utf-8")
INSTRUMENTS = 3

# Which worker: epoch, topic, whether it knows everything before its offset; and its newest sequence of each instrument
# (0: not in this call, as it has not changed). Or something that befalls the server.
calls = st.tuples(
    st.sampled_from([1, 2]), st.sampled_from(["a", "b"]), st.booleans(), st.tuples(*[st.integers(0, 3)] * INSTRUMENTS),
    st.booleans(),
)  # fmt: skip
mishaps = st.sampled_from(["flush", "no progress", "no quote", "a list"])


def text(value: str) -> bytes:
    return b"\xda" + len(value).to_bytes(2, "big") + value.encode()


# The keys are taken away before each example.
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(  # The progress of an earlier epoch says nothing about what this one's workers have written.
    steps=[
        (1, "a", True, (1, 1, 1), True),
        (2, "a", False, (0, 3, 0), True),
        (2, "a", True, (1, 0, 0), True),
        (2, "a", True, (0, 2, 0), True),
    ]
)
@given(steps=st.lists(st.one_of(calls, mishaps), min_size=4, max_size=10))
def test_newest_wins(connections: Connections, market_name: str, steps: list[object]) -> None:
    keys = [f"pseudofeed:{{{market_name}}}:{name}" for name in ("progress", *range(INSTRUMENTS))]
    with redis.Redis.from_url(connections.require_redis(), decode_responses=True) as client:
        script = client.register_script(SCRIPT)
        client.delete(*keys)
        model: dict[str, tuple[int, int, bool]] = {}  # epoch, sequence, has a session
        for step in steps:
            if isinstance(step, tuple):
                epoch, topic, whole, sequences, with_session = step
                chosen = [n for n, sequence in enumerate(sequences) if sequence]
                session = "s" if with_session else "-"
                quotes, published = b"", []
                for n in chosen:
                    published.append(f'{{"n":{n},"sequence":{sequences[n]}}}')
                    values = (str(sequences[n]), "t", "0", f"{epoch}.{sequences[n]}", "0", session, "1", "1", "1")
                    quotes += b"".join(map(text, (*values, str(len(published[-1])))))
                present = [sequences[n] for n in chosen] or [0]
                answer = script(
                    keys=[keys[0], *(keys[1 + n] for n in chosen)],
                    args=[epoch, topic, max(present) if whole else "", int(len(chosen) == INSTRUMENTS), "channel",
                          min(present), max(present), b"\xdd" + (10 * len(chosen)).to_bytes(4, "big") + quotes,
                          ",".join(published)],
                )  # fmt: skip
                assert answer == client.exists(keys[0])
                for n in chosen:
                    held = model.get(keys[1 + n], (-1, -1, False))
                    offered = (epoch, sequences[n], with_session)
                    if offered[:2] > held[:2] or (offered[:2] == held[:2] and with_session):
                        model[keys[1 + n]] = offered
            elif step == "flush":
                client.delete(*keys)
                model.clear()
            elif step == "no progress":
                client.delete(keys[0])
            else:
                client.delete(keys[1])
                model.pop(keys[1], None)
                if step == "a list":
                    client.rpush(keys[1], "somebody's")
            for key in keys[1:]:
                found = client.hgetall(key) if client.type(key) == "hash" else {}
                if key not in model:
                    assert not found
                    continue
                epoch, sequence, with_session = model[key]
                assert (found["epoch"], found["sequence"]) == (str(epoch), str(sequence))
                assert found["price"] == f"{epoch}.{sequence}"
                assert ("session" in found) == ("open" in found) == with_session
        client.delete(*keys)
