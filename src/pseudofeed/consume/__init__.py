"""Reading the topic of a kind of record: one loop, whatever the records are read for.

partitions.py joins the consumer group, keeps the partitions' positions and hands out batches; lane.py decodes and
writes them beside it; sink.py is what a stage (store, cache) must offer to be served.
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
