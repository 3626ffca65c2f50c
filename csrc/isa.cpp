#include "isa.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace pseudofeed {

namespace {

constexpr std::pair<std::string_view, Isa> kNames[] = {
#if defined(__x86_64__)
    {"avx512", Isa::avx512},
    {"avx2", Isa::avx2},
#endif
    {"baseline", Isa::baseline},
};

}  // namespace

Status allowed_isa(AllowedIsa* allowed) {
    const char* const asked = std::getenv("PSEUDOFEED_ISA");
    if (asked == nullptr || *asked == 0) {
        *allowed = {};
        return {};
    }
    std::string all;
    for (const auto& [name, set] : kNames) {
        if (name == asked) {
            *allowed = {set, true};
            return {};
        }
        all.append(all.empty() ? "" : ", ").append(name);
    }
    return failure(Code::bad_setting,
                   "PSEUDOFEED_ISA is \"%.60s\"; allowed on this architecture are %s, or leave it unset", asked,
                   all.c_str());
}

}  // namespace pseudofeed
