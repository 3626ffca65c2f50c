from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from pseudofeed.encode.bars import BarBlockHeader, BarColumns
from pseudofeed.encode.factors import FactorBlockHeader, FactorColumns

def factor_block_size(steps: int, factors: int) -> int: ...
def encode_factor_block_into(
    buffer: Buffer,
    offset: int,
    *,
    fingerprint: int,
    partition: int,
    first_step: int,
    times: NDArray[np.int64],
    increments: NDArray[np.float64],
    levels: NDArray[np.float64],
) -> int: ...
def peek_factor_block(message: Buffer) -> FactorBlockHeader: ...
def decode_factor_blocks(
    messages: Sequence[Buffer], *, fingerprint: int, partition: int, factors: int
) -> FactorColumns: ...
def bar_block_size(bars: int) -> int: ...
def encode_bar_block_into(
    buffer: Buffer, offset: int, bars: BarColumns, *, fingerprint: int, partition: int, sequence: int
) -> int: ...
def peek_bar_block(message: Buffer) -> BarBlockHeader: ...
def decode_bar_blocks(messages: Sequence[Buffer], *, fingerprint: int, partition: int) -> BarColumns: ...
