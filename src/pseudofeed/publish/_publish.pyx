# cython: language_level=3
# distutils: language=c++
"""Bindings to csrc/publish: the library table, the producer, the mock cluster.

Arguments are checked here; each native call runs with the GIL released and returns at least every 100 ms, so that
Python's signal handlers run while a producer waits for room in its queue.
"""

import json

from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.utility cimport move, pair
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
        Status set_delay(int32_t broker, int milliseconds)


cdef extern from "encode/ticks.h" namespace "pseudofeed::encode" nogil:
    cdef enum class Shape(int):
        block
        tick
        json


cdef extern from "publish/producer.h" namespace "pseudofeed::publish" nogil:
    ctypedef vector[pair[string, string]] Properties

    cdef cppclass ProducerOptions:
        string topic
        uint64_t fingerprint
        int32_t partition_count
        vector[int32_t] partitions
        vector[string] symbols
        Shape shape
        vector[string] json_symbols
        size_t block_ticks
        string factor_topic
        size_t factors

    cdef cppclass Factors:
        int64_t first_step
        size_t steps
        const int64_t* times
        const double* increments
        const double* levels

    cdef cppclass Ticks:
        int64_t first_step
        size_t steps
        const int64_t* times
        const double* prices
        const double* variances

    cdef cppclass Counts:
        int64_t accepted_messages
        int64_t messages
        int64_t ticks
        int64_t bytes
        int64_t failed_messages
        int64_t silence_ns

    cdef cppclass CProducer "pseudofeed::publish::Producer":
        @staticmethod
        Status create(const Library& library, const Properties& properties, ProducerOptions options,
                      unique_ptr[CProducer]* producer)
        void close()
        Status ask(int timeout_ms, cbool* answered)
        Status begin(const int64_t* steps, const int64_t* ahead, const int64_t* next_offsets)
        Status begin_factors(int64_t step, int64_t next_offset)
        Status publish(const Ticks& block, int timeout_ms, cbool* done)
        Status publish_factors(const Factors& block, int timeout_ms, cbool* done)
        int64_t factor_step()
        int64_t factor_messages()
        Status poll()
        Status flush(int timeout_ms, int64_t* left)
        Counts counts()
        void partition_counts(int64_t* acknowledged, int64_t* messages, int64_t* bytes)
        string last_error()
        size_t message_steps(int32_t partition)


_SHAPES = {"block": Shape.block, "sbe": Shape.tick, "json": Shape.json}

cdef const Library* _library = NULL


def load_library(str path):
    """Load librdkafka from `path` unless the process has it already; return its version. Raises LibraryError."""
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

    A context manager; leaving it, or `close`, stops the brokers. It keeps at most 5 MiB per partition and drops older
    messages silently, and it can't check transactions. Use it for the demo and for errors on demand, never to prove a
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
        """Reopen it on its old port."""
        check(self._open().set_broker(broker, True))

    def delay_answers(self, int milliseconds, int broker=1):
        """Delay each of a broker's answers by this time, from now on."""
        check(self._open().set_delay(broker, milliseconds))

    def close(self):
        with nogil:
            self._cluster.reset()

    def __enter__(self):
        self._open()
        return self

    def __exit__(self, *exception):
        self.close()


