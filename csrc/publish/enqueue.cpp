// The producer's way in: rows of ticks become messages in librdkafka's queue.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "encode/factor_block.h"
#include "encode/tick.h"
#include "encode/tick_block.h"
#include "publish/producer.h"

namespace pseudofeed::publish {
namespace {

constexpr std::int64_t kLargestStep = std::int64_t{1} << 60;  // far from overflow in any sum
static_assert(sizeof(void*) == 8, "a message's number travels in its opaque pointer");

// The record's timestamp of blocks. A broker forgets an idempotent producer whose newest batch is a day old by its
// timestamps (producer.id.expiration.ms), and after a restart at once; then it writes a retried batch twice (seen with
// Kafka 4.3). So blocks, which hold their own times, are stamped by the clock. librdkafka takes 0 for "now".
constexpr std::int64_t kNow = 0;

// The record's timestamp of a single tick, which is what stream processors go by: its event time, but for the same
// reason not older than half a day. The greater of two clocks that never go back never goes back.
constexpr std::int64_t kOldestMs = 12 * 3'600'000;

constexpr std::size_t kTicksBetweenLooks = 256;  // at the clock

std::int64_t oldest_timestamp_ms() {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count() - kOldestMs;
}

}  // namespace

void* Producer::pack(const Partition& partition, Kind kind) {
    const auto number = static_cast<std::uint64_t>(partition.accepted_messages);
    const std::uint64_t bits = number << 1 | static_cast<std::uint64_t>(kind == Kind::factors);
    void* opaque = nullptr;
    std::memcpy(&opaque, &bits, sizeof opaque);
    return opaque;
}

void Producer::accept(Partition& partition, const Sent& sent, std::size_t size) {
    partition.sent.push_back(sent);
    ++partition.accepted_messages;
    partition.accepted_bytes += static_cast<std::int64_t>(size);
    ++counts_.accepted_messages;
}

Status Producer::check_steps(std::int64_t first_step, std::size_t steps) const {
    if (first_step >= 1 && first_step <= kLargestStep - static_cast<std::int64_t>(steps)) return {};
    return failure(Code::invalid_argument, "steps from %lld on can't be published", static_cast<long long>(first_step));
}

Status Producer::Pending::make_room(std::size_t bytes) {
    payload.reset(static_cast<std::byte*>(std::malloc(bytes)));
    size = bytes;
    if (payload == nullptr) return failure(Code::out_of_memory, "no memory for a message of %zu bytes", bytes);
    return {};
}

Status Producer::publish(const Ticks& block, int timeout_ms, bool* done) {
    const std::lock_guard<std::mutex> lock(mutex_);
    *done = false;
    if (Status status = check_open(); !status.ok()) return status;
    if (Status status = serve(0); !status.ok() || settling()) return status;
    if (Status status = check_steps(block.first_step, block.steps); !status.ok()) return status;
    const std::int64_t deadline_ns = now_ns() + std::int64_t{timeout_ms} * 1'000'000;
    for (std::int32_t p = 0; p < options_.partition_count; ++p) {
        if (partitions_[std::size_t(p)].numbers.empty()) continue;
        bool finished = false;
        if (Status status = publish_partition(block, p, deadline_ns, &finished); !status.ok()) return status;
        if (!finished) return {};
    }
    *done = true;
    return serve(0);
}

Status Producer::publish_partition(const Ticks& block, std::int32_t number, std::int64_t deadline_ns, bool* done) {
    const Partition& partition = partitions_[std::size_t(number)];
    const std::int64_t last_step = block.first_step + static_cast<std::int64_t>(block.steps) - 1;
    if (block.first_step > partition.accepted_step + 1)
        return failure(Code::invalid_argument,
                       "partition %d of %s holds the steps up to %lld, a block from step %lld on would leave a gap",
                       number, options_.topic.c_str(), static_cast<long long>(partition.accepted_step),
                       static_cast<long long>(block.first_step));
    Pending pending;  // encoded once, however often the queue is full
    while (partition.accepted_step < last_step) {
        const auto row = static_cast<std::size_t>(partition.accepted_step + 1 - block.first_step);
        const bool single = options_.shape != encode::Shape::block || partition.ahead > 0;
        bool accepted = false;
        bool go_on = false;
        Status status = single ? publish_step(block, number, row, deadline_ns, &accepted)
                               : publish_block(block, number, row, &pending, &accepted);
        if (status.ok()) status = after_message(accepted, deadline_ns, &go_on);
        if (!status.ok()) return status;
        if (!go_on) break;
    }
    *done = partition.accepted_step >= last_step;
    return {};
}

Status Producer::after_message(bool accepted, std::int64_t deadline_ns, bool* go_on) {
    *go_on = false;
    if (Status status = check_open(); !status.ok()) return status;
    const std::int64_t left_ns = deadline_ns - now_ns();
    if (left_ns <= 0) return {};
    if (!accepted) {
        const auto left_ms = static_cast<int>((left_ns + 999'999) / 1'000'000);
        if (Status status = serve(left_ms); !status.ok() || settling()) return status;
    }
    *go_on = true;
    return {};
}

Status Producer::publish_factors(const Factors& block, int timeout_ms, bool* done) {
    const std::lock_guard<std::mutex> lock(mutex_);
    *done = false;
    if (Status status = check_open(); !status.ok()) return status;
    if (Status status = serve(0); !status.ok() || settling()) return status;
    if (Status status = check_steps(block.first_step, block.steps); !status.ok()) return status;
    if (factor_topic_ == nullptr) return failure(Code::invalid_argument, "this producer has no topic for factors");
    const std::int64_t deadline_ns = now_ns() + std::int64_t{timeout_ms} * 1'000'000;
    const std::int64_t last_step = block.first_step + static_cast<std::int64_t>(block.steps) - 1;
    if (block.first_step > factors_.accepted_step + 1)
        return failure(Code::invalid_argument,
                       "%s holds the steps up to %lld, a block from step %lld on would leave a gap",
                       options_.factor_topic.c_str(), static_cast<long long>(factors_.accepted_step),
                       static_cast<long long>(block.first_step));
    Pending pending;
    while (factors_.accepted_step < last_step) {
        if (pending.payload == nullptr) {
            const auto row = static_cast<std::size_t>(factors_.accepted_step + 1 - block.first_step);
            if (Status status = encode_factors(block, row, &pending); !status.ok()) return status;
        }
        bool accepted = false;
        bool go_on = false;
        if (Status status = hand_over(factor_topic_, 0, &pending, &accepted); !status.ok()) return status;
        if (Status status = after_message(accepted, deadline_ns, &go_on); !status.ok()) return status;
        if (!go_on) break;
    }
    *done = factors_.accepted_step >= last_step;
    return {};
}

Status Producer::publish_block(const Ticks& block, std::int32_t number, std::size_t row, Pending* pending,
                               bool* accepted) {
    if (pending->payload == nullptr) {
        if (Status status = encode_block(block, number, row, pending); !status.ok()) return status;
    }
    return hand_over(topic_, number, pending, accepted);
}

Status Producer::hand_over(Topic* topic, std::int32_t number, Pending* pending, bool* accepted) {
    Partition& partition = partition_of(pending->sent.kind, number);
    const int error = library_.producev(client_, kTopic, topic, kPartition, static_cast<int>(number), kMessageFlags,
                                        kFreePayload, kValue, static_cast<void*>(pending->payload.get()), pending->size,
                                        kOpaque, pack(partition, pending->sent.kind), kTimestamp, kNow, kEnd);
    if (error != kNoError) return refused(error, number, pending->sent, accepted);
    (void)pending->payload.release();  // librdkafka frees it
    accept(partition, pending->sent, pending->size);
    partition.accepted_step += std::int64_t{pending->sent.count};
    *accepted = true;
    return {};
}

Status Producer::encode_factors(const Factors& block, std::size_t row, Pending* pending) const {
    encode::FactorBlockSource source;
    source.fingerprint = options_.fingerprint;
    source.first_sequence = block.first_step + static_cast<std::int64_t>(row);
    source.steps = std::min(factors_.message_steps, block.steps - row);
    source.factors = options_.factors;
    source.times = block.times + row;
    source.increments = block.increments + row * options_.factors;
    source.levels = block.levels + row * options_.factors;

    if (Status status = pending->make_room(encode::factor_block_size(source.steps, source.factors)); !status.ok())
        return status;
    pending->sent = {source.first_sequence, static_cast<std::uint32_t>(source.steps), Kind::factors};
    return encode::encode_factor_block(source, pending->payload.get(), pending->size, &pending->size);
}

Status Producer::encode_block(const Ticks& block, std::int32_t number, std::size_t row, Pending* pending) const {
    const Partition& partition = partitions_[std::size_t(number)];
    const std::size_t row_length = options_.partitions.size();
    encode::TickBlockSource source;
    source.fingerprint = options_.fingerprint;
    source.partition = static_cast<std::uint32_t>(number);
    source.first_sequence = block.first_step + static_cast<std::int64_t>(row);
    source.steps = std::min(partition.message_steps, block.steps - row);
    source.instruments = partition.numbers.size();
    source.times = block.times + row;
    source.numbers = partition.numbers.data();
    source.prices = block.prices + row * row_length;
    source.variances = block.variances + row * row_length;
    source.row_length = row_length;
    source.columns = partition.numbers.data();

    if (Status status = pending->make_room(encode::tick_block_size(source.steps, source.instruments)); !status.ok())
        return status;
    pending->sent = {source.first_sequence, static_cast<std::uint32_t>(source.steps), Kind::block};
    return encode::encode_tick_block(source, pending->payload.get(), pending->size, &pending->size);
}

Status Producer::publish_step(const Ticks& block, std::int32_t number, std::size_t row, std::int64_t deadline_ns,
                              bool* accepted) {
    Partition& partition = partitions_[std::size_t(number)];
    const std::size_t row_length = options_.partitions.size();
    encode::Tick tick{};
    tick.fingerprint = options_.fingerprint;
    tick.sequence = block.first_step + static_cast<std::int64_t>(row);
    tick.time = block.times[row];
    tick.partition = static_cast<std::uint32_t>(number);
    const std::int64_t timestamp_ms = std::max(tick.time / 1'000'000, oldest_timestamp_ms());
    for (; partition.ahead < partition.numbers.size(); ++partition.ahead) {
        tick.number = partition.numbers[partition.ahead];
        const std::size_t place = row * row_length + std::size_t(tick.number);
        tick.price = block.prices[place];
        tick.variance = block.variances[place];
        std::size_t size = encode::tick_size;
        if (options_.shape != encode::Shape::json) {
            encode::encode_tick(tick, scratch_.data());
        } else {
            size = encode::encode_tick_json(tick, options_.json_symbols[std::size_t(tick.number)], scratch_.data());
            if (size == 0)
                return failure(Code::invalid_argument,
                               "instrument %d at step %lld: price %g, variance %g: JSON has no such numbers",
                               tick.number, static_cast<long long>(tick.sequence), tick.price, tick.variance);
        }
        const std::string& key = options_.symbols[std::size_t(tick.number)];
        const Sent sent{tick.sequence, static_cast<std::uint32_t>(partition.ahead), Kind::tick};
        const int error =
            library_.producev(client_, kTopic, topic_, kPartition, static_cast<int>(number), kMessageFlags,
                              kCopyPayload, kValue, static_cast<void*>(scratch_.data()), size, kKey, key.data(),
                              key.size(), kOpaque, pack(partition, Kind::tick), kTimestamp, timestamp_ms, kEnd);
        if (error != kNoError) return refused(error, number, sent, accepted);
        accept(partition, sent, size);
        // A step may have any number of instruments, and each costs a microsecond.
        if (partition.ahead % kTicksBetweenLooks == kTicksBetweenLooks - 1 && now_ns() >= deadline_ns) {
            ++partition.ahead;
            break;
        }
    }
    *accepted = partition.ahead == partition.numbers.size();
    if (!*accepted) return {};
    partition.ahead = 0;
    ++partition.accepted_step;
    return {};
}

Status Producer::refused(int error, std::int32_t number, const Sent& sent, bool* accepted) {
    *accepted = false;
    if (error == kQueueFull) return {};
    char text[160] = {};
    const bool fatal = error == kFatal && library_.fatal_error(client_, text, sizeof text) != kNoError;
    fail(number, sent, fatal ? text : library_.err2str(error));
    return serve(0);
}

}  // namespace pseudofeed::publish
