#include "isa.h"

#include <cstdlib>
#include <string_view>

namespace pseudofeed {

Status allowed_isa(Isa* most) {
    const char* const asked = std::getenv("PSEUDOFEED_ISA");
    const std::string_view name = asked == nullptr ? "" : asked;
    if (name == "baseline") {
        *most = Isa::baseline;
    } else if (name == "avx2") {
        *most = Isa::avx2;
    } else if (name.empty() || name == "avx512") {
        *most = Isa::avx512;
    } else {
        return failure(Code::invalid_argument, "PSEUDOFEED_ISA is \"%.40s\"; it must be baseline, avx2 or avx512",
                       asked);
    }
    return {};
}

}  // namespace pseudofeed
