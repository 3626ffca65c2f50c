"""CRC-32 against zlib's, by each kernel that this processor has; and the constants that it folds with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudofeed.encode._encode import crc32, crc32_kernels
from reference.crc32_constants import DISTANCES, fold_factors

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(32).bytes(1000 + 64)


@pytest.mark.parametrize("kernel", crc32_kernels())
def test_every_length_at_every_place(kernel: str) -> None:
    for size in range(1001):
        data = memoryview(RANDOM)[size % 64 : size % 64 + size]
        assert crc32(data, kernel=kernel) == zlib.crc32(data), size
        assert crc32(data, 0xDEADBEEF, kernel=kernel) == zlib.crc32(data, 0xDEADBEEF), size
    for place in range(64):
        data = memoryview(RANDOM)[place : place + 1000]
        assert crc32(data, kernel=kernel) == zlib.crc32(data), place


@pytest.mark.parametrize("kernel", crc32_kernels())
def test_every_split(kernel: str) -> None:
    data = memoryview(RANDOM)[:1000]
    for split in range(1001):
        assert crc32(data[split:], crc32(data[:split], kernel=kernel), kernel=kernel) == zlib.crc32(data), split


@given(st.binary(max_size=5000), st.integers(0, 2**32 - 1))
def test_any_bytes(data: bytes, before: int) -> None:
    assert {crc32(data, before, kernel=kernel) for kernel in ("", *crc32_kernels())} == {zlib.crc32(data, before)}


def test_a_kernel_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="no kernel abacus"):
        crc32(b"", kernel="abacus")


@pytest.mark.parametrize("asked", ["baseline", "avx2", "avx512", ""])
def test_the_environment_allows_a_kernel(asked: str) -> None:
    program = "from pseudofeed.encode._encode import crc32_kernel; print(crc32_kernel())"
    environment = {**os.environ, "PSEUDOFEED_ISA": asked}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    there = list(crc32_kernels())
    narrow = next(name for name in there if name != "vpclmulqdq")
    assert found.stdout.strip() == {"baseline": "tables", "avx2": narrow}.get(asked, there[0])


def test_the_fold_factors_follow_from_their_definition() -> None:
    header = (ROOT / "csrc" / "encode" / "crc32_fold.h").read_text(encoding="utf-8")
    found = re.findall(r"FoldFactors\{(\d+), (0x[0-9a-f]+), (0x[0-9a-f]+)\}", header)
    assert [(int(distance), int(first, 16), int(second, 16)) for distance, first, second in found] == [
        (distance, *fold_factors(distance)) for distance in DISTANCES
    ]
    # The paper's own, for distances of one and of four registers (its figure 8, bit-reflected).
    assert fold_factors(16) == (0x1751997D0, 0xCCAA009E)
    assert fold_factors(64) == (0x154442BD4, 0x1C6E41596)
