// LimitRanges and ResourceQuotas (upstream: pkg/apis/core/validation).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "schema/go_json.h"
#include "schema/validate.h"

namespace knarr::schema::validation {

namespace {

constexpr std::string_view kNotForPods = "may not be specified when `type` is 'Pod'";
constexpr int64_t kMaxMilliValue = INT64_MAX / 1000;

void limit_type(const std::string& type, const Path& path, FieldErrors& errors) {
  const auto problems = names::qualified_name(type);
  errors.invalid(path, type, problems);
  const bool standard = type == "Pod" || type == "Container" || type == "PersistentVolumeClaim";
  if (problems.empty() && type.find('/') == type.npos && !standard)
    errors.invalid(path, type, "must be a standard limit type or fully qualified");
}

void amount_names(const core::LimitRangeItem& limit, const Amounts& amounts, const Path& path, FieldErrors& errors) {
  for (const auto& [name, amount] : amounts) {
    if (limit.type == "Pod" || limit.type == "Container") {
      container_resource_name(name, path.key(name), errors);
    } else {
      resource_name(name, path.key(name), errors);
    }
  }
}

// The amounts of one resource in a limit.
class LimitOf {
 public:
  LimitOf(const core::LimitRangeItem& limit, const std::string& name, const Path& path, FieldErrors& errors)
      : limit_(limit), name_(name), path_(path), errors_(errors) {}

  void check() {
    const bool pod = limit_.type == "Pod";
    const auto min = amount(limit_.min), max = amount(limit_.max), ratio = amount(limit_.maxLimitRequestRatio);
    const auto preset = pod ? std::nullopt : amount(limit_.default_), request = pod ? std::nullopt : amount(limit_.defaultRequest);
    const Named low{"min value", min}, high{"max value", max}, asked{"default request value", request};
    ordered(low, high, "min", Show::kLow);
    ordered(low, asked, "defaultRequest", Show::kHigh);
    ordered(asked, high, "defaultRequest", Show::kLow);
    ordered(asked, {"default limit value", preset}, "defaultRequest", Show::kLow);
    ordered(low, {"default value", preset}, "default", Show::kLow);
    ordered({"default value", preset}, high, "default", Show::kHigh);
    if (ratio) check_ratio(*ratio, min, max);
    if (!may_overcommit(name_) && preset && request && *preset != *request)
      bad("defaultRequest", *request, fmt::format("default value {} must equal to defaultRequest value {} in {}", preset->to_string(), request->to_string(), name_));
  }

 private:
  std::optional<Quantity> amount(const Amounts& amounts) const {
    const auto it = amounts.find(name_);
    if (it == amounts.end()) return std::nullopt;
    return Quantity::parse_or_zero(it->second);
  }

  void bad(std::string_view field, const Quantity& shown, const std::string& why) {
    errors_.invalid(path_.child(field).key(name_), shown.to_string(), why);
  }

  struct Named {
    std::string_view name;
    std::optional<Quantity> amount;
  };
  enum class Show { kLow, kHigh };  // the value that the error tells

  void ordered(const Named& low, const Named& high, std::string_view field, Show shown) {
    if (!low.amount || !high.amount || *low.amount <= *high.amount) return;
    bad(field, shown == Show::kLow ? *low.amount : *high.amount,
        fmt::format("{} {} is greater than {} {}", low.name, low.amount->to_string(), high.name, high.amount->to_string()));
  }

  void check_ratio(const Quantity& ratio, const std::optional<Quantity>& min, const std::optional<Quantity>& max) {
    if (ratio < Quantity(1)) bad("maxLimitRequestRatio", ratio, fmt::format("ratio {} is less than 1", ratio.to_string()));
    if (!min || !max) return;
    double value = static_cast<double>(ratio.value()), low = static_cast<double>(min->value()), high = static_cast<double>(max->value());
    if (ratio.value() < kMaxMilliValue && min->value() < kMaxMilliValue && max->value() < kMaxMilliValue) {
      value = static_cast<double>(ratio.milli_value()) / 1000;
      low = static_cast<double>(min->milli_value());
      high = static_cast<double>(max->milli_value());
    }
    const double most = high / low;
    if (value > most)
      bad("maxLimitRequestRatio", ratio, fmt::format("ratio {} is greater than max/min = {:f}", ratio.to_string(), most));
  }

