"""The one loop that serves every sink of a market's records.

It keeps the group's promises to Kafka, and the sinks' to their users:

* A partition is read from where its sink says, never from the group's committed offset. Until the sink has answered, an
  assigned partition is paused.
* One write a lane is under way at a time; beside it the next batch fills up. When that is full too, the loop stops
  reading; if it lasts, the partitions are paused and Kafka is polled for the group's sake only. Memory is bounded by a
  batch a lane, one being written, and librdkafka's queue (consumer.py).
* What is revoked or lost is dropped with its buffers. A write under way is waited for, but not for ever: if this worker
  was too slow, its write is refused by the sink (OffsetConflict), and positions are asked again.
* Offsets are committed to Kafka after the sink's own commit, asynchronously: for lag displays, and to tell draining
  workers how far the others are.

It is longer than other files: the group's callbacks, reading and writing all move the same partitions' state.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from concurrent.futures import wait

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.bus.topics import check_broker
from pseudofeed.consume.consumer import open_consumer
from pseudofeed.consume.lane import Lane, Partition
from pseudofeed.consume.sink import Sink, WorkerSummary
from pseudofeed.consume.stream import Stream, stream_of
from pseudofeed.consume.tally import Tally
from pseudofeed.consume.topic import WatchedTopic
from pseudofeed.errors import OffsetConflict, ServerError
from pseudofeed.operate.control import Control
from pseudofeed.records import Kind
from pseudofeed.settings import Connections

__all__ = ["consume_kind"]

_log = logging.getLogger("pseudofeed.consume")

REVOKE_WAIT_SECONDS = 5.0
COMMIT_SECONDS = 0.2
REPORT_SECONDS = 0.5


def consume_kind(
    record: MarketRecord,
    kind: Kind,
    connections: Connections,
    control: Control,
    sinks: Sequence[Sink],
    *,
    stage: str,
    batch_rows: int,
    batch_seconds: float,
    optional: bool = False,
) -> WorkerSummary:
    """Read the market's records of a kind and have the sinks write them, until told to stop or, draining, the end is
    reached.

    sinks: one a lane; partition p is served by sink p modulo their number. They are closed at the end, in any case.
    stage: the word in the group id `pseudofeed.<stage>.<market>` and in reports. A batch is written when a lane has
    about `batch_rows` rows or the oldest is `batch_seconds` old. optional: the topic is waited for as long as it
    takes, and if it is not there when draining, there is nothing to do. Raises ServerError where Kafka does not answer
    at the start, TopicError, and whatever the sinks raise.
    """
    stream = stream_of(record, kind, optional=optional)
    lanes = [Lane(sink, number, stream) for number, sink in enumerate(sinks)]
    try:
        if batch_rows < 1 or batch_seconds < 0:
            raise ValueError(f"batch_rows is {batch_rows} and batch_seconds {batch_seconds}; at least 1 and 0")
        group = f"pseudofeed.{stage}.{record.name}"
        return _Loop(stream, connections, control, lanes, stage, group, batch_rows, batch_seconds).run()
    finally:
        for lane in lanes:
            lane.close()


class _Loop:
    def __init__(
        self,
        stream: Stream,
        connections: Connections,
        control: Control,
        lanes: Sequence[Lane],
        stage: str,
        group: str,
        batch_rows: int,
        batch_seconds: float,
    ) -> None:
        self._stream, self._control, self._lanes, self._stage = stream, control, lanes, stage
        self._batch_rows, self._batch_seconds = batch_rows, batch_seconds
        self._kafka = connections.require_kafka()
        self._group = group
        self._watched = WatchedTopic(self._kafka, stream)
        self._topic = self._watched.name
        self._partitions: dict[int, Partition] = {}
        self._joined = False  # the group has said once which partitions are ours, if any
        self._paused = False
        self._closing = False
        self._commits: dict[int, int] = {}
        self._targets: dict[int, int] = {}  # the ends that draining must reach
        self._others_asked_at = 0.0
        self._committed_at = 0.0
        self._reported_at = 0.0
        self._tally = Tally()

    # --- start and end -----------------------------------------------------------------------------------------

    def run(self) -> WorkerSummary:
        try:
            check_broker(self._kafka)
            if not self._watched.wait_for(self._control):
                return self._tally.summary()
            self._consumer = open_consumer(self._kafka, self._group, self._on_commit)
            callbacks = {"on_assign": self._on_assign, "on_revoke": self._on_revoke, "on_lost": self._on_lost}
            try:
                self._consumer.subscribe([self._topic], **callbacks)
                self._loop()
                self._finish()
            finally:
                self._closing = True
                self._consumer.close()
            return self._tally.summary()
        finally:
            self._watched.close()

    def _loop(self) -> None:
        while True:
            for lane in self._lanes:
                self._settle(lane)
            if self._control.stopping or (self._control.draining and self._caught_up()):
                return
            self._ask_and_seek()
            self._watched.check()
            if not self._hold_back():
                self._poll()
            for lane in self._lanes:
                self._hand_over(lane)
            self._commit()
            self._report()

    def _finish(self) -> None:
        """Let the writes under way end, tell Kafka how far the sinks are, and let them do what they have put off."""
        for lane in self._lanes:
            lane.give_up()
        wait([lane.writing for lane in self._lanes if lane.writing is not None])
        for lane in self._lanes:
            self._settle(lane)
        self._commit(last=True)
        finishing = [lane.finish() for lane in self._lanes]
        if sum(lane.result() for lane in finishing):
            self._tally.finished()
        self._report(last=True)

    # --- the group's callbacks, called from within poll, consume and close ---------------------------------------

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        self._joined = True
        # Paused first, and at a number. One that is assigned at its end, and then put elsewhere before librdkafka has
        # looked the end up, is now and then read from the end after all (1 in 20 rebalances by `seek`, 1 in 50 by
        # reassigning it, on a busy machine): what lies between is skipped without a word. A number needs no look-up.
        places = [TopicPartition(self._topic, tp.partition, 0) for tp in assigned]
        consumer.pause(places)
        consumer.incremental_assign(places)
        consumer.pause(places)
        for tp in assigned:
            lane = self._lanes[tp.partition % len(self._lanes)]
            self._partitions[tp.partition] = Partition(tp.partition, lane)

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        numbers = {tp.partition for tp in revoked}
        if not self._closing:
            lanes = [lane for lane in self._lanes if lane.writing is not None and lane.writing_partitions & numbers]
            wait([lane.writing for lane in lanes if lane.writing is not None], timeout=REVOKE_WAIT_SECONDS)
            for lane in lanes:
                self._settle(lane)
            self._commit(last=True)
        self._forget(numbers)
        consumer.incremental_unassign(revoked)

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._forget({tp.partition for tp in lost})
        consumer.incremental_unassign(lost)

    def _forget(self, numbers: set[int]) -> None:
        for number in numbers:
            self._partitions.pop(number, None)
            self._commits.pop(number, None)
        for lane in self._lanes:
            lane.recount(self._served_by(lane))
            if not self._closing:
                lane.drop([number for number in numbers if self._lanes[number % len(self._lanes)] is lane])

    def _on_commit(self, problem: KafkaError | None, _: list[TopicPartition]) -> None:
        if problem is not None:
            _log.info("offsets for the lag display were not committed: %s", problem)

    def _served_by(self, lane: Lane) -> list[Partition]:
        return [partition for partition in self._partitions.values() if partition.lane is lane]

    def _ask_and_seek(self) -> None:
        for lane in self._lanes:
            served = self._served_by(lane)
            if lane.asking is not None and lane.asking.done():
                for number, offset in lane.asking.result().items():
                    partition = self._partitions.get(number)
                    if partition is not None and partition.lane is lane and partition.asked:
                        partition.wanted = offset
                for partition in served:
                    partition.asked = False
                lane.asking = None
            if lane.asking is None:
                unknown = [p for p in served if p.position is None and p.wanted is None]
                if unknown:
                    for partition in unknown:
                        partition.asked = True
                    lane.ask(self._watched.describe, [p.number for p in unknown])
            for partition in served:
                if partition.wanted is not None and not self._paused:
                    self._seek(partition, partition.wanted)

    def _seek(self, partition: Partition, offset: int) -> None:
        place = TopicPartition(self._topic, partition.number, offset)
        try:
            self._consumer.incremental_unassign([place])
            self._consumer.incremental_assign([place])
            self._consumer.resume([place])
        except KafkaException as problem:
            _log.debug("partition %d cannot be put to %d yet: %s", partition.number, offset, problem)
            return
        partition.forget()
        partition.position = partition.from_offset = partition.done = offset
        self._commits[partition.number] = offset
        partition.lane.recount(self._served_by(partition.lane))

    def _caught_up(self) -> bool:
        """Is every partition written up to its end, as that was when draining was first asked?

        Those of other workers, too: a partition that changes hands is nobody's for a while, and if all who have reached
        their own ends left then, nobody would finish it.
        """
        if not self._joined:
            return False
        for number in range(self._stream.partitions):
            if number not in self._targets:
                end = self._end(number)
                if end is None:
                    return False
                self._targets[number] = end
        if not all(self._has_read(partition) and not partition.values for partition in self._partitions.values()):
            return False
        if any(lane.writing is not None or lane.asking is not None for lane in self._lanes):
            return False
        return self._others_caught_up()

    def _has_read(self, partition: Partition) -> bool:
        """Has everything up to the end that draining must reach been read?"""
        target = self._targets.get(partition.number)
        return target is not None and partition.position is not None and partition.position >= target

    def _others_caught_up(self) -> bool:
        """By the offsets that workers commit after their sinks': they are never ahead of what is written."""
        others = [
            TopicPartition(self._topic, number)
            for number, target in self._targets.items()
            if number not in self._partitions and target > 0
        ]
        if not others:
            return True
        if time.monotonic() - self._others_asked_at < COMMIT_SECONDS:
            return False
        self._others_asked_at = time.monotonic()
        self._commit(last=True)
        try:
            committed = self._consumer.committed(others, timeout=5.0)
        except KafkaException as problem:
            _log.info("how far the other workers are is not known yet: %s", problem)
            return False
        return all(found.error is None and found.offset >= self._targets[found.partition] for found in committed)

    def _end(self, number: int) -> int | None:
        """The partition's end now; 0 where it holds nothing."""
        try:
            watermarks = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=5.0)
        except KafkaException as problem:
            _log.info("the end of partition %d is not known yet: %s", number, problem)
            return None
        if watermarks is None:
            return None
        low, high = watermarks
        return high if high > low else 0

    # --- reading ---------------------------------------------------------------------------------------------------

    def _hold_back(self) -> bool:
        """Wait a little where a lane is writing and its next batch is full; True if Kafka should not be read now."""
        full = [lane for lane in self._lanes if lane.writing is not None and lane.rows >= self._batch_rows]
        if not full:
            if self._paused:
                self._consumer.resume(self._assignment(positioned=True))
                self._paused = False
            return False
        done, _ = wait(
            [lane.writing for lane in full if lane.writing is not None], timeout=0.2 if self._paused else 1.0
        )
        if not done:
            if not self._paused:
                self._consumer.pause(self._assignment())
                self._paused = True
            self._take(self._consumer.poll(0))
        return True

    def _assignment(self, *, positioned: bool = False) -> list[TopicPartition]:
        """The assigned partitions, or only those whose sink has said where to read."""
        return [
            TopicPartition(self._topic, partition.number)
            for partition in self._partitions.values()
            if partition.position is not None or not positioned
        ]

    def _poll(self) -> None:
        """Read what has come; wait for it up to the next batch's time."""
        timeout = 0.05
        if any(lane.writing is not None or lane.asking is not None for lane in self._lanes):
            timeout = 0.005
        for lane in self._lanes:
            if not lane.rows:
                continue
            left = max(0.0, lane.since + self._batch_seconds - time.monotonic())
            if lane.writing is None:
                timeout = min(timeout, left)
            elif left == 0.0:
                # The next batch is due, and goes as soon as this one is written: that is what to wait for. Meanwhile
                # librdkafka reads on.
                wait([lane.writing], timeout=0.005)
                timeout = 0.0
        message = self._consumer.poll(timeout)
        if message is None:
            return
        self._take(message)
        # What is there already, a few at a time, so that a batch is not much larger than it should be.
        while all(lane.rows < self._batch_rows for lane in self._lanes):
            messages = self._consumer.consume(16, 0)
            for message in messages:
                self._take(message)
            if len(messages) < 16:
                return

    def _take(self, message: Message | None) -> None:
        if message is None:
            return
        number = message.partition()
        partition = None if number is None else self._partitions.get(number)
        problem = message.error()
        if problem is not None:
            self._take_event(problem, message.offset(), partition)
            return
        offset, value = message.offset(), message.value()
        if partition is None or partition.position is None or offset is None or offset < partition.position:
            return
        self._tally.came()
        partition.position = offset + 1
        # An empty value is no tick either: the decoder says so.
        partition.lane.add(partition, offset, value or b"")

    def _take_event(self, problem: KafkaError, offset: int | None, partition: Partition | None) -> None:
        code = problem.code()
        if code == KafkaError._PARTITION_EOF:
            if partition is None or partition.position is None or offset is None or offset < partition.position:
                return
            partition.position = offset
        elif code == KafkaError._AUTO_OFFSET_RESET:
            # Out of the topic's range: the sink's answer to a fresh look at the topic says what that means.
            if partition is not None:
                self._start_over({partition.number})
        elif code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION):
            self._watched.check_soon()
        elif problem.fatal():
            raise ServerError(f"Kafka's client library gave up on topic {self._topic}: {problem}")
        elif code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
            raise ServerError(
                f"Kafka does not let this user read topic {self._topic} as group {self._group}: {problem}"
            )
        else:
            _log.info("%s", problem)

    def _start_over(self, numbers: set[int]) -> None:
        """Drop what is buffered of these partitions and ask their sink again where to go on."""
        for number in numbers:
            if number in self._partitions:
                self._partitions[number].forget()
        for lane in self._lanes:
            lane.recount(self._served_by(lane))

    # --- writing -----------------------------------------------------------------------------------------------------

    def _hand_over(self, lane: Lane) -> None:
        if lane.writing is not None or lane.asking is not None:
            return
        if not lane.rows:
            lane.idle()
            return
        served = self._served_by(lane)
        ended = self._control.draining and all(self._has_read(partition) for partition in served)
        if ended or lane.rows >= self._batch_rows or time.monotonic() - lane.since >= self._batch_seconds:
            lane.write(served)

    def _settle(self, lane: Lane) -> None:
        """Take note of a write that has ended."""
        if lane.writing is None or not lane.writing.done():
            return
        numbers = set(lane.writing_partitions)
        writing, lane.writing, lane.writing_partitions = lane.writing, None, frozenset()
        try:
            written = writing.result()
        except OffsetConflict as conflict:
            _log.warning("%s; reading again from where the store is", conflict)
            self._start_over(numbers)
            return
        self._tally.wrote(written.ticks, written.last_step, written.unreadable)
        for number, offset in written.next_offsets.items():
            if number in self._partitions:
                self._partitions[number].done = offset
                self._commits[number] = offset
        self._report(last=True)

    def _commit(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if not self._commits or (not last and now - self._committed_at < COMMIT_SECONDS):
            return
        offsets = [TopicPartition(self._topic, number, offset) for number, offset in self._commits.items()]
        self._commits.clear()
        self._committed_at = now
        with contextlib.suppress(KafkaException):
            if last:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)

    def _report(self, *, last: bool = False) -> None:
        """Tell how far we are: after each write, and twice a second for the lag's sake."""
        now = time.monotonic()
        if not last and now - self._reported_at < REPORT_SECONDS:
            return
        self._reported_at = now
        self._control.report(self._tally.progress(self._stage, self._lag()))

    def _lag(self) -> int | None:
        lag = 0
        for partition in self._partitions.values():
            watermarks = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition.number), cached=True
            )
            if partition.position is None or watermarks is None or watermarks[1] < 0:
                return None
            lag += max(0, watermarks[1] - partition.done)
        return lag
