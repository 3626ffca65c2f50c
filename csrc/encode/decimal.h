// Decimal text to the nearest double (ties to even), the same on every platform: `std::from_chars` of doubles is
// missing from older standard libraries, and `strtod` depends on the locale and on the rounding mode. Integers only.
#pragma once

#include <string_view>

namespace pseudofeed::encode {

// Reads a number at the beginning of `text`: an optional minus, digits with an optional point among or around them, an
// optional exponent (JSON's numbers, and ".5", "5.", "007"). Returns how many characters it took; 0, with *number
// untouched, if there is no number, or if it is too large for a double, or too small and not 0.
std::size_t read_double(std::string_view text, double* number);

}  // namespace pseudofeed::encode
