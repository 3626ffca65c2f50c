# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Encodes NumPy arrays as bytes, and decodes them: bindings to csrc/encode.

Every function checks shapes and dtypes, makes one native call for the whole batch with the GIL released, and raises an
exception if the native status is a failure. The caller owns the memory; a failure leaves it unchanged.
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

import json

from pseudofeed._status cimport Status, check
from pseudofeed.encode._messages cimport Bytes, Messages, Prefix, byte, check_batch, int32_array, room_in
from pseudofeed.encode.header import MessageHeader
from pseudofeed.records import TICK, Columns


cdef extern from "encode/crc32.h" namespace "pseudofeed::encode" nogil:
    cppclass Crc32Kernel:
        const char* name
        uint32_t (*crc32)(const byte* data, size_t size, uint32_t sum)
    const Crc32Kernel& native_crc32_kernel "pseudofeed::encode::crc32_kernel"()
    vector[Crc32Kernel] native_crc32_kernels "pseudofeed::encode::crc32_kernels"()

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

cdef extern from "encode/tick.h" namespace "pseudofeed::encode" nogil:
    size_t native_tick_size "pseudofeed::encode::tick_size"
    cppclass Tick:
        uint64_t fingerprint
        int64_t sequence
        int64_t time
        uint32_t partition
        int32_t number
        double price
        double variance
    void native_encode_tick "pseudofeed::encode::encode_tick"(const Tick& tick, byte* out)
    size_t tick_json_limit(size_t symbol_size)
    size_t native_encode_tick_json "pseudofeed::encode::encode_tick_json"(
        const Tick& tick, string_view symbol_json, byte* out)

cdef extern from "encode/ticks.h" namespace "pseudofeed::encode" nogil:
    cdef enum class Shape(int):
        block
        tick
        json
    cppclass TickBlockView:
        Prefix prefix
        size_t steps
        size_t instruments
    cppclass TickMessage:
        Shape shape
        TickBlockView block
        Tick tick
    Status check_tick_message(Bytes message, TickMessage* found)
    Status check_ticks(const Bytes* messages, size_t count, uint64_t fingerprint, uint32_t partition,
                       TickMessage* found, size_t* ticks, size_t* failed)
    cppclass NativeTickColumns "pseudofeed::encode::TickColumns":
        int64_t* time
        int64_t* sequence
        int32_t* instrument
        double* price
        double* variance
    void read_ticks(const TickMessage* messages, size_t count, NativeTickColumns columns)


MAXIMUM_BLOCK_TICKS = kMaximumBlockTicks
TICK_SIZE = native_tick_size


def tick_block_size(size_t steps, size_t instruments):
    """Bytes of a tick block of that many steps and instruments.

    Raises ValueError if there is no such block: steps x instruments must be 1 to MAXIMUM_BLOCK_TICKS.
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

    times: (T,) int64, ns since 1970, strictly ascending; row j is step first_step + j.
    instruments: (M,) integers, the instruments' numbers in the market, strictly ascending.
    prices, variances: (T, W) float64, C-contiguous. columns: (M,) integers, their columns (default 0 .. M-1).
    Values keep all their bits, including NaN and -0.0. Raises ValueError, with the buffer untouched, if shapes don't
    match, an order or range is violated, or the buffer is too small (`tick_block_size` is the size needed).
    """
    cdef const int32_t[::1] numbers = int32_array(instruments, "instruments")
    cdef const int32_t[::1] chosen = None if columns is None else int32_array(columns, "columns")
    if (prices.shape[0] != times.shape[0] or variances.shape[0] != prices.shape[0]
            or variances.shape[1] != prices.shape[1]):
        raise ValueError(f"times ({times.shape[0]},), prices ({prices.shape[0]}, {prices.shape[1]}) and variances "
                         f"({variances.shape[0]}, {variances.shape[1]}) don't fit each other")
    if chosen is not None and chosen.shape[0] != numbers.shape[0]:
        raise ValueError(f"{chosen.shape[0]} columns for {numbers.shape[0]} instruments")
    cdef size_t capacity = 0
    cdef byte* out = room_in(buffer, offset, &capacity)
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
    cdef Status status
    with nogil:
        status = native_encode_tick_block(source, out, capacity, &written)
    check(status)
    return written


cdef Tick _tick(uint64_t fingerprint, uint32_t partition, int64_t sequence, int64_t time, int32_t number,
                double price, double variance) except *:
    if sequence < 1:
        raise ValueError(f"sequence is {sequence}, steps begin at 1")
    if number < 0:
        raise ValueError(f"instrument is {number}, numbers begin at 0")
    cdef Tick tick
    tick.fingerprint = fingerprint
    tick.sequence = sequence
    tick.time = time
    tick.partition = partition
    tick.number = number
    tick.price = price
    tick.variance = variance
    return tick


