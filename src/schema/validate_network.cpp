// Ingresses, IngressClasses and NetworkPolicies (upstream: pkg/apis/networking/validation), EndpointSlices
// (pkg/apis/discovery/validation).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "schema/go_json.h"
#include "schema/validate_addresses.h"
#include "schema/validate_groups.h"

namespace knarr::schema::validation {

namespace networking = api::networking::v1;
namespace discovery = api::discovery::v1;

namespace {

constexpr size_t kMaxController = 250, kMaxEndpoints = 1000, kMaxAddresses = 100, kMaxPorts = 20000, kMaxTopologyLabels = 16, kMaxHints = 8;

void host_name(const std::string& host, const Path& path, FieldErrors& errors) {
  const bool wildcard = host.find('*') != host.npos;
  errors.invalid(path, host, wildcard ? names::wildcard_dns1123_subdomain(host) : names::dns1123_subdomain(host));
}

// Of a resource that something refers to.
template <typename Reference>
void reference(const Reference& ref, const Path& path, FieldErrors& errors) {
  if (ref.apiGroup) errors.invalid(path.child("apiGroup"), *ref.apiGroup, names::dns1123_subdomain(*ref.apiGroup));
  for (const auto& [field, value] : {std::pair("kind", &ref.kind), std::pair("name", &ref.name)}) {
    if (value->empty()) {
      errors.required(path.child(field));
    } else {
      errors.invalid(path.child(field), *value, names::path_segment_name(*value));
    }
  }
}

void ingress_backend(const networking::IngressBackend& backend, const Path& path, FieldErrors& errors) {
  if (backend.resource && backend.service) return errors.invalid(path, "", "cannot set both resource and service backends");
  if (backend.resource) return reference(*backend.resource, path.child("resource"), errors);
  if (!backend.service) return errors.invalid(path, "", "resource or service backend is required");
  const Path at = path.child("service");
  const auto& service = *backend.service;
  if (service.name.empty()) {
    errors.required(at.child("name"));
  } else {
    errors.invalid(at.child("name"), service.name, names::dns1123_label(service.name));
  }
  if (!service.port.name.empty() && service.port.number != 0) {
    errors.invalid(path, "", "cannot set both port name & port number");
  } else if (!service.port.name.empty()) {
    errors.invalid(at.child("port", "name"), service.port.name, names::port_name(service.port.name));
  } else if (service.port.number != 0) {
    errors.invalid(at.child("port", "number"), service.port.number, names::port_number(service.port.number));
  } else {
    errors.required(path, "port name or number is required");
  }
}

void ingress_path(const networking::HTTPIngressPath& rule, const Path& path, FieldErrors& errors) {
  if (!rule.pathType) return errors.required(path.child("pathType"), "pathType must be specified");
  const Path at = path.child("path");
  const std::string& text = rule.path;
  const bool absolute = text.starts_with('/');
  if (*rule.pathType == "Exact" || *rule.pathType == "Prefix") {
    if (!absolute) errors.invalid(at, text, "must be an absolute path");
    for (const char* part : {"//", "/./", "/../", "%2f", "%2F"}) {
      if (text.find(part) != text.npos) errors.invalid(at, text, fmt::format("must not contain '{}'", part));
    }
    for (const char* end : {"/..", "/."}) {
      if (text.ends_with(end)) errors.invalid(at, text, fmt::format("cannot end with '{}'", end));
    }
  } else if (*rule.pathType == "ImplementationSpecific") {
    if (!text.empty() && !absolute) errors.invalid(at, text, "must be an absolute path");
  } else {
    errors.unsupported(path.child("pathType"), *rule.pathType, {"Exact", "ImplementationSpecific", "Prefix"});
  }
  ingress_backend(rule.backend, path.child("backend"), errors);
}

void ingress_rule(const networking::IngressRule& rule, const Path& path, FieldErrors& errors) {
  if (!rule.host.empty()) {
    if (ip_bytes(rule.host)) errors.invalid(path.child("host"), rule.host, "must be a DNS name, not an IP address");
    host_name(rule.host, path.child("host"), errors);
  }
  if (!rule.http) return;
  const Path paths = path.child("http", "paths");
  if (rule.http->paths.empty()) errors.required(paths);
  for (size_t i = 0; i < rule.http->paths.size(); ++i) ingress_path(rule.http->paths[i], paths.index(i), errors);
}

void ingress_spec(const networking::IngressSpec& spec, const Path& path, FieldErrors& errors) {
  if (spec.rules.empty() && !spec.defaultBackend) errors.invalid_json(path, "null", "either `defaultBackend` or `rules` must be specified");
  if (spec.defaultBackend) ingress_backend(*spec.defaultBackend, path.child("defaultBackend"), errors);
  for (size_t i = 0; i < spec.rules.size(); ++i) ingress_rule(spec.rules[i], path.child("rules").index(i), errors);
  for (size_t i = 0; i < spec.tls.size(); ++i) {
    const auto& tls = spec.tls[i];
    const Path at = path.child("tls").index(i);
    for (size_t j = 0; j < tls.hosts.size(); ++j) host_name(tls.hosts[j], at.child("hosts").index(j), errors);
    if (!tls.secretName.empty()) errors.invalid(at.child("secretName"), tls.secretName, names::dns1123_subdomain(tls.secretName));
  }
  if (spec.ingressClassName) errors.invalid(path.child("ingressClassName"), *spec.ingressClassName, names::dns1123_subdomain(*spec.ingressClassName));
}

void ingress_status(const networking::IngressStatus& status, const networking::IngressStatus& old, FieldErrors& errors) {
  std::vector<std::string> known;
  for (const auto& before : old.loadBalancer.ingress) known.push_back(before.ip);
  for (size_t i = 0; i < status.loadBalancer.ingress.size(); ++i) {
    const auto& ingress = status.loadBalancer.ingress[i];
    const Path at = Path("status.loadBalancer.ingress").index(i);
    if (!ingress.ip.empty()) ip_field(ingress.ip, at.child("ip"), errors, &known);
    balancer_hostname(ingress.hostname, at.child("hostname"), errors);
  }
}

// "example.com/controller".
void prefixed_path(const std::string& value, const Path& path, FieldErrors& errors) {
  if (value.empty()) return errors.required(path);
  const size_t slash = value.find('/');
  if (slash == value.npos || slash == 0 || slash + 1 == value.size())
    return errors.invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
  const std::string host = value.substr(0, slash), rest = value.substr(slash + 1);
  errors.invalid(path, host, names::dns1123_subdomain(host));
  constexpr std::string_view kSigns = "/-._~%!$&'()*+,;=:";
  const bool fits = std::all_of(rest.begin(), rest.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kSigns.find(c) != kSigns.npos;
  });
  if (!fits) errors.invalid(path, rest, names::regex_error("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", {}));
}

void class_parameters(const networking::IngressClassParametersReference& parameters, const Path& path, FieldErrors& errors) {
  reference(parameters, path, errors);
  if (!parameters.scope) return errors.required(path.child("scope"));
  const Path ns = path.child("namespace");
  if (!errors.one_of(path.child("scope"), *parameters.scope, {"Cluster", "Namespace"})) return;
  if (*parameters.scope == "Cluster") {
    if (parameters.namespace_) errors.forbidden(ns, "`parameters.scope` is set to 'Cluster'");
  } else if (!parameters.namespace_) {
    errors.required(ns, "`parameters.scope` is set to 'Namespace'");
  } else {
    errors.invalid(ns, *parameters.namespace_, names::dns1123_label(*parameters.namespace_));
  }
}

class PolicyRules {
 public:
  PolicyRules(const networking::NetworkPolicySpec* old, FieldErrors& errors) : errors_(errors) {
    if (!old) return;
    for (const auto& rule : old->ingress) remember(rule.from);
    for (const auto& rule : old->egress) remember(rule.to);
  }

