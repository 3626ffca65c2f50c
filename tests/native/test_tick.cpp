// Single ticks without Python: known bytes of both forms, the largest JSON tick, and the ends of time.
// tests/native/fuzz_decoders.cpp damages them.
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "encode/tick.h"

namespace {

using namespace pseudofeed;
using namespace pseudofeed::encode;

// docs/wire.md put into Python's struct and zlib, a line for some fields.
const char kKnown[] =
    "3400020001000000"
    "1032547698badcfe"
    "0100000000000000"
    "03000000"
    "4f7ae5cd"
    "00da8dfa9d0c9918"
    "6666666666065940"
    "7b14ae47e17aa43f"
    "00000000";

const Tick kTick{0xFEDCBA9876543210u, 1, 1'772'461'801'000'000'000, 3, 0, 100.1, 0.04};

std::string as_json(const Tick& tick, const std::string& symbol) {
    std::vector<std::byte> room(tick_json_limit(symbol.size()));  // exactly: the address sanitizer sees a byte too many
    const std::size_t size = encode_tick_json(tick, symbol, room.data());
    return {reinterpret_cast<const char*>(room.data()), size};
}

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

bool same(const Tick& left, const Tick& right) {
    return left.fingerprint == right.fingerprint && left.sequence == right.sequence && left.time == right.time &&
           left.number == right.number && std::memcmp(&left.price, &right.price, 8) == 0 &&
           std::memcmp(&left.variance, &right.variance, 8) == 0;
}

void test_known_bytes() {
    std::byte message[tick_size];
    encode_tick(kTick, message);
    std::string hexadecimal;
    for (const std::byte byte : message) {
        char text[3];
        std::snprintf(text, sizeof text, "%02x", std::to_integer<unsigned>(byte));
        hexadecimal += text;
    }
    CHECK_EQUAL(hexadecimal, std::string(kKnown));
    Tick read{};
    CHECK(check_tick({message, tick_size}, &read).ok());
    CHECK(same(read, kTick) && read.partition == 3);
}

void test_json_line() {
    const std::string line =
        "{\"symbol\":\"ALFA\",\"time\":\"2026-03-02T14:30:01.000000000Z\",\"sequence\":1,\"price\":100.1,"
        "\"variance\":0.04,\"instrument\":0,\"market_fingerprint\":\"fedcba9876543210\"}";
    CHECK_EQUAL(as_json(kTick, "\"ALFA\""), line);
    Tick read{};
    CHECK(check_tick_json(bytes_of(line), &read).ok());
    CHECK(same(read, kTick));
}

void test_the_largest_json_tick_fills_its_room() {
    Tick tick = kTick;
    tick.sequence = std::numeric_limits<std::int64_t>::max();
    tick.number = std::numeric_limits<std::int32_t>::max();
    tick.price = tick.variance = -2.2250738585072014e-308;
    const std::string text = as_json(tick, "\"ALFA\"");
    CHECK_EQUAL(text.size(), tick_json_limit(6));
    Tick read{};
    CHECK(check_tick_json(bytes_of(text), &read).ok());
    CHECK(same(read, tick));
}

void test_the_ends_of_time() {
    const std::pair<std::int64_t, const char*> times[] = {
        {std::numeric_limits<std::int64_t>::min(), "1677-09-21T00:12:43.145224192Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {0, "1970-01-01T00:00:00.000000000Z"},
        {951'868'799'999'999'999, "2000-02-29T23:59:59.999999999Z"},
        {std::numeric_limits<std::int64_t>::max(), "2262-04-11T23:47:16.854775807Z"},
    };
    for (const auto& [time, text] : times) {
        Tick tick = kTick;
        tick.time = time;
        const std::string line = as_json(tick, "\"\"");
        CHECK_EQUAL(line.substr(line.find("time") + 7, 30), std::string(text));
        Tick read{};
        CHECK(check_tick_json(bytes_of(line), &read).ok());
        CHECK_EQUAL(read.time, time);
    }
    // One nanosecond beyond either end.
    for (const char* text : {"1677-09-21T00:12:43.145224191Z", "2262-04-11T23:47:16.854775808Z"}) {
        std::string line = as_json(kTick, "\"\"");
        line.replace(line.find("2026"), 30, text);
        Tick read = kTick;
        CHECK(check_tick_json(bytes_of(line), &read).code == Code::malformed);
        CHECK(same(read, kTick));
    }
}

void test_numbers_that_json_lacks_are_refused() {
    for (const double value : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
        Tick tick = kTick;
        tick.price = value;
        CHECK(as_json(tick, "\"ALFA\"").empty());
        tick.price = 1;
        tick.variance = value;
        CHECK(as_json(tick, "\"ALFA\"").empty());
    }
}

}  // namespace

int main() {
    test_known_bytes();
    test_json_line();
    test_the_largest_json_tick_fills_its_room();
    test_the_ends_of_time();
    test_numbers_that_json_lacks_are_refused();
    return pseudofeed::test::result();
}
