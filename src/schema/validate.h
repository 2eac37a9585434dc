// Validation of the single kinds; private to the module. Each function adds what is wrong to `errors`.
#pragma once

#include "knarr/codec/names.h"
#include "knarr/codec/quantity.h"
#include "knarr/schema/api/apps_v1.h"
#include "knarr/schema/api/batch_v1.h"
#include "knarr/schema/api/coordination_v1.h"
#include "knarr/schema/api/core_v1.h"
#include "schema/field_errors.h"

namespace knarr::schema::validation {

namespace core = api::core::v1;
namespace meta = api::meta::v1;

using NameRule = names::Problems (*)(std::string_view name);

inline constexpr std::string_view kImmutable = "field is immutable";

// Whether a finalizer without a prefix has to be one of Kubernetes' own.
enum class Finalizers { kKnown, kAny };

// Metadata. `old` is null on create.
void object_meta(const meta::ObjectMeta& m, const meta::ObjectMeta* old, bool namespaced, NameRule rule, FieldErrors& errors,
                 const Path& path = Path("metadata"), Finalizers finalizers = Finalizers::kKnown);
// Of a claim that is made for each pod: labels and annotations only.
void claim_template_meta(const meta::ObjectMeta& m, const Path& path, FieldErrors& errors);
// Of kinds whose names are checked by newer rules, which count in bytes and do not look at generateName.
void long_named_meta(meta::ObjectMeta m, const meta::ObjectMeta* old, bool namespaced, FieldErrors& errors);
void annotations(const std::map<std::string, std::string>& annotations, const Path& path, FieldErrors& errors);
void labels(const std::map<std::string, std::string>& labels, const Path& path, FieldErrors& errors);
bool selects(const meta::LabelSelector& selector, const std::map<std::string, std::string>& labels);
std::string labels_json(const std::map<std::string, std::string>& labels);  // as upstream prints a map; null when empty
std::string list_json(const std::vector<std::string>& list);                 // null when empty
void label_selector(const meta::LabelSelector& selector, const Path& path, FieldErrors& errors);
void conditions(const std::vector<meta::Condition>& list, const Path& path, FieldErrors& errors);
// A finalizer is one of Kubernetes' own or has a prefix.
void known_finalizer(const std::string& name, const Path& path, FieldErrors& errors);

// Workloads. `old` is null on create.
void deployment(const api::apps::v1::Deployment& deployment, const api::apps::v1::Deployment* old, FieldErrors& errors);
void replica_set(const api::apps::v1::ReplicaSet& set, const api::apps::v1::ReplicaSet* old, FieldErrors& errors);
void stateful_set(const api::apps::v1::StatefulSet& set, const api::apps::v1::StatefulSet* old, FieldErrors& errors);
void daemon_set(const api::apps::v1::DaemonSet& set, const api::apps::v1::DaemonSet* old, FieldErrors& errors);
void controller_revision(const api::apps::v1::ControllerRevision& revision, const api::apps::v1::ControllerRevision* old, FieldErrors& errors);
void replication_controller(const core::ReplicationController& controller, const core::ReplicationController* old, FieldErrors& errors);
void job(const api::batch::v1::Job& job, const api::batch::v1::Job* old, FieldErrors& errors);
void cron_job(const api::batch::v1::CronJob& job, const api::batch::v1::CronJob* old, FieldErrors& errors);
void pod_template_object(const core::PodTemplate& object, const core::PodTemplate* old, FieldErrors& errors);
// A number that is not negative, or a percentage; and no more than 100%.
void int_or_percent(const IntOrString& value, const Path& path, FieldErrors& errors);
void at_most_all(const IntOrString& value, const Path& path, FieldErrors& errors);

// The network and storage of the core group.
void service(const core::Service& service, const core::Service* old, FieldErrors& errors);
void endpoints(const core::Endpoints& endpoints, const core::Endpoints* old, FieldErrors& errors);
void persistent_volume(const core::PersistentVolume& volume, const core::PersistentVolume* old, FieldErrors& errors);
void persistent_volume_claim(const core::PersistentVolumeClaim& claim, const core::PersistentVolumeClaim* old, FieldErrors& errors);
void claim_spec(const core::PersistentVolumeClaimSpec& spec, const core::PersistentVolumeClaimSpec* old, const Path& path, FieldErrors& errors);
void event(const core::Event& event, const core::Event* old, FieldErrors& errors);
void event_of_events_group(const core::Event& event, const core::Event* old, FieldErrors& errors);
void limit_range(const core::LimitRange& range, const core::LimitRange* old, FieldErrors& errors);
void resource_quota(const core::ResourceQuota& quota, const core::ResourceQuota* old, FieldErrors& errors);

// Pods.
void pod_template(const core::PodTemplateSpec& pod_template, const Path& path, FieldErrors& errors);
void pod(const core::Pod& pod, const core::Pod* old, FieldErrors& errors);
void pod_update(const core::Pod& pod, const core::Pod& old, FieldErrors& errors);
void pod_status_update(const core::Pod& pod, const core::Pod& old, FieldErrors& errors);
using Volumes = std::map<std::string, const core::Volume*>;  // those of a pod that are well, by name
Volumes volumes(const core::PodSpec& spec, const std::string& pod_name, const Path& path, FieldErrors& errors);
void containers(const core::PodSpec& spec, const Volumes& volumes, const Path& path, FieldErrors& errors);
void node_selector(const core::NodeSelector& selector, const Path& path, FieldErrors& errors);
void csi_driver_name(const std::string& name, const Path& path, FieldErrors& errors);
void affinity(const core::Affinity& affinity, const Path& path, FieldErrors& errors);
void tolerations(const std::vector<core::Toleration>& tolerations, const Path& path, FieldErrors& errors);
void topology_spread(const std::vector<core::TopologySpreadConstraint>& constraints, const Path& path, FieldErrors& errors);
void seccomp_profile(const core::SeccompProfile& profile, const Path& path, FieldErrors& errors);
void windows_options(const core::WindowsSecurityContextOptions& options, const Path& path, FieldErrors& errors);
void host_process_pod(const core::PodSpec& spec, const Path& path, FieldErrors& errors);
void app_armor_profile(const core::AppArmorProfile& profile, const Path& path, FieldErrors& errors);

using Amounts = std::map<std::string, std::string>;
void container_resource_name(const std::string& name, const Path& path, FieldErrors& errors);
void pod_level_resource_name(const std::string& name, const Path& path, FieldErrors& errors);
using NameCheck = void (*)(const std::string& name, const Path& path, FieldErrors& errors);
void resource_requirements(const core::ResourceRequirements& r, const core::PodSpec& spec, const Path& path, FieldErrors& errors,
                           NameCheck names = container_resource_name);
void resource_name(const std::string& name, const Path& path, FieldErrors& errors);  // of any kind of resource
bool is_extended_resource(const std::string& name);                                   // of a domain that is not Kubernetes' own
// Whether resources without a prefix have the name; of quotas or of anything.
bool is_standard_resource(std::string_view name, bool quota);
bool may_overcommit(std::string_view name);
// Overhead and other lists of amounts: names and quantities.
void resource_amounts(const Amounts& amounts, const Path& path, FieldErrors& errors, NameCheck names = container_resource_name);
void resource_amount(const std::string& name, const std::string& amount, const Path& path, FieldErrors& errors);
void taint_effect(const std::string& effect, const Path& path, FieldErrors& errors);
void field_selector(const core::ObjectFieldSelector& ref, bool in_volume, const Path& path, FieldErrors& errors);
void resource_field_selector(const core::ResourceFieldSelector& ref, bool in_volume, const Path& path, FieldErrors& errors);

// Paths inside a volume.
void no_backsteps(const std::string& target, const Path& path, FieldErrors& errors);
void local_descending(const std::string& target, const Path& path, FieldErrors& errors);
void local_non_reserved(const std::string& target, const Path& path, FieldErrors& errors);
void port_number_or_name(const IntOrString& port, const Path& path, FieldErrors& errors);

}  // namespace knarr::schema::validation
