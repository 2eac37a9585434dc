// Containers: names, images, ports, environment, mounts, probes, resources and security of each.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "schema/go_json.h"
#include "schema/validate.h"

namespace knarr::schema::validation {
namespace {

using GracePeriod = std::optional<int64_t>;

void ports(const std::vector<core::ContainerPort>& ports, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < ports.size(); ++i) {
    const core::ContainerPort& port = ports[i];
    Path at = path.index(i);
    if (!port.name.empty()) {
      auto problems = names::port_name(port.name);
      errors.invalid(at.child("name"), port.name, problems);
      if (problems.empty() && !seen.insert(port.name).second) errors.duplicate(at.child("name"), port.name);
    }
    if (port.containerPort == 0) {
      errors.required(at.child("containerPort"));
    } else {
      errors.invalid(at.child("containerPort"), port.containerPort, names::port_number(port.containerPort));
    }
    if (port.hostPort != 0) errors.invalid(at.child("hostPort"), port.hostPort, names::port_number(port.hostPort));
    if (port.protocol.empty()) {
      errors.required(at.child("protocol"));
    } else {
      errors.one_of(at.child("protocol"), port.protocol, {"SCTP", "TCP", "UDP"});
    }
  }
}

// Two containers cannot have the same port of the host.
void host_port_conflicts(const std::vector<core::Container>& containers, size_t first, size_t last, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = first; i < last; ++i) {
    const auto& ports = containers[i].ports;
    for (size_t j = 0; j < ports.size(); ++j) {
      if (ports[j].hostPort == 0) continue;
      std::string id = fmt::format("{}/{}/{}", ports[j].protocol, ports[j].hostIP, ports[j].hostPort);
      if (!seen.insert(id).second) errors.duplicate(path.index(i - first).child("ports").index(j).child("hostPort"), id);
    }
  }
}

template <typename Reference>
void key_reference(const Reference& ref, const Path& path, FieldErrors& errors) {
  errors.invalid(path.child("name"), ref.name, names::dns1123_subdomain(ref.name));
  if (ref.key.empty()) {
    errors.required(path.child("key"));
  } else {
    errors.invalid(path.child("key"), ref.key, names::config_map_key(ref.key));
  }
}

void file_reference(const core::FileKeySelector& ref, const Path& path, FieldErrors& errors) {
  if (ref.key.empty()) {
    errors.required(path.child("key"));
  } else {
    errors.invalid(path.child("key"), ref.key, names::env_var_name(ref.key));
  }
  if (ref.volumeName.empty()) {
    errors.required(path.child("volumeName"));
  } else {
    errors.invalid(path.child("volumeName"), ref.volumeName, names::dns1123_label(ref.volumeName));
  }
  if (ref.path.empty()) {
    errors.required(path.child("path"));
  } else {
    no_backsteps(ref.path, path.child("path"), errors);
  }
}