def encode_tick(*, uint64_t fingerprint, uint32_t partition, int64_t sequence, int64_t time, int32_t instrument,
                double price, double variance):
    """One tick as an SBE message (docs/wire.md), TICK_SIZE bytes. Every double keeps all its bits.

    time: ns since 1970. instrument: its number in the market. Raises ValueError if that or sequence is out of range.
    """
    cdef Tick tick = _tick(fingerprint, partition, sequence, time, instrument, price, variance)
    message = PyBytes_FromStringAndSize(NULL, <Py_ssize_t> native_tick_size)
    native_encode_tick(tick, <byte*> PyBytes_AsString(message))
    return message


def encode_tick_json(str symbol not None, *, uint64_t fingerprint, int64_t sequence, int64_t time, int32_t instrument,
                     double price, double variance):
    """One tick as JSON (docs/wire.md): UTF-8, one line, without a line break at its end.

    Raises ValueError if sequence or instrument is out of range, or if price or variance is not finite: JSON has no
    such numbers.
    """
    cdef Tick tick = _tick(fingerprint, 0, sequence, time, instrument, price, variance)
    cdef bytes quoted = json.dumps(symbol, ensure_ascii=False).encode()
    cdef size_t size = len(quoted)
    buffer = bytearray(tick_json_limit(size))
    cdef unsigned char[::1] room = buffer
    cdef size_t written = native_encode_tick_json(
        tick, string_view(PyBytes_AsString(quoted), size), <byte*> &room[0])
    if written == 0:
        raise ValueError(f"JSON has no number for price {price} or variance {variance} (symbol {symbol!r})")
    return bytes(room[:written])


def peek_ticks(message):
    """The MessageHeader of one message with ticks (a bytes-like object), after the same checks as in decoding.

    Raises MalformedMessage, saying what was found, what was expected, and at which byte.
    """
    cdef Messages batch = Messages((message,))
    cdef TickMessage found
    cdef Status status
    with nogil:
        status = check_tick_message(batch.messages[0], &found)
    check(status)
    if found.shape == Shape.block:
        return MessageHeader(found.block.prefix.fingerprint, found.block.prefix.partition, found.block.prefix.sequence,
                             found.block.steps, found.block.steps * found.block.instruments)
    partition = None if found.shape == Shape.json else found.tick.partition
    return MessageHeader(found.tick.fingerprint, partition, found.tick.sequence, 1, 1, found.tick.number)


def decode_ticks(messages, *, uint64_t fingerprint, uint32_t partition, memory=None):
    """Columns of the ticks of all messages (a sequence of bytes-like objects), in their order, from one partition.

    A message is a tick block, an SBE tick or a JSON tick; they may be mixed. Everything is checked before a value is
    written: header, lengths, counts, checksum, fingerprint, partition (JSON does not have it), and that
    a block's sequences, times and instruments ascend. Raises MalformedMessage with the index of the first bad message
    in `.index`, saying what was found, what was expected, and at which byte; the caller knows topic and offset.
    memory: a ColumnMemory that provides the columns; without it they are new arrays.
    """
    cdef Messages batch = Messages(messages)
    cdef vector[TickMessage] found
    found.resize(batch.count)
    cdef size_t ticks = 0
    cdef size_t failed = 0
    cdef Status status
    with nogil:
        status = check_ticks(batch.messages, batch.count, fingerprint, partition, found.data(), &ticks, &failed)
    check_batch(status, failed)
    result = Columns.empty(TICK, ticks, memory)
    if ticks == 0:
        return result
    cdef int64_t[::1] time = result.time
    cdef int64_t[::1] sequence = result.sequence
    cdef int32_t[::1] instrument = result.number
    cdef double[::1] price = result["price"]
    cdef double[::1] variance = result["variance"]
    cdef NativeTickColumns columns
    columns.time = &time[0]
    columns.sequence = &sequence[0]
    columns.instrument = &instrument[0]
    columns.price = &price[0]
    columns.variance = &variance[0]
    with nogil:
        read_ticks(found.data(), batch.count, columns)
    return result


def crc32_kernels():
    """Names of the CRC-32 implementations that this processor supports, fastest first (csrc/encode/crc32.h)."""
    return tuple(kernel.name.decode() for kernel in native_crc32_kernels())


def crc32_kernel():
    """The implementation that messages are checked with; PSEUDOFEED_ISA can select a slower one."""
    return native_crc32_kernel().name.decode()


def crc32(const unsigned char[::1] data not None, uint32_t sum=0, *, str kernel=""):
    """CRC-32 of the bytes as zlib.crc32 computes it; `sum` continues an earlier one.

    kernel: one of `crc32_kernels()`; "": the chosen one. Raises ValueError for another.
    """
    cdef Crc32Kernel chosen = native_crc32_kernel()
    if kernel:
        chosen = _kernel_named(kernel)
    cdef size_t size = data.shape[0]
    cdef const byte* at = <const byte*> &data[0] if size else NULL
    cdef uint32_t result
    with nogil:
        result = chosen.crc32(at, size, sum)
    return result


cdef Crc32Kernel _kernel_named(str name) except *:
    cdef Crc32Kernel kernel
    for kernel in native_crc32_kernels():
        if kernel.name.decode() == name:
            return kernel
    raise ValueError(f"this processor has no kernel {name}")
