#include "simulate/heston.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "floating_point.h"
#include "random/counters.h"
#include "simulate/interruption.h"
#include "simulate/kernels.h"
#include "simulate/pages.h"
#include "simulate/segments.h"
#include "simulate/tasks.h"

namespace pseudofeed::simulate {

namespace {

// Tiles begin at multiples of this: at whole registers of the widest instruction set.
constexpr std::size_t tile_multiple = 16;

// Instrument-substeps that a thread must have to be worth its start, some 30 us. Two threads against one, 1,000
// instruments: 33,000 give 1.44, 66,000 1.63, 131,000 1.70 times the speed. (A pool would start faster, but does not
// survive a fork.)
constexpr std::size_t least_work = 16'384;
constexpr std::size_t populate_most = std::size_t{1} << 23;  // doubles a call, 64 MiB: 20 to 40 ms

constexpr std::size_t least_tasks = 32;  // for each thread: at the end, a thread waits for one task at most

// Threads that the destructor joins.
class Joined {
  public:
    ~Joined() {
        for (std::thread& one : threads_) one.join();
    }

    // Starts `count` threads, or as many of them as the system allows. May throw std::bad_alloc.
    template <class Work>
    void start(std::size_t count, const Work& work) {
        threads_.reserve(count);
        try {
            while (threads_.size() < count) threads_.emplace_back(work);
        } catch (const std::system_error&) {
            // Continue with the threads that started.
        }
    }

  private:
    std::vector<std::thread> threads_;
};

// The state of a tile in a kernel's form. Lanes beyond its width hold a price of 1 that stays where it is.
struct TileState {
    alignas(64) double price[tile_width];
    alignas(64) double variance[tile_width] = {};

    TileState() { std::fill_n(price, tile_width, 1.0); }
};

bool is_price(double price) { return price >= lowest_price && price <= highest_price; }

}  // namespace

// One call of walk(): its plan, and the data common to its threads.
class HestonModel::Run {
  public:
    Run(const HestonModel& model, const Kernels& kernels, const HestonWalk& walk)
        : model_(model),
          walk_(walk),
          kernel_(model.scheme_ == Scheme::qe ? kernels.qe : kernels.euler),
          rows_(model.derived_, model.scheme_ == Scheme::qe ? kernels.derive_qe : kernels.derive_euler,
                model.constants_.get(), derived_count(model.scheme_), model.stride_, model.stride_),
          interrupter_(walk.interruption),
          count_(model.instruments_),
          next_(walk.state, walk.state + state_count * model.instruments_) {
        // Tiles of about equal width, at most tile_width. Threads take them part by part (tasks.h), so they finish at
        // about the same time even if the tiles are few and of unequal width. One tile more than threads is enough.
        const std::size_t most_tiles = (count_ + tile_multiple - 1) / tile_multiple;
        const std::size_t least_tiles = (count_ + tile_width - 1) / tile_width;
        const std::size_t useful = std::max<std::size_t>(1, walk.steps.count * model.substeps_ * count_ / least_work);
        workers_ = std::min({std::max<std::size_t>(1, walk.threads), useful, most_tiles});
        tiles_ = workers_ == 1 ? least_tiles : std::min(std::max(least_tiles, workers_ + 1), most_tiles);
        parts_ = workers_ == 1 ? 1 : std::min(walk.steps.count, (least_tasks * workers_ + tiles_ - 1) / tiles_);
        plan_ = cut(walk.steps, walk.shocks, walk.night_shocks, model.factors_, model.substeps_, parts_, rows_);
        rows_.unlock();
        tasks_.emplace(tiles_, parts_);
        failed_parts_ = std::vector<std::size_t>(tiles_, parts_);
        overwritten_ = std::vector<std::size_t>(tiles_);
    }

    Status walk() {
        {
            Joined others;
            others.start(workers_ - 1, [this] {
                const DefaultFloatingPoint environment;
                work([this] { return tasks_->stopped(); });
            });
            const auto meanwhile = [this] {
                if (interrupter_.asked()) tasks_->stop();
                return tasks_->stopped();
            };
            work(meanwhile);
            tasks_->wait_for_all(Interrupter::period, meanwhile);
        }
        const std::size_t part = *std::min_element(failed_parts_.begin(), failed_parts_.end());
        if (tasks_->stopped() || part < parts_) {
            if (walk_.old_prices != nullptr) restore();
            return tasks_->stopped() ? failure(Code::interrupted, "the walk was interrupted") : first_failure(part);
        }
        std::copy(next_.begin(), next_.end(), walk_.state);
        return {};
    }

