// What the benchmark clients share: arguments, the servers' CPU time and memory, a client of any Kubernetes API server,
// and the lines they print (name<TAB>value), which table.py turns into a table with the peer's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/http/client.h"

namespace knarr::bench {

using Latencies = std::vector<double>;  // milliseconds

// --name value pairs. Ends the program with a message when a needed one is missing.
class Arguments {
 public:
  Arguments(int argc, char** argv, std::map<std::string, std::string> defaults);
  const std::string& text(const std::string& name) const { return values_.at(name); }
  int number(const std::string& name) const;
  std::vector<int> numbers(const std::string& name) const;  // "1,2,3"

 private:
  std::map<std::string, std::string> values_;
};

double ms_since(MonoTime begun);
double cpu_us(const std::vector<int>& pids);   // of all their threads, in microseconds; the kernel's own count, finer than its ticks
double rss_mib(const std::vector<int>& pids);  // VmRSS of all
double percentile(const Latencies& sorted, double share);
void print(const std::string& name, double value);
// name_per_s, name_p50_ms, name_p99_ms and name_cpu_us (CPU for each of `count`).
void report(const std::string& name, int count, double elapsed_ms, double cpu, Latencies latencies);

// --url, --ca, --cert, --key. Ends the program when the files cannot be read.
std::shared_ptr<http::Client> make_client(const Arguments& arguments);
// The answer's status code; 0: the transport failed.
int call(http::Client& client, const std::string& method, const std::string& target, const std::string& body,
         const std::string& content_type = "application/json");

// Calls operation(client, i) for each i below `count` from `clients` threads, each with a connection of its own. Answers the
// latencies of all; operations that answered false are counted in `failed`.
Latencies in_parallel(const Arguments& arguments, int clients, int count, const std::function<bool(http::Client&, int)>& operation, int& failed);

}  // namespace knarr::bench
