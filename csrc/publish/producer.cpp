#include "publish/producer.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "encode/tick_block.h"

namespace pseudofeed::publish {
namespace {

// What the record batch's header and the record's own varints may add to a payload, generously.
constexpr std::size_t kRecordOverhead = 1024;

// A message's opaque: its first step and its number of steps, which is at most encode::kMaximumBlockTicks.
constexpr int kStepsBits = 16;
constexpr std::int64_t kLargestStep = (std::int64_t{1} << (63 - kStepsBits)) - 1;
static_assert(sizeof(void*) == 8, "a message's steps travel in its opaque pointer");

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// Values of these never go into a text; librdkafka's own text may quote them.
bool is_secret(const std::string& property) {
    for (const char* word : {"password", "secret", "key", "token", "jaas", "oauthbearer", "pem"})
        if (property.find(word) != std::string::npos) return true;
    return false;
}

}  // namespace

Producer::Producer(const Library& library, ProducerOptions options)
    : library_(library),
      options_(std::move(options)),
      partitions_(static_cast<std::size_t>(options_.partition_count)) {}

Status Producer::create(const Library& library, const Properties& properties, ProducerOptions options,
                        std::unique_ptr<Producer>* producer) {
    if (options.partition_count < 1) return failure(Code::invalid_argument, "a topic has at least one partition");
    if (options.block_ticks < 1 || options.block_ticks > encode::kMaximumBlockTicks)
        return failure(Code::invalid_argument, "block_ticks is %zu; it must be 1 to %zu", options.block_ticks,
                       encode::kMaximumBlockTicks);
    std::unique_ptr<Producer> made(new Producer(library, std::move(options)));
    if (Status status = made->open(properties); !status.ok()) return status;
    *producer = std::move(made);
    return {};
}

Status Producer::open(const Properties& properties) {
    struct Destroy {
        const Library& library;
        void operator()(Configuration* configuration) const { library.conf_destroy(configuration); }
    };
    std::unique_ptr<Configuration, Destroy> configuration(library_.conf_new(), Destroy{library_});

    char text[200] = {};
    for (const auto& [name, value] : properties) {
        if (library_.conf_set(configuration.get(), name.c_str(), value.c_str(), text, sizeof text) == kConfOk) continue;
        return failure(Code::invalid_argument, "Kafka property %s: %s", name.c_str(),
                       is_secret(name) ? "librdkafka does not accept its value" : text);
    }
    library_.conf_set_opaque(configuration.get(), this);
    library_.conf_set_dr_msg_cb(configuration.get(), on_delivery);
    library_.conf_set_error_cb(configuration.get(), on_error);
    library_.conf_set_log_cb(configuration.get(), drop_log_line);

    char limit[32] = {};
    std::size_t limit_size = sizeof limit;
    if (library_.conf_get(configuration.get(), "message.max.bytes", limit, &limit_size) != kConfOk)
        return failure(Code::unavailable, "librdkafka does not tell message.max.bytes");
    if (Status status = assign_instruments(std::strtoull(limit, nullptr, 10)); !status.ok()) return status;

    client_ = library_.client_new(kProducer, configuration.get(), text, sizeof text);
    if (client_ == nullptr) return failure(Code::invalid_argument, "Kafka properties: %s", text);
    (void)configuration.release();  // the client took it
    topic_ = library_.topic_new(client_, options_.topic.c_str(), nullptr);
    if (topic_ == nullptr)
        return failure(Code::invalid_argument, "topic %s: %s", options_.topic.c_str(),
                       library_.err2str(library_.last_error()));
    return {};
}

Status Producer::assign_instruments(std::size_t message_limit) {
    for (std::size_t number = 0; number < options_.partitions.size(); ++number) {
        const std::int32_t partition = options_.partitions[number];
        if (partition < 0 || partition >= options_.partition_count)
            return failure(Code::invalid_argument, "instrument %zu is in partition %d, and the topic %s has %d", number,
                           partition, options_.topic.c_str(), options_.partition_count);
        partitions_[std::size_t(partition)].numbers.push_back(static_cast<std::int32_t>(number));
    }
    for (std::size_t p = 0; p < partitions_.size(); ++p) {
        Partition& partition = partitions_[p];
        const std::size_t instruments = partition.numbers.size();
        if (instruments == 0) continue;
        const auto fits = [&](std::size_t steps) {
            const std::size_t bytes = encode::tick_block_size(steps, instruments);
            return bytes != 0 && bytes + kRecordOverhead <= message_limit;
        };
        if (!fits(1))
            return failure(Code::publish_failed,
                           "partition %zu of %s has %zu instruments: one step of them does not fit a message "
                           "(message.max.bytes is %zu); use more partitions",
                           p, options_.topic.c_str(), instruments, message_limit);
        std::size_t steps = std::max<std::size_t>(1, options_.block_ticks / instruments);
        while (!fits(steps)) --steps;
        partition.message_steps = steps;
    }
    return {};
}

Producer::~Producer() {
    if (client_ == nullptr) return;
    library_.purge(client_, kPurgeQueue | kPurgeInFlight | kPurgeAtOnce);
    library_.poll(client_, 0);
    if (topic_ != nullptr) library_.topic_destroy(topic_);
    library_.destroy(client_);
}

void Producer::expect_offsets(const std::int64_t* next_offsets) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Partition& partition : partitions_) partition.next_offset = *next_offsets++;
}

