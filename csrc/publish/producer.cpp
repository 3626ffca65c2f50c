#include "publish/producer.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "encode/factor_block.h"
#include "encode/tick_block.h"

namespace pseudofeed::publish {
namespace {

// What the record batch's header and the record's own varints may add to a payload, generously.
constexpr std::size_t kRecordOverhead = 1024;

// How long a call waits, and how long all of them do, for the reports that follow a fatal error.
constexpr int kSettleMs = 50;
constexpr std::int64_t kLongestSettleNs = 1'000'000'000;

// Values of these never go into a text; librdkafka's own text may quote them.
bool is_secret(const std::string& property) {
    for (const char* word : {"password", "secret", "key", "token", "jaas", "oauthbearer", "pem"})
        if (property.find(word) != std::string::npos) return true;
    return false;
}

}  // namespace

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

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
    const std::size_t instruments = options.partitions.size();
    if (options.symbols.size() != instruments ||
        (options.shape == encode::Shape::json && options.json_symbols.size() != instruments))
        return failure(Code::invalid_argument, "%zu symbols for %zu instruments", options.symbols.size(), instruments);
    std::size_t largest = encode::tick_size;
    for (const std::string& symbol : options.json_symbols)
        largest = std::max(largest, encode::tick_json_limit(symbol.size()));
    std::unique_ptr<Producer> made(new Producer(library, std::move(options)));
    made->scratch_.resize(largest);
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
        return failure(Code::unavailable, "librdkafka does not report message.max.bytes");
    if (Status status = assign_instruments(std::strtoull(limit, nullptr, 10)); !status.ok()) return status;

    client_ = library_.client_new(kProducer, configuration.get(), text, sizeof text);
    if (client_ == nullptr) return failure(Code::invalid_argument, "Kafka properties: %s", text);
    (void)configuration.release();  // the client took it
    topic_ = library_.topic_new(client_, options_.topic.c_str(), nullptr);
    if (topic_ == nullptr)
        return failure(Code::invalid_argument, "topic %s: %s", options_.topic.c_str(),
                       library_.err2str(library_.last_error()));
    if (options_.factor_topic.empty()) return {};
    factor_topic_ = library_.topic_new(client_, options_.factor_topic.c_str(), nullptr);
    if (factor_topic_ == nullptr)
        return failure(Code::invalid_argument, "topic %s: %s", options_.factor_topic.c_str(),
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
    if (options_.factor_topic.empty()) return {};
    factors_.message_steps = options_.block_ticks / std::max<std::size_t>(1, options_.factors);
    while (factors_.message_steps > 0 &&
           encode::factor_block_size(factors_.message_steps, options_.factors) + kRecordOverhead > message_limit)
        --factors_.message_steps;
    if (factors_.message_steps == 0 || options_.factors == 0)
        return failure(Code::publish_failed, "a step of %zu factors does not fit a message of %s", options_.factors,
                       options_.factor_topic.c_str());
    return {};
}

Producer::~Producer() { close(); }

void Producer::close() {
    // Set before taking the lock, so that a call in progress releases it soon and does not continue.
    closing_ = true;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (client_ == nullptr) return;
    library_.purge(client_, kPurgeQueue | kPurgeInFlight | kPurgeAtOnce);
    library_.poll(client_, 0);
    for (Topic* topic : {topic_, factor_topic_})
        if (topic != nullptr) library_.topic_destroy(topic);
    library_.destroy(client_);
    client_ = nullptr;
    topic_ = factor_topic_ = nullptr;
    // Whose reports had not come yet: given up as well.
    counts_.failed_messages += unreported();
}

Status Producer::check_open() const {
    if (!closing_) return {};
    return failure(Code::publish_failed, "the producer for %s is closed", options_.topic.c_str());
}

Status Producer::ask(int timeout_ms, bool* answered) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (Status status = check_open(); !status.ok()) return status;
    const Metadata* metadata = nullptr;
    *answered = library_.metadata(client_, 0, topic_, &metadata, timeout_ms) == kNoError;
    if (metadata != nullptr) library_.metadata_destroy(metadata);
    return {};
}

Status Producer::begin(const std::int64_t* steps, const std::int64_t* ahead, const std::int64_t* next_offsets) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (Status status = check_open(); !status.ok()) return status;
    for (std::size_t p = 0; p < partitions_.size(); ++p) {
        const auto most = static_cast<std::int64_t>(partitions_[p].numbers.size());
        if (steps[p] < 0 || ahead[p] < 0 || ahead[p] >= std::max<std::int64_t>(most, 1))
            return failure(Code::invalid_argument, "partition %zu can't hold %lld steps and %lld of %lld ticks more", p,
                           static_cast<long long>(steps[p]), static_cast<long long>(ahead[p]),
                           static_cast<long long>(most));
    }
    for (std::size_t p = 0; p < partitions_.size(); ++p) {
        Partition& partition = partitions_[p];
        partition.accepted_step = partition.acknowledged_step = steps[p];
        partition.ahead = static_cast<std::size_t>(ahead[p]);
        partition.first_offset = next_offsets == nullptr ? -1 : next_offsets[p];
    }
    return {};
}

