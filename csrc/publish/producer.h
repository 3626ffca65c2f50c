// The producer: publishes tick blocks as messages on a topic's partitions, and counts deliveries.
//
// A message is encoded from the block's arrays into memory that librdkafka frees. The producer has no thread of its
// own: delivery reports are processed inside `publish`, `poll` and `flush`, on the caller's thread, and only counted
// there. It is thread-safe; one call runs at a time. No call takes much longer than its timeout, or, without one, 0.1
// s.
//
// No step may be missing in the middle of a partition, because a restart reads only the last messages. So a message
// that was given up stops the producer for good. The messages behind it in the queue are dropped, and the topic keeps a
// prefix. Messages do not expire unless the user sets that; instead, the caller watches `silence_ns` and gives up as a
// whole. And no step may be duplicate: the reports must show the offsets that follow the end that the caller has read.
// Otherwise another program writes to the partition.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "encode/ticks.h"
#include "publish/librdkafka.h"
#include "status.h"

namespace pseudofeed::publish {

using Properties = std::vector<std::pair<std::string, std::string>>;  // librdkafka's names and values

struct ProducerOptions {
    std::string topic;
    std::uint64_t fingerprint = 0;
    std::int32_t partition_count = 0;
    std::vector<std::int32_t> partitions;  // (N), the partition of each instrument
    std::vector<std::string> symbols;      // (N), the keys of single ticks
    // The content of a message: a block of ticks, or a single one. A step that the topic has in part is completed by
    // single ticks, in SBE unless shape is json.
    encode::Shape shape = encode::Shape::block;
    std::vector<std::string> json_symbols;  // (N), quoted and escaped, if shape is json
    std::size_t block_ticks = 0;            // at most this many ticks per block, unless a step has more
    std::string factor_topic;               // of one partition; empty: factors are not published
    std::size_t factors = 0;                // K, at least 1 if there is a topic for them
};

// Rows of a stream of ticks; row j is step first_step + j. Borrows.
struct Ticks {
    std::int64_t first_step = 0;
    std::size_t steps = 0;
    const std::int64_t* times = nullptr;  // (T), ns since 1970
    const double* prices = nullptr;       // (T, N)
    const double* variances = nullptr;    // (T, N)
};

// Rows of a stream of factors; row j is step first_step + j. Borrows.
struct Factors {
    std::int64_t first_step = 0;
    std::size_t steps = 0;
    const std::int64_t* times = nullptr;  // (T), ns since 1970
    const double* increments = nullptr;   // (T, K)
    const double* levels = nullptr;       // (T, K)
};

// The steady clock's time.
std::int64_t now_ns();

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
    // Checks options and properties, and creates the client. It connects in the background: an absent server is not
    // detected here. Borrows `library`, for the producer's whole life.
    static Status create(const Library& library, const Properties& properties, ProducerOptions options,
                         std::unique_ptr<Producer>* producer);
    ~Producer();  // closes; no call may be in progress
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;

    // Closes at once: queued and unacknowledged messages are given up. A call in progress in another thread, also
    // `publish`, soon returns publish_failed, and so does every later call; counts can still be read. May be called
    // more than once.
    void close();

    // Requests the topic's metadata and waits for the answer, at most that long. Without two answers (the second from a
    // server that the first one names), an idempotent client waits half a second until it can send: librdkafka requests
    // its producer id at each such answer, and otherwise by a timer.
    Status ask(int timeout_ms, bool* answered);

    // Where to continue in each partition, (P) each, before the first `publish`: it has the steps up to `steps`, and of
    // the next one its first `ahead` instruments. next_offsets: from now on an acknowledgement must show the offset
    // that is due, or it is a failure; nullptr: any offset is accepted. Without `begin` the topic is empty. This is not
    // part of `create`, so that the client connects while the caller reads the topic.
    Status begin(const std::int64_t* steps, const std::int64_t* ahead, const std::int64_t* next_offsets);

    // The same for the factor topic, which has the steps up to `step`.
    Status begin_factors(std::int64_t step, std::int64_t next_offset);

    // Encodes and enqueues the ticks of the block that come after what each partition holds, steps in order and within
    // a step instruments in order. Returns within about `timeout_ms`. *done is false if that was not long enough,
    // because the queue is full or the block is large; repeat the call to continue. A step that the topic has in part
    // is completed by single ticks. A partition's steps must be consecutive; a gap is invalid_argument.
    Status publish(const Ticks& block, int timeout_ms, bool* done);
    // The same for factors.
    Status publish_factors(const Factors& block, int timeout_ms, bool* done);
    // Processes the delivery reports received so far.
    Status poll();
    // Sends queued messages without lingering and waits, at most `timeout_ms`. *left: messages not reported yet.
    Status flush(int timeout_ms, std::int64_t* left);

    Counts counts();
    // (P) each: the last step acknowledged (0: none), messages and bytes handed to librdkafka.
    void partition_counts(std::int64_t* acknowledged, std::int64_t* messages, std::int64_t* bytes);
    // The last step of the factors that is acknowledged; 0: none.
    std::int64_t factor_step();
    // Messages of factors handed to librdkafka.
    std::int64_t factor_messages();
    // The last error of librdkafka's connections, "" if none.
    std::string last_error();
    // Steps of a full block of a partition; 0 if it has no instruments.
    std::size_t message_steps(std::int32_t partition) const;