  void spec(const networking::NetworkPolicySpec& spec, const Path& path) {
    label_selector(spec.podSelector, path.child("podSelector"), errors_);
    for (size_t i = 0; i < spec.ingress.size(); ++i) rule(spec.ingress[i].ports, spec.ingress[i].from, "from", path.child("ingress").index(i));
    for (size_t i = 0; i < spec.egress.size(); ++i) rule(spec.egress[i].ports, spec.egress[i].to, "to", path.child("egress").index(i));
    const Path types = path.child("policyTypes");
    if (spec.policyTypes.size() > 2) return errors_.invalid_json(types, list_json(spec.policyTypes), "may not specify more than two policyTypes");
    for (size_t i = 0; i < spec.policyTypes.size(); ++i) errors_.one_of(types.index(i), spec.policyTypes[i], {"Ingress", "Egress"});
  }

 private:
  using Peers = std::vector<networking::NetworkPolicyPeer>;

  void remember(const Peers& peers) {
    for (const auto& peer : peers) {
      if (!peer.ipBlock) continue;
      known_.push_back(peer.ipBlock->cidr);
      known_.insert(known_.end(), peer.ipBlock->except.begin(), peer.ipBlock->except.end());
    }
  }

  void rule(const std::vector<networking::NetworkPolicyPort>& ports, const Peers& peers, std::string_view peers_name, const Path& path) {
    for (size_t i = 0; i < ports.size(); ++i) port(ports[i], path.child("ports").index(i));
    for (size_t i = 0; i < peers.size(); ++i) peer(peers[i], path.child(peers_name).index(i));
  }

