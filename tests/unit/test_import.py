"""`import pseudofeed` is cheap, and every public name can be had."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pseudofeed

HEAVY = ["numpy", "pandas", "scipy", "pydantic", "confluent_kafka", "redis", "psycopg", "typer", "rich", "matplotlib"]


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = f"import sys, pseudofeed; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"


def test_making_a_market_needs_neither_kafka_nor_sql_nor_pandas() -> None:
    heavy = [name for name in HEAVY if name not in ("numpy", "pydantic")]
    program = f"import sys, pseudofeed; pseudofeed.Market.sample(); print([n for n in {heavy} if n in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [*pseudofeed.__all__, "__version__"])
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(pseudofeed, name) is not None
    assert name in dir(pseudofeed)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'markets'"):
        _ = pseudofeed.markets
