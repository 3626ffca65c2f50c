"""The codecs beside what a Python program would write: a struct a tick, and the reader of docs/wire.md."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pseudofeed.encode import (
    decode_ticks,
    encode_copy_rows,
    encode_tick,
    encode_tick_block_into,
    encode_tick_json,
    tick_block_size,
)
from pseudofeed.records import TICK, Columns

STEPS, INSTRUMENTS = 400, 100
TIMES = np.arange(1, STEPS + 1, dtype=np.int64) * 1_000_000_000
NUMBERS = np.arange(INSTRUMENTS, dtype=np.int32)
PRICES = np.random.default_rng(1).uniform(1, 500, (STEPS, INSTRUMENTS))
VARIANCES = np.random.default_rng(2).uniform(0, 0.1, (STEPS, INSTRUMENTS))
RECORD = struct.Struct("<qiqdd")


def block() -> bytearray:
    buffer = bytearray(tick_block_size(STEPS, INSTRUMENTS))
    encode(buffer)
    return buffer


def encode(buffer: bytearray) -> None:
    encode_tick_block_into(
        buffer,
        0,
        fingerprint=1,
        partition=0,
        first_step=1,
        times=TIMES,
        instruments=NUMBERS,
        prices=PRICES,
        variances=VARIANCES,
    )


def encode_structs() -> list[bytes]:
    pack = RECORD.pack
    return [
        pack(time, number, step, price, variance)
        for step, (time, prices, variances) in enumerate(
            zip(TIMES.tolist(), PRICES.tolist(), VARIANCES.tolist(), strict=True)
        )
        for number, (price, variance) in enumerate(zip(prices, variances, strict=True))
    ]


@pytest.mark.parametrize("who", ["struct", "pseudofeed"])
def test_encode(benchmark: BenchmarkFixture, who: str) -> None:
    benchmark.group = f"encode {STEPS * INSTRUMENTS} ticks"
    if who == "struct":
        benchmark(encode_structs)
    else:
        benchmark(encode, block())


def documented_reader() -> Callable[[bytes], Any]:
    """read_tick_block of docs/wire.md: struct, zlib and numpy.frombuffer."""
    page = (Path(__file__).parents[1] / "docs" / "wire.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], names)
    reader: Callable[[bytes], Any] = names["read_tick_block"]
    return reader


def columns_of(read: tuple[Any, ...]) -> Columns:
    """The five columns from what the documented reader gives: what our decoder does in one pass."""
    _, _, sequences, numbers, times, ticks = read
    return Columns(
        TICK,
        np.repeat(times, len(numbers)),
        np.repeat(sequences, len(numbers)),
        np.tile(numbers.astype(np.int32), len(times)),
        np.ascontiguousarray(ticks["price"]).ravel(),
        np.ascontiguousarray(ticks["variance"]).ravel(),
    )


@pytest.mark.parametrize("who", ["struct", "numpy.frombuffer", "pseudofeed"])
def test_decode(benchmark: BenchmarkFixture, who: str) -> None:
    benchmark.group = f"decode {STEPS * INSTRUMENTS} ticks"
    message = bytes(block())
    if who == "struct":
        benchmark(lambda records: [RECORD.unpack(record) for record in records], encode_structs())
    elif who == "numpy.frombuffer":
        read = documented_reader()
        benchmark(lambda: columns_of(read(message)))
    else:
        benchmark(decode_ticks, [message], fingerprint=1, partition=0)


@pytest.mark.parametrize("shape", ["SBE", "JSON"])
def test_decode_single_ticks(benchmark: BenchmarkFixture, shape: str) -> None:
    benchmark.group = f"decode {STEPS * INSTRUMENTS} single ticks"
    messages = []
    for record in map(RECORD.unpack, encode_structs()):
        tick = dict(zip(("time", "instrument", "sequence", "price", "variance"), record, strict=True), fingerprint=1)
        tick["sequence"] += 1
        messages.append(encode_tick(partition=0, **tick) if shape == "SBE" else encode_tick_json("ALFA", **tick))
    benchmark(decode_ticks, messages, fingerprint=1, partition=0)


def test_copy_rows(benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"COPY rows of {STEPS * INSTRUMENTS} ticks"
    columns = decode_ticks([bytes(block())], fingerprint=1, partition=0)
    benchmark(encode_copy_rows, columns, NUMBERS + 1)
