// The instruction sets' kernels, and which of them this machine takes. All sets return the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simulate/factor_kernel.h"
#include "simulate/heston_kernel.h"

namespace pseudofeed::simulate {

#define PSEUDOFEED_DECLARE_KERNELS(set)                                                                 \
    namespace set {                                                                                     \
    void factor_normals(std::uint64_t seed, std::uint64_t factor, std::uint64_t step, double* normals); \
    void heston_euler(const HestonTile& tile);                                                          \
    void heston_qe(const HestonTile& tile);                                                             \
    }

PSEUDOFEED_DECLARE_KERNELS(baseline)
#if defined(PSEUDOFEED_X86_DISPATCH)
PSEUDOFEED_DECLARE_KERNELS(avx2)
PSEUDOFEED_DECLARE_KERNELS(avx512)
#endif

struct Kernels {
    const char* name;  // "avx512", "avx2" or "baseline"
    FactorKernel factor_normals;
    HestonKernel euler, qe;
};

// The best that the processor has; the environment's PSEUDOFEED_ISA names a lesser one.
const Kernels& kernels();

}  // namespace pseudofeed::simulate
