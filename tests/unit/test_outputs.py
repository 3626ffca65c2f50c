"""The outputs of one walk, as a process shows them: all of them appear, or none; what can't work is said before the
walk; an error names the path that the user gave."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

MARKET = """
market = { name = "m", seed = 7 }
clock = { start = 2026-03-02T14:30:00Z, step = "1s" }
factors = { names = ["a", "b"], volatilities = [0.16, 0.08] }
instruments = { count = 3 }
"""
ENDLESS = 200_000_000  # steps, minutes of work: what is wrong must be said before

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`pseudofeed simulate market.toml` as a process: exit code, standard output, standard error."""
    (tmp_path / "market.toml").write_text(MARKET)

    def call(*arguments: str, steps: int = 50, limit: int | None = None, **environment: str) -> tuple[int, str, str]:
        def small_files() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        found = subprocess.run(
            [sys.executable, "-m", "pseudofeed", "simulate", "market.toml", "--steps", str(steps), *arguments],
            cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, timeout=60,
            preexec_fn=small_files,
        )  # fmt: skip
        assert "Traceback" not in found.stderr
        return found.returncode, found.stdout, found.stderr

    return call


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) - {"market.toml"}  # noqa: PTH208


@pytest.mark.parametrize(
    ("picture", "environment", "words"),
    [
        ("x.xyz", {}, "pseudofeed: x.xyz: matplotlib has no format 'xyz'; it has "),
        ("same.f", {}, "same.f: matplotlib has no format 'f'"),
        ("x.png", {"MPLBACKEND": "nonsense"}, "nonsense"),
        ("x.pgf", {"PATH": "/nowhere"}, "x.pgf: this picture can't be drawn: 'xelatex' not found"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused_before_the_walk(
    run: Run, tmp_path: Path, picture: str, environment: dict[str, str], words: str
) -> None:
    code, out, err = run("--csv", "c", "--parquet", "p", "--plot", picture, steps=ENDLESS, **environment)
    assert (code, out, names(tmp_path)) == (2, "", set())
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--csv out --parquet out", "out and out are the same place"),
        ("--csv out --parquet ./deep/../out", "deep/../out and out are the same place"),
        ("--parquet out.png --plot out", "out.png and out.png are the same place"),
        ("--csv out --parquet out/p.parquet", "out/p.parquet is in out, which is replaced as a whole"),
        ("--csv out/csv --parquet out", "out/csv is in out"),
        ("--csv c --parquet market.toml", "market.toml is the market file"),
        ("--csv c --plot link.toml", "market.toml is the market file"),
    ],
)
def test_outputs_in_one_place_are_refused_before_the_walk(run: Run, tmp_path: Path, arguments: str, words: str) -> None:
    (tmp_path / "link.toml").symlink_to(tmp_path / "market.toml")
    code, out, err = run(*arguments.split(), steps=ENDLESS)
    assert (code, out) == (2, "")
    assert words in err
    assert {name for name in names(tmp_path) if (tmp_path / name).is_file()} == {"link.toml"}
    assert (tmp_path / "market.toml").read_text() == MARKET


@pytest.mark.parametrize(
    ("option", "steps", "failing"), [("--csv", 6_000, "old/c/factors.csv"), ("--parquet", 20_000, "old/c")]
)
def test_where_one_output_cannot_be_completed_none_appears(
    run: Run, tmp_path: Path, option: str, steps: int, failing: str
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "x.png").write_text("older")
    others = ["--plot", "old/x.png", *(["--parquet", "old/p"] if option == "--csv" else [])]
    (tmp_path / "old" / "p").write_text("older")
    before = {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()}
    # A picture fits into the limit, and a Parquet file of 6,000 steps; the CSV or Parquet file of more does not.
    code, out, err = run(option, "old/c", *others, steps=steps, limit=300_000)
    assert (code, out, err) == (2, "", f"pseudofeed: {failing}: File too large\n")
    assert {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("option", ["--csv", "--parquet", "--plot"])
def test_an_error_names_the_path_that_the_user_gave(run: Run, option: str) -> None:
    # Nothing can be made in /proc, not even by root.
    assert run(option, "/proc/x.png", steps=ENDLESS)[::2] == (2, "pseudofeed: /proc/x.png: No such file or directory\n")
    assert run(option, "market.toml/x.png")[::2] == (2, "pseudofeed: market.toml/x.png: Not a directory\n")


def test_what_is_replaced_keeps_its_permissions(run: Run, tmp_path: Path) -> None:
    arguments = ("--csv", "c", "--parquet", "p", "--plot", "x.png")
    kept = {"c": 0o700, "c/ALFA.csv": 0o640, "p": 0o600, "x.png": 0o604}
    assert run(*arguments)[0] == 0
    for name, mode in kept.items():
        (tmp_path / name).chmod(mode)
    before = stat.S_IMODE((tmp_path / "c" / "BRVO.csv").stat().st_mode)
    assert run(*arguments)[0] == 0
    assert {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in kept} == kept
    assert stat.S_IMODE((tmp_path / "c" / "BRVO.csv").stat().st_mode) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_half_written(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "market.toml").write_text(MARKET)
    command = [sys.executable, "-m", "pseudofeed", "simulate", "market.toml", "--steps", str(ENDLESS)]
    with subprocess.Popen(
        [*command, "--csv", "c", "--parquet", "p", "--plot", "x.png"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)
        if number != signal.SIGINT else signal.signal(number, signal.default_int_handler),
    ) as process:  # fmt: skip
        begun = monotonic()
        while not any("csv" in path.suffix for path in tmp_path.rglob("*")) and monotonic() - begun < 60:
            sleep(0.05)
        assert len(names(tmp_path)) == 3
        process.send_signal(number)
        assert process.communicate(timeout=30)[1] == "pseudofeed: interrupted\n"
    assert process.returncode == 128 + number
    assert names(tmp_path) == set()
