# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Between NumPy arrays and bytes: the border to csrc/encode.

Every function checks shapes and dtypes here, then makes one native call for the whole batch with the GIL released, then
raises what the native status says. The caller owns the memory; a failure leaves it as it was.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

from pseudofeed._status cimport Status, check
from pseudofeed.encode.ticks import TickBlockHeader, TickColumns
from pseudofeed.errors import MalformedMessage


cdef extern from "<cstddef>" namespace "std" nogil:
    ctypedef unsigned char byte

cdef extern from "encode/crc32.h" namespace "pseudofeed::encode" nogil:
    uint32_t native_crc32 "pseudofeed::encode::crc32"(const byte* data, size_t size, uint32_t sum)

cdef extern from "encode/copy_rows.h" namespace "pseudofeed::encode" nogil:
    cppclass CopyRowsSource:
        size_t ticks
        const int64_t* time
        const int32_t* instrument
        const double* price
        const double* variance
        const int32_t* instrument_ids
        size_t instruments
    size_t copy_rows_size(size_t ticks)
    Status native_encode_copy_rows "pseudofeed::encode::encode_copy_rows"(
        const CopyRowsSource& source, byte* out, size_t capacity)

cdef extern from "encode/tick_block.h" namespace "pseudofeed::encode" nogil:
    size_t kMaximumBlockTicks
    size_t native_tick_block_size "pseudofeed::encode::tick_block_size"(size_t steps, size_t instruments)
    cppclass TickBlockSource:
        uint64_t fingerprint
        uint32_t partition
        int64_t first_sequence
        size_t steps
        size_t instruments
        const int64_t* times
        const int32_t* numbers
        const double* prices
        const double* variances
        size_t row_length
        const int32_t* columns
    Status native_encode_tick_block "pseudofeed::encode::encode_tick_block"(
        const TickBlockSource& source, byte* out, size_t capacity, size_t* written)
    cppclass Bytes:
        const byte* data
        size_t size
    cppclass TickBlockView:
        uint64_t fingerprint
        int64_t first_sequence
        uint32_t partition
        size_t steps
        size_t instruments
    Status check_tick_block(Bytes message, TickBlockView* view)
    Status check_tick_blocks(const Bytes* messages, size_t count, uint64_t fingerprint, uint32_t partition,
                             TickBlockView* views, size_t* ticks, size_t* failed)
    cppclass NativeTickColumns "pseudofeed::encode::TickColumns":
        int64_t* time
        int64_t* sequence
        int32_t* instrument
        double* price
        double* variance
    void read_tick_blocks(const TickBlockView* views, size_t count, NativeTickColumns columns)


MAXIMUM_BLOCK_TICKS = kMaximumBlockTicks


cdef class _Messages:
    """The bytes of a batch of messages, held by buffer exports until it goes; and room for a view of each."""

    cdef Py_buffer* buffers
    cdef Bytes* messages
    cdef TickBlockView* views
    cdef size_t count  # exported buffers: less than the batch only while it is being made

    def __cinit__(self, messages):
        # A tuple: exporting a buffer may run other people's code, which could change a list's length meanwhile.
        cdef tuple batch = tuple(messages)
        cdef size_t length = len(batch)
        self.count = 0
        # One more than needed: calloc(0) may answer NULL.
        self.buffers = <Py_buffer*> calloc(length + 1, sizeof(Py_buffer))
        self.messages = <Bytes*> calloc(length + 1, sizeof(Bytes))
        self.views = <TickBlockView*> calloc(length + 1, sizeof(TickBlockView))
        if self.buffers is NULL or self.messages is NULL or self.views is NULL:
            raise MemoryError(f"no memory for the buffers of {length} messages")
        for message in batch:
            PyObject_GetBuffer(message, &self.buffers[self.count], PyBUF_SIMPLE)
            self.messages[self.count].data = <const byte*> self.buffers[self.count].buf
            self.messages[self.count].size = <size_t> self.buffers[self.count].len
            self.count += 1

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.count):
            PyBuffer_Release(&self.buffers[i])
        free(self.buffers)
        free(self.messages)
        free(self.views)


