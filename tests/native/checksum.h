// The checksum of the golden tables: a sum over the words' places, which Python computes too
// (tests/unit/test_golden.py).
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace pseudofeed::test {

inline std::uint64_t checksum(const std::vector<const std::vector<double>*>& arrays) {
    std::uint64_t sum = 0, place = 0;
    for (const auto* values : arrays) {
        for (const double value : *values) {
            std::uint64_t word;
            std::memcpy(&word, &value, sizeof word);
            sum += (word ^ (word >> 29)) * (2 * place++ + 1);
        }
    }
    return sum;
}

}  // namespace pseudofeed::test