cdef class NativeProducer:
    """csrc/publish/producer.h for Python; producer.py has the class for users.

    The native producer lives as long as this object: every call in progress holds a reference to it.
    """

    cdef unique_ptr[CProducer] _producer
    cdef Py_ssize_t _instruments
    cdef Py_ssize_t _partitions
    cdef Py_ssize_t _factors

    def __init__(self, properties, str topic, *, symbols, const int32_t[::1] partitions, int32_t partition_count,
                 uint64_t fingerprint, str shape, size_t block_ticks, str factor_topic, size_t factors):
        cdef Properties native_properties
        cdef ProducerOptions options
        cdef Status status
        cdef const Library* table = library()
        cdef Py_ssize_t i
        for name, value in properties.items():
            if "\0" in name or "\0" in value:
                raise ValueError(f"Kafka property {name!r} holds a NUL character")
            native_properties.push_back(pair[string, string](name.encode(), value.encode()))
        options.topic = topic.encode()
        options.fingerprint = fingerprint
        options.partition_count = partition_count
        options.block_ticks = block_ticks
        options.factor_topic = factor_topic.encode()
        options.factors = factors
        options.shape = _SHAPES[shape]
        for symbol in symbols:
            options.symbols.push_back(symbol.encode())
            if options.shape == Shape.json:
                options.json_symbols.push_back(json.dumps(symbol).encode())
        for i in range(partitions.shape[0]):
            options.partitions.push_back(partitions[i])
        with nogil:
            status = CProducer.create(table[0], native_properties, move(options), &self._producer)
        check(status)
        self._instruments = partitions.shape[0]
        self._partitions = partition_count
        self._factors = factors

    def __dealloc__(self):
        with nogil:
            self._producer.reset()

    cdef CProducer* _open(self) except NULL:
        if self._producer.get() == NULL:
            raise ValueError("this producer was never made")
        return self._producer.get()

    def ask(self, int timeout_ms):
        """Whether the server has answered a metadata request for the topic within that time."""
        cdef CProducer* producer = self._open()
        cdef cbool answered = False
        cdef Status status
        with nogil:
            status = producer.ask(timeout_ms, &answered)
        check(status)
        return answered

    def begin(self, const int64_t[::1] steps, const int64_t[::1] ahead, const int64_t[::1] next_offsets):
        """(P,) each: steps and, of the next one, ticks that are there; the offsets that the next messages must get,
        or None."""
        cdef const int64_t* offsets = NULL
        if next_offsets is not None:
            offsets = &next_offsets[0]
        if steps.shape[0] != self._partitions or ahead.shape[0] != self._partitions or (
                next_offsets is not None and next_offsets.shape[0] != self._partitions):
            raise ValueError(f"each array must have {self._partitions} entries")
        cdef CProducer* producer = self._open()
        cdef Status status
        with nogil:
            status = producer.begin(&steps[0], &ahead[0], offsets)
        check(status)

    def publish(self, int64_t first_step, const int64_t[::1] times, const double[:, ::1] prices,
                const double[:, ::1] variances, int timeout_ms):
        """Enqueue. Returns false if that was not done within `timeout_ms`; repeat the call to continue."""
        cdef CProducer* producer = self._open()
        cdef Py_ssize_t steps = times.shape[0]
        cdef Py_ssize_t columns = self._instruments
        for name, array in (("prices", prices), ("variances", variances)):
            if array.shape[0] != steps or array.shape[1] != columns:
                raise ValueError(f"{name} has the shape {(array.shape[0], array.shape[1])}, not {(steps, columns)}")
        if steps == 0:
            return True
        cdef Ticks ticks
        ticks.first_step = first_step
        ticks.steps = steps
        ticks.times = &times[0]
        ticks.prices = &prices[0, 0]
        ticks.variances = &variances[0, 0]
        cdef Status status
        cdef cbool done = False
        with nogil:
            status = producer.publish(ticks, timeout_ms, &done)
        check(status)
        return done

    def begin_factors(self, int64_t step, int64_t next_offset):
        """The last step that the factor topic holds, and the offset that its next message must get; -1: any."""
        cdef CProducer* producer = self._open()
        cdef Status status
        with nogil:
            status = producer.begin_factors(step, next_offset)
        check(status)

    def publish_factors(self, int64_t first_step, const int64_t[::1] times, const double[:, ::1] increments,
                        const double[:, ::1] levels, int timeout_ms):
        """Enqueue. Returns false if that was not done within `timeout_ms`; repeat the call to continue."""
        cdef CProducer* producer = self._open()
        cdef Py_ssize_t steps = times.shape[0]
        for name, array in (("increments", increments), ("levels", levels)):
            if array.shape[0] != steps or array.shape[1] != self._factors:
                shape = (array.shape[0], array.shape[1])
                raise ValueError(f"{name} has the shape {shape}, not {(steps, self._factors)}")
        if steps == 0 or self._factors == 0:
            return True
        cdef Factors factors
        factors.first_step = first_step
        factors.steps = steps
        factors.times = &times[0]
        factors.increments = &increments[0, 0]
        factors.levels = &levels[0, 0]
        cdef Status status
        cdef cbool done = False
        with nogil:
            status = producer.publish_factors(factors, timeout_ms, &done)
        check(status)
        return done

    def factor_step(self):
        """The last step of the factors that is acknowledged; 0: none."""
        cdef CProducer* producer = self._open()
        cdef int64_t step
        with nogil:
            step = producer.factor_step()
        return step

    def factor_messages(self):
        """Messages of factors handed to librdkafka."""
        return self._open().factor_messages()

    def poll(self):
        """Process the delivery reports received so far; raise the failure, if any."""
        cdef CProducer* producer = self._open()
        cdef Status status
        with nogil:
            status = producer.poll()
        check(status)

    def flush(self, int timeout_ms):
        """The number of messages without a report after at most `timeout_ms`."""
        cdef CProducer* producer = self._open()
        cdef Status status
        cdef int64_t left = 0
        with nogil:
            status = producer.flush(timeout_ms, &left)
        check(status)
        return left

    def counts(self):
        """(accepted messages, acknowledged messages, ticks and bytes, failed messages, ns since the last report or
        -1)."""
        cdef CProducer* producer = self._open()
        cdef Counts counts
        with nogil:
            counts = producer.counts()
        return (counts.accepted_messages, counts.messages, counts.ticks, counts.bytes, counts.failed_messages,
                counts.silence_ns)

    def partition_counts(self, int64_t[::1] acknowledged, int64_t[::1] messages, int64_t[::1] bytes):
        """Fill (P,) arrays: last step acknowledged, messages and bytes accepted."""
        cdef CProducer* producer = self._open()
        if not acknowledged.shape[0] == messages.shape[0] == bytes.shape[0] == self._partitions:
            raise ValueError(f"each array must have {self._partitions} entries")
        with nogil:
            producer.partition_counts(&acknowledged[0], &messages[0], &bytes[0])

    def last_error(self):
        """The last error of librdkafka's connections; "" if none."""
        cdef CProducer* producer = self._open()
        cdef string text
        with nogil:
            text = producer.last_error()
        return text.decode("utf-8", "replace")

    def message_steps(self, int32_t partition):
        """Steps of a full message of the partition; 0 if it has no instruments."""
        if not 0 <= partition < self._partitions:
            raise ValueError(f"partition {partition} is not one of {self._partitions}")
        return self._open().message_steps(partition)

    def close(self):
        """Close at once. A call in progress in another thread soon raises PublishError; so does every later call."""
        cdef CProducer* producer = self._open()
        with nogil:
            producer.close()
