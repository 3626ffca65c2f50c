// The implementations of CRC-32, each in a file of its own; crc32.cpp chooses one. The processor must have the
// instructions that are named.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pseudofeed::encode {

// No special instructions.
std::uint32_t crc32_tables(const std::byte* data, std::size_t size, std::uint32_t sum);
#if defined(__x86_64__)
std::uint32_t crc32_pclmulqdq(const std::byte* data, std::size_t size, std::uint32_t sum);   // PCLMULQDQ, SSE4.1
std::uint32_t crc32_vpclmulqdq(const std::byte* data, std::size_t size, std::uint32_t sum);  // VPCLMULQDQ, AVX-512F
#elif defined(__aarch64__)
std::uint32_t crc32_pmull(const std::byte* data, std::size_t size, std::uint32_t sum);  // PMULL
#endif

}  // namespace pseudofeed::encode
