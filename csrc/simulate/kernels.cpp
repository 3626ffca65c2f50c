#include "simulate/kernels.h"

#include <cstdlib>
#include <cstring>

#include "processor.h"

namespace pseudofeed::simulate {

namespace {

Kernels choose() {
#if defined(PSEUDOFEED_X86_DISPATCH)
    const char* asked = std::getenv("PSEUDOFEED_ISA");
    const auto allowed = [asked](const char* name) { return asked == nullptr || std::strcmp(asked, name) == 0; };
    const Processor has = processor();
    if (allowed("avx512") && has.avx512f && has.avx512dq && has.avx512vl && has.avx512bw) {
        return {"avx512", avx512::factor_normals, avx512::heston_euler, avx512::heston_qe};
    }
    if ((allowed("avx2") || allowed("avx512")) && has.avx2) {
        return {"avx2", avx2::factor_normals, avx2::heston_euler, avx2::heston_qe};
    }
#endif
    return {"baseline", baseline::factor_normals, baseline::heston_euler, baseline::heston_qe};
}

}  // namespace

const Kernels& kernels() {
    static const Kernels chosen = choose();
    return chosen;
}

}  // namespace pseudofeed::simulate
