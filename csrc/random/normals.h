// Two standard normals from one Philox draw, by Box and Muller's transform of two 53-bit uniforms: it needs
// exactly one draw, as counters require (a ziggurat or polar method would reject some).
#pragma once

#include "random/elementary.h"
#include "random/philox.h"

namespace pseudofeed::random::inline PSEUDOFEED_SET {

template <class D>
struct Uniforms {
    D u1, u2;  // u1 in (0, 1], u2 in [0, 1)
};

// k 2^-53, or (k + 1) 2^-53, of the 53 bits k = (high >> 5, low >> 6): the high ones become the fraction of a number in
// [1, 2), the low ones of one in [2^-27, 2^-26), or that one's right end; all that follows is exact. So there is no
// conversion of integers, which take two instructions or more in most sets.
template <class D>
static inline D uniform(Bits<D> high, Bits<D> low, std::uint64_t plus_one) {
    const std::uint64_t low_base = 0x3E40000000000000ull + (plus_one << 26);
    const D h = from_bits(((high << 20) & 0x000FFFFFFE000000u) | 0x3FF0000000000000u);
    const D l = from_bits(((low << 20) & 0x000FFFFFFC000000u) + low_base);
    return (h - (1.0 + 0x1p-27)) + l;
}

template <class D>
static inline Uniforms<D> uniforms(Words<Bits<D>> words) {
    return {uniform<D>(words.w0, words.w1, 1), uniform<D>(words.w2, words.w3, 0)};
}

template <class D>
struct Normals {
    D z0, z1;
};

template <class D>
static inline D box_muller_radius(D u1) {
    return square_root(-2.0 * logarithm(u1));
}

template <class D>
static inline Normals<D> standard_normals(Words<Bits<D>> words) {
    const Uniforms<D> u = uniforms<D>(words);
    const D radius = box_muller_radius(u.u1);
    const SineCosine<D> angle = turn(u.u2);
    return {radius * angle.cosine, radius * angle.sine};
}

}  // namespace pseudofeed::random::inline PSEUDOFEED_SET
