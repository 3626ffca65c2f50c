#include "encode/factor_block.h"

#include <cinttypes>

#include "encode/byte_order.h"

namespace pseudofeed::encode {
namespace {

constexpr Template kFactorBlock{"factor block", 3, 28};

constexpr std::size_t kFactorsAt = 32;
constexpr std::size_t kTimeSize = 8;    // entry of `steps`
constexpr std::size_t kValueSize = 16;  // entry of `values`

static_assert(factor_block_size(1, 1) ==
              kHeaderSize + kFactorBlock.root_size + 2 * kGroupSize + kTimeSize + kValueSize);

}  // namespace

Status encode_factor_block(const FactorBlockSource& source, std::byte* out, std::size_t capacity,
                           std::size_t* written) {
    const std::size_t size = factor_block_size(source.steps, source.factors);
    if (size == 0) {
        return failure(Code::invalid_argument, "a factor block has 1 to %zu values, not %zu steps x %zu factors",
                       kMaximumEntries, source.steps, source.factors);
    }
    if (Status status = check_capacity(kFactorBlock.name, capacity, size); !status.ok()) return status;
    if (Status status = check_source_steps(source.first_sequence, source.times, source.steps); !status.ok()) {
        return status;
    }
    put_prefix(kFactorBlock, {source.fingerprint, source.first_sequence, source.partition}, out);
    store_little(out + kFactorsAt, static_cast<std::uint32_t>(source.factors));
    std::byte* at = put_group(out + kHeaderSize + kFactorBlock.root_size, kTimeSize, source.steps);
    for (std::size_t j = 0; j < source.steps; ++j, at += kTimeSize) store_little(at, source.times[j]);
    const std::size_t values = source.steps * source.factors;
    at = put_group(at, kValueSize, values);
    for (std::size_t k = 0; k < values; ++k, at += kValueSize) {
        store_little(at, source.increments[k]);
        store_little(at + 8, source.levels[k]);
    }
    put_checksum(out, size);
    *written = size;
    return {};
}

Status check_factor_block(Bytes message, FactorBlockView* view) {
    Cursor cursor;
    FactorBlockView found;
    if (Status status = take_header(message, kFactorBlock, &cursor); !status.ok()) return status;
    if (Status status = take_group(cursor, "steps", kTimeSize, &found.steps); !status.ok()) return status;
    if (Status status = take_group(cursor, "values", kValueSize, &found.values); !status.ok()) return status;
    found.prefix = load_prefix(message.data);
    found.factors = load_little<std::uint32_t>(message.data + kFactorsAt);
    // Two numbers below 2^32: their product fits 64 bits.
    if (found.steps.count == 0 || found.values.count == 0 || found.values.count > kMaximumEntries ||
        std::uint64_t{found.values.count} != std::uint64_t{found.steps.count} * found.factors) {
        return failure(Code::malformed, "factor block: %zu values, expected %zu steps x %zu factors, 1 .. %zu",
                       found.values.count, found.steps.count, found.factors, kMaximumEntries);
    }
    if (Status status = check_end(cursor); !status.ok()) return status;
    if (Status status = check_sequences(cursor, found.prefix.sequence, found.steps.count); !status.ok()) return status;
    if (Status status = check_times(cursor, found.steps); !status.ok()) return status;
    *view = found;
    return {};
}

Status check_factor_blocks(const Bytes* messages, std::size_t count, std::uint64_t fingerprint, std::uint32_t partition,
                           std::size_t factors, FactorBlockView* views, std::size_t* rows, std::size_t* failed) {
    std::size_t total = 0;
    for (std::size_t m = 0; m < count; ++m) {
        *failed = m;
        if (Status status = check_factor_block(messages[m], &views[m]); !status.ok()) return status;
        if (Status status = check_origin(kFactorBlock.name, views[m].prefix, fingerprint, partition); !status.ok()) {
            return status;
        }
        if (views[m].factors != factors) {
            return failure(Code::malformed, "factor block: %zu factors at byte %zu, the market has %zu",
                           views[m].factors, kFactorsAt, factors);
        }
        total += views[m].values.count;
    }
    *rows = total;
    return {};
}

void read_factor_blocks(const FactorBlockView* views, std::size_t count, FactorColumns columns) {
    std::size_t to = 0;
    for (const FactorBlockView* view = views; view != views + count; ++view) {
        const std::byte* value = view->values.entries;
        for (std::size_t j = 0; j < view->steps.count; ++j) {
            const auto time = load_little<std::int64_t>(view->steps.entries + j * view->steps.stride);
            for (std::size_t k = 0; k < view->factors; ++k, ++to, value += view->values.stride) {
                columns.time[to] = time;
                columns.sequence[to] = view->prefix.sequence + static_cast<std::int64_t>(j);
                columns.number[to] = static_cast<std::int32_t>(k);
                columns.increment[to] = load_little<double>(value);
                columns.level[to] = load_little<double>(value + 8);
            }
        }
    }
}

}  // namespace pseudofeed::encode
