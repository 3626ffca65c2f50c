// All decoders on damaged messages, to be built with the address and undefined-behaviour sanitizers (CMakeLists.txt).
//
// What must hold for any bytes: nothing outside of them is read; they are refused as malformed, or taken. What is taken
// (in the schema's version that we write) is written again to the same bytes: so it means what its bytes say, and
// nothing was added, lost or passed over.
//
//   fuzz_decoders INPUTS [SEED]    mutated messages; prints its seed, and what failed in hexadecimal
//   built with -DPSEUDOFEED_LIBFUZZER: libFuzzer's own main, with mutations that keep the checksum right half the time
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "encode/ticks.h"
#include "fuzz_messages.h"

#if defined(__has_include)
#if __has_include(<sanitizer/common_interface_defs.h>)
#include <sanitizer/common_interface_defs.h>
#define PSEUDOFEED_DEATH_CALLBACK 1
#endif
#endif

namespace {

using namespace pseudofeed;
using namespace pseudofeed::fuzz;

Message current;

void show_current() {
    std::fprintf(stderr, "the message, %zu bytes:", current.size());
    for (const std::byte byte : current) std::fprintf(stderr, " %02x", std::to_integer<unsigned>(byte));
    std::fprintf(stderr, "\n");
}

#define REQUIRE(condition)                                                       \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            show_current();                                                      \
            std::_Exit(1);                                                       \
        }                                                                        \
    } while (false)

// Is `status` a refusal? Anything but malformed and ok is a failure of the decoder.
bool refused(const Status& status) {
    REQUIRE(status.ok() || (status.code == Code::malformed && status.message[0] != 0));
    return !status.ok();
}

bool is_our_version(const Message& message) { return load_little<std::uint16_t>(message.data() + 6) == kVersion; }

template <typename Value>
struct Column : std::vector<Value> {
    explicit Column(std::size_t size) : std::vector<Value>(size) {}
};

void rewrite_block(const Message& message, const TickBlockView& view, std::size_t from, const TickColumns& ticks) {
    std::vector<std::int64_t> times;
    for (std::size_t j = 0; j < view.steps; ++j) times.push_back(ticks.time[from + j * view.instruments]);
    const TickBlockSource source{.fingerprint = view.prefix.fingerprint,
                                 .partition = view.prefix.partition,
                                 .first_sequence = ticks.sequence[from],
                                 .steps = view.steps,
                                 .instruments = view.instruments,
                                 .times = times.data(),
                                 .numbers = ticks.instrument + from,
                                 .prices = ticks.price + from,
                                 .variances = ticks.variance + from,
                                 .row_length = view.instruments};
    Message again(tick_block_size(view.steps, view.instruments));
    std::size_t written = 0;
    REQUIRE(encode_tick_block(source, again.data(), again.size(), &written).ok());
    REQUIRE(!is_our_version(message) || again == message);
}

void rewrite_json(const Message& message, const Tick& tick) {
    const std::string_view text(reinterpret_cast<const char*>(message.data()), message.size());
    const std::size_t end = text.rfind(json::time);  // a symbol has no bare quotes: the last one is the member
    const std::string_view symbol = text.substr(json::symbol.size(), end - json::symbol.size());
    Message again(tick_json_limit(symbol.size()));
    again.resize(encode_tick_json(tick, symbol, again.data()));
    REQUIRE(again == message);
}

// Behind a good block, as in a batch; returns whether the message was taken.
bool decode_ticks(const Message& message) {
    static const Message good = [] {
        Random random(1);
        return tick_block(random);
    }();
    const Bytes batch[] = {{good.data(), good.size()}, {message.data(), message.size()}};
    TickMessage found[2];
    std::size_t count = 0, failed = 0;
    TickMessage alone;
    const bool is_refused = refused(check_tick_message(batch[1], &alone));
    if (refused(check_ticks(batch, 2, kFingerprint, kPartition, found, &count, &failed))) {
        REQUIRE(failed == 1);
        return false;
    }
    REQUIRE(!is_refused);
    Column<std::int64_t> time(count), sequence(count);
    Column<std::int32_t> instrument(count);
    Column<double> price(count), variance(count);
    const TickColumns columns{time.data(), sequence.data(), instrument.data(), price.data(), variance.data()};
    read_ticks(found, 2, columns);
    const std::size_t from = found[0].ticks();
    REQUIRE(from + found[1].ticks() == count);
    REQUIRE(std::all_of(sequence.begin(), sequence.end(), [](std::int64_t s) { return s >= 1; }));
    REQUIRE(std::all_of(instrument.begin(), instrument.end(), [](std::int32_t n) { return n >= 0; }));
    if (found[1].shape == Shape::block) {
        rewrite_block(message, found[1].block, from, columns);
        return true;
    }
    const Tick tick{found[1].tick.fingerprint, sequence[from], time[from],    found[1].tick.partition,
                    instrument[from],          price[from],    variance[from]};
    if (found[1].shape == Shape::json) {
        rewrite_json(message, tick);
        return true;
    }
    Message again(tick_size);
    encode_tick(tick, again.data());
    REQUIRE(!is_our_version(message) || again == message);
    return true;
}

