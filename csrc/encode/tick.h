// A single tick as one message: in SBE (template 2 of src/pseudofeed/encode/pseudofeed.sbe.xml), or as JSON for people
// and simple consumers. docs/wire.md has both layouts; ticks.h decodes whole batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "encode/message.h"
#include "encode/text.h"
#include "status.h"

namespace pseudofeed::encode {

struct Tick {
    std::uint64_t fingerprint;
    std::int64_t sequence;  // >= 1
    std::int64_t time;      // ns since 1970
    std::uint32_t partition;
    std::int32_t number;  // of the instrument in the market, >= 0
    double price;
    double variance;
};

inline constexpr std::size_t tick_size = 60;

// Writes tick_size bytes. The caller has checked sequence and number. Every double keeps all its bits.
void encode_tick(const Tick& tick, std::byte* out);

// Checks one SBE tick: header, length, checksum, sequence and number. On failure (malformed) `*tick` is not touched.
Status check_tick(Bytes message, Tick* tick);

// {"symbol":S,"time":"2026-03-02T14:30:01.000000000Z","sequence":1,"price":100.1,"variance":0.04,"instrument":0,
// "market_fingerprint":"16 hexadecimal digits"}, without spaces and line breaks. The doubles are the shortest decimals
// that give the same bits again.
constexpr std::size_t tick_json_limit(std::size_t symbol_size);

// Writes at most tick_json_limit(symbol_json.size()) bytes and returns their number; 0, with nothing written, if
// price or variance is not finite, because JSON has no such numbers. symbol_json is a JSON string already, quotes and
// escapes included. The partition is not written. The caller has checked sequence and number.
std::size_t encode_tick_json(const Tick& tick, std::string_view symbol_json, std::byte* out);

// Checks one JSON tick and reads it: exactly the bytes that encode_tick_json writes for some symbol, or malformed, with
// `*tick` untouched. The tick's partition is 0, because JSON does not have it.
Status check_tick_json(Bytes message, Tick* tick);

namespace json {
inline constexpr std::string_view symbol = "{\"symbol\":";
inline constexpr std::string_view time = ",\"time\":\"";
inline constexpr std::string_view sequence = "\",\"sequence\":";
inline constexpr std::string_view price = ",\"price\":";
inline constexpr std::string_view variance = ",\"variance\":";
inline constexpr std::string_view instrument = ",\"instrument\":";
inline constexpr std::string_view fingerprint = ",\"market_fingerprint\":\"";
inline constexpr std::string_view end = "\"}";

inline constexpr std::size_t sequence_limit = 19;    // 2^63 - 1
inline constexpr std::size_t instrument_limit = 10;  // 2^31 - 1
inline constexpr std::size_t fingerprint_size = 16;
inline constexpr std::size_t tail_limit = time.size() + time_text_size + sequence.size() + sequence_limit +
                                          price.size() + double_text_limit + variance.size() + double_text_limit +
                                          instrument.size() + instrument_limit + fingerprint.size() + fingerprint_size +
                                          end.size();
}  // namespace json

constexpr std::size_t tick_json_limit(std::size_t symbol_size) {
    return json::symbol.size() + symbol_size + json::tail_limit;
}

}  // namespace pseudofeed::encode
