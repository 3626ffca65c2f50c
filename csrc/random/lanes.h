// Lanes: doubles, and 64-bit words, of as many instruments as fit two registers, so that one source serves every
// instruction set. The operations here let one template work for a double and for lanes. Lanes are the compiler's
// vector extensions; operations without an operator are the core's only intrinsics.
//
// Auto-vectorised loops were the first attempt: GCC 12 turned Philox's products into 64-bit multiplications, or
// widening ones with permutes. There are two registers because an instrument's operations are one long chain: with two
// chains in parallel a processor waits less (Cascade Lake, GCC 12, euler, M instrument-steps/s: 77 -> 83 with AVX-512,
// 48 -> 61 with AVX2).
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "floating_point.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

// The functions of each instruction set are in a namespace of their own. With the same names, the linker would keep one
// set's copy for all, and a lesser processor would meet instructions that it lacks. The build defines the set's name.
#if !defined(PSEUDOFEED_SET)
#define PSEUDOFEED_SET baseline
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define PSEUDOFEED_AVX512
#endif

namespace pseudofeed::random::inline PSEUDOFEED_SET {

#if defined(PSEUDOFEED_AVX512)
constexpr std::size_t register_lanes = 8;
#elif defined(__AVX2__)
constexpr std::size_t register_lanes = 4;
#else
constexpr std::size_t register_lanes = 2;
#endif
constexpr std::size_t lane_count = 2 * register_lanes;

typedef double DoubleRegister __attribute__((vector_size(register_lanes * 8)));
typedef std::uint64_t WordRegister __attribute__((vector_size(register_lanes * 8)));
typedef std::int64_t MaskRegister __attribute__((vector_size(register_lanes * 8)));

template <class Register, class Element>
struct Pair {
    Register a, b;