bool decode_factors(const Message& message) {
    const Bytes bytes{message.data(), message.size()};
    FactorBlockView view;
    std::size_t rows = 0, failed = 0;
    if (refused(check_factor_blocks(&bytes, 1, kFingerprint, kPartition, kFactors, &view, &rows, &failed)))
        return false;
    Column<std::int64_t> time(rows), sequence(rows);
    Column<std::int32_t> number(rows);
    Column<double> increment(rows), level(rows);
    read_factor_blocks(&view, 1, {time.data(), sequence.data(), number.data(), increment.data(), level.data()});
    const std::size_t steps = rows / kFactors;
    std::vector<std::int64_t> times;
    for (std::size_t j = 0; j < steps; ++j) times.push_back(time[j * kFactors]);
    const FactorBlockSource source{.fingerprint = view.prefix.fingerprint,
                                   .partition = view.prefix.partition,
                                   .first_sequence = sequence[0],
                                   .steps = steps,
                                   .factors = kFactors,
                                   .times = times.data(),
                                   .increments = increment.data(),
                                   .levels = level.data()};
    Message again(factor_block_size(steps, kFactors));
    std::size_t written = 0;
    REQUIRE(encode_factor_block(source, again.data(), again.size(), &written).ok());
    REQUIRE(!is_our_version(message) || again == message);
    return true;
}

bool decode_events(const Message& message) {
    const Bytes bytes{message.data(), message.size()};
    EventBlockView view;
    std::size_t events = 0, failed = 0;
    if (refused(check_event_blocks(kEvents, &bytes, 1, kFingerprint, kPartition, &view, &events, &failed)))
        return false;
    Column<std::byte> entries(events * kEvents.entry_size);
    Column<std::int64_t> sequence(events);
    read_event_blocks(kEvents, &view, 1, entries.data(), sequence.data());
    REQUIRE(std::is_sorted(sequence.begin(), sequence.end()));
    REQUIRE(std::all_of(sequence.begin(), sequence.end(), [](std::int64_t s) { return s >= 1; }));
    const EventBlockSource source{.fingerprint = view.prefix.fingerprint,
                                  .partition = view.prefix.partition,
                                  .first_sequence = view.prefix.sequence,
                                  .steps = view.steps,
                                  .first_event = view.first_event,
                                  .more = view.more,
                                  .entries = entries.data(),
                                  .events = events};
    Message again(event_block_size(events, kEvents.entry_size));
    std::size_t written = 0;
    REQUIRE(encode_event_block(kEvents, source, again.data(), again.size(), &written).ok());
    REQUIRE(!is_our_version(message) || again == message);
    return true;
}

// The decoder that took the message, or -1. `message` is of exactly its size on the heap: a byte too far is seen.
int decode(const Message& message) {
    const bool taken[] = {decode_ticks(message), decode_factors(message), decode_events(message)};
    REQUIRE(std::count(std::begin(taken), std::end(taken), true) <= 1);
    const auto* found = std::find(std::begin(taken), std::end(taken), true);
    return found == std::end(taken) ? -1 : static_cast<int>(found - taken);
}

int decode_copy(const Message& message) {
    current = message;
    current.shrink_to_fit();
    return decode(current);
}

}  // namespace

#ifdef PSEUDOFEED_LIBFUZZER

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t limit);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t limit, unsigned seed) {
    Random random(seed);
    Message message;
    if (size < kHeaderSize || below(random, 8) == 0) {
        message = mutated(random);
    } else {
        size = LLVMFuzzerMutate(data, size, limit);
        message.assign(reinterpret_cast<std::byte*>(data), reinterpret_cast<std::byte*>(data) + size);
        if (below(random, 2) == 0) sign(message);
    }
    message.resize(std::min(message.size(), limit));
    if (!message.empty()) std::memcpy(data, message.data(), message.size());
    return message.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    decode_copy(Message(bytes, bytes + size));
    return 0;
}

#else

int main(int count, char** arguments) {
    const std::size_t inputs = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 1'000'000;
    const std::uint64_t seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : std::random_device{}();
    std::printf("%zu inputs; repeat with: fuzz_decoders %zu %llu\n", inputs, inputs,
                static_cast<unsigned long long>(seed));
    std::fflush(stdout);
#ifdef PSEUDOFEED_DEATH_CALLBACK
    __sanitizer_set_death_callback(show_current);
#endif
    Random random(seed);
    std::size_t taken[3] = {};
    for (std::size_t k = 0; k < inputs; ++k) {
        const int decoder = decode_copy(mutated(random));
        if (decoder >= 0) ++taken[decoder];
    }
    // Every truncation and every flipped bit of one valid message for each thousand inputs: an error, or, in JSON,
    // which has no checksum, what the bytes say (decode checks that).
    std::size_t neighbours = 0;
    for (std::size_t k = 0; k < inputs / 1000; ++k) {
        const Message good = valid_message(random);
        const bool is_json = good[0] == std::byte{'{'};
        REQUIRE(decode_copy(good) >= 0);
        for (std::size_t size = 0; size < good.size(); ++size, ++neighbours) {
            REQUIRE(decode_copy(Message(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))) < 0);
        }
        for (std::size_t bit = 0; bit < 8 * good.size(); ++bit, ++neighbours) {
            Message flipped = good;
            flipped[bit / 8] ^= std::byte{1} << bit % 8;
            REQUIRE(decode_copy(flipped) < 0 || is_json);
        }
    }
    std::printf("taken: ticks %zu, factors %zu, events %zu; %zu truncations and flipped bits\n", taken[0], taken[1],
                taken[2], neighbours);
    // The mutations must get behind the first checks, or nothing was tested.
    for (const std::size_t some : taken) REQUIRE(some * 200 > inputs);
    return 0;
}

#endif
