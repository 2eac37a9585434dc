// What the HTTP layer can do alone, server and clients in one process on the same cores:
//   http_bench [--seconds N] [--connections N] [--watchers N,N]
// 1 KB GETs over TLS on kept connections (requests each second), and one event to many watchers over TLS (time until
// the last has it).
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <vector>

#include "knarr/http/client.h"
#include "knarr/http/server.h"

namespace {

using namespace knarr;
using Steady = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& why) {
  fmt::print(stderr, "http_bench: {}\n", why);
  std::exit(1);
}

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) fail(result.status().to_string());
  return std::move(result).value();
}

// A certificate for 127.0.0.1 that signs itself.
struct Certificate {
  std::string dir = (std::filesystem::temp_directory_path() / "knarr-http-bench-XXXXXX").string();
  std::string crt, key;
  Certificate() {
    if (!::mkdtemp(dir.data())) fail("no temporary directory");
    crt = dir + "/tls.crt";
    key = dir + "/tls.key";
    EVP_PKEY* pkey = EVP_EC_gen("P-256");
    X509* x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, pkey);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>("bench"), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_EXTENSION* san = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(x, san, -1);
    X509_sign(x, pkey, EVP_sha256());
    FILE* out = std::fopen(crt.c_str(), "w");
    PEM_write_X509(out, x);
    std::fclose(out);
    out = std::fopen(key.c_str(), "w");
    PEM_write_PrivateKey(out, pkey, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    X509_EXTENSION_free(san);
    X509_free(x);
    EVP_PKEY_free(pkey);
  }
  ~Certificate() { std::filesystem::remove_all(dir); }
};

// Sends one event of 1.4 kB, the size of a ConfigMap's, each time it is told to.
struct Feed {
  std::atomic<int> events{0};
  std::atomic<size_t> sources{0};
  const std::string event = std::string(1400, 'e') + "\n";
};

class Source final : public http::PumpSource {
 public:
  explicit Source(Feed& feed) : feed_(feed) { ++feed_.sources; }
  ~Source() override { --feed_.sources; }
  More next(std::string& out, size_t) override {
    for (; sent_ < feed_.events; ++sent_) out += feed_.event;
    return More::kIdle;
  }

 private:
  Feed& feed_;
  int sent_ = 0;
};

double seconds_since(Steady::time_point begin) { return std::chrono::duration<double>(Steady::now() - begin).count(); }

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

long resident_kb() {
  long pages = 0, resident = 0;
  if (FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%ld %ld", &pages, &resident) != 2) resident = 0;
    std::fclose(f);
  }
  return resident * 4;
}

