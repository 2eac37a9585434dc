// Rows of storage, rights, admission, devices and the API server's own kinds.
#include <fmt/format.h>

#include <algorithm>

#include "knarr/codec/quantity.h"
#include "knarr/codec/time.h"
#include "schema/documents.h"
#include "schema/print.h"

namespace knarr::schema::printing {

namespace {

using json::Value;

std::string access_modes(const Value& holder) {
  constexpr std::pair<std::string_view, std::string_view> kModes[] = {
      {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
  std::string out;
  const auto modes = items(holder, "accessModes");
  for (const auto& [mode, abbreviation] : kModes) {
    const bool has =
        std::any_of(modes.begin(), modes.end(), [mode = mode](const Value& m) { return m.IsString() && json::view(m) == mode; });
    if (has) out.append(out.empty() ? "" : ",").append(abbreviation);
  }
  return out;
}

std::string storage_class(const Value& object) {
  const Value* annotation = json::find(object, {"metadata", "annotations", "volume.beta.kubernetes.io/storage-class"});
  if (annotation != nullptr && annotation->IsString()) return std::string(json::view(*annotation));
  return std::string(json::get_string(object, {"spec", "storageClassName"}));
}

std::string storage_amount(const Value& holder) {
  return Quantity::parse_or_zero(json::get_string(holder, {"capacity", "storage"})).to_string();
}

std::string_view phase_of(const Value& object) {
  const bool going = !json::get_string(object, {"metadata", "deletionTimestamp"}).empty();
  return going ? "Terminating" : json::get_string(object, {"status", "phase"});
}

// A string that may be absent.
void optional_text(Row& row, const Value& holder, std::string_view key, std::string_view when_absent) {
  row.text(json::find(holder, key) ? json::get_string(holder, key) : when_absent);
}

void print_volume(const Value& volume, Row& row) {
  const Value& spec = child(volume, "spec");
  const Value* claim = json::find(spec, "claimRef");
  row.name(volume);
  row.text(storage_amount(spec));
  row.text(access_modes(spec));
  row.text(json::get_string(spec, "persistentVolumeReclaimPolicy"));
  row.text(phase_of(volume));
  row.text(claim != nullptr
               ? fmt::format("{}/{}", json::get_string(*claim, "namespace"), json::get_string(*claim, "name"))
               : "");
  row.text(storage_class(volume));
  optional_text(row, spec, "volumeAttributesClassName", "<unset>");
  row.text(json::get_string(volume, {"status", "reason"}));
  row.age(volume);
  optional_text(row, spec, "volumeMode", "<unset>");
}

void print_claim(const Value& claim, Row& row) {
  const Value& spec = child(claim, "spec");
  const Value& status = child(claim, "status");
  const std::string_view volume = json::get_string(spec, "volumeName");
  row.name(claim);
  row.text(phase_of(claim));
  row.text(volume);
  row.text(volume.empty() ? "" : storage_amount(status));
  row.text(volume.empty() ? "" : access_modes(status));
  row.text(storage_class(claim));
  optional_text(row, spec, "volumeAttributesClassName", "<unset>");
  row.age(claim);
  optional_text(row, spec, "volumeMode", "<unset>");
}

void print_storage_class(const Value& object, Row& row) {
  const Value& annotations = child(child(object, "metadata"), "annotations");
  bool is_default = false;
  for (std::string_view key :
       {"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"})
    is_default = is_default || json::get_string(annotations, key) == "true";
  row.text(fmt::format("{}{}", json::get_string(object, {"metadata", "name"}), is_default ? " (default)" : ""));
  row.text(json::get_string(object, "provisioner"));
  optional_text(row, object, "reclaimPolicy", "Delete");
  optional_text(row, object, "volumeBindingMode", "Immediate");
  row.boolean(json::get_bool(object, "allowVolumeExpansion"));
  row.age(object);
}

void print_attributes_class(const Value& object, Row& row) {
  row.name(object);
  row.text(json::get_string(object, "driverName"));
  row.age(object);
}

void print_driver(const Value& driver, Row& row) {
  const Value& spec = child(driver, "spec");
  row.name(driver);
  row.boolean(json::get_bool(spec, "attachRequired", true));
  row.boolean(json::get_bool(spec, "podInfoOnMount"));
  row.boolean(json::get_bool(spec, "storageCapacity"));
  std::vector<std::string_view> audiences;
  for (const Value& request : items(spec, "tokenRequests")) audiences.push_back(json::get_string(request, "audience"));
  row.text(json::find(spec, "tokenRequests") ? fmt::format("{}", fmt::join(audiences, ",")) : "<unset>");
  row.boolean(json::get_bool(spec, "requiresRepublish"));
  const Value* modes = json::find(spec, "volumeLifecycleModes");
  row.text(modes != nullptr ? joined(*modes) : "", "<none>");
  row.age(driver);
}

void print_csi_node(const Value& node, Row& row) {
  row.name(node);
  row.number(items(child(node, "spec"), "drivers").Size());
  row.age(node);
}

void print_attachment(const Value& attachment, Row& row) {
  const Value& spec = child(attachment, "spec");
  row.name(attachment);
  row.text(json::get_string(spec, "attacher"));
  row.text(json::get_string(spec, {"source", "persistentVolumeName"}));
  row.text(json::get_string(spec, "nodeName"));
  row.boolean(json::get_bool(child(attachment, "status"), "attached"));
  row.age(attachment);
}

void print_binding(const Value& binding, Row& row) {
  std::vector<std::string> users, groups, accounts;
  for (const Value& subject : items(binding, "subjects")) {
    const std::string_view kind = json::get_string(subject, "kind"), name = json::get_string(subject, "name");
    if (kind == "ServiceAccount") {
      accounts.push_back(fmt::format("{}/{}", json::get_string(subject, "namespace"), name));
    } else if (kind == "User" || kind == "Group") {
      (kind == "User" ? users : groups).emplace_back(name);
    }
  }
  row.name(binding);
  row.text(fmt::format("{}/{}", json::get_string(binding, {"roleRef", "kind"}),
                       json::get_string(binding, {"roleRef", "name"})));
  row.age(binding);
  for (const auto* names : {&users, &groups, &accounts}) row.text(fmt::format("{}", fmt::join(*names, ", ")));
}

void print_signing_request(const Value& request, Row& row) {
  const Value &spec = child(request, "spec"), &status = child(request, "status");
  bool approved = false, denied = false, failed = false;
  for (const Value& condition : items(status, "conditions")) {
    const std::string_view type = json::get_string(condition, "type");
    approved = approved || type == "Approved";
    denied = denied || type == "Denied";
    failed = failed || type == "Failed";
  }
  std::string text = denied ? "Denied" : approved ? "Approved" : "Pending";
  if (failed) text += ",Failed";
  if (!json::get_string(status, "certificate").empty()) text += ",Issued";
  row.name(request);
  row.age(request);
  row.text(json::get_string(spec, "signerName"), "<none>");
  row.text(json::get_string(spec, "username"));
  row.text(json::find(spec, "expirationSeconds")
               ? human_duration(std::chrono::seconds(json::get_int(spec, "expirationSeconds")))
               : "<none>");
  row.text(text);
}

void print_component_status(const Value& object, Row& row) {
  row.name(object);
  for (const Value& condition : items(object, "conditions")) {
    if (json::get_string(condition, "type") != "Healthy") continue;
    row.text(json::get_string(condition, "status") == "True" ? "Healthy" : "Unhealthy");
    row.text(json::get_string(condition, "message"));
    row.text(json::get_string(condition, "error"));
    return;
  }
  row.text("Unknown");
  row.text("");
  row.text("");
}

void print_webhooks(const Value& object, Row& row) {
  row.name(object);
  row.number(items(object, "webhooks").Size());
  row.age(object);
}

void print_policy(const Value& policy, std::string_view rules, Row& row) {
  const Value& spec = child(policy, "spec");
  const Value* kind = json::find(spec, "paramKind");
  row.name(policy);
  row.number(items(spec, rules).Size());
  row.text(kind != nullptr
               ? fmt::format("{}/{}", json::get_string(*kind, "apiVersion"), json::get_string(*kind, "kind"))
               : "<unset>");
  row.age(policy);
}
void print_validating_policy(const Value& policy, Row& row) { print_policy(policy, "validations", row); }
void print_mutating_policy(const Value& policy, Row& row) { print_policy(policy, "mutations", row); }

void print_policy_binding(const Value& binding, Row& row) {
  const Value& spec = child(binding, "spec");
  const Value* parameters = json::find(spec, "paramRef");
  std::string text = "<unset>";
  if (parameters != nullptr) {
    const std::string_view name = json::get_string(*parameters, "name"),
                           ns = json::get_string(*parameters, "namespace");
    if (!name.empty()) {
      text = fmt::format("{}/{}", ns.empty() ? "*" : ns, name);
    } else if (const Value* selector = json::find(*parameters, "selector")) {
      text = selector_text(selector);
    }
  }
  row.name(binding);
  row.text(json::get_string(spec, "policyName"));
  row.text(text);
  row.age(binding);
}

void print_flow_schema(const Value& schema, Row& row) {
  const Value& spec = child(schema, "spec");
  std::string_view dangling = "?";
  for (const Value& condition : items(child(schema, "status"), "conditions")) {
    if (json::get_string(condition, "type") == "Dangling") dangling = json::get_string(condition, "status");
  }
  row.name(schema);
  row.text(json::get_string(spec, {"priorityLevelConfiguration", "name"}));
  row.number(json::get_int(spec, "matchingPrecedence"));
  row.text(json::get_string(spec, {"distinguisherMethod", "type"}), "<none>");
  row.age(schema);
  row.text(dangling);
}

void print_priority_level(const Value& level, Row& row) {
  const Value& spec = child(level, "spec");
  const Value* limited = json::find(spec, "limited");
  const Value* queuing = json::find(spec, {"limited", "limitResponse", "queuing"});
  row.name(level);
  row.text(json::get_string(spec, "type"));
  if (limited != nullptr) {
    row.number(json::get_int(*limited, "nominalConcurrencyShares"));
  } else {
    row.text("<none>");
  }
  for (std::string_view key : {"queues", "handSize", "queueLengthLimit"}) {
    if (queuing != nullptr) {
      row.number(json::get_int(*queuing, key));
    } else {
      row.text("<none>");
    }
  }
  row.age(level);
}

void print_resource_claim(const Value& claim, Row& row) {
  const bool going = !json::get_string(claim, {"metadata", "deletionTimestamp"}).empty();
  const Value& status = child(claim, "status");
  std::vector<std::string_view> states;
  if (going) states.push_back("deleted");
  if (json::find(status, "allocation")) {
    states.push_back("allocated");
    if (!items(status, "reservedFor").Empty()) states.push_back("reserved");
  } else if (!going) {
    states.push_back("pending");
  }
  row.name(claim);
  row.text(fmt::format("{}", fmt::join(states, ",")));
  row.age(claim);
}

void print_resource_slice(const Value& slice, Row& row) {
  const Value& spec = child(slice, "spec");
  row.name(slice);
  row.text(json::get_string(spec, "nodeName"));
  row.text(json::get_string(spec, "driver"));
  row.text(json::get_string(spec, {"pool", "name"}));
  row.age(slice);
}

void print_api_service(const Value& service, Row& row) {
  const Value* reference = json::find(service, {"spec", "service"});
  std::string available = "Unknown";
  for (const Value& condition : items(child(service, "status"), "conditions")) {
    if (json::get_string(condition, "type") != "Available") continue;
    available = json::get_string(condition, "status");
    if (const auto reason = json::get_string(condition, "reason"); available != "True" && !reason.empty())
      available += fmt::format(" ({})", reason);
  }
  row.name(service);
  row.text(reference != nullptr
               ? fmt::format("{}/{}", json::get_string(*reference, "namespace"), json::get_string(*reference, "name"))
               : "Local");
  row.text(available);
  row.age(service);
}

}  // namespace

void add_other_printers(Printers& printers) {
  printers.insert({
      {"admissionregistration/v1.MutatingAdmissionPolicy", print_mutating_policy},
      {"admissionregistration/v1.MutatingAdmissionPolicyBinding", print_policy_binding},
      {"admissionregistration/v1.MutatingWebhookConfiguration", print_webhooks},
      {"admissionregistration/v1.ValidatingAdmissionPolicy", print_validating_policy},
      {"admissionregistration/v1.ValidatingAdmissionPolicyBinding", print_policy_binding},
      {"admissionregistration/v1.ValidatingWebhookConfiguration", print_webhooks},
      {"apiregistration/v1.APIService", print_api_service},
      {"certificates/v1.CertificateSigningRequest", print_signing_request},
      {"core/v1.ComponentStatus", print_component_status},
      {"core/v1.PersistentVolume", print_volume},
      {"core/v1.PersistentVolumeClaim", print_claim},
      {"flowcontrol/v1.FlowSchema", print_flow_schema},
      {"flowcontrol/v1.PriorityLevelConfiguration", print_priority_level},
      {"rbac/v1.ClusterRoleBinding", print_binding},
      {"rbac/v1.RoleBinding", print_binding},
      {"resource/v1.ResourceClaim", print_resource_claim},
      {"resource/v1.ResourceSlice", print_resource_slice},
      {"storage/v1.CSIDriver", print_driver},
      {"storage/v1.CSINode", print_csi_node},
      {"storage/v1.StorageClass", print_storage_class},
      {"storage/v1.VolumeAttachment", print_attachment},
      {"storage/v1.VolumeAttributesClass", print_attributes_class},
  });
}

}  // namespace knarr::schema::printing
