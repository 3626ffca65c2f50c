#include "encode/tick.h"

#include <cinttypes>
#include <limits>

#include "encode/byte_order.h"

namespace pseudofeed::encode {
namespace {

constexpr Template kTick{"tick", 2, 52};

constexpr std::size_t kTimeAt = 32;
constexpr std::size_t kPriceAt = 40;
constexpr std::size_t kVarianceAt = 48;
constexpr std::size_t kNumberAt = 56;

static_assert(kHeaderSize + kTick.root_size == tick_size && kNumberAt + 4 == tick_size);

}  // namespace

void encode_tick(const Tick& tick, std::byte* out) {
    put_prefix(kTick, {tick.fingerprint, tick.sequence, tick.partition}, out);
    store_little(out + kTimeAt, tick.time);
    store_little(out + kPriceAt, tick.price);
    store_little(out + kVarianceAt, tick.variance);
    store_little(out + kNumberAt, tick.number);
    put_checksum(out, tick_size);
}

Status check_tick(Bytes message, Tick* tick) {
    Cursor cursor;
    if (Status status = take_header(message, kTick, &cursor); !status.ok()) return status;
    if (Status status = check_end(cursor); !status.ok()) return status;
    const Prefix prefix = load_prefix(message.data);
    if (Status status = check_sequences(cursor, prefix.sequence, 1); !status.ok()) return status;
    const auto number = load_little<std::uint32_t>(message.data + kNumberAt);
    if (number > std::numeric_limits<std::int32_t>::max()) {
        return failure(Code::malformed, "tick: instrument number %" PRIu32 " at byte %zu, expected 0 .. 2^31 - 1",
                       number, kNumberAt);
    }
    *tick = {
        .fingerprint = prefix.fingerprint,
        .sequence = prefix.sequence,
        .time = load_little<std::int64_t>(message.data + kTimeAt),
        .partition = prefix.partition,
        .number = static_cast<std::int32_t>(number),
        .price = load_little<double>(message.data + kPriceAt),
        .variance = load_little<double>(message.data + kVarianceAt),
    };
    return {};
}

}  // namespace pseudofeed::encode
