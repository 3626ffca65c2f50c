# cython: language_level=3
# distutils: language=c++
"""The border to csrc/publish: the library table, the producer, the mock cluster.

Arguments are checked here; each native call runs with the GIL released and returns at least every 100 ms, so that
Python's signal handlers run while a producer waits for room in its queue.
"""

from libc.stdint cimport int16_t, int32_t
from libcpp.memory cimport unique_ptr
from libcpp.vector cimport vector

from pseudofeed._status cimport Status, check

from pseudofeed.publish._library import load_librdkafka


cdef extern from "publish/librdkafka.h" namespace "pseudofeed::publish" nogil:
    cdef cppclass Library:
        const char* (*version_str)()

    Status c_load_library "pseudofeed::publish::load_library"(const char* path, const Library** library)


cdef extern from "publish/mock_cluster.h" namespace "pseudofeed::publish" nogil:
    cdef cppclass CMockCluster "pseudofeed::publish::MockCluster":
        @staticmethod
        Status start(const Library& library, int brokers, unique_ptr[CMockCluster]* cluster)
        const char* bootstrap_servers()
        Status create_topic(const char* name, int partitions)
        void fail_requests(int16_t api, const int* errors, size_t count)
        Status set_broker(int32_t broker, bint up)


cdef const Library* _library = NULL


def load_library(str path):
    """Load librdkafka from `path` unless the process has it already; return its version. LibraryError if it can't be."""
    global _library
    encoded = path.encode()
    check(c_load_library(encoded, &_library))
    return _library.version_str().decode()


cdef const Library* library() except NULL:
    if _library == NULL:
        load_librdkafka()
    return _library


cdef class MockCluster:
    """librdkafka's mock Kafka cluster: `brokers` brokers inside this process, on ports of 127.0.0.1.

    A context manager; leaving it, or `close`, ends the brokers. It keeps at most 5 MiB a partition and drops older
    messages silently, and it can't judge transactions: for the demo and for errors on demand, never for proof of a
    guarantee. Source: rdkafka_mock.h.
    """

    cdef unique_ptr[CMockCluster] _cluster

    def __init__(self, int brokers=1):
        if brokers < 1:
            raise ValueError(f"brokers is {brokers}; a cluster has at least 1")
        cdef const Library* table = library()
        cdef Status status
        with nogil:
            status = CMockCluster.start(table[0], brokers, &self._cluster)
        check(status)

    cdef CMockCluster* _open(self) except NULL:
        if self._cluster.get() == NULL:
            raise ValueError("the mock cluster is closed")
        return self._cluster.get()

    @property
    def bootstrap_servers(self):
        """host:port list for `bootstrap.servers`."""
        return self._open().bootstrap_servers().decode()

    def create_topic(self, str name, int partitions):
        """Create a topic; the mock has no CreateTopics request."""
        encoded = name.encode()
        check(self._open().create_topic(encoded, partitions))

    def fail_requests(self, int api, errors):
        """Answer the next len(errors) requests of Kafka's API key `api` (0 is Produce) with these error codes."""
        cdef vector[int] codes = errors
        self._open().fail_requests(api, codes.data(), codes.size())

    def stop_broker(self, int broker=1):
        """Close a broker's listener and its connections; brokers count from 1."""
        check(self._open().set_broker(broker, False))

    def start_broker(self, int broker=1):
        """Open it again, on its old port."""
        check(self._open().set_broker(broker, True))

    def close(self):
        with nogil:
            self._cluster.reset()

    def __enter__(self):
        self._open()
        return self

    def __exit__(self, *exception):
        self.close()
