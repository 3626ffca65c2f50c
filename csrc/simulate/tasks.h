// How threads share a walk. The instruments are cut into pieces, the steps into parts; a task is one part of one piece:
//
//              part 0   part 1   part 2          Tasks are taken in this order, column by column. A task waits until
//     piece 0    1        4        7             the part before it, of the same piece, is finished: a step depends on
//     piece 1    2        5        8             the one before.
//     piece 2    3        6        9
//
// Deadlock-free because tasks are taken in their order: whoever took the part before is at work on it, or waits for a
// task that was taken earlier still; and because a finished task wakes all who wait, of whom several may wait for
// different parts of one piece. (Waking one of them is not enough: it may be one whose part is not due yet. Three
// threads and four pieces, of which the first is slow, hang that way: tests/native/test_tasks.cpp.)
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

namespace pseudofeed::simulate {

class Tasks {
  public:
    struct Task {
        std::size_t piece, part;
    };

    // May throw std::bad_alloc.
    Tasks(std::size_t pieces, std::size_t parts) : pieces_(pieces), total_(pieces * parts), finished_parts_(pieces) {}

    // Takes the next task; false where none is left, or after stop().
    bool take(Task& task) {
        if (stopped()) return false;
        const std::size_t number = taken_.fetch_add(1, std::memory_order_relaxed);
        if (number >= total_) return false;
        task = {number % pieces_, number / pieces_};
        return true;
    }

    // Waits until a task that was taken is due; false after stop(). `meanwhile` is called every `period` of waiting,
    // and may call stop().
    template <class Meanwhile>
    bool wait_until_due(Task task, std::chrono::milliseconds period, Meanwhile meanwhile) {
        return wait([&] { return finished_parts_[task.piece] >= task.part; }, period, meanwhile);
    }

    // Waits until all tasks are finished; false after stop().
    template <class Meanwhile>
    bool wait_for_all(std::chrono::milliseconds period, Meanwhile meanwhile) {
        return wait([&] { return finished_ == total_; }, period, meanwhile);
    }

    void finish(Task task) {
        {
            const std::lock_guard lock(mutex_);
            ++finished_parts_[task.piece];
            ++finished_;
        }
        changed_.notify_all();
    }

    // Ends all waiting; no more tasks are taken.
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_.store(true, std::memory_order_relaxed);
        }
        changed_.notify_all();
    }

    bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  private:
    template <class Condition, class Meanwhile>
    bool wait(Condition condition, std::chrono::milliseconds period, Meanwhile meanwhile) {
        std::unique_lock lock(mutex_);
        while (!stopped() && !condition()) {
            if (changed_.wait_for(lock, period) == std::cv_status::timeout) {
                lock.unlock();
                meanwhile();
                lock.lock();
            }
        }
        return !stopped();
    }

    const std::size_t pieces_, total_;
    std::atomic<std::size_t> taken_{0};
    std::atomic<bool> stopped_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::size_t> finished_parts_;  // of each piece; guarded by mutex_
    std::size_t finished_ = 0;                 // guarded by mutex_
};

}  // namespace pseudofeed::simulate
