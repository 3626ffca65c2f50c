// The common parts of all SBE messages (src/pseudofeed/encode/pseudofeed.sbe.xml, docs/wire.md): header, the first four
// fields of the root block, groups and the checksum. One function for each serves every message.
//
//   0 uint16 blockLength   2 uint16 templateId   4 uint16 schemaId   6 uint16 version
//   8 uint64 fingerprint  16 int64 sequence     24 uint32 partition 28 uint32 checksum, of all bytes but its own
#pragma once

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace pseudofeed::encode {

// The schema's version. A later one may only lengthen the root blocks and the entries of the groups; a reader of this
// one skips what was added (SBE 1.0, "Schema extension mechanism").
inline constexpr std::uint16_t kSchemaId = 1;
inline constexpr std::uint16_t kVersion = 0;

inline constexpr std::size_t kHeaderSize = 8;
inline constexpr std::size_t kFingerprintAt = 8;
inline constexpr std::size_t kSequenceAt = 16;
inline constexpr std::size_t kPartitionAt = 24;
inline constexpr std::size_t kChecksumAt = 28;
inline constexpr std::size_t kPrefixSize = 32;
inline constexpr std::size_t kGroupSize = 4;  // blockLength, numInGroup: uint16 each

// SBE counts a group's entries in a uint16 whose 65535 means null.
inline constexpr std::size_t kMaximumEntries = 65534;

// One message. Borrows.
struct Bytes {
    const std::byte* data = nullptr;
    std::size_t size = 0;
};

// A kind of message, for its reader. root_size: of the root block, including the four common fields.
struct Template {
    const char* name;
    std::uint16_t id;
    std::uint16_t root_size;
};

struct Prefix {
    std::uint64_t fingerprint = 0;
    std::int64_t sequence = 0;
    std::uint32_t partition = 0;
};

// Header and common fields; the checksum is written last, when everything else is there.
void put_prefix(const Template& kind, const Prefix& prefix, std::byte* out);
std::byte* put_group(std::byte* at, std::size_t entry_size, std::size_t entries);  // returns where entries begin
void put_checksum(std::byte* message, std::size_t size);

Prefix load_prefix(const std::byte* message);

// A position in a message that is being checked.
struct Cursor {
    Bytes message;
    const char* name = "";
    std::size_t at = 0;
    bool newer = false;  // of a newer version, which may have longer blocks
};

struct Group {
    const std::byte* entries = nullptr;
    std::size_t stride = 0;  // bytes from one entry to the next
    std::size_t count = 0;
};

// The checks, in their order. All fail with malformed, and say what was found, what was expected and where.
Status take_header(Bytes message, const Template& kind, Cursor* cursor);
Status take_group(Cursor& cursor, const char* name, std::size_t entry_size, Group* group);
Status check_end(const Cursor& cursor);  // nothing after the last group, and the checksum is right

// sequence .. sequence + steps - 1 lie in 1 .. 2^63 - 1.
Status check_sequences(const Cursor& cursor, std::int64_t sequence, std::size_t steps);
// Strictly ascending int64 in the first bytes of the entries.
Status check_times(const Cursor& cursor, const Group& steps);
// A message of this market and partition.
Status check_origin(const char* name, const Prefix& found, std::uint64_t fingerprint, std::uint32_t partition);

// The same rules for values to be encoded: invalid_argument, with the names of the Python arguments.
Status check_source_range(std::int64_t first_sequence, std::size_t steps);
Status check_source_steps(std::int64_t first_sequence, const std::int64_t* times, std::size_t steps);
Status check_capacity(const char* name, std::size_t capacity, std::size_t size);

}  // namespace pseudofeed::encode
