#include "encode/copy_rows.h"

#include <algorithm>
#include <array>
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

// Rows whose places are found at once, and which are then written column by column: so each column is one loop without
// a branch, and the rows stay in the first level of cache between the loops.
constexpr std::size_t kRun = 256;

// Bytes of the value in its row; of a text at most.
std::size_t value_size(const CopyColumn& column) {
    switch (column.type) {
        case CopyType::time:
        case CopyType::microseconds:
        case CopyType::f8:
        case CopyType::i8:
        case CopyType::u4:
            return 8;
        case CopyType::id:
        case CopyType::i4:
        case CopyType::u2:
            return 4;
        case CopyType::nanoseconds:
        case CopyType::u1:
        case CopyType::i1:
            return 2;
        case CopyType::text:
            return column.width;
    }
    return 0;
}

template <typename Value>
Value load(const std::byte* at) {
    Value value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

std::int64_t floor_microseconds(std::int64_t time) {
    return time / kNanosecondsPerMicrosecond - (time % kNanosecondsPerMicrosecond < 0);
}

std::size_t text_size(const std::byte* text, std::size_t width) {
    while (width > 0 && text[width - 1] == std::byte{0}) --width;
    return width;
}

// Counts the rows of each number in `counts` (zeroed), checking every row.
Status count_rows(const CopyRowsSource& source, std::size_t* counts) {
    for (std::size_t k = 0; k < source.rows; ++k) {
        const std::int32_t number = source.number[k];
        if (number < 0 || static_cast<std::size_t>(number) >= source.numbers) {
            return failure(Code::invalid_argument,
                           "row %zu is of number %" PRId32 ", the store knows the numbers 0 .. %" PRId64, k, number,
                           static_cast<std::int64_t>(source.numbers) - 1);
        }
        ++counts[number];
    }
    return {};
}

Status check_times(const CopyRowsSource& source, const CopyColumn& column) {
    for (std::size_t k = 0; k < source.rows; ++k) {
        const auto time = load<std::int64_t>(column.data + static_cast<std::ptrdiff_t>(k) * column.stride);
        if (time % kNanosecondsPerMicrosecond != 0) {
            return failure(Code::invalid_argument,
                           "row %zu (of number %" PRId32 ") is at %" PRId64
                           " ns, not a whole microsecond: PostgreSQL keeps no finer times",
                           k, source.number[k], time);
        }
    }
    return {};
}

// Writes one column of the rows first .. first + count - 1. `at[k]`: where the column's length stands in row first + k;
// moved on behind the value.
template <typename Value, typename Make>
void put_column(const CopyColumn& column, std::size_t first, std::size_t count, std::byte** at, Make make) {
    const std::byte* value = column.data + static_cast<std::ptrdiff_t>(first) * column.stride;
    for (std::size_t k = 0; k < count; ++k, value += column.stride) {
        const auto made = make(load<Value>(value));
        store_big(at[k], static_cast<std::int32_t>(sizeof made));
        store_big(at[k] + 4, made);
        at[k] += 4 + sizeof made;
    }
}

void put_texts(const CopyColumn& column, std::size_t first, std::size_t count, std::byte** at) {
    const std::byte* value = column.data + static_cast<std::ptrdiff_t>(first) * column.stride;
    for (std::size_t k = 0; k < count; ++k, value += column.stride) {
        const std::size_t size = text_size(value, column.width);
        store_big(at[k], static_cast<std::int32_t>(size));
        std::memcpy(at[k] + 4, value, size);
        at[k] += 4 + size;
    }
}

void put_values(const CopyRowsSource& source, const CopyColumn& column, std::size_t first, std::size_t count,
                std::byte** at) {
    const auto as = [&]<typename Value>(auto make, Value) { put_column<Value>(column, first, count, at, make); };
    switch (column.type) {
        case CopyType::time:
            return as([](std::int64_t time) { return time / kNanosecondsPerMicrosecond - kPostgresEpoch; },
                      std::int64_t{});
        case CopyType::microseconds:
            return as([](std::int64_t time) { return floor_microseconds(time) - kPostgresEpoch; }, std::int64_t{});
        case CopyType::nanoseconds:
            return as(
                [](std::int64_t time) {
                    return static_cast<std::int16_t>(time - floor_microseconds(time) * kNanosecondsPerMicrosecond);
                },
                std::int64_t{});
        case CopyType::id:
            return as([&](std::int32_t number) { return source.ids[number]; }, std::int32_t{});
        case CopyType::f8:
            return as([](double value) { return value; }, double{});
        case CopyType::i8:
            return as([](std::int64_t value) { return value; }, std::int64_t{});
        case CopyType::i4:
            return as([](std::int32_t value) { return value; }, std::int32_t{});
        case CopyType::u4:
            return as([](std::uint32_t value) { return static_cast<std::int64_t>(value); }, std::uint32_t{});
        case CopyType::u2:
            return as([](std::uint16_t value) { return static_cast<std::int32_t>(value); }, std::uint16_t{});
        case CopyType::u1:
            return as([](std::uint8_t value) { return static_cast<std::int16_t>(value); }, std::uint8_t{});
        case CopyType::i1:
            return as([](std::int8_t value) { return static_cast<std::int16_t>(value); }, std::int8_t{});
        case CopyType::text:
            return put_texts(column, first, count, at);
    }
}

// Bytes of a row whose texts are as long as they may be.
std::size_t row_size(const CopyRowsSource& source) {
    std::size_t size = 2;
    for (std::size_t c = 0; c < source.column_count; ++c) size += 4 + value_size(source.columns[c]);
    return size;
}

// How much shorter row k is than that.
std::size_t spared(const CopyRowsSource& source, std::size_t k) {
    std::size_t bytes = 0;
    for (std::size_t c = 0; c < source.column_count; ++c) {
        const CopyColumn& column = source.columns[c];
        if (column.type != CopyType::text) continue;
        const std::byte* value = column.data + static_cast<std::ptrdiff_t>(k) * column.stride;
        bytes += column.width - text_size(value, column.width);
    }
    return bytes;
}

}  // namespace