void bench_get(const std::shared_ptr<http::Client>& client, int connections, int seconds) {
  std::atomic<bool> stop{false};
  std::vector<std::vector<float>> latencies(static_cast<size_t>(connections));
  std::vector<std::thread> threads;
  const auto begin = Steady::now();
  const double cpu = cpu_seconds();
  for (auto& mine : latencies) {
    threads.emplace_back([&] {
      http::ClientRequest request;
      request.target = "/1k";
      while (!stop) {
        const auto sent = Steady::now();
        if (must(client->send(request)).body.size() != 1024) fail("a wrong answer");
        mine.push_back(static_cast<float>(seconds_since(sent) * 1e6));
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  stop = true;
  for (auto& thread : threads) thread.join();
  const double took = seconds_since(begin), used = cpu_seconds() - cpu;
  std::vector<float> all;
  for (const auto& mine : latencies) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  fmt::print(
      "GET 1 KB, TLS, {} connections: {:.0f}/s, p50 {:.0f} us, p99 {:.0f} us, CPU of server and clients {:.1f} us "
      "each\n",
      connections, static_cast<double>(all.size()) / took, all[all.size() / 2], all[all.size() * 99 / 100],
      used * 1e6 / static_cast<double>(all.size()));
}

// Reads of all watchers' connections on one thread, each in its own TLS; done when every one has had `bytes`.
class Readers {
 public:
  Readers(const std::shared_ptr<http::Client>& client, int count) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    http::ClientRequest request;
    request.target = "/watch";
    // An upgrade is the client's way to get at a connection's bytes; the server answers 101 instead of a watch's 200.
    for (int i = 0; i < count; ++i) {
      auto upgraded = must(client->upgrade(request));
      if (!upgraded.stream) fail("no watch");
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u32 = static_cast<uint32_t>(i);
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, upgraded.stream->fd(), &event);
      received_.push_back(upgraded.early.size());
      streams_.push_back(std::move(upgraded.stream));
    }
  }
  ~Readers() { ::close(epoll_); }

  void wait_for(size_t bytes) {
    size_t done = 0;
    for (size_t r : received_) done += r >= bytes;
    std::vector<epoll_event> events(256);
    std::vector<char> buffer(32768);
    while (done < streams_.size()) {
      const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10000);
      if (n <= 0) fail("watchers do not get their events");
      for (int e = 0; e < n; ++e) {
        const size_t i = events[static_cast<size_t>(e)].data.u32;
        const bool had = received_[i] >= bytes;
        bool end = false;
        while (size_t got = must(streams_[i]->try_read(buffer.data(), buffer.size(), end))) received_[i] += got;
        if (end) fail("a watch ended");
        done += !had && received_[i] >= bytes;
      }
    }
  }

 private:
  int epoll_;
  std::vector<std::unique_ptr<http::Stream>> streams_;
  std::vector<size_t> received_;
};

void bench_pump(http::Server& server, Feed& feed, const std::shared_ptr<http::Client>& client, int watchers) {
  constexpr int kRounds = 9;
  feed.events = 0;
  const long before = resident_kb();
  const auto begin = Steady::now();
  Readers readers(client, watchers);
  const double connected = seconds_since(begin);
  const size_t chunk = fmt::format("{:x}\r\n\r\n", feed.event.size()).size() + feed.event.size();
  std::vector<double> times;
  double pump_cpu = 0;
  for (int round = 1; round <= kRounds; ++round) {
    const double cpu = cpu_seconds();
    const auto sent = Steady::now();
    feed.events = round;
    server.pump().wake(1);
    readers.wait_for(chunk * static_cast<size_t>(round));
    times.push_back(seconds_since(sent));
    pump_cpu += cpu_seconds() - cpu;
  }
  std::sort(times.begin(), times.end());
  fmt::print(
      "one event to {} watchers, TLS: median {:.1f} ms, {:.1f} us each; CPU of server and readers {:.1f} us each; "
      "{:.0f} accepted/s; "
      "{} kB of memory for each connection's two ends\n",
      watchers, times[kRounds / 2] * 1e3, times[kRounds / 2] * 1e6 / watchers, pump_cpu * 1e6 / kRounds / watchers,
      watchers / connected, (resident_kb() - before) / watchers);
}

}  // namespace

int main(int argc, char** argv) {
  int seconds = 3, connections = 16;
  std::vector<int> watchers = {1000, 5000};
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--seconds") seconds = std::atoi(argv[i + 1]);
    if (flag == "--connections") connections = std::atoi(argv[i + 1]);
    if (flag == "--watchers") {
      watchers.clear();
      for (std::string_view list = argv[i + 1]; !list.empty();) {
        int n = 0;
        const auto [end, error] = std::from_chars(list.data(), list.data() + list.size(), n);
        if (error != std::errc() || n < 1) fail("--watchers wants numbers: 1000,5000");
        watchers.push_back(n);
        list.remove_prefix(static_cast<size_t>(end - list.data()));
        if (!list.empty()) list.remove_prefix(1);
      }
    }
  }
  Certificate certificate;
  Feed feed;
  http::ServerOptions options;
  options.tls = http::TlsOptions{certificate.crt, certificate.key, ""};
  const std::string kilobyte(1024, 'k');
  auto server = must(http::Server::start(options, [&](const http::Request& request, http::Response& response) {
    if (request.path == "/watch") {
      response.status = 101;
      response.pump(1, std::make_unique<Source>(feed));
    } else {
      response.set_header("Content-Type", "application/json");
      response.body = kilobyte;
    }
  }));
  http::ClientOptions client_options;
  client_options.url = fmt::format("https://127.0.0.1:{}", server->port());
  client_options.ca_file = certificate.crt;
  client_options.max_idle_connections = static_cast<size_t>(connections);
  auto client = must(http::Client::make(client_options));
  bench_get(client, 1, seconds);
  bench_get(client, connections, seconds);
  for (int n : watchers) {
    bench_pump(*server, feed, client, n);
    const auto limit = Steady::now() + std::chrono::seconds(10);
    while (feed.sources > 0 && Steady::now() < limit) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return 0;
}
