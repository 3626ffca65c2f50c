"""`market freeze`: whatever a file says comes back, and the file that is replaced is whole at every moment."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pseudofeed import Market
from pseudofeed.market.freeze import market_file_text
from pseudofeed.toml_file import toml_string

TEXT = """
[market]
name = "m"
[clock]
start = "2026-03-02T14:30:00Z"
calendar = {calendar}
[clock.timetable]
regular_session = "390min"
until = "2026-04-01T00:00:00Z"
weekdays = "Mon Tue Wed Thu Fri"
hours = ["2026-03-02 14:30/21:00"]
source = {source}
[factors]
names = ["a"]
volatilities = [0.16]
[instruments]
count = 3
"""


@given(st.text())
@example("".join(map(chr, range(256))) + "\u2028\ufeff\U0001f34f\\u0041")
def test_every_text_comes_back(text: str) -> None:
    line = toml_string(text)
    assert not any(letter < " " or letter == "\x7f" for letter in line)
    assert tomllib.loads(f"key = {line}") == {"key": text}
    name = f"own {text}"
    market = Market.loads(TEXT.format(calendar=toml_string(name), source=toml_string(text)))
    assert market.specification["clock"]["calendar"] == name
    frozen = Market.loads(market_file_text(market.specification))
    assert frozen.specification == market.specification
    assert frozen.fingerprint == market.fingerprint


def freeze(file: Path, *arguments: str, most_bytes: int = -1, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "pseudofeed", "market", "freeze", str(file), *arguments],
        capture_output=True,
        timeout=60,
        env={**os.environ, **environment},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes)),
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "m.toml"
    file.write_text(TEXT.format(calendar='"🍏"', source='"by hand"'), encoding="utf-8")
    return file


def test_a_market_file_can_be_frozen_in_its_place(file: Path) -> None:
    fingerprint = Market.load(file).fingerprint
    assert freeze(file, "--output", str(file)).returncode == 0
    assert "overnight_variance = 0.0" in file.read_text(encoding="utf-8")
    assert Market.load(file).fingerprint == fingerprint
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_cannot_be_written_to_its_end_leaves_the_old_one(file: Path) -> None:
    before = file.read_bytes()
    run = freeze(file, "--output", str(file), most_bytes=100)
    assert run.returncode == 2
    assert b"Traceback" not in run.stderr
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_standard_output_is_utf_8_whatever_the_locale(file: Path) -> None:
    run = freeze(file, PYTHONIOENCODING="ascii")
    assert run.returncode == 0
    assert Market.loads(run.stdout.decode("utf-8")).fingerprint == Market.load(file).fingerprint
