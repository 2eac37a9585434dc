// Pods: what concerns the pod as a whole. Containers, volumes and scheduling have their own files.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "schema/go_json.h"
#include "schema/validate.h"

namespace knarr::schema::validation {
namespace {

constexpr size_t kMaxNameservers = 3, kMaxSearches = 32, kMaxSearchCharacters = 2048, kMaxSysctl = 253;

bool is_sysctl(std::string_view name) {
  if (name.empty() || name.size() > kMaxSysctl) return false;
  auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool start = true;
  for (size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    bool separator = c == '.' || c == '/', end = i + 1 == name.size() || name[i + 1] == '.' || name[i + 1] == '/';
    if (separator ? start : !(alnum(c) || (!start && !end && (c == '-' || c == '_')))) return false;
    start = separator;
  }
  return !start;
}

void sysctls(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  const auto& list = spec.securityContext->sysctls;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string& name = list[i].name;
    Path at = path.index(i).child("name");
    if (name.empty()) {
      errors.required(at);
    } else if (!is_sysctl(name)) {
      errors.invalid(at, name,
                     "must have at most 253 characters and match regex "
                     "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
    } else if (seen.count(name)) {
      errors.duplicate(at, name);
    }
    seen.insert(name);
    bool net = name.starts_with("net.") || name.starts_with("net/");
    bool ipc = name.starts_with("kernel.shm") || name.starts_with("kernel.msg") || name == "kernel.sem" || name.starts_with("fs.mqueue.");
    if (spec.hostNetwork && net) errors.invalid(at, name, "may not be specified when 'hostNetwork' is true");
    if (spec.hostIPC && ipc) errors.invalid(at, name, "may not be specified when 'hostIPC' is true");
  }
}

void security_context(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  if (spec.shareProcessNamespace.value_or(false) && spec.hostPID)
    errors.invalid(path.child("shareProcessNamespace"), true, "ShareProcessNamespace and HostPID cannot both be enabled");
  if (!spec.securityContext) return;
  const core::PodSecurityContext& sc = *spec.securityContext;
  if (sc.fsGroup) errors.invalid(path.child("fsGroup"), *sc.fsGroup, names::group_id(*sc.fsGroup));
  if (sc.runAsUser) errors.invalid(path.child("runAsUser"), *sc.runAsUser, names::user_id(*sc.runAsUser));
  if (sc.runAsGroup) errors.invalid(path.child("runAsGroup"), *sc.runAsGroup, names::group_id(*sc.runAsGroup));
  for (size_t i = 0; i < sc.supplementalGroups.size(); ++i)
    errors.invalid(path.child("supplementalGroups").index(i), sc.supplementalGroups[i], names::group_id(sc.supplementalGroups[i]));
  sysctls(spec, path.child("sysctls"), errors);
  if (sc.fsGroupChangePolicy) errors.one_of(path.child("fsGroupChangePolicy"), *sc.fsGroupChangePolicy, {"Always", "OnRootMismatch"});
  if (sc.seccompProfile) seccomp_profile(*sc.seccompProfile, path.child("seccompProfile"), errors);
  if (sc.windowsOptions) windows_options(*sc.windowsOptions, path.child("windowsOptions"), errors);
  if (sc.appArmorProfile) app_armor_profile(*sc.appArmorProfile, path.child("appArmorProfile"), errors);
  if (sc.supplementalGroupsPolicy) errors.one_of(path.child("supplementalGroupsPolicy"), *sc.supplementalGroupsPolicy, {"Merge", "Strict"});
  // Mounting volumes with labels of SELinux is off.
  if (sc.seLinuxChangePolicy) errors.one_of(path.child("seLinuxChangePolicy"), *sc.seLinuxChangePolicy, {"Recursive"});
}

void dns_config(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  if (spec.dnsPolicy == "None") {
    if (!spec.dnsConfig) return errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
    if (spec.dnsConfig->nameservers.empty())
      return errors.required(path.child("nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None");
  }
  if (!spec.dnsConfig) return;
  const core::PodDNSConfig& dns = *spec.dnsConfig;
  auto list = [](const std::vector<std::string>& words) { return fmt::format("[\"{}\"]", fmt::join(words, "\",\"")); };
  if (dns.nameservers.size() > kMaxNameservers)
    errors.invalid_json(path.child("nameservers"), list(dns.nameservers), fmt::format("must not have more than {} nameservers", kMaxNameservers));
  for (size_t i = 0; i < dns.nameservers.size(); ++i)
    errors.invalid(path.child("nameservers").index(i), dns.nameservers[i], names::ip(dns.nameservers[i]));
  if (dns.searches.size() > kMaxSearches)
    errors.invalid_json(path.child("searches"), list(dns.searches), fmt::format("must not have more than {} search paths", kMaxSearches));
  if (fmt::format("{}", fmt::join(dns.searches, " ")).size() > kMaxSearchCharacters)
    errors.invalid_json(path.child("searches"), list(dns.searches),
                        fmt::format("must not have more than {} characters (including spaces) in the search list", kMaxSearchCharacters));
  for (size_t i = 0; i < dns.searches.size(); ++i) {
    std::string_view search = dns.searches[i];
    if (search == ".") continue;
    if (search.ends_with('.')) search.remove_suffix(1);
    errors.invalid(path.child("searches").index(i), search, names::dns1123_subdomain_with_underscore(search));
  }
  for (size_t i = 0; i < dns.options.size(); ++i) {
    if (dns.options[i].name.empty()) errors.required(path.child("options").index(i), "must not be empty");
  }
}

void host_network_ports(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  if (!spec.hostNetwork) return;
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    const auto& ports = spec.containers[i].ports;
    for (size_t j = 0; j < ports.size(); ++j) {
      if (ports[j].hostPort != ports[j].containerPort)
        errors.invalid(path.child("containers").index(i).child("ports").index(j).child("hostPort"), ports[j].hostPort,
                       "must match `containerPort` when `hostNetwork` is true");
    }
  }
}

void host_users(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  if (spec.hostUsers.value_or(true)) return;
  if (spec.hostNetwork) errors.forbidden(path.child("hostNetwork"), "when `hostUsers` is false");
  if (spec.hostPID) errors.forbidden(path.child("HostPID"), "when `hostUsers` is false");
  if (spec.hostIPC) errors.forbidden(path.child("HostIPC"), "when `hostUsers` is false");
}

void host_names(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  if (!spec.hostname.empty()) errors.invalid(path.child("hostname"), spec.hostname, names::dns1123_label(spec.hostname));
  if (!spec.subdomain.empty()) errors.invalid(path.child("subdomain"), spec.subdomain, names::dns1123_label(spec.subdomain));
  if (!spec.hostnameOverride) return;
  Path at = path.child("hostnameOverride");
  if (spec.setHostnameAsFQDN.value_or(false)) errors.forbidden(at, "may not be specified when setHostnameAsFQDN is true");
  if (spec.hostNetwork) errors.forbidden(at, "may not be specified when hostNetwork is true");
  if (spec.hostnameOverride->size() > 64) errors.too_long(at, 64);
  errors.invalid(at, *spec.hostnameOverride, names::dns1123_subdomain(*spec.hostnameOverride));
}

void gates(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < spec.readinessGates.size(); ++i) {
    const std::string& type = spec.readinessGates[i].conditionType;
    errors.invalid(path.child("readinessGates").index(i).child("conditionType"), type, names::qualified_name(type));
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < spec.schedulingGates.size(); ++i) {
    const std::string& name = spec.schedulingGates[i].name;
    Path at = path.child("schedulingGates").index(i);
    errors.invalid(at, name, names::qualified_name(name));
    if (!seen.insert(name).second) errors.duplicate(at, name);
  }
}

void host_aliases(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < spec.hostAliases.size(); ++i) {
    const core::HostAlias& alias = spec.hostAliases[i];
    Path at = path.index(i);
    errors.invalid(at.child("ip"), alias.ip, names::ip(alias.ip));
    for (size_t j = 0; j < alias.hostnames.size(); ++j)
      errors.invalid(at.child("hostnames").index(j), alias.hostnames[j], names::dns1123_subdomain(alias.hostnames[j]));
  }
}

