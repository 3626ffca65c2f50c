// librdkafka's mock cluster: brokers inside this process, on ports of localhost. For the demo and for errors on demand,
// never to prove a guarantee: it keeps at most 5 MiB per partition and drops older data silently.
#pragma once

#include <cstdint>
#include <memory>

#include "publish/librdkafka.h"
#include "status.h"

namespace pseudofeed::publish {

class MockCluster {
  public:
    // Starts it. Borrows `library`, for its whole life.
    static Status start(const Library& library, int brokers, std::unique_ptr<MockCluster>* cluster);
    ~MockCluster();
    MockCluster(const MockCluster&) = delete;
    MockCluster& operator=(const MockCluster&) = delete;

    // host:port list; borrowed from the cluster.
    const char* bootstrap_servers() const { return library_.mock_cluster_bootstraps(handle_); }
    Status create_topic(const char* name, int partitions);
    // The next `count` requests of that kind (Kafka's API key) are answered with these error codes, one each.
    void fail_requests(std::int16_t api, const int* errors, std::size_t count);
    // Closes or opens a broker's listener and connections; brokers count from 1.
    Status set_broker(std::int32_t broker, bool up);
    // How long the broker delays each answer.
    Status set_delay(std::int32_t broker, int milliseconds);

  private:
    MockCluster(const Library& library, Client* client, MockHandle* handle)
        : library_(library), client_(client), handle_(handle) {}

    const Library& library_;
    Client* client_;
    MockHandle* handle_;
};

}  // namespace pseudofeed::publish
