// The files that a node writes for its pods: /etc/hosts and /etc/resolv.conf. Pure but for what the names say.
#pragma once

#include <string>

#include "agent/pod_view.h"

namespace knarr::agent {

// Of a pod with its own network. `host_hosts`: the host's file, which a pod with the host's network sees with its
// aliases behind.
std::string hosts_text(const core::Pod& pod, const std::string& hostname, const std::string& pod_ip,
                       const std::string& host_hosts);

// By dnsPolicy and dnsConfig. There is no cluster DNS yet, so ClusterFirst means the host's resolvers, without those
// that only the host itself can reach (127.0.0.53).
std::string resolv_text(const core::Pod& pod, const std::string& host_resolv);

// The host's resolv.conf; where it names only a resolver on the loopback, the file of what stands behind that.
std::string read_host_resolv();

}  // namespace knarr::agent