  void port(const networking::NetworkPolicyPort& p, const Path& path) {
    if (p.protocol) errors_.one_of(path.child("protocol"), *p.protocol, {"TCP", "UDP", "SCTP"});
    const Path port = path.child("port"), end = path.child("endPort");
    if (!p.port) {
      if (p.endPort) errors_.invalid(end, *p.endPort, "may not be specified when `port` is not specified");
    } else if (p.port->is_int) {
      errors_.invalid(port, p.port->number, names::port_number(p.port->number));
      if (!p.endPort) return;
      if (*p.endPort < p.port->number) errors_.invalid(end, p.port->number, "must be greater than or equal to `port`");
      errors_.invalid(end, *p.endPort, names::port_number(*p.endPort));
    } else {
      if (p.endPort) errors_.invalid(end, *p.endPort, "may not be specified when `port` is non-numeric");
      errors_.invalid(port, p.port->text, names::port_name(p.port->text));
    }
  }

  void peer(const networking::NetworkPolicyPeer& p, const Path& path) {
    if (p.podSelector) label_selector(*p.podSelector, path.child("podSelector"), errors_);
    if (p.namespaceSelector) label_selector(*p.namespaceSelector, path.child("namespaceSelector"), errors_);
    if (p.ipBlock) block(*p.ipBlock, path.child("ipBlock"));
    if (!p.podSelector && !p.namespaceSelector && !p.ipBlock) {
      errors_.required(path, "must specify a peer");
    } else if (p.ipBlock && (p.podSelector || p.namespaceSelector)) {
      errors_.forbidden(path, "may not specify both ipBlock and another peer");
    }
  }

  void block(const networking::IPBlock& b, const Path& path) {
    if (b.cidr.empty()) return errors_.required(path.child("cidr"));
    cidr_field(b.cidr, path.child("cidr"), errors_, &known_);
    const auto network = ip_network(b.cidr);
    if (!network) return;
    for (size_t i = 0; i < b.except.size(); ++i) {
      const Path at = path.child("except").index(i);
      cidr_field(b.except[i], at, errors_, &known_);
      const auto part = ip_network(b.except[i]);
      if (part && (!network->contains(part->base) || network->length >= part->length))
        errors_.invalid(at, b.except[i], "must be a strict subset of `cidr`");
    }
  }

  FieldErrors& errors_;
  std::vector<std::string> known_;  // networks that were there before
};

void full_domain_name(std::string name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return errors.required(path);
  if (name.ends_with('.')) name.pop_back();
  if (const auto problems = names::dns1123_subdomain(name); !problems.empty())
    return errors.invalid(path, name, fmt::format("{}", fmt::join(problems, ",")));
  if (name.find('.') == name.npos) return errors.invalid(path, name, "should be a domain with at least two segments separated by dots");
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const std::string label = name.substr(begin, end - begin);
    if (const auto problems = names::dns1123_label(label); !problems.empty())
      errors.invalid(path, label, fmt::format("{}", fmt::join(problems, ",")));
    begin = end + 1;
  }
}

void slice_address(const std::string& address, std::string_view type, const Path& list, const Path& path, FieldErrors& errors) {
  if (type == "FQDN") return full_domain_name(address, path, errors);
  if (type != "IPv4" && type != "IPv6") return;
  const size_t before = errors.count();
  const bool v6 = type == "IPv6";
  errors.invalid(path, address, names::ip(address, v6));
  if (errors.count() != before) return;
  if (names::is_ipv6(address) != v6) errors.invalid(list, address, fmt::format("must be an {} address", type));
  endpoint_ip(address, path, errors);
}

