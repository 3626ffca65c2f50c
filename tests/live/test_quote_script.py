"""The cache's script, called as several workers might, in any order: only a newer quote is ever written."""

from __future__ import annotations

from importlib import resources

import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.commands.core import Script

from pseudofeed.settings import Connections

SCRIPT = resources.files("pseudofeed.cache").joinpath("quote.lua").read_text(encoding="utf-8")
INSTRUMENTS = 3

# Which worker: epoch, topic, name, whether it knows everything before its offset; and its newest sequence of each
# instrument (0: not in this call, as it has not changed), and whether it knows their session. Or something that befalls
# the server.
calls = st.tuples(
    st.sampled_from([1, 2]), st.sampled_from(["a", "b"]), st.sampled_from(["v", "w"]), st.booleans(),
    st.tuples(*[st.integers(0, 5)] * INSTRUMENTS), st.booleans(),
)  # fmt: skip
mishaps = st.sampled_from(["flush", "no progress", "no quote", "a list"])
Step = tuple[int, str, str, bool, tuple[int, ...], bool]


def text(value: str) -> bytes:
    return b"\xda" + len(value).to_bytes(2, "big") + value.encode()


def high(sequence: int) -> str:
    return str(sequence // 3)


class Worker:
    """Calls the script as the cache worker does."""

    def __init__(self, script: Script, name: str) -> None:
        self._script, self._name = script, name
        self._told: dict[str, str] = {}

    def send(self, progress: str, sequences: dict[str, int], step: Step) -> None:
        answer = self._call(progress, sequences, step)
        if answer == 2:
            self._told.clear()
            answer = self._call(progress, sequences, step)
        assert bool(answer) == self._script.registered_client.exists(progress)
        if answer != 1:
            self._told.clear()
            return
        self._told.update({key: high(sequence) if step[5] else "" for key, sequence in sequences.items()})

    def _call(self, progress: str, sequences: dict[str, int], step: Step) -> int:
        epoch, topic, _, whole, _, with_session = step
        quotes, published = b"", []
        in_part = {key for key, sequence in sequences.items() if with_session and self._told.get(key) == high(sequence)}
        for key, sequence in sequences.items():
            published.append(f'{{"sequence":{sequence}}}')
            quotes += b"".join(map(text, (str(sequence), "t", "0", f"{epoch}.{sequence}", "0")))
            if key in in_part or not with_session:
                quotes += b"\xc3" if with_session else b"\xc2"
            else:
                quotes += b"".join(map(text, ("s", "1", high(sequence), "1")))
            quotes += b"\xce" + len(published[-1]).to_bytes(4, "big")
        entries = 10 * len(sequences) - 3 * (len(in_part) if with_session else len(sequences))
        present = sequences.values() or [0]
        answer: int = self._script(
            keys=[progress, *sequences],
            args=[epoch, topic, max(present) if whole else "", int(len(sequences) == INSTRUMENTS), "channel",
                  min(present), max(present), self._name, int(bool(in_part)),
                  b"\xdd" + entries.to_bytes(4, "big") + quotes, ",".join(published)],
        )  # fmt: skip
        return answer


# The keys are taken away before each example.
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(  # The progress of an earlier epoch says nothing about what this one's workers have written.
    steps=[
        (1, "a", "v", True, (1, 1, 1), True),
        (2, "a", "v", False, (0, 3, 0), True),
        (2, "a", "v", True, (1, 0, 0), True),
        (2, "a", "v", True, (0, 2, 0), True),
    ]
)
@example(  # One writer can't leave out what another one has taken away.
    steps=[
        (1, "a", "v", True, (1, 1, 1), True),
        (1, "a", "w", True, (2, 2, 2), False),
        (1, "a", "v", True, (2, 1, 3), True),
    ]
)
@example(  # Nor what an earlier epoch's has put there.
    steps=[
        (2, "a", "v", True, (1, 1, 1), True),
        "no quote",
        (1, "a", "v", True, (1, 0, 0), True),
        (2, "a", "v", True, (2, 2, 2), True),
    ]
)
@example(  # What another one has written, and was newer, is not as this one sent it.
    steps=[
        (1, "a", "v", True, (1, 1, 1), True),
        (1, "a", "w", True, (0, 0, 4), False),
        (1, "a", "v", True, (2, 2, 0), True),
        (1, "a", "v", True, (0, 3, 3), True),
        (1, "a", "v", True, (0, 5, 5), True),
    ]
)
@example(  # Nor what stood before another one came.
    steps=[
        (1, "a", "v", True, (6, 6, 6), True),
        (1, "a", "v", True, (9, 9, 9), True),
        (1, "a", "w", True, (10, 0, 0), False),
        (1, "a", "v", True, (0, 0, 10), False),
        (1, "a", "v", True, (11, 0, 0), True),
    ]
)
@example(  # What is gone, or somebody's, is written whole.
    steps=[(1, "a", "v", True, (1, 1, 1), True), "no quote", (1, "a", "v", True, (2, 2, 2), True), "a list",
           (1, "a", "v", True, (4, 3, 3), True), (1, "a", "v", True, (5, 4, 4), True)]
)  # fmt: skip
@given(steps=st.lists(st.one_of(calls, calls, mishaps), min_size=4, max_size=10))
def test_newest_wins(connections: Connections, market_name: str, steps: list[Step | str]) -> None:
    progress, *keys = [f"pseudofeed:{{{market_name}}}:{name}" for name in ("progress", *range(INSTRUMENTS))]
    with redis.Redis.from_url(connections.require_redis(), decode_responses=True) as client:
        script = client.register_script(SCRIPT)
        client.delete(progress, *keys)
        workers: dict[tuple[object, ...], Worker] = {}
        model: dict[str, tuple[int, int, bool]] = {}  # epoch, sequence, has a session
        for step in steps:
            if isinstance(step, tuple):
                epoch, *_, sequences, with_session = step
                chosen = {key: sequence for key, sequence in zip(keys, sequences, strict=True) if sequence}
                workers.setdefault(step[:3], Worker(script, "".join(map(str, step[:3])))).send(progress, chosen, step)
                for key, sequence in chosen.items():
                    held = model.get(key, (-1, -1, False))
                    offered = (epoch, sequence, with_session)
                    if offered[:2] > held[:2] or (offered[:2] == held[:2] and with_session):
                        model[key] = offered
            elif step == "flush":
                client.delete(progress, *keys)
                model.clear()
            elif step == "no progress":
                client.delete(progress)
            else:
                client.delete(keys[0])
                model.pop(keys[0], None)
                if step == "a list":
                    client.rpush(keys[0], "somebody's")
            for key in keys:
                found = client.hgetall(key) if client.type(key) == "hash" else {}
                if key not in model:
                    assert not found
                    continue
                epoch, sequence, with_session = model[key]
                assert (found["epoch"], found["sequence"]) == (str(epoch), str(sequence))
                assert found["price"] == f"{epoch}.{sequence}"
                assert ("session" in found) == ("open" in found) == with_session
                assert found.get("high") == (high(sequence) if with_session else None)
        client.delete(progress, *keys)
