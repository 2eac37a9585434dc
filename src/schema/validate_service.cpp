// Services and Endpoints (upstream: pkg/apis/core/validation).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "knarr/schema/service.h"
#include "schema/go_json.h"
#include "schema/validate_addresses.h"

namespace knarr::schema::validation {

namespace {

constexpr std::string_view kOnlyBalancer = "may only be used when `type` is 'LoadBalancer'";
constexpr std::string_view kNoExternalName = "may not be set for ExternalName services";
constexpr std::string_view kFixed = "may not change once set";
constexpr int32_t kMaxAffinitySeconds = 86400;
constexpr std::string_view kSourceRanges = "service.beta.kubernetes.io/load-balancer-source-ranges";

bool is_headless(const core::Service& s) { return s.spec.clusterIPs.size() == 1 && s.spec.clusterIPs[0] == "None"; }
bool is_balancer(const core::Service& s) { return s.spec.type == "LoadBalancer"; }
bool is_alias(const core::Service& s) { return s.spec.type == "ExternalName"; }
bool is_external(const core::Service& s) {
  return is_balancer(s) || s.spec.type == "NodePort" || (s.spec.type == "ClusterIP" && !s.spec.externalIPs.empty());
}
bool needs_health_check(const core::Service& s) { return is_balancer(s) && s.spec.externalTrafficPolicy == "Local"; }

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kSpace);
  return first == text.npos ? "" : std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

void service_type(const core::Service& s, const Path& path, FieldErrors& errors) {
  const core::ServiceSpec& spec = s.spec;
  if (is_balancer(s) || spec.type == "NodePort") {
    if (is_headless(s))
      errors.invalid(path.child("clusterIPs").index(0), spec.clusterIPs[0], fmt::format("may not be set to 'None' for {} services", spec.type));
  } else if (is_alias(s)) {
    if (!spec.clusterIPs.empty()) errors.forbidden(path.child("clusterIPs"), kNoExternalName);
    if (!spec.ipFamilies.empty()) errors.forbidden(path.child("ipFamilies"), kNoExternalName);
    if (spec.ipFamilyPolicy) errors.forbidden(path.child("ipFamilyPolicy"), kNoExternalName);
    std::string name = spec.externalName;
    if (name.ends_with('.')) name.pop_back();
    if (name.empty()) return errors.required(path.child("externalName"));
    errors.invalid(path.child("externalName"), name, names::dns1123_subdomain(name));
  }
}

// Of a service or an endpoint.
void port_app_protocol(const std::optional<std::string>& protocol, const Path& path, FieldErrors& errors) {
  if (protocol) errors.invalid(path.child("appProtocol"), *protocol, names::qualified_name(*protocol));
}

void service_ports(const core::ServiceSpec& spec, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const core::ServicePort& port = spec.ports[i];
    const Path at = path.index(i);
    if (!port.name.empty()) {
      errors.invalid(at.child("name"), port.name, names::dns1123_label(port.name));
      if (!seen.insert(port.name).second) errors.duplicate(at.child("name"), port.name);
    } else if (spec.ports.size() > 1) {
      errors.required(at.child("name"));
    }
    errors.invalid(at.child("port"), port.port, names::port_number(port.port));
    port_protocol(port.protocol, at.child("protocol"), errors);
    port_number_or_name(port.targetPort, at.child("targetPort"), errors);
    port_app_protocol(port.appProtocol, at, errors);
  }
}

void session_affinity(const core::ServiceSpec& spec, const Path& path, FieldErrors& errors) {
  const auto& config = spec.sessionAffinityConfig;
  const Path at = path.child("sessionAffinityConfig");
  if (spec.sessionAffinity.empty()) {
    errors.required(path.child("sessionAffinity"));
  } else {
    errors.one_of(path.child("sessionAffinity"), spec.sessionAffinity, {"ClientIP", "None"});
  }
  if (spec.sessionAffinity == "None" && config) errors.forbidden(at, "must not be set when session affinity is None");
  if (spec.sessionAffinity != "ClientIP") return;
  constexpr std::string_view kWhen = "when session affinity type is ClientIP";
  if (!config) return errors.required(at, kWhen);
  if (!config->clientIP) return errors.required(at.child("clientIP"), kWhen);
  const Path timeout = at.child("clientIP", "timeoutSeconds");
  const auto& seconds = config->clientIP->timeoutSeconds;
  if (!seconds) return errors.required(timeout, kWhen);
  if (*seconds <= 0 || *seconds > kMaxAffinitySeconds)
    errors.invalid(timeout, *seconds, fmt::format("must be greater than 0 and less than {}", kMaxAffinitySeconds));
}

