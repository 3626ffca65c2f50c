"""Reading a market's tick topic: one loop, whatever the ticks are read for.

partitions.py joins the consumer group, keeps the partitions' positions and hands out batches; lane.py decodes and
writes them beside it; sink.py is what a stage (store, cache) must offer to be served.
"""

from pseudofeed.consume.partitions import consume_ticks
from pseudofeed.consume.sink import Batch, Sink, Unreadable, WorkerSummary, position_within
from pseudofeed.consume.stream import Stream, factor_stream, tick_stream

__all__ = [
    "Batch",
    "Sink",
    "Stream",
    "Unreadable",
    "WorkerSummary",
    "consume_ticks",
    "factor_stream",
    "position_within",
    "tick_stream",
]
