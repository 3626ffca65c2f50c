// Nearly all numbers have at most 19 digits and an exponent of ten within +-27: they are a quotient or product of two
// 64-bit integers, which is rounded exactly. The rest, rare, is found by bisection over the doubles: big integers tell
// on which side of the middle between two neighbours the number lies.
#include "encode/decimal.h"

#include <array>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace pseudofeed::encode {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr int kLargestPower = 27;  // 5^27 < 2^63
constexpr std::array kPowersOfFive = [] {
    std::array<std::uint64_t, kLargestPower + 1> powers{1};
    for (int k = 1; k <= kLargestPower; ++k) powers[std::size_t(k)] = powers[std::size_t(k) - 1] * 5;
    return powers;
}();

constexpr int kMantissaBits = 53;
constexpr std::uint64_t kInfinity = 0x7FF0'0000'0000'0000;

// No double, and no middle between two, has more digits than 767: of the rest it only counts whether they are zero.
constexpr std::size_t kDigits = 800;

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
    // 10^-k = 5^-k 2^-k. Shifted so far that the quotient has at least 64 bits.
    const std::uint64_t divisor = kPowersOfFive[std::size_t(-exponent)];
    const int shift = 64 + std::countl_zero(digits);
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
    std::size_t at = 0;
    const bool negative = !text.empty() && text[0] == '-';
    if (negative) ++at;
    std::size_t first = 0;   // of the significant digits
    std::size_t digits = 0;  // significant ones
    std::int64_t places = 0;
    std::uint64_t small = 0;  // the first 19 of them
    bool any = false, point = false;
    for (; at < text.size(); ++at) {
        if (text[at] == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(text[at])) break;
        any = true;
        places += point;
        if (digits == 0 && text[at] == '0') continue;
        if (digits == 0) first = at;
        if (++digits <= 19) small = small * 10 + static_cast<std::uint64_t>(text[at] - '0');
    }
    if (!any) return 0;
    const std::size_t end = at;
    // Of the last digit. A text is shorter than 2^62.
    const std::int64_t exponent = take_exponent(text, &at) - places;
    const auto count = static_cast<std::int64_t>(digits);
    std::uint64_t bits = 0;
    if (digits == 0) {
        // 0, whatever the exponent.
    } else if (digits <= 19 && exponent >= -kLargestPower && exponent <= kLargestPower) {
        bits = from_small(small, static_cast<int>(exponent));
    } else if (exponent + count > 310 || exponent + count < -325) {
        return 0;
    } else {
        Big big(0);
        std::size_t taken = 0;
        bool more = false;
        for (std::size_t i = first; i < end; ++i) {
            if (text[i] == '.') continue;
            if (taken == kDigits) {
                more = more || text[i] != '0';
            } else {
                big.multiply(10, static_cast<std::uint32_t>(text[i] - '0'));
                ++taken;
            }
        }
        std::int64_t last = exponent + count - static_cast<std::int64_t>(taken);
        if (more) {
            big.multiply(10, 1);
            --last;
        }
        bits = by_bisection(Comparison(std::move(big), last));
        if (bits == 0 || bits == kInfinity) return 0;
    }
    *number = std::bit_cast<double>(bits | static_cast<std::uint64_t>(negative) << 63);
    return at;
}

}  // namespace pseudofeed::encode
