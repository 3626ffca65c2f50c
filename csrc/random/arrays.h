// The random stage over arrays: for set-up (drawn parameters), tests and the oracles' comparisons. The simulation's
// kernels draw inline. Each function computes in the default floating-point environment and borrows all pointers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pseudofeed::random {

// Philox4x32-10 of four counter words under the key, into four words.
void philox_of(const std::uint32_t* counter, std::uint64_t key, std::uint32_t* out);

// The two standard normals, or uniforms, of each of `count` ids at a step, by a purpose word of counters.h.
void normals_of(std::uint64_t key, const std::uint32_t* ids, std::size_t count, std::uint64_t step,
                std::uint32_t purpose, double* z0, double* z1);
void uniforms_of(std::uint64_t key, const std::uint32_t* ids, std::size_t count, std::uint64_t step,
                 std::uint32_t purpose, double* u1, double* u2);

// The key of a market's path (counters.h).
std::uint64_t key_of_path(std::uint64_t seed, std::uint32_t path);

// The elementary functions of elementary.h.
void exponentials_of(const double* x, std::size_t count, double* out);
void exponentials_minus_1_of(const double* x, std::size_t count, double* out);
void logarithms_of(const double* x, std::size_t count, double* out);
void turns_of(const double* u, std::size_t count, double* sine, double* cosine);

}  // namespace pseudofeed::random