void env(const std::vector<core::EnvVar>& vars, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < vars.size(); ++i) {
    const core::EnvVar& var = vars[i];
    Path at = path.index(i);
    if (var.name.empty()) {
      errors.required(at.child("name"));
    } else {
      errors.invalid(at.child("name"), var.name, names::env_var_name(var.name));
    }
    if (!var.valueFrom) continue;
    const core::EnvVarSource& from = *var.valueFrom;
    Path source = at.child("valueFrom");
    int sources = 0;
    if (from.fieldRef) ++sources, field_selector(*from.fieldRef, false, source.child("fieldRef"), errors);
    if (from.resourceFieldRef) ++sources, resource_field_selector(*from.resourceFieldRef, false, source.child("resourceFieldRef"), errors);
    if (from.configMapKeyRef) ++sources, key_reference(*from.configMapKeyRef, source.child("configMapKeyRef"), errors);
    if (from.secretKeyRef) ++sources, key_reference(*from.secretKeyRef, source.child("secretKeyRef"), errors);
    if (from.fileKeyRef) ++sources, file_reference(*from.fileKeyRef, source.child("fileKeyRef"), errors);
    if (sources == 0) {
      errors.invalid(source, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`");
    } else if (!var.value.empty()) {
      errors.invalid(source, "", "may not be specified when `value` is not empty");
    } else if (sources > 1) {
      errors.invalid(source, "", "may not have more than one field specified at a time");
    }
  }
}

template <typename Source>
void env_source(const Source& source, const Path& path, FieldErrors& errors) {
  if (source.name.empty()) {
    errors.required(path.child("name"));
  } else {
    errors.invalid(path.child("name"), source.name, names::dns1123_subdomain(source.name));
  }
}

void env_from(const std::vector<core::EnvFromSource>& sources, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < sources.size(); ++i) {
    const core::EnvFromSource& from = sources[i];
    Path at = path.index(i);
    if (!from.prefix.empty()) errors.invalid(at.child("prefix"), from.prefix, names::env_var_name(from.prefix));
    if (from.configMapRef) env_source(*from.configMapRef, at.child("configMapRef"), errors);
    if (from.secretRef) env_source(*from.secretRef, at.child("secretRef"), errors);
    if (!from.configMapRef && !from.secretRef) errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`");
    if (from.configMapRef && from.secretRef) errors.invalid(path, "", "may not have more than one field specified at a time");
  }
}

void mount_propagation(const core::VolumeMount& mount, bool privileged, const Path& path, FieldErrors& errors) {
  if (!mount.mountPropagation) return;
  errors.one_of(path, *mount.mountPropagation, {"Bidirectional", "HostToContainer", "None"});
  if (*mount.mountPropagation == "Bidirectional" && !privileged)
    errors.forbidden(path, "Bidirectional mount propagation is available only to privileged containers");
}

void recursive_read_only(const core::VolumeMount& mount, const Path& path, FieldErrors& errors) {
  if (!mount.recursiveReadOnly || *mount.recursiveReadOnly == "Disabled") return;
  if (!errors.one_of(path, *mount.recursiveReadOnly, {"Disabled", "Enabled", "IfPossible"})) return;
  if (!mount.readOnly) errors.forbidden(path, "may only be specified when readOnly is true");
  if (mount.mountPropagation.value_or("None") != "None")
    errors.forbidden(path, "may only be specified when mountPropagation is None or not specified");
}

template <typename Container>
void volume_mounts(const Container& c, const Volumes& volumes, const Path& path, FieldErrors& errors) {
  bool privileged = c.securityContext && c.securityContext->privileged.value_or(false);
  std::set<std::string> seen;
  for (size_t i = 0; i < c.volumeMounts.size(); ++i) {
    const core::VolumeMount& mount = c.volumeMounts[i];
    Path at = path.index(i);
    if (mount.name.empty()) errors.required(at.child("name"));
    if (!volumes.count(mount.name)) errors.not_found(at.child("name"), mount.name);
    if (mount.mountPath.empty()) errors.required(at.child("mountPath"));
    if (!seen.insert(mount.mountPath).second) errors.invalid(at.child("mountPath"), mount.mountPath, "must be unique");
    for (const core::VolumeDevice& device : c.volumeDevices) {
      if (device.name == mount.name) errors.invalid(at.child("name"), mount.name, "must not already exist in volumeDevices");
      if (device.devicePath == mount.mountPath)
        errors.invalid(at.child("mountPath"), mount.mountPath, "must not already exist as a path in volumeDevices");
    }
    if (!mount.subPath.empty()) local_descending(mount.subPath, path.child("subPath"), errors);
    if (!mount.subPathExpr.empty()) {
      if (!mount.subPath.empty())
        errors.invalid(at.child("subPathExpr"), mount.subPathExpr, "subPathExpr and subPath are mutually exclusive");
      local_descending(mount.subPathExpr, path.child("subPathExpr"), errors);
    }
    mount_propagation(mount, privileged, path.child("mountPropagation"), errors);
    recursive_read_only(mount, path.child("recursiveReadOnly"), errors);
  }
}

template <typename Container>
void volume_devices(const Container& c, const Volumes& volumes, const Path& path, FieldErrors& errors) {
  std::set<std::string> names_seen, paths_seen;
  for (size_t i = 0; i < c.volumeDevices.size(); ++i) {
    const core::VolumeDevice& device = c.volumeDevices[i];
    Path at = path.index(i);
    auto there = volumes.find(device.name);
    const core::Volume* volume = there == volumes.end() ? nullptr : there->second;
    if (device.name.empty()) errors.required(at.child("name"));
    if (!device.name.empty() && !names_seen.insert(device.name).second) errors.invalid(at.child("name"), device.name, "must be unique");
    if (volume && !volume->persistentVolumeClaim && !volume->ephemeral)
      errors.invalid(at.child("name"), device.name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    if (!volume) errors.not_found(at.child("name"), device.name);
    if (device.devicePath.empty()) errors.required(at.child("devicePath"));
    if (("/" + device.devicePath + "/").find("/../") != std::string::npos) {
      errors.invalid(at.child("devicePath"), device.devicePath, "can not contain backsteps ('..')");
    } else if (!paths_seen.insert(device.devicePath).second) {
      errors.invalid(at.child("devicePath"), device.devicePath, "must be unique");
    }
    for (const core::VolumeMount& mount : c.volumeMounts) {
      if (mount.name == device.name) errors.invalid(at.child("name"), device.name, "must not already exist in volumeMounts");
      if (mount.mountPath == device.devicePath)
        errors.invalid(at.child("devicePath"), device.devicePath, "must not already exist as a path in volumeMounts");
    }
  }
}

void resize_policy(const std::vector<core::ContainerResizePolicy>& list, const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    if (!seen.insert(list[i].resourceName).second) errors.duplicate(path.index(i), list[i].resourceName);
    if (list[i].resourceName.empty()) {
      errors.required(path);
    } else {
      errors.one_of(path, list[i].resourceName, {"cpu", "memory"});
    }
    if (list[i].restartPolicy.empty()) {
      errors.required(path);
    } else {
      errors.one_of(path, list[i].restartPolicy, {"NotRequired", "RestartContainer"});
    }
    if (spec.restartPolicy == "Never" && list[i].restartPolicy != "NotRequired")
      errors.invalid(path, list[i].restartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'");
  }
}

void security_context(const core::SecurityContext& sc, bool host_users, const Path& path, FieldErrors& errors) {
  if (sc.runAsUser) errors.invalid(path.child("runAsUser"), *sc.runAsUser, names::user_id(*sc.runAsUser));
  if (sc.runAsGroup) errors.invalid(path.child("runAsGroup"), *sc.runAsGroup, names::group_id(*sc.runAsGroup));
  if (sc.procMount) {
    errors.one_of(path.child("procMount"), *sc.procMount, {"Default", "Unmasked"});
    if (host_users && *sc.procMount == "Unmasked")
      errors.invalid(path.child("procMount"), *sc.procMount, "`hostUsers` must be false to use `Unmasked`");
  }
  if (sc.seccompProfile) seccomp_profile(*sc.seccompProfile, path.child("seccompProfile"), errors);
  if (!sc.allowPrivilegeEscalation.value_or(true)) {
    if (sc.privileged.value_or(false))
      errors.invalid_json(path, go_json(sc), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    bool admin = sc.capabilities && std::count(sc.capabilities->add.begin(), sc.capabilities->add.end(), "CAP_SYS_ADMIN") > 0;
    if (admin) errors.invalid_json(path, go_json(sc), "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
  }
  if (sc.windowsOptions) windows_options(*sc.windowsOptions, path.child("windowsOptions"), errors);
  if (sc.appArmorProfile) app_armor_profile(*sc.appArmorProfile, path.child("appArmorProfile"), errors);
}

// What holds for containers of every list.
template <typename Container>
void container(const Container& c, const core::PodSpec& spec, const Volumes& volumes, const Path& path, FieldErrors& errors) {
  if (c.name.empty()) {
    errors.required(path.child("name"));
  } else {
    errors.invalid(path.child("name"), c.name, names::dns1123_label(c.name));
  }
  if (c.image.empty()) errors.required(path.child("image"));
  if (c.terminationMessagePolicy.empty()) {
    errors.required(path.child("terminationMessagePolicy"));
  } else {
    errors.one_of(path.child("terminationMessagePolicy"), c.terminationMessagePolicy, {"File", "FallbackToLogsOnError"});
  }
  ports(c.ports, path.child("ports"), errors);
  env(c.env, path.child("env"), errors);
  env_from(c.envFrom, path.child("envFrom"), errors);
  volume_mounts(c, volumes, path.child("volumeMounts"), errors);
  volume_devices(c, volumes, path.child("volumeDevices"), errors);
  if (c.imagePullPolicy.empty()) {
    errors.required(path.child("imagePullPolicy"));
  } else {
    errors.one_of(path.child("imagePullPolicy"), c.imagePullPolicy, {"Always", "IfNotPresent", "Never"});
  }
  resource_requirements(c.resources, spec, path.child("resources"), errors);
  resize_policy(c.resizePolicy, spec, path.child("resizePolicy"), errors);
  if (c.securityContext) security_context(*c.securityContext, spec.hostUsers.value_or(true), path.child("securityContext"), errors);
}

// A handler of a probe or of the life cycle: exactly one action.
class Handler {
 public:
  Handler(const Path& path, FieldErrors& errors) : path_(path), errors_(errors) {}
  ~Handler() {
    if (count_ == 0) errors_.required(path_, "must specify a handler type");
  }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

  template <typename Action, typename Check>
  void action(const Action& action, std::string_view name, Check check) {
    if (!action) return;
    if (count_++ > 0) return errors_.forbidden(path_.child(name), "may not specify more than 1 handler type");
    check(*action, path_.child(name));
  }

  void exec(const core::ExecAction& a, const Path& path) {
    if (a.command.empty()) errors_.required(path.child("command"));
  }
  void http_get(const core::HTTPGetAction& a, const Path& path) {
    if (a.path.empty()) errors_.required(path.child("path"));
    port_number_or_name(a.port, path.child("port"), errors_);
    errors_.one_of(path.child("scheme"), a.scheme, {"HTTP", "HTTPS"});
    for (const core::HTTPHeader& h : a.httpHeaders) errors_.invalid(path.child("httpHeaders"), h.name, names::http_header_name(h.name));
  }
  template <typename Source>
  void common(const Source& s) {
    action(s.exec, "exec", [&](const auto& a, const Path& p) { exec(a, p); });
    action(s.httpGet, "httpGet", [&](const auto& a, const Path& p) { http_get(a, p); });
    action(s.tcpSocket, "tcpSocket", [&](const auto& a, const Path& p) { port_number_or_name(a.port, p.child("port"), errors_); });
  }

 private:
  const Path& path_;
  FieldErrors& errors_;
  int count_ = 0;
};

void lifecycle_handler(const core::LifecycleHandler& h, const GracePeriod& grace, const Path& path, FieldErrors& errors) {
  Handler handler(path, errors);
  handler.common(h);
  handler.action(h.sleep, "sleep", [&](const core::SleepAction& sleep, const Path& at) {
    if (grace && (sleep.seconds < 0 || sleep.seconds > *grace))
      errors.invalid(at, sleep.seconds, fmt::format("must be non-negative and less than terminationGracePeriodSeconds ({})", *grace));
  });
}

void lifecycle(const core::Lifecycle& lifecycle, const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  const GracePeriod& grace = spec.terminationGracePeriodSeconds;
  if (lifecycle.postStart) lifecycle_handler(*lifecycle.postStart, grace, path.child("postStart"), errors);
  if (lifecycle.preStop) lifecycle_handler(*lifecycle.preStop, grace, path.child("preStop"), errors);
  if (lifecycle.stopSignal && !spec.os)
    errors.forbidden(path.child("stopSignal"), "may not be set for containers with empty `spec.os.name`");
}

void probe(const core::Probe& p, const Path& path, FieldErrors& errors) {
  {
    Handler handler(path, errors);
    handler.common(p);
    handler.action(p.grpc, "grpc", [&](const core::GRPCAction& grpc, const Path& at) {
      errors.invalid(at.child("port"), grpc.port, names::port_number(grpc.port));
    });
  }
  errors.non_negative(path.child("initialDelaySeconds"), p.initialDelaySeconds);
  errors.non_negative(path.child("timeoutSeconds"), p.timeoutSeconds);
  errors.non_negative(path.child("periodSeconds"), p.periodSeconds);
  errors.non_negative(path.child("successThreshold"), p.successThreshold);
  errors.non_negative(path.child("failureThreshold"), p.failureThreshold);
  if (p.terminationGracePeriodSeconds && *p.terminationGracePeriodSeconds <= 0)
    errors.invalid(path.child("terminationGracePeriodSeconds"), *p.terminationGracePeriodSeconds, "must be greater than 0");
}

// Liveness and start-up cannot need more than one success.
void once_probe(const api::Box<core::Probe>& p, const Path& path, FieldErrors& errors) {
  if (!p) return;
  probe(*p, path, errors);
  if (p->successThreshold != 1) errors.invalid(path.child("successThreshold"), p->successThreshold, "must be 1");
}

void probes_and_lifecycle(const core::Container& c, const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  if (c.lifecycle) lifecycle(*c.lifecycle, spec, path.child("lifecycle"), errors);
  once_probe(c.livenessProbe, path.child("livenessProbe"), errors);
  if (c.readinessProbe) {
    Path at = path.child("readinessProbe");
    probe(*c.readinessProbe, at, errors);
    if (c.readinessProbe->terminationGracePeriodSeconds)
      errors.invalid(at.child("terminationGracePeriodSeconds"), *c.readinessProbe->terminationGracePeriodSeconds,
                     "must not be set for readinessProbes");
  }
  once_probe(c.startupProbe, path.child("startupProbe"), errors);
}

void restart_policy(const core::Container& c, const Path& path, FieldErrors& errors) {
  Path policy = path.child("restartPolicy"), rules = path.child("restartPolicyRules");
  if (!c.restartPolicy) {
    if (!c.restartPolicyRules.empty()) errors.required(policy, "must specify restartPolicy when restart rules are used");
  } else {
    errors.one_of(policy, *c.restartPolicy, {"Always", "Never", "OnFailure"});
  }
  if (c.restartPolicyRules.size() > 20) errors.too_many(rules, c.restartPolicyRules.size(), 20);
  for (size_t i = 0; i < c.restartPolicyRules.size(); ++i) {
    const core::ContainerRestartRule& rule = c.restartPolicyRules[i];
    Path at = rules.index(i);
    errors.one_of(at.child("action"), rule.action, {"Restart", "RestartAllContainers"});
    if (!rule.exitCodes) {
      errors.required(at.child("exitCodes"), "must be specified");
      continue;
    }
    errors.one_of(at.child("exitCodes").child("operator"), rule.exitCodes->operator_, {"In", "NotIn"});
    if (rule.exitCodes->values.size() > 255) errors.too_many(at.child("exitCodes").child("values"), rule.exitCodes->values.size(), 255);
  }
}

void init_containers(const core::PodSpec& spec, const Volumes& volumes, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (const core::Container& c : spec.containers) seen.insert(c.name);
  for (size_t i = 0; i < spec.initContainers.size(); ++i) {
    const core::Container& c = spec.initContainers[i];
    Path at = path.index(i);
    container(c, spec, volumes, at, errors);
    if (c.restartPolicy) {
      restart_policy(c, at, errors);
    } else if (!c.restartPolicyRules.empty()) {  // which are not looked at then
      errors.required(at.child("restartPolicy"), "must specify restartPolicy when restart rules are used");
    }
    if (!c.name.empty() && !seen.insert(c.name).second) errors.duplicate(at.child("name"), c.name);
    host_port_conflicts(spec.initContainers, i, i + 1, path, errors);
    if (c.restartPolicy == "Always") {
      probes_and_lifecycle(c, spec, at, errors);
      continue;
    }
    constexpr std::string_view kNot = "may not be set for init containers without restartPolicy=Always";
    if (c.lifecycle) errors.forbidden(at.child("lifecycle"), kNot);
    if (c.livenessProbe) errors.forbidden(at.child("livenessProbe"), kNot);
    if (c.readinessProbe) errors.forbidden(at.child("readinessProbe"), kNot);
    if (c.startupProbe) errors.forbidden(at.child("startupProbe"), kNot);
    for (size_t j = 0; j < c.resizePolicy.size(); ++j) {
      if (c.resizePolicy[j].restartPolicy == "RestartContainer")
        errors.invalid(at.child("resizePolicy").index(j).child("restartPolicy"), c.resizePolicy[j].restartPolicy,
                       "must not be set to 'RestartContainer' for non-sidecar initContainers");
    }
  }
}

void ephemeral_containers(const core::PodSpec& spec, const Volumes& volumes, const Path& path, FieldErrors& errors) {
  std::set<std::string> others, seen;
  for (const core::Container& c : spec.containers) others.insert(c.name);
  for (const core::Container& c : spec.initContainers) others.insert(c.name);
  seen = others;
  for (size_t i = 0; i < spec.ephemeralContainers.size(); ++i) {
    const core::EphemeralContainer& c = spec.ephemeralContainers[i];
    Path at = path.index(i);
    container(c, spec, volumes, at, errors);
    if (!seen.insert(c.name).second) errors.duplicate(at.child("name"), c.name);
    if (!c.targetContainerName.empty() && !others.count(c.targetContainerName))
      errors.not_found(at.child("targetContainerName"), c.targetContainerName);
    constexpr std::string_view kNot = "cannot be set for an Ephemeral Container";
    const auto absent = [&](bool set, std::string_view name) {
      if (set) errors.forbidden(at.child(name), kNot);
    };
    absent(!c.ports.empty(), "ports");
    absent(c.resources != core::ResourceRequirements(), "resources");
    absent(!c.resizePolicy.empty(), "resizePolicy");
    absent(c.restartPolicy.has_value(), "restartPolicy");
    absent(!c.restartPolicyRules.empty(), "restartPolicyRules");
    absent(bool(c.livenessProbe), "livenessProbe");
    absent(bool(c.readinessProbe), "readinessProbe");
    absent(bool(c.startupProbe), "startupProbe");
    absent(bool(c.lifecycle), "lifecycle");
    for (size_t j = 0; j < c.volumeMounts.size(); ++j) {
      Path mount = at.child("volumeMounts").index(j);
      if (!c.volumeMounts[j].subPath.empty()) errors.forbidden(mount.child("subPath"), kNot);
      if (!c.volumeMounts[j].subPathExpr.empty()) errors.forbidden(mount.child("subPathExpr"), kNot);
    }
  }
}

}  // namespace

void port_number_or_name(const IntOrString& port, const Path& path, FieldErrors& errors) {
  if (port.is_int) {
    errors.invalid(path, port.number, names::port_number(port.number));
  } else {
    errors.invalid(path, port.text, names::port_name(port.text));
  }
}

void containers(const core::PodSpec& spec, const Volumes& volumes, const Path& path, FieldErrors& errors) {
  Path list = path.child("containers");
  if (spec.containers.empty()) errors.required(list);
  std::set<std::string> seen;
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    const core::Container& c = spec.containers[i];
    Path at = list.index(i);
    container(c, spec, volumes, at, errors);
    if (!seen.insert(c.name).second) errors.duplicate(at.child("name"), c.name);
    probes_and_lifecycle(c, spec, at, errors);
    restart_policy(c, at, errors);
  }
  host_port_conflicts(spec.containers, 0, spec.containers.size(), list, errors);
  init_containers(spec, volumes, path.child("initContainers"), errors);
  ephemeral_containers(spec, volumes, path.child("ephemeralContainers"), errors);
}

}  // namespace knarr::schema::validation
