// `knarr kubeconfig`: credentials for a person or a program, as a kubeconfig on standard output.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "cli/commands.h"
#include "cli/instance.h"
#include "knarr/auth/pki.h"

namespace knarr::cli {

int run_kubeconfig(const Options& options) {
  if (!options.positional().empty()) return fail_usage("kubeconfig", fmt::format("unexpected argument \"{}\"", options.positional()[0]));
  const std::string& user = options.text("user");
  if (user.empty()) return fail_usage("kubeconfig", "--user is missing: whose credentials?");
  if (user.starts_with("system:")) {
    return fail_usage("kubeconfig", fmt::format("--user {}: names that begin with system: are Kubernetes' own", user));
  }
  int days = 0;
  const std::string& text = options.text("days");
  if (auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), days);
      error != std::errc() || end != text.data() + text.size() || days < 1 || days > 3650) {
    return fail_usage("kubeconfig", fmt::format("--days \"{}\": want a number from 1 to 3650", text));
  }
  auto instance = Instance::existing(options);
  if (!instance.ok()) return fail("kubeconfig", instance.status());
  if (access((instance->pki() + "/ca.key").c_str(), R_OK) != 0) {
    return fail("kubeconfig", not_found(fmt::format("{}/ca.key cannot be read: this is done on the server, by root", instance->pki())));
  }
  auto ca = auth::CertificateAuthority::load(instance->pki());
  if (!ca.ok()) return fail("kubeconfig", ca.status());
  auto pair = ca->issue({.common_name = user, .organizations = split_list(options.text("group")), .dns_names = {}, .ip_addresses = {}, .client = true, .days = days});
  if (!pair.ok()) return fail("kubeconfig", pair.status());
  std::string url = options.text("server");
  if (url.empty()) {
    auto admin = server_url(instance->data_dir + "/kubeconfig");
    if (!admin.ok()) return fail("kubeconfig", std::move(admin).status().with_context("find the server's address; --server says it"));
    url = *admin;
  }
  fmt::print("{}", auth::kubeconfig("knarr", url, ca->trusted_pem(), user, *pair));
  return 0;
}

}  // namespace knarr::cli
