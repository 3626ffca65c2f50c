// Ticks as rows of PostgreSQL's binary COPY for the table tick(time timestamptz, instrument_id int4, price float8,
// variance float8): https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace pseudofeed::encode {

inline constexpr std::size_t kCopyHeaderSize = 19;  // signature, flags, length of the header's extension
inline constexpr std::size_t kCopyTrailerSize = 2;  // a field count of -1
inline constexpr std::size_t kCopyRowSize = 46;     // field count, then length and bytes of each of the four fields

constexpr std::size_t copy_rows_size(std::size_t ticks) {
    return kCopyHeaderSize + kCopyRowSize * ticks + kCopyTrailerSize;
}

// What rows are made from. Borrows every pointer for the call.
struct CopyRowsSource {
    std::size_t ticks = 0;
    const std::int64_t* time = nullptr;            // (ticks), ns since the epoch, whole microseconds
    const std::int32_t* instrument = nullptr;      // (ticks), numbers in the market
    const double* price = nullptr;                 // (ticks)
    const double* variance = nullptr;              // (ticks)
    const std::int32_t* instrument_ids = nullptr;  // (instruments), the store's id of each number
    std::size_t instruments = 0;
};

// Encodes header, rows and trailer to `out`, copy_rows_size(ticks) bytes. Rows are grouped by instrument, numbers
// ascending; within an instrument they keep the order in which they came. So where times ascend within each
// instrument, as they do in the messages of a partition, rows are sorted by (instrument, time): the order in which the
// store's index takes them fastest. On failure (invalid_argument: an instrument outside of the ids, a time that is not
// a whole microsecond) `out` is not touched.
Status encode_copy_rows(const CopyRowsSource& source, std::byte* out, std::size_t capacity);

}  // namespace pseudofeed::encode