void ip_families(const core::ServiceSpec& spec, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < spec.ipFamilies.size(); ++i) {
    const Path at = path.child("ipFamilies").index(i);
    errors.one_of(at, spec.ipFamilies[i], {"IPv4", "IPv6"});
    if (!seen.insert(spec.ipFamilies[i]).second) errors.duplicate(at, spec.ipFamilies[i]);
  }
  if (spec.ipFamilyPolicy)
    errors.one_of(path.child("ipFamilyPolicy"), *spec.ipFamilyPolicy, {"PreferDualStack", "RequireDualStack", "SingleStack"});
}

void cluster_ips(const core::Service& s, const core::Service* old, const Path& path, FieldErrors& errors) {
  if (is_alias(s)) return;
  const core::ServiceSpec& spec = s.spec;
  const auto& ips = spec.clusterIPs;
  const Path at = path.child("clusterIPs");
  if (spec.clusterIP.empty()) {
    if (!ips.empty()) errors.invalid_json(at, list_json(ips), "must be empty when `clusterIP` is not specified");
  } else if (ips.empty()) {
    errors.required(at);
  } else if (ips[0] != spec.clusterIP) {
    errors.invalid_json(at, list_json(ips), "first value must match `clusterIP`");
  }
  ip_families(spec, path, errors);
  const size_t before = errors.count();
  for (size_t i = 0; i < ips.size(); ++i) {
    if (i != 0 || ips[i] != "None") {
      ip_field(ips[i], at.index(i), errors, old ? &old->spec.clusterIPs : nullptr);
    } else if (ips.size() > 1) {
      errors.invalid_json(at, list_json(ips), "'None' must be the first and only value");
    }
  }
  const bool bad = errors.count() != before;
  if (ips.size() > 2) errors.invalid_json(at, list_json(ips), "may only hold up to 2 values");
  if (bad) return;
  auto one_family = [&] {
    return std::all_of(ips.begin(), ips.end(), [&](const auto& ip) { return names::is_ipv6(ip) == names::is_ipv6(ips[0]); });
  };
  if (ips.size() > 1 && one_family()) errors.invalid_json(at, list_json(ips), "may specify no more than one IP for each IP family");
  if (is_headless(s)) return;
  for (size_t i = 0; i < ips.size() && i < spec.ipFamilies.size(); ++i) {
    const std::string& family = spec.ipFamilies[i];
    if ((family == "IPv4" && names::is_ipv6(ips[i])) || (family == "IPv6" && !names::is_ipv6(ips[i])))
      errors.invalid(at.index(i), ips[i], fmt::format("expected an {} value as indicated by `ipFamilies[{}]`", family, i));
  }
}

void node_ports(const core::ServiceSpec& spec, const Path& path, FieldErrors& errors) {
  if (spec.type == "ClusterIP") {
    for (size_t i = 0; i < spec.ports.size(); ++i) {
      if (spec.ports[i].nodePort != 0) errors.forbidden(path.index(i).child("nodePort"), "may not be used when `type` is 'ClusterIP'");
    }
  }
  std::set<std::pair<std::string, int32_t>> node_ports, ports;
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const core::ServicePort& port = spec.ports[i];
    if (port.nodePort != 0 && !node_ports.emplace(port.protocol, port.nodePort).second)
      errors.duplicate_json(path.index(i).child("nodePort"), std::to_string(port.nodePort));
  }
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    core::ServicePort key;
    key.protocol = spec.ports[i].protocol;
    key.port = spec.ports[i].port;
    if (!ports.emplace(key.protocol, key.port).second) errors.duplicate_json(path.index(i), go_json(key));
  }
}