// Who should use an endpoint: zones or nodes. Answers whether there are not too many.
template <typename Hints>
bool hints(const Hints& list, NameRule rule, const Path& path, FieldErrors& errors) {
  if (list.size() > kMaxHints) {
    errors.too_many(path, list.size(), kMaxHints);
    return false;
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    const Path at = path.index(i).child("name");
    if (!seen.insert(list[i].name).second) errors.duplicate(at, list[i].name);
    errors.invalid(at, list[i].name, rule(list[i].name));
  }
  return true;
}

void slice_endpoint(const discovery::Endpoint& endpoint, std::string_view type, const Path& path, FieldErrors& errors) {
  const Path addresses = path.child("addresses");
  if (endpoint.addresses.empty()) {
    errors.required(addresses, "must contain at least 1 address");
  } else if (endpoint.addresses.size() > kMaxAddresses) {
    errors.too_many(addresses, endpoint.addresses.size(), kMaxAddresses);
  }
  for (size_t i = 0; i < endpoint.addresses.size(); ++i) slice_address(endpoint.addresses[i], type, addresses, addresses.index(i), errors);
  if (endpoint.nodeName) errors.invalid(path.child("nodeName"), *endpoint.nodeName, names::dns1123_subdomain(*endpoint.nodeName));
  const Path topology = path.child("deprecatedTopology");
  if (endpoint.deprecatedTopology.size() > kMaxTopologyLabels)
    errors.too_many(topology, endpoint.deprecatedTopology.size(), kMaxTopologyLabels);
  labels(endpoint.deprecatedTopology, topology, errors);
  if (endpoint.hostname) errors.invalid(path.child("hostname"), *endpoint.hostname, names::dns1123_label(*endpoint.hostname));
  if (!endpoint.hints) return;
  const Path at = path.child("hints");
  if (hints(endpoint.hints->forZones, names::label_value, at.child("forZones"), errors))
    hints(endpoint.hints->forNodes, names::dns1123_subdomain, at.child("forNodes"), errors);
}

void slice_ports(const std::vector<discovery::EndpointPort>& ports, const Path& path, FieldErrors& errors) {
  if (ports.size() > kMaxPorts) return errors.too_many(path, ports.size(), kMaxPorts);
  std::set<std::string> seen;
  for (size_t i = 0; i < ports.size(); ++i) {
    const Path at = path.index(i);
    const std::string name = ports[i].name.value_or("");
    if (!name.empty()) errors.invalid(at.child("name"), name, names::dns1123_label(name));
    if (!seen.insert(name).second) errors.duplicate(at.child("name"), name);
    if (!ports[i].protocol) {
      errors.required(at.child("protocol"));
    } else {
      errors.one_of(at.child("protocol"), *ports[i].protocol, {"SCTP", "TCP", "UDP"});
    }
    if (ports[i].appProtocol) errors.invalid(at.child("appProtocol"), *ports[i].appProtocol, names::qualified_name(*ports[i].appProtocol));
  }
}

void parent_reference(const networking::ParentReference& parent, const Path& path, FieldErrors& errors) {
  if (!parent.group.empty()) errors.invalid(path.child("group"), parent.group, names::dns1123_subdomain(parent.group));
  for (const auto& [field, value] : {std::pair("resource", &parent.resource), std::pair("name", &parent.name)}) {
    if (value->empty()) {
      errors.required(path.child(field));
    } else {
      errors.invalid(path.child(field), *value, names::path_segment_name(*value));
    }
  }
  if (!parent.namespace_.empty()) errors.invalid(path.child("namespace"), parent.namespace_, names::path_segment_name(parent.namespace_));
}

void service_networks(const networking::ServiceCIDRSpec& spec, const Path& path, FieldErrors& errors) {
  if (spec.cidrs.empty()) return errors.required(path, "at least one CIDR required");
  if (spec.cidrs.size() > 2) return errors.invalid_json(path, fmt::format("{{\"CIDRs\":{}}}", list_json(spec.cidrs)), "may only hold up to 2 values");
  for (size_t i = 0; i < spec.cidrs.size(); ++i) errors.invalid(path.index(i), spec.cidrs[i], names::cidr(spec.cidrs[i], true));
  if (spec.cidrs.size() < 2) return;
  const auto first = ip_network(spec.cidrs[0]), second = ip_network(spec.cidrs[1]);
  if (first && second && first->base.size() == second->base.size())
    errors.invalid_json(path, list_json(spec.cidrs), "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64");
}

}  // namespace

