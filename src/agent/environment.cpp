#include "agent/environment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "agent/service_environment.h"
#include "knarr/codec/quantity.h"

namespace knarr::agent {

namespace {

// Go's %q, for the values of labels and annotations in downward API files.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (c < 0x20 || c == 0x7f) {
          out += fmt::format("\\x{:02x}", c);
        } else {
          out += static_cast<char>(c);
        }
    }
  }
  return out + '"';
}

std::string lines_of(const std::map<std::string, std::string>& map) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : map) lines.push_back(fmt::format("{}={}", key, quoted(value)));
  return fmt::format("{}", fmt::join(lines, "\n"));
}

// The key of a path like metadata.labels['key'].
std::optional<std::string> subscript(std::string_view path, std::string_view map) {
  if (!path.starts_with(map)) return {};
  path.remove_prefix(map.size());
  if (path.size() < 4 || !path.starts_with("['") || !path.ends_with("']")) return {};
  return std::string(path.substr(2, path.size() - 4));
}

void set_variable(Variables& variables, std::string name, std::string value) {
  for (auto& [known, old] : variables) {
    if (known == name) {
      old = std::move(value);
      return;
    }
  }
  variables.emplace_back(std::move(name), std::move(value));
}

// As the API has them: any printable characters but "=".
bool valid_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~' && c != '='; });
}

Status missing_key(std::string_view kind, std::string_view key, const std::string& ns, std::string_view name) {
  return not_found(fmt::format("couldn't find key {} in {} {}/{}", key, kind, ns, name));
}

class Builder {
 public:
  Builder(const PodFacts& facts, const core::Container& container, Sources& sources)
      : facts_(facts), container_(container), sources_(sources), ns_(facts.pod.metadata.namespace_) {}

  Result<Variables> build() {
    given_ = api_variables(facts_.api_host, facts_.api_port);
    if (facts_.pod.spec.enableServiceLinks.value_or(true)) {
      for (auto& [name, value] : service_variables(sources_.services(ns_)))
        if (!find_variable(given_, name)) given_.emplace_back(std::move(name), std::move(value));
    }
    for (const auto& from : container_.envFrom) KNARR_RETURN_IF_ERROR(take_all(from));
    for (const auto& variable : container_.env) KNARR_RETURN_IF_ERROR(take(variable));
    for (const auto& [name, value] : given_)
      if (!find_variable(variables_, name)) variables_.emplace_back(name, value);
    return std::move(variables_);
  }

 private:
  static constexpr seconds kFresh{0};

  Status take_all(const core::EnvFromSource& from) {
    if (from.configMapRef) {
      auto map = sources_.config_map(ns_, from.configMapRef->name, kFresh);
      if (!map.ok()) return unless_optional(std::move(map).status(), from.configMapRef->optional);
      for (const auto& [key, value] : (*map)->data) put(from.prefix + key, value);
    }
    if (from.secretRef) {
      auto secret = sources_.secret(ns_, from.secretRef->name, kFresh);
      if (!secret.ok()) return unless_optional(std::move(secret).status(), from.secretRef->optional);
      for (const auto& [key, value] : (*secret)->data) put(from.prefix + key, value);
    }
    return {};
  }

  std::optional<std::string> known(std::string_view name) const {
    if (auto value = find_variable(variables_, name)) return value;
    return find_variable(given_, name);
  }

  void put(std::string name, std::string value) {
    if (valid_name(name)) set_variable(variables_, std::move(name), std::move(value));
  }

  static Status unless_optional(Status status, const std::optional<bool>& optional) {
    if (status.is(reason::kNotFound) && optional.value_or(false)) return {};
    return status;
  }

  Status take(const core::EnvVar& variable) {
    if (!variable.valueFrom) {
      put(variable.name,
          expand(variable.value, [&](std::string_view name) { return known(name); }));
      return {};
    }
    const core::EnvVarSource& from = *variable.valueFrom;
    if (from.fieldRef) {
      KNARR_ASSIGN(std::string text, field_text(facts_, from.fieldRef->fieldPath, false));
      put(variable.name, std::move(text));
    } else if (from.resourceFieldRef) {
      KNARR_ASSIGN(std::string text, resource_text(facts_, *from.resourceFieldRef, container_.name));
      put(variable.name, std::move(text));
    } else if (from.configMapKeyRef) {
      const auto& ref = *from.configMapKeyRef;
      auto map = sources_.config_map(ns_, ref.name, kFresh);
      if (!map.ok()) return unless_optional(std::move(map).status(), ref.optional);
      auto it = (*map)->data.find(ref.key);
      if (it == (*map)->data.end())
        return unless_optional(missing_key("ConfigMap", ref.key, ns_, ref.name), ref.optional);
      put(variable.name, it->second);
    } else if (from.secretKeyRef) {
      const auto& ref = *from.secretKeyRef;
      auto secret = sources_.secret(ns_, ref.name, kFresh);
      if (!secret.ok()) return unless_optional(std::move(secret).status(), ref.optional);
      auto it = (*secret)->data.find(ref.key);
      if (it == (*secret)->data.end())
        return unless_optional(missing_key("Secret", ref.key, ns_, ref.name), ref.optional);
      put(variable.name, it->second);
    }
    return {};
  }

