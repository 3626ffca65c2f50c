// Records as rows of PostgreSQL's binary COPY: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
// The columns of a row are data, so one encoder serves the tables of every kind of record.
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace pseudofeed::encode {

inline constexpr std::size_t kCopyHeaderSize = 19;  // signature, flags, length of the header's extension
inline constexpr std::size_t kCopyTrailerSize = 2;  // a field count of -1
inline constexpr std::size_t kMaximumCopyColumns = 32;

// How the values of a column are encoded: their C++ type -> their PostgreSQL type.
enum class CopyType : int {
    time,          // int64, ns since 1970, whole microseconds -> timestamptz
    microseconds,  // int64, ns since 1970 -> timestamptz, rounded down to microseconds
    nanoseconds,   // int64, ns since 1970 -> int2, the rest below a microsecond: 0 .. 999
    id,            // int32, number in the market -> int4, the store's id of it
    f8,            // double -> float8
    i8,            // int64 -> int8
    i4,            // int32 -> int4
    u4,            // uint32 -> int8
    u2,            // uint16 -> int4
    u1,            // uint8 -> int2
    i1,            // int8 -> int2
    text,          // `width` bytes of UTF-8, padded with zeros -> text
};

// Values of a column: row k's begin at data + k * stride, of `width` bytes each. Borrows.
struct CopyColumn {
    CopyType type = CopyType::f8;
    const std::byte* data = nullptr;
    std::ptrdiff_t stride = 0;
    std::size_t width = 0;
};

// The input of a call. Borrows every pointer for the call.
struct CopyRowsSource {
    std::size_t rows = 0;
    const std::int32_t* number = nullptr;  // (rows), numbers in the market
    const std::int32_t* ids = nullptr;     // (numbers), the store's id of each number
    std::size_t numbers = 0;
    const CopyColumn* columns = nullptr;  // (column_count), 1 .. kMaximumCopyColumns
    std::size_t column_count = 0;
};

// The most bytes of header, rows and trailer; with texts there may be fewer.
std::size_t copy_rows_size(const CopyRowsSource& source);

// Encodes header, rows and trailer to `out`; `*written` bytes of it. Rows are grouped by number, ascending; within a
// number they keep their order. So if times ascend within each number, as they do in the messages
// of a partition, rows are sorted by (number, time): the order in which the store's index takes them fastest. On
// failure (invalid_argument: a number without an id, a time that is not a whole microsecond) `out` is not touched.
Status encode_copy_rows(const CopyRowsSource& source, std::byte* out, std::size_t capacity, std::size_t* written);

}  // namespace pseudofeed::encode
