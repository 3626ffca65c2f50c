"""Reads the topic of a kind of record, with the same loop for all stages.

partitions.py joins the consumer group, keeps the partitions' positions and hands out batches. lane.py decodes and
writes them in another thread. sink.py is the interface that a stage (store, cache) implements.
"""

from pseudofeed.consume.partitions import consume_kind
from pseudofeed.consume.sink import Batch, Sink, Unreadable, WorkerSummary, position_within
from pseudofeed.consume.stream import Stream, stream_of

__all__ = [
    "Batch",
    "Sink",
    "Stream",
    "Unreadable",
    "WorkerSummary",
    "consume_kind",
    "position_within",
    "stream_of",
]
