// Lanes: a register full of doubles, and of 64-bit words, in the compiler's vector extensions, so that one source
// serves every instruction set; and the few operations that a template needs in order to be written once for one double
// and for lanes. Auto-vectorised loops were the alternative: GCC 12 turned Philox's products into 64-bit
// multiplications or widening ones with permutes, and left it at half the speed (see heston_walk.h).
//
// The two operations below for which vector extensions have no operator are the only intrinsics of the core.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace pseudofeed::random {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr std::size_t lane_count = 8;
#elif defined(__AVX2__)
constexpr std::size_t lane_count = 4;
#else
constexpr std::size_t lane_count = 2;
#endif

typedef double Doubles __attribute__((vector_size(lane_count * sizeof(double))));
typedef std::uint64_t Words64 __attribute__((vector_size(lane_count * sizeof(double))));

// The unsigned integers that hold the bits of a double, or of lanes of them.
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

template <class D>
static inline Bits<D> bits(D x) {
    return std::bit_cast<Bits<D>>(x);
}

static inline double from_bits(std::uint64_t x) { return std::bit_cast<double>(x); }
static inline Doubles from_bits(Words64 x) { return std::bit_cast<Doubles>(x); }

template <class D>
static inline D every(double x) {
    return x - D{};
}
template <class W>
static inline W every_word(std::uint64_t x) {
    return x - W{};
}

static inline double square_root(double x) { return std::sqrt(x); }

static inline Doubles square_root(Doubles x) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return _mm512_sqrt_pd(x);
#elif defined(__AVX2__)
    return _mm256_sqrt_pd(x);
#elif defined(__x86_64__) || defined(_M_X64)
    return _mm_sqrt_pd(x);
#else
    for (std::size_t i = 0; i < lane_count; ++i) x[i] = std::sqrt(x[i]);
    return x;
#endif
}

// The 64-bit products of the low 32 bits; what stands above them does not matter.
static inline std::uint64_t multiply_low(std::uint64_t x, std::uint64_t y) {
    return (x & 0xFFFFFFFFu) * (y & 0xFFFFFFFFu);
}

static inline Words64 multiply_low(Words64 x, Words64 y) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    return (Words64)_mm512_mul_epu32((__m512i)x, (__m512i)y);
#elif defined(__AVX2__)
    return (Words64)_mm256_mul_epu32((__m256i)x, (__m256i)y);
#elif defined(__x86_64__) || defined(_M_X64)
    return (Words64)_mm_mul_epu32((__m128i)x, (__m128i)y);
#elif defined(__ARM_NEON)
    return (Words64)vmull_u32(vmovn_u64((uint64x2_t)x), vmovn_u64((uint64x2_t)y));
#else
    return (x & 0xFFFFFFFFu) * (y & 0xFFFFFFFFu);
#endif
}

static inline Doubles load(const double* from) {
    Doubles x;
    std::memcpy(&x, from, sizeof x);
    return x;
}
static inline Words64 load(const std::uint64_t* from) {
    Words64 x;
    std::memcpy(&x, from, sizeof x);
    return x;
}
static inline void store(double* to, Doubles x) { std::memcpy(to, &x, sizeof x); }
static inline void store(std::uint64_t* to, Words64 x) { std::memcpy(to, &x, sizeof x); }

// Whether a comparison holds in any lane.
template <class Mask>
static inline bool any(Mask mask) {
    std::int64_t found = 0;
    for (std::size_t i = 0; i < lane_count; ++i) found |= mask[i];
    return found != 0;
}

}  // namespace pseudofeed::random
