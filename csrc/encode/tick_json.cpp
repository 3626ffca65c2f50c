// JSON ticks. The reader takes what it needs from the bytes, writes the tick again and compares: so there is one
// definition of the form, and what is accepted is exactly what is written, down to the digits of each number.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>

#include "encode/decimal.h"
#include "encode/text.h"
#include "encode/tick.h"

namespace pseudofeed::encode {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::int64_t kDay = 86'400;

// Parsers that tell integers from doubles would read "-0" as the integer 0 and lose the sign.
char* put_double(char* at, double value) {
    return value == 0.0 && std::signbit(value) ? put(at, "-0.0") : put_shortest(at, value);
}

// All that stands behind the symbol.
char* put_tail(const Tick& tick, char* at) {
    at = put_time(put(at, json::time), tick.time);
    at = put_integer(put(at, json::sequence), tick.sequence);
    at = put_double(put(at, json::price), tick.price);
    at = put_double(put(at, json::variance), tick.variance);
    at = put_integer(put(at, json::instrument), tick.number);
    at = put(at, json::fingerprint);
    for (int shift = 60; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[tick.fingerprint >> shift & 15];
    return put(at, json::end);
}

// The rest of a message that is being read.
struct Text {
    const char* at;
    const char* end;

    std::size_t left() const { return static_cast<std::size_t>(end - at); }

    bool take(std::string_view expected) {
        if (left() < expected.size() || std::memcmp(at, expected.data(), expected.size()) != 0) return false;
        at += expected.size();
        return true;
    }

    template <typename Number, typename... Base>
    bool take_number(Number* number, Base... base) {
        const auto [behind, error] = std::from_chars(at, end, *number, base...);
        at = behind;
        return error == std::errc{};
    }

    bool take_number(double* number) {
        const std::size_t size = read_double({at, left()}, number);
        at += size;
        return size != 0;
    }

    // Reads on where it can't be a time: writing it again tells.
    bool take_time(std::int64_t* time) {
        using namespace std::chrono;
        if (left() < time_text_size) return false;
        const auto number = [this](std::size_t from, std::size_t digits) {
            std::uint64_t value = 0;
            for (std::size_t i = from; i < from + digits; ++i) {
                value = value * 10 + static_cast<unsigned char>(at[i] - '0') % 10;
            }
            return value;
        };
        const auto month_number = static_cast<unsigned>(number(5, 2));
        if (month_number < 1 || month_number > 12) return false;
        const sys_days date{year{static_cast<int>(number(0, 4))} / static_cast<int>(month_number) /
                            static_cast<int>(number(8, 2))};
        const std::uint64_t second = number(11, 2) * 3600 + number(14, 2) * 60 + number(17, 2) +
                                     static_cast<std::uint64_t>(date.time_since_epoch().count() * kDay);
        *time = static_cast<std::int64_t>(second * kSecond + number(20, 9));
        at += time_text_size;
        return true;
    }

    bool take_hexadecimal() {
        for (int i = 0; i < 4; ++i, ++at) {
            if (at == end || std::strchr("0123456789abcdefABCDEF", *at) == nullptr || *at == 0) return false;
        }
        return true;
    }

    // One character of well-formed UTF-8 (RFC 3629, section 4) that is neither a quote, a backslash nor a control.
    bool take_character() {
        const auto byte = [this](std::size_t i) { return static_cast<unsigned char>(at[i]); };
        const unsigned lead = byte(0);
        const std::size_t size = lead < 0x80   ? 1
                                 : lead < 0xC2 ? 0
                                 : lead < 0xE0 ? 2
                                 : lead < 0xF0 ? 3
                                 : lead < 0xF5 ? 4
                                               : 0;
        if (size == 0 || size > left() || lead < 0x20) return false;
        for (std::size_t i = 1; i < size; ++i) {
            if ((byte(i) & 0xC0) != 0x80) return false;
        }
        if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return false;
        if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return false;
        at += size;
        return true;
    }

    // A JSON string (RFC 8259, section 7).
    bool take_string() {
        if (!take("\"")) return false;
        while (at != end && *at != '"') {
            if (*at != '\\') {
                if (!take_character()) return false;
                continue;
            }
            if (left() < 2 || at[1] == 0 || std::strchr("\"\\/bfnrtu", at[1]) == nullptr) return false;
            at += 2;
            if (at[-1] == 'u' && !take_hexadecimal()) return false;
        }
        return take("\"");
    }
};

Status unexpected(Bytes message, const char* at) {
    return failure(Code::malformed, "JSON tick: byte %zu of %zu is not what pseudofeed writes there",
                   static_cast<std::size_t>(at - reinterpret_cast<const char*>(message.data)), message.size);
}

}  // namespace

std::size_t encode_tick_json(const Tick& tick, std::string_view symbol_json, std::byte* out) {
    if (!std::isfinite(tick.price) || !std::isfinite(tick.variance)) return 0;
    char* const begin = reinterpret_cast<char*>(out);
    return static_cast<std::size_t>(put_tail(tick, put(put(begin, json::symbol), symbol_json)) - begin);
}

Status check_tick_json(Bytes message, Tick* tick) {
    const char* const begin = reinterpret_cast<const char*>(message.data);
    Text text{begin, begin + message.size};
    if (!text.take(json::symbol) || !text.take_string()) return unexpected(message, text.at);
    const char* const tail = text.at;
    Tick found{};
    if (!text.take(json::time) || !text.take_time(&found.time) ||                      //
        !text.take(json::sequence) || !text.take_number(&found.sequence) ||            //
        !text.take(json::price) || !text.take_number(&found.price) ||                  //
        !text.take(json::variance) || !text.take_number(&found.variance) ||            //
        !text.take(json::instrument) || !text.take_number(&found.number) ||            //
        !text.take(json::fingerprint) || !text.take_number(&found.fingerprint, 16) ||  //
        !text.take(json::end) || text.at != text.end) {
        return unexpected(message, text.at);
    }
    if (found.sequence < 1 || found.number < 0 || !std::isfinite(found.price) || !std::isfinite(found.variance)) {
        return failure(
            Code::malformed,
            "JSON tick: sequence %lld, instrument %ld, price %g, variance %g: expected a sequence from 1, an "
            "instrument from 0 and finite numbers",
            static_cast<long long>(found.sequence), static_cast<long>(found.number), found.price, found.variance);
    }
    char again[json::tail_limit];
    const auto size = static_cast<std::size_t>(put_tail(found, again) - again);
    const auto left = static_cast<std::size_t>(text.end - tail);
    const std::size_t shorter = std::min(size, left);
    if (const char* at = std::mismatch(tail, tail + shorter, again).first; at != tail + shorter || size != left) {
        return unexpected(message, at);
    }
    *tick = found;
    return {};
}

}  // namespace pseudofeed::encode
