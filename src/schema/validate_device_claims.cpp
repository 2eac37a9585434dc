// Claims for devices, their templates and classes of devices (upstream: pkg/apis/resource/validation). Expressions are not compiled.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "knarr/codec/json.h"
#include "schema/go_json.h"
#include "schema/validate_addresses.h"
#include "schema/validate_devices.h"

namespace knarr::schema::validation {

namespace resource = api::resource::v1;

namespace {

constexpr size_t kMaxRequests = 32, kMaxConstraints = 32, kMaxConfigs = 32, kMaxSelectors = 32, kMaxAlternatives = 8, kMaxResults = 32;
constexpr size_t kMaxReservedFor = 256, kMaxConditions = 8, kMaxIps = 16, kMaxInterfaceName = 256, kMaxHardwareAddress = 128;
constexpr size_t kMaxExpression = 10 * 1024, kMaxParameters = 10 * 1024, kMaxName = 253, kMaxId = 32;
constexpr size_t kAny = static_cast<size_t>(-1);
constexpr std::string_view kNoRequest = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

// Names of a claim's requests, each with those of its alternatives.
class RequestNames {
 public:
  explicit RequestNames(const resource::DeviceClaim& claim) {
    for (const auto& request : claim.requests) {
      auto& parts = names_[request.name];
      for (const auto& part : request.firstAvailable) parts.insert(part.name);
    }
  }
  bool has(const std::string& name) const {
    const size_t slash = name.find('/');
    const auto request = names_.find(name.substr(0, slash));
    return request != names_.end() && (slash == name.npos || request->second.count(name.substr(slash + 1)) != 0);
  }

