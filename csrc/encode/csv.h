// CSV rows: a timestamp and doubles, "2026-03-02T14:30:01.500Z,101.25,0.04\n". For many files in one call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace pseudofeed::encode {

// Two matrices (rows, width), row by row, and each row's time. A file takes `columns` columns of both: file f has, in
// each row, the time, then first[c], second[c] for the columns c from begin + f * columns on.
//
//   ticks of three instruments: width 3, files 3, columns 1    factors: width K, files 1, columns K
//     first = prices, second = variances                         first = increments, second = levels
struct CsvSource {
    std::size_t rows;
    const std::int64_t* times;  // ns since 1970, one a row
    int decimals;               // of the second: 0, 3, 6 or 9
    const double* first;
    const double* second;
    std::size_t width;
    std::size_t begin;
    std::size_t files;
    std::size_t columns;  // at least 1
};

// The most bytes that such rows can have.
std::size_t csv_size_limit(std::size_t rows, std::size_t files, std::size_t columns);

// Writes the rows of file 0, then those of file 1, and so on; ends[f] is where those of file f end.
//
// A number has the fewest digits that read back to the same double, and always a decimal point, so that a reader
// that infers a column's type from its first values does not infer integers. It has no exponent from 1e-4 on and below
// 1e16. A number that is not finite is an empty field.
//
// Fails, with `out` unchanged, if a time needs more than `decimals` decimals, or `capacity` is below the limit.
Status encode_csv(const CsvSource& source, std::byte* out, std::size_t capacity, std::int64_t* ends);

}  // namespace pseudofeed::encode
