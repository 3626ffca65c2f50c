# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""CSV rows of many files at once: bindings to csrc/encode/csv.h."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t

import numpy as np

from pseudofeed._status cimport Status, check
from pseudofeed.encode._messages cimport byte, room_in


cdef extern from "encode/csv.h" namespace "pseudofeed::encode" nogil:
    cppclass CsvSource:
        size_t rows
        const int64_t* times
        int decimals
        const double* first
        const double* second
        size_t width
        size_t begin
        size_t files
        size_t columns
    size_t native_csv_size_limit "pseudofeed::encode::csv_size_limit"(size_t rows, size_t files, size_t columns)
    Status native_encode_csv "pseudofeed::encode::encode_csv"(
        const CsvSource& source, byte* out, size_t capacity, int64_t* ends)


def csv_size_limit(size_t rows, size_t files, size_t columns):
    """The bytes that the rows of so many files, with 2 * columns numbers each, have at most."""
    return native_csv_size_limit(rows, files, columns)


def encode_csv_into(unsigned char[::1] buffer not None, *, const int64_t[::1] times not None, int decimals,
                    const double[:, ::1] first not None, const double[:, ::1] second not None, size_t begin,
                    size_t files, size_t columns):
    """Write the rows of `files` CSV files into `buffer`, file after file. Returns where the rows of each file end,
    int64 (files,).

    times: (T,) int64, ns since 1970. decimals: of the second, 0, 3, 6 or 9. first, second: (T, W) float64; file f
    has in each row the time, then first[c], second[c] for its `columns` columns c, from begin + f * columns on.

    A number has the fewest digits that read back to the same double, and always a decimal point. A number that is not
    finite becomes an empty field. Raises ValueError, with the buffer untouched, if shapes don't match, a time needs
    more decimals, or the buffer is smaller than `csv_size_limit`.
    """
    if not (times.shape[0] == first.shape[0] == second.shape[0]) or first.shape[1] != second.shape[1]:
        raise ValueError(f"times ({times.shape[0]},), first ({first.shape[0]}, {first.shape[1]}) and second "
                         f"({second.shape[0]}, {second.shape[1]}) don't fit each other")
    if columns < 1 or begin + files * columns > <size_t> first.shape[1]:
        raise ValueError(f"{files} files of {columns} columns from {begin} on: there are {first.shape[1]} columns")
    if decimals not in (0, 3, 6, 9):
        raise ValueError(f"decimals is {decimals}; allowed are 0, 3, 6 and 9")
    ends = np.zeros(files, dtype=np.int64)
    if times.shape[0] == 0 or files == 0:
        return ends
    cdef size_t capacity = 0
    cdef byte* out = room_in(buffer, 0, &capacity)
    cdef int64_t[::1] own_ends = ends
    cdef CsvSource source
    source.rows = times.shape[0]
    source.times = &times[0]
    source.decimals = decimals
    source.first = &first[0, 0]
    source.second = &second[0, 0]
    source.width = first.shape[1]
    source.begin = begin
    source.files = files
    source.columns = columns
    cdef Status status
    with nogil:
        status = native_encode_csv(source, out, capacity, &own_ends[0])
    check(status)
    return ends
