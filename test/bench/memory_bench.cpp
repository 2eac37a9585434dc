// What the objects cost in the server's memory: ConfigMaps of 1 kB, more and more of them.
//
//   bench_memory --url … --ca … --cert … --key … --pids 12,13 [--objects 1000,10000,100000]
#include <fmt/format.h>

#include "bench/support.h"

using namespace knarr;
using namespace knarr::bench;

int main(int argc, char** argv) {
  Arguments arguments(argc, argv, {{"objects", "1000,10000,100000"}, {"clients", "8"}});
  const auto pids = arguments.numbers("pids");
  auto client = make_client(arguments);
  call(*client, "POST", "/api/v1/namespaces", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"bench-memory"}})");
  print("objects_0_rss_mib", rss_mib(pids));
  int made = 0, failed = 0;
  const std::string payload(1000, 'm');
  for (int size : arguments.numbers("objects")) {
    in_parallel(arguments, arguments.number("clients"), size - made, [&](http::Client& c, int i) {
      return call(c, "POST", "/api/v1/namespaces/bench-memory/configmaps",
                  fmt::format(R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"m-{}"}},"data":{{"key":"{}"}}}})", made + i, payload)) == 201;
    }, failed);
    made = size;
    print(fmt::format("objects_{}_rss_mib", size), rss_mib(pids));
  }
  if (failed) fmt::print(stderr, "bench_memory: {} creates failed\n", failed);
  return failed ? 1 : 0;
}
