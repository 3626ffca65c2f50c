// librdkafka's table of functions, played by a queue in memory: so that the producer's threads can be watched by
// sanitizers, which don't see into the real library. One client at a time.
//
// Messages wait in the queue until `poll` or `flush` reports them, if the fake acknowledges at all. A client that is
// used after it was destroyed is freed memory, which the address sanitizer tells.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include "publish/librdkafka.h"

namespace pseudofeed::publish {

struct Configuration {
    void* opaque = nullptr;
    DeliveryCallback* on_delivery = nullptr;
    ErrorCallback* on_error = nullptr;
};

struct Topic {
    int unused = 0;
};

struct Client {
    Configuration configuration;
    std::mutex mutex;
    std::condition_variable arrived;
    std::deque<Message> queue;
    std::int64_t next_offset = 0;
};

}  // namespace pseudofeed::publish

namespace pseudofeed::test {

using namespace pseudofeed::publish;

// How the fake behaves; set while no client is there, or by atomic means.
struct FakeBehaviour {
    std::size_t room = 1000;  // messages
    std::atomic<bool> acknowledges = true;
    std::atomic<bool> fatal = false;  // tells of a fatal error, and reports nothing
    std::atomic<int> clients = 0;     // that are open
};

inline FakeBehaviour fake;

inline void report(Client* client, std::size_t most, int error) {
    for (std::size_t n = 0; n < most; ++n) {
        Message message{};
        {
            const std::lock_guard<std::mutex> lock(client->mutex);
            if (client->queue.empty()) return;
            message = client->queue.front();
            client->queue.pop_front();
            message.error = error;
            message.offset = error == kNoError ? client->next_offset++ : kInvalidOffset;
        }
        client->configuration.on_delivery(client, &message, client->configuration.opaque);
        std::free(message.payload);
    }
}

inline int fake_producev(Client* client, ...) {
    Message message{};
    int flags = 0;
    std::va_list arguments;
    va_start(arguments, client);
    for (int kind = va_arg(arguments, int); kind != kEnd; kind = va_arg(arguments, int)) {
        switch (kind) {
            case kTopic:
                message.topic = va_arg(arguments, Topic*);
                break;
            case kPartition:
                message.partition = va_arg(arguments, int);
                break;
            case kMessageFlags:
                flags = va_arg(arguments, int);
                break;
            case kValue:
                message.payload = va_arg(arguments, void*);
                message.length = va_arg(arguments, std::size_t);
                break;
            case kKey:
                message.key = va_arg(arguments, void*);
                message.key_length = va_arg(arguments, std::size_t);
                break;
            case kOpaque:
                message.opaque = va_arg(arguments, void*);
                break;
            case kTimestamp:
                (void)va_arg(arguments, std::int64_t);
                break;
            default:
                std::abort();
        }
    }
    va_end(arguments);
    const std::lock_guard<std::mutex> lock(client->mutex);
    if (client->queue.size() >= fake.room) return kQueueFull;
    if ((flags & kCopyPayload) != 0) {
        void* const copy = std::malloc(message.length);
        std::memcpy(copy, message.payload, message.length);
        message.payload = copy;
    }
    message.key = nullptr;  // the caller's
    client->queue.push_back(message);
    client->arrived.notify_one();
    return kNoError;
}

inline int fake_poll(Client* client, int timeout_ms) {
    if (fake.fatal) {
        client->configuration.on_error(client, kFatal, "fatal", client->configuration.opaque);
    } else if (fake.acknowledges) {
        report(client, 500, kNoError);
        return 0;
    }
    // Nothing happens: as the real one, wait for as long as the caller wants.
    std::this_thread::sleep_for(std::chrono::milliseconds(timeout_ms));
    return 0;
}

inline const Library& fake_library() {
    static const Library library = [] {
        Library table{};
        table.err2str = [](int error) { return error == kNoError ? "no error" : "given up"; };
        table.conf_new = [] { return new Configuration; };
        table.conf_destroy = [](Configuration* configuration) { delete configuration; };
        table.conf_set = [](Configuration*, const char*, const char*, char*, std::size_t) { return kConfOk; };
        table.conf_get = [](const Configuration*, const char*, char* value, std::size_t* size) {
            *size = static_cast<std::size_t>(std::snprintf(value, *size, "1000000"));
            return kConfOk;
        };
        table.conf_set_opaque = [](Configuration* configuration, void* opaque) { configuration->opaque = opaque; };
        table.conf_set_dr_msg_cb = [](Configuration* configuration, DeliveryCallback* callback) {
            configuration->on_delivery = callback;
        };
        table.conf_set_error_cb = [](Configuration* configuration, ErrorCallback* callback) {
            configuration->on_error = callback;
        };
        table.conf_set_log_cb = [](Configuration*, LogCallback*) {};
        table.client_new = [](int, Configuration* configuration, char*, std::size_t) {
            auto* const client = new Client;
            client->configuration = *configuration;
            delete configuration;
            ++fake.clients;
            return client;
        };
        table.destroy = [](Client* client) {
            delete client;
            --fake.clients;
        };
        table.topic_new = [](Client*, const char*, void*) { return new Topic; };
        table.topic_destroy = [](Topic* topic) { delete topic; };
        table.metadata = [](Client*, int, Topic*, const Metadata**, int timeout_ms) {
            std::this_thread::sleep_for(std::chrono::milliseconds(timeout_ms));
            return kFatal;
        };
        table.metadata_destroy = [](const Metadata*) {};
        table.producev = fake_producev;
        table.poll = fake_poll;
        table.flush = fake_poll;
        table.purge = [](Client* client, int) {
            report(client, ~std::size_t{0}, kFatal);
            return kNoError;
        };
        table.fatal_error = [](Client*, char* text, std::size_t size) {
            if (!fake.fatal) return kNoError;
            std::snprintf(text, size, "out of order");
            return kFatal;
        };
        table.last_error = [] { return kNoError; };
        return table;
    }();
    return library;
}

}  // namespace pseudofeed::test