void ip_address(const networking::IPAddress& address, const networking::IPAddress* old, FieldErrors& errors) {
  const NameRule rule = [](std::string_view name) { return names::ip(name, true); };
  object_meta(address.metadata, old ? &old->metadata : nullptr, false, rule, errors);
  const Path path("spec.parentRef");
  const auto& parent = address.spec.parentRef;
  if (!parent) {
    errors.required(path);
  } else {
    parent_reference(*parent, path, errors);
  }
  if (old && !(parent == old->spec.parentRef)) errors.invalid_json(path, parent ? go_json(*parent) : "null", kImmutable);
}

void service_cidr(const networking::ServiceCIDR& c, const networking::ServiceCIDR* old, FieldErrors& errors) {
  object_meta(c.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  const Path path("spec.cidrs");
  const auto& now = c.spec.cidrs;
  if (!old) return service_networks(c.spec, path, errors);
  const auto& before = old->spec.cidrs;
  const bool grows = before.size() == 1 && now.size() == 2;
  if (now.size() != before.size() && !grows) return errors.invalid_json(path, list_json(now), kImmutable);
  for (size_t i = 0; i < before.size(); ++i) {
    if (now[i] != before[i]) errors.invalid(path.index(i), now[i], kImmutable);
  }
  if (grows) service_networks(c.spec, path, errors);
}

void ingress(const networking::Ingress& ingress, const networking::Ingress* old, FieldErrors& errors) {
  object_meta(ingress.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  // The status is written by itself.
  if (old && !(ingress.status == old->status)) return ingress_status(ingress.status, old->status, errors);
  ingress_spec(ingress.spec, Path("spec"), errors);
  if (old) return;
  constexpr const char* kClass = "kubernetes.io/ingress.class";
  const auto given = ingress.metadata.annotations.find(kClass);
  if (given != ingress.metadata.annotations.end() && ingress.spec.ingressClassName && given->second != *ingress.spec.ingressClassName)
    errors.invalid(Path("annotations").child(kClass), given->second, "must match `ingressClassName` when both are specified");
}

void ingress_class(const networking::IngressClass& c, const networking::IngressClass* old, FieldErrors& errors) {
  object_meta(c.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  const Path controller("spec.controller");
  if (old && c.spec.controller != old->spec.controller) errors.invalid(controller, c.spec.controller, kImmutable);
  if (c.spec.controller.size() > kMaxController) errors.too_long(controller, kMaxController);
  prefixed_path(c.spec.controller, controller, errors);
  if (c.spec.parameters) class_parameters(*c.spec.parameters, Path("spec.parameters"), errors);
}

void network_policy(const networking::NetworkPolicy& policy, const networking::NetworkPolicy* old, FieldErrors& errors) {
  object_meta(policy.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  PolicyRules(old ? &old->spec : nullptr, errors).spec(policy.spec, Path("spec"));
}

void endpoint_slice(const discovery::EndpointSlice& slice, const discovery::EndpointSlice* old, FieldErrors& errors) {
  object_meta(slice.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  if (slice.addressType.empty()) {
    errors.required(Path("addressType"));
  } else {
    errors.one_of(Path("addressType"), slice.addressType, {"FQDN", "IPv4", "IPv6"});
  }
  slice_ports(slice.ports, Path("ports"), errors);
  const Path path("endpoints");
  if (!old || !(slice.endpoints == old->endpoints)) {
    if (slice.endpoints.size() > kMaxEndpoints) {
      errors.too_many(path, slice.endpoints.size(), kMaxEndpoints);
    } else {
      for (size_t i = 0; i < slice.endpoints.size(); ++i) slice_endpoint(slice.endpoints[i], slice.addressType, path.index(i), errors);
    }
  }
  if (old && slice.addressType != old->addressType) errors.invalid(Path("addressType"), slice.addressType, kImmutable);
}

}  // namespace knarr::schema::validation
