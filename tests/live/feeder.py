"""A feed in a process of its own that starts in a moment: forked from a server that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from pseudofeed.encode import state
from pseudofeed.market import Market
from pseudofeed.operate.control import Progress, SignalControl
from pseudofeed.publish import checkpoint
from pseudofeed.publish.feed import feed
from pseudofeed.publish.run import FeedSummary
from pseudofeed.settings import Connections

__all__ = ["INSTRUMENTS", "PLACES", "Feeder", "sample", "start_feeder"]

INSTRUMENTS = 20


def sample(name: str, *, seed: int = 7) -> Market:
    return Market.sample(instruments=INSTRUMENTS, name=name, seed=seed)


class Feeder:
    """A running feed of the sample market of that name."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process = process
        self._pipe = pipe

    def wait_until_going(self) -> None:
        """Until something of it is acknowledged."""
        assert self._pipe.poll(60), "the feeder did not get going"
        assert self._pipe.recv() == "going"

    def kill(self) -> None:
        self.process.kill()
        self.process.join(10)
        assert self.process.exitcode == -9

    def summary(self) -> FeedSummary:
        """After it was asked to stop."""
        assert self._pipe.poll(60), "the feeder did not end"
        summary = self._pipe.recv()
        assert isinstance(summary, FeedSummary)
        self.process.join(10)
        assert self.process.exitcode == 0
        return summary


@contextmanager
def start_feeder(connections: Connections, name: str, **options: Any) -> Iterator[Feeder]:
    """options: of `feed`; dies: one of PLACES, where it dies. It goes on until it is killed or told to stop."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["live.feeder"])
    ours, theirs = context.Pipe()
    process = context.Process(target=_feed, args=(connections.require_kafka(), name, options, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Feeder(process, ours)
    finally:
        process.kill()
        process.join(10)
        ours.close()


def _feed(kafka: Mapping[str, str], name: str, options: dict[str, Any], pipe: Connection) -> None:
    said: list[None] = []
    place = options.pop("dies", None)
    if place is not None:
        _die_at(place)

    def on_progress(progress: Progress) -> None:
        if progress.ticks and not said:
            said.append(None)
            pipe.send("going")

    control = SignalControl(on_progress=on_progress).listen()
    pipe.send(feed(sample(name), Connections(kafka=kafka), control, **options))


BEFORE_STATE, WITHIN_STATE, AFTER_STATE = "before a state is sent", "between its parts", "after it was handed over"
PLACES = (BEFORE_STATE, WITHIN_STATE, AFTER_STATE)


def _die_at(place: str) -> None:
    """Store a state after each block, in some parts, and die by SIGKILL at the third one."""
    checkpoint.WALK_SECONDS = 0.0
    state.MAXIMUM_PART = 600
    encode, send = state.encode_state, checkpoint.StateSender.acknowledged
    sent: list[int] = []

    def encode_doomed(*arguments: Any, **named: Any) -> list[tuple[bytes, bytes]]:
        parts = encode(*arguments, **named)
        sent.append(named["step"])
        if len(sent) == 3 and place == BEFORE_STATE:
            os.kill(os.getpid(), signal.SIGKILL)
        return parts[: len(parts) // 2] if len(sent) == 3 and place == WITHIN_STATE else parts

    def send_doomed(self: checkpoint.StateSender, step: int) -> None:
        if len(sent) == 2:  # they are written
            self.settle()
        send(self, step)
        if len(sent) == 3:
            if place == WITHIN_STATE:  # what was handed over is written
                self.settle()
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.encode_state = encode_doomed  # type: ignore[attr-defined]
    checkpoint.StateSender.acknowledged = send_doomed  # type: ignore[method-assign]
