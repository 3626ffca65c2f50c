#include "simulate/kernels.h"

#include <cstdlib>
#include <cstring>

#include "processor.h"
#include "simulate/heston.h"

namespace pseudofeed::simulate {

namespace {

#define PSEUDOFEED_KERNELS(set) \
    Kernels { #set, set::factor_normals, set::heston_euler, set::heston_qe, set::derive_euler, set::derive_qe }

struct Choice {
    Kernels kernels;
    bool present;
};

#if defined(PSEUDOFEED_X86_DISPATCH)
constexpr const char* all_names = "avx512, avx2, baseline";
#else
constexpr const char* all_names = "baseline";
#endif

struct Chosen {
    Kernels kernels{};
    Status status;
};

Chosen choose() {
#if defined(PSEUDOFEED_X86_DISPATCH)
    const Processor has = processor();
    const bool avx512 = has.avx512f && has.avx512dq && has.avx512vl && has.avx512bw;
    // From the best to the least.
    const Choice choices[] = {{PSEUDOFEED_KERNELS(avx512), avx512},
                              {PSEUDOFEED_KERNELS(avx2), has.avx2},
                              {PSEUDOFEED_KERNELS(baseline), true}};
#else
    const Choice choices[] = {{PSEUDOFEED_KERNELS(baseline), true}};
#endif
    const char* asked = std::getenv("PSEUDOFEED_ISA");
    if (asked != nullptr && *asked == 0) asked = nullptr;
    Chosen chosen;
    for (const Choice& choice : choices) {
        if (asked != nullptr && std::strcmp(asked, choice.kernels.name) != 0) continue;
        if (choice.present) {
            chosen.kernels = choice.kernels;
            return chosen;
        }
        if (asked != nullptr) {
            chosen.status = failure(Code::bad_setting,
                                    "PSEUDOFEED_ISA is \"%s\", an instruction set that this processor lacks; leave the "
                                    "variable unset for the best that it has",
                                    asked);
            return chosen;
        }
    }
    chosen.status = failure(Code::bad_setting,
                            "PSEUDOFEED_ISA is \"%.60s\"; allowed on this architecture are %s, or leave it unset",
                            asked, all_names);
    return chosen;
}

}  // namespace

Status choose_kernels(const Kernels*& kernels) {
    static const Chosen chosen = choose();
    kernels = &chosen.kernels;
    return chosen.status;
}

Status choose_instruction_set(const char*& name) {
    const Kernels* kernels = nullptr;
    const Status status = choose_kernels(kernels);
    name = kernels->name;
    return status;
}

}  // namespace pseudofeed::simulate
