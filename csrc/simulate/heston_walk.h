// What the schemes share: the way through steps, substeps and lanes. A kernel file includes it, gives a scheme and is
// compiled once for each instruction set, with PSEUDOFEED_ISA naming it. Only + - * / sqrt on doubles and integer
// operations, uncontracted, so that all of them return the same bits.
#pragma once

#include "random/normals.h"
#include "simulate/heston_kernel.h"

#define PSEUDOFEED_JOIN_(a, b) a##b
#define PSEUDOFEED_JOIN(a, b) PSEUDOFEED_JOIN_(a, b)

namespace pseudofeed::simulate {

using random::Doubles;
using random::lane_count;
using random::load;
using random::store;
using random::Words64;

// A substep of some lanes, as a scheme sees it. lane: the first one's place in the tile.
struct Substep {
    const HestonTile& tile;
    random::Key key;
    std::uint64_t step;
    std::uint32_t substep;
    std::size_t lane;

    Doubles parameter(std::size_t row) const { return load(tile.parameters + row * tile.stride + lane); }
};

// Scheme: static void move(const Substep&, Doubles z_v, Doubles z_p, Doubles factor, Doubles& price, Doubles& variance).
template <class Scheme>
static inline void walk_tile(const HestonTile& tile) {
    constexpr std::size_t most = tile_width / lane_count;
    const std::size_t whole = tile.width / lane_count;
    const std::size_t vectors = (tile.width + lane_count - 1) / lane_count;
    const random::Key key(tile.seed);
    alignas(64) double factor[tile_width], z_v[tile_width], z_p[tile_width];
    alignas(64) std::uint64_t w0[tile_width], w1[tile_width], w2[tile_width];
    (void)most;
    for (std::size_t t = 0; t < tile.steps; ++t) {
        const std::uint64_t step = tile.first_step + t;
        const random::StepPart step_part(key, step);
        for (std::size_t j = 0; j < vectors; ++j) {
            Doubles sum = {};
            for (std::size_t k = 0; k < tile.factors; ++k) {
                sum += load(tile.loadings + k * tile.stride + j * lane_count) * tile.shocks[t * tile.factors + k];
            }
            store(factor + j * lane_count, sum);
        }
        for (std::uint32_t substep = 0; substep < tile.substeps; ++substep) {
            if (t == 0 || tile.substeps > 1) {
                for (std::size_t j = 0; j < vectors; ++j) {
                    const random::Stream<Words64> stream(key, load(tile.ids + j * lane_count),
                                                         random::instrument_purpose + (substep << 8));
                    std::memcpy(w0 + j * lane_count, &stream.w0, sizeof stream.w0);
                    std::memcpy(w1 + j * lane_count, &stream.w1, sizeof stream.w1);
                    std::memcpy(w2 + j * lane_count, &stream.w2, sizeof stream.w2);
                }
            }
            for (std::size_t j = 0; j < vectors; ++j) {
                random::Stream<Words64> stream;
                stream.w0 = load(w0 + j * lane_count);
                stream.w1 = load(w1 + j * lane_count);
                stream.w2 = load(w2 + j * lane_count);
                const auto z = random::standard_normals<Doubles>(random::draw(key, stream, step_part));
                store(z_v + j * lane_count, z.z0);
                store(z_p + j * lane_count, z.z1);
            }
            for (std::size_t j = 0; j < vectors; ++j) {
                const std::size_t lane = j * lane_count;
                Doubles price = load(tile.price + lane);
                Doubles variance = load(tile.variance + lane);
                Scheme::move({tile, key, step, substep, lane}, load(z_v + lane), load(z_p + lane), load(factor + lane),
                             price, variance);
                store(tile.price + lane, price);
                store(tile.variance + lane, variance);
                store(factor + lane, Doubles{});
            }
        }
        if (tile.prices != nullptr) {
            double* prices = tile.prices + t * tile.row;
            double* variances = tile.variances + t * tile.row;
            for (std::size_t j = 0; j < whole; ++j) {
                store(prices + j * lane_count, load(tile.price + j * lane_count));
                store(variances + j * lane_count, load(tile.variance + j * lane_count));
            }
            for (std::size_t i = whole * lane_count; i < tile.width; ++i) {
                prices[i] = tile.price[i];
                variances[i] = tile.variance[i];
            }
        }
    }
}

}  // namespace pseudofeed::simulate
