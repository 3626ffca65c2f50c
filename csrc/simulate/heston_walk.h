// What the schemes share: the way through segments, steps, substeps and lanes. A kernel file includes it, gives a
// scheme and is compiled once for each instruction set, with PSEUDOFEED_SET naming it. Only + - * / sqrt on doubles and
// integer operations, uncontracted, so that all of them return the same bits.
#pragma once

#include "random/counters.h"
#include "random/normals.h"
#include "simulate/heston_kernel.h"
#include "simulate/scheme.h"

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

// Some lanes of rows that are `stride` apart.
struct RowLanes {
    const double* first;
    std::size_t stride;

    Doubles operator[](std::size_t row) const { return load(first + row * stride); }
};

// A substep of some lanes, as a scheme sees it.
struct Substep {
    RowLanes constants, derived;
    double dt, sqrt_dt;
    random::Key key;
    std::uint64_t step;
    std::uint32_t number;
    const std::uint64_t* ids;
};

// A scheme has two static functions:
//
//     Doubles move(const Substep&, Doubles z_v, Doubles z_p, Doubles factor, Doubles& variance)
//         moves the variance and returns the log return
//     void derive(RowLanes constants, double dt, double sqrt_dt, Put put)
//         calls put(row, Doubles) for each derived row

// Writes a scheme's derived rows of some instruments, whole lanes; all rows are `stride`, or `derived_stride`, apart.
template <class Scheme>
void derive_rows(const double* constants, std::size_t stride, std::size_t instruments, double dt, double sqrt_dt,
                 double* derived, std::size_t derived_stride) {
    for (std::size_t i = 0; i < instruments; i += lane_count) {
        Scheme::derive(RowLanes{constants + i, stride}, dt, sqrt_dt,
                       [&](std::size_t row, Doubles value) { store(derived + row * derived_stride + i, value); });
    }
}

// A substep is some short loops over the tile rather than one long one: an instrument's operations are a chain of some
// 500 cycles, of which a processor's window of a few hundred instructions overlaps hardly two; in short loops it holds
// several lanes' chains at once (Cascade Lake, GCC 12, euler, M instrument-steps/s: 40 -> 75 with AVX-512, 27 -> 47
// with AVX2). Of the time, the draws take a quarter, logarithm and radius a fifth, the turn, the move and the
// exponential a seventh each; the divider (three square roots and a division) is busy a third of it.
template <class Scheme>
class Walk {
  public:
    explicit Walk(const HestonTile& tile)
        : tile_(tile),
          key_(tile.key),
          lanes_((tile.width + lane_count - 1) / lane_count * lane_count),
          whole_(tile.width / lane_count * lane_count) {}

    PriceRange segments() {
        for (std::size_t i = 0; i < tile_.segment_count; ++i) {
            const Segment& segment = tile_.segments[i];
            take_derived(segment);
            for (std::size_t t = 0; t < segment.steps; ++t) step(segment, t);
        }
        return {random::least_lane(lowest_), random::greatest_lane(highest_)};
    }

  private:
    void step(const Segment& segment, std::size_t t) {
        // Whole registers go straight into the rows; a tile's ragged end goes there by way of the state.
        const bool kept = tile_.prices != nullptr && segment.row != Segment::kept_nowhere;
        const std::size_t place = kept ? (segment.row + t) * tile_.row : 0;
        double* price_row = kept ? tile_.prices + place : tile_.price;
        double* variance_row = kept ? tile_.variances + place : tile_.variance;
        if (kept && tile_.old_prices != nullptr && segment.begin == 0) keep_old(price_row, variance_row, place);
        if (segment.begin == 0) {
            load_factors(segment.shocks + t * tile_.factors);
        } else {
            factor_ = {};
        }
        for (std::uint32_t substep = segment.begin; substep < segment.end; ++substep) {
            if (substep != stream_substep_) begin_streams(substep);
            draw(segment.step + t);
            take_radius();
            turn();
            move(segment, segment.step + t, substep, variance_row);
            grow(price_row);
            if (substep + 1 < segment.end) factor_ = {};
        }
        if (kept) {
            for (std::size_t i = whole_; i < tile_.width; ++i) {
                price_row[i] = tile_.price[i];
                variance_row[i] = tile_.variance[i];
            }
        }
    }

