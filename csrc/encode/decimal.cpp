// Nearly all numbers have at most 19 digits and an exponent of ten within +-27: they are a quotient or product of two
// 64-bit integers, which is rounded exactly. The rest, rare, is found by bisection over the doubles: big integers tell
// on which side of the middle between two neighbours the number lies.
#include "encode/decimal.h"

#include <array>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "encode/byte_order.h"

namespace pseudofeed::encode {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr int kLargestPower = 27;  // 5^27 < 2^63
constexpr std::array kPowersOfFive = [] {
    std::array<std::uint64_t, kLargestPower + 1> powers{1};
    for (int k = 1; k <= kLargestPower; ++k) powers[std::size_t(k)] = powers[std::size_t(k) - 1] * 5;
    return powers;
}();

// floor(2^(63 + bits of 5^k) / 5^k), so that the highest bit is set.
constexpr std::array kReciprocals = [] {
    std::array<std::uint64_t, kLargestPower + 1> reciprocals{};
    for (std::size_t k = 1; k <= kLargestPower; ++k) {
        reciprocals[k] =
            static_cast<std::uint64_t>((Wide{1} << (63 + std::bit_width(kPowersOfFive[k]))) / kPowersOfFive[k]);
    }
    return reciprocals;
}();

constexpr int kMantissaBits = 53;
constexpr std::uint64_t kInfinity = 0x7FF0'0000'0000'0000;

// No double, and no middle between two, has more digits than 767: of the rest it only counts whether they are zero.
constexpr std::int64_t kDigits = 800;

// The bits of the double next to value x 2^exponent, which is no subnormal number. `sticky`: the true value is larger,
// by less than one in the last bit of `value`, which has more than 54 bits then.
std::uint64_t rounded(Wide value, int exponent, bool sticky) {
    const auto high = static_cast<std::uint64_t>(value >> 64);
    const int bits =
        high != 0 ? 128 - std::countl_zero(high) : 64 - std::countl_zero(static_cast<std::uint64_t>(value));
    const int drop = bits - kMantissaBits;
    std::uint64_t mantissa = 0;
    if (drop <= 0) {
        mantissa = static_cast<std::uint64_t>(value) << -drop;
    } else {
        mantissa = static_cast<std::uint64_t>(value >> drop);
        const Wide rest = value & ((Wide{1} << drop) - 1);
        const Wide half = Wide{1} << (drop - 1);
        const bool above = rest > half || (rest == half && sticky);
        mantissa += above || (rest == half && (mantissa & 1) != 0);
    }
    // The mantissa's highest bit adds one to the exponent field, and a carry out of it another.
    const auto biased = static_cast<std::uint64_t>(exponent + drop + 1074);
    return (biased << (kMantissaBits - 1)) + mantissa;
}

// digits x 10^exponent, where both are small enough.
std::uint64_t from_small(std::uint64_t digits, int exponent) {
    if (exponent >= 0) return rounded(Wide{digits} * kPowersOfFive[std::size_t(exponent)], exponent, false);
    // 10^-k = 5^-k 2^-k. The product with the reciprocal, cut off after its first word, is less than two too small, and
    // never exact. That tells how to round, unless it is just below a half: once in some hundreds. A division takes
    // 40 ns on processors of 2020 and before.
    const std::uint64_t divisor = kPowersOfFive[std::size_t(-exponent)];
    const int zeros = std::countl_zero(digits);
    const auto high = static_cast<std::uint64_t>((Wide{digits << zeros} * kReciprocals[std::size_t(-exponent)]) >> 64);
    const int drop = std::bit_width(high) - kMantissaBits;
    const std::uint64_t half = std::uint64_t{1} << (drop - 1);
    const std::uint64_t rest = high & (2 * half - 1);
    if (rest >= half || rest + 2 < half) {
        return rounded(high, exponent + 1 - static_cast<int>(std::bit_width(divisor)) - zeros, true);
    }
    // Shifted so far that the quotient has at least 64 bits.
    const int shift = 64 + zeros;
    const Wide dividend = Wide{digits} << shift;
    const Wide quotient = dividend / divisor;
    return rounded(quotient, exponent - shift, quotient * divisor != dividend);
}

// A whole number of any size, by 32 bits, the lowest first, without zeros at its end.
class Big {
  public:
    explicit Big(std::uint64_t value) {
        for (; value != 0; value >>= 32) words_.push_back(static_cast<std::uint32_t>(value));
    }
    // *this = *this x factor + addend
    void multiply(std::uint32_t factor, std::uint32_t addend = 0) {
        if (factor == 0) words_.clear();
        std::uint64_t carry = addend;
        for (std::uint32_t& word : words_) {
            carry += std::uint64_t{word} * factor;
            word = static_cast<std::uint32_t>(carry);
            carry >>= 32;
        }
        if (carry != 0) words_.push_back(static_cast<std::uint32_t>(carry));
    }
    void multiply_by_power_of_five(std::int64_t power) {
        for (; power >= 13; power -= 13) multiply(1'220'703'125);
        for (; power > 0; --power) multiply(5);
    }
    Big times(std::uint64_t factor) const {
        Big low = *this, high = *this;
        low.multiply(static_cast<std::uint32_t>(factor));
        high.multiply(static_cast<std::uint32_t>(factor >> 32));
        high.shift(32);
        low.add(high);
        return low;
    }
    void shift(std::int64_t bits) {  // to the left
        if (words_.empty()) return;
        multiply(std::uint32_t{1} << (bits % 32));
        words_.insert(words_.begin(), std::size_t(bits / 32), 0);
    }
    // < 0, 0, > 0 as the left one is smaller, equal, larger.
    static int compare(const Big& left, const Big& right) {
        if (left.words_.size() != right.words_.size()) return left.words_.size() < right.words_.size() ? -1 : 1;
        for (std::size_t i = left.words_.size(); i-- > 0;) {
            if (left.words_[i] != right.words_[i]) return left.words_[i] < right.words_[i] ? -1 : 1;
        }
        return 0;
    }

  private:
    void add(const Big& other) {
        if (other.words_.size() > words_.size()) words_.resize(other.words_.size());
        std::uint64_t carry = 0;
        for (std::size_t i = 0; i < words_.size(); ++i) {
            carry += std::uint64_t{words_[i]} + (i < other.words_.size() ? other.words_[i] : 0);
            words_[i] = static_cast<std::uint32_t>(carry);
            carry >>= 32;
        }
        if (carry != 0) words_.push_back(static_cast<std::uint32_t>(carry));
    }

    std::vector<std::uint32_t> words_;
};

// DIGITS x 10^exponent, compared with the middle between the double of these bits and the next larger one.
class Comparison {
  public:
    Comparison(Big digits, std::int64_t exponent) : digits_(std::move(digits)), divisor_(1), exponent_(exponent) {
        (exponent >= 0 ? digits_ : divisor_).multiply_by_power_of_five(exponent >= 0 ? exponent : -exponent);
    }
    int with_middle_above(std::uint64_t bits) const {
        const auto field = static_cast<int>(bits >> (kMantissaBits - 1));
        const std::uint64_t fraction = bits & ((std::uint64_t{1} << (kMantissaBits - 1)) - 1);
        const std::uint64_t mantissa = field == 0 ? fraction : fraction | std::uint64_t{1} << (kMantissaBits - 1);
        const std::int64_t last_bit = (field == 0 ? 1 : field) - 1075;
        Big left = digits_;
        Big right = divisor_.times(2 * mantissa + 1);
        const std::int64_t twos = exponent_ - (last_bit - 1);
        (twos >= 0 ? left : right).shift(twos >= 0 ? twos : -twos);
        return Big::compare(left, right);
    }