  const core::LimitRangeItem& limit_;
  const std::string& name_;
  const Path& path_;
  FieldErrors& errors_;
};

void limit(const core::LimitRangeItem& limit, const Path& path, FieldErrors& errors) {
  std::set<std::string> resources;
  auto amounts = [&](const Amounts& amounts, std::string_view field) {
    amount_names(limit, amounts, path.child(field), errors);
    for (const auto& [name, amount] : amounts) resources.insert(name);
  };
  amounts(limit.max, "max");
  amounts(limit.min, "min");
  if (limit.type == "Pod") {
    if (!limit.default_.empty()) errors.forbidden(path.child("default"), kNotForPods);
    if (!limit.defaultRequest.empty()) errors.forbidden(path.child("defaultRequest"), kNotForPods);
  } else {
    amounts(limit.default_, "default");
    amounts(limit.defaultRequest, "defaultRequest");
  }
  if (limit.type == "PersistentVolumeClaim" && !limit.min.count("storage") && !limit.max.count("storage"))
    errors.required(path.child("limits"), "either minimum or maximum storage value is required, but neither was provided");
  amounts(limit.maxLimitRequestRatio, "maxLimitRequestRatio");
  for (const std::string& name : resources) LimitOf(limit, name, path, errors).check();
}

void quota_amounts(const Amounts& amounts, const Path& path, FieldErrors& errors) {
  for (const auto& [name, amount] : amounts) {
    const Path at = path.key(name);
    resource_name(name, at, errors);
    if (name.find('/') == name.npos && !is_standard_resource(name, true)) errors.invalid(at, name, "must be a standard resource for quota");
    resource_amount(name, amount, at, errors);
  }
}

bool is_scope(std::string_view scope) {
  constexpr std::string_view kScopes[] = {"Terminating",   "NotTerminating", "BestEffort", "NotBestEffort",
                                          "PriorityClass", "CrossNamespacePodAffinity", "VolumeAttributesClass"};
  return std::find(std::begin(kScopes), std::end(kScopes), scope) != std::end(kScopes);
}

bool scope_has(std::string_view scope, std::string_view resource) {
  if (scope == "BestEffort") return resource == "pods";
  if (scope == "VolumeAttributesClass") return resource == "persistentvolumeclaims" || resource == "requests.storage";
  if (!is_scope(scope)) return true;
  constexpr std::string_view kOfPods[] = {"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"};
  return std::find(std::begin(kOfPods), std::end(kOfPods), resource) != std::end(kOfPods);
}

size_t unfit_resources(const core::ResourceQuotaSpec& spec, std::string_view scope) {
  return static_cast<size_t>(std::count_if(spec.hard.begin(), spec.hard.end(), [&](const auto& pair) {
    return is_standard_resource(pair.first, true) && !scope_has(scope, pair.first);
  }));
}

void conflicting_scopes(const std::set<std::string>& scopes, const core::ResourceQuotaSpec& spec, const Path& path, FieldErrors& errors) {
  for (const auto& [a, b] : {std::pair("BestEffort", "NotBestEffort"), std::pair("Terminating", "NotTerminating")}) {
    if (scopes.count(a) && scopes.count(b)) errors.invalid_json(path, list_json(spec.scopes), "conflicting scopes");
  }
}

void scope_selector(const core::ResourceQuotaSpec& spec, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (const auto& r : spec.scopeSelector->matchExpressions) {
    if (!is_scope(r.scopeName)) errors.invalid(path.child("scopeName"), r.scopeName, "unsupported scope");
    for (size_t i = unfit_resources(spec, r.scopeName); i > 0; --i)
      errors.invalid_json(path, go_json(*spec.scopeSelector), "unsupported scope applied to resource");
    const bool only_exists = is_scope(r.scopeName) && r.scopeName != "PriorityClass" && r.scopeName != "VolumeAttributesClass";
    if (only_exists && r.operator_ != "Exists")
      errors.invalid(path.child("operator"), r.operator_,
                     "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                     "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
    if (r.operator_ == "In" || r.operator_ == "NotIn") {
      if (r.values.empty())
        errors.required(path.child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
    } else if (r.operator_ == "Exists" || r.operator_ == "DoesNotExist") {
      if (!r.values.empty())
        errors.invalid_json(path.child("values"), list_json(r.values), "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
    } else {
      errors.invalid(path.child("operator"), r.operator_, "not a valid selector operator");
    }
    seen.insert(r.scopeName);
  }
  conflicting_scopes(seen, spec, path, errors);
}

void quota_spec(const core::ResourceQuotaSpec& spec, const Path& path, FieldErrors& errors) {
  quota_amounts(spec.hard, path.child("hard"), errors);
  const Path scopes = path.child("scopes");
  for (const std::string& scope : spec.scopes) {
    if (!is_scope(scope)) errors.invalid_json(scopes, list_json(spec.scopes), "unsupported scope");
    for (size_t i = unfit_resources(spec, scope); i > 0; --i)
      errors.invalid_json(scopes, list_json(spec.scopes), "unsupported scope applied to resource");
  }
  conflicting_scopes({spec.scopes.begin(), spec.scopes.end()}, spec, scopes, errors);
  if (spec.scopeSelector) scope_selector(spec, path.child("scopeSelector", "matchExpressions"), errors);
}

}  // namespace

void limit_range(const core::LimitRange& range, const core::LimitRange* old, FieldErrors& errors) {
  object_meta(range.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  std::set<std::string> types;
  for (size_t i = 0; i < range.spec.limits.size(); ++i) {
    const auto& item = range.spec.limits[i];
    const Path at = Path("spec.limits").index(i);
    limit_type(item.type, at.child("type"), errors);
    if (!types.insert(item.type).second) errors.duplicate(at.child("type"), item.type);
    limit(item, at, errors);
  }
}

void resource_quota(const core::ResourceQuota& quota, const core::ResourceQuota* old, FieldErrors& errors) {
  object_meta(quota.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  const bool status_only = old && !(quota.status == old->status);
  if (!status_only) quota_spec(quota.spec, Path("spec"), errors);
  if (!old || status_only) {
    quota_amounts(quota.status.hard, Path("status.hard"), errors);
    quota_amounts(quota.status.used, Path("status.used"), errors);
  }
  if (!old) return;
  const std::set<std::string> now(quota.spec.scopes.begin(), quota.spec.scopes.end()), before(old->spec.scopes.begin(), old->spec.scopes.end());
  if (now != before) errors.invalid_json(Path("spec.scopes"), list_json(quota.spec.scopes), kImmutable);
}

}  // namespace knarr::schema::validation
