// Loads and stores of numbers at any address in a stated byte order: SBE is little-endian, PostgreSQL's binary COPY is
// big-endian. memcpy is the well-defined way to access unaligned bytes, and compilers turn it into one instruction.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

namespace pseudofeed::encode {

static_assert(std::endian::native == std::endian::little || std::endian::native == std::endian::big);
static_assert(std::numeric_limits<double>::is_iec559 && sizeof(double) == 8);

template <std::endian order, typename Number>
    requires std::is_arithmetic_v<Number>
inline void store(std::byte* at, Number value) {
    auto bytes = std::bit_cast<std::array<std::byte, sizeof(Number)>>(value);
    if constexpr (order != std::endian::native) {
        for (std::size_t i = 0; i < sizeof(Number) / 2; ++i) std::swap(bytes[i], bytes[sizeof(Number) - 1 - i]);
    }
    std::memcpy(at, bytes.data(), sizeof(Number));
}

template <std::endian order, typename Number>
    requires std::is_arithmetic_v<Number>
inline Number load(const std::byte* at) {
    std::array<std::byte, sizeof(Number)> bytes;
    std::memcpy(bytes.data(), at, sizeof(Number));
    if constexpr (order != std::endian::native) {
        for (std::size_t i = 0; i < sizeof(Number) / 2; ++i) std::swap(bytes[i], bytes[sizeof(Number) - 1 - i]);
    }
    return std::bit_cast<Number>(bytes);
}

template <typename Number>
inline void store_little(std::byte* at, Number value) {
    store<std::endian::little>(at, value);
}

template <typename Number>
inline void store_big(std::byte* at, Number value) {
    store<std::endian::big>(at, value);
}

template <typename Number>
inline Number load_little(const std::byte* at) {
    return load<std::endian::little, Number>(at);
}

}  // namespace pseudofeed::encode
