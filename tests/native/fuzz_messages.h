// What the fuzzing of the decoders starts from: valid messages of every kind, and what is done to them. All of it
// follows from the random numbers that are given, so a seed repeats it.
#pragma once

#include <bit>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "encode/byte_order.h"
#include "encode/event_block.h"
#include "encode/factor_block.h"
#include "encode/message.h"
#include "encode/tick.h"
#include "encode/tick_block.h"

namespace pseudofeed::fuzz {

using namespace pseudofeed::encode;

using Message = std::vector<std::byte>;
using Random = std::mt19937_64;

// Of all messages made here, so that they are of one market and partition.
inline constexpr std::uint64_t kFingerprint = 0xFEDCBA9876543210u;
inline constexpr std::uint32_t kPartition = 3;
inline constexpr std::size_t kFactors = 2;

inline std::size_t below(Random& random, std::size_t end) { return static_cast<std::size_t>(random() % end); }

// Mostly usual numbers, sometimes any 64 bits.
inline double any_double(Random& random) {
    return below(random, 4) == 0 ? std::bit_cast<double>(random())
                                 : 100.0 + static_cast<double>(below(random, 1000)) / 7;
}

template <typename Integer>
std::vector<Integer> ascending(Random& random, std::size_t count, Integer first) {
    std::vector<Integer> values(count);
    for (Integer& value : values)
        value = first = static_cast<Integer>(first + 1 + static_cast<Integer>(below(random, 5)));
    return values;
}

inline std::vector<double> doubles(Random& random, std::size_t count) {
    std::vector<double> values(count);
    for (double& value : values) value = any_double(random);
    return values;
}

inline std::int64_t any_time(Random& random) {
    return below(random, 4) == 0 ? static_cast<std::int64_t>(random() >> 1) - (std::int64_t{1} << 62)
                                 : 1'772'461'800'000'000'000 + static_cast<std::int64_t>(below(random, 1u << 30));
}

inline std::int64_t any_sequence(Random& random) { return 1 + static_cast<std::int64_t>(below(random, 1u << 20)); }

inline Message tick_block(Random& random) {
    const std::size_t steps = 1 + below(random, 4);
    const std::size_t instruments = 1 + below(random, 4);
    const auto times = ascending(random, steps, any_time(random));
    const auto numbers = ascending<std::int32_t>(random, instruments, -1);
    const auto prices = doubles(random, steps * instruments);
    const auto variances = doubles(random, steps * instruments);
    const TickBlockSource source{.fingerprint = kFingerprint,
                                 .partition = kPartition,
                                 .first_sequence = any_sequence(random),
                                 .steps = steps,
                                 .instruments = instruments,
                                 .times = times.data(),
                                 .numbers = numbers.data(),
                                 .prices = prices.data(),
                                 .variances = variances.data(),
                                 .row_length = instruments};
    Message message(tick_block_size(steps, instruments));
    std::size_t written = 0;
    return encode_tick_block(source, message.data(), message.size(), &written).ok() ? message : Message{};
}

inline Tick any_tick(Random& random) {
    return {.fingerprint = kFingerprint,
            .sequence = any_sequence(random),
            .time = any_time(random),
            .partition = kPartition,
            .number = static_cast<std::int32_t>(below(random, 100)),
            .price = any_double(random),
            .variance = any_double(random)};
}

inline Message tick(Random& random) {
    Message message(tick_size);
    encode_tick(any_tick(random), message.data());
    return message;
}

inline Message tick_json(Random& random) {
    static const std::string symbols[] = {"\"ALFA\"", "\"BRK.B\"", "\"\\u00e9\\n\\\"\"",
                                          "\"\xCE\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", "\"\""};
    const std::string& symbol = symbols[below(random, std::size(symbols))];
    Message message(tick_json_limit(symbol.size()));
    std::size_t size = 0;
    while (size == 0) size = encode_tick_json(any_tick(random), symbol, message.data());
    message.resize(size);
    return message;
}

inline Message factor_block(Random& random) {
    const std::size_t steps = 1 + below(random, 4);
    const auto times = ascending(random, steps, any_time(random));
    const auto increments = doubles(random, steps * kFactors);
    const auto levels = doubles(random, steps * kFactors);
    const FactorBlockSource source{.fingerprint = kFingerprint,
                                   .partition = kPartition,
                                   .first_sequence = any_sequence(random),
                                   .steps = steps,
                                   .factors = kFactors,
                                   .times = times.data(),
                                   .increments = increments.data(),
                                   .levels = levels.data()};
    Message message(factor_block_size(steps, kFactors));
    std::size_t written = 0;
    return encode_factor_block(source, message.data(), message.size(), &written).ok() ? message : Message{};
}

inline constexpr EventKind kEvents{"event block", 60, sizeof(EventHead) + 9};

inline Message event_block(Random& random) {
    const std::size_t events = below(random, 5);
    EventBlockSource source{.fingerprint = kFingerprint,
                            .partition = kPartition,
                            .first_sequence = any_sequence(random),
                            .steps = static_cast<std::uint32_t>(1 + below(random, 3)),
                            .events = events};
    std::vector<std::byte> entries(events * kEvents.entry_size);
    for (std::byte& byte : entries) byte = static_cast<std::byte>(random());
    EventHead head{.time = any_time(random), .number = 0, .step = 0, .event = 0};
    if (events > 0 && below(random, 2) == 0) {
        source.first_event = static_cast<std::uint32_t>(1 + below(random, 9));
        head.event = static_cast<std::uint16_t>(below(random, 4));
    } else {
        head.step = static_cast<std::uint16_t>(below(random, source.steps));
        head.number = static_cast<std::uint32_t>(below(random, 4));
    }
    for (std::size_t k = 0; k < events; ++k) {
        std::byte* at = entries.data() + k * kEvents.entry_size;
        store_little(at, head.time), store_little(at + 8, head.number);
        store_little(at + 12, head.step), store_little(at + 14, head.event);
        const std::size_t next = below(random, 3);
        if (next == 0 && head.step + 1u < source.steps) {
            ++head.step, head.number = static_cast<std::uint32_t>(below(random, 4)), head.event = 0;
        } else if (next == 1) {
            head.number += static_cast<std::uint32_t>(1 + below(random, 3)), head.event = 0;
        } else {
            ++head.event;
        }
    }
    source.more = events > 0 &&
                  load_little<std::uint16_t>(&entries[(events - 1) * kEvents.entry_size + 12]) + 1u == source.steps &&
                  below(random, 2) == 0;
    source.entries = entries.data();
    Message message(event_block_size(events, kEvents.entry_size));
    std::size_t written = 0;
    return encode_event_block(kEvents, source, message.data(), message.size(), &written).ok() ? message : Message{};
}

inline Message valid_message(Random& random) {
    Message (*const kinds[])(Random&) = {tick_block, tick, tick_json, factor_block, event_block};
    return kinds[below(random, std::size(kinds))](random);
}

// As the writer of a wrong message would: the checksum fits what was written.
inline void sign(Message& message) {
    if (message.size() >= kPrefixSize) put_checksum(message.data(), message.size());
}

inline void put_number(Random& random, Message& message) {
    static constexpr std::uint64_t numbers[] = {0,
                                                1,
                                                2,
                                                3,
                                                4,
                                                16,
                                                24,
                                                28,
                                                36,
                                                52,
                                                64,
                                                0x7F,
                                                0x80,
                                                0xFF,
                                                0x7FFF,
                                                0x8000,
                                                0xFFFE,
                                                0xFFFF,
                                                0x7FFFFFFF,
                                                0x80000000,
                                                0xFFFFFFFF,
                                                0x7FFFFFFFFFFFFFFF,
                                                0x8000000000000000,
                                                0xFFFFFFFFFFFFFFFF};
    const std::size_t width = std::size_t{1} << below(random, 4);
    if (message.size() < width) return;
    // Half of them where all messages have their numbers.
    const std::size_t end = below(random, 2) == 0 ? std::min<std::size_t>(message.size(), 56) : message.size();
    const std::size_t places = (end - width) / width + 1;
    std::byte bytes[8];
    store_little(bytes, numbers[below(random, std::size(numbers))]);
    std::memcpy(message.data() + below(random, places) * width, bytes, width);
}

// A newer version's longer root block and, where groups follow as they should, longer entries.
inline void lengthen(Random& random, Message& message) {
    if (message.size() < kPrefixSize) return;
    const auto root = load_little<std::uint16_t>(message.data());
    std::size_t at = std::size_t{kHeaderSize} + root;
    if (at > message.size()) return;
    const std::size_t more = below(random, 9);
    store_little(message.data() + 6, std::uint16_t{1});
    store_little(message.data(), static_cast<std::uint16_t>(root + more));
    message.insert(message.begin() + static_cast<std::ptrdiff_t>(at), more, std::byte{0xEE});
    at += more;
    while (message.size() - at >= kGroupSize) {
        const std::size_t length = load_little<std::uint16_t>(message.data() + at);
        const std::size_t count = load_little<std::uint16_t>(message.data() + at + 2);
        store_little(message.data() + at, static_cast<std::uint16_t>(length + more));
        at += kGroupSize;
        for (std::size_t k = 0; k < count; ++k, at += more) {
            at += length;
            if (at > message.size() || message.size() > 4096) return;
            message.insert(message.begin() + static_cast<std::ptrdiff_t>(at), more, std::byte{0xEE});
        }
    }
}

inline void mutate_once(Random& random, Message& message) {
    const std::size_t kind = below(random, 9);
    if (message.empty() || kind == 8) {
        const Message other = valid_message(random);
        const std::size_t from = below(random, other.size() + 1), to = below(random, message.size() + 1);
        message.resize(to);
        message.insert(message.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
        return;
    }
    const std::size_t at = below(random, message.size());
    const auto place = message.begin() + static_cast<std::ptrdiff_t>(at);
    const auto some = static_cast<std::ptrdiff_t>(1 + below(random, std::min<std::size_t>(16, message.size() - at)));
    switch (kind) {
        case 0:
        case 1:
            message[at] ^= std::byte{1} << below(random, 8);
            break;
        case 2:
            message[at] = static_cast<std::byte>(random());
            break;
        case 3:
            put_number(random, message);
            break;
        case 4:
            message.resize(at);
            break;
        case 5:
            message.erase(place, place + some);
            break;
        case 6: {
            const Message again(place, place + some);
            message.insert(place, again.begin(), again.end());
            break;
        }
        default:
            lengthen(random, message);
    }
}

inline Message mutated(Random& random) {
    Message message = valid_message(random);
    for (std::size_t times = 1 + below(random, 3); times > 0; --times) mutate_once(random, message);
    if (below(random, 2) == 0) sign(message);
    return message;
}

}  // namespace pseudofeed::fuzz
