#include <fmt/format.h>

#include <map>
#include <set>

#include "knarr/codec/names.h"
#include "knarr/codec/quantity.h"
#include "schema/documents.h"
#include "schema/warnings.h"

namespace knarr::schema::warning {

namespace {

using json::Value;

std::string join(const std::string& path, std::string_view child) {
  return path.empty() ? std::string(child) : fmt::format("{}.{}", path, child);
}

constexpr std::pair<std::string_view, std::string_view> kNodeLabels[] = {
    {"beta.kubernetes.io/arch", R"(deprecated since v1.14; use "kubernetes.io/arch" instead)"},
    {"beta.kubernetes.io/os", R"(deprecated since v1.14; use "kubernetes.io/os" instead)"},
    {"failure-domain.beta.kubernetes.io/region",
     R"(deprecated since v1.17; use "topology.kubernetes.io/region" instead)"},
    {"failure-domain.beta.kubernetes.io/zone", R"(deprecated since v1.17; use "topology.kubernetes.io/zone" instead)"},
    {"beta.kubernetes.io/instance-type", R"(deprecated since v1.17; use "node.kubernetes.io/instance-type" instead)"},
    {"app.kubernetes.io/created-by", "deprecated since v1.9"},
    {"scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"},
    {"node-role.kubernetes.io/master", R"(use "node-role.kubernetes.io/control-plane" instead)"},
};

constexpr std::pair<std::string_view, std::string_view> kAnnotations[] = {
    {"scheduler.alpha.kubernetes.io/critical-pod",
     R"(non-functional in v1.16+; use the "priorityClassName" field instead)"},
    {"security.alpha.kubernetes.io/sysctls", R"(non-functional in v1.11+; use the "sysctls" field instead)"},
    {"security.alpha.kubernetes.io/unsafe-sysctls", R"(non-functional in v1.11+; use the "sysctls" field instead)"},
};

constexpr std::pair<std::string_view, std::string_view> kVolumes[] = {
    {"photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
    {"gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"},
    {"scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
    {"flocker", "deprecated in v1.22, non-functional in v1.25+"},
    {"storageos", "deprecated in v1.22, non-functional in v1.25+"},
    {"quobyte", "deprecated in v1.22, non-functional in v1.25+"},
    {"glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
    {"cephfs", "deprecated in v1.28, non-functional in v1.31+"},
    {"rbd", "deprecated in v1.28, non-functional in v1.31+"},
};
// Upstream names two of them by other words than the fields'.
std::string_view shown(std::string_view volume) { return volume == "storageos" ? "storageOS" : volume; }

void fractional(const Value& amounts, std::string_view name, const std::string& path, Warnings& out) {
  const std::string_view text = json::get_string(amounts, name);
  if (text.empty()) return;
  const Quantity amount = Quantity::parse_or_zero(text);
  if (amount.milli_value() % 1000 != 0)
    out.push_back(fmt::format("{}[{}]: fractional byte value \"{}\" is invalid, must be an integer", path, name,
                              amount.to_string()));
}

void annotation(const Value& annotations, const std::string& key, std::string_view what, const std::string& path,
                Warnings& out) {
  if (json::find(annotations, key))
    out.push_back(fmt::format("{}[{}]: {}", join(path, "metadata.annotations"), key, what));
}

void environment(const Value& container, const std::string& path, Warnings& out) {
  std::set<std::string_view> names;
  size_t index = 0;
  for (const Value& variable : items(container, "env")) {
    const size_t at = index++;
    const std::string_view name = json::get_string(variable, "name"), value = json::get_string(variable, "value");
    if (names.insert(name).second) continue;
    const std::string reference = fmt::format("$({})", name);
    const bool hides =
        json::find(variable, "valueFrom") || value == reference || value.find(reference) == std::string_view::npos;
    if (hides)
      out.push_back(fmt::format(
          "{}.env[{}]: hides previous definition of \"{}\", which may be dropped when using apply", path, at, name));
  }
}

void container(const Value& container, const Value& annotations, const Value& spec, const std::string& pod_path,
               const std::string& path, Warnings& out) {
  const std::string name(json::get_string(container, "name"));
  const Value& context = child(container, "securityContext");
  if (!json::find(context, "seccompProfile"))
    annotation(annotations, "container.seccomp.security.alpha.kubernetes.io/" + name,
               R"(non-functional in v1.27+; use the "seccompProfile" field instead)", pod_path, out);
  if (!pod_path.empty() && !json::find(context, "appArmorProfile") &&
      !json::find(spec, {"securityContext", "appArmorProfile"}))
    annotation(annotations, "container.apparmor.security.beta.kubernetes.io/" + name,
               R"(deprecated since v1.30; use the "appArmorProfile" field instead)", pod_path, out);
  const Value& resources = child(container, "resources");
  for (std::string_view resource : {"memory", "ephemeral-storage"}) {
    for (std::string_view side : {"limits", "requests"})
      fractional(child(resources, side), resource, fmt::format("{}.resources.{}", path, side), out);
  }
  environment(container, path, out);
}

struct Port {
  std::string path;
  std::string_view host_ip;
  int64_t host_port;
};

void ports(const std::vector<std::pair<const Value*, std::string>>& containers, Warnings& out) {
  std::map<std::pair<int64_t, std::string_view>, std::vector<Port>> by_number;
  for (const auto& [container, path] : containers) {
    size_t index = 0;
    for (const Value& port : items(*container, "ports")) {
      if (!json::get_string(port, "hostIP").empty() && json::get_int(port, "hostPort") == 0)
        out.push_back(fmt::format("{}.ports[{}]: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{}}}", path, index,
                                  json::get_string(port, "name"), json::get_int(port, "containerPort"), json::get_string(port, "protocol"),
                                  json::get_string(port, "hostIP")));
      const Port here{fmt::format("{}.ports[{}]", path, index++), json::get_string(port, "hostIP"),
                      json::get_int(port, "hostPort")};
      auto& others = by_number[{json::get_int(port, "containerPort"), json::get_string(port, "protocol")}];
      for (const Port& other : others) {
        if (here.host_ip == other.host_ip && here.host_port == other.host_port) {
          out.push_back(fmt::format("{}: duplicate port definition with {}", here.path, other.path));
        } else if (here.host_port == 0 || other.host_port == 0) {
          out.push_back(fmt::format("{}: overlapping port definition with {}", here.path, other.path));
        } else if (here.host_port == other.host_port && here.host_ip.empty() != other.host_ip.empty()) {
          out.push_back(fmt::format("{}: dangerously ambiguous port definition with {}", here.path, other.path));
        }
      }
      others.push_back(here);
    }
  }
  std::map<std::string_view, std::string> by_name;
  for (const auto& [container, path] : containers) {
    size_t index = 0;
    for (const Value& port : items(*container, "ports")) {
      const std::string here = fmt::format("{}.ports[{}]", path, index++);
      const std::string_view name = json::get_string(port, "name");
      if (name.empty()) continue;
      const auto [other, fresh] = by_name.emplace(name, here);
      if (!fresh)
        out.push_back(fmt::format(
            "{}: duplicate port name \"{}\" with {}, services and probes that select ports by name will use {}", here,
            name, other->second, other->second));
    }
  }
}

void affinity(const Value& affinity, const std::string& path, Warnings& out) {
  constexpr std::string_view kRequired = "requiredDuringSchedulingIgnoredDuringExecution",
                             kPreferred = "preferredDuringSchedulingIgnoredDuringExecution";
  for (std::string_view kind : {"podAffinity", "podAntiAffinity"}) {
    const Value& rules = child(affinity, kind);
    size_t index = 0;
    for (const Value& term : items(rules, kRequired)) {
      const size_t at = index++;
      if (!json::find(term, "labelSelector"))
        out.push_back(fmt::format("{}.{}.{}[{}].labelSelector: a null labelSelector results in matching no pod", path,
                                  kind, kRequired, at));
    }
    index = 0;
    for (const Value& term : items(rules, kPreferred)) {
      const size_t at = index++;
      if (!json::find(term, {"podAffinityTerm", "labelSelector"}))
        out.push_back(
            fmt::format("{}.{}.{}[{}].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod",
                        path, kind, kPreferred, at));
    }
  }
}

void node_affinity(const Value& spec, const std::string& path, Warnings& out) {
  const Value& rules = child(child(spec, "affinity"), "nodeAffinity");
  const std::string base = join(path, "spec.affinity.nodeAffinity.");
  size_t index = 0;
  for (const Value& term : items(child(rules, "requiredDuringSchedulingIgnoredDuringExecution"), "nodeSelectorTerms"))
    node_selector_term(
        term, false,
        fmt::format("{}requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{}]", base, index++), out);
  index = 0;
  for (const Value& term : items(rules, "preferredDuringSchedulingIgnoredDuringExecution"))
    node_selector_term(child(term, "preference"), true,
                       fmt::format("{}preferredDuringSchedulingIgnoredDuringExecution[{}].preference", base, index++),
                       out);
}

void topology_spread(const Value& spec, const std::string& path, Warnings& out) {
  size_t index = 0;
  for (const Value& constraint : items(spec, "topologySpreadConstraints")) {
    const std::string at = fmt::format("{}[{}]", join(path, "spec.topologySpreadConstraints"), index++);
    const std::string_view key = json::get_string(constraint, "topologyKey");
    if (const auto what = deprecated_node_label(key); !what.empty())
      out.push_back(fmt::format("{}.topologyKey: {} is {}", at, key, what));
    if (!json::find(constraint, "labelSelector"))
      out.push_back(fmt::format("{}.labelSelector: a null labelSelector results in matching no pod", at));
  }
}

void volumes(const Value& spec, const std::string& path, Warnings& out) {
  size_t index = 0;
  for (const Value& volume : items(spec, "volumes")) {
    const std::string at = fmt::format("{}[{}]", join(path, "spec.volumes"), index++);
    for (const auto& [kind, what] : kVolumes) {
      if (json::find(volume, kind)) out.push_back(fmt::format("{}.{}: {}", at, shown(kind), what));
    }
    if (const Value* claim = json::find(volume, {"ephemeral", "volumeClaimTemplate", "spec"}))
      claim_spec(*claim, at + ".ephemeral.volumeClaimTemplate.spec", out);
  }
}

// Items of a list that should differ in a member.
void duplicates(const Value& spec, std::string_view list, std::string_view member, const std::string& path,
                Warnings& out) {
  std::set<std::string_view> seen;
  size_t index = 0;
  for (const Value& item : items(spec, list)) {
    const size_t at = index++;
    const std::string_view text = json::get_string(item, member);
    if (!seen.insert(text).second)
      out.push_back(fmt::format("{}[{}].{}: duplicate {} \"{}\"", join(path, fmt::format("spec.{}", list)), at, member,
                                member, text));
  }
}

}  // namespace

std::string_view deprecated_node_label(std::string_view key) {
  for (const auto& [label, what] : kNodeLabels) {
    if (label == key) return what;
  }
  return {};
}

void node_selector_term(const Value& term, bool checks_values, const std::string& path, Warnings& out) {
  size_t index = 0;
  for (const Value& expression : items(term, "matchExpressions")) {
    const std::string at = fmt::format("{}.matchExpressions[{}]", path, index++);
    const std::string_view key = json::get_string(expression, "key");
    if (const auto what = deprecated_node_label(key); !what.empty())
      out.push_back(fmt::format("{}.key: {} is {}", at, key, what));
    if (!checks_values) continue;
    size_t number = 0;
    for (const Value& value : items(expression, "values")) {
      const size_t here = number++;
      if (!value.IsString()) continue;
      for (const std::string& problem : names::label_value(json::view(value)))
        out.push_back(fmt::format("{}.values[{}]: {} is invalid, {}", at, here, json::view(value), problem));
    }
  }
}

void claim_spec(const Value& spec, const std::string& path, Warnings& out) {
  for (std::string_view side : {"requests", "limits"})
    fractional(child(child(spec, "resources"), side), "storage", fmt::format("{}.resources.{}", path, side), out);
}

void ip(std::string_view address, const std::string& path, Warnings& out) {
  const auto canonical = names::canonical_ip(address);
  if (canonical && *canonical != address)
    out.push_back(fmt::format("{}: IPv6 address \"{}\" should be in RFC 5952 canonical format (\"{}\")", path, address,
                              *canonical));
}

void cidr(std::string_view range, const std::string& path, Warnings& out) {
  const size_t slash = range.find('/');
  const auto canonical = names::canonical_ip(range.substr(0, slash));
  if (!canonical || slash == std::string_view::npos || range.find(':') == std::string_view::npos) return;
  const std::string better = fmt::format("{}{}", *canonical, range.substr(slash));
  if (better != range)
    out.push_back(fmt::format("{}: IPv6 CIDR value \"{}\" should be in RFC 5952 canonical format (\"{}\")", path, range, better));
}

void pod(const Value& pod, const std::string& path, Warnings& out) {
  const Value& spec = child(pod, "spec");
  const Value& annotations = child(child(pod, "metadata"), "annotations");
  for (const auto& [key, _] : child(spec, "nodeSelector").GetObject()) {
    if (const auto what = deprecated_node_label(json::view(key)); !what.empty())
      out.push_back(fmt::format("{}[{}]: {}", join(path, "spec.nodeSelector"), json::view(key), what));
  }
  node_affinity(spec, path, out);
  topology_spread(spec, path, out);
  for (const auto& [key, what] : kAnnotations) annotation(annotations, std::string(key), what, path, out);
  volumes(spec, path, out);
  overlapping_paths(spec, out);
  duplicates(spec, "hostAliases", "ip", path, out);
  duplicates(spec, "imagePullSecrets", "name", path, out);
  size_t index = 0;
  for (const Value& secret : items(spec, "imagePullSecrets")) {
    const size_t at = index++;
    if (json::get_string(secret, "name").empty())
      out.push_back(fmt::format("{}[{}].name: invalid empty name \"\"", join(path, "spec.imagePullSecrets"), at));
  }
  for (std::string_view resource : {"memory", "ephemeral-storage"})
    fractional(child(spec, "overhead"), resource, join(path, "spec.overhead"), out);
  if (!json::find(spec, {"securityContext", "seccompProfile"}))
    annotation(annotations, "seccomp.security.alpha.kubernetes.io/pod",
               R"(non-functional in v1.27+; use the "seccompProfile" field instead)", path, out);
  std::vector<std::pair<const Value*, std::string>> containers;
  for (std::string_view list : {"initContainers", "containers", "ephemeralContainers"}) {
    index = 0;
    for (const Value& item : items(spec, list))
      containers.emplace_back(&item, fmt::format("{}.{}[{}]", join(path, "spec"), list, index++));
  }
  for (const auto& [item, at] : containers) container(*item, annotations, spec, path, at, out);
  ports(containers, out);
  if (json::get_int(spec, "terminationGracePeriodSeconds") < 0)
    out.push_back(fmt::format("{}: must be >= 0; negative values are invalid and will be treated as 1",
                              join(path, "spec.terminationGracePeriodSeconds")));
  affinity(child(spec, "affinity"), join(path, "spec.affinity"), out);
  index = 0;
  for (const Value& server : items(child(spec, "dnsConfig"), "nameservers")) {
    const std::string at = fmt::format("{}[{}]", join(path, "spec.dnsConfig.nameservers"), index++);
    if (server.IsString()) ip(json::view(server), at, out);
  }
  index = 0;
  for (const Value& alias : items(spec, "hostAliases"))
    ip(json::get_string(alias, "ip"), fmt::format("{}[{}].ip", join(path, "spec.hostAliases"), index++), out);
}

}  // namespace knarr::schema::warning