    std::size_t workers() const { return worked_.load(std::memory_order_relaxed); }

  private:
    std::size_t begin_of(std::size_t tile) const {
        const std::size_t multiples = (count_ + tile_multiple - 1) / tile_multiple;
        return std::min(multiples * tile / tiles_ * tile_multiple, count_);
    }

    // Takes tasks until none is left. stop: called now and then; if it returns true, the walk ends.
    template <class Stop>
    void work(Stop stop) {
        if (workers_ > 1 && walk_.prices != nullptr) {
            const std::size_t thread = started_.fetch_add(1, std::memory_order_relaxed);
            const std::size_t size = walk_.steps.count * count_;
            const std::size_t calls = 1 + size / workers_ / populate_most;
            for (double* rows : {walk_.prices, walk_.variances, walk_.old_prices, walk_.old_variances}) {
                for (std::size_t call = 0; rows != nullptr && call < calls && !stop(); ++call) {
                    populate(rows, size, thread * calls + call, workers_ * calls);
                }
            }
        }
        bool worked = false;
        for (Tasks::Task task; tasks_->take(task);) {
            if (!worked) worked_.fetch_add(1, std::memory_order_relaxed);
            worked = true;
            if (!tasks_->wait_until_due(task, Interrupter::period, stop)) return;
            if (!walk_part(task, stop)) return;
            tasks_->finish(task);
        }
    }

    // Returns false if the walk was stopped.
    template <class Stop>
    bool walk_part(Tasks::Task task, Stop stop) {
        if (failed_parts_[task.tile] < parts_) return true;  // after a failure, later steps of a tile mean nothing
        const std::size_t first = begin_of(task.tile), width = begin_of(task.tile + 1) - first;
        const std::size_t end = plan_.part_begins[task.part + 1];
        for (std::size_t begin = plan_.part_begins[task.part]; begin < end;) {
            std::size_t next = begin, substeps = 0;
            while (next < end && (next == begin || substeps + plan_.segments[next].substeps() <= segment_substeps)) {
                substeps += plan_.segments[next++].substeps();
            }
            const bool good = advance(&plan_.segments[begin], next - begin, first, width, next_.data(), true);
            overwritten_[task.tile] = row_behind(plan_.segments[next - 1]);
            if (!good) {
                failed_parts_[task.tile] = task.part;
                return true;
            }
            begin = next;
            if (stop()) return false;
        }
        return true;
    }

    // How many rows have been overwritten when a segment is walked.
    std::size_t row_behind(const Segment& segment) const {
        const std::uint64_t number = segment.step & ~random::night_mark;
        const std::size_t row = static_cast<std::size_t>(number - walk_.steps.first);
        return segment.row == Segment::kept_nowhere ? row : row + segment.steps;
    }

    void restore() const {
        for (std::size_t tile = 0; tile < tiles_; ++tile) {
            const std::size_t first = begin_of(tile), width = begin_of(tile + 1) - first;
            for (std::size_t t = 0; t < overwritten_[tile]; ++t) {
                const std::size_t place = t * count_ + first;
                std::copy_n(walk_.old_prices + place, width, walk_.prices + place);
                std::copy_n(walk_.old_variances + place, width, walk_.variances + place);
            }
        }
    }

