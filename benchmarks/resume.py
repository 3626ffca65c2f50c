"""How soon a feed that was killed goes on: from opening the topics to the first new message.

    python benchmarks/resume.py [INSTRUMENTS [TICKS]]      # 100 instruments and 10 million ticks unless said otherwise

Feeds that many ticks into the broker that PSEUDOFEED_KAFKA names, kills the feed with -9 while it works, and starts it
again three times, each after another kill. Prints the seconds of each start.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any
from unittest.mock import patch

from pseudofeed.bus.markets import drop_market
from pseudofeed.bus.topics import delete_topic
from pseudofeed.market import Market
from pseudofeed.operate.control import Progress, SignalControl
from pseudofeed.publish.feed import feed
from pseudofeed.publish.overlap import Simulate
from pseudofeed.publish.resume import Beginning, find_beginning
from pseudofeed.publish.run import FeedRun
from pseudofeed.records import KINDS
from pseudofeed.settings import Connections


def market(instruments: int) -> Market:
    return Market.sample(instruments=instruments, name="bench-resume", start="2026-03-02T14:30:00Z", step="1ms")


def run(instruments: int, ticks: int) -> None:
    """Feed without end, until this process kills itself after so many ticks were acknowledged."""

    def on_progress(progress: Progress) -> None:
        if progress.ticks >= ticks:
            os.kill(os.getpid(), signal.SIGKILL)

    control = SignalControl(on_progress=on_progress)
    feed(market(instruments), Connections.resolve(), control, partitions=8)


class Stop(Exception):
    """The first new message was handed over."""


def start(instruments: int) -> tuple[float, float]:
    """Seconds from opening the topics to where the feed knows them, and to the first block of new steps handed over."""
    seen: dict[str, float] = {}

    def opening(*arguments: Any) -> Beginning:
        seen["opening"] = time.perf_counter()
        beginning = find_beginning(*arguments)
        seen["opened"] = time.perf_counter()
        return beginning

    def publish_all(self: FeedRun, simulate: Simulate, _pace: Any) -> None:
        self.publish(next(simulate(stopping=lambda: False)))
        seen["first message"] = time.perf_counter()
        raise Stop

    with (
        patch("pseudofeed.publish.feed.find_beginning", opening),
        patch.object(FeedRun, "publish_all", publish_all),
        suppress(Stop),
    ):
        feed(market(instruments), Connections.resolve(), SignalControl(), partitions=8)
    return seen["opened"] - seen["opening"], seen["first message"] - seen["opening"]


def main() -> None:
    given = [int(argument.replace("_", "")) for argument in sys.argv[1:]]
    instruments, ticks = given[0] if given else 100, given[1] if given[1:] else 10_000_000
    kafka = Connections.resolve().require_kafka()
    context = multiprocessing.get_context("spawn")
    try:
        for number in range(3):
            feeder = context.Process(target=run, args=(instruments, ticks if number == 0 else ticks // 10))
            feeder.start()
            feeder.join()
            ends, first = start(instruments)
            print(
                f"{instruments:,} instruments: topics and state read in {ends:.2f} s, first message after {first:.2f} s"
            )
    finally:
        for kind in KINDS:
            delete_topic(kafka, kind.topic_of("bench-resume"))
        drop_market(kafka, "bench-resume")


if __name__ == "__main__":
    main()
