// Which instruction sets may be used: one place that reads the environment.
#pragma once

#include "status.h"

namespace pseudofeed {

// Weakest first. On processors other than x86-64 all but baseline stand for whatever the processor has.
enum class Isa : int { baseline, avx2, avx512 };

// The strongest set that may be used: what PSEUDOFEED_ISA names ("baseline", "avx2" or "avx512"), avx512 where it is
// unset or empty. Failure: invalid_argument for another name, with *most untouched. Whether the processor has the set
// is for the caller to ask.
Status allowed_isa(Isa* most);

}  // namespace pseudofeed
