# The bytes of a batch of messages. Other modules: `from pseudofeed.encode._messages cimport Bytes, Messages, Prefix, byte`.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "<cstddef>" namespace "std" nogil:
    ctypedef unsigned char byte

cdef extern from "encode/message.h" namespace "pseudofeed::encode" nogil:
    size_t kMaximumEntries
    cppclass Bytes:
        const byte* data
        size_t size
    cppclass Prefix:
        uint64_t fingerprint
        int64_t sequence
        uint32_t partition


cdef class Messages:
    cdef tuple batch
    cdef Py_buffer* buffers
    cdef Bytes* messages
    cdef size_t count
    cdef size_t exported

cdef object int32_array(object values, str name)
