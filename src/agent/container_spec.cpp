#include "agent/container_spec.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "agent/pod_resources.h"
#include "knarr/codec/quantity.h"

namespace knarr::agent {

namespace {

constexpr size_t kLongestHostname = 63;
const core::PodSecurityContext kNoPodSecurity;
const core::SecurityContext kNoSecurity;

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

int64_t memory_request(const core::Container& container) {
  auto it = container.resources.requests.find("memory");
  return it == container.resources.requests.end() ? 0 : Quantity::parse_or_zero(it->second).value();
}

std::string seccomp_of(const core::PodSecurityContext& pod, const core::SecurityContext& own, bool privileged,
                       const std::string& directory) {
  if (privileged) return "Unconfined";
  const core::SeccompProfile* profile = own.seccompProfile   ? &*own.seccompProfile
                                        : pod.seccompProfile ? &*pod.seccompProfile
                                                             : nullptr;
  if (!profile) return "RuntimeDefault";  // safer than upstream's default, which is to have none
  if (profile->type == "Localhost")
    return fmt::format("Localhost:{}/{}", directory, profile->localhostProfile.value_or(""));
  return profile->type;
}

// Who goes first when the machine has no memory left: what asked for nothing, then by how little was asked for.
int oom_score(const ContainerInput& input) {
  const std::string& qos = input.pod.status.qosClass;
  if (qos == "Guaranteed" || input.pod.spec.priorityClassName == "system-node-critical") return -997;
  if (qos == "BestEffort" || input.node_memory_bytes <= 0) return 1000;
  int64_t request = memory_request(input.container);
  return static_cast<int>(std::clamp<int64_t>(1000 - 1000 * request / input.node_memory_bytes, 3, 999));
}

Status check_non_root(const ContainerInput& input, std::optional<int64_t> uid) {
  if (uid && *uid != 0) return {};
  const auto& meta = input.pod.metadata;
  std::string where =
      fmt::format("(pod: \"{}_{}({})\", container: {})", meta.name, meta.namespace_, meta.uid, input.container.name);
  if (uid) return bad_request("container's runAsUser breaks non-root policy " + where);
  std::string user = input.image.config.user.substr(0, input.image.config.user.find(':'));
  if (user.empty() || number(user) == 0) {
    return bad_request("container has runAsNonRoot and image will run as root " + where);
  }
  if (number(user)) return {};
  return bad_request(
      fmt::format("container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is non-root {}",
                  user, where));
}

Result<runtime::SecurityContext> security_of(const ContainerInput& input) {
  const core::PodSecurityContext& pod =
      input.pod.spec.securityContext ? *input.pod.spec.securityContext : kNoPodSecurity;
  const core::SecurityContext& own = input.container.securityContext ? *input.container.securityContext : kNoSecurity;
  runtime::SecurityContext security;
  security.privileged = own.privileged.value_or(false);
  security.no_new_privileges = !own.allowPrivilegeEscalation.value_or(true);
  security.read_only_root = own.readOnlyRootFilesystem.value_or(false);
  if (own.capabilities) {
    security.add_capabilities = own.capabilities->add;
    security.drop_capabilities = own.capabilities->drop;
  }
  security.additional_gids = pod.supplementalGroups;
  if (pod.fsGroup) security.additional_gids.push_back(*pod.fsGroup);
  security.unmasked_proc = own.procMount.value_or("Default") == "Unmasked";
  security.seccomp = seccomp_of(pod, own, security.privileged, input.seccomp_directory);
  auto uid = own.runAsUser ? own.runAsUser : pod.runAsUser;
  auto non_root = own.runAsNonRoot ? own.runAsNonRoot : pod.runAsNonRoot;
  if (non_root.value_or(false)) KNARR_RETURN_IF_ERROR(check_non_root(input, uid));
  return security;
}

std::vector<std::string> arguments_of(const ContainerInput& input) {
  auto expanded = [&](const std::vector<std::string>& words) {
    std::vector<std::string> out;
    for (const auto& word : words) {
      out.push_back(expand(word, [&](std::string_view name) { return find_variable(input.environment, name); }));
    }
    return out;
  };
  // An image's cmd are arguments for its own entrypoint only.
  std::vector<std::string> arguments =
      input.container.command.empty() ? input.image.config.entrypoint : expanded(input.container.command);
  std::vector<std::string> rest = expanded(input.container.args);
  if (input.container.args.empty() && input.container.command.empty()) rest = input.image.config.cmd;
  arguments.insert(arguments.end(), rest.begin(), rest.end());
  return arguments;
}

std::vector<std::string> environment_of(const ContainerInput& input) {
  Variables all;
  auto put = [&](std::string name, std::string value) {
    auto it = std::find_if(all.begin(), all.end(), [&](const auto& known) { return known.first == name; });
    if (it != all.end()) {
      it->second = std::move(value);
    } else {
      all.emplace_back(std::move(name), std::move(value));
    }
  };
  for (const auto& text : input.image.config.env) {
    auto equals = text.find('=');
    put(text.substr(0, equals), equals == std::string::npos ? "" : text.substr(equals + 1));
  }
  if (!find_variable(all, "PATH")) put("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  put("HOSTNAME", pod_hostname(input.pod));
  for (const auto& [name, value] : input.environment) put(name, value);
  if (input.container.tty && !find_variable(all, "TERM")) put("TERM", "xterm");
  std::vector<std::string> out;
  for (const auto& [name, value] : all) out.push_back(name + "=" + value);
  return out;
}

}  // namespace

Result<runtime::ContainerSpec> make_container_spec(ContainerInput input) {
  const core::PodSpec& pod = input.pod.spec;
  runtime::ContainerSpec spec;
  KNARR_ASSIGN(spec.security, security_of(input));
  spec.id = input.id;
  spec.name = input.container.name;
  spec.attempt = input.attempt;
  spec.lower_directories = input.image.layer_directories;
  spec.args = arguments_of(input);
  if (spec.args.empty()) {
    return bad_request(
        fmt::format("no command specified: neither container \"{}\" nor its image says what to run", spec.name));
  }
  spec.env = environment_of(input);
  if (!input.container.workingDir.empty()) {
    spec.working_directory = expand(input.container.workingDir,
                                    [&](std::string_view name) { return find_variable(input.environment, name); });
  } else if (!input.image.config.working_directory.empty()) {
    spec.working_directory = input.image.config.working_directory;
  }
  spec.user = input.image.config.user;
  if (pod.securityContext) {
    spec.run_as_user = pod.securityContext->runAsUser;
    spec.run_as_group = pod.securityContext->runAsGroup;
  }
  if (input.container.securityContext) {
    const auto& own = *input.container.securityContext;
    if (own.runAsUser) spec.run_as_user = own.runAsUser;
    if (own.runAsGroup) spec.run_as_group = own.runAsGroup;
  }
  spec.mounts = std::move(input.mounts);
  spec.resources = container_resources(input.container.resources);
  spec.oom_score_adj = oom_score(input);
  spec.terminal = input.container.tty;
  spec.stdin_open = input.container.stdin;
  spec.stdin_once = input.container.stdinOnce;
  if (!pod.hostNetwork) spec.hostname = pod_hostname(input.pod);
  spec.termination_log = input.termination_log;
  return spec;
}

runtime::PodSandboxSpec make_sandbox_spec(const core::Pod& pod, const std::string& log_directory, int64_t max_pids) {
  runtime::PodSandboxSpec spec;
  spec.id = pod.metadata.uid;
  spec.name = pod.metadata.name;
  spec.namespace_ = pod.metadata.namespace_;
  if (!pod.spec.hostNetwork) spec.hostname = pod_hostname(pod);
  spec.log_directory = log_directory;
  spec.cgroup_parent = pod_group(pod);
  spec.resources = pod_resources(pod, max_pids);
  spec.host_network = pod.spec.hostNetwork;
  spec.host_pid = pod.spec.hostPID;
  spec.host_ipc = pod.spec.hostIPC;
  spec.share_process_namespace = pod.spec.shareProcessNamespace.value_or(false);
  if (pod.spec.securityContext) {
    for (const auto& sysctl : pod.spec.securityContext->sysctls) spec.sysctls[sysctl.name] = sysctl.value;
  }
  return spec;
}

std::string pod_hostname(const core::Pod& pod) {
  if (pod.spec.hostnameOverride) return *pod.spec.hostnameOverride;
  std::string name = pod.spec.hostname.empty() ? pod.metadata.name : pod.spec.hostname;
  if (name.size() > kLongestHostname) {
    name.resize(kLongestHostname);
    name.resize(name.find_last_not_of("-.") + 1);
  }
  if (pod.spec.setHostnameAsFQDN.value_or(false) && !pod.spec.subdomain.empty()) {
    name += fmt::format(".{}.{}.svc.cluster.local", pod.spec.subdomain, pod.metadata.namespace_);
  }
  return name;
}

int signal_number(std::string_view name) {
  if (auto n = number(name); n && *n > 0 && *n < NSIG) return static_cast<int>(*n);
  if (name.starts_with("SIG")) name.remove_prefix(3);
  if (name.starts_with("RTMIN+")) {
    if (auto n = number(name.substr(6))) return SIGRTMIN + static_cast<int>(*n);
  }
  for (int i = 1; i < SIGRTMIN; ++i) {
    const char* known = sigabbrev_np(i);
    if (known && name == known) return i;
  }
  return SIGTERM;
}

int stop_signal(const core::Container& container, const std::string& image_stop_signal) {
  if (container.lifecycle && container.lifecycle->stopSignal) return signal_number(*container.lifecycle->stopSignal);
  return image_stop_signal.empty() ? SIGTERM : signal_number(image_stop_signal);
}

}  // namespace knarr::agent
