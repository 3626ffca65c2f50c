# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Helpers of the modules that encode and decode messages."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdlib cimport calloc, free

import numpy as np

from pseudofeed._status cimport Status, check
from pseudofeed.errors import MalformedMessage


# As in cpython.tuple and cpython.bytes, but with borrowed references: no reference is counted for each message.
cdef extern from "Python.h":
    PyObject* PyTuple_GetItem(object batch, Py_ssize_t at) except NULL
    bint PyBytes_CheckExact(PyObject* message)
    int PyBytes_AsStringAndSize(PyObject* message, char** data, Py_ssize_t* size) except -1


cdef class Messages:
    """The bytes of a batch of messages, kept as long as this object exists.

    `bytes` objects are kept alive by the batch, and are immutable. Other objects are exported as buffers.
    """

    def __cinit__(self, messages):
        # A tuple: exporting a buffer may run foreign code, which could change the length of a list.
        self.batch = tuple(messages)
        self.count = len(self.batch)
        self.exported = 0
        # One more than needed: calloc(0) may return NULL.
        self.messages = <Bytes*> calloc(self.count + 1, sizeof(Bytes))
        if self.messages is NULL:
            raise MemoryError(f"no memory for {self.count} messages")
        cdef size_t m
        cdef PyObject* message
        cdef char* data
        cdef Py_ssize_t size
        for m in range(self.count):
            message = PyTuple_GetItem(self.batch, <Py_ssize_t> m)
            if PyBytes_CheckExact(message):
                PyBytes_AsStringAndSize(message, &data, &size)
                self.messages[m].data = <const byte*> data
                self.messages[m].size = <size_t> size
            else:
                self._export(m, <object> message)

    cdef int _export(self, size_t m, object message) except -1:
        """Message m by the buffer protocol. The first one allocates memory for all that follow."""
        if self.buffers is NULL:
            self.buffers = <Py_buffer*> calloc(self.count - m, sizeof(Py_buffer))
            if self.buffers is NULL:
                raise MemoryError(f"no memory for the buffers of {self.count - m} messages")
        cdef Py_buffer* buffer = &self.buffers[self.exported]
        PyObject_GetBuffer(message, buffer, PyBUF_SIMPLE)
        self.exported += 1
        self.messages[m].data = <const byte*> buffer.buf
        self.messages[m].size = <size_t> buffer.len
        return 0

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.exported):
            PyBuffer_Release(&self.buffers[i])
        free(self.buffers)
        free(self.messages)


cdef object int32_array(object values, str name):
    """`values` as a C-contiguous int32 array (n,). Values out of range raise an error instead of wrapping around."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be a one-dimensional array of integers, not {array.dtype} {array.shape}")
    if array.dtype != np.int32 and array.size and (array.min() < -(1 << 31) or array.max() >= 1 << 31):
        raise ValueError(f"{name} must fit 32 bits, found {array.min()} .. {array.max()}")
    return np.ascontiguousarray(array, dtype=np.int32)


cdef byte* room_in(unsigned char[::1] buffer, size_t offset, size_t* capacity) except? NULL:
    """Where to write, and how many bytes fit."""
    if offset > <size_t> buffer.shape[0]:
        raise ValueError(f"offset {offset} is beyond the buffer of {buffer.shape[0]} bytes")
    capacity[0] = buffer.shape[0] - offset
    return <byte*> &buffer[offset] if capacity[0] else NULL


cdef int check_batch(const Status& status, size_t failed) except -1:
    """Like `check`, and a MalformedMessage gets the index of its message."""
    try:
        return check(status)
    except MalformedMessage as error:
        error.index = failed
        raise
