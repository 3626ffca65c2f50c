#include "encode/crc32.h"

#include <array>

#include "encode/crc32_kernels.h"
#include "isa.h"
#include "processor.h"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace pseudofeed::encode {
namespace {

constexpr std::size_t kShortest = 64;  // that a kernel folds

struct Candidate {
    Crc32Kernel kernel;
    Isa set;         // that PSEUDOFEED_ISA must allow
    bool available;  // on this processor
};

std::array<Candidate, 3> candidates() {
#if defined(__x86_64__)
    const Processor has = processor();
    const bool narrow = has.pclmul && has.sse4_1;
    const bool wide = narrow && has.avx512f && has.vpclmulqdq;
    return {{{{"vpclmulqdq", crc32_vpclmulqdq}, Isa::avx512, wide},
             {{"pclmulqdq", crc32_pclmulqdq}, Isa::avx2, narrow},
             {{"tables", crc32_tables}, Isa::baseline, true}}};
#elif defined(__aarch64__)
#if defined(__linux__)
    const bool pmull = (getauxval(AT_HWCAP) & HWCAP_PMULL) != 0;
#else
    const bool pmull = true;  // Apple's all have it
#endif
    return {{{{"pmull", crc32_pmull}, Isa::avx2, pmull}, {{"tables", crc32_tables}, Isa::baseline, true}}};
#else
    return {{{{"tables", crc32_tables}, Isa::baseline, true}}};
#endif
}

}  // namespace

std::vector<Crc32Kernel> crc32_kernels() {
    std::vector<Crc32Kernel> kernels;
    for (const Candidate& candidate : candidates()) {
        if (candidate.available) kernels.push_back(candidate.kernel);
    }
    return kernels;
}

const Crc32Kernel& crc32_kernel() {
    static const Crc32Kernel chosen = [] {
        // An unknown name is reported by the simulation; here it allows what every processor has.
        AllowedIsa allowed{Isa::baseline, false};
        (void)allowed_isa(&allowed);
        for (const Candidate& candidate : candidates()) {
            if (candidate.available && candidate.set <= allowed.most) return candidate.kernel;
        }
        return Crc32Kernel{"tables", crc32_tables};
    }();
    return chosen;
}

std::uint32_t crc32(const std::byte* data, std::size_t size, std::uint32_t sum) {
    // What the narrowest registers do too, without a choice: a single tick is two sums of 28 bytes.
    if (size < kShortest) return crc32_tables(data, size, sum);
    return crc32_kernel().crc32(data, size, sum);
}

}  // namespace pseudofeed::encode
