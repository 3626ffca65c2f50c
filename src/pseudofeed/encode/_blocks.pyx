# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Factor blocks and event blocks: bindings to csrc/encode/factor_block.h and event_block.h.

As in _encode.pyx, shapes and dtypes are checked here, followed by one native call for the whole batch with the GIL
released. The caller owns the memory; a failure leaves it unchanged.
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

import numpy as np

from pseudofeed._status cimport Status, check
from pseudofeed.encode._messages cimport Bytes, Messages, Prefix, byte, check_batch, kMaximumEntries, room_in
from pseudofeed.encode.header import MessageHeader
from pseudofeed.records import FACTOR, Columns


cdef extern from "encode/message.h" namespace "pseudofeed::encode" nogil:
    cppclass Group:
        size_t count

cdef extern from "encode/factor_block.h" namespace "pseudofeed::encode" nogil:
    size_t native_factor_block_size "pseudofeed::encode::factor_block_size"(size_t steps, size_t factors)
    cppclass FactorBlockSource:
        uint64_t fingerprint
        uint32_t partition
        int64_t first_sequence
        size_t steps
        size_t factors
        const int64_t* times
        const double* increments
        const double* levels
    Status native_encode_factor_block "pseudofeed::encode::encode_factor_block"(
        const FactorBlockSource& source, byte* out, size_t capacity, size_t* written)
    cppclass FactorBlockView:
        Prefix prefix
        size_t factors
        Group steps
    Status check_factor_block(Bytes message, FactorBlockView* view)
    Status check_factor_blocks(const Bytes* messages, size_t count, uint64_t fingerprint, uint32_t partition,
                               size_t factors, FactorBlockView* views, size_t* rows, size_t* failed)
    cppclass NativeFactorColumns "pseudofeed::encode::FactorColumns":
        int64_t* time
        int64_t* sequence
        int32_t* number
        double* increment
        double* level
    void read_factor_blocks(const FactorBlockView* views, size_t count, NativeFactorColumns columns)

cdef extern from "encode/event_block.h" namespace "pseudofeed::encode" nogil:
    size_t kMaximumEventBlock
    size_t kMaximumEventSteps
    size_t native_event_block_size "pseudofeed::encode::event_block_size"(size_t events, size_t entry_size)
    size_t native_maximum_events "pseudofeed::encode::maximum_events"(size_t entry_size)
    cppclass EventKind:
        const char* name
        uint16_t id
        size_t entry_size
    cppclass EventBlockSource:
        uint64_t fingerprint
        uint32_t partition
        int64_t first_sequence
        uint32_t steps
        uint32_t first_event
        cbool more
        const byte* entries
        size_t events
    Status native_encode_event_block "pseudofeed::encode::encode_event_block"(
        const EventKind& kind, const EventBlockSource& source, byte* out, size_t capacity, size_t* written)
    cppclass EventBlockView:
        Prefix prefix
        uint32_t steps
        uint32_t first_event
        cbool more
        Group entries
    Status check_event_block(const EventKind& kind, Bytes message, EventBlockView* view)
    Status check_event_blocks(const EventKind& kind, const Bytes* messages, size_t count, uint64_t fingerprint,
                              uint32_t partition, EventBlockView* views, size_t* events, size_t* failed)
    void read_event_blocks(const EventKind& kind, const EventBlockView* views, size_t count, byte* entries,
                           int64_t* sequences)


MAXIMUM_EVENT_BLOCK = kMaximumEventBlock
MAXIMUM_EVENT_STEPS = kMaximumEventSteps


def factor_block_size(size_t steps, size_t factors):
    """Bytes of a factor block. Raises ValueError if there is no such block: steps x factors must be 1 to 65534."""
    cdef size_t size = native_factor_block_size(steps, factors)
    if size == 0:
        raise ValueError(f"a factor block has 1 to {kMaximumEntries} values, not {steps} steps x {factors} factors")
    return size


