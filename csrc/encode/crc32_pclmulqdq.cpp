// x86-64 with PCLMULQDQ (since 2010): registers of one lane.
#include "encode/crc32_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <array>

#include "encode/crc32.h"

// For our own functions alone: those of the standard headers are shared with code for other processors.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("pclmul,sse4.1"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("pclmul,sse4.1")
#endif
#include "encode/crc32_fold.h"

namespace pseudofeed::encode {
namespace {

struct Register {
    static constexpr std::size_t size = 16;
    __m128i value;

    static Register load(const std::byte* at) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))}; }
    void store(std::byte* at) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(at), value); }
    static Register factors(FoldFactors factors) {
        return {_mm_set_epi64x(static_cast<long long>(factors.second), static_cast<long long>(factors.first))};
    }
    Register folded(Register factors, Register behind) const {
        const __m128i first = _mm_clmulepi64_si128(value, factors.value, 0x00);
        const __m128i second = _mm_clmulepi64_si128(value, factors.value, 0x11);
        return {_mm_xor_si128(_mm_xor_si128(first, behind.value), second)};
    }
    void add(std::uint32_t word) { value = _mm_xor_si128(value, _mm_cvtsi32_si128(static_cast<int>(word))); }
};

}  // namespace

std::uint32_t crc32_pclmulqdq(const std::byte* data, std::size_t size, std::uint32_t sum) {
    return fold_crc32<Register, crc32_tables>(data, size, sum);
}

}  // namespace pseudofeed::encode

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
