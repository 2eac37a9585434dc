// Which rules hold for which kind, and the rules of the small kinds.
#include "schema/validate.h"
#include "schema/go_json.h"
#include "schema/validate_crd.h"
#include "schema/validate_groups.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "knarr/schema/machinery.h"

namespace knarr::schema {
namespace validation {
namespace {

constexpr size_t kMaxDataBytes = 1024 * 1024;  // of a config map or secret
constexpr std::string_view kFrozen = "field is immutable when `immutable` is set";

void config_map(const core::ConfigMap& map, const core::ConfigMap* old, FieldErrors& errors) {
  object_meta(map.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  if (old && old->immutable.value_or(false)) {
    if (!map.immutable.value_or(false)) errors.forbidden(Path("immutable"), kFrozen);
    if (map.data != old->data) errors.forbidden(Path("data"), kFrozen);
    if (map.binaryData != old->binaryData) errors.forbidden(Path("binaryData"), kFrozen);
  }
  size_t size = 0;
  for (const auto& [key, value] : map.data) {
    Path path = Path("data").key(key);
    errors.invalid(path, key, names::config_map_key(key));
    if (map.binaryData.count(key)) errors.invalid(path, key, "duplicate of key present in binaryData");
    size += value.size();
  }
  for (const auto& [key, value] : map.binaryData) {
    errors.invalid(Path("binaryData").key(key), key, names::config_map_key(key));
    size += value.size();
  }
  if (size > kMaxDataBytes) errors.too_long(Path("[]"), kMaxDataBytes);
}

void docker_config(const core::Secret& secret, const std::string& key, FieldErrors& errors) {
  Path path = Path("data").key(key);
  auto data = secret.data.find(key);
  if (data == secret.data.end()) return errors.required(path);
  auto document = json::parse(data->second);
  std::string problem = document.ok() ? "json: the text is no object" : document.status().message();
  if (!document.ok() || !document->IsObject()) errors.invalid(path, "<secret contents redacted>", problem);
}

void secret_keys(const core::Secret& secret, FieldErrors& errors) {
  auto need = [&](std::string_view key) {
    if (!secret.data.count(std::string(key))) errors.required(Path("data").key(key));
  };
  if (secret.type == "kubernetes.io/service-account-token") {
    constexpr std::string_view kAccount = "kubernetes.io/service-account.name";
    auto account = secret.metadata.annotations.find(std::string(kAccount));
    if (account == secret.metadata.annotations.end() || account->second.empty())
      errors.required(Path("metadata").child("annotations").key(kAccount));
  } else if (secret.type == "kubernetes.io/dockercfg") {
    docker_config(secret, ".dockercfg", errors);
  } else if (secret.type == "kubernetes.io/dockerconfigjson") {
    docker_config(secret, ".dockerconfigjson", errors);
  } else if (secret.type == "kubernetes.io/basic-auth") {
    if (secret.data.count("username") || secret.data.count("password")) return;
    need("username");
    need("password");
  } else if (secret.type == "kubernetes.io/ssh-auth") {
    auto key = secret.data.find("ssh-privatekey");
    if (key == secret.data.end() || key->second.empty()) errors.required(Path("data").key("ssh-privatekey"));
  } else if (secret.type == "kubernetes.io/tls") {
    need("tls.crt");
    need("tls.key");
  }
}

void secret(const core::Secret& secret, const core::Secret* old, FieldErrors& errors) {
  object_meta(secret.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  if (old) {
    if (secret.type != old->type) errors.invalid(Path("type"), secret.type, kImmutable);
    if (old->immutable.value_or(false)) {
      if (!secret.immutable.value_or(false)) errors.forbidden(Path("immutable"), kFrozen);
      if (secret.data != old->data) errors.forbidden(Path("data"), kFrozen);
    }
  }
  size_t size = 0;
  for (const auto& [key, value] : secret.data) {
    errors.invalid(Path("data").key(key), key, names::config_map_key(key));
    size += value.size();
  }
  if (size > kMaxDataBytes) errors.too_long(Path("data"), kMaxDataBytes);
  secret_keys(secret, errors);
}

void service_account(const core::ServiceAccount& account, const core::ServiceAccount* old, FieldErrors& errors) {
  object_meta(account.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
}

void namespace_object(const core::Namespace& ns, const core::Namespace* old, FieldErrors& errors) {
  object_meta(ns.metadata, old ? &old->metadata : nullptr, false, names::dns1123_label, errors);
  for (const std::string& name : ns.spec.finalizers) {
    Path path("spec.finalizers");
    errors.invalid(path, name, names::qualified_name(name));
    known_finalizer(name, path, errors);
  }
  if (!old || ns.status == old->status) return;
  std::string_view expected = ns.metadata.deletionTimestamp ? "Terminating" : "Active";
  if (ns.status.phase != expected)
    errors.invalid(Path("status.Phase"), ns.status.phase,
                   fmt::format("may only be '{}' if `deletionTimestamp` is {}empty", expected, expected == "Active" ? "" : "not "));
}

void taints(const std::vector<core::Taint>& taints, const Path& path, FieldErrors& errors) {
  std::set<std::pair<std::string, std::string>> seen;
  for (size_t i = 0; i < taints.size(); ++i) {
    const core::Taint& taint = taints[i];
    Path at = path.index(i);
    errors.invalid(at.child("key"), taint.key, names::qualified_name(taint.key));
    if (auto problems = names::label_value(taint.value); !problems.empty())
      errors.invalid(at.child("value"), taint.value, fmt::format("{}", fmt::join(problems, ";")));
    if (taint.effect.empty()) {
      errors.required(at.child("effect"));
    } else {
      taint_effect(taint.effect, at.child("effect"), errors);
    }
    if (!seen.emplace(taint.effect, taint.key).second)
      errors.duplicate_json(at, go_json(taint), "taints must be unique by key and effect pair");
  }
}

void pod_cidrs(const std::vector<std::string>& cidrs, FieldErrors& errors) {
  Path path("spec.podCIDRs");
  for (size_t i = 0; i < cidrs.size(); ++i) errors.invalid(path.index(i), cidrs[i], names::cidr(cidrs[i]));
  auto is_ipv6 = [](const std::string& cidr) { return cidr.find(':') != std::string::npos; };
  if (cidrs.size() > 2 || (cidrs.size() == 2 && is_ipv6(cidrs[0]) == is_ipv6(cidrs[1]))) {
    std::string list = fmt::format("[\"{}\"]", fmt::join(cidrs, "\",\""));
    errors.invalid_json(path, list, "may specify no more than one CIDR for each IP family");
  }
}

void node(const core::Node& node, const core::Node* old, FieldErrors& errors) {
  object_meta(node.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors);
  taints(node.spec.taints, Path("metadata.taints"), errors);
  for (const auto& [name, amount] : node.status.capacity) resource_amount(name, amount, Path("status.capacity").child(name), errors);
  for (const auto& [name, amount] : node.status.allocatable)
    resource_amount(name, amount, Path("status.allocatable").child(name), errors);
  pod_cidrs(node.spec.podCIDRs, errors);
  if (!old) return;
  for (size_t i = 0; i < node.status.addresses.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (node.status.addresses[i] == node.status.addresses[j])
        errors.duplicate_json(Path("status.addresses").index(i), api::encode(node.status.addresses[i]));
    }
  }
  if (!old->spec.podCIDRs.empty() && node.spec.podCIDRs != old->spec.podCIDRs)
    errors.forbidden(Path("spec.podCIDRs"), "node updates may not change podCIDR except from \"\" to valid");
  if (!old->spec.providerID.empty() && node.spec.providerID != old->spec.providerID)
    errors.forbidden(Path("spec.providerID"), "node updates may not change providerID except from \"\" to valid");
  if (node.spec.externalID != old->spec.externalID) errors.forbidden(Path("spec.externalID"), "may not be updated");
}

void lease(const api::coordination::v1::Lease& lease, const api::coordination::v1::Lease* old, FieldErrors& errors) {
  object_meta(lease.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors, Path("metadata"), Finalizers::kAny);
  const auto& spec = lease.spec;
  Path path("spec");
  if (spec.leaseDurationSeconds && *spec.leaseDurationSeconds <= 0)
    errors.invalid(path.child("leaseDurationSeconds"), int64_t{*spec.leaseDurationSeconds}, "must be greater than 0");
  if (spec.leaseTransitions) errors.non_negative(path.child("leaseTransitions"), *spec.leaseTransitions);
  bool has_strategy = spec.strategy && !spec.strategy->empty();
  if (spec.preferredHolder && !spec.preferredHolder->empty() && !has_strategy)
    errors.forbidden(path.child("preferredHolder"), "may only be specified if `strategy` is defined");
}

void binding(const core::Binding& binding, const core::Binding*, FieldErrors& errors) {
  if (!binding.target.kind.empty() && binding.target.kind != "Node")
    errors.unsupported(Path("target.kind"), binding.target.kind, {"Node", "<empty>"});
  if (binding.target.name.empty()) errors.required(Path("target.name"));
}

using Rules = void (*)(const json::Value& object, const json::Value* old, FieldErrors& errors);

template <typename T, void (*rules)(const T&, const T*, FieldErrors&)>
void typed(const json::Value& object, const json::Value* old, FieldErrors& errors) {
  T now, before;
  api::decode(object, now);
  if (old != nullptr) api::decode(*old, before);
  rules(now, old != nullptr ? &before : nullptr, errors);
}

// A kind without rules of its own. Names are subdomains.
void any_kind(const Resource& resource, const json::Value& object, const json::Value* old, FieldErrors& errors) {
  auto meta_of = [](const json::Value& document) {
    meta::ObjectMeta m;
    if (const json::Value* value = json::find(document, "metadata")) api::decode(*value, m);
    return m;
  };
  meta::ObjectMeta before;
  if (old != nullptr) before = meta_of(*old);
  object_meta(meta_of(object), old != nullptr ? &before : nullptr, resource.namespaced, names::dns1123_subdomain, errors);
}

// What is served under another name than upstream works with is checked as that.
template <typename T, void (*rules)(const T&, const T*, FieldErrors&)>
void converted(const Resource& from, const Resource& to, const json::Value& object, const json::Value* old, FieldErrors& errors) {
  json::Document now = json::copy(object), before;
  if (old != nullptr) before = json::copy(*old);
  if (!convert(from, to, now, now.GetAllocator()).ok()) return;
  if (old != nullptr && !convert(from, to, before, before.GetAllocator()).ok()) return;
  typed<T, rules>(now, old != nullptr ? &before : nullptr, errors);
}

void autoscaler_v1(const json::Value& object, const json::Value* old, FieldErrors& errors) {
  static const Resource &from = *find_resource("autoscaling", "v1", "horizontalpodautoscalers"), &to = *find_resource("autoscaling", "v2", "horizontalpodautoscalers");
  converted<api::autoscaling::v2::HorizontalPodAutoscaler, autoscaler>(from, to, object, old, errors);
}

void newer_event(const json::Value& object, const json::Value* old, FieldErrors& errors) {
  static const Resource &from = *find_resource("events.k8s.io", "v1", "events"), &to = *find_resource("", "v1", "events");
  converted<core::Event, event_of_events_group>(from, to, object, old, errors);
}

Rules rules_of(std::string_view type) {
  static const std::map<std::string_view, Rules> table = {
      {"admissionregistration/v1.MutatingAdmissionPolicy", typed<api::admissionregistration::v1::MutatingAdmissionPolicy, mutating_policy>},
      {"admissionregistration/v1.MutatingAdmissionPolicyBinding", typed<api::admissionregistration::v1::MutatingAdmissionPolicyBinding, mutating_policy_binding>},
      {"admissionregistration/v1.MutatingWebhookConfiguration",
       typed<api::admissionregistration::v1::MutatingWebhookConfiguration, mutating_webhooks>},
      {"admissionregistration/v1.ValidatingAdmissionPolicy", typed<api::admissionregistration::v1::ValidatingAdmissionPolicy, validating_policy>},
      {"admissionregistration/v1.ValidatingAdmissionPolicyBinding",
       typed<api::admissionregistration::v1::ValidatingAdmissionPolicyBinding, validating_policy_binding>},
      {"admissionregistration/v1.ValidatingWebhookConfiguration",
       typed<api::admissionregistration::v1::ValidatingWebhookConfiguration, validating_webhooks>},
      {"apiextensions/v1.CustomResourceDefinition", crd::definition},
      {"apps/v1.ControllerRevision", typed<api::apps::v1::ControllerRevision, controller_revision>},
      {"apps/v1.DaemonSet", typed<api::apps::v1::DaemonSet, daemon_set>},
      {"apps/v1.Deployment", typed<api::apps::v1::Deployment, deployment>},
      {"apps/v1.ReplicaSet", typed<api::apps::v1::ReplicaSet, replica_set>},
      {"apps/v1.StatefulSet", typed<api::apps::v1::StatefulSet, stateful_set>},
      {"autoscaling/v1.HorizontalPodAutoscaler", autoscaler_v1},
      {"autoscaling/v2.HorizontalPodAutoscaler", typed<api::autoscaling::v2::HorizontalPodAutoscaler, autoscaler>},
      {"batch/v1.CronJob", typed<api::batch::v1::CronJob, cron_job>},
      {"batch/v1.Job", typed<api::batch::v1::Job, job>},
      {"certificates/v1.CertificateSigningRequest", typed<api::certificates::v1::CertificateSigningRequest, signing_request>},
      {"coordination/v1.Lease", typed<api::coordination::v1::Lease, lease>},
      {"core/v1.Binding", typed<core::Binding, binding>},
      {"core/v1.ConfigMap", typed<core::ConfigMap, config_map>},
      {"core/v1.Endpoints", typed<core::Endpoints, endpoints>},
      {"core/v1.Event", typed<core::Event, event>},
      {"core/v1.LimitRange", typed<core::LimitRange, limit_range>},
      {"core/v1.Namespace", typed<core::Namespace, namespace_object>},
      {"core/v1.Node", typed<core::Node, node>},
      {"core/v1.PersistentVolume", typed<core::PersistentVolume, persistent_volume>},
      {"core/v1.PersistentVolumeClaim", typed<core::PersistentVolumeClaim, persistent_volume_claim>},
      {"core/v1.Pod", typed<core::Pod, pod>},
      {"core/v1.PodTemplate", typed<core::PodTemplate, pod_template_object>},
      {"core/v1.ReplicationController", typed<core::ReplicationController, replication_controller>},
      {"core/v1.ResourceQuota", typed<core::ResourceQuota, resource_quota>},
      {"core/v1.Secret", typed<core::Secret, secret>},
      {"core/v1.Service", typed<core::Service, service>},
      {"core/v1.ServiceAccount", typed<core::ServiceAccount, service_account>},
      {"events/v1.Event", newer_event},
      {"discovery/v1.EndpointSlice", typed<api::discovery::v1::EndpointSlice, endpoint_slice>},
      {"flowcontrol/v1.FlowSchema", typed<api::flowcontrol::v1::FlowSchema, flow_schema>},
      {"flowcontrol/v1.PriorityLevelConfiguration", typed<api::flowcontrol::v1::PriorityLevelConfiguration, priority_level>},
      {"networking/v1.IPAddress", typed<api::networking::v1::IPAddress, ip_address>},
      {"networking/v1.Ingress", typed<api::networking::v1::Ingress, ingress>},
      {"networking/v1.IngressClass", typed<api::networking::v1::IngressClass, ingress_class>},
      {"networking/v1.NetworkPolicy", typed<api::networking::v1::NetworkPolicy, network_policy>},
      {"networking/v1.ServiceCIDR", typed<api::networking::v1::ServiceCIDR, service_cidr>},
      {"node/v1.RuntimeClass", typed<api::node::v1::RuntimeClass, runtime_class>},
      {"policy/v1.PodDisruptionBudget", typed<api::policy::v1::PodDisruptionBudget, disruption_budget>},
      {"rbac/v1.ClusterRole", typed<api::rbac::v1::ClusterRole, cluster_role>},
      {"rbac/v1.ClusterRoleBinding", typed<api::rbac::v1::ClusterRoleBinding, cluster_role_binding>},
      {"rbac/v1.Role", typed<api::rbac::v1::Role, role>},
      {"rbac/v1.RoleBinding", typed<api::rbac::v1::RoleBinding, role_binding>},
      {"resource/v1.DeviceClass", typed<api::resource::v1::DeviceClass, device_class>},
      {"resource/v1.ResourceClaim", typed<api::resource::v1::ResourceClaim, resource_claim>},
      {"resource/v1.ResourceClaimTemplate", typed<api::resource::v1::ResourceClaimTemplate, resource_claim_template>},
      {"resource/v1.ResourceSlice", typed<api::resource::v1::ResourceSlice, resource_slice>},
      {"scheduling/v1.PriorityClass", typed<api::scheduling::v1::PriorityClass, priority_class>},
      {"storage/v1.CSIDriver", typed<api::storage::v1::CSIDriver, csi_driver>},
      {"storage/v1.CSINode", typed<api::storage::v1::CSINode, csi_node>},
      {"storage/v1.CSIStorageCapacity", typed<api::storage::v1::CSIStorageCapacity, storage_capacity>},
      {"storage/v1.StorageClass", typed<api::storage::v1::StorageClass, storage_class>},
      {"storage/v1.VolumeAttachment", typed<api::storage::v1::VolumeAttachment, volume_attachment>},
      {"storage/v1.VolumeAttributesClass", typed<api::storage::v1::VolumeAttributesClass, volume_attributes_class>},
  };
  auto it = table.find(type);
  return it == table.end() ? nullptr : it->second;
}

}  // namespace
}  // namespace validation

std::vector<Cause> validate(const Resource& resource, const json::Value& object, const json::Value* old) {
  FieldErrors errors;
  if (auto rules = validation::rules_of(resource.type->name)) {
    rules(object, old, errors);
  } else {
    validation::any_kind(resource, object, old, errors);
  }
  return errors.take();
}

}  // namespace knarr::schema
