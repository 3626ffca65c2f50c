// The instructions that this processor has and this system lets programs use.
//
// We do not use __builtin_cpu_supports: it calls the compiler's run-time library, and zig's always returns false. A
// wheel built with zig would silently run the baseline kernels on every machine.
#pragma once

#if defined(__x86_64__)

#include <cpuid.h>

#include <cstdint>

namespace pseudofeed {

// Names as in __builtin_cpu_supports. A vector instruction counts only where the system saves its registers.
struct Processor {
    bool pclmul = false;
    bool sse4_1 = false;
    bool avx2 = false;
    bool avx512f = false;
    bool avx512dq = false;
    bool avx512bw = false;
    bool avx512vl = false;
    bool vpclmulqdq = false;
};

// Intel's Software Developer's Manual, volume 2A, CPUID (leaves 1 and 7), and volume 1, 13.3 and 15.2 (XGETBV).
// macOS sets the AVX-512 bits of XCR0 only once a thread has used such an instruction: there it counts as absent.
inline Processor processor() {
    Processor found;
    unsigned int a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
    const auto bit = [](std::uint32_t word, int place) { return (word >> place & 1) != 0; };
    found.pclmul = bit(c, 1);
    found.sse4_1 = bit(c, 19);
    const bool saves_state = bit(c, 27);
    if (!saves_state || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    std::uint32_t low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    const bool ymm = (low & 0x06) == 0x06;  // SSE and AVX
    const bool zmm = (low & 0xe6) == 0xe6;  // also the masks, the upper halves, and registers 16 to 31
    found.avx2 = ymm && bit(b, 5);
    found.avx512f = zmm && bit(b, 16);
    found.avx512dq = zmm && bit(b, 17);
    found.avx512bw = zmm && bit(b, 30);
    found.avx512vl = zmm && bit(b, 31);
    found.vpclmulqdq = ymm && bit(c, 10);
    return found;
}

}  // namespace pseudofeed

#endif
