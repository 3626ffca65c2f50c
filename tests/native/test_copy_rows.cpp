// COPY rows without Python: the bytes of a small batch written out by hand, stability, and what is refused.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "check.h"
#include "encode/copy_rows.h"

namespace {

using namespace pseudofeed;
using namespace pseudofeed::encode;

struct Batch {
    std::vector<std::int64_t> time;
    std::vector<std::int32_t> instrument;
    std::vector<double> price;
    std::vector<double> variance;
    std::vector<std::int32_t> ids;

    mutable std::array<CopyColumn, 4> columns{};

    // The columns of the table `tick`.
    CopyRowsSource source() const {
        columns = {column(CopyType::time, time), column(CopyType::id, instrument), column(CopyType::f8, price),
                   column(CopyType::f8, variance)};
        return {.rows = time.size(),
                .number = instrument.data(),
                .ids = ids.data(),
                .numbers = ids.size(),
                .columns = columns.data(),
                .column_count = columns.size()};
    }

    template <typename Value>
    static CopyColumn column(CopyType type, const std::vector<Value>& values) {
        return {type, reinterpret_cast<const std::byte*>(values.data()), sizeof(Value), sizeof(Value)};
    }
};

constexpr std::size_t kRowSize = 46;
constexpr std::size_t rows_size(std::size_t rows) { return kCopyHeaderSize + kRowSize * rows + kCopyTrailerSize; }

Status encode(const Batch& batch, std::vector<std::byte>& out) {
    std::size_t written = 0;
    const Status status = encode_copy_rows(batch.source(), out.data(), out.size(), &written);
    CHECK(!status.ok() || written == out.size());
    return status;
}

constexpr std::int64_t kYear2000 = 946'684'800'000'000'000;

// Bytes as PostgreSQL 17 documents them; 0x3ff8.. is 1.5, 0x4004.. is 2.5, 0x3fd0.. is 0.25, 0x3fe0.. is 0.5.
const std::vector<unsigned char> kExpected{'P',  'G', 'C', 'O',  'P',  'Y',  '\n', 0377, '\r', '\n', 0,    0,    0,
                                           0,    0,   0,   0,    0,    0,  // signature, flags, extension
                                           0,    4,   0,   0,    0,    8,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0,   0,   0,    4,    0,    0,    0,    7,  // -1 us, id 7
                                           0,    0,   0,   8,    0x40, 4,    0,    0,    0,    0,    0,    0,    0,
                                           0,    0,   8,   0x3f, 0xe0, 0,    0,    0,    0,    0,    0,  // 2.5, 0.5
                                           0,    4,   0,   0,    0,    8,    0,    0,    0,    0,    0,    0,    1,
                                           2,    0,   0,   0,    4,    0,    0,    1,    0,  // 258 us, id 256
                                           0,    0,   0,   8,    0x3f, 0xf8, 0,    0,    0,    0,    0,    0,    0,
                                           0,    0,   8,   0x3f, 0xd0, 0,    0,    0,    0,    0,    0,  // 1.5, 0.25
                                           0xff, 0xff};

void test_known_bytes() {
    const Batch batch{{kYear2000 + 258'000, kYear2000 - 1'000}, {1, 0}, {1.5, 2.5}, {0.25, 0.5}, {7, 256}};
    std::vector<std::byte> out(rows_size(2));
    CHECK(encode(batch, out).ok());
    CHECK_EQUAL(out.size(), kExpected.size());
    CHECK(std::memcmp(out.data(), kExpected.data(), out.size()) == 0);
}

void test_no_rows() {
    const Batch batch{{}, {}, {}, {}, {}};
    std::vector<std::byte> out(rows_size(0));
    CHECK(encode(batch, out).ok());
    CHECK(out[19] == std::byte{0xff} && out[20] == std::byte{0xff});
}

void test_order_is_stable() {
    Batch batch;
    batch.ids = {10, 11, 12};
    for (int k = 0; k < 30; ++k) {
        batch.time.push_back(0);
        batch.instrument.push_back((k * 7) % 3);
        batch.price.push_back(k);
        batch.variance.push_back(0);
    }
    std::vector<std::byte> out(rows_size(30));
    CHECK(encode(batch, out).ok());
    std::vector<double> prices(30);
    for (std::size_t row = 0; row < 30; ++row) {
        unsigned char bytes[8];
        for (std::size_t b = 0; b < 8; ++b) {
            bytes[b] = std::to_integer<unsigned char>(out[kCopyHeaderSize + row * kRowSize + 33 - b]);
        }
        if constexpr (std::endian::native == std::endian::big) std::reverse(bytes, bytes + 8);
        std::memcpy(&prices[row], bytes, 8);
        const int number = static_cast<int>(row) / 10;
        const int id = std::to_integer<int>(out[kCopyHeaderSize + row * kRowSize + 21]);
        CHECK_EQUAL(id, 10 + number);
        CHECK_EQUAL(static_cast<int>(prices[row]) * 7 % 3, number);
        if (row % 10 != 0) CHECK(prices[row] > prices[row - 1]);
    }
}

void test_refused() {
    const auto refused = [](const Batch& batch, std::size_t missing = 0) {
        std::vector<std::byte> out(rows_size(batch.time.size()) - missing, std::byte{0xAA});
        const Status status = encode(batch, out);
        return status.code == Code::invalid_argument && out == std::vector<std::byte>(out.size(), std::byte{0xAA});
    };
    CHECK(refused({{0, 0}, {0, 2}, {1, 1}, {1, 1}, {7, 8}}));
    CHECK(refused({{0, 0}, {0, -1}, {1, 1}, {1, 1}, {7, 8}}));
    CHECK(refused({{0, 1}, {0, 1}, {1, 1}, {1, 1}, {7, 8}}));
    CHECK(refused({{-999, 0}, {0, 1}, {1, 1}, {1, 1}, {7, 8}}));
    CHECK(refused({{0, 0}, {0, 1}, {1, 1}, {1, 1}, {}}));
    CHECK(refused({{0}, {0}, {1}, {1}, {7}}, 1));
    // The ends of int64 nanoseconds (1677 and 2262) are far inside PostgreSQL's range.
    CHECK(!refused({{std::numeric_limits<std::int64_t>::max() / 1000 * 1000}, {0}, {1}, {1}, {7}}));
    CHECK(!refused({{std::numeric_limits<std::int64_t>::min() / 1000 * 1000}, {0}, {1}, {1}, {7}}));
}

// Every type once, from packed records as an event block has them, with a text that is shorter than its room.
void test_every_type() {
#pragma pack(push, 1)
    struct Record {
        std::int64_t time;
        std::int32_t number;
        std::uint32_t large;
        std::uint16_t middle;
        std::uint8_t small;
        std::int8_t sign;
        std::int32_t integer;
        char text[6];
    };
#pragma pack(pop)
    const Record record{kYear2000 - 1, 0, 0xFFFFFFFF, 0xFFFF, 0xFF, -2, -3, {'a', 'b', 0, 0, 0, 0}};
    const auto at = [&](CopyType type, const auto& member) {
        return CopyColumn{type, reinterpret_cast<const std::byte*>(&member), sizeof record, sizeof member};
    };
    const CopyColumn columns[] = {at(CopyType::microseconds, record.time), at(CopyType::nanoseconds, record.time),
                                  at(CopyType::u4, record.large),          at(CopyType::u2, record.middle),
                                  at(CopyType::u1, record.small),          at(CopyType::i1, record.sign),
                                  at(CopyType::i4, record.integer),        at(CopyType::i8, record.time),
                                  at(CopyType::text, record.text)};
    const std::int32_t number = 0, id = 7;
    const CopyRowsSource source{
        .rows = 1, .number = &number, .ids = &id, .numbers = 1, .columns = columns, .column_count = std::size(columns)};
    std::vector<std::byte> out(copy_rows_size(source));
    std::size_t written = 0;
    CHECK(encode_copy_rows(source, out.data(), out.size(), &written).ok());
    const std::vector<unsigned char> expected{
        0,    9,                                                          // fields
        0,    0,   0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  // -1 us: floored
        0,    0,   0, 2, 3,    0xe7,                                      // 999 ns
        0,    0,   0, 8, 0,    0,    0,    0,    0xff, 0xff, 0xff, 0xff,  // 2^32 - 1
        0,    0,   0, 4, 0,    0,    0xff, 0xff,                          // 2^16 - 1
        0,    0,   0, 2, 0,    0xff,                                      // 2^8 - 1
        0,    0,   0, 2, 0xff, 0xfe,                                      // -2
        0,    0,   0, 4, 0xff, 0xff, 0xff, 0xfd,                          // -3
        0,    0,   0, 8, 0x0d, 0x23, 0x4c, 0xcf, 0x52, 0x42, 0xff, 0xff,  // the time as it is
        0,    0,   0, 2, 'a',  'b',                                       // without its zeros
        0xff, 0xff};
    CHECK_EQUAL(written, kCopyHeaderSize + expected.size());
    CHECK(std::memcmp(out.data() + kCopyHeaderSize, expected.data(), expected.size()) == 0);
}

}  // namespace

int main() {
    test_every_type();
    test_known_bytes();
    test_no_rows();
    test_order_is_stable();
    test_refused();
    return pseudofeed::test::result();
}
