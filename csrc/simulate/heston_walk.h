// What the schemes share: the way through steps, substeps and lanes. A kernel file includes it, gives a scheme and is
// compiled once for each instruction set, with PSEUDOFEED_SET naming it. Only + - * / sqrt on doubles and integer
// operations, uncontracted, so that all of them return the same bits.
#pragma once

#include "random/normals.h"
#include "simulate/heston_kernel.h"

namespace pseudofeed::simulate::PSEUDOFEED_SET {

using random::Doubles;
using random::lane_count;
using random::load;
using random::store;
using random::Words64;

// A number for each instrument of a tile.
template <class T>
struct alignas(64) Lanes {
    T of[tile_width];
};

// A substep of some lanes, as a scheme sees it. lane: the first one's place in the tile.
struct Substep {
    const HestonTile& tile;
    random::Key key;
    std::uint64_t step;
    std::uint32_t substep;
    std::size_t lane;

    Doubles parameter(std::size_t row) const { return load(tile.parameters + row * tile.stride + lane); }
};

// Scheme: static Doubles move(const Substep&, Doubles z_v, Doubles z_p, Doubles factor, Doubles& variance), which moves
// the variance and returns the log return.
//
// A substep is some short loops over the tile rather than one long one: an instrument's operations are a chain of some
// 500 cycles, of which a processor's window of a few hundred instructions overlaps hardly two; in short loops it holds
// several lanes' chains at once (Cascade Lake, GCC 12, euler, M instrument-steps/s: 40 -> 75 with AVX-512, 27 -> 47
// with AVX2). Of the time, the draws take a quarter, logarithm and radius a fifth, the turn, the move and the
// exponential a seventh each; the divider (three square roots and a division) is busy a third of it.
template <class Scheme>
class Walk {
  public:
    explicit Walk(const HestonTile& tile)
        : tile_(tile), key_(tile.seed), lanes_((tile.width + lane_count - 1) / lane_count * lane_count) {}

    void steps() {
        // Whole registers go straight into the rows; a tile's ragged end goes there by way of the state.
        const bool straight = tile_.prices != nullptr && tile_.width == lanes_;
        for (std::size_t t = 0; t < tile_.steps; ++t) {
            const std::uint64_t step = tile_.first_step + t;
            double* price_row = straight ? tile_.prices + t * tile_.row : tile_.price;
            double* variance_row = straight ? tile_.variances + t * tile_.row : tile_.variance;
            load_factors(tile_.shocks + t * tile_.factors);
            for (std::uint32_t substep = 0; substep < tile_.substeps; ++substep) {
                if (t == 0 || tile_.substeps > 1) begin_streams(substep);
                draw(step);
                take_radius();
                turn();
                move(step, substep, variance_row);
                grow(price_row);
            }
            if (tile_.prices != nullptr && !straight) {
                for (std::size_t i = 0; i < tile_.width; ++i) {
                    tile_.prices[t * tile_.row + i] = tile_.price[i];
                    tile_.variances[t * tile_.row + i] = tile_.variance[i];
                }
            }
        }
    }

  private:
    void load_factors(const double* shocks) {
        switch (tile_.factors) {
            case 1:
                return load_factors<1>(shocks, 1);
            case 2:
                return load_factors<2>(shocks, 2);
            case 3:
                return load_factors<3>(shocks, 3);
            default:
                return load_factors<0>(shocks, tile_.factors);
        }
    }

    // Known: the number of factors where it is few enough for the compiler to write them out, or 0.
    template <std::size_t Known>
    void load_factors(const double* shocks, std::size_t factors) {
        for (std::size_t i = 0; i < lanes_; i += lane_count) {
            Doubles sum = {};
            for (std::size_t k = 0; k < (Known > 0 ? Known : factors); ++k) {
                sum = sum + load(tile_.loadings + k * tile_.stride + i) * shocks[k];
            }
            store(factor_.of + i, sum);
        }
    }

    void begin_streams(std::uint32_t substep) {
        for (std::size_t i = 0; i < lanes_; i += lane_count) {
            const random::Stream<Words64> stream(key_, load(tile_.ids + i),
                                                 random::instrument_purpose + (substep << 8));
            store(w0_.of + i, stream.w0);
            store(w1_.of + i, stream.w1);
            store(w2_.of + i, stream.w2);
        }
    }

    void draw(std::uint64_t step) {
        const random::StepPart part(key_, step);
        for (std::size_t i = 0; i < lanes_; i += lane_count) {
            const random::Stream<Words64> stream = {load(w0_.of + i), load(w1_.of + i), load(w2_.of + i)};
            const auto u = random::uniforms<Doubles>(random::draw(key_, stream, part));
            store(z_v_.of + i, u.u1);
            store(z_p_.of + i, u.u2);
        }
    }

    void take_radius() {
        for (std::size_t i = 0; i < lanes_; i += lane_count) {
            store(z_v_.of + i, random::box_muller_radius(load(z_v_.of + i)));
        }
    }

    void turn() {
        for (std::size_t i = 0; i < lanes_; i += lane_count) {
            const Doubles radius = load(z_v_.of + i);
            const auto angle = random::turn(load(z_p_.of + i));
            store(z_v_.of + i, radius * angle.cosine);
            store(z_p_.of + i, radius * angle.sine);
        }
    }

    void move(std::uint64_t step, std::uint32_t substep, double* row) {
        for (std::size_t i = 0; i < lanes_; i += lane_count) {
            Doubles variance = load(tile_.variance + i);
            const Doubles log_return = Scheme::move({tile_, key_, step, substep, i}, load(z_v_.of + i),
                                                    load(z_p_.of + i), load(factor_.of + i), variance);
            store(tile_.variance + i, variance);
            store(row + i, variance);
            store(log_return_.of + i, log_return);
        }
        if (tile_.substeps > 1) factor_ = {};
    }

    void grow(double* row) {
        for (std::size_t i = 0; i < lanes_; i += lane_count) {
            const Doubles price = load(tile_.price + i) * random::exponential(load(log_return_.of + i));
            store(tile_.price + i, price);
            store(row + i, price);
        }
    }

    const HestonTile& tile_;
    const random::Key key_;
    const std::size_t lanes_;  // whole registers: those past the tile's width repeat harmless values
    Lanes<double> factor_, z_v_, z_p_, log_return_;
    Lanes<std::uint64_t> w0_, w1_, w2_;  // of random::Stream
};

}  // namespace pseudofeed::simulate::PSEUDOFEED_SET