void source_ranges(const core::Service& s, const core::Service* old, const Path& path, FieldErrors& errors) {
  if (!s.spec.loadBalancerSourceRanges.empty()) {
    const Path at = path.child("LoadBalancerSourceRanges");
    if (!is_balancer(s)) errors.forbidden(at, kOnlyBalancer);
    std::vector<std::string> known;
    if (old) std::transform(old->spec.loadBalancerSourceRanges.begin(), old->spec.loadBalancerSourceRanges.end(), std::back_inserter(known), trimmed);
    for (size_t i = 0; i < s.spec.loadBalancerSourceRanges.size(); ++i)
      cidr_field(trimmed(s.spec.loadBalancerSourceRanges[i]), at.index(i), errors, &known);
    return;
  }
  const std::string key(kSourceRanges);
  const auto given = s.metadata.annotations.find(key);
  if (given == s.metadata.annotations.end()) return;
  const Path at = Path("metadata.annotations").key(key);
  if (!is_balancer(s)) errors.forbidden(at, kOnlyBalancer);
  if (old) {
    const auto before = old->metadata.annotations.find(key);
    if (before != old->metadata.annotations.end() ? before->second == given->second : given->second.empty()) return;
  }
  const std::string ranges = trimmed(given->second);
  if (ranges.empty()) return;
  for (size_t begin = 0; begin <= ranges.size();) {
    const size_t end = std::min(ranges.find(',', begin), ranges.size());
    cidr_field(trimmed(std::string_view(ranges).substr(begin, end - begin)), at, errors);
    begin = end + 1;
  }
}

void balancer_class(const core::Service& s, const core::Service* old, const Path& path, FieldErrors& errors) {
  const auto& name = s.spec.loadBalancerClass;
  const Path at = path.child("loadBalancerClass");
  if (old && is_balancer(s) && is_balancer(*old) && name != old->spec.loadBalancerClass) {
    if (name) {
      errors.invalid(at, *name, kFixed);
    } else {
      errors.invalid_json(at, "null", kFixed);
    }
  }
  if (!name) return;
  if (!is_balancer(s)) return errors.forbidden(at, kOnlyBalancer);
  errors.invalid(at, *name, names::qualified_name(*name));
}

