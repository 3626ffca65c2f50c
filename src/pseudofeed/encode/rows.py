"""Records as rows of PostgreSQL's binary COPY, for the table that their kind declares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode._rows import copy_rows
from pseudofeed.records import Columns

__all__ = ["encode_copy_rows"]


def encode_copy_rows(columns: Columns, ids: NDArray[np.integer]) -> bytes:
    """The rows as PostgreSQL's binary COPY, header and trailer included: the columns are `kind.row_columns`.

    columns: of one or more partitions. ids: (N,) integers, the store's id of each number. Rows are grouped by number,
    ascending, and within a number keep the order of the columns: if times ascend within each number, that is
    (number, time). Raises ValueError naming the row if a number has no id, or if the time of a dense kind is not a
    whole number of microseconds (PostgreSQL's limit).
    Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
    """
    own = [(column.encoding, columns[column.array]) for column in columns.kind.row_columns]
    return copy_rows(columns.number, ids, own)
