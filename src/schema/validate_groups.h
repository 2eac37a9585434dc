// Validation of the kinds of the smaller groups; private to the module. `old` is null on create.
#pragma once

#include "knarr/schema/api/admissionregistration_v1.h"
#include "knarr/schema/api/autoscaling_v2.h"
#include "knarr/schema/api/certificates_v1.h"
#include "knarr/schema/api/discovery_v1.h"
#include "knarr/schema/api/flowcontrol_v1.h"
#include "knarr/schema/api/networking_v1.h"
#include "knarr/schema/api/node_v1.h"
#include "knarr/schema/api/policy_v1.h"
#include "knarr/schema/api/rbac_v1.h"
#include "knarr/schema/api/resource_v1.h"
#include "knarr/schema/api/scheduling_v1.h"
#include "knarr/schema/api/storage_v1.h"
#include "schema/validate.h"

namespace knarr::schema::validation {

void ingress(const api::networking::v1::Ingress& ingress, const api::networking::v1::Ingress* old, FieldErrors& errors);
void ingress_class(const api::networking::v1::IngressClass& ingress_class, const api::networking::v1::IngressClass* old, FieldErrors& errors);
void network_policy(const api::networking::v1::NetworkPolicy& policy, const api::networking::v1::NetworkPolicy* old, FieldErrors& errors);
void endpoint_slice(const api::discovery::v1::EndpointSlice& slice, const api::discovery::v1::EndpointSlice* old, FieldErrors& errors);
void disruption_budget(const api::policy::v1::PodDisruptionBudget& budget, const api::policy::v1::PodDisruptionBudget* old, FieldErrors& errors);
void priority_class(const api::scheduling::v1::PriorityClass& priority, const api::scheduling::v1::PriorityClass* old, FieldErrors& errors);
void role(const api::rbac::v1::Role& role, const api::rbac::v1::Role* old, FieldErrors& errors);
void cluster_role(const api::rbac::v1::ClusterRole& role, const api::rbac::v1::ClusterRole* old, FieldErrors& errors);
void role_binding(const api::rbac::v1::RoleBinding& binding, const api::rbac::v1::RoleBinding* old, FieldErrors& errors);
void cluster_role_binding(const api::rbac::v1::ClusterRoleBinding& binding, const api::rbac::v1::ClusterRoleBinding* old, FieldErrors& errors);
void ip_address(const api::networking::v1::IPAddress& address, const api::networking::v1::IPAddress* old, FieldErrors& errors);
void service_cidr(const api::networking::v1::ServiceCIDR& cidr, const api::networking::v1::ServiceCIDR* old, FieldErrors& errors);
void flow_schema(const api::flowcontrol::v1::FlowSchema& schema, const api::flowcontrol::v1::FlowSchema* old, FieldErrors& errors);
void priority_level(const api::flowcontrol::v1::PriorityLevelConfiguration& level, const api::flowcontrol::v1::PriorityLevelConfiguration* old,
                    FieldErrors& errors);
void validating_webhooks(const api::admissionregistration::v1::ValidatingWebhookConfiguration& configuration,
                         const api::admissionregistration::v1::ValidatingWebhookConfiguration* old, FieldErrors& errors);
void mutating_webhooks(const api::admissionregistration::v1::MutatingWebhookConfiguration& configuration,
                       const api::admissionregistration::v1::MutatingWebhookConfiguration* old, FieldErrors& errors);
// Shared by webhooks and policies of admission.
void rule_with_operations(const api::admissionregistration::v1::RuleWithOperations& rule, const Path& path, FieldErrors& errors);
void match_conditions(const std::vector<api::admissionregistration::v1::MatchCondition>& list, const Path& path, FieldErrors& errors);
void validating_policy(const api::admissionregistration::v1::ValidatingAdmissionPolicy& policy, const api::admissionregistration::v1::ValidatingAdmissionPolicy* old,
                       FieldErrors& errors);
void validating_policy_binding(const api::admissionregistration::v1::ValidatingAdmissionPolicyBinding& binding, const api::admissionregistration::v1::ValidatingAdmissionPolicyBinding* old,
                               FieldErrors& errors);
void mutating_policy(const api::admissionregistration::v1::MutatingAdmissionPolicy& policy, const api::admissionregistration::v1::MutatingAdmissionPolicy* old,
                     FieldErrors& errors);
void mutating_policy_binding(const api::admissionregistration::v1::MutatingAdmissionPolicyBinding& binding, const api::admissionregistration::v1::MutatingAdmissionPolicyBinding* old,
                             FieldErrors& errors);
void resource_claim(const api::resource::v1::ResourceClaim& claim, const api::resource::v1::ResourceClaim* old, FieldErrors& errors);
void resource_claim_template(const api::resource::v1::ResourceClaimTemplate& object, const api::resource::v1::ResourceClaimTemplate* old, FieldErrors& errors);
void device_class(const api::resource::v1::DeviceClass& object, const api::resource::v1::DeviceClass* old, FieldErrors& errors);
void resource_slice(const api::resource::v1::ResourceSlice& slice, const api::resource::v1::ResourceSlice* old, FieldErrors& errors);
void signing_request(const api::certificates::v1::CertificateSigningRequest& request, const api::certificates::v1::CertificateSigningRequest* old,
                     FieldErrors& errors);
void autoscaler(const api::autoscaling::v2::HorizontalPodAutoscaler& autoscaler, const api::autoscaling::v2::HorizontalPodAutoscaler* old,
                FieldErrors& errors);
void storage_class(const api::storage::v1::StorageClass& storage_class, const api::storage::v1::StorageClass* old, FieldErrors& errors);
void volume_attachment(const api::storage::v1::VolumeAttachment& attachment, const api::storage::v1::VolumeAttachment* old, FieldErrors& errors);
void csi_driver(const api::storage::v1::CSIDriver& driver, const api::storage::v1::CSIDriver* old, FieldErrors& errors);
void csi_node(const api::storage::v1::CSINode& node, const api::storage::v1::CSINode* old, FieldErrors& errors);
void storage_capacity(const api::storage::v1::CSIStorageCapacity& capacity, const api::storage::v1::CSIStorageCapacity* old, FieldErrors& errors);
void volume_attributes_class(const api::storage::v1::VolumeAttributesClass& attributes, const api::storage::v1::VolumeAttributesClass* old,
                             FieldErrors& errors);
void runtime_class(const api::node::v1::RuntimeClass& runtime, const api::node::v1::RuntimeClass* old, FieldErrors& errors);

}  // namespace knarr::schema::validation