  private:
    Big digits_, divisor_;
    std::int64_t exponent_;
};

// The bits of the nearest double; kInfinity where it is too large.
std::uint64_t by_bisection(const Comparison& number) {
    std::uint64_t least = 0, beyond = kInfinity;
    while (least < beyond) {
        const std::uint64_t bits = least + (beyond - least) / 2;
        const int order = number.with_middle_above(bits);
        if (order < 0 || (order == 0 && (bits & 1) == 0)) {
            beyond = bits;
        } else {
            least = bits + 1;
        }
    }
    return least;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Eight digits at once: pairs, then fours, then all, a multiplication each (Lemire, "Quickly parsing eight digits",
// 2018). False where one of them is none.
bool take_eight(const char* at, std::uint64_t* value) {
    const auto word = load_little<std::uint64_t>(reinterpret_cast<const std::byte*>(at));
    constexpr std::uint64_t high = 0xF0F0'F0F0'F0F0'F0F0, zeros = 0x3030'3030'3030'3030, six = 0x0606'0606'0606'0606;
    if ((word & high) != zeros || ((word + six) & high) != zeros) return false;
    const std::uint64_t pairs = ((word & ~high) * (1 + (10 << 8))) >> 8 & 0x00FF'00FF'00FF'00FF;
    const std::uint64_t fours = (pairs * (1 + (100 << 16))) >> 16 & 0x0000'FFFF'0000'FFFF;
    *value = *value * 100'000'000 + ((fours * (1 + (std::uint64_t{10'000} << 32))) >> 32);
    return true;
}

// Puts the digits from `at` on behind those of *value, modulo 2^64; returns where they end.
std::size_t take_digits(std::string_view text, std::size_t at, std::uint64_t* value) {
    while (at + 8 <= text.size() && take_eight(text.data() + at, value)) at += 8;
    for (; at < text.size() && is_digit(text[at]); ++at) {
        *value = *value * 10 + static_cast<std::uint64_t>(text[at] - '0');
    }
    return at;
}

// The bits of the nearest double, 0 or kInfinity where that is none. `digits`: `count` of them, with at most one point
// among them; exponent: of the last one.
std::uint64_t from_large(std::string_view digits, std::int64_t count, std::int64_t exponent) {
    Big big(0);
    std::int64_t taken = 0;
    bool more = false;
    for (const char digit : digits) {
        if (digit == '.') continue;
        if (taken == kDigits) {
            more = more || digit != '0';
        } else {
            big.multiply(10, static_cast<std::uint32_t>(digit - '0'));
            ++taken;
        }
    }
    exponent += count - taken;
    if (more) {
        big.multiply(10, 1);
        --exponent;
    }
    return by_bisection(Comparison(std::move(big), exponent));
}

// "e-12" and the like at `at`, or 0 with `*at` left where it is.
std::int64_t take_exponent(std::string_view text, std::size_t* at) {
    std::size_t i = *at;
    if (i == text.size() || (text[i] != 'e' && text[i] != 'E')) return 0;
    ++i;
    const bool negative = i < text.size() && text[i] == '-';
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    if (i == text.size() || !is_digit(text[i])) return 0;
    std::int64_t exponent = 0;
    for (; i < text.size() && is_digit(text[i]); ++i) {
        if (exponent < 1'000'000'000'000) exponent = exponent * 10 + (text[i] - '0');
    }
    *at = i;
    return negative ? -exponent : exponent;
}

}  // namespace

std::size_t read_double(std::string_view text, double* number) {
    const bool negative = !text.empty() && text[0] == '-';
    const std::size_t begin = negative;
    std::uint64_t small = 0;  // right if there are at most 19 digits
    const std::size_t whole_end = take_digits(text, begin, &small);
    std::size_t end = whole_end;
    std::size_t places = 0;
    if (end < text.size() && text[end] == '.') {
        end = take_digits(text, whole_end + 1, &small);
        places = end - whole_end - 1;
    }
    if (places == 0 && whole_end == begin) return 0;
    std::size_t first = begin;  // of the significant digits
    while (first < end && (text[first] == '0' || text[first] == '.')) ++first;
    const auto count = static_cast<std::int64_t>(end - first - (first < whole_end && end > whole_end));
    std::size_t at = end;
    // Of the last digit. A text is shorter than 2^62.
    const std::int64_t exponent = take_exponent(text, &at) - static_cast<std::int64_t>(places);
    std::uint64_t bits = 0;
    if (count == 0) {
        // 0, whatever the exponent.
    } else if (count <= 19 && exponent >= -kLargestPower && exponent <= kLargestPower) {
        bits = from_small(small, static_cast<int>(exponent));
    } else if (exponent + count > 310 || exponent + count < -325) {
        return 0;
    } else {
        bits = from_large(text.substr(first, end - first), count, exponent);
        if (bits == 0 || bits == kInfinity) return 0;
    }
    *number = std::bit_cast<double>(bits | static_cast<std::uint64_t>(negative) << 63);
    return at;
}

}  // namespace pseudofeed::encode
