// The floating-point rules that every bit depends on: IEEE doubles as written, in the default environment.
//
// The rounding mode and the treatment of subnormal numbers belong to a thread, and any library of the process may have
// changed them. So each native entry point that computes holds a DefaultFloatingPoint, and so does each thread that it
// starts: round to nearest, keep subnormals, no traps. The caller's environment is restored afterwards.
#pragma once

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "pseudofeed needs IEEE arithmetic: compile without -ffast-math, -Ofast, -ffinite-math-only and their like"
#endif

#include <cfloat>

#if FLT_EVAL_METHOD != 0
#error "pseudofeed needs arithmetic in double precision: compile without x87 (use -msse2 -mfpmath=sse)"
#endif

#if defined(__SSE2__)
#include <immintrin.h>
#elif !defined(__aarch64__)
#include <cfenv>
#endif

#include <cstdint>

namespace pseudofeed {

class DefaultFloatingPoint {
  public:
    DefaultFloatingPoint() : callers_(read()) { write(standard()); }
    ~DefaultFloatingPoint() { write(callers_); }
    DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;
    DefaultFloatingPoint& operator=(const DefaultFloatingPoint&) = delete;

  private:
#if defined(__SSE2__)
    using Environment = unsigned;  // MXCSR
    static Environment standard() { return 0x1F80; }
    static Environment read() { return _mm_getcsr(); }
    static void set(Environment value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
    using Environment = std::uint64_t;  // FPCR
    static Environment standard() { return 0; }
    static Environment read() {
        Environment value;
        __asm__ __volatile__("mrs %0, fpcr" : "=r"(value));
        return value;
    }
    static void set(Environment value) { __asm__ __volatile__("msr fpcr, %0" : : "r"(value)); }
#else
    using Environment = std::fenv_t;
    static Environment standard() {
        Environment callers = read(), value;
        std::fesetenv(FE_DFL_ENV);
        std::fegetenv(&value);
        std::fesetenv(&callers);
        return value;
    }
    static Environment read() {
        Environment value;
        std::fegetenv(&value);
        return value;
    }
    static void set(const Environment& value) { std::fesetenv(&value); }
#endif

    // Compilers do not know about the environment. The barriers keep reads and writes of memory on their side of the
    // change, and with them the computations between them.
    static void write(const Environment& value) {
        __asm__ __volatile__("" : : : "memory");
        set(value);
        __asm__ __volatile__("" : : : "memory");
    }

    Environment callers_;
};

}  // namespace pseudofeed
