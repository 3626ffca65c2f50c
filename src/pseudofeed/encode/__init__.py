"""Encodes records as bytes, and decodes them: Kafka messages (SBE, JSON), PostgreSQL's binary COPY rows, and the quotes
that the cache's script writes into Redis.

Codecs do no I/O. Whole arrays are passed to the native core, once per batch, with the GIL released. The schema of the
messages is pseudofeed.sbe.xml in this folder; docs/wire.md explains it for readers in other languages.
"""

from pseudofeed.encode._blocks import (
    MAXIMUM_EVENT_BLOCK,
    MAXIMUM_EVENT_STEPS,
    decode_event_blocks,
    decode_factor_blocks,
    encode_event_block,
    encode_factor_block_into,
    factor_block_size,
    maximum_events,
    peek_event_block,
    peek_factor_block,
)
from pseudofeed.encode._encode import (
    MAXIMUM_BLOCK_TICKS,
    TICK_SIZE,
    decode_ticks,
    encode_tick,
    encode_tick_block_into,
    encode_tick_json,
    peek_ticks,
    tick_block_size,
)
from pseudofeed.encode._quotes import QuoteEncoder, decode_quotes
from pseudofeed.encode.codecs import Codec, codec_of
from pseudofeed.encode.events import encode_events, event_entries
from pseudofeed.encode.header import MessageHeader
from pseudofeed.encode.partitions import (
    instrument_partitions,
    members_of,
    partition_count,
    partitions_of,
    symbol_partition,
)
from pseudofeed.encode.rows import encode_copy_rows
from pseudofeed.encode.state import MAXIMUM_PART, StatePart, StateRecord, decode_state, encode_state, peek_state

__all__ = [
    "MAXIMUM_BLOCK_TICKS",
    "MAXIMUM_EVENT_BLOCK",
    "MAXIMUM_EVENT_STEPS",
    "MAXIMUM_PART",
    "TICK_SIZE",
    "Codec",
    "MessageHeader",
    "QuoteEncoder",
    "StatePart",
    "StateRecord",
    "codec_of",
    "decode_event_blocks",
    "decode_factor_blocks",
    "decode_quotes",
    "decode_state",
    "decode_ticks",
    "encode_copy_rows",
    "encode_event_block",
    "encode_events",
    "encode_factor_block_into",
    "encode_state",
    "encode_tick",
    "encode_tick_block_into",
    "encode_tick_json",
    "event_entries",
    "factor_block_size",
    "instrument_partitions",
    "maximum_events",
    "members_of",
    "partition_count",
    "partitions_of",
    "peek_event_block",
    "peek_factor_block",
    "peek_state",
    "peek_ticks",
    "symbol_partition",
    "tick_block_size",
]
