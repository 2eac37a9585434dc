// `knarr cert`: the certificates that lie in a data directory.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/control.h"
#include "knarr/auth/pki.h"
#include "knarr/codec/time.h"

namespace knarr::cli {

namespace {

struct Listed {
  const char* file;  // below the data directory
  const char* purpose;
};
constexpr Listed kCertificates[] = {
    {"pki/ca.crt", "authority"},         {"pki/server.crt", "the API"},          {"pki/admin.crt", "admin"},
    {"pki/node-client.crt", "API to nodes"}, {"agent/client.crt", "agent to API"}, {"agent/serving.crt", "the node API"},
};

int list(const Instance& instance) {
  fmt::print("{:<22} {:<14} {:<28} {:<22} {}\n", "FILE", "FOR", "SUBJECT", "EXPIRES", "LEFT");
  int shown = 0;
  for (const Listed& entry : kCertificates) {
    const std::string path = fmt::format("{}/{}", instance.data_dir, entry.file);
    if (access(path.c_str(), F_OK) != 0) continue;
    auto pem = linux::read_file(path);
    if (!pem.ok()) return fail("cert ls", pem.status());
    auto info = auth::read_certificate(*pem);
    if (!info.ok()) return fail("cert ls", info.status());
    const auto left = std::chrono::duration_cast<std::chrono::hours>(info->not_after - Clock::system().wall()).count() / 24;
    fmt::print("{:<22} {:<14} {:<28} {:<22} {}\n", entry.file, entry.purpose, info->common_name, format_time(info->not_after),
               left < 0 ? "expired" : fmt::format("{} days", left));
    ++shown;
  }
  if (shown == 0) return fail("cert ls", not_found(fmt::format("there are no certificates in {}; has a server or agent run with it?", instance.data_dir)));
  return 0;
}

}  // namespace

int run_cert(const Options& options) {
  const auto& words = options.positional();
  const std::string verb = words.size() == 1 ? words[0] : "";
  if (verb != "ls" && verb != "renew") return fail_usage("cert", "want: knarr cert ls, or knarr cert renew");
  auto instance = Instance::existing(options);
  if (!instance.ok()) return fail("cert", instance.status());
  if (verb == "ls") return list(*instance);
  auto answer = ask_server(*instance, "cert renew");
  if (!answer.ok()) return fail("cert renew", answer.status());
  fmt::print("{}\n", *answer);
  return 0;
}

}  // namespace knarr::cli