void operating_system(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  if (!spec.os) return;
  if (spec.os->name.empty()) return errors.required(path.child("os").child("name"));
  errors.one_of(path.child("os"), spec.os->name, {"linux", "windows"});
}

// What the containers need at their busiest: those that run together, or one init container beside the sidecars before it.
Quantity aggregate_request(const core::PodSpec& spec, const std::string& name) {
  const auto of = [&](const core::Container& c) {
    const auto request = c.resources.requests.find(name);
    return request == c.resources.requests.end() ? Quantity() : Quantity::parse_or_zero(request->second);
  };
  Quantity sidecars, busiest;
  for (const core::Container& c : spec.initContainers) {
    const Quantity now = sidecars + of(c);
    if (c.restartPolicy == "Always") sidecars = now;
    if (now > busiest) busiest = now;
  }
  Quantity together = sidecars;
  for (const core::Container& c : spec.containers) together += of(c);
  return together > busiest ? together : busiest;
}

void pod_level_resources(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  if (!spec.resources) return;
  if (spec.os && spec.os->name == "windows") return errors.forbidden(path, "may not be set for a windows pod");
  if (!spec.resources->claims.empty()) errors.forbidden(path.child("claims"), "claims may not be set for Resources at pod-level");
  resource_requirements(*spec.resources, spec, path, errors, pod_level_resource_name);
  for (const auto& [name, requested] : spec.resources->requests) {
    const Quantity together = aggregate_request(spec, name);
    if (together.sign() > 0 && together > Quantity::parse_or_zero(requested))
      errors.invalid(path.child("requests").key(name), requested,
                     "must be greater than or equal to aggregate container requests of " + together.to_string());
  }
  // A container may not have more than the pod.
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    for (const auto& [name, limit] : spec.containers[i].resources.limits) {
      auto most = spec.resources->limits.find(name);
      if (most != spec.resources->limits.end() && Quantity::parse_or_zero(limit) > Quantity::parse_or_zero(most->second))
        errors.invalid(path.child("containers").index(i).key(name).child("limits"), limit,
                       "must be less than or equal to pod limits of " + most->second);
    }
  }
}

