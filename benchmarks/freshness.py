"""How old a quote is when it can be read: from when a tick was due to the first HMGET that shows it or a newer one.

A live market's event time is the clock's, so `time_ns` in Redis is when the tick was due, and a feed that is late makes
every tick behind it late, too: nothing is left out. One instrument of each partition is polled. Feed and cache worker
are the commands, in processes of their own. Needs PSEUDOFEED_KAFKA and PSEUDOFEED_REDIS.

    python benchmarks/freshness.py [--rate 20000] [--seconds 10] [--instruments 100] [--partitions 4]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import cast

import numpy as np
import redis

from pseudofeed.cache.connection import exchange, packed_words
from pseudofeed.cache.keys import quote_key, ready_key
from pseudofeed.encode import instrument_partitions
from pseudofeed.market import Market

# A quote is seen this much late at most, and the reader takes a tenth of a core; every 0.3 ms it took a fifth.
POLL_SECONDS = 0.0005
MARKET = """[market]
name = "{name}"
seed = 7
[clock]
start = "now"
step = "{step_us}us"
[factors]
names = ["market", "size", "value"]
volatilities = [0.16, 0.08, 0.06]
correlations = [[1.0, 0.3, 0.3], [0.3, 1.0, 0.3], [0.3, 0.3, 1.0]]
[instruments]
count = {instruments}
"""


def measure(*, rate: float, seconds: float, instruments: int, partitions: int) -> dict[str, float]:
    """Milliseconds from due to readable, over all steps from 3 s after the cold start on."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    step_us = round(1e6 * instruments / rate)
    text = MARKET.format(name=name, step_us=step_us, instruments=instruments)
    symbols = Market.loads(text).symbols
    partition_of = instrument_partitions(symbols, partitions).tolist()
    keys = [quote_key(name, p, symbols[partition_of.index(p)]) for p in range(partitions)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "market.toml"
        file.write_text(text)
        commands = [["feed", str(file), "--speed", "1", "--partitions", str(partitions)], ["cache", name]]
        started = []
        try:
            for command in commands:
                quiet = subprocess.DEVNULL
                started.append(
                    subprocess.Popen([sys.executable, "-m", "pseudofeed", *command], stdout=quiet, stderr=quiet)
                )
                time.sleep(2)  # the feed registers the market
            latencies = _poll(name, keys, step_us, seconds)
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(30)
    ms = np.concatenate(latencies) / 1e6
    shares = dict(
        zip(("p50", "p90", "p99", "p99.9"), np.percentile(ms, [50, 90, 99, 99.9]).round(2).tolist(), strict=True)
    )
    return {
        "rate": rate,
        "instruments": instruments,
        "partitions": partitions,
        "ticks_of": len(ms),
        **shares,
        "max": round(float(ms.max()), 2),
    }


def _poll(name: str, keys: list[str], step_us: int, seconds: float) -> list[np.ndarray]:
    """Each step's age in ns when it was first seen, of one instrument a partition."""
    found: list[np.ndarray] = []
    client = redis.Redis.from_url(os.environ["PSEUDOFEED_REDIS"], decode_responses=True)
    commands = b"".join(b"*4\r\n" + packed_words("HMGET", key, "sequence", "time_ns") for key in keys)
    newest = dict.fromkeys(keys, (0, 0))
    given_up = time.monotonic() + 60
    while not client.exists(ready_key(name)):
        if time.monotonic() > given_up:
            sys.exit("the cache worker did not come up within 60 s")
        time.sleep(0.1)
    warm = time.monotonic() + 3
    end = warm + seconds
    while time.monotonic() < end:
        answers = cast(list[list[str | None]], exchange(client, [commands], answers=len(keys)))
        now = time.time_ns()
        for key, (sequence, time_ns) in zip(keys, answers, strict=True):
            if sequence is None or time_ns is None or int(sequence) == newest[key][0]:
                continue
            step, due = int(sequence), int(time_ns)
            if newest[key][0] and time.monotonic() > warm:
                skipped = np.arange(step - newest[key][0]) * step_us * 1000
                found.append(now - (due - skipped))
            newest[key] = (step, due)
        time.sleep(POLL_SECONDS)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--instruments", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=4)
    print(json.dumps(measure(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
