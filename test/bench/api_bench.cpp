// One client, many threads, against any Kubernetes API server: what a create, get, update, list and a watched event cost, in the
// client's time (rate, p50, p99) and in the server's CPU time. test/bench/api.sh runs it on knarr and on upstream and compares.
//
//   api_bench --url https://127.0.0.1:6443 --ca ca.crt --cert admin.crt --key admin.key --pids 12,13 [--clients 8] [--objects 5000]
//
// Prints one line a figure: name<TAB>value. CPU is that of all the given pids (utime + stime), in microseconds for each operation.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "knarr/codec/json.h"
#include "knarr/http/client.h"

using namespace knarr;

namespace {

using Latencies = std::vector<double>;  // milliseconds

struct Arguments {
  std::map<std::string, std::string> values = {{"clients", "8"}, {"objects", "5000"}, {"lists", "20"}, {"watchers", "100"}, {"events", "100"}};
  int number(const std::string& name) const { return std::atoi(values.at(name).c_str()); }
};

double ms_since(MonoTime begun) { return std::chrono::duration<double, std::milli>(Clock::system().mono() - begun).count(); }

// utime + stime of all pids, in microseconds.
double cpu_us(const std::vector<int>& pids) {
  double ticks = 0;
  for (int pid : pids) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string text((std::istreambuf_iterator<char>(file)), {});
    auto end = text.rfind(')');
    if (end == std::string::npos) continue;
    std::istringstream rest(text.substr(end + 2));
    std::string word;
    for (int i = 3; i <= 15 && rest >> word; ++i) {
      if (i >= 14) ticks += std::atof(word.c_str());
    }
  }
  return ticks * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double rss_mib(const std::vector<int>& pids) {
  double kib = 0;
  for (int pid : pids) {
    std::ifstream file(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("VmRSS:")) kib += std::atof(line.c_str() + 6);
    }
  }
  return kib / 1024;
}

double percentile(Latencies& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

void print(const std::string& name, double value) { fmt::print("{}\t{:.3f}\n", name, value); }

std::string config_map(int number, const std::string& version) {
  std::string payload(1100, 'x');
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"bench-{}","namespace":"bench","labels":{{"app":"bench","shard":"s{}"}},"annotations":{{"example.com/note":"made by the benchmark"}}{}}},"data":{{"key":"{}"}}}})",
      number, number % 10, version.empty() ? "" : fmt::format(R"(,"resourceVersion":"{}")", version), payload);
}

class Bench {
 public:
  Bench(Arguments arguments) : arguments_(std::move(arguments)) {
    std::istringstream list(arguments_.values["pids"]);
    for (std::string pid; std::getline(list, pid, ',');) pids_.push_back(std::atoi(pid.c_str()));
  }

  int run() {
    auto client = make_client();
    if (!client) return 1;
    call(*client, "POST", "/api/v1/namespaces", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"bench"}})");
    print("rss_idle_mib", rss_mib(pids_));

    int objects = arguments_.number("objects");
    phase("create", objects, [this](http::Client& c, int i) { return call(c, "POST", kPath, config_map(i, "")) == 201; });
    std::vector<int> order(static_cast<size_t>(objects) * 2);
    std::mt19937 random(1);
    for (int& i : order) i = static_cast<int>(random() % static_cast<unsigned>(objects));
    phase("get", objects * 2, [&](http::Client& c, int i) { return call(c, "GET", fmt::format("{}/bench-{}", kPath, order[static_cast<size_t>(i)]), "") == 200; });
    phase("update", objects, [this](http::Client& c, int i) { return call(c, "PUT", fmt::format("{}/bench-{}", kPath, i), config_map(i, "")) == 200; });
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

  std::shared_ptr<http::Client> make_client() {
    auto client = http::Client::make({.url = arguments_.values["url"],
                                      .ca_file = arguments_.values["ca"],
                                      .certificate_file = arguments_.values["cert"],
                                      .key_file = arguments_.values["key"],
                                      .request_timeout = milliseconds(120'000)});
    if (!client.ok()) {
      fmt::print(stderr, "api_bench: {}\n", client.status().message());
      return nullptr;
    }
    return *client;
  }

  int call(http::Client& client, const std::string& method, const std::string& target, const std::string& body) {
    http::ClientRequest request{.method = method, .target = target, .headers = {{"Accept", "application/json"}}, .body = body};
    if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
    auto response = client.send(request);
    return response.ok() ? response->status : 0;
  }

  void phase(const std::string& name, int count, const std::function<bool(http::Client&, int)>& operation) {
    std::atomic<int> next{0}, failed{0};
    std::vector<Latencies> all(static_cast<size_t>(clients_));
    double cpu = cpu_us(pids_);
    auto begun = Clock::system().mono();
    std::vector<std::thread> threads;
    for (auto& mine : all) {
      threads.emplace_back([&] {
        auto client = make_client();
        for (int i; client && (i = next++) < count;) {
          auto start = Clock::system().mono();
          if (!operation(*client, i)) ++failed;
          mine.push_back(ms_since(start));
        }
      });
    }
    for (auto& thread : threads) thread.join();
    double elapsed = ms_since(begun);
    report(name, count, elapsed, cpu_us(pids_) - cpu, all);
    if (failed) fmt::print(stderr, "api_bench: {}: {} of {} failed\n", name, failed.load(), count);
    failures_ += failed;
  }

  void report(const std::string& name, int count, double elapsed_ms, double cpu, const std::vector<Latencies>& all) {
    Latencies merged;
    for (const auto& some : all) merged.insert(merged.end(), some.begin(), some.end());
    std::sort(merged.begin(), merged.end());
    print(name + "_per_s", count * 1000 / elapsed_ms);
    print(name + "_p50_ms", percentile(merged, 0.5));
    print(name + "_p99_ms", percentile(merged, 0.99));
    print(name + "_cpu_us", cpu / count);
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
        auto client = make_client();
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
    auto client = make_client();
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
    report("watch_event", events, ms_since(begun), cpu_us(pids_) - cpu, {latencies});
    for (auto& c : cancels) c->cancel();
    for (auto& thread : threads) thread.join();
  }

  Arguments arguments_;
  std::vector<int> pids_;
  int clients_ = arguments_.number("clients");
  int failures_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) arguments.values[std::string(argv[i]).substr(2)] = argv[i + 1];
  for (const char* needed : {"url", "ca", "cert", "key", "pids"}) {
    if (arguments.values[needed].empty()) {
      fmt::print(stderr, "api_bench: --{} is missing\n", needed);
      return 2;
    }
  }
  return Bench(std::move(arguments)).run();
}
