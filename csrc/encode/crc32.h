// CRC-32 as zlib, PNG and Ethernet compute it (ISO 3309: polynomial 0xEDB88320 reflected, start and end inverted), so
// that every language has it at hand. `crc32(data, size, crc32(before))` continues a sum, as zlib's own function does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pseudofeed::encode {

std::uint32_t crc32(const std::byte* data, std::size_t size, std::uint32_t sum = 0);

}  // namespace pseudofeed::encode
