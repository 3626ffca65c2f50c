"""Columns in memory that is used again: the same values, the same pages, and never under somebody's eyes."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from pseudofeed.consume import Batch, stream_of
from pseudofeed.consume.lane import Lane, RawBatch, Written
from pseudofeed.encode import decode_ticks, encode_tick_block_into, tick_block_size
from pseudofeed.records import TICK, ColumnMemory, Columns


def message(first_step: int, steps: int = 50, instruments: int = 4, partition: int = 0) -> bytes:
    """Prices are 1000 * step + instrument, variances minus that."""
    steps_of = np.arange(first_step, first_step + steps, dtype=np.float64)
    prices = steps_of[:, None] * 1000.0 + np.arange(instruments)
    buffer = bytearray(tick_block_size(steps, instruments))
    encode_tick_block_into(
        buffer,
        0,
        fingerprint=1,
        partition=partition,
        first_step=first_step,
        times=np.arange(first_step, first_step + steps, dtype=np.int64) * 10**9,
        instruments=np.arange(instruments),
        prices=prices,
        variances=np.negative(prices),
    )
    return bytes(buffer)


def decoded(memory: ColumnMemory | None, *messages: bytes) -> Columns:
    return decode_ticks(messages, fingerprint=1, partition=0, memory=memory)


def same(columns: Columns, others: Columns) -> bool:
    return [array.tobytes() for array in columns.arrays] == [array.tobytes() for array in others.arrays]


def place(columns: Columns) -> int:
    return int(columns.time.__array_interface__["data"][0])


def test_the_columns_are_those_that_new_memory_has() -> None:
    memory = ColumnMemory()
    for count in (1, 3, 0, 2, 7):
        messages = [message(1 + 50 * n) for n in range(count)]
        columns = decoded(memory, *messages)
        assert same(columns, decoded(None, *messages))
        assert [array.dtype for array in columns.arrays] == ["int64", "int64", "int32", "float64", "float64"]
        assert all(array.flags.c_contiguous for array in columns.arrays)
        assert all(array.flags.writeable for array in columns.arrays)


def test_what_nobody_holds_is_used_again_and_grows() -> None:
    memory = ColumnMemory()
    columns = decoded(memory, message(1), message(51))
    first, size = place(columns), memory.size
    for count in (1, 2, 2, 1):
        del columns
        columns = decoded(memory, *(message(1 + 50 * n) for n in range(count)))
        assert (place(columns), memory.size) == (first, size)
    del columns
    columns = decoded(memory, *(message(1 + 50 * n) for n in range(5)))
    assert 36 * len(columns) <= memory.size < 2 * 36 * len(columns)  # what was too small is gone


@pytest.mark.parametrize("keep", ["columns", "one", "view", "chosen", "buffer"])
def test_what_somebody_holds_is_left_to_them(keep: str) -> None:
    memory = ColumnMemory()
    columns = decoded(memory, message(1))
    kept: Any = {
        "columns": columns,
        "one": columns["variance"],
        "view": columns["price"][3::7].reshape(-1, 1),
        "chosen": columns.where(np.ones(len(columns), np.bool_)),
        "buffer": memoryview(cast(Any, columns.sequence))[5:],
    }[keep]
    before, first = [array.tobytes() for array in columns.arrays], place(columns)
    holder = columns if keep in ("columns", "chosen") else None
    values = bytes(kept) if holder is None else b""
    del columns
    for step in (1001, 2001, 3001):
        other = decoded(memory, message(step))
        assert place(other) != first
        del other
    if holder is None:
        assert bytes(kept) == values
    else:
        assert [array.tobytes() for array in holder.arrays] == before
    del kept, holder
    assert first in {place(decoded(memory, message(1))) for _ in range(3)}


def test_memory_outlives_its_giver() -> None:
    memory = ColumnMemory()
    columns = decoded(memory, message(1))
    del memory
    assert same(columns, decoded(None, message(1)))


class Sink:
    """Of a lane; keeps what it is given, or not."""

    def __init__(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self.kept: list[Batch] = []
        self.places: set[int] = set()

    def write(self, batches: Sequence[Batch]) -> None:
        self.places |= {place(batch.columns) for batch in batches}
        if self.keeps:
            self.kept += batches

    def give_up(self) -> None: ...
    def close(self) -> None: ...


@pytest.mark.parametrize("keeps", [False, True])
def test_a_lane_uses_its_memory_again_unless_the_sink_keeps_it(keeps: bool) -> None:
    stream = stream_of(cast(Any, SimpleNamespace(name="x", partitions=2, fingerprint=1, market=None)), TICK)
    sink = Sink(keeps=keeps)
    lane = Lane(cast(Any, sink), 0, stream)
    expected: list[Columns] = []
    try:
        for write in range(20):
            values = [[message(1 + 100 * write + 50 * n, partition=p) for n in range(2)] for p in range(2)]
            written: Written = lane._write([RawBatch(p, 0, values[p], [0, 1], 0.0) for p in range(2)])
            assert written.ticks == 2 * 2 * 50 * 4
            expected += [decode_ticks(values[p], fingerprint=1, partition=p) for p in range(2)]
    finally:
        lane.close()
    if keeps:
        assert all(same(batch.columns, columns) for batch, columns in zip(sink.kept, expected, strict=True))
        assert len(sink.places) == len(expected)
    else:
        assert len(sink.places) == 2
