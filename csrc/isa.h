// Which instruction sets may be used: the one place that reads PSEUDOFEED_ISA.
#pragma once

#include "status.h"

namespace pseudofeed {

// Weakest first. Outside x86-64 every set but baseline means: use all that the processor has.
enum class Isa : int { baseline, avx2, avx512 };

struct AllowedIsa {
    Isa most = Isa::avx512;  // the strongest set that may be used
    bool named = false;      // by the environment: where a kernel has it, the processor must have it too
};

// What PSEUDOFEED_ISA in the environment allows; everything where it is unset or empty. Failure: bad_setting for a name
// that this architecture does not know, with *allowed untouched. Whether the processor has the set is for the caller to
// ask.
Status allowed_isa(AllowedIsa* allowed);

}  // namespace pseudofeed
