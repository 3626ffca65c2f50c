"""Partitions as Kafka's Java client computes them, by the known answers of its own tests.

Source: org.apache.kafka.common.utils.UtilsTest.testMurmur2 (Apache Kafka, clients/src/test).
"""

from __future__ import annotations

import numpy as np
import pytest

from pseudofeed.encode import instrument_partitions, symbol_partition
from pseudofeed.encode.partitions import murmur2

KNOWN_ANSWERS = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


def test_murmur2_known_answers() -> None:
    found = murmur2([text.encode() for text in KNOWN_ANSWERS])
    assert found.tolist() == [signed % 2**32 for signed in KNOWN_ANSWERS.values()]
    assert murmur2([b""]).tolist() == [275646681]  # Utils.murmur2(new byte[0])


def test_partition_is_the_positive_part_modulo_the_partitions() -> None:
    # Java: Utils.toPositive(Utils.murmur2(key)) % numPartitions, where toPositive(n) = n & 0x7fffffff.
    expected = [(signed & 0x7FFFFFFF) % 7 for signed in KNOWN_ANSWERS.values()]
    partitions = instrument_partitions(list(KNOWN_ANSWERS), 7)
    assert partitions.dtype == np.int32
    assert partitions.tolist() == expected
    assert [symbol_partition(symbol, 7) for symbol in KNOWN_ANSWERS] == expected
    assert instrument_partitions([], 4).shape == (0,)


def test_a_topic_without_partitions_is_refused() -> None:
    with pytest.raises(ValueError, match="partitions is 0"):
        instrument_partitions(["ALFA"], 0)