Status Producer::begin_factors(std::int64_t step, std::int64_t next_offset) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (Status status = check_open(); !status.ok()) return status;
    if (step < 0)
        return failure(Code::invalid_argument, "no topic holds the factors up to step %lld",
                       static_cast<long long>(step));
    factors_.accepted_step = factors_.acknowledged_step = step;
    factors_.first_offset = next_offset;
    return {};
}

Status Producer::poll() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (Status status = check_open(); !status.ok()) return status;
    return serve(0);
}

std::int64_t Producer::unreported() const {
    return counts_.accepted_messages - counts_.messages - counts_.failed_messages;
}

Status Producer::serve(int timeout_ms) {
    poll_reports(timeout_ms);
    // A fatal error comes before the reports of the messages that it is about, and those name partition and steps. They
    // are waited for, in this call and the next ones.
    if (settling()) {
        if (fatal_since_ns_ < 0) fatal_since_ns_ = now_ns();
        if (unreported() > 0 && timeout_ms < kSettleMs) poll_reports(kSettleMs - timeout_ms);
        if (unreported() == 0 || now_ns() - fatal_since_ns_ > kLongestSettleNs)
            fail(failure(Code::publish_failed, "%s: %s", options_.topic.c_str(), fatal_error_.c_str()));
    }
    if (!failure_.ok() && !purged_) {
        // A later message of a partition must not arrive where an earlier one did not.
        purged_ = true;
        library_.purge(client_, kPurgeQueue | kPurgeInFlight | kPurgeAtOnce);
        poll_reports(0);
    }
    return failure_;
}

void Producer::poll_reports(int timeout_ms) {
    if (client_ == nullptr) return;
    library_.poll(client_, timeout_ms);
    note_reports();
}

void Producer::note_reports() {
    if (reported_) last_report_ns_ = now_ns();
    reported_ = false;
}

Status Producer::flush(int timeout_ms, std::int64_t* left) {
    const std::lock_guard<std::mutex> lock(mutex_);
    *left = unreported();
    if (Status status = check_open(); !status.ok()) return status;
    if (Status status = serve(0); !status.ok()) return status;
    if (unreported() > 0 && !settling()) library_.flush(client_, timeout_ms);
    note_reports();
    *left = unreported();
    return serve(0);
}

void Producer::fail(const Status& status) {
    if (failure_.ok()) failure_ = status;
}

void Producer::fail(std::int32_t partition, const Sent& sent, const char* reason) {
    char what[64];
    const auto step = static_cast<long long>(sent.step);
    if (sent.kind == Kind::tick) {
        std::snprintf(what, sizeof what, "step %lld", step);
    } else {
        std::snprintf(what, sizeof what, "steps %lld to %lld", step, step + sent.count - 1);
    }
    const std::string& topic = sent.kind == Kind::factors ? options_.factor_topic : options_.topic;
    fail(failure(Code::publish_failed, "partition %d of %s, %s: %s", partition, topic.c_str(), what, reason));
}

Producer::Partition& Producer::partition_of(Kind kind, std::int32_t number) {
    return kind == Kind::factors ? factors_ : partitions_[std::size_t(number)];
}

void Producer::report(const Message& message) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &message.opaque, sizeof bits);
    Partition& partition = partition_of((bits & 1) != 0 ? Kind::factors : Kind::block, message.partition);
    const auto number = static_cast<std::int64_t>(bits >> 1);
    Sent& sent = partition.sent[static_cast<std::size_t>(number - partition.settled)];
    if (message.error == kNoError) {
        acknowledge(partition, sent, partition.first_offset + number, message);
    } else {
        ++counts_.failed_messages;
        fail(message.partition, sent, library_.err2str(message.error));
    }
}

void Producer::acknowledge(Partition& partition, Sent& sent, std::int64_t due, const Message& message) {
    const std::size_t instruments = partition.numbers.size();
    ++counts_.messages;
    counts_.ticks += static_cast<std::int64_t>(sent.kind == Kind::tick ? 1 : sent.count * instruments);
    counts_.bytes += static_cast<std::int64_t>(message.length);
    reported_ = true;
    sent.acknowledged = true;
    // The broker leaves the offset out for a message that it had written before its answer was lost.
    if (partition.first_offset >= 0 && message.offset >= 0 && message.offset != due) {
        char text[200];
        std::snprintf(
            text, sizeof text,
            "written at offset %lld where %lld was due: another producer writes there, or a killed feed's last "
            "request came late; `pseudofeed verify` tells what is repeated",
            static_cast<long long>(message.offset), static_cast<long long>(due));
        fail(message.partition, sent, text);
    }
    for (; !partition.sent.empty() && partition.sent.front().acknowledged; partition.sent.pop_front()) {
        const Sent& oldest = partition.sent.front();
        ++partition.settled;
        if (oldest.kind != Kind::tick) {
            partition.acknowledged_step = oldest.step + oldest.count - 1;
        } else if (oldest.count + 1 == instruments) {
            partition.acknowledged_step = oldest.step;
        }
    }
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
    poll_reports(0);
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

std::int64_t Producer::factor_messages() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return factors_.accepted_messages;
}

std::int64_t Producer::factor_step() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return factors_.acknowledged_step;
}

std::string Producer::last_error() {
    const std::lock_guard<std::mutex> lock(mutex_);
    poll_reports(0);
    return last_error_;
}

std::size_t Producer::message_steps(std::int32_t partition) const {
    return partitions_[std::size_t(partition)].message_steps;
}

}  // namespace pseudofeed::publish
