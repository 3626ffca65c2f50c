#include "random/arrays.h"

#include "floating_point.h"
#include "random/counters.h"
#include "random/normals.h"

namespace pseudofeed::random {

void philox_of(const std::uint32_t* counter, std::uint64_t key, std::uint32_t* out) {
    const auto words = philox4x32<std::uint64_t>({counter[0], counter[1], counter[2], counter[3]}, Key(key));
    out[0] = static_cast<std::uint32_t>(words.w0);
    out[1] = static_cast<std::uint32_t>(words.w1);
    out[2] = static_cast<std::uint32_t>(words.w2);
    out[3] = static_cast<std::uint32_t>(words.w3);
}

void normals_of(std::uint64_t key, const std::uint32_t* ids, std::size_t count, std::uint64_t step,
                std::uint32_t purpose, double* z0, double* z1) {
    const DefaultFloatingPoint environment;
    for (std::size_t i = 0; i < count; ++i) {
        const auto z = standard_normals<double>(draw<std::uint64_t>(Key(key), ids[i], step, purpose));
        z0[i] = z.z0;
        z1[i] = z.z1;
    }
}

void uniforms_of(std::uint64_t key, const std::uint32_t* ids, std::size_t count, std::uint64_t step,
                 std::uint32_t purpose, double* u1, double* u2) {
    const DefaultFloatingPoint environment;
    for (std::size_t i = 0; i < count; ++i) {
        const auto u = uniforms<double>(draw<std::uint64_t>(Key(key), ids[i], step, purpose));
        u1[i] = u.u1;
        u2[i] = u.u2;
    }
}

std::uint64_t key_of_path(std::uint64_t seed, std::uint32_t path) { return path_key(seed, path); }

void exponentials_of(const double* x, std::size_t count, double* out) {
    const DefaultFloatingPoint environment;
    for (std::size_t i = 0; i < count; ++i) out[i] = exponential(x[i]);
}

void exponentials_minus_1_of(const double* x, std::size_t count, double* out) {
    const DefaultFloatingPoint environment;
    for (std::size_t i = 0; i < count; ++i) out[i] = exponential_minus_1(x[i]);
}

void logarithms_of(const double* x, std::size_t count, double* out) {
    const DefaultFloatingPoint environment;
    for (std::size_t i = 0; i < count; ++i) out[i] = logarithm(x[i]);
}

void turns_of(const double* u, std::size_t count, double* sine, double* cosine) {
    const DefaultFloatingPoint environment;
    for (std::size_t i = 0; i < count; ++i) {
        const SineCosine<double> angle = turn(u[i]);
        sine[i] = angle.sine;
        cosine[i] = angle.cosine;
    }
}

}  // namespace pseudofeed::random
