// One client, many threads, against any Kubernetes API server: what a create, get, update, list and a watched event cost, in the
// client's time (rate, p50, p99) and in the server's CPU time. test/bench/api.sh runs it on knarr and on upstream and compares.
//
//   api_bench --url https://127.0.0.1:6443 --ca ca.crt --cert admin.crt --key admin.key --pids 12,13 [--clients 8] [--objects 5000]
//
// Prints one line a figure: name<TAB>value. CPU is that of all the given pids (utime + stime), in microseconds for each operation.
#include <fmt/format.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include "bench/support.h"

using namespace knarr;
using namespace knarr::bench;

namespace {

std::string config_map(int number, char content = 'x') {
  std::string payload(1100, content);
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"bench-{}","namespace":"bench","labels":{{"app":"bench","shard":"s{}"}},"annotations":{{"example.com/note":"made by the benchmark"}}}},"data":{{"key":"{}"}}}})",
      number, number % 10, payload);
}

class Bench {
 public:
  explicit Bench(const Arguments& arguments) : arguments_(arguments) {}

  int run() {
    auto client = make_client(arguments_);
    call(*client, "POST", "/api/v1/namespaces", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"bench"}})");
    print("rss_idle_mib", rss_mib(pids_));

    int objects = arguments_.number("objects");
    phase("create", objects, [this](http::Client& c, int i) { return call(c, "POST", kPath, config_map(i)) == 201; });
    std::vector<int> order(static_cast<size_t>(objects) * 2);
    std::mt19937 random(1);
    for (int& i : order) i = static_cast<int>(random() % static_cast<unsigned>(objects));
    phase("get", objects * 2, [&](http::Client& c, int i) { return call(c, "GET", fmt::format("{}/bench-{}", kPath, order[static_cast<size_t>(i)]), "") == 200; });
    phase("update", objects, [this](http::Client& c, int i) { return call(c, "PUT", fmt::format("{}/bench-{}", kPath, i), config_map(i, 'y')) == 200; });
    int saved = std::exchange(clients_, 1);
    phase("list", arguments_.number("lists"), [this](http::Client& c, int) { return call(c, "GET", kPath, "") == 200; });
    phase("list_label", arguments_.number("lists"), [this](http::Client& c, int) { return call(c, "GET", std::string(kPath) + "?labelSelector=shard%3Ds3", "") == 200; });
    clients_ = saved;
    watch_phase();
    print("rss_loaded_mib", rss_mib(pids_));
    call(*client, "DELETE", "/api/v1/namespaces/bench", "");
    return failures_ == 0 ? 0 : 1;
  }

 private:
  static constexpr const char* kPath = "/api/v1/namespaces/bench/configmaps";

  void phase(const std::string& name, int count, const std::function<bool(http::Client&, int)>& operation) {
    int failed = 0;
    double cpu = cpu_us(pids_);
    auto begun = Clock::system().mono();
    Latencies latencies = in_parallel(arguments_, clients_, count, operation, failed);
    double elapsed = ms_since(begun);
    report(name, count, elapsed, cpu_us(pids_) - cpu, std::move(latencies));
    if (failed) fmt::print(stderr, "api_bench: {}: {} of {} failed\n", name, failed, count);
    failures_ += failed;
  }

  // Many watchers of one namespace; one client changes an object again and again, each change as soon as all have seen the last.
  void watch_phase() {
    int watchers = arguments_.number("watchers"), events = arguments_.number("events");
    std::mutex mutex;
    std::condition_variable arrived;
    int opened = 0;
    std::vector<int> seen(static_cast<size_t>(events), 0);
    std::vector<std::thread> threads;
    std::vector<std::shared_ptr<http::Client::Cancel>> cancels;
    for (int w = 0; w < watchers; ++w) cancels.push_back(http::Client::make_cancel());
    for (int w = 0; w < watchers; ++w) {
      threads.emplace_back([&, w] {
        auto client = make_client(arguments_);
        std::string buffer;
        (void)client->stream(
            {.target = std::string(kPath) + "?watch=1&timeoutSeconds=300&fieldSelector=metadata.name%3Dwatched"},
            [&](const http::ClientResponse& head) {
              std::lock_guard lock(mutex);
              ++opened;
              arrived.notify_all();
              return head.status == 200;
            },
            [&](std::string_view data) {
              buffer += data;
              for (size_t end; (end = buffer.find('\n')) != std::string::npos; buffer.erase(0, end + 1)) {
                auto mark = buffer.find("event-number\":\"");
                if (mark == std::string::npos || mark > end) continue;
                int number = std::atoi(buffer.c_str() + mark + 15);
                std::lock_guard lock(mutex);
                if (number >= 0 && number < events && ++seen[static_cast<size_t>(number)] == watchers) arrived.notify_all();
              }
              return true;
            },
            cancels[static_cast<size_t>(w)]);
      });
    }
    auto client = make_client(arguments_);
    {
      std::unique_lock lock(mutex);
      arrived.wait_for(lock, std::chrono::seconds(60), [&] { return opened == watchers; });
    }
    Latencies latencies;
    double cpu = cpu_us(pids_);
    auto begun = Clock::system().mono();
    for (int i = 0; i < events; ++i) {
      std::string body = fmt::format(
          R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"watched","namespace":"bench"}},"data":{{"event-number":"{}","text":"{}"}}}})", i,
          std::string(1000, 'y'));
      auto start = Clock::system().mono();
      int code = i == 0 ? call(*client, "POST", kPath, body) : call(*client, "PUT", std::string(kPath) + "/watched", body);
      if (code != 200 && code != 201) ++failures_;
      std::unique_lock lock(mutex);
      if (!arrived.wait_for(lock, std::chrono::seconds(20), [&] { return seen[static_cast<size_t>(i)] >= watchers; })) {
        fmt::print(stderr, "api_bench: event {} reached {} of {} watchers\n", i, seen[static_cast<size_t>(i)], watchers);
        ++failures_;
        break;
      }
      latencies.push_back(ms_since(start));
    }
    report("watch_event", events, ms_since(begun), cpu_us(pids_) - cpu, std::move(latencies));
    for (auto& c : cancels) c->cancel();
    for (auto& thread : threads) thread.join();
  }

  const Arguments& arguments_;
  std::vector<int> pids_ = arguments_.numbers("pids");
  int clients_ = arguments_.number("clients");
  int failures_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments(argc, argv, {{"clients", "8"}, {"objects", "5000"}, {"lists", "100"}, {"watchers", "100"}, {"events", "100"}});
  return Bench(arguments).run();
}