    // Here and not by a copy before the walk: while the processor waits for memory it computes (euler, 100 instruments
    // x 20,000 steps in place, of which 9,170 are kept: 9 % of the time, by a copy 25 %; twice as much on a busy
    // machine).
    void keep_old(const double* price_row, const double* variance_row, std::size_t place) {
        for (std::size_t i = 0; i < whole_; i += lane_count) {
            store(tile_.old_prices + place + i, load(price_row + i));
            store(tile_.old_variances + place + i, load(variance_row + i));
        }
        for (std::size_t i = whole_; i < tile_.width; ++i) {
            tile_.old_prices[place + i] = price_row[i];
            tile_.old_variances[place + i] = variance_row[i];
        }
    }

    void take_derived(const Segment& segment) {
        if (segment.derived != nullptr) {
            derived_ = segment.derived + tile_.first;
            derived_stride_ = tile_.stride;
            return;
        }
        if (segment.dt != scratch_dt_) {
            derive_rows<Scheme>(tile_.constants, tile_.stride, lanes_, segment.dt, segment.sqrt_dt, scratch_[0].of,
                                tile_width);
            scratch_dt_ = segment.dt;
        }
        derived_ = scratch_[0].of;
        derived_stride_ = tile_width;
    }

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
                                                 random::purpose_word(random::instrument_purpose, substep));
            store(w0_.of + i, stream.w0);
            store(w1_.of + i, stream.w1);
            store(w2_.of + i, stream.w2);
        }
        stream_substep_ = substep;
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

    void move(const Segment& segment, std::uint64_t step, std::uint32_t substep, double* row) {
        for (std::size_t i = 0; i < lanes_; i += lane_count) {
            Doubles variance = load(tile_.variance + i);
            const Substep at = {{tile_.constants + i, tile_.stride},
                                {derived_ + i, derived_stride_},
                                segment.dt,
                                segment.sqrt_dt,
                                key_,
                                step,
                                substep,
                                tile_.ids + i};
            const Doubles log_return =
                Scheme::move(at, load(z_v_.of + i), load(z_p_.of + i), load(factor_.of + i), variance);
            store(tile_.variance + i, variance);
            if (i < whole_) store(row + i, variance);
            store(log_return_.of + i, log_return);
        }
    }

    void grow(double* row) {
        Doubles lowest = lowest_, highest = highest_;
        for (std::size_t i = 0; i < lanes_; i += lane_count) {
            const Doubles price = load(tile_.price + i) * random::exponential(load(log_return_.of + i));
            store(tile_.price + i, price);
            if (i < whole_) store(row + i, price);
            lowest = random::smaller(lowest, price);
            highest = random::larger(highest, price);
        }
        lowest_ = lowest;
        highest_ = highest;
    }

    const HestonTile& tile_;
    const random::Key key_;
    const std::size_t lanes_;  // whole registers: those past the tile's width repeat harmless values
    const std::size_t whole_;  // without those
    Lanes<double> factor_, z_v_, z_p_, log_return_;
    Lanes<std::uint64_t> w0_, w1_, w2_;                     // of random::Stream
    std::uint32_t stream_substep_ = random::most_substeps;  // whose streams these are: none yet
    const double* derived_ = nullptr;
    std::size_t derived_stride_ = 0;
    double scratch_dt_ = 0.0;  // of the rows in scratch_: none yet
    Lanes<double> scratch_[Scheme::derived_count];
    Doubles lowest_ = Doubles::of(1.0), highest_ = Doubles::of(1.0);
};

}  // namespace pseudofeed::simulate::PSEUDOFEED_SET
