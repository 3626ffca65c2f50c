"""What commands print: data as it is, times in one form, and streams that fail end them without a traceback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pseudofeed.commands.console import PlainConsole
from pseudofeed.commands.display import verify_table
from pseudofeed.commands.results import print_frame
from pseudofeed.verify.report import StageTally, VerifyReport

MARKET = """
market = { name = "m", seed = 7 }
clock = { start = 2026-03-02T14:30:00Z, step = "1s" }
factors = { names = ["a"], volatilities = [0.16] }
"""
COMMAND = [sys.executable, "-m", "pseudofeed"]


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f'[[instruments.list]]\nsymbol = "{symbol}"\n' for symbol in (":apple:", "A:x:B", "C"))
    Path("market.toml").write_text(MARKET + rows)
    return "market.toml"


def shell(script: str, **environment: str) -> tuple[int, str, str]:
    """Run a script in which $PF is the command: exit code, standard output, standard error."""
    found = subprocess.run(
        ["bash", "-c", script], env=os.environ | environment | {"PF": " ".join(COMMAND)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        (["2026-03-02T14:30:01Z", "2026-03-02T14:30:02Z"], ["2026-03-02T14:30:01Z", "2026-03-02T14:30:02Z"]),
        (["2026-03-02T14:30:00.5Z", "2026-03-02T14:30:01Z"], ["2026-03-02T14:30:00.500Z", "2026-03-02T14:30:01.000Z"]),
        (["2026-03-02T14:30:00.00025Z", "1969-12-31T23:59:59Z"], [".000250Z", ":59.000000Z"]),
        (["2026-03-02T14:30:00.000000001Z", "2026-03-02T14:30:01Z"], ["00.000000001Z", "01.000000000Z"]),
        ([], []),
    ],
)
def test_times_of_a_result_have_one_form(
    capsys: pytest.CaptureFixture[str], times: list[str], shown: list[str]
) -> None:
    stamps = pd.to_datetime(times, utc=True, format="ISO8601")
    print_frame(pd.DataFrame({"time": stamps, "price": [1.0] * len(times)}), True, "quotes")
    found = [row["time"] for row in json.loads(capsys.readouterr().out)["quotes"]]
    assert all(text.endswith(ending) for text, ending in zip(found, shown, strict=True))
    assert list(pd.to_datetime(found, utc=True)) == list(stamps)


def test_symbols_and_paths_are_printed_as_they_are(market: str) -> None:
    code, out, err = shell(f"$PF simulate {market} --steps 3")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["symbol", ":apple:", "A:x:B", "C"]
    assert shell(f"$PF simulate {market} --steps 3 --csv 'a[/b]:apple:c'") == (0, "9 ticks in a[/b]:apple:c\n", "")
    code, out, err = shell("$PF simulate 'a[/b]:apple:'")
    assert (code, out) == (2, "")
    assert err.startswith("pseudofeed: a[/b]:apple:: ")


def test_a_table_of_data_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_frame(pd.DataFrame({"symbol": [":apple:", "[b]"], "price": [1.5, 2.5]}), False, "quotes")
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [[":apple:", "1.5"], ["[b]", "2.5"]]


def test_progress_names_a_file_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from pseudofeed.simulate import progress

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress.watched("writing a[/b]:apple:c", 10) as advance:
        advance(10)
    assert "writing a[/b]:apple:c" in terminal.getvalue()


def test_a_name_that_the_terminal_cannot_show_is_no_error(market: str) -> None:
    assert shell(f"$PF simulate {market} --steps 3 --csv é", PYTHONIOENCODING="ascii") == (0, "9 ticks in \\xe9\n", "")


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("option", ["", "--json", "--csv out"])
def test_a_closed_stream_is_like_dev_null(market: str, streams: str, option: str) -> None:
    code, _, err = shell(f"$PF simulate {market} --steps 3 {option} {streams}")
    assert (code, err) == (0, "")
    assert shell(f"$PF simulate {market} --bogus {streams}")[0] == 2


@pytest.mark.parametrize("option", ["", "--json", "--csv out"])
def test_a_full_disk_behind_standard_output_is_named(market: str, option: str) -> None:
    found = shell(f"$PF simulate {market} --steps 3 {option} >/dev/full")
    assert found == (2, "", "pseudofeed: standard output: No space left on device\n")


@pytest.mark.parametrize("arguments", ["simulate {} --steps 3", "simulate {} --steps 3 --json", "simulate --help"])
def test_a_closed_pipe_is_141(market: str, arguments: str) -> None:
    script = f"$PF {arguments.format(market)} | (exec 0<&-; sleep 2); echo ${{PIPESTATUS[0]}}"
    assert shell(script) == (0, "141\n", "")


INTERRUPTED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with SIGINT ignored
sys.meta_path.insert(0, Finder())
sys.argv = ["pseudofeed", "simulate", "market.toml", "--steps", "200000000"]
from pseudofeed.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "module", ["pseudofeed.cli", "typer", "rich.console", "numpy", "pydantic", "pseudofeed.simulate.export"]
)
def test_ctrl_c_while_modules_are_imported_is_130(market: str, module: str) -> None:
    assert market
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(module=module)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.communicate(timeout=60)[1] == "pseudofeed: interrupted\n"
    assert process.returncode == 130


def test_the_table_of_verify_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    tally = StageTally(ticks=1_050_000, expected=1_050_000)
    PlainConsole(width=80).print(verify_table(VerifyReport("x", 10_000, {"postgres_factors": tally})))
    heading, row = capsys.readouterr().out.splitlines()[:2]
    assert heading.split() == ["stage", "ticks", "expected", "missing", "repeated", "altered", "unexpected"]
    assert row.split() == ["postgres", "factors", "1,050,000", "1,050,000", "0", "0", "0", "0"]
