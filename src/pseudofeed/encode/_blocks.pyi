from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from pseudofeed.encode.header import MessageHeader
from pseudofeed.records import ColumnMemory, Columns, Kind

MAXIMUM_EVENT_BLOCK: int
MAXIMUM_EVENT_STEPS: int

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
def peek_factor_block(message: Buffer) -> MessageHeader: ...
def decode_factor_blocks(
    messages: Sequence[Buffer], *, fingerprint: int, partition: int, factors: int, memory: ColumnMemory | None = None
) -> Columns: ...
def maximum_events(kind: Kind) -> int: ...
def encode_event_block(
    kind: Kind,
    entries: NDArray[Any],
    *,
    fingerprint: int,
    partition: int,
    first_step: int,
    steps: int,
    first_event: int = 0,
    more: bool = False,
) -> bytes: ...
def peek_event_block(kind: Kind, message: Buffer) -> MessageHeader: ...
def decode_event_blocks(kind: Kind, messages: Sequence[Buffer], *, fingerprint: int, partition: int) -> Columns: ...
