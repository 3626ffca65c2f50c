// CRC-32 as zlib, PNG and Ethernet compute it (ISO 3309: polynomial 0xEDB88320 reflected, start and end inverted),
// which every language has in a library. `crc32(data, size, crc32(before))` continues a sum, as zlib's own function
// does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pseudofeed::encode {

std::uint32_t crc32(const std::byte* data, std::size_t size, std::uint32_t sum = 0);

using Crc32 = std::uint32_t (*)(const std::byte* data, std::size_t size, std::uint32_t sum);

// An implementation. All give the same sums for any data and size.
struct Crc32Kernel {
    const char* name;  // "vpclmulqdq", "pclmulqdq", "pmull" or "tables"
    Crc32 crc32;
};

// The one that crc32() uses: the fastest that the processor has and PSEUDOFEED_ISA (isa.h) allows, chosen once.
// avx512 allows all, avx2 pclmulqdq, baseline tables.
const Crc32Kernel& crc32_kernel();

// All that this processor supports, fastest first: for tests and benchmarks.
std::vector<Crc32Kernel> crc32_kernels();

}  // namespace pseudofeed::encode
