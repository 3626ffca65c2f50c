"""The codecs beside what a Python program would write: a struct a tick."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pseudofeed.encode import decode_ticks, encode_copy_rows, encode_tick_block_into, tick_block_size

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


@pytest.mark.parametrize("who", ["struct", "pseudofeed"])
def test_decode(benchmark: BenchmarkFixture, who: str) -> None:
    benchmark.group = f"decode {STEPS * INSTRUMENTS} ticks"
    if who == "struct":
        benchmark(lambda records: [RECORD.unpack(record) for record in records], encode_structs())
    else:
        benchmark(decode_ticks, [bytes(block())], fingerprint=1, partition=0)


def test_copy_rows(benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"COPY rows of {STEPS * INSTRUMENTS} ticks"
    columns = decode_ticks([bytes(block())], fingerprint=1, partition=0)
    benchmark(encode_copy_rows, columns, NUMBERS + 1)
