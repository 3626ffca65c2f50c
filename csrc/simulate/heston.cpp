#include "simulate/heston.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "simulate/kernels.h"

namespace pseudofeed::simulate {

namespace {

bool in_range(double price, double variance) { return price > 0.0 && std::isfinite(price) && std::isfinite(variance); }

// Pieces begin at whole registers of the widest set.
constexpr std::size_t piece_grain = 16;

// Instrument-substeps that a thread must have to be worth its start, some 30 us. Two threads against one, 1,000
// instruments: 33,000 give 1.44, 66,000 1.63, 131,000 1.70 times the speed. (A pool would start faster, but does not
// survive a fork.)
constexpr std::size_t least_work = 16'384;

constexpr std::size_t least_tasks = 32;  // of each thread: at the end one waits for a task at most

// Has the kernel make the pages of a thread's share of new rows. Left to the walk, both threads would fault on the same
// large page at once and both clear one, of which one is thrown away (two threads, new arrays of 32 MB: 10 to 18 %
// slower). Nothing is changed in pages that are there, and where the kernel is too old for it, nothing is lost.
void populate([[maybe_unused]] double* rows, [[maybe_unused]] std::size_t count, [[maybe_unused]] std::size_t share,
              [[maybe_unused]] std::size_t shares) {
#if defined(__linux__)
    constexpr std::size_t page = 4096;
    constexpr std::size_t most = std::size_t{1} << 27;  // 1 GiB: what is larger may be a file that memory can't hold
    constexpr int populate_write = 23;                  // MADV_POPULATE_WRITE, since Linux 5.14
    if (count > most) return;
    const auto edge = [&](std::size_t number) {
        return (reinterpret_cast<std::uintptr_t>(rows + count * number / shares) + page - 1) / page * page;
    };
    if (edge(share) < edge(share + 1)) {
        madvise(reinterpret_cast<void*>(edge(share)), edge(share + 1) - edge(share), populate_write);
    }
#endif
}

}  // namespace

const char* instruction_set() { return kernels().name; }

// One call's arguments. price and variance: the state before; next_*: room for that after.
struct HestonModel::Block {
    std::uint64_t first_step;
    std::size_t steps;
    const double* shocks;
    const double *price, *variance;
    double *next_price, *next_variance;
    double *prices, *variances;

