// librdkafka as a table of functions: only those that we use, with our own declarations, loaded from a shared library
// at run time. So compiling needs no librdkafka, and the process has one copy of it: the one that confluent-kafka
// ships.
//
// Types and numbers are those of librdkafka's public header rdkafka.h (2.3 to 2.16), whose ABI is kept within
// version 2. Handles are opaque; `Message` is the one public structure that we read.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace pseudofeed::publish {

struct Client;         // rd_kafka_t
struct Configuration;  // rd_kafka_conf_t
struct Topic;          // rd_kafka_topic_t
struct Metadata;       // rd_kafka_metadata
struct MockHandle;     // rd_kafka_mock_cluster_t

// rd_kafka_message_t, as a delivery report gives it.
struct Message {
    int error;  // rd_kafka_resp_err_t
    Topic* topic;
    std::int32_t partition;
    void* payload;
    std::size_t length;
    void* key;
    std::size_t key_length;
    std::int64_t offset;  // kInvalidOffset if the broker did not report it
    void* opaque;         // what was given with the message
};

using DeliveryCallback = void(Client*, const Message*, void* opaque);
using ErrorCallback = void(Client*, int error, const char* reason, void* opaque);
using LogCallback = void(const Client*, int level, const char* facility, const char* text);

inline constexpr int kProducer = 0;  // rd_kafka_type_t
inline constexpr int kConfOk = 0;    // rd_kafka_conf_res_t
inline constexpr std::int64_t kInvalidOffset = -1001;

// rd_kafka_resp_err_t
inline constexpr int kNoError = 0;
inline constexpr int kQueueFull = -184;
inline constexpr int kFatal = -150;

// rd_kafka_vtype_t: what rd_kafka_producev's next arguments are.
inline constexpr int kEnd = 0, kTopic = 2, kPartition = 3, kValue = 4, kKey = 5, kOpaque = 6, kMessageFlags = 7,
                     kTimestamp = 8;

inline constexpr int kFreePayload = 0x1, kCopyPayload = 0x2;                       // RD_KAFKA_MSG_F_*
inline constexpr int kPurgeQueue = 0x1, kPurgeInFlight = 0x2, kPurgeAtOnce = 0x4;  // RD_KAFKA_PURGE_F_*

inline constexpr int kOldestVersion = 0x02030000;

struct Library {
    int (*version)();
    const char* (*version_str)();
    const char* (*err2str)(int error);

    Configuration* (*conf_new)();
    void (*conf_destroy)(Configuration*);
    int (*conf_set)(Configuration*, const char* name, const char* value, char* text, std::size_t text_size);
    int (*conf_get)(const Configuration*, const char* name, char* value, std::size_t* value_size);
    void (*conf_set_opaque)(Configuration*, void* opaque);
    void (*conf_set_dr_msg_cb)(Configuration*, DeliveryCallback*);
    void (*conf_set_error_cb)(Configuration*, ErrorCallback*);
    void (*conf_set_log_cb)(Configuration*, LogCallback*);

    Client* (*client_new)(int type, Configuration* takes, char* text, std::size_t text_size);
    void (*destroy)(Client*);
    Topic* (*topic_new)(Client*, const char* name, void* takes_topic_configuration);
    void (*topic_destroy)(Topic*);
    int (*metadata)(Client*, int all_topics, Topic* only, const Metadata** gives, int timeout_ms);
    void (*metadata_destroy)(const Metadata*);

    int (*producev)(Client*, ...);
    int (*poll)(Client*, int timeout_ms);
    int (*flush)(Client*, int timeout_ms);
    int (*purge)(Client*, int flags);
    int (*fatal_error)(Client*, char* text, std::size_t text_size);
    int (*last_error)();

    MockHandle* (*mock_cluster_new)(Client*, int brokers);
    void (*mock_cluster_destroy)(MockHandle*);
    const char* (*mock_cluster_bootstraps)(const MockHandle*);
    int (*mock_topic_create)(MockHandle*, const char* topic, int partitions, int replication);
    void (*mock_push_request_errors_array)(MockHandle*, std::int16_t api, std::size_t count, const int* errors);
    int (*mock_broker_set_down)(MockHandle*, std::int32_t broker);
    int (*mock_broker_set_up)(MockHandle*, std::int32_t broker);
    int (*mock_broker_set_rtt)(MockHandle*, std::int32_t broker, int milliseconds);
};

// Loads the library at `path` (a file, or a name that the system's loader finds) and checks its version and that it has
// every function. The first success holds for the whole process; later calls return the same library, whatever their
// path.
// `*library` stays valid for the life of the process: a library with threads is never unloaded. Failure: unavailable,
// `*library` untouched.
Status load_library(const char* path, const Library** library);

// Drops librdkafka's log lines: we get errors as errors, and a library must not write to the terminal.
void drop_log_line(const Client*, int level, const char* facility, const char* text);

}  // namespace pseudofeed::publish