std::size_t copy_rows_size(const CopyRowsSource& source) {
    return kCopyHeaderSize + row_size(source) * source.rows + kCopyTrailerSize;
}

Status encode_copy_rows(const CopyRowsSource& source, std::byte* out, std::size_t capacity, std::size_t* written) {
    const std::size_t size = copy_rows_size(source);
    if (source.column_count == 0 || source.column_count > kMaximumCopyColumns) {
        return failure(Code::invalid_argument, "a row has 1 .. %zu columns, not %zu", kMaximumCopyColumns,
                       source.column_count);
    }
    if (capacity < size) {
        return failure(Code::invalid_argument, "the buffer has room for %zu bytes, the rows need %zu", capacity, size);
    }
    const std::unique_ptr<std::size_t[]> next(new (std::nothrow) std::size_t[source.numbers]());
    if (!next) return failure(Code::out_of_memory, "no memory for the counts of %zu numbers", source.numbers);
    if (Status status = count_rows(source, next.get()); !status.ok()) return status;
    bool texts = false;
    for (std::size_t c = 0; c < source.column_count; ++c) {
        texts |= source.columns[c].type == CopyType::text;
        if (source.columns[c].type != CopyType::time) continue;
        if (Status status = check_times(source, source.columns[c]); !status.ok()) return status;
    }

    // A counting sort: every row's place follows from the counts, so each row is written once.
    const std::size_t whole = row_size(source);
    for (std::size_t i = 0; i < source.numbers; ++i) next[i] *= whole;
    if (texts) {
        for (std::size_t k = 0; k < source.rows; ++k) next[source.number[k]] -= spared(source, k);
    }
    std::size_t place = kCopyHeaderSize;
    for (std::size_t i = 0; i < source.numbers; ++i) {
        const std::size_t bytes = next[i];
        next[i] = place;
        place += bytes;
    }
    std::memcpy(out, kSignature, sizeof kSignature);
    std::memset(out + sizeof kSignature, 0, kCopyHeaderSize - sizeof kSignature);
    std::array<std::byte*, kRun> at;
    for (std::size_t first = 0; first < source.rows; first += kRun) {
        const std::size_t count = std::min(kRun, source.rows - first);
        for (std::size_t k = 0; k < count; ++k) {
            std::size_t& own = next[source.number[first + k]];
            store_big(out + own, static_cast<std::int16_t>(source.column_count));
            at[k] = out + own + 2;
            own += texts ? whole - spared(source, first + k) : whole;
        }
        for (std::size_t c = 0; c < source.column_count; ++c) {
            put_values(source, source.columns[c], first, count, at.data());
        }
    }
    store_big(out + place, std::int16_t{-1});
    *written = place + kCopyTrailerSize;
    return {};
}

}  // namespace pseudofeed::encode
