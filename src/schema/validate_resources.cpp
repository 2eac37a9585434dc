// Amounts of resources, and references to fields of the pod (the downward API).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "schema/validate.h"

namespace knarr::schema::validation {
namespace {

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_huge_page(std::string_view name) { return name.starts_with("hugepages-"); }

bool is_native(std::string_view name) {
  return name.find('/') == std::string_view::npos || name.find("kubernetes.io/") != std::string_view::npos;
}

bool is_counted(const std::string& name) {
  return is_extended_resource(name) || is_one_of(name, {"pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
                                               "persistentvolumeclaims", "services.nodeports", "services.loadbalancers"});
}

void huge_page_amount(const std::string& name, const std::string& amount, const Path& path, FieldErrors& errors) {
  if (!is_huge_page(name)) return;
  auto page = Quantity::parse(std::string_view(name).substr(std::string_view("hugepages-").size()));
  int64_t size = page.ok() ? page->value() : 0;
  if (size <= 0 || Quantity::parse_or_zero(amount).value() % size != 0)
    errors.invalid(path, amount, fmt::format("{} is not positive integer multiple of {}", amount, name));
}

bool is_cpu_or_memory(std::string_view name) { return name == "cpu" || name == "memory"; }

// Each refers to a claim of the pod, or to one request of it, once.
void claims(const core::ResourceRequirements& r, const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  std::set<std::string> known, seen;
  for (const core::PodResourceClaim& claim : spec.resourceClaims) known.insert(claim.name);
  for (size_t i = 0; i < r.claims.size(); ++i) {
    const core::ResourceClaim& claim = r.claims[i];
    Path at = path.index(i);
    if (claim.name.empty()) {
      errors.required(at);
      continue;
    }
    if (seen.count(claim.name)) {
      errors.duplicate(at, claim.name);
    } else {
      std::string key = claim.name;
      if (!claim.request.empty()) {
        errors.invalid(at.child("request"), claim.request, names::dns1123_label(claim.request));
        key += "/" + claim.request;
      }
      if (seen.count(key)) {
        errors.duplicate(at, key);
      } else if (claim.request.empty()) {
        for (const std::string& other : seen) {
          if (other.starts_with(claim.name + "/")) errors.duplicate(at, claim.name);
        }
      }
      seen.insert(key);
    }
    if (!known.count(claim.name))
      errors.not_found(at, claim.name, known.empty() ? "must be one of the names in pod.spec.resourceClaims which is empty" : fmt::format("must be one of the names in pod.spec.resourceClaims: {}", fmt::join(known, ", ")));
  }
}

// What the downward API can tell.
struct FieldName {
  std::string_view name;
  bool in_env, in_volume;
};
constexpr FieldName kFields[] = {
    {"metadata.annotations", false, true}, {"metadata.labels", false, true}, {"metadata.name", true, true},
    {"metadata.namespace", true, true},    {"metadata.uid", true, true},     {"spec.nodeName", true, false},
    {"spec.restartPolicy", false, false},  {"spec.schedulerName", false, false}, {"spec.serviceAccountName", true, false},
    {"status.hostIP", true, false},        {"status.hostIPs", true, false},  {"status.phase", false, false},
    {"status.podIP", true, false},         {"status.podIPs", true, false},
};

void divisor(const core::ResourceFieldSelector& ref, const Path& path, FieldErrors& errors) {
  Quantity divisor = Quantity::parse_or_zero(ref.divisor);
  if (divisor.is_zero()) return;
  std::string text = divisor.to_string();
  auto ends_with = [&](std::string_view what) { return ref.resource == "limits." + std::string(what) || ref.resource == "requests." + std::string(what); };
  if (ends_with("cpu")) {
    if (!is_one_of(text, {"1m", "1"})) errors.invalid(path, ref.resource, "only divisor's values 1m and 1 are supported with the cpu resource");
    return;
  }
  std::string_view what = ends_with("memory")                ? "memory"
                          : ends_with("ephemeral-storage") ? "local ephemeral storage"
                          : ref.resource.find("hugepages-") != std::string::npos ? "hugepages"
                                                                                 : "";
  if (!what.empty() && !is_one_of(text, {"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"}))
    errors.invalid(path, ref.resource,
                   fmt::format("only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the {} resource", what));
}

}  // namespace

bool is_extended_resource(const std::string& name) {
  return !is_native(name) && !name.starts_with("requests.") && names::qualified_name("requests." + name).empty();
}

bool may_overcommit(std::string_view name) { return is_native(name) && !is_huge_page(name); }

bool is_standard_resource(std::string_view name, bool quota) {
  if (name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")) return true;
  if (name == "storage") return !quota;
  return is_one_of(name, {"cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage",
                          "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services", "replicationcontrollers",
                          "secrets", "persistentvolumeclaims", "configmaps", "services.nodeports", "services.loadbalancers"});
}

void resource_name(const std::string& name, const Path& path, FieldErrors& errors) {
  const auto problems = names::qualified_name(name);
  errors.invalid(path, name, problems);
  if (problems.empty() && name.find('/') == name.npos && !is_standard_resource(name, false))
    errors.invalid(path, name, "must be a standard resource type or fully qualified");
}

void container_resource_name(const std::string& name, const Path& path, FieldErrors& errors) {
  auto problems = names::qualified_name(name);
  errors.invalid(path, name, problems);
  bool standard = is_one_of(name, {"cpu", "memory", "ephemeral-storage"}) || is_huge_page(name);
  if (name.find('/') == std::string::npos) {
    if (standard) return;
    if (problems.empty()) errors.invalid(path, name, "must be a standard resource type or fully qualified");
    errors.invalid(path, name, "must be a standard resource for containers");
  } else if (!is_native(name) && !is_extended_resource(name)) {
    errors.invalid(path, name, "doesn't follow extended resource name standard");
  }
}

void resource_amount(const std::string& name, const std::string& amount, const Path& path, FieldErrors& errors) {
  Quantity quantity = Quantity::parse_or_zero(amount);
  if (quantity.sign() < 0) errors.invalid(path, amount, "must be greater than or equal to 0");
  if (is_counted(name) && quantity.milli_value() % 1000 != 0) errors.invalid(path, amount, "must be an integer");
}

void pod_level_resource_name(const std::string& name, const Path& path, FieldErrors& errors) {
  const size_t before = errors.count();
  resource_name(name, path, errors);
  if (errors.count() == before && !is_cpu_or_memory(name) && !is_huge_page(name)) errors.unsupported(path, name, {"cpu", "hugepages-", "memory"});
}

void resource_amounts(const Amounts& amounts, const Path& path, FieldErrors& errors, NameCheck names) {
  for (const auto& [name, amount] : amounts) {
    Path at = path.key(name);
    names(name, at, errors);
    resource_amount(name, amount, at, errors);
    huge_page_amount(name, amount, at, errors);
  }
}

void resource_requirements(const core::ResourceRequirements& r, const core::PodSpec& spec, const Path& path, FieldErrors& errors, NameCheck names) {
  Path limits = path.child("limits"), requests = path.child("requests");
  resource_amounts(r.limits, limits, errors, names);
  resource_amounts(r.requests, requests, errors, names);
  for (const auto& [name, amount] : r.requests) {
    auto limit = r.limits.find(name);
    if (limit == r.limits.end()) {
      if (!may_overcommit(name)) errors.required(limits, "Limit must be set for non overcommitable resources");
      continue;
    }
    Quantity asked = Quantity::parse_or_zero(amount), most = Quantity::parse_or_zero(limit->second);
    if (asked != most && !may_overcommit(name)) {
      errors.invalid(requests, amount, fmt::format("must be equal to {} limit of {}", name, limit->second));
    } else if (asked > most) {
      errors.invalid(requests, amount, fmt::format("must be less than or equal to {} limit of {}", name, limit->second));
    }
  }
  bool huge = false, cpu_or_memory = false;
  for (const Amounts* amounts : {&r.limits, &r.requests}) {
    for (const auto& [name, _] : *amounts) {
      huge = huge || is_huge_page(name);
      cpu_or_memory = cpu_or_memory || is_cpu_or_memory(name);
    }
  }
  if (huge && !cpu_or_memory) errors.forbidden(path, "HugePages require cpu or memory");
  claims(r, spec, path.child("claims"), errors);
}

void field_selector(const core::ObjectFieldSelector& ref, bool in_volume, const Path& path, FieldErrors& errors) {
  if (ref.apiVersion.empty()) return errors.required(path.child("apiVersion"));
  if (ref.fieldPath.empty()) return errors.required(path.child("fieldPath"));
  Path at = path.child("fieldPath");
  auto cannot_convert = [&](const std::string& why) { errors.invalid(at, ref.fieldPath, "error converting fieldPath: " + why); };
  if (ref.apiVersion != "v1") return cannot_convert("unsupported pod version: " + ref.apiVersion);
  std::string_view field = ref.fieldPath;
  size_t open = field.find("['");
  if (open != std::string_view::npos && field.ends_with("']")) {
    std::string key(field.substr(open + 2, field.size() - open - 4));
    field = field.substr(0, open);
    if (field != "metadata.annotations" && field != "metadata.labels")
      return cannot_convert("field label does not support subscript: " + ref.fieldPath);
    std::string lower = key;
    for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    const std::string& checked = field == "metadata.annotations" ? lower : key;
    return errors.invalid(path, checked, names::qualified_name(checked));
  }
  if (field == "spec.host") field = "spec.nodeName";
  for (const FieldName& known : kFields) {
    if (known.name != field) continue;
    if (in_volume ? known.in_volume : known.in_env) return;
    if (in_volume)
      return errors.unsupported(at, field, {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"});
    return errors.unsupported(at, field, {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
                                          "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"});
  }
  cannot_convert("field label not supported: " + ref.fieldPath);
}

void resource_field_selector(const core::ResourceFieldSelector& ref, bool in_volume, const Path& path, FieldErrors& errors) {
  if (in_volume && ref.containerName.empty()) {
    errors.required(path.child("containerName"));
  } else if (ref.resource.empty()) {
    errors.required(path.child("resource"));
  } else if (!ref.resource.starts_with("requests.hugepages-") && !ref.resource.starts_with("limits.hugepages-")) {
    errors.one_of(path.child("resource"), ref.resource,
                  {"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"});
  }
  divisor(ref, path.child("divisor"), errors);
}

}  // namespace knarr::schema::validation
