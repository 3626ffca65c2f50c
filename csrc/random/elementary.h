// exp, expm1, log and the sine and cosine of a turn, with only + - * / and bit operations, so that every compiler and
// instruction set returns the same bits (libm does not). Each takes one double, or lanes of them (lanes.h). The
// coefficients are printed by tests/reference/elementary_coefficients.py; tests/unit/test_random.py checks the error
// bounds against mpmath: exp 1 ulp, expm1 2 ulp, log 1 ulp, sine and cosine 2 ulp away from their zeros.
//
// Adding and subtracting 1.5 * 2^52 rounds to an integer, which is in the low bits of the sum. This needs no int64 <->
// double conversion, which AVX2 lacks. It needs IEEE semantics: never compile this with -ffast-math.
#pragma once

#include <cstdint>

#include "random/lanes.h"

namespace pseudofeed::random::inline PSEUDOFEED_SET {

constexpr double rounding_shift = 0x1.8p52;

// e^x = 2^n (1 + fraction), by Cody and Waite's reduction. NaN stays NaN.
template <class D>
struct Exponential {
    D shifted;  // n is in its low bits
    D fraction;

    // For -708 <= x <= 709.4; outside, x is taken as the nearer bound (a price that moved so far fails its own check).
    explicit Exponential(D x) {
        x = clamp(x, -708.0, 709.4);
        shifted = x * 0x1.71547652b82fep+0 + rounding_shift;
        const D n = shifted - rounding_shift;
        const D r = (x - n * 0x1.62e42fefa3800p-1) - n * 0x1.ef35793c76730p-45;
        D tail = r * 0x1.af389ecfc4b9cp-26 + 0x1.28917c89a43a7p-22;
        tail = tail * r + 0x1.71de0db2f6b19p-19;
        tail = tail * r + 0x1.a019b9149a41cp-16;
        tail = tail * r + 0x1.a01a01a7c2efep-13;
        tail = tail * r + 0x1.6c16c17889ef1p-10;
        tail = tail * r + 0x1.11111111109b5p-7;
        tail = tail * r + 0x1.5555555553d68p-5;
        tail = tail * r + 0x1.5555555555556p-3;
        tail = tail * r + 0x1.0000000000001p-1;
        fraction = r + (r * r) * tail;
    }

    // 2^n x for x in [1/2, 2], by adding n to the exponent: the bits of the shift itself leave at the top.
    D scaled(D x) const { return from_bits(bits(x) + (bits(shifted) << 52)); }
};

template <class D>
static inline D exponential(D x) {
    const Exponential<D> e(x);
    return e.scaled(1.0 + e.fraction);
}

// e^x - 1 without cancellation near 0, in the range of exponential().
template <class D>
static inline D exponential_minus_1(D x) {
    const Exponential<D> e(x);
    const D scale = e.scaled(every<D>(1.0));
    return e.fraction * scale + (scale - 1.0);
}

// For positive normal x (uniforms are: the least is 2^-53).
template <class D>
static inline D logarithm(D x) {
    constexpr std::uint64_t sqrt_half = 0x3FE6A09E667F3BCDu;
    const Bits<D> biased = bits(x) + (0x3FF0000000000000u - sqrt_half);
    const D n = from_bits((biased >> 52) | 0x4330000000000000u) - (0x1p52 + 1023.0);
    const D f = from_bits((biased & 0x000FFFFFFFFFFFFFu) + sqrt_half) - 1.0;
    const D s = f / (2.0 + f);
    const D z = s * s;
    D tail = z * 0x1.2b584aae78a57p-3 + 0x1.39fe606542ddep-3;
    tail = tail * z + 0x1.7462b4ab2ef6bp-3;
    tail = tail * z + 0x1.c71c62e5800a1p-3;
    tail = tail * z + 0x1.2492492df148dp-2;
    tail = tail * z + 0x1.99999999952e2p-2;
    tail = tail * z + 0x1.5555555555558p-1;
    const D half_square = 0.5 * f * f;
    const D correction = s * (half_square + z * tail) + n * 0x1.ef35793c76730p-45;
    return n * 0x1.62e42fefa3800p-1 - ((half_square - correction) - f);
}

template <class D>
struct SineCosine {
    D sine, cosine;
};

// Of 2 pi u, for 0 <= u <= 1.
template <class D>
static inline SineCosine<D> turn(D u) {
    const D shifted = 4.0 * u + rounding_shift;
    const Bits<D> quadrant = bits(shifted);
    const D r = u - 0.25 * (shifted - rounding_shift);  // exact, |r| <= 1/8
    const D z = r * r;
    D s = z * 0x1.e3f38399551bfp+1 - 0x1.e30071afc3e59p+3;
    s = s * z + 0x1.50782fda12d96p+5;
    s = s * z - 0x1.32d2cce2e5b19p+6;
    s = s * z + 0x1.466bc677587f8p+6;
    s = s * z - 0x1.4abbce625be41p+5;
    const D sine = r * 0x1.921fb54442d18p+2 + r * (z * s + 0x1.1a62633145c07p-52);
    D c = z * -0x1.b2f3eb054afcdp+0 + 0x1.f9ce245cada0bp+2;
    c = c * z - 0x1.a6d1eef479be1p+4;
    c = c * z + 0x1.e1f5068688d5bp+5;
    c = c * z - 0x1.55d3c7e3cb241p+6;
    c = c * z + 0x1.03c1f081b5ac0p+6;
    c = c * z - 0x1.3bd3cc9be45dep+4;
    const D cosine = 1.0 + z * c;
    // Odd quadrants swap the two; the sine is negated in quadrants 2 and 3, the cosine in 1 and 2.
    const Bits<D> odd = -(quadrant & 1);
    const Bits<D> swapped = (bits(sine) ^ bits(cosine)) & odd;
    return {from_bits((bits(sine) ^ swapped) ^ ((quadrant & 2) << 62)),
            from_bits((bits(cosine) ^ swapped) ^ (((quadrant + 1) & 2) << 62))};
}

}  // namespace pseudofeed::random::inline PSEUDOFEED_SET