Status Producer::publish(const Ticks& block, const std::int64_t* published, int timeout_ms, bool* done) {
    const std::lock_guard<std::mutex> lock(mutex_);
    *done = false;
    if (Status status = serve(0); !status.ok()) return status;
    if (block.first_step < 1 || block.first_step > kLargestStep - static_cast<std::int64_t>(block.steps))
        return failure(Code::invalid_argument, "steps from %lld on can't be published",
                       static_cast<long long>(block.first_step));
    const std::int64_t deadline_ns = now_ns() + std::int64_t{timeout_ms} * 1'000'000;
    for (std::int32_t p = 0; p < options_.partition_count; ++p) {
        if (partitions_[std::size_t(p)].numbers.empty()) continue;
        bool finished = false;
        if (Status status = publish_partition(block, p, published[p], deadline_ns, &finished); !status.ok())
            return status;
        if (!finished) return {};
    }
    *done = true;
    return serve(0);
}

Status Producer::publish_partition(const Ticks& block, std::int32_t number, std::int64_t published,
                                   std::int64_t deadline_ns, bool* done) {
    Partition& partition = partitions_[std::size_t(number)];
    const std::int64_t last_step = block.first_step + static_cast<std::int64_t>(block.steps) - 1;
    const std::int64_t held = std::max(published, partition.accepted_step);
    if (block.first_step > held + 1)
        return failure(Code::invalid_argument,
                       "partition %d of %s holds the steps up to %lld, a block from step %lld on would leave a gap",
                       number, options_.topic.c_str(), static_cast<long long>(held),
                       static_cast<long long>(block.first_step));
    for (std::int64_t step = held + 1; step <= last_step; step = partition.accepted_step + 1) {
        Pending pending;
        if (Status status = encode(block, number, std::size_t(step - block.first_step), &pending); !status.ok())
            return status;
        for (bool accepted = false; !accepted;) {
            if (Status status = hand_over(number, &pending, &accepted); !status.ok()) return status;
            if (accepted) break;
            const std::int64_t left_ms = (deadline_ns - now_ns()) / 1'000'000;
            if (left_ms <= 0) return {};
            if (Status status = serve(static_cast<int>(left_ms)); !status.ok()) return status;
        }
    }
    *done = true;
    return {};
}

Status Producer::encode(const Ticks& block, std::int32_t number, std::size_t row, Pending* pending) const {
    const Partition& partition = partitions_[std::size_t(number)];
    const std::size_t row_length = options_.partitions.size();
    const std::size_t steps = std::min(partition.message_steps, block.steps - row);
    const std::size_t size = encode::tick_block_size(steps, partition.numbers.size());
    pending->payload.reset(static_cast<std::byte*>(std::malloc(size)));
    if (pending->payload == nullptr) return failure(Code::out_of_memory, "no memory for a message of %zu bytes", size);
    encode::TickBlockSource source;
    source.fingerprint = options_.fingerprint;
    source.partition = static_cast<std::uint32_t>(number);
    source.first_sequence = block.first_step + static_cast<std::int64_t>(row);
    source.steps = steps;
    source.instruments = partition.numbers.size();
    source.times = block.times + row;
    source.numbers = partition.numbers.data();
    source.prices = block.prices + row * row_length;
    source.variances = block.variances + row * row_length;
    source.row_length = row_length;
    source.columns = partition.numbers.data();
    pending->first_step = source.first_sequence;
    pending->steps = steps;
    // Kafka has no times before 1970, and librdkafka takes 0 for "now".
    pending->timestamp_ms = std::max<std::int64_t>(1, block.times[row + steps - 1] / 1'000'000);
    return encode::encode_tick_block(source, pending->payload.get(), size, &pending->size);
}

Status Producer::hand_over(std::int32_t number, Pending* pending, bool* accepted) {
    Partition& partition = partitions_[std::size_t(number)];
    const std::uint64_t label = static_cast<std::uint64_t>(pending->first_step) << kStepsBits | pending->steps;
    void* opaque = nullptr;
    std::memcpy(&opaque, &label, sizeof opaque);
    const int error = library_.producev(client_, kTopic, topic_, kPartition, static_cast<int>(number), kMessageFlags,
                                        kFreePayload, kValue, static_cast<void*>(pending->payload.get()), pending->size,
                                        kOpaque, opaque, kTimestamp, pending->timestamp_ms, kEnd);
    *accepted = error == kNoError;
    const std::int64_t last_step = pending->first_step + static_cast<std::int64_t>(pending->steps) - 1;
    if (error == kNoError) {
        (void)pending->payload.release();
        partition.accepted_step = last_step;
        ++partition.accepted_messages;
        partition.accepted_bytes += static_cast<std::int64_t>(pending->size);
        ++counts_.accepted_messages;
        return {};
    }
    if (error == kQueueFull) return {};
    char text[160] = {};
    const bool fatal = error == kFatal && library_.fatal_error(client_, text, sizeof text) != kNoError;
    fail(number, pending->first_step, last_step, fatal ? text : library_.err2str(error));
    return serve(0);
}