void traffic(const core::Service& s, const Path& path, FieldErrors& errors) {
  const core::ServiceSpec& spec = s.spec;
  const Path outer = path.child("externalTrafficPolicy"), health = path.child("healthCheckNodePort"), inner = path.child("internalTrafficPolicy");
  if (!is_external(s)) {
    if (!spec.externalTrafficPolicy.empty())
      errors.invalid(outer, spec.externalTrafficPolicy, "may only be set for externally-accessible services");
  } else if (spec.externalTrafficPolicy.empty()) {
    errors.required(outer);
  } else {
    errors.one_of(outer, spec.externalTrafficPolicy, {"Cluster", "Local"});
  }
  if (!needs_health_check(s)) {
    if (spec.healthCheckNodePort != 0)
      errors.invalid(health, spec.healthCheckNodePort, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
  } else if (spec.healthCheckNodePort == 0) {
    errors.required(health);
  } else {
    errors.invalid(health, spec.healthCheckNodePort, names::port_number(spec.healthCheckNodePort));
  }
  if (spec.internalTrafficPolicy) {
    errors.one_of(inner, *spec.internalTrafficPolicy, {"Cluster", "Local"});
  } else if (spec.type == "NodePort" || spec.type == "LoadBalancer" || spec.type == "ClusterIP") {
    errors.required(inner);
  }
  if (spec.trafficDistribution)
    errors.one_of(path.child("trafficDistribution"), *spec.trafficDistribution, {"PreferClose", "PreferSameZone", "PreferSameNode"});
}

void service_rules(const core::Service& s, const core::Service* old, FieldErrors& errors) {
  const core::ServiceSpec& spec = s.spec;
  const Path path("spec");
  constexpr const char *kHints = "service.kubernetes.io/topology-aware-hints", *kMode = "service.kubernetes.io/topology-mode";
  const auto hints = s.metadata.annotations.find(kHints), mode = s.metadata.annotations.find(kMode), none = s.metadata.annotations.end();
  if (hints != none && mode != none && hints->second != mode->second)
    errors.invalid(Path("metadata.annotations").key(kMode), mode->second, fmt::format("must match annotations[{}] when both are specified", kHints));
  if (spec.ports.empty() && !is_headless(s) && !is_alias(s)) errors.required(path.child("ports"));
  service_type(s, path, errors);
  service_ports(spec, path.child("ports"), errors);
  labels(spec.selector, path.child("selector"), errors);
  session_affinity(spec, path, errors);
  cluster_ips(s, old, path, errors);
  for (size_t i = 0; i < spec.externalIPs.size(); ++i) {
    const Path at = path.child("externalIPs").index(i);
    const size_t before = errors.count();
    ip_field(spec.externalIPs[i], at, errors, old ? &old->spec.externalIPs : nullptr);
    if (errors.count() == before) endpoint_ip(spec.externalIPs[i], at, errors);
  }
  if (spec.type.empty()) {
    errors.required(path.child("type"));
  } else {
    errors.one_of(path.child("type"), spec.type, {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"});
  }
  node_ports(spec, path.child("ports"), errors);
  source_ranges(s, old, path, errors);
  if (spec.allocateLoadBalancerNodePorts && !is_balancer(s)) errors.forbidden(path.child("allocateLoadBalancerNodePorts"), kOnlyBalancer);
  if (!spec.allocateLoadBalancerNodePorts && is_balancer(s)) errors.required(Path("allocateLoadBalancerNodePorts"));
  balancer_class(s, nullptr, path, errors);
  traffic(s, path, errors);
}

// Addresses and families come and go at the end of their lists only.
void address_changes(const core::Service& s, const core::Service& old, FieldErrors& errors) {
  if (is_alias(s) || is_alias(old)) return;
  const Path path("spec");
  const auto &ips = s.spec.clusterIPs, &ips_before = old.spec.clusterIPs;
  const bool was_headless = is_headless(old), headless = is_headless(s);
  const std::string policy = s.spec.ipFamilyPolicy ? fmt::format("\"{}\"", *s.spec.ipFamilyPolicy) : "null";
  const bool single = s.spec.ipFamilyPolicy == std::string("SingleStack");
  auto bad = [&](std::string_view field, size_t i, const std::vector<std::string>& shown, std::string_view why) {
    errors.invalid_json(path.child(field).index(i), list_json(shown), why);
  };
  if (!was_headless || !headless) {
    if (ips_before.size() == ips.size()) {
      for (size_t i = 0; i < ips.size(); ++i) {
        if (ips[i] != ips_before[i]) bad("clusterIPs", i, ips, kFixed);
      }
    } else {
      if (ips.empty()) bad("clusterIPs", 0, ips, "primary clusterIP can not be unset");
      if (!ips.empty() && !ips_before.empty() && ips[0] != ips_before[0]) bad("clusterIPs", 0, ips, kFixed);
      if (ips_before.size() > ips.size() && ips.size() == 1 && !single)
        errors.invalid_json(path.child("ipFamilyPolicy"), policy, "must be set to 'SingleStack' when releasing the secondary clusterIP");
    }
  }
  if (was_headless || headless) return;
  const auto &families = s.spec.ipFamilies, &before = old.spec.ipFamilies;
  if (families.size() == before.size()) {
    for (size_t i = 0; i < families.size(); ++i) {
      if (families[i] != before[i]) bad("ipFamilies", 0, families, kFixed);
    }
    return;
  }
  if (before.size() > families.size() && ips.empty()) bad("ipFamilies", 0, families, "primary ipFamily can not be unset");
  if (!families.empty() && !before.empty() && families[0] != before[0]) bad("ipFamilies", 0, ips, kFixed);
  if (before.size() > families.size() && families.size() == 1 && !single)
    errors.invalid_json(path.child("ipFamilyPolicy"), policy, "must be set to 'SingleStack' when releasing the secondary ipFamily");
}

void balancer_status(const core::Service& s, const core::Service& old, FieldErrors& errors) {
  const Path path("status.loadBalancer.ingress");
  const auto& list = s.status.loadBalancer.ingress;
  if (!is_balancer(s) && !list.empty()) return errors.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'");
  std::vector<std::string> known;
  for (const auto& before : old.status.loadBalancer.ingress) known.push_back(before.ip);
  for (size_t i = 0; i < list.size(); ++i) {
    const auto& ingress = list[i];
    const Path at = path.index(i);
    if (!ingress.ip.empty()) ip_field(ingress.ip, at.child("ip"), errors, &known);
    if (!ingress.ipMode) {
      if (!ingress.ip.empty()) errors.required(at.child("ipMode"), "must be specified when `ip` is set");
    } else if (ingress.ip.empty()) {
      errors.forbidden(at.child("ipMode"), "may not be specified when `ip` is not set");
    } else {
      errors.one_of(at.child("ipMode"), *ingress.ipMode, {"Proxy", "VIP"});
    }
    balancer_hostname(ingress.hostname, at.child("hostname"), errors);
  }
}

void endpoint_addresses(const std::vector<core::EndpointAddress>& list, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < list.size(); ++i) {
    const core::EndpointAddress& address = list[i];
    const Path at = path.index(i);
    ip_field(address.ip, at.child("ip"), errors);
    if (!address.hostname.empty()) errors.invalid(at.child("hostname"), address.hostname, names::dns1123_label(address.hostname));
    if (address.nodeName) errors.invalid(at.child("nodeName"), *address.nodeName, names::dns1123_subdomain(*address.nodeName));
    endpoint_ip(address.ip, at.child("ip"), errors);
  }
}

void endpoint_subsets(const std::vector<core::EndpointSubset>& subsets, FieldErrors& errors) {
  for (size_t i = 0; i < subsets.size(); ++i) {
    const core::EndpointSubset& subset = subsets[i];
    const Path at = Path("subsets").index(i);
    if (subset.addresses.empty() && subset.notReadyAddresses.empty()) errors.required(at, "must specify `addresses` or `notReadyAddresses`");
    endpoint_addresses(subset.addresses, at.child("addresses"), errors);
    endpoint_addresses(subset.notReadyAddresses, at.child("notReadyAddresses"), errors);
    for (size_t j = 0; j < subset.ports.size(); ++j) {
      const core::EndpointPort& port = subset.ports[j];
      const Path of = at.child("ports").index(j);
      if (!port.name.empty()) {
        errors.invalid(of.child("name"), port.name, names::dns1123_label(port.name));
      } else if (subset.ports.size() > 1) {
        errors.required(of.child("name"));
      }
      errors.invalid(of.child("port"), port.port, names::port_number(port.port));
      port_protocol(port.protocol, of.child("protocol"), errors);
      port_app_protocol(port.appProtocol, of, errors);
    }
  }
}

}  // namespace

void service(const core::Service& s, const core::Service* old, FieldErrors& errors) {
  object_meta(s.metadata, old ? &old->metadata : nullptr, true, names::dns1123_label, errors);
  // The status is written by itself.
  if (old && !(s.status == old->status)) return balancer_status(s, *old, errors);
  if (old) {
    address_changes(s, *old, errors);
    balancer_class(s, old, Path("spec"), errors);
    if (needs_health_check(s) && needs_health_check(*old) && s.spec.healthCheckNodePort != old->spec.healthCheckNodePort)
      errors.forbidden(Path("spec.healthCheckNodePort"), kImmutable);
  }
  service_rules(s, old, errors);
}

void endpoints(const core::Endpoints& e, const core::Endpoints* old, FieldErrors& errors) {
  object_meta(e.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  if (!old || !(e.subsets == old->subsets)) endpoint_subsets(e.subsets, errors);
}

}  // namespace knarr::schema::validation

namespace knarr::schema {

std::vector<Cause> service_address_errors(const json::Value& service, const json::Value* old) {
  api::core::v1::Service now, before;
  api::decode(service, now);
  if (old) api::decode(*old, before);
  FieldErrors errors;
  validation::cluster_ips(now, old ? &before : nullptr, Path("spec"), errors);
  return errors.take();
}

}  // namespace knarr::schema
