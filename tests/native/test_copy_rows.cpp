// COPY rows without Python: the bytes of a small batch written out by hand, stability, and what is refused.
#include <algorithm>
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

    CopyRowsSource source() const {
        return {.ticks = time.size(),
                .time = time.data(),
                .instrument = instrument.data(),
                .price = price.data(),
                .variance = variance.data(),
                .instrument_ids = ids.data(),
                .instruments = ids.size()};
    }
};

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
    std::vector<std::byte> out(copy_rows_size(2));
    CHECK(encode_copy_rows(batch.source(), out.data(), out.size()).ok());
    CHECK_EQUAL(out.size(), kExpected.size());
    CHECK(std::memcmp(out.data(), kExpected.data(), out.size()) == 0);
}

void test_no_ticks() {
    const Batch batch{{}, {}, {}, {}, {}};
    std::vector<std::byte> out(copy_rows_size(0));
    CHECK(encode_copy_rows(batch.source(), out.data(), out.size()).ok());
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
    std::vector<std::byte> out(copy_rows_size(30));
    CHECK(encode_copy_rows(batch.source(), out.data(), out.size()).ok());
    std::vector<double> prices(30);
    for (std::size_t row = 0; row < 30; ++row) {
        unsigned char bytes[8];
        for (std::size_t b = 0; b < 8; ++b) {
            bytes[b] = std::to_integer<unsigned char>(out[kCopyHeaderSize + row * kCopyRowSize + 33 - b]);
        }
        if constexpr (std::endian::native == std::endian::big) std::reverse(bytes, bytes + 8);
        std::memcpy(&prices[row], bytes, 8);
        const int number = static_cast<int>(row) / 10;
        const int id = std::to_integer<int>(out[kCopyHeaderSize + row * kCopyRowSize + 21]);
        CHECK_EQUAL(id, 10 + number);
        CHECK_EQUAL(static_cast<int>(prices[row]) * 7 % 3, number);
        if (row % 10 != 0) CHECK(prices[row] > prices[row - 1]);
    }
}

void test_refused() {
    const auto refused = [](const Batch& batch, std::size_t missing = 0) {
        std::vector<std::byte> out(copy_rows_size(batch.time.size()) - missing, std::byte{0xAA});
        const Status status = encode_copy_rows(batch.source(), out.data(), out.size());
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

}  // namespace

int main() {
    test_known_bytes();
    test_no_ticks();
    test_order_is_stable();
    test_refused();
    return pseudofeed::test::result();
}