cdef object _int32(object values, str name):
    """`values` as a C-contiguous int32 array (n,), checked instead of wrapped."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be a one-dimensional array of integers, not {array.dtype} {array.shape}")
    if array.dtype != np.int32 and array.size and (array.min() < -(1 << 31) or array.max() >= 1 << 31):
        raise ValueError(f"{name} must fit 32 bits, found {array.min()} .. {array.max()}")
    return np.ascontiguousarray(array, dtype=np.int32)


def tick_block_size(size_t steps, size_t instruments):
    """Bytes of a tick block of that many steps and instruments.

    Raises ValueError where there is no such block: steps x instruments must lie in 1 .. MAXIMUM_BLOCK_TICKS.
    """
    cdef size_t size = native_tick_block_size(steps, instruments)
    if size == 0:
        raise ValueError(
            f"a tick block has 1 to {MAXIMUM_BLOCK_TICKS} ticks, not {steps} steps x {instruments} instruments")
    return size


def encode_tick_block_into(unsigned char[::1] buffer not None, size_t offset, *, uint64_t fingerprint,
                           uint32_t partition, int64_t first_step, const int64_t[::1] times not None, instruments,
                           const double[:, ::1] prices not None, const double[:, ::1] variances not None,
                           columns=None):
    """Encode one tick block (docs/wire.md) into `buffer` from byte `offset` on; return the number of bytes written.

    times: (T,) int64, ns since the epoch, strictly ascending; row j is step first_step + j.
    instruments: (M,) integers, the instruments' numbers in the market, strictly ascending.
    prices, variances: (T, W) float64, C-contiguous. columns: (M,) integers, their columns (default 0 .. M-1).
    Values are carried bit for bit, NaN and -0.0 too. Raises ValueError, with the buffer untouched, where shapes don't
    fit each other, an order or range is broken, or the buffer is too small (`tick_block_size` tells what is needed).
    """
    cdef const int32_t[::1] numbers = _int32(instruments, "instruments")
    cdef const int32_t[::1] chosen = None if columns is None else _int32(columns, "columns")
    if (prices.shape[0] != times.shape[0] or variances.shape[0] != prices.shape[0]
            or variances.shape[1] != prices.shape[1]):
        raise ValueError(f"times ({times.shape[0]},), prices ({prices.shape[0]}, {prices.shape[1]}) and variances "
                         f"({variances.shape[0]}, {variances.shape[1]}) don't fit each other")
    if chosen is not None and chosen.shape[0] != numbers.shape[0]:
        raise ValueError(f"{chosen.shape[0]} columns for {numbers.shape[0]} instruments")
    if offset > <size_t> buffer.shape[0]:
        raise ValueError(f"offset {offset} is beyond the buffer of {buffer.shape[0]} bytes")
    tick_block_size(times.shape[0], numbers.shape[0])
    if prices.shape[1] == 0:
        raise ValueError("prices and variances have no columns")
    cdef TickBlockSource source
    source.fingerprint = fingerprint
    source.partition = partition
    source.first_sequence = first_step
    source.steps = times.shape[0]
    source.instruments = numbers.shape[0]
    source.times = &times[0]
    source.numbers = &numbers[0]
    source.row_length = prices.shape[1]
    source.prices = &prices[0, 0]
    source.variances = &variances[0, 0]
    if chosen is not None:
        source.columns = &chosen[0]
    cdef size_t written = 0
    cdef size_t capacity = buffer.shape[0] - offset
    cdef byte* out = NULL
    if capacity:
        out = <byte*> &buffer[offset]
    cdef Status status
    with nogil:
        status = native_encode_tick_block(source, out, capacity, &written)
    check(status)
    return written


def peek_tick_block(message):
    """The TickBlockHeader of one tick block (a bytes-like object), after the same checks as in decoding.

    Raises MalformedMessage, saying what was found, what was expected, and at which byte.
    """
    cdef _Messages batch = _Messages((message,))
    cdef Status status
    with nogil:
        status = check_tick_block(batch.messages[0], batch.views)
    check(status)
    cdef TickBlockView* view = batch.views
    return TickBlockHeader(view.fingerprint, view.first_sequence, view.steps, view.instruments, view.partition)


def decode_tick_blocks(messages, *, uint64_t fingerprint, uint32_t partition):
    """TickColumns of the ticks of all messages (a sequence of bytes-like objects), in their order, from one partition.

    Everything is checked before a value is written: header, lengths, counts, checksum, fingerprint, partition, and that
    sequences, times and instruments ascend. Raises MalformedMessage with the index of the first bad message in
    `.index`, saying what was found, what was expected, and at which byte; the caller knows topic and offset.
    """
    cdef _Messages batch = _Messages(messages)
    cdef size_t ticks = 0
    cdef size_t failed = 0
    cdef Status status
    with nogil:
        status = check_tick_blocks(batch.messages, batch.count, fingerprint, partition, batch.views, &ticks, &failed)
    try:
        check(status)
    except MalformedMessage as error:
        error.index = failed
        raise
    result = TickColumns.empty(ticks)
    if ticks == 0:
        return result
    cdef int64_t[::1] time = result.time
    cdef int64_t[::1] sequence = result.sequence
    cdef int32_t[::1] instrument = result.instrument
    cdef double[::1] price = result.price
    cdef double[::1] variance = result.variance
    cdef NativeTickColumns columns
    columns.time = &time[0]
    columns.sequence = &sequence[0]
    columns.instrument = &instrument[0]
    columns.price = &price[0]
    columns.variance = &variance[0]
    with nogil:
        read_tick_blocks(batch.views, batch.count, columns)
    return result


def encode_copy_rows(columns, instrument_ids):
    """The ticks as PostgreSQL's binary COPY: header, rows (time, instrument_id, price, variance), trailer, as bytes.

    columns: TickColumns of one or more partitions. instrument_ids: (N,) integers, the store's id of each number.
    Rows are grouped by instrument, numbers ascending, and within an instrument keep the order of the columns: where
    times ascend within each instrument, that is (instrument, time). Raises ValueError naming the tick where an
    instrument has no id, or a time is not a whole number of microseconds (PostgreSQL's limit).
    Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
    """
    cdef const int64_t[::1] time = columns.time
    cdef const int32_t[::1] instrument = columns.instrument
    cdef const double[::1] price = columns.price
    cdef const double[::1] variance = columns.variance
    cdef const int32_t[::1] ids = _int32(instrument_ids, "instrument_ids")
    if not time.shape[0] == instrument.shape[0] == price.shape[0] == variance.shape[0]:
        raise ValueError("the columns of ticks have different lengths")
    cdef CopyRowsSource source
    source.ticks = time.shape[0]
    source.instruments = ids.shape[0]
    if source.ticks:
        source.time = &time[0]
        source.instrument = &instrument[0]
        source.price = &price[0]
        source.variance = &variance[0]
    if source.instruments:
        source.instrument_ids = &ids[0]
    cdef size_t size = copy_rows_size(source.ticks)
    # Not yet shared with anybody, so it may be written: no second copy, no zeroing.
    rows = PyBytes_FromStringAndSize(NULL, <Py_ssize_t> size)
    cdef byte* out = <byte*> PyBytes_AS_STRING(rows)
    cdef Status status
    with nogil:
        status = native_encode_copy_rows(source, out, size)
    check(status)
    return rows


def crc32(const unsigned char[::1] data not None, uint32_t sum=0):
    """CRC-32 of the bytes as zlib.crc32 computes it; `sum` continues an earlier one."""
    if data.shape[0] == 0:
        return sum
    cdef uint32_t result
    with nogil:
        result = native_crc32(<const byte*> &data[0], data.shape[0], sum)
    return result
