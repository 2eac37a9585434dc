// What containers ask of Windows (upstream: pkg/apis/core/validation).
#include <fmt/format.h>

#include "schema/pattern.h"
#include "schema/validate.h"

namespace knarr::schema::validation {

namespace {

constexpr size_t kMaxSpecKiB = 64, kMaxDomain = 256, kMaxUser = 104;

void user_name(const std::string& name, const Path& path, FieldErrors& errors) {
  static const Pattern control("[[:cntrl:]]+"), net_bios(R"(^[^\\/:\*\?"<>|\.][^\\/:\*\?"<>|]{0,14}$)"),
      dns(R"(^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$)"), only_dots(R"(^[\. ]+$)"),
      no_user(R"(["/\\:;|=,\+\*\?<>@\[\]])");
  const size_t slash = name.find('\\');
  if (name.empty()) return errors.invalid(path, name, "runAsUserName cannot be an empty string");
  if (control.found_in(name)) return errors.invalid(path, name, "runAsUserName cannot contain control characters");
  if (slash != std::string::npos && name.find('\\', slash + 1) != std::string::npos)
    return errors.invalid(path, name, "runAsUserName cannot contain more than one backslash");
  const std::string domain = slash == std::string::npos ? "" : name.substr(0, slash), user = slash == std::string::npos ? name : name.substr(slash + 1);
  if (domain.size() >= kMaxDomain) errors.invalid(path, name, fmt::format("runAsUserName's Domain length must be under {} characters", kMaxDomain));
  if (slash != std::string::npos && !net_bios.found_in(domain) && !dns.found_in(domain))
    errors.invalid(path, name, "runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  if (user.empty()) {
    errors.invalid(path, name, "runAsUserName's User cannot be empty");
  } else if (user.size() > kMaxUser) {
    errors.invalid(path, name, fmt::format("runAsUserName's User length must not be longer than {} characters", kMaxUser));
  }
  if (only_dots.found_in(user)) errors.invalid(path, name, "runAsUserName's User cannot contain only periods or spaces");
  if (no_user.found_in(user)) errors.invalid(path, name, R"(runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[])");
}

}  // namespace

void windows_options(const core::WindowsSecurityContextOptions& options, const Path& path, FieldErrors& errors) {
  if (options.gmsaCredentialSpecName)
    errors.invalid(path.child("gmsaCredentialSpecName"), *options.gmsaCredentialSpecName, names::dns1123_subdomain(*options.gmsaCredentialSpecName));
  if (const auto& spec = options.gmsaCredentialSpec) {
    const Path at = path.child("gmsaCredentialSpec");
    if (spec->empty()) {
      errors.invalid(at, *spec, "gmsaCredentialSpec cannot be an empty string");
    } else if (spec->size() > kMaxSpecKiB * 1024) {
      errors.invalid(at, *spec, fmt::format("gmsaCredentialSpec size must be under {} KiB", kMaxSpecKiB));
    }
  }
  if (options.runAsUserName) user_name(*options.runAsUserName, path.child("runAsUserName"), errors);
}

void host_process_pod(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  std::optional<bool> of_pod;
  if (spec.securityContext && spec.securityContext->windowsOptions) of_pod = spec.securityContext->windowsOptions->hostProcess;
  size_t all = 0, on_host = 0;
  const auto look = [&](const auto& containers, std::string_view name) {
    for (size_t i = 0; i < containers.size(); ++i, ++all) {
      const auto& context = containers[i].securityContext;
      const std::optional<bool> own = context && context->windowsOptions ? context->windowsOptions->hostProcess : std::nullopt;
      if (of_pod && own && *of_pod != *own)
        errors.invalid(path.child(name).index(i).child("securityContext.windowsOptions.hostProcess"), *own,
                       fmt::format("pod hostProcess value must be identical if both are specified, was {}", *of_pod));
      if (own.value_or(of_pod.value_or(false))) ++on_host;
    }
  };
  look(spec.initContainers, "initContainers");
  look(spec.containers, "containers");
  look(spec.ephemeralContainers, "ephemeralContainers");
  if (on_host == 0) return;
  if (on_host != all) errors.invalid(path, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers");
  if (!spec.hostNetwork) errors.invalid(path.child("hostNetwork"), false, "hostNetwork must be true if pod contains any hostProcess containers");
}

}  // namespace knarr::schema::validation
