#include "simulate/kernels.h"

#include "isa.h"
#include "processor.h"
#include "simulate/heston.h"

namespace pseudofeed::simulate {

namespace {

#define PSEUDOFEED_KERNELS(set) \
    Kernels { #set, set::factor_normals, set::heston_euler, set::heston_qe, set::derive_euler, set::derive_qe }

struct Choice {
    Kernels kernels;
    Isa set;
    bool present;  // in this processor
};

struct Chosen {
    Kernels kernels{};
    Status status;
};

Chosen choose() {
#if defined(PSEUDOFEED_X86_DISPATCH)
    const Processor has = processor();
    const bool avx512 = has.avx512f && has.avx512dq && has.avx512vl && has.avx512bw;
    // From the best to the least.
    const Choice choices[] = {{PSEUDOFEED_KERNELS(avx512), Isa::avx512, avx512},
                              {PSEUDOFEED_KERNELS(avx2), Isa::avx2, has.avx2},
                              {PSEUDOFEED_KERNELS(baseline), Isa::baseline, true}};
#else
    const Choice choices[] = {{PSEUDOFEED_KERNELS(baseline), Isa::baseline, true}};
#endif
    Chosen chosen;
    AllowedIsa allowed;
    chosen.status = allowed_isa(&allowed);
    for (const Choice& choice : choices) {
        if (choice.set > allowed.most) continue;
        if (choice.present) {
            chosen.kernels = choice.kernels;
            break;
        }
        if (allowed.named) {
            chosen.status = failure(Code::bad_setting,
                                    "PSEUDOFEED_ISA is \"%s\", an instruction set that this processor lacks; leave the "
                                    "variable unset for the best that it has",
                                    choice.kernels.name);
            break;
        }
    }
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