 private:
  std::map<std::string, std::set<std::string>> names_;
};

std::string itself(const std::string& name) { return name; }

void class_name(const std::string& name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return errors.required(path);
  errors.invalid(path, name, names::dns1123_subdomain(name));
}

void selectors(const std::vector<resource::DeviceSelector>& list, const Path& path, FieldErrors& errors) {
  each(list, kMaxSelectors, path, errors, [&](const resource::DeviceSelector& selector, const Path& at) {
    if (!selector.cel) {
      errors.required(at.child("cel"));
    } else if (selector.cel->expression.size() > kMaxExpression) {
      errors.too_long(at.child("cel", "expression"), kMaxExpression);
    }
  });
}

void toleration(const resource::DeviceToleration& t, const Path& path, FieldErrors& errors) {
  if (!t.key.empty()) errors.invalid(path.child("key"), t.key, names::qualified_name(t.key));
  const Path value = path.child("value");
  if (t.operator_ == "Exists") {
    if (!t.value.empty()) errors.invalid(value, t.value, "must be empty for operator `Exists`");
  } else if (t.operator_ == "Equal") {
    errors.invalid(value, t.value, names::label_value(t.value));
  } else if (t.operator_.empty()) {
    errors.required(path.child("operator"));
  } else {
    errors.unsupported(path.child("operator"), t.operator_, {"Equal", "Exists"});
  }
  if (!t.effect.empty()) errors.one_of(path.child("effect"), t.effect, {"NoExecute", "NoSchedule", "None"});
}

// A whole request, or one of several alternatives.
template <typename Request>
void request_body(const Request& request, const Path& path, FieldErrors& errors) {
  class_name(request.deviceClassName, path.child("deviceClassName"), errors);
  selectors(request.selectors, path.child("selectors"), errors);
  const Path count = path.child("count");
  if (request.allocationMode == "All") {
    if (request.count != 0) errors.invalid(count, request.count, "must not be specified when allocationMode is 'All'");
  } else if (request.allocationMode == "ExactCount") {
    if (request.count <= 0) errors.invalid(count, request.count, "must be greater than zero");
  } else {
    errors.unsupported(path.child("allocationMode"), request.allocationMode, {"All", "ExactCount"});
  }
  for (size_t i = 0; i < request.tolerations.size(); ++i) toleration(request.tolerations[i], path.child("tolerations").index(i), errors);
}

void device_request(const resource::DeviceRequest& request, const Path& path, FieldErrors& errors) {
  constexpr std::string_view kOne = "exactly one of `exactly` or `firstAvailable` is required";
  errors.invalid(path.child("name"), request.name, names::dns1123_label(request.name));
  const bool alternatives = !request.firstAvailable.empty();
  if (alternatives && request.exactly) return errors.invalid_json(path, "null", fmt::format("{}, but multiple fields are set", kOne));
  if (request.exactly) return request_body(*request.exactly, path.child("exactly"), errors);
  if (!alternatives) return errors.required(path, kOne);
  const auto check = [&](const resource::DeviceSubRequest& part, const Path& at) {
    errors.invalid(at.child("name"), part.name, names::dns1123_label(part.name));
    request_body(part, at, errors);
  };
  each_once(request.firstAvailable, kMaxAlternatives, path.child("firstAvailable"), errors, check, [](const auto& part) { return part.name; });
}

void request_ref(const std::string& name, const RequestNames& known, const Path& path, FieldErrors& errors) {
  const size_t slash = name.find('/');
  if (slash != name.npos && name.find('/', slash + 1) != name.npos) return errors.invalid(path, name, kNoRequest);
  const std::string request = name.substr(0, slash);
  errors.invalid(path, request, names::dns1123_label(request));
  if (slash != name.npos) errors.invalid(path, name.substr(slash + 1), names::dns1123_label(name.substr(slash + 1)));
  if (!known.has(name)) errors.invalid(path, name, kNoRequest);
}

void request_refs(const std::vector<std::string>& list, const RequestNames& known, const Path& path, FieldErrors& errors) {
  each_once(list, kMaxRequests, path, errors, [&](const std::string& name, const Path& at) { request_ref(name, known, at, errors); }, itself);
}

void fully_qualified_name(const std::string& name, const Path& path, FieldErrors& errors) {
  device_qualified_name(name, path, errors);
  if (name.find('/') == name.npos) errors.invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash");
}

void constraint(const resource::DeviceConstraint& c, const RequestNames& known, const Path& path, FieldErrors& errors) {
  request_refs(c.requests, known, path.child("requests"), errors);
  if (c.matchAttribute) return fully_qualified_name(*c.matchAttribute, path.child("matchAttribute"), errors);
  if (c.distinctAttribute) return fully_qualified_name(*c.distinctAttribute, path.child("distinctAttribute"), errors);
  errors.required(path, "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set");
}

// An object of any members.
void raw_object(const std::string& text, size_t max, const Path& path, FieldErrors& errors) {
  if (text.empty()) return errors.required(path);
  if (text.size() > max) return errors.too_long(path, max);
  const auto document = json::parse(text);
  if (!document.ok()) return errors.invalid(path, "<value omitted>", "error parsing data as JSON: " + document.status().message());
  if (document->IsNull()) return errors.required(path);
  if (!document->IsObject()) errors.invalid(path, "<value omitted>", "must be a valid JSON object");
}

template <typename Config>
void configuration(const Config& config, const Path& path, FieldErrors& errors) {
  const Path at = path.child("opaque");
  if (!config.opaque) return errors.required(at);
  csi_driver_name(config.opaque->driver, at.child("driver"), errors);
  raw_object(config.opaque->parameters, kMaxParameters, at.child("parameters"), errors);
}

void claim_spec(const resource::ResourceClaimSpec& spec, const Path& path, FieldErrors& errors) {
  const resource::DeviceClaim& claim = spec.devices;
  const Path at = path.child("devices");
  const RequestNames known(claim);
  each_once(claim.requests, kMaxRequests, at.child("requests"), errors,
            [&](const resource::DeviceRequest& request, const Path& p) { device_request(request, p, errors); }, [](const auto& request) { return request.name; });
  each(claim.constraints, kMaxConstraints, at.child("constraints"), errors,
       [&](const resource::DeviceConstraint& c, const Path& p) { constraint(c, known, p, errors); });
  each(claim.config, kMaxConfigs, at.child("config"), errors, [&](const resource::DeviceClaimConfiguration& config, const Path& p) {
    request_refs(config.requests, known, p.child("requests"), errors);
    configuration(config, p, errors);
  });
}

void uid(const std::string& text, const Path& path, FieldErrors& errors) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  const auto well_formed = [&](std::string_view id) {
    for (size_t i = 0; i < id.size(); ++i) {
      const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
      if (dash ? id[i] != '-' : !hex(id[i])) return false;
    }
    return true;
  };
  const bool other_form = text.size() == 32 || text.size() == 38 || text.size() == 45;  // without dashes, in braces, as a URN
  if (text.size() != 36 && !other_form) return errors.invalid(path, text, fmt::format("error validating uid: invalid UUID length: {}", text.size()));
  if (text.size() == 36 && !well_formed(text)) return errors.invalid(path, text, "error validating uid: invalid UUID format");
  if (other_form || std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'F'; }))
    errors.invalid(path, text, "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters");
}

// Device and share of a result or of a device's state.
template <typename Device>
std::string device_id(const Device& device) {
  return fmt::format("{}/{}/{}/{}", device.driver, device.pool, device.device, device.shareID.value_or(""));
}

