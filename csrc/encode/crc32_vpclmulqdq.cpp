// x86-64 with VPCLMULQDQ and AVX-512 (Ice Lake 2019, Zen 4 2022): registers of four lanes.
#include "encode/crc32_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <array>

#include "encode/crc32.h"

// For our own functions alone: those of the standard headers are shared with code for other processors.
#if defined(__clang__) && __clang_major__ >= 18 && __clang_major__ <= 20
// Where a whole program is compiled without evex512, as `zig c++` does, these releases want it by name.
#pragma clang attribute push(__attribute__((target("avx512f,evex512,vpclmulqdq"))), apply_to = function)
#elif defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,vpclmulqdq"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,vpclmulqdq")
#endif
#include "encode/crc32_fold.h"

namespace pseudofeed::encode {
namespace {

struct Register {
    static constexpr std::size_t size = 64;
    __m512i value;

    static Register load(const std::byte* at) { return {_mm512_loadu_si512(at)}; }
    void store(std::byte* at) const { _mm512_storeu_si512(at, value); }
    static Register factors(FoldFactors factors) {
        const auto first = static_cast<long long>(factors.first), second = static_cast<long long>(factors.second);
        return {_mm512_set4_epi64(second, first, second, first)};
    }
    Register folded(Register factors, Register behind) const {
        const __m512i first = _mm512_clmulepi64_epi128(value, factors.value, 0x00);
        const __m512i second = _mm512_clmulepi64_epi128(value, factors.value, 0x11);
        return {_mm512_ternarylogic_epi64(first, second, behind.value, 0x96)};  // exclusive or of all three
    }
    void add(std::uint32_t word) {
        value = _mm512_xor_si512(value, _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(word))));
    }
};

}  // namespace

std::uint32_t crc32_vpclmulqdq(const std::byte* data, std::size_t size, std::uint32_t sum) {
    return fold_crc32<Register, crc32_pclmulqdq>(data, size, sum);
}

}  // namespace pseudofeed::encode

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