def encode_factor_block_into(unsigned char[::1] buffer not None, size_t offset, *, uint64_t fingerprint,
                             uint32_t partition, int64_t first_step, const int64_t[::1] times not None,
                             const double[:, ::1] increments not None, const double[:, ::1] levels not None):
    """Encode one factor block (docs/wire.md) into `buffer` from byte `offset` on; return the number of bytes written.

    times: (T,) int64, ns since 1970, strictly ascending; row j is step first_step + j.
    increments, levels: (T, K) float64, C-contiguous, carried bit for bit. Raises ValueError, with the buffer untouched,
    if shapes don't match, an order or range is violated, or the buffer is too small (`factor_block_size`).
    """
    if (increments.shape[0] != times.shape[0] or levels.shape[0] != times.shape[0]
            or increments.shape[1] != levels.shape[1]):
        raise ValueError(f"times ({times.shape[0]},), increments ({increments.shape[0]}, {increments.shape[1]}) and "
                         f"levels ({levels.shape[0]}, {levels.shape[1]}) don't fit each other")
    factor_block_size(times.shape[0], increments.shape[1])
    cdef size_t capacity = 0
    cdef byte* out = room_in(buffer, offset, &capacity)
    cdef FactorBlockSource source
    source.fingerprint = fingerprint
    source.partition = partition
    source.first_sequence = first_step
    source.steps = times.shape[0]
    source.factors = increments.shape[1]
    source.times = &times[0]
    source.increments = &increments[0, 0]
    source.levels = &levels[0, 0]
    cdef size_t written = 0
    cdef Status status
    with nogil:
        status = native_encode_factor_block(source, out, capacity, &written)
    check(status)
    return written


def peek_factor_block(message):
    """The MessageHeader of one factor block (a bytes-like object), after the same checks as in decoding.

    Raises MalformedMessage, saying what was found, what was expected, and at which byte.
    """
    cdef Messages batch = Messages((message,))
    cdef FactorBlockView view
    cdef Status status
    with nogil:
        status = check_factor_block(batch.messages[0], &view)
    check(status)
    return MessageHeader(view.prefix.fingerprint, view.prefix.partition, view.prefix.sequence, view.steps.count,
                         view.steps.count * view.factors)


def decode_factor_blocks(messages, *, uint64_t fingerprint, uint32_t partition, size_t factors, memory=None):
    """Columns of the factors of all messages (a sequence of bytes-like objects), in their order, of a market with
    K = factors.

    Everything is checked before a value is written, as in `decode_ticks`. Raises MalformedMessage with the index of
    the first bad message in `.index`, saying what was found, what was expected, and at which byte.
    """
    cdef Messages batch = Messages(messages)
    cdef vector[FactorBlockView] views
    views.resize(batch.count)
    cdef size_t rows = 0
    cdef size_t failed = 0
    cdef Status status
    with nogil:
        status = check_factor_blocks(batch.messages, batch.count, fingerprint, partition, factors, views.data(), &rows,
                                     &failed)
    check_batch(status, failed)
    result = Columns.empty(FACTOR, rows, memory)
    if rows == 0:
        return result
    cdef int64_t[::1] time = result.time
    cdef int64_t[::1] sequence = result.sequence
    cdef int32_t[::1] number = result.number
    cdef double[::1] increment = result["increment"]
    cdef double[::1] level = result["level"]
    cdef NativeFactorColumns columns
    columns.time = &time[0]
    columns.sequence = &sequence[0]
    columns.number = &number[0]
    columns.increment = &increment[0]
    columns.level = &level[0]
    with nogil:
        read_factor_blocks(views.data(), batch.count, columns)
    return result


cdef class _Kind:
    """An event kind in the native core's form, with the bytes of its name."""

    cdef bytes name
    cdef EventKind native

    def __cinit__(self, kind):
        self.name = f"{kind.name} block".encode()
        self.native.name = self.name
        self.native.id = kind.template
        self.native.entry_size = kind.entry.itemsize


def maximum_events(kind):
    """The largest number of events of a kind in one block."""
    return native_maximum_events(kind.entry.itemsize)


