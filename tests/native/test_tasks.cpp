// How threads hand the parts of a walk to each other: a schedule that hangs if a finished task wakes only one of the
// waiting threads, and stopping while others wait.
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"
#include "simulate/tasks.h"

using pseudofeed::simulate::Tasks;
using std::chrono::milliseconds;

namespace {

// So long that a thread which nobody wakes hangs, and the test with it.
constexpr milliseconds period{600'000};

// Threads that take all tasks; the first one is slow. The parts of each tile, in the order in which they were walked.
std::vector<std::vector<std::size_t>> walked(std::size_t threads, std::size_t tiles, std::size_t parts,
                                             milliseconds slow) {
    Tasks tasks(tiles, parts);
    std::vector<std::vector<std::size_t>> order(tiles);
    const auto work = [&] {
        for (Tasks::Task task; tasks.take(task);) {
            if (!tasks.wait_until_due(task, period, [] {})) return;
            if (task.tile == 0 && task.part == 0) std::this_thread::sleep_for(slow);
            order[task.tile].push_back(task.part);
            tasks.finish(task);
        }
    };
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work);
    work();
    CHECK(tasks.wait_for_all(period, [] {}));
    for (std::thread& one : others) one.join();
    return order;
}

}  // namespace

int main() {
    // Three threads, four tiles: while one walks tile 0, the others run through tiles 1 to 3 and both wait for tile
    // 0, one for its part 0 to end, the other for its part 1.
    for (int round = 0; round < 20; ++round) {
        for (const auto& parts : walked(3, 4, 30, milliseconds(round < 3 ? 100 : 2))) {
            CHECK_EQUAL(parts.size(), 30u);
            for (std::size_t part = 0; part < parts.size(); ++part) CHECK_EQUAL(parts[part], part);
        }
    }
    for (const std::size_t threads : {1u, 2u, 7u}) CHECK_EQUAL(walked(threads, 5, 11, milliseconds(1))[4].size(), 11u);

    // The heart of it: two wait for different parts of one tile, first the one whose part comes last.
    {
        Tasks one_tile(1, 3);
        Tasks::Task tasks[3];
        for (Tasks::Task& task : tasks) CHECK(one_tile.take(task));
        const auto wait = [&](Tasks::Task task) {
            if (one_tile.wait_until_due(task, period, [] {})) one_tile.finish(task);
        };
        std::thread last(wait, tasks[2]);
        std::this_thread::sleep_for(milliseconds(50));
        std::thread next(wait, tasks[1]);
        std::this_thread::sleep_for(milliseconds(50));
        one_tile.finish(tasks[0]);
        CHECK(one_tile.wait_for_all(period, [] {}));
        last.join();
        next.join();
    }

    // Who waits is woken by stop(), and asks in the meantime whether to stop.
    Tasks tasks(1, 2);
    Tasks::Task first, second;
    CHECK(tasks.take(first) && tasks.take(second));
    CHECK_EQUAL(second.part, 1u);
    bool due = true;
    std::thread other([&] { due = tasks.wait_until_due(second, milliseconds(10'000), [] {}); });
    int asked = 0;
    CHECK(!tasks.wait_for_all(milliseconds(5), [&] {
        if (++asked == 4) tasks.stop();
    }));
    other.join();
    CHECK(!due);
    CHECK_EQUAL(asked, 4);
    CHECK(!tasks.take(first));
    return pseudofeed::test::result();
}
