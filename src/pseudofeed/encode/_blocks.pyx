# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Factor blocks and bar blocks: the border to csrc/encode/factor_block.h and bar_block.h.

As in _encode.pyx: shapes and dtypes are checked here, then comes one native call for the whole batch with the GIL
released. The caller owns the memory; a failure leaves it as it was.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

import numpy as np

from pseudofeed._status cimport Status, check
from pseudofeed.encode._messages cimport Bytes, Messages, Prefix, byte, check_batch, kMaximumEntries, room_in
from pseudofeed.encode.bars import BarBlockHeader, BarColumns
from pseudofeed.encode.factors import FactorBlockHeader, FactorColumns


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
                               size_t factors, FactorBlockView* views, size_t* steps, size_t* failed)
    cppclass NativeFactorColumns "pseudofeed::encode::FactorColumns":
        int64_t* time
        int64_t* sequence
        double* increment
        double* level
    void read_factor_blocks(const FactorBlockView* views, size_t count, NativeFactorColumns columns)

cdef extern from "encode/bar_block.h" namespace "pseudofeed::encode" nogil:
    size_t native_bar_block_size "pseudofeed::encode::bar_block_size"(size_t bars)
    cppclass NativeBarBlockHeader "pseudofeed::encode::BarBlockHeader":
        Prefix prefix
        int64_t length
        cbool final
    cppclass BarSource:
        const int64_t* opening_time
        const int32_t* instrument
        const double* open
        const double* high
        const double* low
        const double* close
        const int64_t* first_sequence
        const int64_t* last_sequence
        const uint32_t* ticks
    cppclass NativeBarColumns "pseudofeed::encode::BarColumns":
        int64_t* opening_time
        int32_t* instrument
        double* open
        double* high
        double* low
        double* close
        int64_t* first_sequence
        int64_t* last_sequence
        uint32_t* ticks
        int64_t* length
        uint8_t* final
    Status native_encode_bar_block "pseudofeed::encode::encode_bar_block"(
        const NativeBarBlockHeader& header, const BarSource& source, size_t bars, byte* out, size_t capacity,
        size_t* written)
    cppclass BarBlockView:
        NativeBarBlockHeader header
        Group bars
    Status check_bar_block(Bytes message, BarBlockView* view)
    Status check_bar_blocks(const Bytes* messages, size_t count, uint64_t fingerprint, uint32_t partition,
                            BarBlockView* views, size_t* bars, size_t* failed)
    void read_bar_blocks(const BarBlockView* views, size_t count, const NativeBarColumns& columns)


def factor_block_size(size_t steps, size_t factors):
    """Bytes of a factor block. Raises ValueError where there is no such block: steps x factors must lie in 1 .. 65534."""
    cdef size_t size = native_factor_block_size(steps, factors)
    if size == 0:
        raise ValueError(f"a factor block has 1 to {kMaximumEntries} values, not {steps} steps x {factors} factors")
    return size


