from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from pseudofeed.encode.header import MessageHeader
from pseudofeed.records import ColumnMemory, Columns

MAXIMUM_BLOCK_TICKS: int
TICK_SIZE: int

def tick_block_size(steps: int, instruments: int) -> int: ...
def encode_tick_block_into(
    buffer: Buffer,
    offset: int,
    *,
    fingerprint: int,
    partition: int,
    first_step: int,
    times: NDArray[np.int64],
    instruments: NDArray[np.integer],
    prices: NDArray[np.float64],
    variances: NDArray[np.float64],
    columns: NDArray[np.integer] | None = None,
) -> int: ...
def encode_tick(
    *,
    fingerprint: int,
    partition: int,
    sequence: int,
    time: int,
    instrument: int,
    price: float,
    variance: float,
) -> bytes: ...
def encode_tick_json(
    symbol: str,
    *,
    fingerprint: int,
    sequence: int,
    time: int,
    instrument: int,
    price: float,
    variance: float,
) -> bytes: ...
def peek_ticks(message: Buffer) -> MessageHeader: ...
def decode_ticks(
    messages: Sequence[Buffer], *, fingerprint: int, partition: int, memory: ColumnMemory | None = None
) -> Columns: ...
def crc32_kernels() -> tuple[str, ...]: ...
def crc32_kernel() -> str: ...
def crc32(data: Buffer, sum: int = 0, *, kernel: str = "") -> int: ...
