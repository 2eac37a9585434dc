// How fast pods find their nodes in a large cluster: nodes and pods are only objects here, no agent runs.
//
//   bench_scheduler --url … --ca … --cert … --key … --pids 12,13 [--nodes 1000] [--pods 1000] [--single 100]
//
// `pods` pods are created by eight clients at once (rate from the first create to the last binding seen by a watch, CPU of the given
// processes for each pod); then `single` pods one after the other, each when the last is bound (p50 and p99 of create → bound).
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "bench/support.h"

using namespace knarr;
using namespace knarr::bench;

namespace {

constexpr const char* kPods = "/api/v1/namespaces/bench-scheduler/pods";

// Follows the pods of the namespace and counts those that have a node.
class Bindings {
 public:
  explicit Bindings(const Arguments& arguments) : cancel_(http::Client::make_cancel()) {
    thread_ = std::thread([this, client = make_client(arguments)] {
      (void)client->stream({.target = std::string(kPods) + "?watch=1&timeoutSeconds=3600"}, [](const auto& head) { return head.status == 200; },
                           [this](std::string_view data) { return take(data); }, cancel_);
    });
  }
  ~Bindings() {
    cancel_->cancel();
    thread_.join();
  }
  bool wait(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(300), [&] { return bound_ >= count; });
  }

 private:
  bool take(std::string_view data) {
    buffer_ += data;
    int fresh = 0;
    size_t begin = 0;
    for (size_t end; (end = buffer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      std::string_view event(buffer_.data() + begin, end - begin);
      // The first event with a node's name; later ones (conditions) have been counted by the pod's name.
      if (event.find("\"nodeName\":") == std::string_view::npos) continue;
      const size_t name = event.find("\"name\":\"pod-");
      if (name == std::string_view::npos) continue;
      const auto number = static_cast<size_t>(std::atoi(event.data() + name + 12));
      if (number >= seen_.size()) seen_.resize(number + 1);
      if (!seen_[number]) fresh += seen_[number] = true;
    }
    buffer_.erase(0, begin);
    if (fresh) {
      std::lock_guard lock(mutex_);
      bound_ += fresh;
      changed_.notify_all();
    }
    return true;
  }

  std::shared_ptr<http::Client::Cancel> cancel_;
  std::string buffer_;
  std::vector<bool> seen_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int bound_ = 0;
  std::thread thread_;
};

std::string node(int number) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Node","metadata":{{"name":"node-{0}","labels":{{"kubernetes.io/hostname":"node-{0}","topology.kubernetes.io/zone":"zone-{1}"}}}},)"
      R"("status":{{"capacity":{{"cpu":"8","memory":"32Gi","pods":"110"}},"allocatable":{{"cpu":"8","memory":"32Gi","pods":"110"}},)"
      R"("conditions":[{{"type":"Ready","status":"True","reason":"KubeletReady"}}]}}}})",
      number, number % 3);
}

std::string pod(int number) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"pod-{}","labels":{{"app":"bench"}}}},"spec":{{"containers":[{{"name":"c","image":"example.com/none:1",)"
      R"("resources":{{"requests":{{"cpu":"100m","memory":"64Mi"}}}}}}]}}}})",
      number);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments(argc, argv, {{"nodes", "1000"}, {"pods", "1000"}, {"single", "100"}, {"clients", "8"}});
  const auto pids = arguments.numbers("pids");
  const int nodes = arguments.number("nodes"), pods = arguments.number("pods"), single = arguments.number("single");
  const int clients = arguments.number("clients");
  auto client = make_client(arguments);
  int failed = 0;
  call(*client, "POST", "/api/v1/namespaces", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"bench-scheduler"}})");
  // Pods are refused until a controller has made the namespace's service account (upstream runs without that plugin).
  for (int tries = 0; tries < 50 && call(*client, "GET", "/api/v1/namespaces/bench-scheduler/serviceaccounts/default", "") != 200; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  in_parallel(arguments, clients, nodes, [](http::Client& c, int i) {
    // Nodes are born with a taint that a controller would take away.
    return call(c, "POST", "/api/v1/nodes", node(i)) == 201 &&
           call(c, "PATCH", fmt::format("/api/v1/nodes/node-{}", i), R"({"spec":{"taints":null}})", "application/merge-patch+json") == 200;
  }, failed);
  Bindings bindings(arguments);
  const std::string prefix = fmt::format("schedule_{}_nodes", nodes);

  double cpu = cpu_us(pids);
  auto begun = Clock::system().mono();
  in_parallel(arguments, clients, pods, [](http::Client& c, int i) { return call(c, "POST", kPods, pod(i)) == 201; }, failed);
  bool done = bindings.wait(pods);
  print(prefix + "_per_s", pods * 1000 / ms_since(begun));
  print(prefix + "_cpu_us", (cpu_us(pids) - cpu) / pods);

  Latencies latencies;
  for (int i = 0; i < single && done; ++i) {
    auto start = Clock::system().mono();
    if (call(*client, "POST", kPods, pod(pods + i)) != 201) ++failed;
    done = bindings.wait(pods + i + 1);
    latencies.push_back(ms_since(start));
  }
  std::sort(latencies.begin(), latencies.end());
  print(prefix + "_one_p50_ms", percentile(latencies, 0.5));
  print(prefix + "_one_p99_ms", percentile(latencies, 0.99));
  print(prefix + "_rss_mib", rss_mib(pids));
  if (!done) fmt::print(stderr, "bench_scheduler: not all pods were bound within five minutes\n");
  if (failed) fmt::print(stderr, "bench_scheduler: {} requests failed\n", failed);
  return done && failed == 0 ? 0 : 1;
}
