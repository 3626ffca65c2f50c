"""Encoding and decoding tick blocks with two installed versions of pseudofeed, in turn, in one run.

    python benchmarks/compare_encode.py OLD/bin/python NEW/bin/python

100 instruments in 4 partitions. Encoding is `encode_tick_block_into`, of 400 steps of all instruments, and of a message
of 327 steps of one partition. Decoding is a batch of 400,000 ticks of two partitions, in messages of 8,175 ticks, as a
lane of the store's worker decodes it (Lane._write), for a sink that reads nothing. Prints the best of the rounds, and
how many times as fast the new one is.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

ROUNDS = 200  # short ones: on a shared machine the best of many
INSTRUMENTS, PARTITIONS, BLOCK_TICKS, BATCH_TICKS = 100, 4, 8_192, 400_000


def work() -> dict[str, tuple[int, Callable[[], object]]]:
    """What is measured: its name, its ticks, and the call."""
    import numpy as np

    from pseudofeed.consume import stream as streams
    from pseudofeed.consume.lane import Lane, RawBatch
    from pseudofeed.consume.sink import Sink
    from pseudofeed.encode import encode_tick_block_into, tick_block_size

    random = np.random.default_rng(1)

    def block(first_step: int, steps: int, numbers: Any, partition: int) -> tuple[bytearray, Callable[[], object]]:
        buffer = bytearray(tick_block_size(steps, len(numbers)))
        arguments = {
            "fingerprint": 1,
            "partition": partition,
            "first_step": first_step,
            "times": np.arange(first_step, first_step + steps, dtype=np.int64) * 1_000_000_000,
            "instruments": numbers,
            "prices": random.uniform(1, 500, (steps, INSTRUMENTS)),
            "variances": random.uniform(0, 0.1, (steps, INSTRUMENTS)),
            "columns": None if len(numbers) == INSTRUMENTS else numbers,
        }

        def encode() -> object:
            return encode_tick_block_into(buffer, 0, **arguments)

        encode()
        return buffer, encode

    everyone = np.arange(INSTRUMENTS, dtype=np.int32)
    members = [everyone[partition::PARTITIONS] for partition in range(PARTITIONS)]
    steps = BLOCK_TICKS // len(members[0])
    _, encode_all = block(1, 400, everyone, 0)
    _, encode_part = block(1, steps, members[0], 0)

    batches = []
    for partition in (0, 2):
        blocks = BATCH_TICKS // 2 // (steps * len(members[0])) + 1
        values = [bytes(block(1 + n * steps, steps, members[partition], partition)[0]) for n in range(blocks)]
        batches.append(RawBatch(partition, 0, values, list(range(blocks)), 0.0))
    record = cast(Any, SimpleNamespace(name="x", partitions=PARTITIONS, fingerprint=1, market=None))
    if hasattr(streams, "tick_stream"):  # before kinds of record were declared
        stream = streams.tick_stream(record)
    else:
        from pseudofeed.records import TICK

        stream = streams.stream_of(record, TICK)
    sink = SimpleNamespace(write=lambda _: None, give_up=lambda: None, close=lambda: None)
    lane = Lane(cast(Sink, sink), 0, stream)
    ticks = lane._write(batches).ticks
    return {
        "encode 400 steps of 100 instruments": (400 * INSTRUMENTS, encode_all),
        "encode a message of 25 of 100 instruments": (steps * len(members[0]), encode_part),
        "decode a batch as the store's worker": (ticks, lambda: lane._write(batches)),
    }


def measure() -> None:
    """A worker: for each line that comes, the seconds of one round of each work."""
    works = work()
    print("\t".join(works), flush=True)
    print("\t".join(str(ticks) for ticks, _ in works.values()), flush=True)
    for _ in sys.stdin:
        seconds = []
        for ticks, call in works.values():
            calls = max(1, 100_000 // ticks)
            call()  # so that the caches hold this work's data, not the last one's
            begin = time.perf_counter()
            for _ in range(calls):
                call()
            seconds.append((time.perf_counter() - begin) / calls)
        print("\t".join(map(str, seconds)), flush=True)


@contextmanager
def worker(python: str) -> Iterator[Callable[[], list[str]]]:
    """Its lines, one at a call."""
    with subprocess.Popen([python, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        names, ticks = process.stdout.readline(), process.stdout.readline()
        lines = iter((names, ticks))

        def line() -> list[str]:
            assert process.stdin is not None
            assert process.stdout is not None
            text = next(lines, "")
            if not text:
                process.stdin.write("\n")
                process.stdin.flush()
                text = process.stdout.readline()
            return text.rstrip("\n").split("\t")

        yield line
        process.stdin.close()


def compare(old: str, new: str) -> None:
    with worker(old) as first, worker(new) as second:
        names, _ = first(), second()
        ticks, _ = [int(count) for count in first()], second()
        rounds = [([float(s) for s in first()], [float(s) for s in second()]) for _ in range(ROUNDS)]
    for at, name in enumerate(names):
        olds, news = [old[at] for old, _ in rounds], [new[at] for _, new in rounds]
        nanoseconds = [1e9 * seconds / ticks[at] for seconds in (min(olds), min(news))]
        ratio = statistics.median(old / new for old, new in zip(olds, news, strict=True))
        print(
            f"{name:45} {nanoseconds[0]:6.2f} and {nanoseconds[1]:6.2f} ns a tick at best; "
            f"{min(olds) / min(news):5.2f} x by the best, {ratio:5.2f} x by the median of the rounds' ratios"
        )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        compare(*sys.argv[1:])
    else:
        measure()
