// Which instruction sets may be used. This is the only code that reads PSEUDOFEED_ISA.
#pragma once

#include "status.h"

namespace pseudofeed {

// Weakest first. Outside x86-64 every set but baseline means: use all that the processor has.
enum class Isa : int { baseline, avx2, avx512 };

struct AllowedIsa {
    Isa most = Isa::avx512;  // the strongest set that may be used
    bool named = false;      // by the environment: if a kernel has it, the processor must have it, too
};

// The sets that PSEUDOFEED_ISA in the environment allows; all if it is unset or empty. Failure: bad_setting for a name
// that this architecture does not have, with *allowed untouched. The caller has to check whether the processor has the
// set.
Status allowed_isa(AllowedIsa* allowed);

}  // namespace pseudofeed