void network_data(const resource::NetworkDeviceData& data, const Path& path, FieldErrors& errors) {
  if (data.interfaceName.size() > kMaxInterfaceName) errors.too_long(path.child("interfaceName"), kMaxInterfaceName);
  if (data.hardwareAddress.size() > kMaxHardwareAddress) errors.too_long(path.child("hardwareAddress"), kMaxHardwareAddress);
  const auto check = [&](const std::string& address, const Path& at) {
    const size_t slash = address.find('/');
    if (slash == address.npos || !ip_network(address))
      return errors.invalid(at, address, "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)");
    const std::string canonical = fmt::format("{}/{}", names::canonical_ip(address.substr(0, slash)).value_or(""), std::stoul(address.substr(slash + 1)));
    if (address != canonical) errors.invalid(at, address, fmt::format("must be in canonical form (\"{}\")", canonical));
  };
  each_once(data.ips, kMaxIps, path.child("ips"), errors, check, itself);
}

void device_status(const resource::AllocatedDeviceStatus& device, const std::set<std::string>& allocated, const Path& path, FieldErrors& errors) {
  csi_driver_name(device.driver, path.child("driver"), errors);
  pool_name(device.pool, path.child("pool"), errors);
  errors.invalid(path.child("device"), device.device, names::dns1123_label(device.device));
  if (device.shareID) uid(*device.shareID, path.child("shareID"), errors);
  if (allocated.count(device_id(device)) == 0)
    errors.invalid_json(path,
                        fmt::format("{{\"Driver\":{},\"Pool\":{},\"Device\":{},\"ShareID\":{}}}", quoted(device.driver), quoted(device.pool), quoted(device.device),
                                    quoted(device.shareID.value_or(""))),
                        "must be an allocated device in the claim");
  if (device.conditions.size() > kMaxConditions) errors.too_many(path.child("conditions"), device.conditions.size(), kMaxConditions);
  conditions(device.conditions, path.child("conditions"), errors);
  if (device.data && !device.data->empty()) raw_object(*device.data, kMaxParameters, path.child("data"), errors);
  if (device.networkData) network_data(*device.networkData, path.child("networkData"), errors);
}

void allocation_result(const resource::AllocationResult& allocation, const RequestNames& known, const Path& path, FieldErrors& errors) {
  const Path devices = path.child("devices");
  each(allocation.devices.results, kMaxResults, devices.child("results"), errors,
       [&](const resource::DeviceRequestAllocationResult& result, const Path& at) {
         request_ref(result.request, known, at.child("request"), errors);
         csi_driver_name(result.driver, at.child("driver"), errors);
         pool_name(result.pool, at.child("pool"), errors);
         errors.invalid(at.child("device"), result.device, names::dns1123_label(result.device));
         binding_conditions(result.bindingConditions, result.bindingFailureConditions, at, errors);
         if (result.shareID) uid(*result.shareID, at.child("shareID"), errors);
       });
  each(allocation.devices.config, 2 * kMaxConfigs, devices.child("config"), errors,
       [&](const resource::DeviceAllocationConfiguration& config, const Path& at) {
         if (config.source.empty()) {
           errors.required(at.child("source"));
         } else {
           errors.one_of(at.child("source"), config.source, {"FromClaim", "FromClass"});
         }
         request_refs(config.requests, known, at.child("requests"), errors);
         configuration(config, at, errors);
       });
  if (allocation.nodeSelector) node_selector(*allocation.nodeSelector, path.child("nodeSelector"), errors);
}

bool same_user(const resource::ResourceClaimConsumerReference& a, const resource::ResourceClaimConsumerReference& b) { return a == b; }

void claim_status(const resource::ResourceClaim& claim, const resource::ResourceClaim& old, FieldErrors& errors) {
  const Path path("status"), reserved = path.child("reservedFor");
  const auto &status = claim.status, &before = old.status;
  const auto check_user = [&](const resource::ResourceClaimConsumerReference& user, const Path& at) {
    if (user.resource.empty()) errors.required(at.child("resource"));
    if (user.name.empty()) errors.required(at.child("name"));
    if (user.uid.empty()) errors.required(at.child("uid"));
  };
  each_once(status.reservedFor, kMaxReservedFor, reserved, errors, check_user, [](const auto& user) { return user.uid; });
  std::set<std::string> allocated;
  if (status.allocation)
    for (const auto& result : status.allocation->devices.results) allocated.insert(device_id(result));
  each_once(status.devices, kAny, path.child("devices"), errors,
            [&](const resource::AllocatedDeviceStatus& device, const Path& at) { device_status(device, allocated, at, errors); },
            [](const auto& device) { return device_id(device); });
  if (!status.reservedFor.empty() && !status.allocation) errors.forbidden(reserved, "may not be specified when `allocated` is not set");
  if (!status.reservedFor.empty() && status.allocation && claim.metadata.deletionTimestamp) {
    const auto is_new = [&](const auto& user) {
      return std::none_of(before.reservedFor.begin(), before.reservedFor.end(), [&](const auto& known) { return same_user(user, known); });
    };
    if (std::any_of(status.reservedFor.begin(), status.reservedFor.end(), is_new))
      errors.forbidden(reserved, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set");
  }
  if (!status.allocation) return;
  if (!before.allocation) return allocation_result(*status.allocation, RequestNames(claim.spec.devices), path.child("allocation"), errors);
  if (!(*status.allocation == *before.allocation)) errors.invalid_json(path.child("allocation"), go_json(*status.allocation), kImmutable);
}

}  // namespace

