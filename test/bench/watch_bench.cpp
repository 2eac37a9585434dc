// One event to very many watchers over TLS, each with a watch of one ConfigMap; the ConfigMap is changed again and
// again, each change as soon as all have seen the last.
//
//   bench_watch --url … --ca … --cert … --key … --pids 12,13 [--protocol http1|http2] [--streams 250]
//               [--watchers 1000,5000,10000] [--events 10]
//
// http1: a connection for each watcher. http2: as client-go watches; as many streams on a connection as the server's
// SETTINGS_MAX_CONCURRENT_STREAMS allow, at most --streams.
//
// It measures the server, not itself on the cores they share: while an event is under way the client only asks the
// kernel, every 200 µs, what its sockets hold (watch_http1.cpp, watch_http2.cpp); when the last has the event the clock
// stops, and then everything is read, decrypted and checked, before the next change. The first two events, an
// addition and a change, tell how many bytes one has, and are not counted.
//
// Prints for each N (watch_N_…, watch_h2_N_…) the time from the write's request until the last watcher's socket holds
// the event (p50, p99), the server's CPU time for each event and watcher, its memory for each watcher, and how fast
// watches are opened.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "bench/support.h"
#include "bench/watch_crowd.h"

using namespace knarr;
using namespace knarr::bench;

namespace {

constexpr int kUncounted = 2;

std::string body(int event) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"watched","namespace":"bench-watch"}},"data":{{"event-number":"{}","text":"{}"}}}})",
      event, std::string(1000, 'y'));
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments(argc, argv,
                      {{"protocol", "http1"}, {"streams", "250"}, {"watchers", "1000,5000,10000"}, {"events", "10"}});
  const bool http2 = arguments.text("protocol") == "http2";
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const auto pids = arguments.numbers("pids");
  const int events = arguments.number("events");
  const Dialer dialer(arguments);
  auto client = make_client(arguments);
  call(*client, "POST", "/api/v1/namespaces",
       R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"bench-watch"}})");
  for (int size : arguments.numbers("watchers")) {
    const std::string name = fmt::format("watch_{}{}", http2 ? "h2_" : "", size);
    call(*client, "DELETE", fmt::format("{}/watched", kWatchPath), "");
    const double rss = rss_mib(pids);
    const auto begun_opening = Clock::system().mono();
    const auto crowd = http2 ? http2_crowd(dialer, size, arguments.number("streams")) : http1_crowd(dialer, size);
    print(name + "_opened_per_s", size * 1000 / ms_since(begun_opening));
    print(name + "_rss_each_kib", (rss_mib(pids) - rss) * 1024 / size);
    fmt::print(stderr, "bench_watch: {} watches on {} connections\n", size, crowd->connections());
    Latencies latencies;
    double cpu = 0;
    for (int i = 0; i < kUncounted + events; ++i) {
      const double cpu_before = cpu_us(pids);
      const auto start = Clock::system().mono();
      const int code = i == 0 ? call(*client, "POST", kWatchPath, body(i))
                              : call(*client, "PUT", fmt::format("{}/watched", kWatchPath), body(i));
      if (code != 200 && code != 201) fail(fmt::format("a write was answered with {}", code));
      if (i >= kUncounted) {
        const auto arrived = crowd->wait_arrived(i);
        latencies.push_back(std::chrono::duration<double, std::milli>(arrived - start).count());
        cpu += cpu_us(pids) - cpu_before;
      }
      crowd->read_event(i);
    }
    std::sort(latencies.begin(), latencies.end());
    print(name + "_last_p50_ms", percentile(latencies, 0.5));
    print(name + "_last_p99_ms", percentile(latencies, 0.99));
    print(name + "_cpu_each_us", cpu / events / size);
  }
  call(*client, "DELETE", "/api/v1/namespaces/bench-watch", "");
}