Status Producer::poll() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return serve(0);
}

Status Producer::serve(int timeout_ms) {
    library_.poll(client_, timeout_ms);
    // A fatal error is told before the reports of the messages that it is about, and those name partition and steps.
    for (int wait = 0; !fatal_error_.empty() && failure_.ok() && wait < 10; ++wait) library_.poll(client_, 100);
    if (!fatal_error_.empty())
        fail(failure(Code::publish_failed, "%s: %s", options_.topic.c_str(), fatal_error_.c_str()));
    if (!failure_.ok() && !purged_) {
        // A later message of a partition must not arrive where an earlier one did not.
        purged_ = true;
        library_.purge(client_, kPurgeQueue | kPurgeInFlight | kPurgeAtOnce);
        library_.poll(client_, 0);
    }
    return failure_;
}

Status Producer::flush(int timeout_ms, std::int64_t* left) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto unreported = [this] { return counts_.accepted_messages - counts_.messages - counts_.failed_messages; };
    *left = unreported();
    if (Status status = serve(0); !status.ok()) return status;
    if (unreported() > 0) library_.flush(client_, timeout_ms);
    *left = unreported();
    return serve(0);
}

void Producer::fail(const Status& status) {
    if (failure_.ok()) failure_ = status;
}

void Producer::fail(std::int32_t partition, std::int64_t first_step, std::int64_t last_step, const char* reason) {
    fail(failure(Code::publish_failed, "partition %d of %s, steps %lld to %lld: %s", partition, options_.topic.c_str(),
                 static_cast<long long>(first_step), static_cast<long long>(last_step), reason));
}

void Producer::report(const Message& message) {
    std::uint64_t label = 0;
    std::memcpy(&label, &message.opaque, sizeof message.opaque);
    const std::int64_t first_step = static_cast<std::int64_t>(label >> kStepsBits);
    const std::int64_t steps = static_cast<std::int64_t>(label & ((1U << kStepsBits) - 1));
    const std::int64_t last_step = first_step + steps - 1;
    if (message.error != kNoError) {
        ++counts_.failed_messages;
        fail(message.partition, first_step, last_step, library_.err2str(message.error));
        return;
    }
    Partition& partition = partitions_[std::size_t(message.partition)];
    ++counts_.messages;
    counts_.ticks += steps * static_cast<std::int64_t>(partition.numbers.size());
    counts_.bytes += static_cast<std::int64_t>(message.length);
    last_report_ns_ = now_ns();
    partition.acknowledged_step = last_step;
    if (partition.next_offset < 0) return;
    // The broker may leave the offset out, e.g. for a message that it had already written at the first try.
    if (message.offset >= 0 && message.offset != partition.next_offset) {
        char text[160];
        std::snprintf(text, sizeof text,
                      "written at offset %lld where %lld was due, so another producer writes to this partition",
                      static_cast<long long>(message.offset), static_cast<long long>(partition.next_offset));
        fail(message.partition, first_step, last_step, text);
    }
    ++partition.next_offset;
}

void Producer::on_delivery(Client*, const Message* message, void* opaque) {
    static_cast<Producer*>(opaque)->report(*message);
}

void Producer::on_error(Client* client, int error, const char* reason, void* opaque) {
    Producer& producer = *static_cast<Producer*>(opaque);
    if (error != kFatal) {
        producer.last_error_ = reason;
        return;
    }
    char text[200] = {};
    producer.library_.fatal_error(client, text, sizeof text);
    producer.fatal_error_ = text;
}

Counts Producer::counts() {
    const std::lock_guard<std::mutex> lock(mutex_);
    library_.poll(client_, 0);
    Counts counts = counts_;
    if (last_report_ns_ >= 0) counts.silence_ns = now_ns() - last_report_ns_;
    return counts;
}

void Producer::partition_counts(std::int64_t* acknowledged, std::int64_t* messages, std::int64_t* bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Partition& partition : partitions_) {
        *acknowledged++ = partition.acknowledged_step;
        *messages++ = partition.accepted_messages;
        *bytes++ = partition.accepted_bytes;
    }
}

std::string Producer::last_error() {
    const std::lock_guard<std::mutex> lock(mutex_);
    library_.poll(client_, 0);
    return last_error_;
}

std::size_t Producer::message_steps(std::int32_t partition) const {
    return partitions_[std::size_t(partition)].message_steps;
}

}  // namespace pseudofeed::publish
