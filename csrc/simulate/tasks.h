// How threads divide a walk. There are three words for it:
//
//     tile   at most tile_width instruments, which a kernel walks together (heston_kernel.h)
//     part   a range of consecutive steps
//     task   one part of one tile: what a thread takes
//
//              part 0   part 1   part 2         Threads take tasks in the order of these numbers, column by column. A
//     tile 0      1        4        7           task waits until the part before it, of the same tile, is finished,
//     tile 1      2        5        8           because each step depends on the one before.
//     tile 2      3        6        9
//
// Deadlock-free for two reasons. First, tasks are taken in order: the thread that took the part before is working on
// it, or waits for a task that was taken earlier still. Second, a finished task wakes all waiting threads: several of
// them may wait for different parts of one tile. (Waking one of them is not enough, because its part may not be due
// yet. Three threads and four tiles, of which the first is slow, hang that way: tests/native/test_tasks.cpp.)
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
        std::size_t tile, part;
    };

    // May throw std::bad_alloc.
    Tasks(std::size_t tiles, std::size_t parts) : tiles_(tiles), total_(tiles * parts), finished_parts_(tiles) {}

    // Takes the next task. Returns false if none is left, or after stop().
    bool take(Task& task) {
        if (stopped()) return false;
        const std::size_t number = taken_.fetch_add(1, std::memory_order_relaxed);
        if (number >= total_) return false;
        task = {number % tiles_, number / tiles_};
        return true;
    }

    // Waits until a task that was taken is due. Returns false after stop(). `meanwhile` is called every `period` of
    // waiting, and may call stop().
    template <class Meanwhile>
    bool wait_until_due(Task task, std::chrono::milliseconds period, Meanwhile meanwhile) {
        return wait([&] { return finished_parts_[task.tile] >= task.part; }, period, meanwhile);
    }

    // Waits until all tasks are finished. Returns false after stop().
    template <class Meanwhile>
    bool wait_for_all(std::chrono::milliseconds period, Meanwhile meanwhile) {
        return wait([&] { return finished_ == total_; }, period, meanwhile);
    }

    void finish(Task task) {
        {
            const std::lock_guard lock(mutex_);
            ++finished_parts_[task.tile];
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

    const std::size_t tiles_, total_;
    std::atomic<std::size_t> taken_{0};
    std::atomic<bool> stopped_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::size_t> finished_parts_;  // of each tile; guarded by mutex_
    std::size_t finished_ = 0;                 // guarded by mutex_
};

}  // namespace pseudofeed::simulate
