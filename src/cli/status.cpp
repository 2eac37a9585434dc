// `knarr status`: asks a running server how it is, with the credentials that lie in its data directory.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "cli/commands.h"
#include "cli/instance.h"
#include "knarr/codec/json.h"
#include "knarr/http/client.h"

namespace knarr::cli {

namespace {

struct Counted {
  const char* what;
  const char* path;
};
constexpr Counted kCounted[] = {
    {"nodes", "/api/v1/nodes"}, {"namespaces", "/api/v1/namespaces"}, {"pods", "/api/v1/pods"}};

std::string lock_holder(const Instance& instance, std::string_view name) {
  auto lock = lock_instance(instance, name, false);
  if (lock.ok()) return "not running";
  auto pid = linux::read_file(fmt::format("{}/{}.lock", instance.data_dir, name)).value_or("?");
  return "running, pid " + trimmed(std::move(pid));
}

}  // namespace

int run_status(const Options& options) {
  auto instance = Instance::existing(options);
  if (!instance.ok()) return fail("status", instance.status());
  fmt::print("data directory  {}\n", instance->data_dir);
  fmt::print("server          {}\n", lock_holder(*instance, "server"));
  fmt::print("agent           {}\n", lock_holder(*instance, "agent"));

  auto admin = admin_access(*instance, options);
  if (admin.status().is(reason::kNotFound)) return 1;  // a worker, or a server that never ran
  if (!admin.ok()) return fail("status", admin.status());
  fmt::print("API             {}\n", admin->url);
  auto client = http::Client::make(std::move(*admin));
  if (!client.ok()) return fail("status", client.status());
  auto ready = (*client)->send({.target = "/readyz?verbose"});
  if (!ready.ok()) return fail("status", ready.status());
  fmt::print("ready           {}\n", ready->status == 200 ? "yes" : "no");
  if (ready->status != 200) fmt::print("{}\n", ready->body);
  for (const Counted& counted : kCounted) {
    auto list = (*client)->send({.target = fmt::format("{}?limit=1", counted.path)});
    if (!list.ok() || list->status != 200) continue;
    auto document = json::parse(list->body);
    if (!document.ok()) continue;
    const json::Value* items = json::find(*document, "items");
    int64_t count = items && items->IsArray() ? items->Size() : 0;
    if (const json::Value* metadata = json::find(*document, "metadata"))
      count += json::get_int(*metadata, "remainingItemCount");
    fmt::print("{:<15} {}\n", counted.what, count);
  }
  return ready->status == 200 ? 0 : 1;
}

}  // namespace knarr::cli
