#include "agent/pod_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "knarr/linux/tree.h"

namespace knarr::agent {

namespace {

constexpr size_t kMaxNameservers = 3, kMaxSearches = 32;

struct Resolv {
  std::vector<std::string> nameservers, searches, options;
};

bool is_loopback(std::string_view address) { return address.starts_with("127.") || address == "::1"; }

Resolv parse_resolv(const std::string& text) {
  Resolv resolv;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, word;
    words >> key;
    if (key == "search" || key == "domain") resolv.searches.clear();
    while (words >> word) {
      if (key == "nameserver") resolv.nameservers.push_back(word);
      if (key == "search" || key == "domain") resolv.searches.push_back(word);
      if (key == "options") resolv.options.push_back(word);
    }
  }
  return resolv;
}

void add_once(std::vector<std::string>& list, const std::string& item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

std::string option_name(const std::string& option) { return option.substr(0, option.find(':')); }

std::string aliases_text(const core::Pod& pod) {
  if (pod.spec.hostAliases.empty()) return {};
  std::string text = "\n# Entries added by HostAliases.\n";
  for (const auto& alias : pod.spec.hostAliases)
    text += fmt::format("{}\t{}\n", alias.ip, fmt::join(alias.hostnames, "\t"));
  return text;
}

}  // namespace

std::string hosts_text(const core::Pod& pod, const std::string& hostname, const std::string& pod_ip,
                       const std::string& host_hosts) {
  if (pod.spec.hostNetwork) return "# Kubernetes-managed hosts file (host network).\n" + host_hosts + aliases_text(pod);
  std::string text =
      "# Kubernetes-managed hosts file.\n"
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\n"
      "fe00::0\tip6-mcastprefix\n"
      "fe00::1\tip6-allnodes\n"
      "fe00::2\tip6-allrouters\n";
  if (!pod_ip.empty()) {
    std::string domain = pod.spec.subdomain.empty() ? ""
                                                    : fmt::format("{}.{}.{}.svc.cluster.local\t", hostname,
                                                                  pod.spec.subdomain, pod.metadata.namespace_);
    text += fmt::format("{}\t{}{}\n", pod_ip, domain, hostname);
  }
  return text + aliases_text(pod);
}

std::string resolv_text(const core::Pod& pod, const std::string& host_resolv) {
  Resolv resolv;
  if (pod.spec.dnsPolicy != "None") {
    resolv = parse_resolv(host_resolv);
    // A pod with its own network has its own loopback, where no resolver listens.
    if (!pod.spec.hostNetwork) std::erase_if(resolv.nameservers, is_loopback);
  }
  if (pod.spec.dnsConfig) {
    const auto& config = *pod.spec.dnsConfig;
    for (const auto& server : config.nameservers) add_once(resolv.nameservers, server);
    for (const auto& domain : config.searches) add_once(resolv.searches, domain);
    for (const auto& option : config.options) {
      std::erase_if(resolv.options, [&](const std::string& known) { return option_name(known) == option.name; });
      resolv.options.push_back(option.value && !option.value->empty() ? option.name + ":" + *option.value
                                                                      : option.name);
    }
  }
  if (resolv.nameservers.size() > kMaxNameservers) resolv.nameservers.resize(kMaxNameservers);
  if (resolv.searches.size() > kMaxSearches) resolv.searches.resize(kMaxSearches);
  std::string text;
  if (!resolv.searches.empty()) text += fmt::format("search {}\n", fmt::join(resolv.searches, " "));
  for (const auto& server : resolv.nameservers) text += fmt::format("nameserver {}\n", server);
  if (!resolv.options.empty()) text += fmt::format("options {}\n", fmt::join(resolv.options, " "));
  return text;
}

std::string read_host_resolv() {
  std::string text = linux::read_file("/etc/resolv.conf", 1 << 20).value_or("");
  auto servers = parse_resolv(text).nameservers;
  if (!std::all_of(servers.begin(), servers.end(), is_loopback)) return text;
  return linux::read_file("/run/systemd/resolve/resolv.conf", 1 << 20).value_or(text);
}

}  // namespace knarr::agent
