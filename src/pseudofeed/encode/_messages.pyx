# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""What the modules that encode and decode messages share."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AsString, PyBytes_CheckExact, PyBytes_Size
from libc.stddef cimport size_t
from libc.stdlib cimport calloc, free

import numpy as np

from pseudofeed._status cimport Status, check
from pseudofeed.errors import MalformedMessage


cdef class Messages:
    """The bytes of a batch of messages, held until it goes.

    The batch keeps `bytes` alive, and nobody changes those; whatever else they are is exported as buffers.
    """

    def __cinit__(self, messages):
        # A tuple: exporting a buffer may run other people's code, which could change a list's length meanwhile.
        self.batch = tuple(messages)
        self.count = len(self.batch)
        self.exported = 0
        cdef size_t others = 0
        for message in self.batch:
            if not PyBytes_CheckExact(message):
                others += 1
        # One more than needed: calloc(0) may answer NULL.
        self.buffers = <Py_buffer*> calloc(others + 1, sizeof(Py_buffer))
        self.messages = <Bytes*> calloc(self.count + 1, sizeof(Bytes))
        if self.buffers is NULL or self.messages is NULL:
            raise MemoryError(f"no memory for the buffers of {self.count} messages")
        cdef size_t m = 0
        cdef Py_buffer* buffer
        for message in self.batch:
            if PyBytes_CheckExact(message):
                self.messages[m].data = <const byte*> PyBytes_AsString(message)
                self.messages[m].size = <size_t> PyBytes_Size(message)
            else:
                buffer = &self.buffers[self.exported]
                PyObject_GetBuffer(message, buffer, PyBUF_SIMPLE)
                self.exported += 1
                self.messages[m].data = <const byte*> buffer.buf
                self.messages[m].size = <size_t> buffer.len
            m += 1

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.exported):
            PyBuffer_Release(&self.buffers[i])
        free(self.buffers)
        free(self.messages)


cdef object int32_array(object values, str name):
    """`values` as a C-contiguous int32 array (n,), checked instead of wrapped."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be a one-dimensional array of integers, not {array.dtype} {array.shape}")
    if array.dtype != np.int32 and array.size and (array.min() < -(1 << 31) or array.max() >= 1 << 31):
        raise ValueError(f"{name} must fit 32 bits, found {array.min()} .. {array.max()}")
    return np.ascontiguousarray(array, dtype=np.int32)


cdef byte* room_in(unsigned char[::1] buffer, size_t offset, size_t* capacity) except? NULL:
    """Where to write, and how much there is room for."""
    if offset > <size_t> buffer.shape[0]:
        raise ValueError(f"offset {offset} is beyond the buffer of {buffer.shape[0]} bytes")
    capacity[0] = buffer.shape[0] - offset
    return <byte*> &buffer[offset] if capacity[0] else NULL


cdef int check_batch(const Status& status, size_t failed) except -1:
    """As `check`; a MalformedMessage gets the index of its message."""
    try:
        return check(status)
    except MalformedMessage as error:
        error.index = failed
        raise
