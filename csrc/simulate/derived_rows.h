// The derived rows (scheme.h) of the lengths dt that are in use: made once for each, and kept for the next call.
//
// A market has few lengths as a rule (a step, a night, the short last steps of sessions), and rows of all instruments
// pay where a length comes back: where all steps differ, a step costs 3 to 12 % more with euler, 24 to 45 % with qe.
// But each step may have a length of its own; then rows of all instruments would cost more memory than the paths. So
// only some are kept, and only of a length that has come twice; of others a kernel derives its tile's rows on the spot.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>

#include "simulate/heston_kernel.h"

namespace pseudofeed::simulate {

// Owns memory that begins at a cache line.
struct AlignedFree {
    void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{64}); }
};
using AlignedDoubles = std::unique_ptr<double[], AlignedFree>;
using AlignedWords = std::unique_ptr<std::uint64_t[], AlignedFree>;

// All zero. Throws std::bad_alloc.
template <class T>
std::unique_ptr<T[], AlignedFree> aligned_zeros(std::size_t count) {
    T* memory = static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{64}));
    for (std::size_t i = 0; i < count; ++i) memory[i] = T{};
    return std::unique_ptr<T[], AlignedFree>(memory);
}

class DerivedRows {
  public:
    // Lengths whose rows are kept. One call holds as many at most, so what deriving costs a call is bounded too.
    static constexpr std::size_t most_kept = 4;

    // One call's use of them: rows stay valid as long as this lives.
    class Use {
      public:
        // Locks `rows` until it has been given what it asks for: end with unlock(). constants: as for DeriveKernel.
        Use(DerivedRows& rows, DeriveKernel derive, const double* constants, std::size_t row_count, std::size_t stride,
            std::size_t instruments)
            : rows_(rows),
              lock_(rows.mutex_),
              derive_(derive),
              constants_(constants),
              row_count_(row_count),
              stride_(stride),
              instruments_(instruments) {}

        // The rows of dt, or null where the kernel should derive them. steps: how many steps of this length follow each
        // other. May throw std::bad_alloc.
        const double* of(double dt, std::size_t steps);

        void unlock() { lock_.unlock(); }

      private:
        DerivedRows& rows_;
        std::unique_lock<std::mutex> lock_;
        DeriveKernel derive_;
        const double* constants_;
        std::size_t row_count_, stride_, instruments_;
        struct Held {
            double dt;
            std::shared_ptr<const double[]> rows;
        };
        std::array<Held, most_kept> held_{};
        std::size_t held_count_ = 0;
    };

  private:
    struct Entry {
        double dt = 0.0;
        std::uint64_t used = 0;  // by the clock
        std::shared_ptr<const double[]> rows;
    };

    bool came_lately(double dt) const;

    std::mutex mutex_;  // guards all that follows
    std::uint64_t clock_ = 0;
    std::array<Entry, most_kept> kept_{};
    std::array<double, 8> lately_{};  // lengths that had no rows, the newest 8
    std::size_t next_lately_ = 0;
};

}  // namespace pseudofeed::simulate
