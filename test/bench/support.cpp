#include "bench/support.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace knarr::bench {

Arguments::Arguments(int argc, char** argv, std::map<std::string, std::string> defaults) : values_(std::move(defaults)) {
  for (int i = 1; i + 1 < argc; i += 2) values_[std::string(argv[i]).substr(2)] = argv[i + 1];
  for (const char* needed : {"url", "ca", "cert", "key", "pids"}) {
    if (!values_[needed].empty()) continue;
    fmt::print(stderr, "{}: --{} is missing\n", argv[0], needed);
    std::exit(2);
  }
}

int Arguments::number(const std::string& name) const { return std::atoi(text(name).c_str()); }

std::vector<int> Arguments::numbers(const std::string& name) const {
  std::vector<int> result;
  std::istringstream list(text(name));
  for (std::string item; std::getline(list, item, ',');) result.push_back(std::atoi(item.c_str()));
  return result;
}

double ms_since(MonoTime begun) { return std::chrono::duration<double, std::milli>(Clock::system().mono() - begun).count(); }

double cpu_us(const std::vector<int>& pids) {
  double total = 0;
  for (int pid : pids) {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) continue;
    total += static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
  }
  return total;
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

double percentile(const Latencies& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

void print(const std::string& name, double value) {
  fmt::print("{}\t{:.3f}\n", name, value);
  std::fflush(stdout);
}

void report(const std::string& name, int count, double elapsed_ms, double cpu, Latencies latencies) {
  std::sort(latencies.begin(), latencies.end());
  print(name + "_per_s", count * 1000 / elapsed_ms);
  print(name + "_p50_ms", percentile(latencies, 0.5));
  print(name + "_p99_ms", percentile(latencies, 0.99));
  print(name + "_cpu_us", cpu / count);
}

std::shared_ptr<http::Client> make_client(const Arguments& arguments) {
  auto client = http::Client::make({.url = arguments.text("url"),
                                    .ca_file = arguments.text("ca"),
                                    .certificate_file = arguments.text("cert"),
                                    .key_file = arguments.text("key"),
                                    .request_timeout = milliseconds(120'000)});
  if (client.ok()) return *client;
  fmt::print(stderr, "bench: {}\n", client.status().message());
  std::exit(1);
}

int call(http::Client& client, const std::string& method, const std::string& target, const std::string& body, const std::string& content_type) {
  http::ClientRequest request{.method = method, .target = target, .headers = {{"Accept", "application/json"}}, .body = body};
  if (!body.empty()) request.headers.emplace_back("Content-Type", content_type);
  auto response = client.send(request);
  return response.ok() ? response->status : 0;
}

Latencies in_parallel(const Arguments& arguments, int clients, int count, const std::function<bool(http::Client&, int)>& operation, int& failed) {
  std::atomic<int> next{0}, bad{0};
  std::vector<Latencies> all(static_cast<size_t>(clients));
  std::vector<std::thread> threads;
  for (auto& mine : all) {
    threads.emplace_back([&] {
      auto client = make_client(arguments);
      for (int i; (i = next++) < count;) {
        auto start = Clock::system().mono();
        if (!operation(*client, i)) ++bad;
        mine.push_back(ms_since(start));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  Latencies merged;
  for (const auto& some : all) merged.insert(merged.end(), some.begin(), some.end());
  failed += bad;
  return merged;
}

}  // namespace knarr::bench
