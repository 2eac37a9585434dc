// Warnings of each kind, as upstream's strategies give them.
#include "schema/warnings.h"

#include <fmt/format.h>

#include <map>

#include "knarr/codec/names.h"
#include "knarr/codec/quantity.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "schema/documents.h"
#include "schema/validate_crd.h"

namespace knarr::schema {

namespace warning {
namespace {

using json::Value;

// What a function looks at; `old` is null on create.
struct Subject {
  const Value& object;
  const Value* old;
  // Rules about templates hold where they were changed.
  bool spec_changed() const {
    return old == nullptr || !json::equal(child(object, "spec"), child(*old, "spec")) ||
           !json::equal(child(object, "template"), child(*old, "template"));
  }
};

void pod_name(const Subject& subject, Warnings& out) {
  if (subject.old != nullptr) return;
  const auto problems = names::dns1123_label(json::get_string(subject.object, {"metadata", "name"}));
  if (!problems.empty())
    out.push_back(fmt::format(
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label "
        "is recommended: [{}]",
        fmt::join(problems, " ")));
}

void plain_template(const Subject& subject, Warnings& out) {
  if (subject.spec_changed()) pod(child(child(subject.object, "spec"), "template"), "spec.template", out);
}

void named_template(const Subject& subject, Warnings& out) {
  pod_name(subject, out);
  plain_template(subject, out);
}

void stateful_set(const Subject& subject, Warnings& out) {
  plain_template(subject, out);
  const Value& spec = child(subject.object, "spec");
  size_t index = 0;
  for (const Value& claim : items(spec, "volumeClaimTemplates"))
    claim_spec(child(claim, "spec"),
               fmt::format("spec.volumeClaimTemplates[{}]{}", index++, subject.old != nullptr ? ".Spec" : ""), out);
  if (json::get_int(spec, "revisionHistoryLimit") < 0)
    out.emplace_back(
        "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended");
}

void job_spec(const Value& spec, const std::string& path, Warnings& out) {
  if (json::get_string(spec, "completionMode") == "Indexed" && json::get_int(spec, "completions") > 100'000 &&
      json::get_int(spec, "parallelism") > 10'000)
    out.push_back(path +
                  ": In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
                  "Kubernetes might not be "
                  "able to track completedIndexes when a big number of indexes fail");
  pod(child(spec, "template"), path + ".template", out);
}

void job(const Subject& subject, Warnings& out) {
  pod_name(subject, out);
  if (subject.spec_changed()) job_spec(child(subject.object, "spec"), "spec", out);
}

void cron_job(const Subject& subject, Warnings& out) {
  pod_name(subject, out);
  const Value& spec = child(subject.object, "spec");
  if (subject.spec_changed()) job_spec(child(child(spec, "jobTemplate"), "spec"), "spec.jobTemplate.spec", out);
  if (subject.old != nullptr && json::get_string(spec, "schedule").find("TZ") != std::string_view::npos)
    out.emplace_back(
        "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
        "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details");
}

void pod_template(const Subject& subject, Warnings& out) {
  if (subject.spec_changed()) pod(child(subject.object, "template"), "template", out);
}

void whole_pod(const Subject& subject, Warnings& out) { pod(subject.object, "", out); }

void volume(const Subject& subject, Warnings& out) {
  const Value& spec = child(subject.object, "spec");
  constexpr std::pair<std::string_view, std::string_view> kAnnotations[] = {
      {"volume.beta.kubernetes.io/storage-class", "deprecated since v1.8; use \"storageClassName\" attribute instead"},
      {"volume.beta.kubernetes.io/mount-options", "deprecated since v1.31; use \"mountOptions\" attribute instead"}};
  const Value& annotations = child(child(subject.object, "metadata"), "annotations");
  for (const auto& [key, what] : kAnnotations) {
    if (json::find(annotations, key)) out.push_back(fmt::format("metadata.annotations[{}]: {}", key, what));
  }
  if (json::get_string(spec, "persistentVolumeReclaimPolicy") == "Recycle")
    out.emplace_back(
        "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
        "approach is to use "
        "dynamic provisioning.");
  size_t index = 0;
  for (const Value& term : items(child(child(spec, "nodeAffinity"), "required"), "nodeSelectorTerms"))
    node_selector_term(term, false, fmt::format("spec.nodeAffinity.required.nodeSelectorTerms[{}]", index++), out);
  constexpr std::array<std::array<std::string_view, 3>, 6> kSources = {{
      {"cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"},
      {"photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
      {"scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
      {"storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"},
      {"glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
      {"rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"},
  }};
  for (const auto& [field, shown, what] : kSources) {
    if (json::find(spec, field)) out.push_back(fmt::format("spec.{}: {}", shown, what));
  }
}

void claim(const Subject& subject, Warnings& out) {
  constexpr std::string_view kClass = "volume.beta.kubernetes.io/storage-class";
  if (json::find(subject.object, {"metadata", "annotations", kClass}))
    out.push_back(fmt::format(
        "metadata.annotations[{}]: deprecated since v1.8; use \"storageClassName\" attribute instead", kClass));
  claim_spec(child(subject.object, "spec"), "spec", out);
}

void quota(const Subject& subject, Warnings& out) {
  if (subject.old != nullptr) return;
  const Value& hard = child(child(subject.object, "spec"), "hard");
  for (std::string_view resource : {"cpu", "memory", "ephemeral-storage"}) {
    std::string request = fmt::format("requests.{}", resource);
    const std::string limit = fmt::format("limits.{}", resource);
    if (!json::find(hard, request) && resource != "ephemeral-storage") request = resource;
    const std::string_view wanted = json::get_string(hard, request), most = json::get_string(hard, limit);
    if (!wanted.empty() && !most.empty() && Quantity::parse_or_zero(wanted) > Quantity::parse_or_zero(most))
      out.push_back(fmt::format("ResourceQuota {} ({}) should be less than {} ({})", request, wanted, limit, most));
  }
}

void service(const Subject& subject, Warnings& out) {
  const Value& spec = child(subject.object, "spec");
  const std::string_view type = json::get_string(spec, "type");
  const bool headless = type == "ClusterIP" && json::get_string(spec, "clusterIP") == "None";
  const auto external = items(spec, "externalIPs");
  if (json::find(subject.object, {"metadata", "annotations", "service.kubernetes.io/topology-aware-hints"}))
    out.emplace_back(
        "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
        "service.kubernetes.io/topology-mode instead");
  const auto addresses = [&](std::string_view key) {
    size_t index = 0;
    for (const Value& address : items(spec, key)) {
      const std::string path = fmt::format("spec.{}[{}]", key, index++);
      if (address.IsString() && json::view(address) != "None") ip(json::view(address), path, out);
    }
  };
  addresses("clusterIPs");
  if (headless) {
    if (!json::get_string(spec, "loadBalancerIP").empty())
      out.emplace_back("spec.loadBalancerIP is ignored for headless services");
    if (!external.Empty()) out.emplace_back("spec.externalIPs is ignored for headless services");
    if (json::get_string(spec, "sessionAffinity") != "None")
      out.emplace_back("spec.SessionAffinity is ignored for headless services");
  }
  addresses("externalIPs");
  if (!external.Empty() && !headless && type != "ExternalName")
    out.emplace_back("spec.externalIPs is deprecated and may no longer be implemented in some clusters");
  if (const auto address = json::get_string(spec, "loadBalancerIP"); !address.empty())
    ip(address, "spec.loadBalancerIP", out);
  size_t range_index = 0;
  for (const Value& range : items(spec, "loadBalancerSourceRanges")) {
    const std::string path = fmt::format("spec.loadBalancerSourceRanges[{}]", range_index++);
    if (range.IsString()) cidr(json::view(range), path, out);
  }
  if (type == "ExternalName" && !external.Empty())
    out.emplace_back("spec.externalIPs is ignored when spec.type is \"ExternalName\"");
  if (type != "ExternalName" && !json::get_string(spec, "externalName").empty())
    out.emplace_back("spec.externalName is ignored when spec.type is not \"ExternalName\"");
  if (json::get_string(spec, "trafficDistribution") == "PreferClose")
    out.emplace_back("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
}

void node(const Subject& subject, Warnings& out) {
  const Value& spec = child(subject.object, "spec");
  if (json::find(spec, "configSource")) out.emplace_back("spec.configSource: the feature is removed");
  if (!json::get_string(spec, "externalID").empty())
    out.emplace_back("spec.externalID: this field is deprecated, and is unused by Kubernetes");
  size_t index = 0;
  for (const Value& range : items(spec, "podCIDRs")) {
    const std::string path = fmt::format("spec.podCIDRs[{}]", index++);
    if (range.IsString()) cidr(json::view(range), path, out);
  }
}

void network_policy(const Subject& subject, Warnings& out) {
  const Value& spec = child(subject.object, "spec");
  for (const auto& [rules, peers] : {std::pair<std::string_view, std::string_view>{"ingress", "from"}, {"egress", "to"}}) {
    size_t rule_index = 0;
    for (const Value& rule : items(spec, rules)) {
      const size_t at = rule_index++;
      size_t peer_index = 0;
      for (const Value& peer : items(rule, peers)) {
        const std::string path = fmt::format("spec.{}[{}].{}[{}].ipBlock", rules, at, peers, peer_index++);
        const Value& block = child(peer, "ipBlock");
        cidr(json::get_string(block, "cidr"), path + ".cidr", out);
        size_t index = 0;
        for (const Value& range : items(block, "except")) {
          const std::string here = fmt::format("{}.except[{}]", path, index++);
          if (range.IsString()) cidr(json::view(range), here, out);
        }
      }
    }
  }
}

void ingress(const Subject& subject, Warnings& out) {
  constexpr std::string_view kClass = "kubernetes.io/ingress.class";
  const bool named = json::find(subject.object, {"spec", "ingressClassName"}) != nullptr;
  if (subject.old == nullptr && json::find(subject.object, {"metadata", "annotations", kClass}) && !named)
    out.push_back(fmt::format("annotation \"{}\" is deprecated, please use 'spec.ingressClassName' instead", kClass));
}

void endpoints(const Subject& subject, Warnings& out) {
  size_t subset_index = 0;
  for (const Value& subset : items(subject.object, "subsets")) {
    const size_t at = subset_index++;
    for (std::string_view list : {"addresses", "notReadyAddresses"}) {
      size_t index = 0;
      for (const Value& address : items(subset, list))
        ip(json::get_string(address, "ip"), fmt::format("subsets[{}].{}[{}].ip", at, list, index++), out);
    }
  }
}

void endpoint_slice(const Subject& subject, Warnings& out) {
  if (subject.old == nullptr && json::get_string(subject.object, "addressType") == "FQDN")
    out.emplace_back("spec.addressType: FQDN endpoints are deprecated");
  size_t endpoint_index = 0;
  for (const Value& endpoint : items(subject.object, "endpoints")) {
    const size_t at = endpoint_index++;
    size_t index = 0;
    for (const Value& address : items(endpoint, "addresses")) {
      const std::string path = fmt::format("endpoints[{}].addresses[{}]", at, index++);
      if (address.IsString()) ip(json::view(address), path, out);
    }
  }
}

void csi_driver(const Subject& subject, Warnings& out) {
  const Value& spec = child(subject.object, "spec");
  if (subject.old != nullptr) {
    const Value *now = json::find(spec, "tokenRequests"),
                *before = json::find(child(*subject.old, "spec"), "tokenRequests");
    if (now != nullptr && before != nullptr && json::equal(*now, *before)) return;
  }
  if (!items(spec, "tokenRequests").Empty() && !json::find(spec, "serviceAccountTokenInSecrets"))
    out.emplace_back(
        "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible "
        "logging of "
        "tokens in volume attributes");
}

void storage_class(const Subject& subject, Warnings& out) {
  size_t topology_index = 0;
  for (const Value& topology : items(subject.object, "allowedTopologies")) {
    const size_t at = topology_index++;
    size_t index = 0;
    for (const Value& expression : items(topology, "matchLabelExpressions")) {
      const size_t here = index++;
      if (const auto what = deprecated_node_label(json::get_string(expression, "key")); !what.empty())
        out.push_back(fmt::format("allowedTopologies[{}].matchLabelExpressions[{}].key: {}", at, here, what));
    }
  }
}

void storage_capacity(const Subject& subject, Warnings& out) {
  const Value& topology = child(subject.object, "nodeTopology");
  size_t index = 0;
  for (const Value& expression : items(topology, "matchExpressions")) {
    const size_t at = index++;
    const std::string_view key = json::get_string(expression, "key");
    if (const auto what = deprecated_node_label(key); !what.empty())
      out.push_back(fmt::format("nodeTopology.matchExpressions[{}].key: {} is {}", at, key, what));
  }
  for (const auto& [key, _] : child(topology, "matchLabels").GetObject()) {
    if (const auto what = deprecated_node_label(json::view(key)); !what.empty())
      out.push_back(fmt::format("nodeTopology.matchLabels.{}: {}", json::view(key), what));
  }
}

void runtime_class(const Subject& subject, Warnings& out) {
  for (const auto& [key, _] : child(child(subject.object, "scheduling"), "nodeSelector").GetObject()) {
    if (const auto what = deprecated_node_label(json::view(key)); !what.empty())
      out.push_back(fmt::format("scheduling.nodeSelector: {}", what));
  }
}

using Rule = void (*)(const Subject& subject, Warnings& out);

Rule rule_of(std::string_view storage_name) {
  static const std::map<std::string_view, Rule> table = {
      {"cronjobs.batch", cron_job},
      {"csidrivers.storage.k8s.io", csi_driver},
      {"csistoragecapacities.storage.k8s.io", storage_capacity},
      {"daemonsets.apps", plain_template},
      {"deployments.apps", named_template},
      {"endpoints", endpoints},
      {"endpointslices.discovery.k8s.io", endpoint_slice},
      {"ingresses.networking.k8s.io", ingress},
      {"jobs.batch", job},
      {"networkpolicies.networking.k8s.io", network_policy},
      {"nodes", node},
      {"persistentvolumeclaims", claim},
      {"persistentvolumes", volume},
      {"pods", whole_pod},
      {"podtemplates", pod_template},
      {"replicasets.apps", named_template},
      {"replicationcontrollers", named_template},
      {"resourcequotas", quota},
      {"runtimeclasses.node.k8s.io", runtime_class},
      {"services", service},
      {"statefulsets.apps", stateful_set},
      {"storageclasses.storage.k8s.io", storage_class},
  };
  const auto found = table.find(storage_name);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace
}  // namespace warning

std::vector<std::string> warnings(const Resource& resource, std::string_view subresource, const json::Value& object,
                                  const json::Value* old) {
  std::vector<std::string> out;
  if (!subresource.empty()) return out;
  if (resource.custom != nullptr) return custom::warnings(object, old);
  if (resource.storage_name == "customresourcedefinitions.apiextensions.k8s.io") return crd::warnings(object, old);
  if (const auto rule = warning::rule_of(resource.storage_name)) rule({object, old}, out);
  return out;
}

std::string_view deprecation(const Resource& resource) {
  if (resource.storage_name == "endpoints")
    return "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
  if (resource.storage_name == "componentstatuses") return "v1 ComponentStatus is deprecated in v1.19+";
  return {};
}

}  // namespace knarr::schema