    // Walks some instruments from a state (state_count, instruments) on; false where one of them left its range.
    bool advance(const Segment* segments, std::size_t segment_count, std::size_t first, std::size_t width,
                 double* state, bool kept) const {
        TileState tile_state;
        double* price = state + price_state * count_ + first;
        double* variance = state + variance_state * count_ + first;
        std::copy_n(price, width, tile_state.price);
        std::copy_n(variance, width, tile_state.variance);
        kept = kept && walk_.prices != nullptr;
        const PriceRange range = kernel_({
            .constants = model_.constants_.get() + first,
            .loadings = model_.loadings_.get() + first,
            .ids = model_.ids_.get() + first,
            .stride = model_.stride_,
            .first = first,
            .width = width,
            .factors = model_.factors_,
            .key = model_.key_,
            .segments = segments,
            .segment_count = segment_count,
            .price = tile_state.price,
            .variance = tile_state.variance,
            .prices = kept ? walk_.prices + first : nullptr,
            .variances = kept ? walk_.variances + first : nullptr,
            .old_prices = kept && walk_.old_prices != nullptr ? walk_.old_prices + first : nullptr,
            .old_variances = kept && walk_.old_prices != nullptr ? walk_.old_variances + first : nullptr,
            .row = count_,
        });
        bool good = range.lowest >= lowest_price && range.highest <= highest_price;
        for (std::size_t i = 0; i < width; ++i) {
            price[i] = tile_state.price[i];
            variance[i] = tile_state.variance[i];
            good = good && is_price(price[i]) && std::isfinite(variance[i]);
        }
        return good;
    }

    // Walks the tiles that failed again, step by step, and names the earliest step and its lowest instrument.
    Status first_failure(std::size_t part) {
        Status result;
        std::size_t first_row = SIZE_MAX;  // of the steps; twice the number, less one for a night
        for (std::size_t tile = 0; tile < tiles_; ++tile) {
            if (failed_parts_[tile] > part) continue;
            const std::size_t first = begin_of(tile), width = begin_of(tile + 1) - first;
            std::vector<double> state(walk_.state, walk_.state + state_count * count_);
            for (std::size_t i = 0; i < plan_.part_begins[part + 1]; ++i) {
                Segment one = plan_.segments[i];
                const std::size_t steps = one.steps;
                one.steps = 1;
                for (std::size_t t = 0; t < steps; ++t, ++one.step, one.shocks += model_.factors_) {
                    const bool night = (one.step & random::night_mark) != 0;
                    const std::uint64_t number = one.step & ~random::night_mark;
                    const std::size_t row = 2 * (number - walk_.steps.first + 1) - (night ? 1 : 0);
                    if (row >= first_row) break;
                    if (interrupter_.asked()) return failure(Code::interrupted, "the walk was interrupted");
                    if (advance(&one, 1, first, width, state.data(), false)) continue;
                    first_row = row;
                    result = named(state, first, width, number, night);
                }
            }
        }
        return result;
    }

    Status named(const std::vector<double>& state, std::size_t first, std::size_t width, std::uint64_t step,
                 bool night) const {
        for (std::size_t i = first; i < first + width; ++i) {
            const double price = state[price_state * count_ + i], variance = state[variance_state * count_ + i];
            if (is_price(price) && std::isfinite(variance)) continue;
            return failure(
                Code::not_finite,
                "instrument %u left its range %s step %llu: price %g (allowed are %g to %g), variance %g; its "
                "parameters are too large for steps of this length",
                static_cast<unsigned>(model_.ids_[i]), night ? "in the night before" : "at",
                static_cast<unsigned long long>(step), price, lowest_price, highest_price, variance);
        }
        return failure(Code::not_finite, "an instrument left its range at step %llu",
                       static_cast<unsigned long long>(step));
    }

    const HestonModel& model_;
    const HestonWalk& walk_;
    const HestonKernel kernel_;
    DerivedRows::Use rows_;
    Interrupter interrupter_;  // of the calling thread
    const std::size_t count_;
    std::vector<double> next_;  // the state as walked so far; a tile reads and writes only its own instruments
    std::size_t workers_, tiles_, parts_;
    SegmentedSteps plan_;
    std::optional<Tasks> tasks_;
    std::atomic<std::size_t> started_{0}, worked_{0};
    // For each tile: the part in which it failed, or parts_; how many rows it has overwritten. Only its tasks write it.
    std::vector<std::size_t> failed_parts_, overwritten_;
};

Status HestonModel::walk(const HestonWalk& walk, std::size_t* workers) const try {
    const DefaultFloatingPoint environment;
    const Kernels* kernels = nullptr;
    if (const Status chosen = choose_kernels(kernels); !chosen.ok()) return chosen;
    Run run(*this, *kernels, walk);
    const Status status = run.walk();
    if (workers != nullptr) *workers = run.workers();
    return status;
} catch (const std::bad_alloc&) {
    return failure(Code::out_of_memory, "no memory to walk %zu instruments through %zu steps", instruments_,
                   walk.steps.count);
}

}  // namespace pseudofeed::simulate