    // Its steps from `begin` to `end`; all but the first part go on from next_*.
    Block part(std::size_t begin, std::size_t end, std::size_t factors, std::size_t instruments) const {
        return {
            .first_step = first_step + begin,
            .steps = end - begin,
            .shocks = shocks + begin * factors,
            .price = begin == 0 ? price : next_price,
            .variance = begin == 0 ? variance : next_variance,
            .next_price = next_price,
            .next_variance = next_variance,
            .prices = prices == nullptr ? nullptr : prices + begin * instruments,
            .variances = variances == nullptr ? nullptr : variances + begin * instruments,
        };
    }
};

void HestonModel::run(const Block& block, std::size_t first, std::size_t width) const {
    alignas(64) double price[tile_width] = {};
    alignas(64) double variance[tile_width] = {};
    std::copy_n(block.price + first, width, price);
    std::copy_n(block.variance + first, width, variance);
    const HestonTile tile = {
        .parameters = rows_.get() + first,
        .loadings = rows_.get() + parameter_count(scheme_) * stride_ + first,
        .ids = ids_.get() + first,
        .stride = stride_,
        .width = width,
        .factors = factors_,
        .dt = dt_,
        .sqrt_dt = sqrt_dt_,
        .seed = seed_,
        .substeps = substeps_,
        .first_step = block.first_step,
        .steps = block.steps,
        .shocks = block.shocks,
        .price = price,
        .variance = variance,
        .prices = block.prices == nullptr ? nullptr : block.prices + first,
        .variances = block.variances == nullptr ? nullptr : block.variances + first,
        .row = instruments_,
    };
    (scheme_ == Scheme::qe ? kernels().qe : kernels().euler)(tile);
    std::copy_n(price, width, block.next_price + first);
    std::copy_n(variance, width, block.next_variance + first);
}

// A price or variance that left the range never comes back, so a block's last state tells; only then are its steps
// walked again.
Status HestonModel::first_failure(const Block& block, std::size_t first, std::size_t width) const {
    std::vector<double> price(block.price, block.price + instruments_);
    std::vector<double> variance(block.variance, block.variance + instruments_);
    for (std::size_t t = 0; t < block.steps; ++t) {
        run({block.first_step + t, 1, block.shocks + t * factors_, price.data(), variance.data(), price.data(),
             variance.data(), nullptr, nullptr},
            first, width);
        for (std::size_t i = first; i < first + width; ++i) {
            if (!in_range(price[i], variance[i])) {
                return failure(
                    Code::not_finite,
                    "instrument %u left the range of doubles at step %llu: price %g, variance %g; its parameters "
                    "are too large for steps of this length",
                    static_cast<unsigned>(ids_[i]), static_cast<unsigned long long>(block.first_step + t), price[i],
                    variance[i]);
            }
        }
    }
    return failure(Code::not_finite, "a path left the range of doubles");
}

Status HestonModel::walk(std::uint64_t first_step, std::size_t steps, const double* shocks, double* price,
                         double* variance, double* prices, double* variances, std::size_t threads) const try {
    std::vector<double> next(2 * instruments_);
    const Block block = {first_step, steps,    shocks, price, variance, next.data(), next.data() + instruments_,
                         prices,     variances};

    // Pieces of about equal width. Threads take them part by part, the first part of all pieces first, so that they end
    // together however few and unequal the pieces are: more of them than threads is enough.
    const std::size_t grains = (instruments_ + piece_grain - 1) / piece_grain;
    const std::size_t useful = std::max<std::size_t>(1, steps * substeps_ * instruments_ / least_work);
    const std::size_t workers = std::min({std::max<std::size_t>(1, threads), useful, grains});
    const std::size_t tiles = (instruments_ + tile_width - 1) / tile_width;
    const std::size_t pieces = workers == 1 ? tiles : std::min(std::max(tiles, workers + 1), grains);
    const std::size_t parts = workers == 1 ? 1 : std::min(steps, (least_tasks * workers + pieces - 1) / pieces);
    const auto begin_of = [&](std::size_t piece) {
        return std::min(grains * piece / pieces * piece_grain, instruments_);
    };

    std::atomic<std::size_t> taken{0}, shared{0};
    std::vector<std::atomic<std::size_t>> walked(pieces);  // parts of each piece
    const auto work_on = [&] {
        if (workers > 1 && prices != nullptr) {
            const std::size_t share = shared.fetch_add(1, std::memory_order_relaxed);
            for (double* rows : {prices, variances}) populate(rows, steps * instruments_, share, workers);
        }
        for (std::size_t task; (task = taken.fetch_add(1, std::memory_order_relaxed)) < pieces * parts;) {
            const std::size_t piece = task % pieces;
            const std::size_t part = task / pieces;
            // Whoever took the part before this one is at it, for tasks are taken in their order: so this ends.
            for (std::size_t so_far; (so_far = walked[piece].load(std::memory_order_acquire)) < part;) {
                walked[piece].wait(so_far, std::memory_order_acquire);
            }
            run(block.part(steps * part / parts, steps * (part + 1) / parts, factors_, instruments_), begin_of(piece),
                begin_of(piece + 1) - begin_of(piece));
            walked[piece].store(part + 1, std::memory_order_release);
            walked[piece].notify_one();
        }
    };
    {
        std::vector<std::jthread> others;
        others.reserve(workers - 1);
        try {
            while (others.size() + 1 < workers) others.emplace_back(work_on);
        } catch (const std::system_error&) {
            // No more threads here: those that there are do it.
        }
        work_on();
    }

    for (std::size_t piece = 0; piece < pieces; ++piece) {
        for (std::size_t i = begin_of(piece); i < begin_of(piece + 1); ++i) {
            if (!in_range(block.next_price[i], block.next_variance[i])) {
                return first_failure(block, begin_of(piece), begin_of(piece + 1) - begin_of(piece));
            }
        }
    }
    std::copy_n(block.next_price, instruments_, price);
    std::copy_n(block.next_variance, instruments_, variance);
    return {};
} catch (const std::bad_alloc&) {
    return failure(Code::out_of_memory, "no memory for the state of %zu instruments", instruments_);
}

}  // namespace pseudofeed::simulate
