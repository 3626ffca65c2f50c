#include "encode/ticks.h"

#include <algorithm>
#include <cinttypes>
#include <type_traits>

#include "encode/byte_order.h"

namespace pseudofeed::encode {
namespace {

constexpr unsigned kTickTemplate = 2;
constexpr std::size_t kTickSize = 16;  // entry of a block's `ticks`

Shape shape_of(Bytes message) {
    // No SBE message begins so: its blockLength would be 8,827.
    if (message.size >= 2 && message.data[0] == std::byte{'{'} && message.data[1] == std::byte{'"'}) return Shape::json;
    if (message.size >= kHeaderSize && load_little<std::uint16_t>(message.data + 2) == kTickTemplate) {
        return Shape::tick;
    }
    return Shape::block;
}

Status check_tick_origin(const TickMessage& message, std::uint64_t fingerprint, std::uint32_t partition) {
    if (message.shape == Shape::block) {
        return check_origin("tick block", message.block.prefix, fingerprint, partition);
    }
    const Tick& tick = message.tick;
    if (message.shape == Shape::tick) {
        return check_origin("tick", {tick.fingerprint, tick.sequence, tick.partition}, fingerprint, partition);
    }
    if (tick.fingerprint != fingerprint) {
        return failure(Code::malformed,
                       "JSON tick of another market: market_fingerprint is %016" PRIx64 ", expected %016" PRIx64,
                       tick.fingerprint, fingerprint);
    }
    return {};
}

// `stride` is the entries' size in the message: a constant for messages of our version, so that the loops become vector
// instructions.
template <typename Stride>
void read_values(const std::byte* ticks, Stride stride, std::size_t count, double* price, double* variance) {
    for (std::size_t i = 0; i < count; ++i) {
        price[i] = load_little<double>(ticks + i * stride);
        variance[i] = load_little<double>(ticks + i * stride + 8);
    }
}

std::size_t read_block(const TickBlockView& view, TickColumns columns, std::size_t to) {
    const std::size_t instruments = view.instruments;
    std::int32_t* const first_row = columns.instrument + to;
    for (std::size_t i = 0; i < instruments; ++i) {
        first_row[i] = load_little<std::int32_t>(view.numbers + i * view.number_stride);
    }
    const std::byte* ticks = view.ticks;
    for (std::size_t j = 0; j < view.steps; ++j, to += instruments, ticks += instruments * view.tick_stride) {
        std::fill_n(columns.time + to, instruments, load_little<std::int64_t>(view.times + j * view.time_stride));
        std::fill_n(columns.sequence + to, instruments, view.prefix.sequence + static_cast<std::int64_t>(j));
        if (j > 0) std::copy_n(first_row, instruments, columns.instrument + to);
        if (view.tick_stride == kTickSize) {
            read_values(ticks, std::integral_constant<std::size_t, kTickSize>{}, instruments, columns.price + to,
                        columns.variance + to);
        } else {
            read_values(ticks, view.tick_stride, instruments, columns.price + to, columns.variance + to);
        }
    }
    return to;
}

}  // namespace

Status check_tick_message(Bytes message, TickMessage* found) {
    TickMessage checked;
    checked.shape = shape_of(message);
    Status status;
    switch (checked.shape) {
        case Shape::block:
            status = check_tick_block(message, &checked.block);
            break;
        case Shape::tick:
            checked.tick = {};
            status = check_tick(message, &checked.tick);
            break;
        case Shape::json:
            checked.tick = {};
            status = check_tick_json(message, &checked.tick);
            break;
    }
    if (status.ok()) *found = checked;
    return status;
}

Status check_ticks(const Bytes* messages, std::size_t count, std::uint64_t fingerprint, std::uint32_t partition,
                   TickMessage* found, std::size_t* ticks, std::size_t* failed) {
    std::size_t total = 0;
    for (std::size_t m = 0; m < count; ++m) {
        *failed = m;
        if (Status status = check_tick_message(messages[m], &found[m]); !status.ok()) return status;
        if (Status status = check_tick_origin(found[m], fingerprint, partition); !status.ok()) return status;
        total += found[m].ticks();
    }
    *ticks = total;
    return {};
}

void read_ticks(const TickMessage* messages, std::size_t count, TickColumns columns) {
    std::size_t to = 0;
    for (const TickMessage* message = messages; message != messages + count; ++message) {
        if (message->shape == Shape::block) {
            to = read_block(message->block, columns, to);
            continue;
        }
        columns.time[to] = message->tick.time;
        columns.sequence[to] = message->tick.sequence;
        columns.instrument[to] = message->tick.number;
        columns.price[to] = message->tick.price;
        columns.variance[to] = message->tick.variance;
        ++to;
    }
}

}  // namespace pseudofeed::encode