void pool_name(const std::string& name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return errors.required(path);
  if (name.size() > kMaxName) errors.too_long(path, kMaxName);
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    errors.invalid(path, part, names::dns1123_subdomain(part));
    begin = end + 1;
  }
}

void device_qualified_name(const std::string& name, const Path& path, FieldErrors& errors) {
  const auto identifier = [&](const std::string& id) {
    if (id.size() > kMaxId) errors.too_long(path, kMaxId);
    errors.invalid(path, id, names::c_identifier(id));
  };
  const size_t slash = name.find('/');
  if (slash == name.npos) return identifier(name);
  if (name.find('/', slash + 1) != name.npos) return;  // upstream looks no further
  if (slash == 0) {
    errors.invalid(path, "", "the domain must not be empty");
  } else {
    csi_driver_name(name.substr(0, slash), path, errors);
  }
  if (slash + 1 == name.size()) return errors.invalid(path, "", "the name must not be empty");
  identifier(name.substr(slash + 1));
}

void binding_conditions(const std::vector<std::string>& conditions, const std::vector<std::string>& failures, const Path& path, FieldErrors& errors) {
  constexpr size_t kMax = 4;
  const Path good = path.child("bindingConditions"), bad = path.child("bindingFailureConditions");
  const auto name = [&](const std::string& condition, const Path& at) { errors.invalid(at, condition, names::qualified_name(condition)); };
  each(conditions, kMax, good, errors, name);
  each(failures, kMax, bad, errors, name);
  std::set<std::string> seen, failed;
  for (size_t i = 0; i < conditions.size(); ++i)
    if (!seen.insert(conditions[i]).second) errors.duplicate(good.index(i), conditions[i]);
  for (size_t i = 0; i < failures.size(); ++i) {
    if (!failed.insert(failures[i]).second) errors.duplicate(bad.index(i), failures[i]);
    if (seen.count(failures[i]) != 0) errors.invalid(bad.index(i), failures[i], "bindingFailureConditions must not overlap with bindingConditions");
  }
  if (conditions.empty() && !failures.empty()) errors.invalid_json(good, "null", "bindingConditions are required to use bindingFailureConditions");
  if (failures.empty() && !conditions.empty()) errors.invalid_json(bad, "null", "bindingFailureConditions are required to use bindingConditions");
}

void resource_claim(const resource::ResourceClaim& claim, const resource::ResourceClaim* old, FieldErrors& errors) {
  object_meta(claim.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  const Path path("spec");
  if (!old) return claim_spec(claim.spec, path, errors);
  if (!(claim.spec == old->spec)) errors.invalid_json(path, go_json(claim.spec), kImmutable);
  if (!(claim.status == old->status)) claim_status(claim, *old, errors);
}

void resource_claim_template(const resource::ResourceClaimTemplate& object, const resource::ResourceClaimTemplate* old, FieldErrors& errors) {
  object_meta(object.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  const Path path("spec");
  claim_template_meta(object.spec.metadata, path.child("metadata"), errors);
  claim_spec(object.spec.spec, path.child("spec"), errors);
  if (old && !(object.spec == old->spec)) errors.invalid_json(path, go_json(object.spec), kImmutable);
}

void device_class(const resource::DeviceClass& object, const resource::DeviceClass* old, FieldErrors& errors) {
  long_named_meta(object.metadata, old ? &old->metadata : nullptr, false, errors);
  const Path path("spec");
  selectors(object.spec.selectors, path.child("selectors"), errors);
  each(object.spec.config, kMaxConfigs, path.child("config"), errors,
       [&](const resource::DeviceClassConfiguration& config, const Path& at) { configuration(config, at, errors); });
  const auto& name = object.spec.extendedResourceName;
  if (name && !is_extended_resource(*name)) errors.invalid(path.child("extendedResourceName"), *name, "must be a valid extended resource name");
}

}  // namespace knarr::schema::validation
