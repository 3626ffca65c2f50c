"""Creates files and folders that appear when they are complete, or not at all.

They are written beside their final path, as `.pseudofeed-<8 digits>.partial`, and renamed at the end. An error or
Ctrl-C removes what was written; after `kill -9` it stays under that name and may be deleted. A folder that is replaced
is first renamed to `.pseudofeed-<8 digits>.replaced`: after `kill -9` between the two renames, the earlier run's files
are there. Nothing is flushed to the disk, so a power failure can still lose the content of a file that was just
renamed.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pseudofeed.errors import SettingsError

__all__ = ["new_file", "new_folder"]

# Lists the files of a folder that we wrote: all others belong to somebody else.
_LIST = ".pseudofeed-files"
_NOTE = "# Files that pseudofeed wrote. As long as this folder holds no others, the next run replaces it as a whole.\n"
_LEFT_BY_FILE_MANAGERS = {".DS_Store", "Thumbs.db", "desktop.ini"}


@contextmanager
def new_file(path: str | Path) -> Iterator[Path]:
    """A path to write a file to, which becomes `path` at the end of the block, in place of a file that is there.

    Creates parent folders. Raises SettingsError if `path` exists and is not a file.
    """
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        raise SettingsError(f"{path} exists and is not a regular file: name another one")
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(place, "partial")
    try:
        yield partial
        partial.replace(place)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """An empty folder to write files into, which becomes `path` at the end of the block.

    An existing folder is replaced if it is empty, or has only files that were written in this way. If it has others,
    SettingsError is raised, before the block and again before the folder is moved in. So files of two runs are never
    mixed, and no other files are deleted.
    """
    place = Path(os.path.realpath(path))
    _files_of_ours(place, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(place, "partial")
    partial.mkdir()
    try:
        yield partial
        names = sorted(file.name for file in partial.iterdir())
        (partial / _LIST).write_text(_NOTE + "".join(f"{name}\n" for name in names), encoding="utf-8")
        _move_in(partial, place, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _move_in(partial: Path, place: Path, path: str | Path) -> None:
    names = _files_of_ours(place, path)
    if not names:
        partial.rename(place)  # an empty folder may be there
        return
    old = _beside(place, "replaced")
    try:
        place.rename(old)
        partial.rename(place)
    except BaseException:
        if old.exists() and not place.exists():
            old.rename(place)
        raise
    for name in names:
        (old / name).unlink(missing_ok=True)
    old.rmdir()  # fails if another program has put a file into it meanwhile


def _beside(place: Path, ending: str) -> Path:
    return place.with_name(f".pseudofeed-{secrets.token_hex(4)}.{ending}")


def _files_of_ours(place: Path, path: str | Path) -> list[str]:
    """The names in a folder that may be replaced; none if it is empty or does not exist. Raises SettingsError if it may
    not be replaced."""
    if not os.path.lexists(place):
        return []
    if not place.is_dir():
        raise SettingsError(f"{path} exists and is not a folder: name another one")
    if place.is_mount() or Path.cwd().is_relative_to(place):
        what = "a mount point" if place.is_mount() else "the current folder, or above it"
        raise SettingsError(f"{path} is {what}, and can't be replaced as a whole: name a folder in it")
    with os.scandir(place) as entries:
        found = {entry.name: entry.is_file() for entry in entries}
    ours = _LEFT_BY_FILE_MANAGERS.copy()
    if _LIST in found:
        ours |= {_LIST, *(place / _LIST).read_text(encoding="utf-8", errors="replace").splitlines()}
    others = sorted(name for name, is_file in found.items() if name not in ours or not is_file)
    if others:
        more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
        raise SettingsError(
            f"{path} holds {', '.join(others[:3])}{more}, which this command did not write: "
            "name another folder, or move them away"
        )
    return list(found)
