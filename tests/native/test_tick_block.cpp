// The tick block's codec without Python: a round trip, and what a decoder does with every damaged neighbour of a block.
// Messages lie in vectors of exactly their size, so that the address sanitizer sees a read one byte too far.
#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "check.h"
#include "encode/byte_order.h"
#include "encode/crc32.h"
#include "encode/tick_block.h"
#include "encode/ticks.h"

namespace {

using namespace pseudofeed;
using namespace pseudofeed::encode;

using Message = std::vector<std::byte>;

constexpr std::uint64_t kFingerprint = 0xFEDCBA9876543210u;
constexpr std::uint32_t kPartition = 3;

struct Ticks {
    std::vector<std::int64_t> time, sequence;
    std::vector<std::int32_t> instrument;
    std::vector<double> price, variance;

    TickColumns resized(std::size_t count) {
        time.resize(count);
        sequence.resize(count);
        instrument.resize(count);
        price.resize(count);
        variance.resize(count);
        return {time.data(), sequence.data(), instrument.data(), price.data(), variance.data()};
    }
};

Status decode(const std::vector<Message>& messages, Ticks* ticks, std::size_t* failed) {
    std::vector<Bytes> bytes;
    for (const Message& message : messages) bytes.push_back({message.data(), message.size()});
    std::vector<TickMessage> found(messages.size());
    std::size_t count = 0;
    if (Status status = check_ticks(bytes.data(), bytes.size(), kFingerprint, kPartition, found.data(), &count, failed);
        !status.ok()) {
        return status;
    }
    read_ticks(found.data(), found.size(), ticks->resized(count));
    return {};
}

bool is_error(const Message& message) {
    Ticks ticks;
    std::size_t failed = 0;
    return decode({message}, &ticks, &failed).code == Code::malformed;
}

// Two steps of the instruments 4, 7 and 9, which are the columns 2, 0 and 3 of rows of five.
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const std::vector<double> kPrices{101.5, -1, 100.25, -0.0, -1, 102.5, -1, 100.75, kNan, -1};
const std::vector<double> kVariances{0.04, -1, 0.05, 0.06, -1, 0.041, -1, -0.001, 0.061, -1};
const std::vector<std::int64_t> kTimes{1'000'000'000, 2'000'000'000};
const std::vector<std::int32_t> kNumbers{4, 7, 9};
const std::vector<std::int32_t> kColumns{2, 0, 3};

TickBlockSource source() {
    return {.fingerprint = kFingerprint,
            .partition = kPartition,
            .first_sequence = 41,
            .steps = 2,
            .instruments = 3,
            .times = kTimes.data(),
            .numbers = kNumbers.data(),
            .prices = kPrices.data(),
            .variances = kVariances.data(),
            .row_length = 5,
            .columns = kColumns.data()};
}

Message encoded(const TickBlockSource& from) {
    Message message(tick_block_size(from.steps, from.instruments));
    std::size_t written = 0;
    CHECK(encode_tick_block(from, message.data(), message.size(), &written).ok());
    CHECK_EQUAL(written, message.size());
    return message;
}

// As the writer of a wrong message would: the checksum fits what was written.
void sign(Message& message) {
    if (message.size() < 32) return;
    store_little(message.data() + 28, crc32(message.data() + 32, message.size() - 32, crc32(message.data(), 28)));
}

void test_round_trip() {
    Ticks ticks;
    std::size_t failed = 0;
    const Message message = encoded(source());
    CHECK_EQUAL(message.size(), std::size_t{8 + 24 + 4 + 3 * 4 + 4 + 2 * 8 + 4 + 6 * 16});
    CHECK(decode({message, message}, &ticks, &failed).ok());
    CHECK_EQUAL(ticks.time.size(), std::size_t{12});
    for (std::size_t k = 0; k < ticks.time.size(); ++k) {
        const std::size_t j = k / 3 % 2;
        const std::size_t i = k % 3;
        const std::size_t at = 5 * j + static_cast<std::size_t>(kColumns[i]);
        CHECK_EQUAL(ticks.time[k], kTimes[j]);
        CHECK_EQUAL(ticks.sequence[k], 41 + static_cast<std::int64_t>(j));
        CHECK_EQUAL(ticks.instrument[k], kNumbers[i]);
        CHECK_EQUAL(std::bit_cast<std::uint64_t>(ticks.price[k]), std::bit_cast<std::uint64_t>(kPrices[at]));
        CHECK_EQUAL(std::bit_cast<std::uint64_t>(ticks.variance[k]), std::bit_cast<std::uint64_t>(kVariances[at]));
    }
}

void test_size_limits() {
    CHECK_EQUAL(tick_block_size(0, 1), std::size_t{0});
    CHECK_EQUAL(tick_block_size(1, 0), std::size_t{0});
    CHECK_EQUAL(tick_block_size(std::numeric_limits<std::size_t>::max(), 2), std::size_t{0});
    CHECK_EQUAL(tick_block_size(32767, 2), std::size_t{32 + 4 + 4 * 2 + 4 + 8 * 32767 + 4 + 16 * 65534});
    CHECK_EQUAL(tick_block_size(32768, 2), std::size_t{0});
}

void test_refused_sources() {
    const std::vector<std::int64_t> equal_times{5, 5};
    const std::vector<std::int32_t> negative{-1, 7, 9};
    const std::vector<std::int32_t> repeated{4, 7, 7};
    const std::vector<std::int32_t> outside{2, 0, 5};
    std::vector<TickBlockSource> wrong(7, source());
    wrong[0].first_sequence = 0;
    wrong[1].first_sequence = std::numeric_limits<std::int64_t>::max();
    wrong[2].times = equal_times.data();
    wrong[3].numbers = negative.data();
    wrong[4].numbers = repeated.data();
    wrong[5].columns = outside.data();
    wrong[6].steps = 0;
    for (const TickBlockSource& from : wrong) {
        Message message(200, std::byte{0xAA});
        std::size_t written = 12345;
        CHECK(encode_tick_block(from, message.data(), message.size(), &written).code == Code::invalid_argument);
        CHECK_EQUAL(written, std::size_t{12345});
        CHECK(message == Message(200, std::byte{0xAA}));
    }
    Message small(tick_block_size(2, 3) - 1, std::byte{0xAA});
    std::size_t written = 0;
    CHECK(encode_tick_block(source(), small.data(), small.size(), &written).code == Code::invalid_argument);
    CHECK(small == Message(small.size(), std::byte{0xAA}));
}

void test_every_truncation_and_flip_is_an_error() {
    const Message good = encoded(source());
    for (std::size_t size = 0; size < good.size(); ++size) {
        Message cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK(is_error(cut));
        sign(cut);
        CHECK(is_error(cut));
    }
    Message longer = good;
    longer.push_back(std::byte{0});
    sign(longer);
    CHECK(is_error(longer));
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
        Message flipped = good;
        flipped[bit / 8] ^= std::byte{1} << (bit % 8);
        CHECK(is_error(flipped));
        // With a checksum that fits, a changed value may pass; what matters is that nothing outside is read.
        sign(flipped);
        Ticks ticks;
        std::size_t failed = 0;
        const Status status = decode({flipped}, &ticks, &failed);
        CHECK(status.ok() || status.code == Code::malformed);
        if (status.ok()) CHECK_EQUAL(ticks.price.size(), std::size_t{6});
    }
}