  private:
    enum class Kind : std::uint8_t { block, tick, factors };

    // A message that librdkafka has accepted.
    struct Sent {
        std::int64_t step = 0;    // of a block, its first
        std::uint32_t count = 0;  // a block's steps, or the position of a single tick's instrument in its partition
        Kind kind = Kind::block;
        bool acknowledged = false;
    };

    struct Partition {
        std::vector<std::int32_t> numbers;  // instruments, ascending
        std::size_t message_steps = 0;      // steps of a full block
        // Handed to librdkafka: the steps up to accepted_step, and `ahead` instruments of the next one.
        std::int64_t accepted_step = 0;
        std::size_t ahead = 0;
        std::int64_t acknowledged_step = 0;  // the last one that is acknowledged as a whole
        std::int64_t first_offset = -1;      // that the first message must get; -1: any
        std::int64_t accepted_messages = 0;
        std::int64_t accepted_bytes = 0;
        // The messages from the oldest unacknowledged one on; `settled` messages come before it. Reports may be out of
        // order: after a broker died that had written two requests, the second one may be reported first.
        std::deque<Sent> sent;
        std::int64_t settled = 0;
    };

    // An encoded block; librdkafka takes the payload.
    struct Pending {
        std::unique_ptr<std::byte, decltype(&std::free)> payload{nullptr, &std::free};
        std::size_t size = 0;
        Sent sent;

        Status make_room(std::size_t bytes);
    };

    Producer(const Library& library, ProducerOptions options);
    Status assign_instruments(std::size_t message_limit);
    Status open(const Properties& properties);
    Status publish_partition(const Ticks& block, std::int32_t partition, std::int64_t deadline_ns, bool* done);
    // One message from row `row` on, encoded into `pending` if that is empty. *accepted is false if the queue is
    // full.
    Status publish_block(const Ticks& block, std::int32_t partition, std::size_t row, Pending* pending, bool* accepted);
    Status encode_block(const Ticks& block, std::int32_t partition, std::size_t row, Pending* pending) const;
    Status encode_factors(const Factors& block, std::size_t row, Pending* pending) const;
    // Advances by the message's steps if librdkafka has accepted it.
    Status hand_over(Topic* topic, std::int32_t partition, Pending* pending, bool* accepted);
    Status check_steps(std::int64_t first_step, std::size_t steps) const;
    Partition& partition_of(Kind kind, std::int32_t number);
    // A message's opaque pointer: its number in its partition, and whether that is the factor topic's.
    static void* pack(const Partition& partition, Kind kind);
    void accept(Partition& partition, const Sent& sent, std::size_t size);
    // `due`: the offset that the message must have, if the partition's first one is known.
    void acknowledge(Partition& partition, Sent& sent, std::int64_t due, const Message& message);
    // The rest of a step. *accepted is false if the queue is full or the time is up; some ticks may be enqueued
    // then.
    Status publish_step(const Ticks& block, std::int32_t partition, std::size_t row, std::int64_t deadline_ns,
                        bool* accepted);
    // Waits for room if the queue is full. *go_on is false if the time is up.
    Status after_message(bool accepted, std::int64_t deadline_ns, bool* go_on);
    // Why librdkafka rejected a message. A full queue is not a failure.
    Status refused(int error, std::int32_t partition, const Sent& sent, bool* accepted);
    // Waits for reports, at most that long; returns the failure, if any.
    Status serve(int timeout_ms);
    // Closed, or about to be.
    Status check_open() const;
    // After a fatal error, until the reports show which messages failed.
    bool settling() const { return !fatal_error_.empty() && failure_.ok(); }
    std::int64_t unreported() const;
    void poll_reports(int timeout_ms);
    void note_reports();
    void fail(const Status& status);
    void fail(std::int32_t partition, const Sent& sent, const char* reason);
    void report(const Message& message);

    static void on_delivery(Client*, const Message* message, void* opaque);
    static void on_error(Client*, int error, const char* reason, void* opaque);

    const Library& library_;
    const ProducerOptions options_;
    std::mutex mutex_;  // one call at a time; callbacks run inside one
    std::atomic<bool> closing_ = false;
    Client* client_ = nullptr;  // none once it is closed
    Topic* topic_ = nullptr;
    Topic* factor_topic_ = nullptr;
    std::vector<Partition> partitions_;
    Partition factors_;               // the factor topic's one; without numbers
    std::vector<std::byte> scratch_;  // for the largest single tick
    Counts counts_;
    bool reported_ = false;             // a message was acknowledged since the time was taken last
    std::int64_t last_report_ns_ = -1;  // steady clock
    Status failure_;                    // the first one; it is kept
    bool purged_ = false;               // after a failure the queue is dropped, once
    std::string last_error_;
    std::string fatal_error_;           // "" or why librdkafka has stopped for good
    std::int64_t fatal_since_ns_ = -1;  // steady clock
};

}  // namespace pseudofeed::publish
