#include "publish/librdkafka.h"

#include <dlfcn.h>

#include <mutex>
#include <string>

namespace pseudofeed::publish {
namespace {

// Fills a table from a library and notes what it lacks.
class Binder {
  public:
    explicit Binder(void* handle) : handle_(handle) {}

    template <class Function>
    void operator()(const char* name, Function*& slot) {
        slot = reinterpret_cast<Function*>(dlsym(handle_, name));
        if (slot != nullptr) return;
        ++count_;
        missing_ += missing_.empty() ? name : std::string(", ") + name;
    }

    // "2 functions: a, b"; empty where nothing is missing.
    std::string missing() const {
        return count_ == 0 ? "" : std::to_string(count_) + (count_ == 1 ? " function: " : " functions: ") + missing_;
    }

  private:
    void* handle_;
    int count_ = 0;
    std::string missing_;
};

std::string bind_all(void* handle, Library& library) {
    Binder bind(handle);
    bind("rd_kafka_version", library.version);
    bind("rd_kafka_version_str", library.version_str);
    bind("rd_kafka_err2str", library.err2str);
    bind("rd_kafka_conf_new", library.conf_new);
    bind("rd_kafka_conf_destroy", library.conf_destroy);
    bind("rd_kafka_conf_set", library.conf_set);
    bind("rd_kafka_conf_get", library.conf_get);
    bind("rd_kafka_conf_set_opaque", library.conf_set_opaque);
    bind("rd_kafka_conf_set_dr_msg_cb", library.conf_set_dr_msg_cb);
    bind("rd_kafka_conf_set_error_cb", library.conf_set_error_cb);
    bind("rd_kafka_conf_set_log_cb", library.conf_set_log_cb);
    bind("rd_kafka_new", library.client_new);
    bind("rd_kafka_destroy", library.destroy);
    bind("rd_kafka_topic_new", library.topic_new);
    bind("rd_kafka_topic_destroy", library.topic_destroy);
    bind("rd_kafka_metadata", library.metadata);
    bind("rd_kafka_metadata_destroy", library.metadata_destroy);
    bind("rd_kafka_producev", library.producev);
    bind("rd_kafka_poll", library.poll);
    bind("rd_kafka_flush", library.flush);
    bind("rd_kafka_purge", library.purge);
    bind("rd_kafka_fatal_error", library.fatal_error);
    bind("rd_kafka_last_error", library.last_error);
    bind("rd_kafka_mock_cluster_new", library.mock_cluster_new);
    bind("rd_kafka_mock_cluster_destroy", library.mock_cluster_destroy);
    bind("rd_kafka_mock_cluster_bootstraps", library.mock_cluster_bootstraps);
    bind("rd_kafka_mock_topic_create", library.mock_topic_create);
    bind("rd_kafka_mock_push_request_errors_array", library.mock_push_request_errors_array);
    bind("rd_kafka_mock_broker_set_down", library.mock_broker_set_down);
    bind("rd_kafka_mock_broker_set_up", library.mock_broker_set_up);
    bind("rd_kafka_mock_broker_set_rtt", library.mock_broker_set_rtt);
    return bind.missing();
}

}  // namespace

Status load_library(const char* path, const Library** library) {
    static std::mutex mutex;
    static Library loaded;
    static bool ready = false;

    const std::lock_guard<std::mutex> lock(mutex);
    if (!ready) {
        void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) return failure(Code::unavailable, "librdkafka can't be loaded: %s", dlerror());
        Library candidate{};
        const std::string missing = bind_all(handle, candidate);
        // Whoever lacks functions may be too old: say the version where there is one.
        if (candidate.version != nullptr && candidate.version() < kOldestVersion) {
            const Status status = failure(Code::unavailable, "librdkafka %s (%s) is too old: 2.3 or later is needed",
                                          candidate.version_str ? candidate.version_str() : "?", path);
            dlclose(handle);
            return status;
        }
        if (!missing.empty()) {
            dlclose(handle);
            return failure(Code::unavailable, "the library %s is not librdkafka 2.3 or later: it lacks %s", path,
                           missing.c_str());
        }
        loaded = candidate;
        ready = true;
    }
    *library = &loaded;
    return {};
}

void drop_log_line(const Client*, int, const char*, const char*) {}

}  // namespace pseudofeed::publish
