"""Ticks, factors and bars as bytes and back: the wire's messages (SBE, JSON), PostgreSQL's binary COPY rows, and the
quotes that the cache's script writes into Redis.

Codecs do no I/O. Numbers cross into the native core as whole arrays, once a batch, with the GIL released. The wire's
schema is pseudofeed.sbe.xml in this folder; docs/wire.md explains it to those who write a reader in another language.
"""

from pseudofeed.encode._blocks import (
    bar_block_size,
    decode_bar_blocks,
    decode_factor_blocks,
    encode_bar_block_into,
    encode_factor_block_into,
    factor_block_size,
    peek_bar_block,
    peek_factor_block,
)
from pseudofeed.encode._encode import (
    MAXIMUM_BLOCK_TICKS,
    TICK_SIZE,
    decode_ticks,
    encode_copy_rows,
    encode_tick,
    encode_tick_block_into,
    encode_tick_json,
    peek_ticks,
    tick_block_size,
)
from pseudofeed.encode._memory import ColumnMemory
from pseudofeed.encode._quotes import QuoteEncoder, decode_quotes
from pseudofeed.encode.bars import BarBlockHeader, BarColumns
from pseudofeed.encode.factors import FactorBlockHeader, FactorColumns
from pseudofeed.encode.partitions import instrument_partitions, symbol_partition
from pseudofeed.encode.ticks import TickColumns, TicksHeader

__all__ = [
    "MAXIMUM_BLOCK_TICKS",
    "TICK_SIZE",
    "BarBlockHeader",
    "BarColumns",
    "ColumnMemory",
    "FactorBlockHeader",
    "FactorColumns",
    "QuoteEncoder",
    "TickColumns",
    "TicksHeader",
    "bar_block_size",
    "decode_bar_blocks",
    "decode_factor_blocks",
    "decode_quotes",
    "decode_ticks",
    "encode_bar_block_into",
    "encode_copy_rows",
    "encode_factor_block_into",
    "encode_tick",
    "encode_tick_block_into",
    "encode_tick_json",
    "factor_block_size",
    "instrument_partitions",
    "peek_bar_block",
    "peek_factor_block",
    "peek_ticks",
    "symbol_partition",
    "tick_block_size",
]
