"""The Arrow schema of a kind's rows: one for the store, the simulation and files."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from pseudofeed.errors import LibraryError
from pseudofeed.records.kind import Key, Kind, Shape

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_library", "arrow_schema"]


def arrow_library(name: str = "pyarrow", *, needed_for: str) -> ModuleType:
    """A module of pyarrow or ADBC. Raises LibraryError, which names what needs it and the package to install."""
    try:
        return import_module(name)
    except ImportError:
        raise LibraryError(f"{needed_for} needs {name.split('.')[0]}: pip install 'pseudofeed[arrow]'") from None
    except Exception as problem:  # such as one that was built for another version of numpy
        raise LibraryError(
            f"{needed_for} needs {name.split('.')[0]}, which can't be imported: {type(problem).__name__}: "
            f"{str(problem)[:200]}; install it again: pip install --force-reinstall 'pseudofeed[arrow]'"
        ) from None


def arrow_schema(kind: Kind, grain_ns: int, *, identified: bool = True) -> pa.Schema:
    """Time and fields of a kind's rows; if `identified`, symbol (or factor, as a dictionary) and sequence, too.

    grain_ns: `Clock.grain_ns` of the market. If it is a whole number of microseconds, the time of a dense kind is
    timestamp[us, UTC], which Spark and PostgreSQL can read, and otherwise timestamp[ns, UTC], which they can't. There
    are no nulls. Raises LibraryError without pyarrow.
    """
    library = arrow_library(needed_for="Arrow")
    unit = "us" if kind.shape is Shape.DENSE and grain_ns % 1000 == 0 else "ns"
    columns: list[tuple[str, Any]] = [("time", library.timestamp(unit, tz="UTC"))]
    if identified:
        name = "symbol" if kind.key is Key.INSTRUMENT else kind.key.value
        columns += [(name, library.dictionary(library.int32(), library.string())), ("sequence", library.int64())]
        if kind.shape is Shape.EVENTS:
            columns.append(("event", library.uint16()))
    for field in kind.fields:
        dtype = np.dtype(field.type.numpy)
        columns.append((field.name, library.string() if dtype.kind == "S" else library.from_numpy_dtype(dtype)))
    return library.schema([library.field(name, type_, nullable=False) for name, type_ in columns])
