# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""COPY rows: bindings to csrc/encode/copy_rows.h. rows.py chooses the columns of a kind."""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t

import numpy as np

from pseudofeed._status cimport Status, check
from pseudofeed.encode._messages cimport byte, int32_array


cdef extern from "encode/copy_rows.h" namespace "pseudofeed::encode" nogil:
    size_t kMaximumCopyColumns
    cdef enum class CopyType(int):
        time
        microseconds
        nanoseconds
        id
        f8
        i8
        i4
        u4
        u2
        u1
        i1
        text
    cppclass CopyColumn:
        CopyType type
        const byte* data
        ptrdiff_t stride
        size_t width
    cppclass CopyRowsSource:
        size_t rows
        const int32_t* number
        const int32_t* ids
        size_t numbers
        const CopyColumn* columns
        size_t column_count
    size_t copy_rows_size(const CopyRowsSource& source)
    Status native_encode_copy_rows "pseudofeed::encode::encode_copy_rows"(
        const CopyRowsSource& source, byte* out, size_t capacity, size_t* written)


# Name of an encoding -> the native type, and the dtype that its values must have (None: bytes of any width).
_TYPES = {
    "time": (<int> CopyType.time, np.dtype("<i8")),
    "microseconds": (<int> CopyType.microseconds, np.dtype("<i8")),
    "nanoseconds": (<int> CopyType.nanoseconds, np.dtype("<i8")),
    "id": (<int> CopyType.id, np.dtype("<i4")),
    "f8": (<int> CopyType.f8, np.dtype("<f8")),
    "i8": (<int> CopyType.i8, np.dtype("<i8")),
    "i4": (<int> CopyType.i4, np.dtype("<i4")),
    "u4": (<int> CopyType.u4, np.dtype("<u4")),
    "u2": (<int> CopyType.u2, np.dtype("<u2")),
    "u1": (<int> CopyType.u1, np.dtype("|u1")),
    "i1": (<int> CopyType.i1, np.dtype("|i1")),
    "text": (<int> CopyType.text, None),
}


def copy_rows(numbers, ids, columns):
    """PostgreSQL's binary COPY of rows: header, rows, trailer, as bytes.

    numbers: (n,) int32, the member of each row. ids: the store's id of each number. columns: (encoding, (n,) array) in
    the table's order, encodings as in _TYPES. Raises ValueError, see `encode_copy_rows`.
    """
    cdef const int32_t[::1] number = np.ascontiguousarray(numbers)
    cdef const int32_t[::1] known = int32_array(ids, "ids")
    cdef CopyColumn[32] native
    if len(columns) > 32:
        raise ValueError(f"a row has at most 32 columns, not {len(columns)}")
    cdef CopyRowsSource source
    source.rows = number.shape[0]
    source.numbers = known.shape[0]
    source.number = &number[0] if source.rows else NULL
    source.ids = &known[0] if source.numbers else NULL
    source.columns = native
    source.column_count = len(columns)
    cdef size_t c = 0
    for encoding, array in columns:
        code, dtype = _TYPES[encoding]
        if array.ndim != 1 or array.shape[0] != number.shape[0] or (
                array.dtype.kind != "S" if dtype is None else array.dtype != dtype):
            raise ValueError(f"a column of {encoding} has {array.dtype} {array.shape} for {number.shape[0]} rows")
        native[c].type = <CopyType> (<int> code)
        # `columns` keeps the array alive; its memory is only read.
        native[c].data = <const byte*> <size_t> array.__array_interface__["data"][0]
        native[c].stride = array.strides[0]
        native[c].width = array.itemsize
        c += 1
    cdef size_t size = copy_rows_size(source)
    # No other code has these bytes yet, so they may be written: no second copy, no zeroing.
    rows = PyBytes_FromStringAndSize(NULL, <Py_ssize_t> size)
    cdef byte* out = <byte*> PyBytes_AsString(rows)
    cdef size_t written = 0
    cdef Status status
    with nogil:
        status = native_encode_copy_rows(source, out, size, &written)
    check(status)
    return rows if written == size else rows[:written]
