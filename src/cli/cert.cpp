// `knarr cert`: the certificates that lie in a data directory.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/control.h"
#include "knarr/auth/pki.h"
#include "knarr/auth/service_account_keys.h"
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

Result<int> print_file(const Instance& instance, const Listed& listed) {
  const std::string path = fmt::format("{}/{}", instance.data_dir, listed.file);
  if (access(path.c_str(), F_OK) != 0) return 0;
  KNARR_ASSIGN(const std::string pem, linux::read_file(path));
  const bool authorities = listed.file == kCertificates[0].file;
  int shown = 0;
  for (const std::string& certificate : auth::split_certificates(pem)) {
    if (shown > 0 && !authorities) break;  // the chain behind a certificate
    KNARR_ASSIGN(const auth::CertificateInfo info, auth::read_certificate(certificate));
    const auto left = std::chrono::duration_cast<std::chrono::hours>(info.not_after - Clock::system().wall()).count() / 24;
    fmt::print("{:<22} {:<14} {:<28} {:<20} {:<22} {}\n", listed.file, shown > 0 ? "still trusted" : listed.purpose,
               info.common_name, info.issuer, format_time(info.not_after), left < 0 ? "expired" : fmt::format("{} days", left));
    ++shown;
  }
  return shown;
}

// What a rotation still waits for.
void print_rotation(const Instance& instance) {
  const auto pem = linux::read_file(fmt::format("{}/{}", instance.data_dir, kCertificates[0].file));
  if (!pem.ok() || auth::split_certificates(*pem).size() < 2) return;
  const auto behind = ask_server(instance, "cert followers");
  if (!behind.ok()) return;  // a worker has two authorities as well, and no server
  const bool back = access(fmt::format("{}/pki/ca-chain.crt", instance.data_dir).c_str(), F_OK) != 0;
  const std::string_view what = back ? "The authority is turned back" : "A rotation is under way";
  if (behind->empty()) return fmt::print("\n{}; all nodes have followed: knarr cert rotate-ca --finish\n", what);
  fmt::print("\n{}; nodes that have not followed yet: {}\n", what, *behind);
}

void print_account_key(const Instance& instance) {
  if (const auto since = auth::service_account_key_replaced_at(instance.pki()))
    fmt::print("\nThe key of ServiceAccount tokens was replaced at {}; the old one still holds: knarr cert rotate-service-account-key --finish\n",
               format_time(*since));
}

int list(const Instance& instance) {
  fmt::print("{:<22} {:<14} {:<28} {:<20} {:<22} {}\n", "FILE", "FOR", "SUBJECT", "SIGNED BY", "EXPIRES", "LEFT");
  int shown = 0;
  for (const Listed& listed : kCertificates) {
    const auto count = print_file(instance, listed);
    if (!count.ok()) return fail("cert ls", count.status());
    shown += *count;
  }
  if (shown == 0) return fail("cert ls", not_found(fmt::format("there are no certificates in {}; has a server or agent run with it?", instance.data_dir)));
  print_rotation(instance);
  print_account_key(instance);
  return 0;
}

}  // namespace

int run_cert(const Options& options) {
  const auto& words = options.positional();
  const std::string verb = words.size() == 1 ? words[0] : "";
  if (verb != "ls" && verb != "renew" && verb != "rotate-ca" && verb != "rotate-service-account-key")
    return fail_usage("cert", "want: knarr cert ls, knarr cert renew, knarr cert rotate-ca, or knarr cert rotate-service-account-key");
  const bool finish = options.flag("finish"), abort = options.flag("abort"), force = options.flag("force");
  if ((finish || force) && !verb.starts_with("rotate-"))
    return fail_usage("cert", "--finish and --force are options of rotate-ca and rotate-service-account-key");
  if (abort && verb != "rotate-ca") return fail_usage("cert", "--abort is an option of rotate-ca");
  if (finish && abort) return fail_usage("cert", "--finish and --abort exclude each other");
  if (force && !finish) return fail_usage("cert", "--force goes with --finish");
  auto instance = Instance::existing(options);
  if (!instance.ok()) return fail("cert", instance.status());
  if (verb == "ls") return list(*instance);
  const std::string command = fmt::format("cert {}{}{}{}", verb, finish ? " finish" : "", abort ? " abort" : "", force ? " force" : "");
  auto answer = ask_server(*instance, command);
  if (!answer.ok()) return fail("cert " + verb, answer.status());
  fmt::print("{}\n", *answer);
  return 0;
}

}  // namespace knarr::cli
