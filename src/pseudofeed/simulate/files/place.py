"""Files and folders that appear in their places when all of them are complete, or not at all.

They are written beside their places, as `.pseudofeed-<8 digits>.partial`, and renamed at the end, when the last of them
has been written and closed. An error or an interrupt removes what was written; after `kill -9` it stays under that name
and may be deleted. Nothing is flushed to the disk, so a power failure can still lose the content of a file that was
just renamed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pseudofeed.errors import SettingsError
from pseudofeed.operate.ending import signals_held

__all__ = ["Places", "naming", "new_file", "new_places"]

# Lists the files of a folder that we wrote: all others belong to somebody else.
_LIST = ".pseudofeed-files"
_NOTE = "# Files that pseudofeed wrote. As long as this folder holds no others, the next run replaces it as a whole.\n"
_LEFT_BY_FILE_MANAGERS = {".DS_Store", "Thumbs.db", "desktop.ini"}


@contextmanager
def new_places() -> Iterator[Places]:
    """Places for files and folders, which are all moved in at the end of the block, or none of them.

    Whoever writes them must have closed them by then. A move can fail only if somebody changes the places meanwhile:
    then a folder is moved back, but a file that was already replaced stays replaced. An OSError that names one of the
    partial files names the path that was asked for instead.
    """
    places = Places()
    try:
        yield places
        places.move_in()
    except OSError as problem:
        places.remove()
        raise places.renamed(problem) from problem.__cause__
    except BaseException:
        places.remove()
        raise


@contextmanager
def new_file(path: str | Path) -> Iterator[Path]:
    """A path to write a file to, which becomes `path` at the end of the block: see `Places.file`."""
    with new_places() as places:
        yield places.file(path)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """An OSError that leaves the block names the path, if it names none."""
    try:
        yield
    except OSError as problem:
        if problem.filename is not None:
            raise
        reason = str(problem) if problem.errno is None else os.strerror(problem.errno)
        raise OSError(problem.errno or errno.EIO, reason, str(path)) from None


@dataclass(slots=True)
class _Output:
    """What is written as `partial` until it becomes `place`, the real path of `path`, which was asked for."""

    path: str | Path
    place: Path
    partial: Path
    is_folder: bool
    replaced: Path | None = None
    """Where the old folder stands until everything is moved in, and the names of its files."""
    old_names: list[str] = field(default_factory=list)


class Places:
    """Files and folders that will be moved in together: see `new_places`."""

    def __init__(self) -> None:
        self._outputs: list[_Output] = []

    def file(self, path: str | Path) -> Path:
        """An empty file to write, which will become `path`, in place of a file that is there; its permissions stay.

        Makes the folders above. Raises SettingsError where `path` is something other than a file, or stands in the way
        of another of these places.
        """
        place = self._free_place(path)
        _check_file(place, path)
        output = self._add(path, place, is_folder=False)
        with _naming_instead(path):
            # As private as the file that it replaces, from its first byte on.
            mode = place.stat().st_mode & 0o7777 if place.exists() else 0o666
            os.close(os.open(output.partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            if place.exists():
                _take_permissions(output.partial, place)
        return output.partial

    def folder(self, path: str | Path) -> Path:
        """An empty folder to write files into, which will become `path`.

        A folder that is there is replaced if it is empty, or holds only files that were written there in this way; its
        permissions and those of its files stay. Raises SettingsError, at once and again before anything is moved in,
        where it holds others, so that files of two runs are never mixed and no file of anybody else is deleted. Raises
        it too where `path` stands in the way of another of these places.
        """
        place = self._free_place(path)
        _files_of_ours(place, path)
        output = self._add(path, place, is_folder=True)
        with _naming_instead(path):
            output.partial.mkdir(0o700 if place.exists() else 0o777)
            if place.exists():
                _take_permissions(output.partial, place)
        return output.partial

    def move_in(self) -> None:
        """Move everything into its place. Folders go first, because they can be moved back."""
        for output in self._outputs:
            if output.is_folder:
                names = sorted(file.name for file in output.partial.iterdir())
                text = _NOTE + "".join(f"{name}\n" for name in names)
                with naming(output.partial / _LIST):
                    (output.partial / _LIST).write_text(text, encoding="utf-8")
        with signals_held():
            for output in self._outputs:
                if output.is_folder:
                    output.old_names = _files_of_ours(output.place, output.path)
                else:
                    _check_file(output.place, output.path)
            moved: list[_Output] = []
            try:
                for output in sorted(self._outputs, key=lambda output: not output.is_folder):
                    moved.append(output)
                    _move_in(output)
            except BaseException:
                for output in moved:
                    _move_back(output)
                raise
            for output in moved:
                if output.replaced is not None:
                    for name in output.old_names:
                        (output.replaced / name).unlink(missing_ok=True)
                    output.replaced.rmdir()  # fails where somebody has put a file into it meanwhile

    def remove(self) -> None:
        """Remove what was not moved in."""
        for output in self._outputs:
            if output.is_folder:
                shutil.rmtree(output.partial, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    output.partial.unlink(missing_ok=True)

    def renamed(self, problem: OSError) -> OSError:
        """The same error, but it names a path as it was asked for, where it names a partial one."""
        if isinstance(problem.filename, str | os.PathLike):
            found = Path(problem.filename)
            for output in self._outputs:
                if found.is_relative_to(output.partial):
                    name = Path(output.path) / found.relative_to(output.partial)
                    return OSError(problem.errno, problem.strerror, str(name))
        return problem

    def _free_place(self, path: str | Path) -> Path:
        """The real path, whose folders above are made. It is not that of another output, nor in it or above it."""
        place = Path(os.path.realpath(path))
        for other in self._outputs:
            if place == other.place:
                raise SettingsError(f"{path} and {other.path} are the same place: name different ones")
            for inner, outer in ((place, other.place), (other.place, place)):
                if inner.is_relative_to(outer):
                    inside, above = (path, other.path) if inner is place else (other.path, path)
                    raise SettingsError(f"{inside} is in {above}, which is replaced as a whole: name another place")
        with _naming_instead(path):
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        return place

    def _add(self, path: str | Path, place: Path, *, is_folder: bool) -> _Output:
        output = _Output(path, place, _beside(place, "partial"), is_folder)
        self._outputs.append(output)
        return output


@contextmanager
def _naming_instead(path: str | Path) -> Iterator[None]:
    """An OSError that leaves the block names the path, whatever it named."""
    try:
        yield
    except OSError as problem:
        raise OSError(problem.errno, problem.strerror, str(path)) from None


def _move_in(output: _Output) -> None:
    place, partial = output.place, output.partial
    if not output.is_folder:
        partial.replace(place)
    elif not output.old_names:
        partial.rename(place)  # an empty folder may be there
    else:
        for name in output.old_names:
            if name != _LIST and (partial / name).exists():
                _take_permissions(partial / name, place / name)
        replaced = _beside(place, "replaced")
        place.rename(replaced)
        output.replaced = replaced
        partial.rename(place)


def _move_back(output: _Output) -> None:
    """Undo `_move_in` of a folder, as far as it went."""
    if output.is_folder:
        if not output.partial.exists():
            output.place.rename(output.partial)
        if output.replaced is not None:
            output.replaced.rename(output.place)
            output.replaced = None


def _take_permissions(new: Path, old: Path) -> None:
    """Give a new file or folder the permissions of the old one, and its owner and group where that is allowed."""
    was, found = old.stat(), new.stat()
    if (was.st_uid, was.st_gid) != (found.st_uid, found.st_gid):
        with contextlib.suppress(OSError):
            os.chown(new, was.st_uid, was.st_gid)
    if was.st_mode != found.st_mode:
        new.chmod(was.st_mode & 0o7777)


def _check_file(place: Path, path: str | Path) -> None:
    if place.exists() and not place.is_file():
        raise SettingsError(f"{path} exists and is not a regular file: name another one")


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
