# What the modules that encode and decode messages share.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pseudofeed._status cimport Status


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

    cdef int _export(self, size_t m, object message) except -1

cdef object int32_array(object values, str name)
cdef byte* room_in(unsigned char[::1] buffer, size_t offset, size_t* capacity) except? NULL
cdef int check_batch(const Status& status, size_t failed) except -1
