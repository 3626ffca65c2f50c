// The producer: tick blocks in, SBE messages on a topic's partitions out, delivery counted.
//
// A message goes straight from the block's arrays into memory that librdkafka frees. There is no thread of our own:
// delivery reports are served inside `publish`, `poll` and `flush`, on the caller's thread, and only counted there.
//
// Nothing may ever be missing between two steps of a partition, since a restart looks at the last message only. So: a
// message that was given up stops the producer for good (what is still queued is thrown away, the queue's tail, so
// the topic keeps a prefix); messages do not time out by themselves unless the user says so (the caller watches
// `silence_ns` and gives up as a whole). And nothing may be there twice: the reports must show the offsets that
// follow on from the end that the caller has read, or else somebody else writes to the partition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "publish/librdkafka.h"
#include "status.h"

namespace pseudofeed::publish {

using Properties = std::vector<std::pair<std::string, std::string>>;  // librdkafka's names and values

struct ProducerOptions {
    std::string topic;
    std::uint64_t fingerprint = 0;
    std::int32_t partition_count = 0;
    std::vector<std::int32_t> partitions;  // (N), the partition of each instrument
    std::size_t block_ticks = 0;           // at most this many ticks a message, if a step has not more
};

// Rows of a stream of ticks; row j is step first_step + j. Borrows.
struct Ticks {
    std::int64_t first_step = 0;
    std::size_t steps = 0;
    const std::int64_t* times = nullptr;  // (T), ns since the epoch
    const double* prices = nullptr;       // (T, N)
    const double* variances = nullptr;    // (T, N)
};

struct Counts {
    std::int64_t accepted_messages = 0;  // handed to librdkafka
    std::int64_t messages = 0;           // acknowledged, and so are the rest
    std::int64_t ticks = 0;
    std::int64_t bytes = 0;
    std::int64_t failed_messages = 0;
    std::int64_t silence_ns = -1;  // since the last acknowledgement; -1: there was none yet
};

class Producer {
  public:
    // Checks options and properties, makes the client. Connects in the background: a server that is not there is not
    // noticed here. Borrows `library`, for ever.
    static Status create(const Library& library, const Properties& properties, ProducerOptions options,
                         std::unique_ptr<Producer>* producer);
    // What is still queued or under way is given up.
    ~Producer();
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;

    // (P) the topic's ends: from now on an acknowledgement must show the offset that is due, or it is a failure. Before
    // the first `publish`. Apart from `create`, so that the client connects while the caller reads the topic.
    void expect_offsets(const std::int64_t* next_offsets);

    // Encodes and enqueues the block's ticks, each partition's steps after published[partition] and after what this
    // producer has accepted before. Returns within about `timeout_ms`: with *done false where the queue is full, and
    // then the same call again goes on. A partition's steps must follow on; a gap is invalid_argument.
    Status publish(const Ticks& block, const std::int64_t* published, int timeout_ms, bool* done);
    // Serves delivery reports that have come in.
    Status poll();
    // Sends what is queued without lingering and waits, at most `timeout_ms`. *left: messages not reported yet.
    Status flush(int timeout_ms, std::int64_t* left);

    Counts counts();
    // (P) each: the last step acknowledged (0: none), messages and bytes handed to librdkafka.
    void partition_counts(std::int64_t* acknowledged, std::int64_t* messages, std::int64_t* bytes);
    // What librdkafka last said about its connections, "" if nothing.
    std::string last_error();
    // Steps of a full message of a partition; 0 where it has no instruments.
    std::size_t message_steps(std::int32_t partition) const;

  private:
    struct Partition {
        std::vector<std::int32_t> numbers;  // instruments, ascending
        std::size_t message_steps = 0;      // steps of a full message
        std::int64_t accepted_step = -1;    // last one handed to librdkafka; -1: none yet
        std::int64_t acknowledged_step = 0;
        std::int64_t next_offset = -1;  // of the next report; -1: not checked
        std::int64_t accepted_messages = 0;
        std::int64_t accepted_bytes = 0;
    };

    // An encoded message; librdkafka takes the payload.
    struct Pending {
        std::unique_ptr<std::byte, decltype(&std::free)> payload{nullptr, &std::free};
        std::size_t size = 0;
        std::int64_t first_step = 0;
        std::size_t steps = 0;
        std::int64_t timestamp_ms = 0;  // the last step's time
    };

    Producer(const Library& library, ProducerOptions options);
    Status assign_instruments(std::size_t message_limit);
    Status open(const Properties& properties);
    Status publish_partition(const Ticks& block, std::int32_t partition, std::int64_t published,
                             std::int64_t deadline_ns, bool* done);
    Status encode(const Ticks& block, std::int32_t partition, std::size_t row, Pending* pending) const;
    // *accepted is false where the queue is full; the message then stays the caller's.
    Status hand_over(std::int32_t partition, Pending* pending, bool* accepted);
    // Waits for reports, at most that long; returns the failure that stands.
    Status serve(int timeout_ms);
    void fail(const Status& status);
    void fail(std::int32_t partition, std::int64_t first_step, std::int64_t last_step, const char* reason);
    void report(const Message& message);

    static void on_delivery(Client*, const Message* message, void* opaque);
    static void on_error(Client*, int error, const char* reason, void* opaque);

    const Library& library_;
    const ProducerOptions options_;
    std::mutex mutex_;  // one call at a time; callbacks run inside one
    Client* client_ = nullptr;
    Topic* topic_ = nullptr;
    std::vector<Partition> partitions_;
    Counts counts_;
    std::int64_t last_report_ns_ = -1;  // steady clock
    Status failure_;                    // the first one; it stands
    bool purged_ = false;               // after a failure the queue is thrown away, once
    std::string last_error_;
    std::string fatal_error_;  // "" or why librdkafka has stopped for good
};

}  // namespace pseudofeed::publish
