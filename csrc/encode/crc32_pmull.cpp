// AArch64 with PMULL (an option of ARMv8-A that servers, Apple and most boards have): registers of one lane.
#include "encode/crc32_kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include <array>

#include "encode/crc32.h"

// For our own functions alone: those of the standard headers are shared with code for other processors.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("aes"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("+crypto")
#endif
#include "encode/crc32_fold.h"

namespace pseudofeed::encode {
namespace {

struct Register {
    static constexpr std::size_t size = 16;
    uint64x2_t value;

    static Register load(const std::byte* at) {
        return {vreinterpretq_u64_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(at)))};
    }
    void store(std::byte* at) const { vst1q_u8(reinterpret_cast<std::uint8_t*>(at), vreinterpretq_u8_u64(value)); }
    static Register factors(FoldFactors factors) {
        return {vcombine_u64(vcreate_u64(factors.first), vcreate_u64(factors.second))};
    }
    Register folded(Register factors, Register behind) const {
        const poly128_t first = vmull_p64(vgetq_lane_u64(value, 0), vgetq_lane_u64(factors.value, 0));
        const poly128_t second = vmull_high_p64(vreinterpretq_p64_u64(value), vreinterpretq_p64_u64(factors.value));
        return {veorq_u64(veorq_u64(vreinterpretq_u64_p128(first), behind.value), vreinterpretq_u64_p128(second))};
    }
    void add(std::uint32_t word) { value = veorq_u64(value, vcombine_u64(vcreate_u64(word), vcreate_u64(0))); }
};

}  // namespace

std::uint32_t crc32_pmull(const std::byte* data, std::size_t size, std::uint32_t sum) {
    return fold_crc32<Register, crc32_tables>(data, size, sum);
}

}  // namespace pseudofeed::encode

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
