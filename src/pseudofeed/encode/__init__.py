"""Ticks as bytes and back: the wire's tick block (SBE) and PostgreSQL's binary COPY rows.

Codecs do no I/O. Numbers cross into the native core as whole arrays, once a batch, with the GIL released. The wire's
schema is pseudofeed.sbe.xml in this folder; docs/wire.md explains it to those who write a reader in another language.
"""

from pseudofeed.encode._encode import (
    MAXIMUM_BLOCK_TICKS,
    decode_tick_blocks,
    encode_copy_rows,
    encode_tick_block_into,
    peek_tick_block,
    tick_block_size,
)
from pseudofeed.encode.partitions import instrument_partitions, symbol_partition
from pseudofeed.encode.ticks import TickBlockHeader, TickColumns

__all__ = [
    "MAXIMUM_BLOCK_TICKS",
    "TickBlockHeader",
    "TickColumns",
    "decode_tick_blocks",
    "encode_copy_rows",
    "encode_tick_block_into",
    "instrument_partitions",
    "peek_tick_block",
    "symbol_partition",
    "tick_block_size",
]
