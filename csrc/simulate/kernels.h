// The instruction sets' kernels, and which of them this machine takes. All sets return the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simulate/factor_kernel.h"
#include "simulate/heston_kernel.h"
#include "status.h"

namespace pseudofeed::simulate {

#define PSEUDOFEED_DECLARE_KERNELS(set)                                                                              \
    namespace set {                                                                                                  \
    void factor_normals(std::uint64_t key, std::uint64_t factor, const std::uint64_t* steps, double* normals);       \
    PriceRange heston_euler(const HestonTile& tile);                                                                 \
    PriceRange heston_qe(const HestonTile& tile);                                                                    \
    void derive_euler(const double* constants, std::size_t stride, std::size_t instruments, double dt, double* out); \
    void derive_qe(const double* constants, std::size_t stride, std::size_t instruments, double dt, double* out);    \
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
    DeriveKernel derive_euler, derive_qe;
};

// The best that the processor has, or the lesser one that PSEUDOFEED_ISA in the environment names, read at the first
// call. Fails with bad_setting where it names none of this architecture, or one that the processor lacks.
Status choose_kernels(const Kernels*& kernels);

}  // namespace pseudofeed::simulate
