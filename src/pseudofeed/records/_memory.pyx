# cython: language_level=3
"""Memory for arrays that are created again and again: their pages are reused."""

from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdlib cimport free, malloc

import numpy as np

cdef size_t ALIGNMENT = 64


cdef class Memory:
    """Bytes that count the buffers that refer to them. A NumPy array keeps its buffer as long as it exists."""

    cdef char* _data
    cdef readonly size_t size
    cdef readonly Py_ssize_t views

    def __cinit__(self, size_t size):
        self._data = <char*> malloc(size)
        if self._data is NULL:
            raise MemoryError(f"no memory for columns of {size} bytes")
        self.size = size
        self.views = 0

    def __dealloc__(self):
        free(self._data)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self._data, <Py_ssize_t> self.size, 0, flags)
        self.views += 1

    def __releasebuffer__(self, Py_buffer* buffer):
        self.views -= 1


cdef class ColumnMemory:
    """Gives out columns in memory that is no longer in use, or else in new memory.

    Safe by construction: as long as an array of `arrays`, or a view of one, exists, its memory is not given out again.
    So code that keeps columns costs memory, and never sees the values of others in them. For one thread at a time.
    """

    cdef list _memories

    def __init__(self):
        self._memories = []

    def arrays(self, size_t length, dtypes):
        """A tuple of writable one-dimensional arrays of that length, one for each of `dtypes`. Values are not set."""
        types = [np.dtype(dtype) for dtype in dtypes]
        sizes = [(length * dtype.itemsize + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT for dtype in types]
        memory = self._memory(sum(sizes))
        found = []
        offset = 0
        for dtype, size in zip(types, sizes):
            found.append(np.frombuffer(memory, dtype, length, offset))
            offset += size
        return tuple(found)

    @property
    def size(self):
        """Bytes of all memory, in use or not."""
        return sum(memory.size for memory in self._memories)

    cdef Memory _memory(self, size_t size):
        idle = [memory for memory in self._memories if memory.views == 0]
        best = min((memory for memory in idle if memory.size >= size), key=lambda memory: memory.size, default=None)
        if best is not None:
            return best
        # All idle ones are too small. Allocate a little more, so that slightly larger batches fit, too.
        self._memories = [memory for memory in self._memories if memory.views > 0]
        best = Memory(size + size // 4 + ALIGNMENT)
        self._memories.append(best)
        return best
