#include "publish/mock_cluster.h"

namespace pseudofeed::publish {

Status MockCluster::start(const Library& library, int brokers, std::unique_ptr<MockCluster>* cluster) {
    Configuration* configuration = library.conf_new();
    library.conf_set_log_cb(configuration, drop_log_line);
    char text[160] = {};
    Client* client = library.client_new(kProducer, configuration, text, sizeof text);
    if (client == nullptr) {
        library.conf_destroy(configuration);
        return failure(Code::publish_failed, "the mock cluster can't be started: %s", text);
    }
    MockHandle* handle = library.mock_cluster_new(client, brokers);
    if (handle == nullptr) {
        library.destroy(client);
        return failure(Code::publish_failed, "the mock cluster of %d brokers can't be started", brokers);
    }
    cluster->reset(new MockCluster(library, client, handle));
    return {};
}

MockCluster::~MockCluster() {
    library_.mock_cluster_destroy(handle_);
    library_.destroy(client_);
}

Status MockCluster::create_topic(const char* name, int partitions) {
    const int error = library_.mock_topic_create(handle_, name, partitions, 1);
    if (error == kNoError) return {};
    return failure(Code::publish_failed, "topic %s can't be created in the mock cluster: %s", name,
                   library_.err2str(error));
}

void MockCluster::fail_requests(std::int16_t api, const int* errors, std::size_t count) {
    library_.mock_push_request_errors_array(handle_, api, count, errors);
}

Status MockCluster::set_broker(std::int32_t broker, bool up) {
    const int error =
        up ? library_.mock_broker_set_up(handle_, broker) : library_.mock_broker_set_down(handle_, broker);
    if (error == kNoError) return {};
    return failure(Code::invalid_argument, "mock broker %d: %s", broker, library_.err2str(error));
}

Status MockCluster::set_delay(std::int32_t broker, int milliseconds) {
    const int error = library_.mock_broker_set_rtt(handle_, broker, milliseconds);
    if (error == kNoError) return {};
    return failure(Code::invalid_argument, "mock broker %d: %s", broker, library_.err2str(error));
}

}  // namespace pseudofeed::publish
