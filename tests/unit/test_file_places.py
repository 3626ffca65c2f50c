"""Files and folders are complete in their place, or not there; what others put there is never deleted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pseudofeed.errors import SettingsError, SimulationError
from pseudofeed.market import Market
from pseudofeed.simulate.files.place import Places, new_file, new_places

MARKET = """
market = { name = "x", seed = 1 }
clock = { start = 2026-03-02T14:30:00Z }
factors = { names = ["f"], volatilities = [0.1] }
instruments = { count = 50 }
"""


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    with new_places() as places:
        yield places.folder(path)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): file.read_text()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != ".pseudofeed-files"
    }


def test_a_file_replaces_another_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deeper" / "a.txt"
    with new_file(target) as partial:
        partial.write_text("one")
        assert partial.parent == target.parent
        assert not target.exists()
    with new_file(target) as partial:
        partial.write_text("two")
        assert target.read_text() == "one"
    assert contents(tmp_path) == {"deeper/a.txt": "two"}


@pytest.mark.parametrize("problem", [SimulationError, KeyboardInterrupt, OSError])
def test_after_an_error_everything_is_as_before(tmp_path: Path, problem: type[BaseException]) -> None:
    with new_file(tmp_path / "a.txt") as partial:
        partial.write_text("one")
    with new_folder(tmp_path / "out") as folder:
        (folder / "a.csv").write_text("one")
    before = contents(tmp_path)

    def fail(path: Path) -> None:
        path.write_text("tw")
        raise problem

    with pytest.raises(problem), new_file(tmp_path / "a.txt") as partial:
        fail(partial)
    for name in ("out", "new"):
        with pytest.raises(problem), new_folder(tmp_path / name) as folder:
            fail(folder / "b.csv")
    assert contents(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_a_file_behind_a_link_is_replaced_there(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "a.txt")
    with new_file(tmp_path / "link") as partial:
        partial.write_text("one")
    assert (tmp_path / "far" / "a.txt").read_text() == "one"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("path", ["/dev/null", "."])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="exists and is not a regular file"), new_file(path):
        pass


def test_a_folder_of_ours_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()  # an empty one may be there
    for names in (["a.csv", "b.csv"], ["b.csv"], ["c.csv"]):
        with new_folder(out) as folder:
            for name in names:
                (folder / name).write_text(name)
        assert list(contents(out)) == names
        (out / ".DS_Store").touch()  # macOS leaves it where somebody has looked
        assert [file.name for file in tmp_path.iterdir()] == ["out"]
        (out / ".DS_Store").unlink()


@pytest.mark.parametrize("theirs", ["notes.csv", ".hidden", "a.csv/inner"])
def test_files_of_others_are_refused_and_kept(tmp_path: Path, theirs: str) -> None:
    out = tmp_path / "out"
    with new_folder(out) as folder:
        (folder / "a.csv").write_text("ours")
    if "/" in theirs:  # a folder in the place of a file of ours
        (out / "a.csv").unlink()
        (out / "a.csv").mkdir()
    (out / theirs).write_text("theirs")
    before = contents(tmp_path)
    message = f"out holds {theirs.split('/')[0]}, which this command did not write"
    with pytest.raises(SettingsError, match=message), new_folder(out):
        pytest.fail("it must be said before anything is done")
    assert contents(tmp_path) == before


def test_a_folder_that_we_did_not_write_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.csv", "b.csv", "c.csv", "factors.csv"):
        (out / name).touch()
    with pytest.raises(SettingsError, match=r"out holds a\.csv, b\.csv, c\.csv and 1 more"), new_folder(out):
        pass
    with pytest.raises(SettingsError, match="exists and is not a folder"), new_folder(out / "a.csv"):
        pass


def test_a_file_that_comes_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def meanwhile() -> None:
        out.mkdir()
        (out / "mine.txt").write_text("theirs")

    with pytest.raises(SettingsError, match=r"out holds mine\.txt"), new_folder(out):
        meanwhile()
    assert contents(tmp_path) == {"out/mine.txt": "theirs"}


def test_the_current_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    with pytest.raises(SettingsError, match="the current folder"), new_folder("."):
        pass
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(SettingsError, match="out is a mount point"), new_folder(tmp_path / "out"):
        pass


def test_a_folder_that_cannot_be_moved_in_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with new_folder(out) as folder:
        (folder / "a.csv").write_text("one")
    before, rename = contents(tmp_path), Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="No space left"), new_folder(out) as folder:
        (folder / "b.csv").write_text("two")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("number", "left"), [(signal.SIGINT, 0), (signal.SIGKILL, 1)])
@pytest.mark.parametrize("target", ["csv", "parquet"])
def test_a_run_that_is_ended_leaves_nothing_in_its_place(
    tmp_path: Path, target: str, number: signal.Signals, left: int
) -> None:
    (tmp_path / "market.toml").write_text(MARKET)
    command = [sys.executable, "-m", "pseudofeed", "simulate", "market.toml", "--steps", "100000000"]
    # A shell may have started the tests with SIGINT ignored.
    with subprocess.Popen(
        [*command, f"--{target}", "out"], cwd=tmp_path, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        begun = time.monotonic()
        while not written(tmp_path) and time.monotonic() - begun < 60:
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(30)
    names = [name for name in os.listdir(tmp_path) if name != "market.toml"]  # noqa: PTH208
    assert len(names) == left
    assert all(name.startswith(".pseudofeed-") and name.endswith(".partial") for name in names)


def written(folder: Path) -> bool:
    """Whether ticks are in a partial file."""
    return any(file.stat().st_size > 1000 for file in folder.rglob("*") if ".partial" in str(file))


@pytest.mark.parametrize("target", ["csv", "parquet"])
def test_a_run_that_fails_leaves_nothing_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    paths = Market.loads(MARKET).simulate(10)
    write = paths.to_csv if target == "csv" else paths.to_parquet
    write(tmp_path / "out")
    (kept,) = (file.read_bytes() for file in tmp_path.rglob("out" if target == "parquet" else "ALFA.csv"))
    monkeypatch.setattr("pseudofeed.simulate.paths._WRITTEN_AT_ONCE", 100)
    monkeypatch.setattr("pseudofeed.simulate.paths.TickBlock.part", failing_at(4))
    with pytest.raises(SimulationError):
        write(tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    (found,) = (file.read_bytes() for file in tmp_path.rglob("out" if target == "parquet" else "ALFA.csv"))
    assert found == kept


def failing_at(step: int):  # type: ignore[no-untyped-def]
    from pseudofeed.simulate.paths import TickBlock

    part = TickBlock.part

    def failing(block: TickBlock, begin: int, end: int) -> TickBlock:
        if begin >= step:
            raise SimulationError(f"step {begin}")
        return part(block, begin, end)

    return failing


def write_files(places: Places, *paths: Path) -> None:
    for path in paths:
        (path if path.parent.suffix == ".partial" else places.file(path)).write_text("new")


def test_an_interrupt_while_places_are_moved_in_waits_until_all_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, before = Path.replace, signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(path: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt), new_places() as places:
            write_files(places, tmp_path / "a", tmp_path / "b")
    finally:
        signal.signal(signal.SIGINT, before)
    assert contents(tmp_path) == {"a": "new", "b": "new"}


@pytest.mark.parametrize("older", [True, False])
def test_a_folder_is_moved_back_where_a_file_beside_it_cannot_be_moved_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    if older:
        with new_folder(tmp_path / "out") as folder:
            (folder / "a.csv").write_text("one")
    before = contents(tmp_path)

    def failing(_path: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="No space left"), new_places() as places:
        write_files(places, places.folder(tmp_path / "out") / "b.csv", tmp_path / "b")
    assert contents(tmp_path) == before
    assert [file.name for file in tmp_path.iterdir()] == (["out"] if older else [])
