#include "encode/bar_block.h"

#include <cinttypes>
#include <limits>

#include "encode/byte_order.h"

namespace pseudofeed::encode {
namespace {

constexpr Template kBarBlock{"bar block", 4, 36};

constexpr std::size_t kLengthAt = 32;
constexpr std::size_t kFinalAt = 40;

static_assert(bar_block_size(1) == kHeaderSize + kBarBlock.root_size + kGroupSize + kBarSize);

// An entry of `bars`, its fields but the doubles.
struct Bar {
    std::int64_t opening_time;
    std::int64_t first_sequence;
    std::int64_t last_sequence;
    std::uint32_t ticks;
    std::int64_t instrument;  // of any number: what is beyond int32 is found wrong
};

constexpr std::size_t kOpenAt = 8;  // then high, low, close
constexpr std::size_t kFirstSequenceAt = 40;
constexpr std::size_t kLastSequenceAt = 48;
constexpr std::size_t kTicksAt = 56;
constexpr std::size_t kNumberAt = 60;

Bar load_bar(const std::byte* at) {
    return {load_little<std::int64_t>(at), load_little<std::int64_t>(at + kFirstSequenceAt),
            load_little<std::int64_t>(at + kLastSequenceAt), load_little<std::uint32_t>(at + kTicksAt),
            load_little<std::uint32_t>(at + kNumberAt)};
}

Bar bar_of(const BarSource& source, std::size_t k) {
    return {source.opening_time[k], source.first_sequence[k], source.last_sequence[k], source.ticks[k],
            source.instrument[k]};
}

// What is wrong with a bar behind the one before it (nullptr: it is the first), or nullptr. One set of rules for what
// is written and what is read.
const char* fault(const BarBlockHeader& header, const Bar& bar, const Bar* before) {
    if (bar.instrument < 0 || bar.instrument > std::numeric_limits<std::int32_t>::max()) {
        return "the instrument's number must lie in 0 .. 2^31 - 1";
    }
    if (bar.opening_time > std::numeric_limits<std::int64_t>::max() - header.length) {
        return "the end of the bar is beyond int64";
    }
    if (bar.first_sequence < 1 || bar.last_sequence < bar.first_sequence ||
        bar.last_sequence > header.prefix.sequence) {
        return "sequences must be 1 <= first <= last <= the block's";
    }
    if (bar.ticks == 0 || bar.ticks - 1 > static_cast<std::uint64_t>(bar.last_sequence - bar.first_sequence)) {
        return "ticks must lie in 1 .. last sequence - first sequence + 1";
    }
    if (before != nullptr && (bar.opening_time < before->opening_time ||
                              (bar.opening_time == before->opening_time && bar.instrument <= before->instrument))) {
        return "bars must ascend by opening time and instrument";
    }
    return nullptr;
}

const char* fault(const BarBlockHeader& header) {
    if (header.prefix.sequence < 1) return "the sequence must be at least 1";
    if (header.length < 1) return "the length must be at least 1 ns";
    return nullptr;
}

// What went wrong with bar k, told with its values.
Status wrong_bar(Code code, const char* what, std::size_t k, std::size_t at, const Bar& bar) {
    return failure(code,
                   "bar block: %s: bar %zu at byte %zu has opening time %" PRId64 ", instrument %" PRId64
                   ", sequences %" PRId64 " .. %" PRId64 ", %" PRIu32 " ticks",
                   what, k, at, bar.opening_time, bar.instrument, bar.first_sequence, bar.last_sequence, bar.ticks);
}

// All bars of a block, whatever they are taken from: `bar(k)` gives bar k, `at(k)` its place in the message.
template <typename BarAt, typename ByteAt>
Status check_bars(Code code, const BarBlockHeader& header, std::size_t bars, BarAt bar, ByteAt at) {
    if (const char* what = fault(header)) {
        return failure(code, "bar block: %s: sequence %" PRId64 ", length %" PRId64, what, header.prefix.sequence,
                       header.length);
    }
    Bar before{};
    for (std::size_t k = 0; k < bars; ++k) {
        const Bar found = bar(k);
        if (const char* what = fault(header, found, k == 0 ? nullptr : &before)) {
            return wrong_bar(code, what, k, at(k), found);
        }
        before = found;
    }
    return {};
}

}  // namespace

Status encode_bar_block(const BarBlockHeader& header, const BarSource& source, std::size_t bars, std::byte* out,
                        std::size_t capacity, std::size_t* written) {
    const std::size_t size = bar_block_size(bars);
    if (size == 0) {
        return failure(Code::invalid_argument, "a bar block has 1 to %zu bars, not %zu", kMaximumEntries, bars);
    }
    if (Status status = check_capacity(kBarBlock.name, capacity, size); !status.ok()) return status;
    const auto bar = [&](std::size_t k) { return bar_of(source, k); };
    const auto place = [&](std::size_t k) { return size - (bars - k) * kBarSize; };
    if (Status status = check_bars(Code::invalid_argument, header, bars, bar, place); !status.ok()) return status;

    put_prefix(kBarBlock, header.prefix, out);
    store_little(out + kLengthAt, header.length);
    store_little(out + kFinalAt, std::uint32_t{header.final});
    std::byte* at = put_group(out + kHeaderSize + kBarBlock.root_size, kBarSize, bars);
    for (std::size_t k = 0; k < bars; ++k, at += kBarSize) {
        store_little(at, source.opening_time[k]);
        store_little(at + kOpenAt, source.open[k]);
        store_little(at + kOpenAt + 8, source.high[k]);
        store_little(at + kOpenAt + 16, source.low[k]);
        store_little(at + kOpenAt + 24, source.close[k]);
        store_little(at + kFirstSequenceAt, source.first_sequence[k]);
        store_little(at + kLastSequenceAt, source.last_sequence[k]);
        store_little(at + kTicksAt, source.ticks[k]);
        store_little(at + kNumberAt, source.instrument[k]);
    }
    put_checksum(out, size);
    *written = size;
    return {};
}

Status check_bar_block(Bytes message, BarBlockView* view) {
    Cursor cursor;
    BarBlockView found;
    if (Status status = take_header(message, kBarBlock, &cursor); !status.ok()) return status;
    if (Status status = take_group(cursor, "bars", kBarSize, &found.bars); !status.ok()) return status;
    if (found.bars.count == 0 || found.bars.count > kMaximumEntries) {
        return failure(Code::malformed, "bar block: %zu bars, expected 1 .. %zu", found.bars.count, kMaximumEntries);
    }
    if (Status status = check_end(cursor); !status.ok()) return status;
    const auto final = load_little<std::uint32_t>(message.data + kFinalAt);
    if (final > 1) {
        return failure(Code::malformed, "bar block: isFinal is %" PRIu32 " at byte %zu, expected 0 or 1", final,
                       kFinalAt);
    }
    found.header = {load_prefix(message.data), load_little<std::int64_t>(message.data + kLengthAt), final == 1};
    const auto entry = [&](std::size_t k) { return found.bars.entries + k * found.bars.stride; };
    const auto bar = [&](std::size_t k) { return load_bar(entry(k)); };
    const auto at = [&](std::size_t k) { return static_cast<std::size_t>(entry(k) - message.data); };
    Status status = check_bars(Code::malformed, found.header, found.bars.count, bar, at);
    if (status.ok()) *view = found;
    return status;
}

Status check_bar_blocks(const Bytes* messages, std::size_t count, std::uint64_t fingerprint, std::uint32_t partition,
                        BarBlockView* views, std::size_t* bars, std::size_t* failed) {
    std::size_t total = 0;
    for (std::size_t m = 0; m < count; ++m) {
        *failed = m;
        if (Status status = check_bar_block(messages[m], &views[m]); !status.ok()) return status;
        if (Status status = check_origin(kBarBlock.name, views[m].header.prefix, fingerprint, partition);
            !status.ok()) {
            return status;
        }
        total += views[m].bars.count;
    }
    *bars = total;
    return {};
}

void read_bar_blocks(const BarBlockView* views, std::size_t count, const BarColumns& columns) {
    std::size_t to = 0;
    for (const BarBlockView* view = views; view != views + count; ++view) {
        const std::byte* at = view->bars.entries;
        for (std::size_t k = 0; k < view->bars.count; ++k, ++to, at += view->bars.stride) {
            columns.opening_time[to] = load_little<std::int64_t>(at);
            columns.instrument[to] = load_little<std::int32_t>(at + kNumberAt);
            columns.open[to] = load_little<double>(at + kOpenAt);
            columns.high[to] = load_little<double>(at + kOpenAt + 8);
            columns.low[to] = load_little<double>(at + kOpenAt + 16);
            columns.close[to] = load_little<double>(at + kOpenAt + 24);
            columns.first_sequence[to] = load_little<std::int64_t>(at + kFirstSequenceAt);
            columns.last_sequence[to] = load_little<std::int64_t>(at + kLastSequenceAt);
            columns.ticks[to] = load_little<std::uint32_t>(at + kTicksAt);
            columns.length[to] = view->header.length;
            columns.final[to] = view->header.final ? 1 : 0;
        }
    }
}

}  // namespace pseudofeed::encode
