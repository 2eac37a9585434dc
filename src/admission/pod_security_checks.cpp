#include "admission/pod_security_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

namespace knarr::admission {

namespace {

using json::Value;
using Names = std::vector<std::string>;
using Sorted = std::set<std::string>;
using Found = std::optional<Violation>;

struct Pod {
  const Value* annotations;
  const Value& spec;

  bool is_windows() const { return json::get_string(spec, {"os", "name"}) == "windows"; }
  bool in_user_namespace() const {
    const Value* host_users = json::find(spec, "hostUsers");
    return host_users && host_users->IsFalse();
  }
};

template <typename List>
std::string quoted(const List& items) {
  return fmt::format("\"{}\"", fmt::join(items, "\", \""));
}

std::string_view plural(std::string_view one, std::string_view many, size_t count) { return count == 1 ? one : many; }

std::string containers_text(const Names& names) {
  return fmt::format("{} {}", plural("container", "containers", names.size()), quoted(names));
}

template <typename F>
void each(const Value* list, F visit) {
  if (!list || !list->IsArray()) return;
  for (const Value& item : list->GetArray()) visit(item);
}

template <typename F>
void each_container(const Pod& pod, F visit) {
  for (std::string_view list : {"initContainers", "containers", "ephemeralContainers"})
    each(json::find(pod.spec, list), visit);
}

std::string name_of(const Value& container) { return std::string(json::get_string(container, "name")); }

const Value* security(const Value& of, std::string_view member) { return json::find(of, {"securityContext", member}); }

bool is_true(const Value* value) { return value && value->IsTrue(); }

// "pod and containers "a", "b"": who sets what may not be set.
std::string setters(bool pod, const Names& containers) {
  if (containers.empty()) return "pod";
  return (pod ? "pod and " : "") + containers_text(containers);
}

std::string text_of(const Value& value) { return value.IsString() ? std::string(json::view(value)) : std::string(); }

// --- baseline ---

Found app_armor(const Pod& pod) {
  constexpr std::string_view kPrefix = "container.apparmor.security.beta.kubernetes.io/";
  const auto bad_type = [](const Value& of) -> std::optional<std::string> {
    const Value* profile = security(of, "appArmorProfile");
    if (!profile) return std::nullopt;
    std::string type(json::get_string(*profile, "type"));
    if (type == "RuntimeDefault" || type == "Localhost") return std::nullopt;
    return type;
  };
  Names who, containers;
  Sorted values;
  if (auto type = bad_type(pod.spec)) {
    who.emplace_back("pod");
    values.insert(*type);
  }
  each_container(pod, [&](const Value& container) {
    if (auto type = bad_type(container)) {
      containers.push_back(name_of(container));
      values.insert(*type);
    }
  });
  if (!containers.empty()) who.push_back(containers_text(containers));
  Sorted annotations;
  if (pod.annotations && pod.annotations->IsObject()) {
    for (const auto& entry : pod.annotations->GetObject()) {
      const std::string_view key = json::view(entry.name);
      const std::string value = text_of(entry.value);
      if (!key.starts_with(kPrefix) || value.empty() || value == "runtime/default" || value.starts_with("localhost/"))
        continue;
      annotations.insert(fmt::format("{}=\"{}\"", key, value));
    }
  }
  Names all(values.begin(), values.end());
  if (!annotations.empty()) {
    all.insert(all.end(), annotations.begin(), annotations.end());
    who.emplace_back(plural("annotation", "annotations", annotations.size()));
  }
  if (who.empty()) return std::nullopt;
  return Violation{std::string(plural("forbidden AppArmor profile", "forbidden AppArmor profiles", all.size())),
                   fmt::format("{} must not set AppArmor profile type to {}", fmt::join(who, " and "), quoted(all))};
}

Found capabilities_baseline(const Pod& pod) {
  static const std::set<std::string_view> kAllowed = {"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE",     "FOWNER",  "FSETID",
                                                      "KILL",        "MKNOD",  "NET_BIND_SERVICE", "SETFCAP", "SETGID",
                                                      "SETPCAP",     "SETUID", "SYS_CHROOT"};
  Names containers;
  Sorted bad;
  each_container(pod, [&](const Value& container) {
    bool valid = true;
    each(json::find(container, {"securityContext", "capabilities", "add"}), [&](const Value& capability) {
      if (kAllowed.contains(text_of(capability))) return;
      valid = false;
      bad.insert(text_of(capability));
    });
    if (!valid) containers.push_back(name_of(container));
  });
  if (containers.empty()) return std::nullopt;
  return Violation{"non-default capabilities", fmt::format("{} must not include {} in securityContext.capabilities.add",
                                                           containers_text(containers), quoted(bad))};
}

Found host_namespaces(const Pod& pod) {
  Names set;
  for (std::string_view member : {"hostNetwork", "hostPID", "hostIPC"})
    if (json::get_bool(pod.spec, member)) set.push_back(fmt::format("{}=true", member));
  if (set.empty()) return std::nullopt;
  return Violation{"host namespaces", fmt::format("{}", fmt::join(set, ", "))};
}

Found host_path_volumes(const Pod& pod) {
  Names volumes;
  each(json::find(pod.spec, "volumes"), [&](const Value& volume) {
    if (json::find(volume, "hostPath")) volumes.push_back(name_of(volume));
  });
  if (volumes.empty()) return std::nullopt;
  return Violation{"hostPath volumes",
                   fmt::format("{} {}", plural("volume", "volumes", volumes.size()), quoted(volumes))};
}

Found host_ports(const Pod& pod) {
  Names containers;
  Sorted ports;
  each_container(pod, [&](const Value& container) {
    bool valid = true;
    each(json::find(container, "ports"), [&](const Value& port) {
      if (const int64_t number = json::get_int(port, "hostPort"); number != 0) {
        valid = false;
        ports.insert(std::to_string(number));
      }
    });
    if (!valid) containers.push_back(name_of(container));
  });
  if (containers.empty()) return std::nullopt;
  return Violation{"hostPort",
                   fmt::format("{} {} {} {}", containers_text(containers), plural("uses", "use", containers.size()),
                               plural("hostPort", "hostPorts", ports.size()), fmt::join(ports, ", "))};
}

Found host_probes(const Pod& pod) {
  Sorted containers, hosts;
  each_container(pod, [&](const Value& container) {
    const auto check = [&](const Value* handler) {
      if (!handler) return;
      for (std::string_view kind : {"httpGet", "tcpSocket"}) {
        const std::string_view host = json::get_string(*handler, {kind, "host"});
        if (host.empty()) continue;
        hosts.emplace(host);
        containers.insert(name_of(container));
      }
    };
    for (std::string_view probe : {"livenessProbe", "readinessProbe", "startupProbe"})
      check(json::find(container, probe));
    for (std::string_view hook : {"postStart", "preStop"}) check(json::find(container, {"lifecycle", hook}));
  });
  if (containers.empty()) return std::nullopt;
  return Violation{
      "probe or lifecycle host",
      fmt::format("{} {} {} {}", containers_text(Names(containers.begin(), containers.end())),
                  plural("uses", "use", containers.size()),
                  plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.size()), quoted(hosts))};
}

Found privileged(const Pod& pod) {
  Names containers;
  each_container(pod, [&](const Value& container) {
    if (is_true(security(container, "privileged"))) containers.push_back(name_of(container));
  });
  if (containers.empty()) return std::nullopt;
  return Violation{"privileged",
                   fmt::format("{} must not set securityContext.privileged=true", containers_text(containers))};
}

Found proc_mount(const Pod& pod) {
  Names containers;
  Sorted types;
  each_container(pod, [&](const Value& container) {
    const Value* type = security(container, "procMount");
    if (!type || text_of(*type) == "Default") return;
    containers.push_back(name_of(container));
    types.insert(text_of(*type));
  });
  if (containers.empty()) return std::nullopt;
  return Violation{"procMount", fmt::format("{} must not set securityContext.procMount to {}",
                                            containers_text(containers), quoted(types))};
}

// Weaker for pods whose root is not the node's.
template <Found (*Check)(const Pod&)>
Found unless_in_user_namespace(const Pod& pod) {
  return pod.in_user_namespace() ? std::nullopt : Check(pod);
}

template <Found (*Check)(const Pod&)>
Found unless_windows(const Pod& pod) {
  return pod.is_windows() ? std::nullopt : Check(pod);
}

Found se_linux(const Pod& pod, const std::set<std::string_view>& allowed) {
  Sorted types;
  bool user = false, role = false;
  const auto bad = [&](const Value& of) {
    const Value* options = security(of, "seLinuxOptions");
    if (!options) return false;
    const std::string_view type = json::get_string(*options, "type");
    const bool bad_type = !allowed.contains(type), bad_user = !json::get_string(*options, "user").empty(),
               bad_role = !json::get_string(*options, "role").empty();
    if (bad_type) types.emplace(type);
    user = user || bad_user;
    role = role || bad_role;
    return bad_type || bad_user || bad_role;
  };
  const bool of_pod = bad(pod.spec);
  Names containers;
  each_container(pod, [&](const Value& container) {
    if (bad(container)) containers.push_back(name_of(container));
  });
  if (!of_pod && containers.empty()) return std::nullopt;
  Names what;
  if (!types.empty()) what.push_back(fmt::format("{} {}", plural("type", "types", types.size()), quoted(types)));
  if (user) what.emplace_back("user may not be set");
  if (role) what.emplace_back("role may not be set");
  return Violation{"seLinuxOptions", fmt::format("{} set forbidden securityContext.seLinuxOptions: {}",
                                                 setters(of_pod, containers), fmt::join(what, "; "))};
}
Found se_linux_0(const Pod& pod) { return se_linux(pod, {"", "container_t", "container_init_t", "container_kvm_t"}); }
Found se_linux_31(const Pod& pod) {
  return se_linux(pod, {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"});
}

Found seccomp_annotations(const Pod& pod) {
  Sorted bad;
  const auto check = [&](const std::string& key) {
    const Value* value = pod.annotations ? json::find(*pod.annotations, key) : nullptr;
    if (!value) return;
    const std::string text = text_of(*value);
    if (text != "runtime/default" && text != "docker/default" && !text.starts_with("localhost/"))
      bad.insert(fmt::format("{}=\"{}\"", key, text));
  };
  check("seccomp.security.alpha.kubernetes.io/pod");
  each_container(pod, [&](const Value& container) {
    check("container.seccomp.security.alpha.kubernetes.io/" + name_of(container));
  });
  if (bad.empty()) return std::nullopt;
  return Violation{"seccompProfile", fmt::format("forbidden {} {}", plural("annotation", "annotations", bad.size()),
                                                 fmt::join(bad, ", "))};
}

// `required`: something must set a profile for each container.
Found seccomp(const Pod& pod, bool required) {
  Sorted values;
  bool of_pod = false, pod_sets = false;
  const auto valid = [](std::string_view type) { return type == "Localhost" || type == "RuntimeDefault"; };
  if (const Value* profile = security(pod.spec, "seccompProfile")) {
    const std::string_view type = json::get_string(*profile, "type");
    of_pod = !valid(type);
    pod_sets = valid(type);
    if (of_pod) values.emplace(type);
  }
  Names bad, without;
  each_container(pod, [&](const Value& container) {
    if (const Value* profile = security(container, "seccompProfile")) {
      const std::string_view type = json::get_string(*profile, "type");
      if (valid(type)) return;
      bad.push_back(name_of(container));
      values.emplace(type);
    } else if (!pod_sets) {
      without.push_back(name_of(container));
    }
  });
  if (of_pod || !bad.empty())
    return Violation{"seccompProfile", fmt::format("{} must not set securityContext.seccompProfile.type to {}",
                                                   setters(of_pod, bad), quoted(values))};
  if (!required || without.empty()) return std::nullopt;
  return Violation{"seccompProfile", fmt::format("pod or {} must set securityContext.seccompProfile.type to "
                                                 "\"RuntimeDefault\" or \"Localhost\"",
                                                 containers_text(without))};
}
Found seccomp_baseline(const Pod& pod) { return seccomp(pod, false); }
Found seccomp_restricted(const Pod& pod) { return seccomp(pod, true); }

// The names that are safe, and the version since which they may be set.
template <int Minor>
Found sysctls(const Pod& pod) {
  constexpr std::pair<std::string_view, int> kAllowed[] = {
      {"kernel.shm_rmid_forced", 0},
      {"net.ipv4.ip_local_port_range", 0},
      {"net.ipv4.tcp_syncookies", 0},
      {"net.ipv4.ping_group_range", 0},
      {"net.ipv4.ip_unprivileged_port_start", 0},
      {"net.ipv4.ip_local_reserved_ports", 27},
      {"net.ipv4.tcp_keepalive_time", 29},
      {"net.ipv4.tcp_fin_timeout", 29},
      {"net.ipv4.tcp_keepalive_intvl", 29},
      {"net.ipv4.tcp_keepalive_probes", 29},
      {"net.ipv4.tcp_rmem", 32},
      {"net.ipv4.tcp_wmem", 32},
  };
  Names bad;
  each(security(pod.spec, "sysctls"), [&](const Value& sysctl) {
    const std::string name = name_of(sysctl);
    if (std::none_of(std::begin(kAllowed), std::end(kAllowed),
                     [&](const auto& allowed) { return allowed.first == name && allowed.second <= Minor; }))
      bad.push_back(name);
  });
  if (bad.empty()) return std::nullopt;
  return Violation{"forbidden sysctls", fmt::format("{}", fmt::join(bad, ", "))};
}

Found windows_host_process(const Pod& pod) {
  const auto sets = [](const Value& of) {
    return is_true(json::find(of, {"securityContext", "windowsOptions", "hostProcess"}));
  };
  Names containers;
  each_container(pod, [&](const Value& container) {
    if (sets(container)) containers.push_back(name_of(container));
  });
  const bool of_pod = sets(pod.spec);
  if (!of_pod && containers.empty()) return std::nullopt;
  return Violation{"hostProcess", fmt::format("{} must not set securityContext.windowsOptions.hostProcess=true",
                                              setters(of_pod, containers))};
}

// --- restricted ---

Found privilege_escalation(const Pod& pod) {
  Names containers;
  each_container(pod, [&](const Value& container) {
    const Value* allowed = security(container, "allowPrivilegeEscalation");
    if (!allowed || !allowed->IsFalse()) containers.push_back(name_of(container));
  });
  if (containers.empty()) return std::nullopt;
  return Violation{
      "allowPrivilegeEscalation != false",
      fmt::format("{} must set securityContext.allowPrivilegeEscalation=false", containers_text(containers))};
}

Found capabilities_restricted(const Pod& pod) {
  Names keeping, adding;
  Sorted added;
  each_container(pod, [&](const Value& container) {
    const Value* capabilities = security(container, "capabilities");
    bool dropped = false, adds = false;
    if (capabilities) {
      each(json::find(*capabilities, "drop"),
           [&](const Value& capability) { dropped = dropped || text_of(capability) == "ALL"; });
      each(json::find(*capabilities, "add"), [&](const Value& capability) {
        if (text_of(capability) == "NET_BIND_SERVICE") return;
        adds = true;
        added.insert(text_of(capability));
      });
    }
    if (!dropped) keeping.push_back(name_of(container));
    if (adds) adding.push_back(name_of(container));
  });
  Names details;
  if (!keeping.empty())
    details.push_back(fmt::format("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers_text(keeping)));
  if (!adding.empty())
    details.push_back(fmt::format("{} must not include {} in securityContext.capabilities.add", containers_text(adding),
                                  quoted(added)));
  if (details.empty()) return std::nullopt;
  return Violation{"unrestricted capabilities", fmt::format("{}", fmt::join(details, "; "))};
}

Found restricted_volumes(const Pod& pod) {
  constexpr std::string_view kAllowed[] = {"configMap", "csi",       "downwardAPI",
                                           "emptyDir",  "ephemeral", "image",
                                           "projected", "secret",    "persistentVolumeClaim"};
  constexpr std::string_view kKnown[] = {"hostPath",
                                         "gcePersistentDisk",
                                         "awsElasticBlockStore",
                                         "gitRepo",
                                         "nfs",
                                         "iscsi",
                                         "glusterfs",
                                         "rbd",
                                         "flexVolume",
                                         "cinder",
                                         "cephfs",
                                         "flocker",
                                         "fc",
                                         "azureFile",
                                         "vsphereVolume",
                                         "quobyte",
                                         "azureDisk",
                                         "photonPersistentDisk",
                                         "portworxVolume",
                                         "scaleIO",
                                         "storageos"};
  Names volumes;
  Sorted types;
  each(json::find(pod.spec, "volumes"), [&](const Value& volume) {
    const auto is = [&](std::string_view type) { return json::find(volume, type) != nullptr; };
    if (std::any_of(std::begin(kAllowed), std::end(kAllowed), is)) return;
    volumes.push_back(name_of(volume));
    const auto known = std::find_if(std::begin(kKnown), std::end(kKnown), is);
    types.emplace(known == std::end(kKnown) ? "unknown" : *known);
  });
  if (volumes.empty()) return std::nullopt;
  return Violation{
      "restricted volume types",
      fmt::format("{} {} {} {} {}", plural("volume", "volumes", volumes.size()), quoted(volumes),
                  plural("uses", "use", volumes.size()),
                  plural("restricted volume type", "restricted volume types", types.size()), quoted(types))};
}

Found run_as_non_root(const Pod& pod) {
  const Value* of_pod = security(pod.spec, "runAsNonRoot");
  Names bad, without;
  each_container(pod, [&](const Value& container) {
    if (const Value* own = security(container, "runAsNonRoot")) {
      if (!own->IsTrue()) bad.push_back(name_of(container));
    } else if (!is_true(of_pod)) {
      without.push_back(name_of(container));
    }
  });
  const bool pod_is_bad = of_pod && !of_pod->IsTrue();
  if (pod_is_bad || !bad.empty())
    return Violation{"runAsNonRoot != true",
                     fmt::format("{} must not set securityContext.runAsNonRoot=false", setters(pod_is_bad, bad))};
  if (without.empty()) return std::nullopt;
  return Violation{"runAsNonRoot != true",
                   fmt::format("pod or {} must set securityContext.runAsNonRoot=true", containers_text(without))};
}

Found run_as_user(const Pod& pod) {
  const auto is_root = [](const Value& of) {
    const Value* user = security(of, "runAsUser");
    return user && user->IsInt64() && user->GetInt64() == 0;
  };
  Names bad;
  each_container(pod, [&](const Value& container) {
    if (is_root(container)) bad.push_back(name_of(container));
  });
  const bool of_pod = is_root(pod.spec);
  if (!of_pod && bad.empty()) return std::nullopt;
  return Violation{"runAsUser=0", fmt::format("{} must not set runAsUser=0", setters(of_pod, bad))};
}

// One revision of a rule: it holds from its minor version on, until the next row with the same id.
struct Check {
  std::string_view id;
  Level level;
  int since;
  Found (*check)(const Pod& pod);
  std::string_view instead_of = {};  // a baseline rule that this one contains
};

// By level and id, which is the order of upstream's messages.
constexpr Check kChecks[] = {
    {"appArmorProfile", Level::kBaseline, 0, app_armor},
    {"capabilities_baseline", Level::kBaseline, 0, capabilities_baseline},
    {"hostNamespaces", Level::kBaseline, 0, host_namespaces},
    {"hostPathVolumes", Level::kBaseline, 0, host_path_volumes},
    {"hostPorts", Level::kBaseline, 0, host_ports},
    {"hostProbesAndHostLifecycle", Level::kBaseline, 34, host_probes},
    {"privileged", Level::kBaseline, 0, privileged},
    {"procMount", Level::kBaseline, 0, proc_mount},
    {"procMount", Level::kBaseline, 35, unless_in_user_namespace<proc_mount>},
    {"seLinuxOptions", Level::kBaseline, 0, se_linux_0},
    {"seLinuxOptions", Level::kBaseline, 31, se_linux_31},
    {"seccompProfile_baseline", Level::kBaseline, 0, seccomp_annotations},
    {"seccompProfile_baseline", Level::kBaseline, 19, seccomp_baseline},
    {"sysctls", Level::kBaseline, 0, sysctls<0>},
    {"sysctls", Level::kBaseline, 27, sysctls<27>},
    {"sysctls", Level::kBaseline, 29, sysctls<29>},
    {"sysctls", Level::kBaseline, 32, sysctls<32>},
    {"windowsHostProcess", Level::kBaseline, 0, windows_host_process},
    {"allowPrivilegeEscalation", Level::kRestricted, 8, privilege_escalation},
    {"allowPrivilegeEscalation", Level::kRestricted, 25, unless_windows<privilege_escalation>},
    {"capabilities_restricted", Level::kRestricted, 22, capabilities_restricted, "capabilities_baseline"},
    {"capabilities_restricted", Level::kRestricted, 25, unless_windows<capabilities_restricted>,
     "capabilities_baseline"},
    {"procMount_restricted", Level::kRestricted, 35, proc_mount, "procMount"},
    {"restrictedVolumes", Level::kRestricted, 0, restricted_volumes, "hostPathVolumes"},
    {"runAsNonRoot", Level::kRestricted, 0, run_as_non_root},
    {"runAsNonRoot", Level::kRestricted, 35, unless_in_user_namespace<run_as_non_root>},
    {"runAsUser", Level::kRestricted, 23, run_as_user},
    {"runAsUser", Level::kRestricted, 35, unless_in_user_namespace<run_as_user>},
    {"seccompProfile_restricted", Level::kRestricted, 19, seccomp_restricted, "seccompProfile_baseline"},
    {"seccompProfile_restricted", Level::kRestricted, 25, unless_windows<seccomp_restricted>,
     "seccompProfile_baseline"},
};

bool applies(const Check& check, const LevelVersion& policy) {
  return check.level <= policy.level && check.since <= policy.version.minor;
}

}  // namespace

std::string LevelVersion::to_string() const {
  constexpr std::string_view kNames[] = {"privileged", "baseline", "restricted"};
  const std::string_view name = kNames[static_cast<int>(level)];
  return version.minor == PolicyVersion::kLatest ? fmt::format("{}:latest", name)
                                                 : fmt::format("{}:v1.{}", name, version.minor);
}

std::vector<Violation> check_pod_security(const LevelVersion& policy, const Value* annotations, const Value& spec) {
  std::vector<Violation> out;
  const Pod pod{annotations, spec};
  for (const Check& check : kChecks) {
    if (!applies(check, policy)) continue;
    const Check* next = &check + 1;
    if (next != std::end(kChecks) && next->id == check.id && applies(*next, policy)) continue;  // a newer revision
    if (std::any_of(std::begin(kChecks), std::end(kChecks),
                    [&](const Check& other) { return other.instead_of == check.id && applies(other, policy); }))
      continue;
    if (auto violation = check.check(pod)) out.push_back(std::move(*violation));
  }
  return out;
}

std::string reasons_of(const std::vector<Violation>& violations) {
  std::string out;
  for (const Violation& violation : violations) out += (out.empty() ? "" : ", ") + violation.reason;
  return out;
}

std::string details_of(const std::vector<Violation>& violations) {
  std::string out;
  for (const Violation& violation : violations) {
    out += (out.empty() ? "" : ", ") + violation.reason;
    if (!violation.detail.empty()) out += fmt::format(" ({})", violation.detail);
  }
  return out;
}

}  // namespace knarr::admission