void resource_claims(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < spec.resourceClaims.size(); ++i) {
    const core::PodResourceClaim& claim = spec.resourceClaims[i];
    const Path at = path.index(i), name = at.child("name");
    if (claim.name.empty()) {
      errors.required(name);
    } else if (!seen.insert(claim.name).second) {
      errors.duplicate(name, claim.name);
    } else {
      errors.invalid(name, claim.name, names::dns1123_label(claim.name));
    }
    if (claim.resourceClaimName && claim.resourceClaimTemplateName)
      errors.invalid_json(at, go_json(claim), "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
    if (!claim.resourceClaimName && !claim.resourceClaimTemplateName)
      errors.invalid_json(at, go_json(claim), "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
    const auto subdomain = [&](const std::optional<std::string>& value, std::string_view field) {
      if (value) errors.invalid(at.child(field), *value, names::dns1123_subdomain(*value));
    };
    subdomain(claim.resourceClaimName, "resourceClaimName");
    subdomain(claim.resourceClaimTemplateName, "resourceClaimTemplateName");
  }
}

// Files with variables lie in emptyDir volumes.
template <typename Container>
void file_key_volumes(const std::vector<Container>& containers, const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < containers.size(); ++i) {
    for (size_t j = 0; j < containers[i].env.size(); ++j) {
      const core::EnvVar& var = containers[i].env[j];
      if (!var.valueFrom || !var.valueFrom->fileKeyRef) continue;
      const std::string& name = var.valueFrom->fileKeyRef->volumeName;
      Path at = path.index(i).child("env").index(j).child("valueFrom").child("fileKeyRef").child("volumeName");
      auto volume = std::find_if(spec.volumes.begin(), spec.volumes.end(), [&](const core::Volume& v) { return v.name == name; });
      if (volume == spec.volumes.end()) {
        errors.not_found(at, name);
      } else if (!volume->emptyDir) {
        errors.invalid(at, name, "referenced volume must be of type emptyDir");
      }
    }
  }
}

