// The producer's threads and its patience, on a fake librdkafka: closing while another thread is in a call, and calls
// that end in time however large the block. Build it with -DPSEUDOFEED_SANITIZE=thread, and address, after a change.
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "fake_librdkafka.h"
#include "publish/producer.h"

using namespace pseudofeed;
using namespace pseudofeed::publish;
using pseudofeed::test::fake;

namespace {

constexpr int kSliceMs = 100;
constexpr std::int64_t kMs = 1'000'000;
// Far above what a call may take, for machines that do other things; a call that does not look at the clock takes
// longer.
constexpr std::int64_t kPatienceNs = 1'500 * kMs;

struct Block {
    std::vector<std::int64_t> times;
    std::vector<double> prices, variances;
    Ticks ticks;

    Block(std::int64_t first_step, std::size_t steps, std::size_t instruments)
        : times(steps), prices(steps * instruments, 100.0), variances(steps * instruments, 0.04) {
        for (std::size_t j = 0; j < steps; ++j) times[j] = (first_step + static_cast<std::int64_t>(j)) * 1'000'000'000;
        ticks = {first_step, steps, times.data(), prices.data(), variances.data()};
    }
};

std::unique_ptr<Producer> make(std::size_t instruments, encode::Shape shape, std::size_t block_ticks = 100) {
    ProducerOptions options;
    options.topic = "ticks.test";
    options.fingerprint = 1;
    options.partition_count = 2;
    options.shape = shape;
    options.block_ticks = block_ticks;
    options.factor_topic = "factors.test";
    options.factors = 1;
    for (std::size_t i = 0; i < instruments; ++i) {
        options.partitions.push_back(static_cast<std::int32_t>(i % 2));
        options.symbols.push_back(std::to_string(i));
    }
    std::unique_ptr<Producer> producer;
    const Status status = Producer::create(test::fake_library(), {}, std::move(options), &producer);
    CHECK(status.ok());
    return producer;
}

bool is_closed(const Status& status) {
    return status.code == Code::publish_failed && std::strstr(status.message, "ticks.test is closed") != nullptr;
}

// A thread publishes one block after another while this one closes the producer.
void close_while_publishing(encode::Shape shape, bool acknowledges, int after_ms) {
    fake.acknowledges = acknowledges;
    const auto producer = make(10, shape);
    std::atomic<std::int64_t> calls = 0;
    Status last, watched;
    std::thread publisher([&] {
        for (std::int64_t step = 1; last.ok(); step += 50) {
            const Block block(step, 50, 10);
            const std::vector<double> level(50, 1.0);
            const Factors factors{step, 50, block.times.data(), level.data(), level.data()};
            bool done = false;
            for (; last.ok() && !done; ++calls) last = producer->publish(block.ticks, kSliceMs, &done);
            done = false;
            for (; last.ok() && !done; ++calls) last = producer->publish_factors(factors, kSliceMs, &done);
            (void)producer->counts();
        }
    });
    std::thread watcher([&] {
        std::int64_t left = 0;
        while (watched.ok()) watched = producer->flush(1, &left);
    });
    while (calls == 0) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(after_ms));
    const std::int64_t begin = now_ns();
    std::thread other([&] { producer->close(); });
    producer->close();
    CHECK(now_ns() - begin < kPatienceNs);
    other.join();
    publisher.join();
    watcher.join();
    CHECK(is_closed(last));
    CHECK(is_closed(watched));
    CHECK_EQUAL(fake.clients.load(), 0);

    // Afterwards: one clear error, and counts as they were.
    bool done = false;
    std::int64_t left = 0;
    CHECK(is_closed(producer->publish(Block(1, 1, 10).ticks, kSliceMs, &done)));
    CHECK(is_closed(producer->flush(0, &left)));
    CHECK(is_closed(producer->poll()));
    CHECK(is_closed(producer->ask(0, &done)));
    CHECK(is_closed(producer->begin_factors(1, 0)));
    const Counts counts = producer->counts();
    CHECK_EQUAL(counts.accepted_messages, counts.messages + counts.failed_messages);
    CHECK_EQUAL(left, 0);
    CHECK_EQUAL(producer->last_error(), "");
}

// Each call looks at the clock, and what it has not done the next one goes on with.
void publish_in_slices(encode::Shape shape, std::size_t steps, std::size_t instruments, std::size_t block_ticks) {
    fake.acknowledges = true;
    fake.room = ~std::size_t{0};
    const auto producer = make(instruments, shape, block_ticks);
    const Block block(1, steps, instruments);
    bool done = false;
    int calls = 0;
    std::int64_t longest = 0;
    while (!done && calls < 1'000'000) {
        const std::int64_t begin = now_ns();
        CHECK(producer->publish(block.ticks, 1, &done).ok());
        longest = std::max(longest, now_ns() - begin);
        ++calls;
    }
    std::printf("%zu steps of %zu: %d calls, the longest %.1f ms\n", steps, instruments, calls,
                static_cast<double>(longest) / kMs);
    CHECK(calls > 3);
    std::int64_t left = 1;
    while (left > 0) CHECK(producer->flush(1, &left).ok());
    CHECK_EQUAL(producer->counts().ticks, static_cast<std::int64_t>(steps * instruments));
    std::int64_t acknowledged[2], messages[2], bytes[2];
    producer->partition_counts(acknowledged, messages, bytes);
    CHECK_EQUAL(acknowledged[0], static_cast<std::int64_t>(steps));
    CHECK_EQUAL(acknowledged[1], static_cast<std::int64_t>(steps));
    fake.room = 1000;
}

// A fatal error whose reports don't come: calls end in time, and after about a second they fail with its text.
void fatal_without_reports() {
    fake.acknowledges = false;
    const auto producer = make(10, encode::Shape::block);
    const Block block(1, 50, 10);
    bool done = false;
    CHECK(producer->publish(block.ticks, kSliceMs, &done).ok() && done);
    fake.fatal = true;
    const std::int64_t begin = now_ns();
    Status status;
    std::int64_t longest = 0;
    while (status.ok() && now_ns() - begin < 20'000 * kMs) {
        const std::int64_t call = now_ns();
        std::int64_t left = 0;
        status = producer->flush(kSliceMs, &left);
        longest = std::max(longest, now_ns() - call);
    }
    CHECK(status.code == Code::publish_failed && std::strstr(status.message, "out of order") != nullptr);
    CHECK(longest < 700 * kMs);
    CHECK(now_ns() - begin > 900 * kMs);
    CHECK(producer->publish(block.ticks, kSliceMs, &done).code == Code::publish_failed);
    fake.fatal = false;
}

}  // namespace

int main() {
    for (const encode::Shape shape : {encode::Shape::block, encode::Shape::tick}) {
        for (const bool acknowledges : {true, false}) {
            for (const int after_ms : {0, 1, 7, 150}) close_while_publishing(shape, acknowledges, after_ms);
        }
    }
    publish_in_slices(encode::Shape::block, 20'000, 100, 100);
    publish_in_slices(encode::Shape::tick, 2'000, 100, 100);
    publish_in_slices(encode::Shape::tick, 2, 60'000, 100);
    fatal_without_reports();
    return pseudofeed::test::result();
}
