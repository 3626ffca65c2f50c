#include "encode/copy_rows.h"

#include <cinttypes>
#include <cstring>
#include <memory>
#include <new>

#include "encode/byte_order.h"

namespace pseudofeed::encode {
namespace {

constexpr char kSignature[] = "PGCOPY\n\377\r\n";  // with its terminating 0: eleven bytes
static_assert(sizeof kSignature == 11);

constexpr std::int64_t kNanosecondsPerMicrosecond = 1000;
constexpr std::int64_t kPostgresEpoch = 946'684'800'000'000;  // 2000-01-01 in microseconds since 1970-01-01, UTC

// Counts the ticks of each instrument in `counts` (zeroed), checking every tick.
Status count_ticks(const CopyRowsSource& source, std::size_t* counts) {
    for (std::size_t k = 0; k < source.ticks; ++k) {
        const std::int32_t number = source.instrument[k];
        if (number < 0 || static_cast<std::size_t>(number) >= source.instruments) {
            return failure(Code::invalid_argument,
                           "tick %zu is of instrument number %" PRId32 ", the store knows the numbers 0 .. %" PRId64, k,
                           number, static_cast<std::int64_t>(source.instruments) - 1);
        }
        if (source.time[k] % kNanosecondsPerMicrosecond != 0) {
            return failure(Code::invalid_argument,
                           "tick %zu (instrument number %" PRId32 ") is at %" PRId64
                           " ns, not a whole microsecond: PostgreSQL keeps no finer times",
                           k, number, source.time[k]);
        }
        ++counts[number];
    }
    return {};
}

void put_row(std::byte* at, std::int64_t time, std::int32_t id, double price, double variance) {
    store_big(at, std::int16_t{4});
    store_big(at + 2, std::int32_t{8});
    store_big(at + 6, time / kNanosecondsPerMicrosecond - kPostgresEpoch);
    store_big(at + 14, std::int32_t{4});
    store_big(at + 18, id);
    store_big(at + 22, std::int32_t{8});
    store_big(at + 26, price);
    store_big(at + 34, std::int32_t{8});
    store_big(at + 38, variance);
}

}  // namespace

Status encode_copy_rows(const CopyRowsSource& source, std::byte* out, std::size_t capacity) {
    const std::size_t size = copy_rows_size(source.ticks);
    if (capacity < size) {
        return failure(Code::invalid_argument, "the buffer has room for %zu bytes, the rows need %zu", capacity, size);
    }
    const std::unique_ptr<std::size_t[]> next(new (std::nothrow) std::size_t[source.instruments]());
    if (!next) return failure(Code::out_of_memory, "no memory for the counts of %zu instruments", source.instruments);
    if (Status status = count_ticks(source, next.get()); !status.ok()) return status;

    // A counting sort: every row's place follows from the counts, so each row is written once.
    std::size_t place = 0;
    for (std::size_t i = 0; i < source.instruments; ++i) {
        const std::size_t ticks = next[i];
        next[i] = place;
        place += ticks;
    }
    std::memcpy(out, kSignature, sizeof kSignature);
    std::memset(out + sizeof kSignature, 0, kCopyHeaderSize - sizeof kSignature);
    std::byte* rows = out + kCopyHeaderSize;
    for (std::size_t k = 0; k < source.ticks; ++k) {
        const std::int32_t number = source.instrument[k];
        put_row(rows + kCopyRowSize * next[number]++, source.time[k], source.instrument_ids[number], source.price[k],
                source.variance[k]);
    }
    store_big(rows + kCopyRowSize * source.ticks, std::int16_t{-1});
    return {};
}

}  // namespace pseudofeed::encode
