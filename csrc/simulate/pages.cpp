#include "simulate/pages.h"

#if defined(__linux__)
#include <sys/mman.h>

#include <cstdint>
#endif

namespace pseudofeed::simulate {

void populate([[maybe_unused]] double* numbers, [[maybe_unused]] std::size_t count, [[maybe_unused]] std::size_t range,
              [[maybe_unused]] std::size_t ranges) {
#if defined(__linux__)
    constexpr std::size_t page = 4096;
    constexpr std::size_t most = std::size_t{1} << 27;  // 1 GiB: what is larger may be a file that memory can't hold
    constexpr int populate_write = 23;                  // MADV_POPULATE_WRITE, since Linux 5.14
    if (count > most) return;
    const auto edge = [&](std::size_t number) {
        return (reinterpret_cast<std::uintptr_t>(numbers + count * number / ranges) + page - 1) / page * page;
    };
    if (edge(range) < edge(range + 1)) {
        madvise(reinterpret_cast<void*>(edge(range)), edge(range + 1) - edge(range), populate_write);
    }
#endif
}

}  // namespace pseudofeed::simulate