def encode_factor_block_into(unsigned char[::1] buffer not None, size_t offset, *, uint64_t fingerprint,
                             uint32_t partition, int64_t first_step, const int64_t[::1] times not None,
                             const double[:, ::1] increments not None, const double[:, ::1] levels not None):
    """Encode one factor block (docs/wire.md) into `buffer` from byte `offset` on; return the number of bytes written.

    times: (T,) int64, ns since the epoch, strictly ascending; row j is step first_step + j.
    increments, levels: (T, K) float64, C-contiguous, carried bit for bit. Raises ValueError, with the buffer untouched,
    where shapes don't fit each other, an order or range is broken, or the buffer is too small (`factor_block_size`).
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
    """The FactorBlockHeader of one factor block (a bytes-like object), after the same checks as in decoding.

    Raises MalformedMessage, saying what was found, what was expected, and at which byte.
    """
    cdef Messages batch = Messages((message,))
    cdef FactorBlockView view
    cdef Status status
    with nogil:
        status = check_factor_block(batch.messages[0], &view)
    check(status)
    return FactorBlockHeader(view.prefix.fingerprint, view.prefix.sequence, view.steps.count, view.factors,
                             view.prefix.partition)


def decode_factor_blocks(messages, *, uint64_t fingerprint, uint32_t partition, size_t factors):
    """FactorColumns of all messages (a sequence of bytes-like objects), in their order, of a market with K = factors.

    Everything is checked before a value is written, as in `decode_ticks`. Raises MalformedMessage with the index of
    the first bad message in `.index`, saying what was found, what was expected, and at which byte.
    """
    cdef Messages batch = Messages(messages)
    cdef vector[FactorBlockView] views
    views.resize(batch.count)
    cdef size_t steps = 0
    cdef size_t failed = 0
    cdef Status status
    with nogil:
        status = check_factor_blocks(batch.messages, batch.count, fingerprint, partition, factors, views.data(), &steps,
                                     &failed)
    check_batch(status, failed)
    result = FactorColumns.empty(steps, factors)
    if steps == 0:
        return result
    cdef int64_t[::1] time = result.time
    cdef int64_t[::1] sequence = result.sequence
    cdef double[:, ::1] increments = result.increments
    cdef double[:, ::1] levels = result.levels
    cdef NativeFactorColumns columns
    columns.time = &time[0]
    columns.sequence = &sequence[0]
    columns.increment = &increments[0, 0]
    columns.level = &levels[0, 0]
    with nogil:
        read_factor_blocks(views.data(), batch.count, columns)
    return result


def bar_block_size(size_t bars):
    """Bytes of a bar block. Raises ValueError where there is no such block: it has 1 to 65534 bars."""
    cdef size_t size = native_bar_block_size(bars)
    if size == 0:
        raise ValueError(f"a bar block has 1 to {kMaximumEntries} bars, not {bars}")
    return size


def encode_bar_block_into(unsigned char[::1] buffer not None, size_t offset, bars, *, uint64_t fingerprint,
                          uint32_t partition, int64_t sequence):
    """Encode one bar block (docs/wire.md) into `buffer` from byte `offset` on; return the number of bytes written.

    bars: BarColumns of one length and of one state (final or not), strictly ascending by (opening_time, instrument).
    sequence: the newest step that the writer has taken in. Prices are carried bit for bit. Raises ValueError, with the
    buffer untouched, where an order or range is broken, or the buffer is too small (`bar_block_size`).
    """
    bar_block_size(len(bars))
    if (bars.length != bars.length[0]).any() or (bars.final != bars.final[0]).any():
        raise ValueError("the bars of a block have one length and are all final or all updates")
    cdef size_t capacity = 0
    cdef byte* out = room_in(buffer, offset, &capacity)
    cdef const int64_t[::1] opening_time = bars.opening_time
    cdef const int32_t[::1] instrument = bars.instrument
    cdef const double[::1] open = bars.open
    cdef const double[::1] high = bars.high
    cdef const double[::1] low = bars.low
    cdef const double[::1] close = bars.close
    cdef const int64_t[::1] first_sequence = bars.first_sequence
    cdef const int64_t[::1] last_sequence = bars.last_sequence
    cdef const uint32_t[::1] ticks = bars.ticks
    cdef NativeBarBlockHeader header
    header.prefix.fingerprint = fingerprint
    header.prefix.sequence = sequence
    header.prefix.partition = partition
    header.length = bars.length[0]
    header.final = bars.final[0]
    cdef BarSource source
    source.opening_time = &opening_time[0]
    source.instrument = &instrument[0]
    source.open = &open[0]
    source.high = &high[0]
    source.low = &low[0]
    source.close = &close[0]
    source.first_sequence = &first_sequence[0]
    source.last_sequence = &last_sequence[0]
    source.ticks = &ticks[0]
    cdef size_t count = opening_time.shape[0]
    cdef size_t written = 0
    cdef Status status
    with nogil:
        status = native_encode_bar_block(header, source, count, out, capacity, &written)
    check(status)
    return written


def peek_bar_block(message):
    """The BarBlockHeader of one bar block (a bytes-like object), after the same checks as in decoding.

    Raises MalformedMessage, saying what was found, what was expected, and at which byte.
    """
    cdef Messages batch = Messages((message,))
    cdef BarBlockView view
    cdef Status status
    with nogil:
        status = check_bar_block(batch.messages[0], &view)
    check(status)
    return BarBlockHeader(view.header.prefix.fingerprint, view.header.prefix.sequence, view.header.prefix.partition,
                          view.header.length, view.header.final, view.bars.count)


def decode_bar_blocks(messages, *, uint64_t fingerprint, uint32_t partition):
    """BarColumns of the bars of all messages (a sequence of bytes-like objects), in their order, from one partition.

    Everything is checked before a value is written, as in `decode_ticks`. Raises MalformedMessage with the index of
    the first bad message in `.index`, saying what was found, what was expected, and at which byte.
    """
    cdef Messages batch = Messages(messages)
    cdef vector[BarBlockView] views
    views.resize(batch.count)
    cdef size_t bars = 0
    cdef size_t failed = 0
    cdef Status status
    with nogil:
        status = check_bar_blocks(batch.messages, batch.count, fingerprint, partition, views.data(), &bars, &failed)
    check_batch(status, failed)
    result = BarColumns.empty(bars)
    if bars == 0:
        return result
    cdef int64_t[::1] opening_time = result.opening_time
    cdef int32_t[::1] instrument = result.instrument
    cdef double[::1] open = result.open
    cdef double[::1] high = result.high
    cdef double[::1] low = result.low
    cdef double[::1] close = result.close
    cdef int64_t[::1] first_sequence = result.first_sequence
    cdef int64_t[::1] last_sequence = result.last_sequence
    cdef uint32_t[::1] ticks = result.ticks
    cdef int64_t[::1] length = result.length
    cdef uint8_t[::1] final = result.final.view(np.uint8)
    cdef NativeBarColumns columns
    columns.opening_time = &opening_time[0]
    columns.instrument = &instrument[0]
    columns.open = &open[0]
    columns.high = &high[0]
    columns.low = &low[0]
    columns.close = &close[0]
    columns.first_sequence = &first_sequence[0]
    columns.last_sequence = &last_sequence[0]
    columns.ticks = &ticks[0]
    columns.length = &length[0]
    columns.final = &final[0]
    with nogil:
        read_bar_blocks(views.data(), batch.count, columns)
    return result
