// Each kernel that this processor has, and registers of one and four lanes in plain C++ (so that the folding of
// VPCLMULQDQ's is tested on every machine), against CRC-32 bit by bit: all lengths, places and splits.
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "check.h"
#include "encode/crc32.h"
#include "encode/crc32_fold.h"
#include "encode/crc32_kernels.h"

using namespace pseudofeed::encode;

namespace {

std::uint32_t bit_by_bit(const std::byte* data, std::size_t size, std::uint32_t sum) {
    sum = ~sum;
    for (std::size_t i = 0; i < size; ++i) {
        sum ^= std::to_integer<std::uint32_t>(data[i]);
        for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xEDB88320u : 0u);
    }
    return ~sum;
}

struct Product {
    std::uint64_t low = 0, high = 0;
};

Product carry_less(std::uint64_t a, std::uint64_t b) {
    Product product;
    for (int bit = 0; bit < 64; ++bit) {
        if ((b >> bit & 1) == 0) continue;
        product.low ^= a << bit;
        if (bit > 0) product.high ^= a >> (64 - bit);
    }
    return product;
}

template <std::size_t lanes>
struct Plain {
    static constexpr std::size_t size = 16 * lanes;
    std::uint64_t words[2 * lanes];

    static Plain load(const std::byte* at) {
        Plain loaded;
        std::memcpy(loaded.words, at, size);
        return loaded;
    }
    void store(std::byte* at) const { std::memcpy(at, words, size); }
    static Plain factors(FoldFactors factors) {
        Plain all;
        for (std::size_t i = 0; i < 2 * lanes; i += 2) {
            all.words[i] = factors.first;
            all.words[i + 1] = factors.second;
        }
        return all;
    }
    Plain folded(Plain factors, Plain behind) const {
        for (std::size_t i = 0; i < 2 * lanes; i += 2) {
            for (const std::size_t half : {i, i + 1}) {
                const Product product = carry_less(words[half], factors.words[half]);
                behind.words[i] ^= product.low;
                behind.words[i + 1] ^= product.high;
            }
        }
        return behind;
    }
    void add(std::uint32_t word) { words[0] ^= word; }
};

void check_all(const Crc32Kernel& kernel) {
    constexpr std::size_t longest = 1000;
    std::vector<std::byte> data(longest + 64);
    std::mt19937 random(1);
    for (std::byte& byte : data) byte = static_cast<std::byte>(random());
    int wrong = 0;
    for (std::size_t size = 0; size <= longest; ++size) {
        const std::uint32_t before = size % 3 == 0 ? 0 : static_cast<std::uint32_t>(random());
        const std::byte* at = data.data() + size % 64;
        wrong += kernel.crc32(at, size, before) != bit_by_bit(at, size, before);
    }
    const std::uint32_t whole = bit_by_bit(data.data(), longest, 0);
    for (std::size_t split = 0; split <= longest; ++split) {
        wrong += kernel.crc32(data.data() + split, longest - split, kernel.crc32(data.data(), split, 0)) != whole;
    }
    for (std::size_t place = 0; place < 64; ++place) {
        wrong += kernel.crc32(data.data() + place, longest, 7) != bit_by_bit(data.data() + place, longest, 7);
    }
    if (wrong != 0) std::fprintf(stderr, "%s: %d wrong sums\n", kernel.name, wrong);
    CHECK_EQUAL(wrong, 0);

    // Published answers: "123456789" and "" (Ross Williams, "A Painless Guide to CRC Error Detection Algorithms").
    const std::string_view digits = "123456789";
    CHECK_EQUAL(kernel.crc32(reinterpret_cast<const std::byte*>(digits.data()), digits.size(), 0), 0xCBF43926u);
    CHECK_EQUAL(kernel.crc32(nullptr, 0, 0), 0u);
    // A megabyte, where every register has been folded many times; the oracle is slow.
    std::vector<std::byte> large(1 << 20);
    for (std::byte& byte : large) byte = static_cast<std::byte>(random());
    CHECK_EQUAL(kernel.crc32(large.data(), large.size(), 0), bit_by_bit(large.data(), large.size(), 0));
}

}  // namespace

int main() {
    for (const Crc32Kernel& kernel : crc32_kernels()) {
        std::printf("%s\n", kernel.name);
        check_all(kernel);
    }
    check_all({"plain registers of one lane", fold_crc32<Plain<1>, crc32_tables>});
    check_all({"plain registers of four lanes", fold_crc32<Plain<4>, crc32_tables>});
    CHECK(std::string_view(crc32_kernels().back().name) == "tables");
    return pseudofeed::test::result();
}
