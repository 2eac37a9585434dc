// Slices with the devices of a pool (upstream: pkg/apis/resource/validation).
#include <fmt/format.h>

#include <algorithm>

#include "schema/go_json.h"
#include "schema/pattern.h"
#include "schema/validate_devices.h"

namespace knarr::schema::validation {

namespace resource = api::resource::v1;

namespace {

constexpr size_t kMaxDevices = 128, kMaxAdvancedDevices = 64, kMaxCounterSets = 8, kMaxCounters = 32, kMaxConsumptions = 2, kMaxTaints = 16;
constexpr size_t kMaxAttributesAndCapacities = 32, kMaxAttributeValues = 48, kMaxValue = 64, kMaxValidValues = 10;
constexpr size_t kMaxKey = 63 + 1 + 32, kMaxLabel = 63;

std::string shortened(const std::string& key, size_t max) {
  if (key.size() <= max) return key;
  const size_t rest = max - 3;
  return key.substr(0, (rest + 1) / 2) + "..." + key.substr(key.size() - rest / 2);
}

void version(const std::string& text, const Path& path, FieldErrors& errors) {
  static const Pattern semver(
      "^(0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*)(-(0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)(\\.(0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
      "(\\+[0-9a-zA-Z-]+(\\.[0-9a-zA-Z-]+)*)?$");
  if (!semver.found_in(text)) errors.invalid(path, text, "must be a string compatible with semver.org spec 2.0.0");
  if (text.size() > kMaxValue) errors.too_long(path, kMaxValue);
}

// As upstream's internal structure, whose members have other names.
std::string shown(const resource::DeviceAttribute& a) {
  const auto text = [](const std::optional<std::string>& value) {
    std::string out = value ? "" : "null";
    if (value) json::append_quoted(out, *value);
    return out;
  };
  return fmt::format("{{\"IntValue\":{},\"BoolValue\":{},\"StringValue\":{},\"VersionValue\":{},\"IntValues\":null,\"BoolValues\":null,\"StringValues\":null,\"VersionValues\":null}}",
                     a.int_ ? std::to_string(*a.int_) : "null", a.bool_ ? (*a.bool_ ? "true" : "false") : "null", text(a.string), text(a.version));
}

void attribute(const resource::DeviceAttribute& a, const Path& path, FieldErrors& errors) {
  const int set = (a.int_ ? 1 : 0) + (a.bool_ ? 1 : 0) + (a.string ? 1 : 0) + (a.version ? 1 : 0);
  if (a.string && a.string->size() > kMaxValue) errors.too_long(path.child("string"), kMaxValue);
  if (a.version) version(*a.version, path.child("version"), errors);
  if (set == 0) errors.invalid(path, "", "exactly one value must be specified");
  if (set > 1) errors.invalid_json(path, shown(a), "exactly one value must be specified");
}

void valid_values(const Quantity& wanted, const Quantity& capacity, const std::vector<std::string>& texts, const Path& path, FieldErrors& errors) {
  std::vector<Quantity> values;
  for (const std::string& text : texts) values.push_back(Quantity::parse_or_zero(text));
  for (size_t i = 1; i < values.size(); ++i)
    if (values[i - 1] > values[i]) errors.invalid(path.index(i), values[i].to_string(), "values must be sorted in ascending order");
  const auto check = [&](const Quantity& value, const Path& at) {
    if (value > capacity) errors.invalid(at, value.to_string(), "option is larger than capacity value: " + capacity.to_string());
  };
  each_once(values, kMaxValidValues, path, errors, check, [](const Quantity& value) { return std::to_string(value.value()); });
  const bool looked_at = values.size() <= kMaxValidValues;
  if (!looked_at || std::find(values.begin(), values.end(), wanted) == values.end())
    errors.invalid(path, wanted.to_string(), "default value is not valid according to the requestPolicy");
}

void step_reaches(const Quantity& value, const Quantity& min, const Quantity& step, const Path& path, FieldErrors& errors) {
  if (step.value() == 0 || (value.value() - min.value()) % step.value() == 0) return;
  errors.invalid(path, value.to_string(), fmt::format("value is not a multiple of a given step ({}) from ({})", step.to_string(), min.to_string()));
}

void valid_range(const Quantity& wanted, const Quantity& capacity, const resource::CapacityRequestPolicyRange& range, const Path& path, FieldErrors& errors) {
  const Path min_path = path.child("min"), max_path = path.child("max"), step_path = path.child("step");
  if (!range.min) return errors.required(min_path, "required when validRange is defined");
  const Quantity min = Quantity::parse_or_zero(*range.min);
  if (min > capacity) errors.invalid(min_path, min.to_string(), "min is larger than capacity value: " + capacity.to_string());
  if (wanted < min) errors.invalid(min_path, wanted.to_string(), "default is less than min: " + min.to_string());
  if (range.max) {
    const Quantity max = Quantity::parse_or_zero(*range.max);
    if (min > max) errors.invalid(max_path, min.to_string(), "min is larger than max: " + max.to_string());
    if (max > capacity) errors.invalid(max_path, max.to_string(), "max is larger than capacity value: " + capacity.to_string());
    if (wanted > max) errors.invalid(max_path, wanted.to_string(), "default is more than max: " + max.to_string());
  }
  if (!range.step) return;
  const Quantity step = Quantity::parse_or_zero(*range.step), first = min + step;
  if (first > capacity)
    errors.invalid(step_path, step.to_string(), fmt::format("one step {} is larger than capacity value: {}", first.to_string(), capacity.to_string()));
  step_reaches(wanted, min, step, step_path, errors);
  if (range.max) step_reaches(Quantity::parse_or_zero(*range.max), min, step, step_path, errors);
}

void request_policy(const resource::DeviceCapacity& capacity, const Path& path, FieldErrors& errors) {
  const resource::CapacityRequestPolicy& policy = *capacity.requestPolicy;
  const bool values = !policy.validValues.empty(), range = static_cast<bool>(policy.validRange);
  if (values && range)
    return errors.forbidden(path, "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time");
  if (!values && !range) return;
  if (!policy.default_) return errors.required(path.child("default"), values ? "required when validValues is defined" : "required when validRange is defined");
  const Quantity wanted = Quantity::parse_or_zero(*policy.default_), all = Quantity::parse_or_zero(capacity.value);
  if (values) return valid_values(wanted, all, policy.validValues, path.child("validValues"), errors);
  valid_range(wanted, all, *policy.validRange, path.child("validRange"), errors);
}

void counters(const std::map<std::string, resource::Counter>& counters, const Path& path, FieldErrors& errors) {
  if (counters.empty()) return errors.required(path);
  if (counters.size() > kMaxCounters) return errors.too_many(path, counters.size(), kMaxCounters);
  for (const auto& [name, counter] : counters) errors.invalid(path, name, names::dns1123_label(name));
}

void counter_name(const std::string& name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return errors.required(path);
  errors.invalid(path, name, names::dns1123_label(name));
}

void taint(const resource::DeviceTaint& t, const Path& path, FieldErrors& errors) {
  errors.invalid(path.child("key"), t.key, names::qualified_name(t.key));
  errors.invalid(path.child("value"), t.value, names::label_value(t.value));
  if (t.effect.empty()) return errors.required(path.child("effect"));
  errors.one_of(path.child("effect"), t.effect, {"NoExecute", "NoSchedule", "None"});
}

// Which of nodeName, nodeSelector and allNodes are set. An empty name is told as `empty`.
template <typename Object>
std::vector<std::string> chosen_nodes(const Object& object, std::string_view empty, const Path& path, FieldErrors& errors) {
  std::vector<std::string> set;
  if (object.nodeName && !object.nodeName->empty()) {
    set.emplace_back("`nodeName`");
    errors.invalid(path.child("nodeName"), *object.nodeName, names::dns1123_subdomain(*object.nodeName));
  } else if (object.nodeName) {
    errors.invalid(path.child("nodeName"), "", empty);
  }
  if (object.nodeSelector) {
    set.emplace_back("`nodeSelector`");
    node_selector(*object.nodeSelector, path.child("nodeSelector"), errors);
    if constexpr (std::is_same_v<Object, resource::ResourceSliceSpec>) {
      const auto& terms = object.nodeSelector->nodeSelectorTerms;
      std::vector<std::string> texts;
      for (const auto& term : terms) texts.push_back(go_json(term));
      if (terms.size() != 1)
        errors.invalid_json(path.child("nodeSelector", "nodeSelectorTerms"), fmt::format("[{}]", fmt::join(texts, ",")), "must have exactly one node selector term");
    }
  }
  if (object.allNodes && *object.allNodes) set.emplace_back("`allNodes`");
  if (object.allNodes && !*object.allNodes) errors.invalid(path.child("allNodes"), false, "must be either unset or set to true");
  return set;
}

std::string braced(const std::vector<std::string>& fields) { return fmt::format("{{{}}}", fmt::join(fields, ", ")); }

void nodes_of_device(const resource::Device& device, bool each_device, const Path& path, FieldErrors& errors) {
  constexpr std::string_view kOne =
      "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
  if (each_device) {
    const auto set = chosen_nodes(device, "must not be empty", path, errors);
    if (set.empty()) errors.required(path, kOne);
    if (set.size() > 1) errors.invalid(path, braced(set), kOne);
  } else if (device.nodeName || device.nodeSelector || device.allNodes) {
    errors.invalid_json(path, "null", "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec");
  }
}

void device(const resource::Device& d, const resource::Device* old, bool each_device, const Path& path, FieldErrors& errors) {
  errors.invalid(path.child("name"), d.name, names::dns1123_label(d.name));
  const size_t entries = d.attributes.size() + d.capacity.size();
  if (entries > kMaxAttributesAndCapacities)
    errors.invalid_json(path, std::to_string(entries), fmt::format("the total number of attributes and capacities must not exceed {}", kMaxAttributesAndCapacities));
  if (d.attributes.size() > kMaxAttributeValues)
    errors.invalid_json(path, std::to_string(d.attributes.size()), fmt::format("the total number of attribute values must not exceed {}", kMaxAttributeValues));
  for (const auto& [name, value] : d.attributes) {
    device_qualified_name(name, path.child("attributes"), errors);
    attribute(value, path.child("attributes").key(shortened(name, kMaxKey)), errors);
  }
  for (const auto& [name, capacity] : d.capacity) {
    device_qualified_name(name, path.child("capacity"), errors);
    const Path policy = path.child("capacity").key(shortened(name, kMaxKey)).child("requestPolicy");
    if (!capacity.requestPolicy) continue;
    if (d.allowMultipleAllocations.value_or(false)) {
      request_policy(capacity, policy, errors);
    } else {
      errors.forbidden(policy, "allowMultipleAllocations must be true");
    }
  }
  if (!old || !(old->taints == d.taints))
    each(d.taints, kMaxTaints, path.child("taints"), errors, [&](const resource::DeviceTaint& t, const Path& at) { taint(t, at, errors); });
  const auto consumption = [&](const resource::DeviceCounterConsumption& c, const Path& at) {
    counter_name(c.counterSet, at.child("counterSet"), errors);
    counters(c.counters, at.child("counters"), errors);
  };
  each_once(d.consumesCounters, kMaxConsumptions, path.child("consumesCounters"), errors, consumption, [](const auto& c) { return c.counterSet; });
  nodes_of_device(d, each_device, path, errors);
  binding_conditions(d.bindingConditions, d.bindingFailureConditions, path, errors);
}

template <typename T>
void immutable(const T& now, const T& before, const std::string& json, const Path& path, FieldErrors& errors) {
  if (!(now == before)) errors.invalid_json(path, json, kImmutable);
}

void nodes_of_slice(const resource::ResourceSliceSpec& spec, const Path& path, FieldErrors& errors) {
  constexpr std::string_view kOne = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
  auto set = chosen_nodes(spec, "must be either unset or set to a non-empty string", path, errors);
  if (spec.perDeviceNodeSelection && *spec.perDeviceNodeSelection) {
    set.emplace_back("`perDeviceNodeSelection`");
  } else if (spec.perDeviceNodeSelection) {
    errors.invalid(path.child("perDeviceNodeSelection"), false, "must be either unset or set to true");
  }
  if (set.empty()) errors.required(path, kOne);
  if (set.size() > 1) errors.invalid(path, braced(set), fmt::format("{}, but multiple fields are set", kOne));
}

}  // namespace

void resource_slice(const resource::ResourceSlice& slice, const resource::ResourceSlice* old, FieldErrors& errors) {
  object_meta(slice.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  const Path path("spec"), pool = path.child("pool");
  const resource::ResourceSliceSpec& spec = slice.spec;
  csi_driver_name(spec.driver, path.child("driver"), errors);
  pool_name(spec.pool.name, pool.child("name"), errors);
  if (spec.pool.resourceSliceCount <= 0) errors.invalid(pool.child("resourceSliceCount"), spec.pool.resourceSliceCount, "must be greater than zero");
  if (spec.pool.generation < 0) errors.invalid(pool.child("generation"), spec.pool.generation, "must be greater than or equal to zero");
  if (old) {
    immutable(spec.pool.name, old->spec.pool.name, quoted(spec.pool.name), pool.child("name"), errors);
    immutable(spec.driver, old->spec.driver, quoted(spec.driver), path.child("driver"), errors);
    immutable(spec.nodeName, old->spec.nodeName, spec.nodeName ? quoted(*spec.nodeName) : "null", path.child("nodeName"), errors);
  }
  nodes_of_slice(spec, path, errors);
  if (!spec.sharedCounters.empty() && !spec.devices.empty()) errors.invalid(path, "", "only one of `sharedCounters` or `devices` is allowed");
  const bool advanced = std::any_of(spec.devices.begin(), spec.devices.end(), [](const auto& d) { return !d.taints.empty() || !d.consumesCounters.empty(); });
  const auto check = [&](const resource::Device& d, const Path& at) {
    const resource::Device* before = nullptr;
    if (old) {
      const auto found = std::find_if(old->spec.devices.begin(), old->spec.devices.end(), [&](const auto& known) { return known.name == d.name; });
      if (found != old->spec.devices.end()) before = &*found;
    }
    device(d, before, spec.perDeviceNodeSelection.value_or(false), at, errors);
  };
  each_once(spec.devices, advanced ? kMaxAdvancedDevices : kMaxDevices, path.child("devices"), errors, check, [](const auto& d) { return d.name; });
  const auto check_set = [&](const resource::CounterSet& set, const Path& at) {
    counter_name(set.name, at.child("name"), errors);
    counters(set.counters, at.child("counters"), errors);
  };
  each_once(spec.sharedCounters, kMaxCounterSets, path.child("sharedCounters"), errors, check_set, [](const auto& set) { return set.name; });
}

}  // namespace knarr::schema::validation
