# The native core's status, and its one translation to exceptions.
# Other modules: `from pseudofeed._status cimport Status, check`.

from libcpp cimport bool


cdef extern from "status.h" namespace "pseudofeed" nogil:
    cdef enum class Code(int):
        ok
        invalid_argument
        not_finite
        malformed
        unavailable
        publish_failed
        out_of_memory
        bad_setting
        interrupted

    cdef cppclass Status:
        Code code
        char message[256]
        bint ok()

cdef int check(const Status& status) except -1
cdef bool must_stop(void* context) noexcept with gil
