// What a node reads that others wrote: containers' logs, registry credentials, resolv.conf, and variables in commands.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/environment.h"
#include "agent/image_puller.h"
#include "agent/log_file.h"
#include "agent/pod_files.h"

using namespace knarr;
using namespace knarr::agent;

namespace {

std::string filtered(std::string_view bytes, size_t step, const LogQuery& query) {
  LogFilter filter(query);
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += step) {
    if (!filter.feed(bytes.substr(at, step), out)) break;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);

  LogQuery query;
  query.timestamps = data[0] & 1;
  if (data[0] & 2) query.limit_bytes = data[0];
  const std::string whole = filtered(text, text.size() + 1, query);
  if (whole != filtered(text, 1 + data[0] % 32, query)) abort();  // however the file is read
  if (query.limit_bytes && whole.size() > static_cast<size_t>(*query.limit_bytes)) abort();

  (void)registry_auth(text, "docker.io");
  core::Pod pod;
  const std::string resolv = resolv_text(pod, std::string(text));
  if (resolv_text(pod, resolv) != resolv) abort();  // what it wrote, it reads

  const auto none = [](std::string_view) -> std::optional<std::string> { return {}; };
  if (text.find("$$") == std::string_view::npos && expand(text, none) != text) abort();
  return 0;
}
