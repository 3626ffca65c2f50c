// Asks the caller of a walk, every 50 ms, whether to go on.
#pragma once

#include <chrono>

#include "simulate/steps.h"

namespace pseudofeed::simulate {

// Of one thread: the one that called. Whoever computes asks often: a look at the clock is some 25 ns.
class Interrupter {
  public:
    static constexpr std::chrono::milliseconds period{50};

    explicit Interrupter(Interruption interruption) : interruption_(interruption), last_(Clock::now()) {}

    // Whether the walk must end: once true, always true.
    bool asked() {
        if (asked_ || interruption_.asked == nullptr) return asked_;
        const Clock::time_point now = Clock::now();
        if (now - last_ < period) return false;
        last_ = now;
        asked_ = interruption_.asked(interruption_.context);
        return asked_;
    }

  private:
    using Clock = std::chrono::steady_clock;

    Interruption interruption_;
    Clock::time_point last_;
    bool asked_ = false;
};

}  // namespace pseudofeed::simulate