def encode_event_block(kind, entries, *, uint64_t fingerprint, uint32_t partition, int64_t first_step, uint32_t steps,
                       uint32_t first_event=0, bint more=False):
    """One event block (docs/wire.md) of the steps first_step to first_step + steps - 1, as bytes.

    entries: (n,) of the dtype `kind.entry`, C-contiguous, ascending by step, number and event; `step` counts from the
    block's first. first_event: how many events of the first step are in earlier blocks. more: the last step continues
    in the next one. Raises ValueError if the dtype is another, an order or range is violated, or the entries do not fit
    MAXIMUM_EVENT_BLOCK bytes (`maximum_events`).
    """
    if entries.dtype != kind.entry or entries.ndim != 1:
        raise ValueError(f"events of {kind.topic} are {kind.entry}, not {entries.dtype} {entries.shape}")
    cdef _Kind own = _Kind(kind)
    cdef const unsigned char[::1] raw = np.ascontiguousarray(entries).view(np.uint8)
    cdef EventBlockSource source
    source.fingerprint = fingerprint
    source.partition = partition
    source.first_sequence = first_step
    source.steps = steps
    source.first_event = first_event
    source.more = more
    source.events = entries.shape[0]
    source.entries = <const byte*> &raw[0] if source.events else NULL
    cdef size_t size = native_event_block_size(source.events, own.native.entry_size)
    if size == 0:
        raise ValueError(f"a block of {kind.topic} has at most {maximum_events(kind)} events, not {source.events}")
    message = PyBytes_FromStringAndSize(NULL, <Py_ssize_t> size)
    cdef byte* out = <byte*> PyBytes_AsString(message)
    cdef size_t written = 0
    cdef Status status
    with nogil:
        status = native_encode_event_block(own.native, source, out, size, &written)
    check(status)
    return message


def peek_event_block(kind, message):
    """The MessageHeader of one event block (a bytes-like object), after the same checks as in decoding.

    Raises MalformedMessage, saying what was found, what was expected, and at which byte.
    """
    cdef _Kind own = _Kind(kind)
    cdef Messages batch = Messages((message,))
    cdef EventBlockView view
    cdef Status status
    with nogil:
        status = check_event_block(own.native, batch.messages[0], &view)
    check(status)
    return MessageHeader(view.prefix.fingerprint, view.prefix.partition, view.prefix.sequence, view.steps,
                         view.entries.count, None, view.first_event, view.more)


def decode_event_blocks(kind, messages, *, uint64_t fingerprint, uint32_t partition):
    """Columns of the events of all messages (a sequence of bytes-like objects), in their order, from one partition;
    their `spans` are the steps that each message covers.

    Everything is checked before a value is written, as in `decode_ticks`. Raises MalformedMessage with the index of
    the first bad message in `.index`, saying what was found, what was expected, and at which byte.
    """
    cdef _Kind own = _Kind(kind)
    cdef Messages batch = Messages(messages)
    cdef vector[EventBlockView] views
    views.resize(batch.count)
    cdef size_t events = 0
    cdef size_t failed = 0
    cdef Status status
    with nogil:
        status = check_event_blocks(own.native, batch.messages, batch.count, fingerprint, partition, views.data(),
                                    &events, &failed)
    check_batch(status, failed)
    spans = np.empty((batch.count, 5), np.int64)
    cdef int64_t[:, ::1] span = spans
    cdef size_t m
    for m in range(batch.count):
        span[m, 0] = views[m].prefix.sequence
        span[m, 1] = views[m].prefix.sequence + views[m].steps - 1
        span[m, 2] = views[m].first_event
        span[m, 3] = views[m].more
        span[m, 4] = views[m].entries.count
    entries, sequences = np.empty(events, kind.entry), np.empty(events, np.int64)
    cdef unsigned char[::1] raw = entries.view(np.uint8)
    cdef int64_t[::1] sequence = sequences
    if events:
        with nogil:
            read_event_blocks(own.native, views.data(), batch.count, <byte*> &raw[0], &sequence[0])
    fields = (entries[field.name] for field in kind.fields)
    return Columns(kind, entries["time"], sequences, entries["number"].astype(np.int32), entries["event"], *fields,
                   spans=spans)