void test_wrong_values_with_a_fitting_checksum() {
    const auto refused = [](std::size_t at, auto value) {
        Message message = encoded(source());
        store_little(message.data() + at, value);
        sign(message);
        return is_error(message);
    };
    CHECK(!refused(16, std::int64_t{1}));
    CHECK(refused(0, std::uint16_t{32}));
    CHECK(refused(2, std::uint16_t{2}));
    CHECK(refused(4, std::uint16_t{2}));
    CHECK(refused(8, kFingerprint + 1));
    CHECK(refused(16, std::int64_t{0}));
    CHECK(refused(16, std::int64_t{-1}));
    CHECK(refused(16, std::numeric_limits<std::int64_t>::max()));
    CHECK(refused(24, kPartition + 1));
    CHECK(refused(34, std::uint16_t{0}));
    CHECK(refused(34, std::uint16_t{65535}));
    CHECK(refused(36, std::uint32_t{7}));           // the second instrument's number
    CHECK(refused(44, std::uint32_t{0x80000000}));  // beyond int32
    CHECK(refused(52, std::int64_t{2'000'000'000}));
}

// A newer version lengthens the root by 8 bytes and each entry by 4: a reader of version 0 skips them.
void test_newer_version_with_longer_blocks() {
    const Message old = encoded(source());
    Message message(old.begin(), old.begin() + 32);
    message.resize(40, std::byte{0xEE});
    std::size_t from = 32;
    const std::size_t entry_sizes[] = {4, 8, 16};
    const std::size_t counts[] = {3, 2, 6};
    for (int g = 0; g < 3; ++g) {
        const std::size_t head = message.size();
        message.resize(head + 4);
        store_little(message.data() + head, static_cast<std::uint16_t>(entry_sizes[g] + 4));
        store_little(message.data() + head + 2, static_cast<std::uint16_t>(counts[g]));
        from += 4;
        for (std::size_t k = 0; k < counts[g]; ++k, from += entry_sizes[g]) {
            const auto entry = old.begin() + static_cast<std::ptrdiff_t>(from);
            message.insert(message.end(), entry, entry + static_cast<std::ptrdiff_t>(entry_sizes[g]));
            message.resize(message.size() + 4, std::byte{0xEE});
        }
    }
    store_little(message.data(), std::uint16_t{32});
    store_little(message.data() + 6, std::uint16_t{1});
    sign(message);

    Ticks expected, found;
    std::size_t failed = 0;
    CHECK(decode({old}, &expected, &failed).ok());
    CHECK(decode({message}, &found, &failed).ok());
    CHECK(found.time == expected.time);
    CHECK(found.sequence == expected.sequence);
    CHECK(found.instrument == expected.instrument);
    CHECK(std::memcmp(found.price.data(), expected.price.data(), 8 * expected.price.size()) == 0);
    CHECK(std::memcmp(found.variance.data(), expected.variance.data(), 8 * expected.variance.size()) == 0);

    store_little(message.data() + 6, std::uint16_t{0});  // the same lengths in version 0 are a mistake
    sign(message);
    CHECK(is_error(message));
}

void test_batch_names_the_bad_message() {
    const Message good = encoded(source());
    Message bad = good;
    bad.back() ^= std::byte{1};
    Ticks ticks;
    std::size_t failed = 99;
    const Status status = decode({good, good, bad, good}, &ticks, &failed);
    CHECK(status.code == Code::malformed);
    CHECK_EQUAL(failed, std::size_t{2});
    CHECK(ticks.time.empty());
    CHECK(decode({}, &ticks, &failed).ok());
}

void test_crc32_known_answers() {
    // The check value of the catalogue of CRC algorithms (CRC-32/ISO-HDLC), and zlib.crc32(b"The quick brown ...").
    const auto sum = [](const char* text) {
        return crc32(reinterpret_cast<const std::byte*>(text), std::strlen(text));
    };
    CHECK_EQUAL(sum("123456789"), 0xCBF43926u);
    CHECK_EQUAL(sum(""), 0u);
    CHECK_EQUAL(sum("The quick brown fox jumps over the lazy dog"), 0x414FA339u);
}

}  // namespace

int main() {
    test_round_trip();
    test_size_limits();
    test_refused_sources();
    test_every_truncation_and_flip_is_an_error();
    test_wrong_values_with_a_fitting_checksum();
    test_newer_version_with_longer_blocks();
    test_batch_names_the_bad_message();
    test_crc32_known_answers();
    return pseudofeed::test::result();
}