// An enumerated word that must be there.
void word(const Path& path, const std::string& value, FieldErrors::Words supported, FieldErrors& errors) {
  if (value.empty()) {
    errors.required(path);
  } else {
    errors.one_of(path, value, supported);
  }
}

void name_if_set(const Path& path, const std::string& name, FieldErrors& errors) {
  if (!name.empty()) errors.invalid(path, name, names::dns1123_subdomain(name));
}

void pod_spec(const core::PodSpec& spec, const std::string& pod_name, const Path& path, FieldErrors& errors) {
  if (!spec.terminationGracePeriodSeconds) errors.required(path.child("terminationGracePeriodSeconds"));
  const Volumes mountable = volumes(spec, pod_name, path.child("volumes"), errors);
  resource_claims(spec, path.child("resourceClaims"), errors);
  containers(spec, mountable, path, errors);
  pod_level_resources(spec, path.child("resources"), errors);
  host_network_ports(spec, path, errors);
  word(path.child("restartPolicy"), spec.restartPolicy, {"Always", "OnFailure", "Never"}, errors);
  word(path.child("dnsPolicy"), spec.dnsPolicy, {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"}, errors);
  labels(spec.nodeSelector, path.child("nodeSelector"), errors);
  security_context(spec, path.child("securityContext"), errors);
  if (spec.affinity) affinity(*spec.affinity, path.child("affinity"), errors);
  dns_config(spec, path.child("dnsConfig"), errors);
  gates(spec, path, errors);
  topology_spread(spec.topologySpreadConstraints, path.child("topologySpreadConstraints"), errors);
  host_process_pod(spec, path, errors);
  host_users(spec, path, errors);
  host_names(spec, path, errors);
  name_if_set(path.child("serviceAccountName"), spec.serviceAccountName, errors);
  name_if_set(path.child("nodeName"), spec.nodeName, errors);
  if (spec.activeDeadlineSeconds)
    errors.invalid(path.child("activeDeadlineSeconds"), *spec.activeDeadlineSeconds, names::in_range(*spec.activeDeadlineSeconds, 1, INT32_MAX));
  tolerations(spec.tolerations, path.child("tolerations"), errors);
  host_aliases(spec, path.child("hostAliases"), errors);
  name_if_set(path.child("priorityClassName"), spec.priorityClassName, errors);
  if (spec.runtimeClassName)
    errors.invalid(path.child("runtimeClassName"), *spec.runtimeClassName, names::dns1123_subdomain(*spec.runtimeClassName));
  if (spec.preemptionPolicy) word(path.child("preemptionPolicy"), *spec.preemptionPolicy, {"PreemptLowerPriority", "Never"}, errors);
  resource_amounts(spec.overhead, path.child("overhead").child("limits"), errors);
  operating_system(spec, path, errors);
  file_key_volumes(spec.containers, spec, path.child("containers"), errors);
  file_key_volumes(spec.initContainers, spec, path.child("initContainers"), errors);
  file_key_volumes(spec.ephemeralContainers, spec, path.child("ephemeralContainers"), errors);
}

// Rules that templates of pods do not have.
void only_for_pods(const core::Pod& pod, FieldErrors& errors) {
  Path path("spec");
  if (pod.spec.serviceAccountName.empty()) {
    for (size_t i = 0; i < pod.spec.volumes.size(); ++i) {
      if (!pod.spec.volumes[i].projected) continue;
      const auto& sources = pod.spec.volumes[i].projected->sources;
      for (size_t j = 0; j < sources.size(); ++j) {
        if (sources[j].serviceAccountToken)
          errors.forbidden(path.child("volumes").index(i).child("projected").child("sources").index(j).child("serviceAccountToken"),
                           "must not be specified when serviceAccountName is not set");
      }
    }
  }
  auto images = [&](const auto& containers, const Path& at) {
    for (size_t i = 0; i < containers.size(); ++i) {
      const std::string& image = containers[i].image;
      if (!image.empty() && (std::isspace(static_cast<unsigned char>(image.front())) || std::isspace(static_cast<unsigned char>(image.back()))))
        errors.invalid(at.index(i).child("image"), image, "must not have leading or trailing whitespace");
    }
  };
  images(pod.spec.containers, path.child("containers"));
  images(pod.spec.initContainers, path.child("initContainers"));
  images(pod.spec.ephemeralContainers, path.child("ephemeralContainers"));
}

}  // namespace

void pod_template(const core::PodTemplateSpec& t, const Path& path, FieldErrors& errors) {
  labels(t.metadata.labels, path.child("labels"), errors);
  annotations(t.metadata.annotations, path.child("annotations"), errors);
  pod_spec(t.spec, "", path.child("spec"), errors);
  if (!t.spec.ephemeralContainers.empty())
    errors.forbidden(path.child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template");
}

void seccomp_profile(const core::SeccompProfile& profile, const Path& path, FieldErrors& errors) {
  if (profile.type.empty()) {
    errors.required(path.child("type"), "type is required when seccompProfile is set");
  } else {
    errors.one_of(path.child("type"), profile.type, {"Localhost", "RuntimeDefault", "Unconfined"});
  }
  Path at = path.child("localhostProfile");
  if (profile.type != "Localhost") {
    if (profile.localhostProfile) errors.invalid_json(at, go_json(profile), "can only be set when seccomp type is Localhost");
  } else if (!profile.localhostProfile) {
    errors.required(at, "must be set when seccomp type is Localhost");
  } else {
    local_descending(*profile.localhostProfile, at, errors);
  }
}

void app_armor_profile(const core::AppArmorProfile& profile, const Path& path, FieldErrors& errors) {
  Path at = path.child("localhostProfile");
  if (profile.type == "Localhost") {
    if (profile.localhostProfile.value_or("").empty()) errors.required(at, "must be set when AppArmor type is Localhost");
  } else if (profile.type == "RuntimeDefault" || profile.type == "Unconfined") {
    if (profile.localhostProfile) errors.invalid(at, *profile.localhostProfile, "can only be set when AppArmor type is Localhost");
  } else if (profile.type.empty()) {
    errors.required(path.child("type"), "type is required when appArmorProfile is set");
  } else {
    errors.unsupported(path.child("type"), profile.type, {"Localhost", "RuntimeDefault", "Unconfined"});
  }
}

void pod(const core::Pod& pod, const core::Pod* old, FieldErrors& errors) {
  object_meta(pod.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  // A spec that did not change was right when it was written, and what writes status should not pay for it.
  if (!old || pod.spec != old->spec) {
    pod_spec(pod.spec, pod.metadata.name, Path("spec"), errors);
    only_for_pods(pod, errors);
    if (old) pod_update(pod, *old, errors);
  }
  if (old && pod.status != old->status) pod_status_update(pod, *old, errors);
  if (old) return;
  if (!pod.spec.ephemeralContainers.empty()) errors.forbidden(Path("spec.ephemeralContainers"), "cannot be set on create");
  if (!pod.spec.nodeName.empty() && !pod.spec.schedulingGates.empty())
    errors.forbidden(Path("spec.nodeName"), "cannot be set until all schedulingGates have been cleared");
}

}  // namespace knarr::schema::validation