    // The same in every lane.
    static Pair of(Element x) { return {x - Register{}, x - Register{}}; }
};

using Doubles = Pair<DoubleRegister, double>;
using Words64 = Pair<WordRegister, std::uint64_t>;
using Mask = Pair<MaskRegister, std::int64_t>;

template <class R, class E>
static inline Pair<R, E> operator+(Pair<R, E> x, Pair<R, E> y) {
    return {x.a + y.a, x.b + y.b};
}
template <class R, class E>
static inline Pair<R, E> operator-(Pair<R, E> x, Pair<R, E> y) {
    return {x.a - y.a, x.b - y.b};
}
template <class R, class E>
static inline Pair<R, E> operator*(Pair<R, E> x, Pair<R, E> y) {
    return {x.a * y.a, x.b * y.b};
}
template <class R, class E>
static inline Pair<R, E> operator/(Pair<R, E> x, Pair<R, E> y) {
    return {x.a / y.a, x.b / y.b};
}
template <class R, class E>
static inline Pair<R, E> operator^(Pair<R, E> x, Pair<R, E> y) {
    return {x.a ^ y.a, x.b ^ y.b};
}
template <class R, class E>
static inline Pair<R, E> operator&(Pair<R, E> x, Pair<R, E> y) {
    return {x.a & y.a, x.b & y.b};
}
template <class R, class E>
static inline Pair<R, E> operator<<(Pair<R, E> x, int y) {
    return {x.a << y, x.b << y};
}
template <class R, class E>
static inline Pair<R, E> operator>>(Pair<R, E> x, int y) {
    return {x.a >> y, x.b >> y};
}
template <class R, class E>
static inline Pair<R, E> operator-(Pair<R, E> x) {
    return {-x.a, -x.b};
}

static inline Doubles operator+(Doubles x, double y) { return {x.a + y, x.b + y}; }
static inline Doubles operator-(Doubles x, double y) { return {x.a - y, x.b - y}; }
static inline Doubles operator*(Doubles x, double y) { return {x.a * y, x.b * y}; }
static inline Doubles operator+(double x, Doubles y) { return {x + y.a, x + y.b}; }
static inline Doubles operator-(double x, Doubles y) { return {x - y.a, x - y.b}; }
static inline Doubles operator*(double x, Doubles y) { return {x * y.a, x * y.b}; }
static inline Doubles operator/(double x, Doubles y) { return {x / y.a, x / y.b}; }
static inline Words64 operator+(Words64 x, std::uint64_t y) { return {x.a + y, x.b + y}; }
static inline Words64 operator^(Words64 x, std::uint64_t y) { return {x.a ^ y, x.b ^ y}; }
static inline Words64 operator&(Words64 x, std::uint64_t y) { return {x.a & y, x.b & y}; }
static inline Words64 operator|(Words64 x, std::uint64_t y) { return {x.a | y, x.b | y}; }

// The same value in one double, or in every lane.
template <class T, class E>
static inline T every(E x) {
    if constexpr (std::is_arithmetic_v<T>) {
        return x;
    } else {
        return T::of(x);
    }
}

// Comparisons and what they choose: bool for doubles, masks for lanes.
static inline Mask less(Doubles x, Doubles y) { return {x.a < y.a, x.b < y.b}; }
static inline Mask greater(Doubles x, double y) { return {x.a > y, x.b > y}; }
static inline Mask less(Doubles x, double y) { return {x.a < y, x.b < y}; }
static inline Doubles choose(Mask mask, Doubles x, Doubles y) { return {mask.a ? x.a : y.a, mask.b ? x.b : y.b}; }

// Whether it is true in any lane.
static inline bool any(Mask mask) {
    const MaskRegister both = mask.a | mask.b;
    std::int64_t found = 0;
    for (std::size_t i = 0; i < register_lanes; ++i) found |= both[i];
    return found != 0;
}

// The least and the greatest of the lanes.
static inline double least_lane(Doubles x) {
    double least = x.a[0];
    for (std::size_t i = 0; i < register_lanes; ++i) {
        least = x.a[i] < least ? x.a[i] : least;
        least = x.b[i] < least ? x.b[i] : least;
    }
    return least;
}
static inline double greatest_lane(Doubles x) {
    double greatest = x.a[0];
    for (std::size_t i = 0; i < register_lanes; ++i) {
        greatest = x.a[i] > greatest ? x.a[i] : greatest;
        greatest = x.b[i] > greatest ? x.b[i] : greatest;
    }
    return greatest;
}

// The unsigned integers that hold the bits of a double, or of lanes of them; and back.
template <class D>
struct BitsOf;
template <>
struct BitsOf<double> {
    using Type = std::uint64_t;
};
template <>
struct BitsOf<Doubles> {
    using Type = Words64;
};
template <class D>
using Bits = typename BitsOf<D>::Type;

static inline std::uint64_t bits(double x) { return std::bit_cast<std::uint64_t>(x); }
static inline double from_bits(std::uint64_t x) { return std::bit_cast<double>(x); }
static inline Words64 bits(Doubles x) { return {(WordRegister)x.a, (WordRegister)x.b}; }
static inline Doubles from_bits(Words64 x) { return {(DoubleRegister)x.a, (DoubleRegister)x.b}; }

// --- Operations with intrinsics ------------------------------------------------------------------------------------

static inline DoubleRegister square_root(DoubleRegister x) {
#if defined(PSEUDOFEED_AVX512)
    return _mm512_sqrt_pd(x);
#elif defined(__AVX2__)
    return _mm256_sqrt_pd(x);
#elif defined(__x86_64__)
    return _mm_sqrt_pd(x);
#else
    for (std::size_t i = 0; i < register_lanes; ++i) x[i] = std::sqrt(x[i]);
    return x;
#endif
}

// Of the low 32 bits; the bits above them do not matter.
static inline WordRegister multiply_low(WordRegister x, WordRegister y) {
#if defined(PSEUDOFEED_AVX512)
    return (WordRegister)_mm512_mul_epu32((__m512i)x, (__m512i)y);
#elif defined(__AVX2__)
    return (WordRegister)_mm256_mul_epu32((__m256i)x, (__m256i)y);
#elif defined(__x86_64__)
    return (WordRegister)_mm_mul_epu32((__m128i)x, (__m128i)y);
#elif defined(__ARM_NEON)
    return (WordRegister)vmull_u32(vmovn_u64((uint64x2_t)x), vmovn_u64((uint64x2_t)y));
#else
    return (x & 0xFFFFFFFFu) * (y & 0xFFFFFFFFu);
#endif
}

// x limited to low .. high; NaN if x is NaN (x86's min and max return their second operand then).
static inline DoubleRegister clamp(DoubleRegister x, double low, double high) {
#if defined(PSEUDOFEED_AVX512)
    return _mm512_min_pd(_mm512_set1_pd(high), _mm512_max_pd(_mm512_set1_pd(low), x));
#elif defined(__AVX2__)
    return _mm256_min_pd(_mm256_set1_pd(high), _mm256_max_pd(_mm256_set1_pd(low), x));
#elif defined(__x86_64__)
    return _mm_min_pd(_mm_set1_pd(high), _mm_max_pd(_mm_set1_pd(low), x));
#else
    x = x < low ? low - DoubleRegister{} : x;
    return x > high ? high - DoubleRegister{} : x;
#endif
}

// The smaller and the larger of two numbers; if one of them is NaN, either of the two.
static inline DoubleRegister smaller(DoubleRegister x, DoubleRegister y) {
#if defined(PSEUDOFEED_AVX512)
    return _mm512_min_pd(x, y);
#elif defined(__AVX2__)
    return _mm256_min_pd(x, y);
#elif defined(__x86_64__)
    return _mm_min_pd(x, y);
#else
    return x < y ? x : y;
#endif
}

static inline DoubleRegister larger(DoubleRegister x, DoubleRegister y) {
#if defined(PSEUDOFEED_AVX512)
    return _mm512_max_pd(x, y);
#elif defined(__AVX2__)
    return _mm256_max_pd(x, y);
#elif defined(__x86_64__)
    return _mm_max_pd(x, y);
#else
    return x > y ? x : y;
#endif
}

static inline double square_root(double x) { return std::sqrt(x); }
static inline Doubles square_root(Doubles x) { return {square_root(x.a), square_root(x.b)}; }

static inline std::uint64_t multiply_low(std::uint64_t x, std::uint64_t y) {
    return (x & 0xFFFFFFFFu) * (y & 0xFFFFFFFFu);
}
static inline Words64 multiply_low(Words64 x, Words64 y) { return {multiply_low(x.a, y.a), multiply_low(x.b, y.b)}; }

static inline double clamp(double x, double low, double high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}
static inline Doubles clamp(Doubles x, double low, double high) {
    return {clamp(x.a, low, high), clamp(x.b, low, high)};
}
static inline Doubles smaller(Doubles x, Doubles y) { return {smaller(x.a, y.a), smaller(x.b, y.b)}; }
static inline Doubles larger(Doubles x, Doubles y) { return {larger(x.a, y.a), larger(x.b, y.b)}; }

// --- Memory, of any alignment --------------------------------------------------------------------------------------

template <class R, class E>
static inline Pair<R, E> load_pair(const E* from) {
    Pair<R, E> x;
    std::memcpy(&x.a, from, sizeof x.a);
    std::memcpy(&x.b, from + register_lanes, sizeof x.b);
    return x;
}
static inline Doubles load(const double* from) { return load_pair<DoubleRegister>(from); }
static inline Words64 load(const std::uint64_t* from) { return load_pair<WordRegister>(from); }

template <class R, class E>
static inline void store(E* to, Pair<R, E> x) {
    std::memcpy(to, &x.a, sizeof x.a);
    std::memcpy(to + register_lanes, &x.b, sizeof x.b);
}

}  // namespace pseudofeed::random::inline PSEUDOFEED_SET