  const PodFacts& facts_;
  const core::Container& container_;
  Sources& sources_;
  const std::string& ns_;
  Variables given_;  // what a container has where it says nothing else
  Variables variables_;
};

}  // namespace

std::string expand(std::string_view text,
                   const std::function<std::optional<std::string>(std::string_view name)>& lookup) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    char next = text[i + 1];
    if (next == '$') {
      out += '$';
      ++i;
      continue;
    }
    size_t close = next == '(' ? text.find(')', i + 2) : std::string_view::npos;
    if (close == std::string_view::npos) {
      out += '$';
      continue;
    }
    std::string_view name = text.substr(i + 2, close - i - 2);
    auto value = lookup(name);
    out += value ? *value : fmt::format("$({})", name);
    i = close;
  }
  return out;
}

Result<std::string> field_text(const PodFacts& facts, const std::string& path, bool whole_maps) {
  const auto& meta = facts.pod.metadata;
  const auto& spec = facts.pod.spec;
  auto value_in = [](const std::map<std::string, std::string>& map, const std::string& key) {
    auto it = map.find(key);
    return it == map.end() ? std::string() : it->second;
  };
  if (auto key = subscript(path, "metadata.labels")) return value_in(meta.labels, *key);
  if (auto key = subscript(path, "metadata.annotations")) return value_in(meta.annotations, *key);
  if (whole_maps && path == "metadata.labels") return lines_of(meta.labels);
  if (whole_maps && path == "metadata.annotations") return lines_of(meta.annotations);
  if (path == "metadata.name") return meta.name;
  if (path == "metadata.namespace") return meta.namespace_;
  if (path == "metadata.uid") return meta.uid;
  if (path == "spec.nodeName") return spec.nodeName;
  if (path == "spec.serviceAccountName") return spec.serviceAccountName;
  if (path == "status.hostIP" || path == "status.hostIPs") return facts.host_ip;
  if (path == "status.podIP") return facts.pod_ips.empty() ? std::string() : facts.pod_ips.front();
  if (path == "status.podIPs") return fmt::format("{}", fmt::join(facts.pod_ips, ","));
  return bad_request(fmt::format("unsupported fieldPath: {}", path));
}

Result<std::string> resource_text(const PodFacts& facts, const core::ResourceFieldSelector& selector,
                                  const std::string& own_name) {
  const std::string& name = selector.containerName.empty() ? own_name : selector.containerName;
  const FoundContainer container = find_container(facts.pod.spec, name);
  if (!container) return not_found(fmt::format("container {} not found", name));
  auto dot = selector.resource.find('.');
  std::string kind = selector.resource.substr(0, dot);
  std::string resource = dot == std::string::npos ? "" : selector.resource.substr(dot + 1);
  if ((kind != "limits" && kind != "requests") || resource.empty()) {
    return bad_request(fmt::format("unsupported container resource : {}", selector.resource));
  }
  const auto& amounts = kind == "limits" ? container->resources.limits : container->resources.requests;
  std::string text;
  if (auto it = amounts.find(resource); it != amounts.end()) {
    text = it->second;
  } else if (kind == "limits") {
    if (auto node = facts.node_allocatable.find(resource); node != facts.node_allocatable.end()) text = node->second;
  }
  Quantity amount = Quantity::parse_or_zero(text);
  Quantity divisor = Quantity::parse_or_zero(selector.divisor);
  if (divisor.is_zero()) divisor = Quantity(1);
  if (resource == "cpu") {
    int64_t unit = std::max<int64_t>(divisor.milli_value(), 1);
    return std::to_string((amount.milli_value() + unit - 1) / unit);
  }
  int64_t unit = std::max<int64_t>(divisor.value(), 1);
  int64_t value = amount.value();
  return std::to_string(value / unit + (value % unit != 0 ? 1 : 0));
}

Result<Variables> make_environment(const PodFacts& facts, const core::Container& container, Sources& sources) {
  return Builder(facts, container, sources).build();
}

std::optional<std::string> find_variable(const Variables& variables, std::string_view name) {
  for (const auto& [known, value] : variables) {
    if (known == name) return value;
  }
  return {};
}

}  // namespace knarr::agent
