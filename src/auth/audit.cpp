#include "knarr/auth/audit.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "knarr/base/log.h"
#include "knarr/codec/json.h"
#include "knarr/codec/yaml.h"
#include "knarr/linux/tree.h"

namespace knarr::auth {

namespace {

using json::Value;
using Strings = std::vector<std::string>;

constexpr int64_t kDefaultBytes = int64_t{100} << 20;

constexpr std::array<std::string_view, 4> kLevels = {"None", "Metadata", "Request", "RequestResponse"};
constexpr std::array<std::string_view, 4> kStages = {"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"};

bool has(const Strings& list, std::string_view item) { return std::find(list.begin(), list.end(), item) != list.end(); }

Strings strings(const Value& object, std::string_view name) {
  Strings out;
  const Value* list = json::find(object, name);
  if (list && list->IsArray())
    for (const Value& item : list->GetArray())
      if (item.IsString()) out.emplace_back(json::view(item));
  return out;
}

unsigned read_stages(const Value& object, const std::string& where, Strings& problems) {
  unsigned bits = 0;
  for (const std::string& name : strings(object, "omitStages")) {
    const auto it = std::find(kStages.begin(), kStages.end(), name);
    if (it == kStages.end()) {
      problems.push_back(fmt::format("{}omitStages: Invalid value: \"{}\": allowed stages are {}", where, name,
                                     fmt::join(kStages, ",")));
    } else {
      bits |= 1U << (it - kStages.begin());
    }
  }
  return bits;
}

}  // namespace

std::string_view to_string(AuditLevel level) { return kLevels[static_cast<size_t>(level)]; }

std::string_view to_string(AuditStage stage) {
  size_t i = 0;
  while (1U << i != static_cast<unsigned>(stage)) ++i;
  return kStages[i];
}

Result<AuditPolicy> AuditPolicy::parse(std::string_view text) {
  KNARR_ASSIGN(const json::Document document, yaml::parse(text));
  if (!document.IsObject() || json::get_string(document, "kind") != "Policy" ||
      json::get_string(document, "apiVersion") != "audit.k8s.io/v1")
    return bad_request("want an object of kind Policy and apiVersion audit.k8s.io/v1");
  AuditPolicy policy;
  Strings problems;
  const unsigned omitted = read_stages(document, "", problems);
  const bool no_managed = json::get_bool(document, "omitManagedFields");
  const Value* rules = json::find(document, "rules");
  if (!rules || !rules->IsArray() || rules->Empty()) return bad_request("the policy has no rules");
  for (rapidjson::SizeType i = 0; i < rules->Size(); ++i) {
    const Value& from = (*rules)[i];
    const std::string where = fmt::format("rules[{}].", i);
    Rule& rule = policy.rules_.emplace_back();
    const std::string_view level = json::get_string(from, "level");
    const auto known = std::find(kLevels.begin(), kLevels.end(), level);
    if (known == kLevels.end())
      problems.push_back(
          fmt::format("{}level: Unsupported value: \"{}\": want {}", where, level, fmt::join(kLevels, ", ")));
    else
      rule.decision.level = static_cast<AuditLevel>(known - kLevels.begin());
    rule.decision.omitted_stages = omitted | read_stages(from, where, problems);
    rule.decision.omit_managed_fields = json::get_bool(from, "omitManagedFields", no_managed);
    rule.users = strings(from, "users");
    rule.groups = strings(from, "userGroups");
    rule.verbs = strings(from, "verbs");
    rule.namespaces = strings(from, "namespaces");
    rule.paths = strings(from, "nonResourceURLs");
    if (const Value* resources = json::find(from, "resources"); resources && resources->IsArray())
      for (const Value& group : resources->GetArray())
        rule.resources.push_back({std::string(json::get_string(group, "group")), strings(group, "resources"),
                                  strings(group, "resourceNames")});
    if (!rule.paths.empty() && (!rule.resources.empty() || !rule.namespaces.empty()))
      problems.push_back(
          fmt::format("{}nonResourceURLs: rules cannot apply to both regular resources and "
                      "non-resource URLs",
                      where));
    for (const std::string& path : rule.paths)
      if (path != "*" && !path.starts_with('/'))
        problems.push_back(
            fmt::format("{}nonResourceURLs: \"{}\": non-resource URL rules must begin with a '/' "
                        "character",
                        where, path));
  }
  if (!problems.empty()) return bad_request(fmt::format("{}", fmt::join(problems, "; ")));
  return policy;
}

bool AuditPolicy::fits_resource(const Rule& rule, const Attributes& a) {
  if (!a.resource_request) return false;
  if (!rule.namespaces.empty() && !has(rule.namespaces, a.ns)) return false;
  if (rule.resources.empty()) return true;
  std::string combined(a.resource);
  if (!a.subresource.empty()) combined.append("/").append(a.subresource);
  for (const GroupResources& group : rule.resources) {
    if (group.group != a.group) continue;
    if (group.resources.empty()) return true;
    if (!group.resource_names.empty() && !has(group.resource_names, a.name)) continue;
    for (const std::string_view wanted : group.resources) {
      if (wanted == combined || wanted == "*") return true;
      if (!a.subresource.empty() && wanted.starts_with("*/") && wanted.substr(2) == a.subresource) return true;
      if (wanted.ends_with("/*") && wanted.substr(0, wanted.size() - 2) == a.resource) return true;
    }
  }
  return false;
}

bool AuditPolicy::fits(const Rule& rule, const Attributes& a) {
  if (!rule.users.empty() && (!a.user || !has(rule.users, a.user->name))) return false;
  if (!rule.groups.empty() && (!a.user || std::none_of(a.user->groups.begin(), a.user->groups.end(),
                                                       [&](const auto& g) { return has(rule.groups, g); })))
    return false;
  if (!rule.verbs.empty() && !has(rule.verbs, a.verb)) return false;
  if (!rule.namespaces.empty() || !rule.resources.empty()) return fits_resource(rule, a);
  if (rule.paths.empty()) return true;
  if (a.resource_request) return false;
  return std::any_of(rule.paths.begin(), rule.paths.end(), [&](std::string_view pattern) {
    if (pattern == "*" || pattern == a.path) return true;
    return pattern.ends_with('*') && a.path.starts_with(pattern.substr(0, pattern.size() - 1));
  });
}

AuditDecision AuditPolicy::decide(const Attributes& attributes) const {
  for (const Rule& rule : rules_)
    if (fits(rule, attributes)) return rule.decision;
  return {};
}

Result<std::unique_ptr<AuditLog>> AuditLog::open(AuditLogOptions options) {
  if (options.max_bytes <= 0) options.max_bytes = kDefaultBytes;
  auto log = std::unique_ptr<AuditLog>(new AuditLog(std::move(options)));
  Lock lock(log->mutex_);
  KNARR_RETURN_IF_ERROR(log->open_file());
  return log;
}

Status AuditLog::open_file() {
  if (options_.path == "-") return {};
  file_ = linux::UniqueFd(::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!file_) return errno_status(errno, "open audit log " + options_.path);
  struct stat info {};
  if (fstat(file_.get(), &info) != 0) return errno_status(errno, "stat audit log " + options_.path);
  size_ = info.st_size;
  return {};
}

// The full file is put aside with the time in its name, and a new one begins.
Status AuditLog::rotate() {
  const auto now = std::chrono::time_point_cast<milliseconds>(options_.clock->wall());
  const auto millis = now.time_since_epoch().count() % 1000;
  const size_t slash = options_.path.rfind('/'), dot = options_.path.rfind('.');
  const bool extension = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  const std::string stem = extension ? options_.path.substr(0, dot) : options_.path;
  const std::string aside =
      fmt::format("{}-{:%Y-%m-%dT%H-%M-%S}.{:03}{}", stem,
                  fmt::gmtime(std::chrono::duration_cast<seconds>(now.time_since_epoch()).count()), millis,
                  extension ? options_.path.substr(dot) : "");
  if (rename(options_.path.c_str(), aside.c_str()) != 0) return errno_status(errno, "rename audit log to " + aside);
  KNARR_RETURN_IF_ERROR(open_file());
  remove_old();
  return {};
}

void AuditLog::remove_old() {
  if (options_.max_files <= 0 && options_.max_days <= 0) return;
  const size_t slash = options_.path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : options_.path.substr(0, slash);
  const std::string name = slash == std::string::npos ? options_.path : options_.path.substr(slash + 1);
  const std::string prefix = name.substr(0, name.rfind('.')) + "-2";  // of the year
  auto listed = linux::list_directory(directory);
  if (!listed.ok()) return;
  Strings old;
  for (const std::string& entry : *listed)
    if (entry.starts_with(prefix)) old.push_back(entry);
  std::sort(old.rbegin(), old.rend());  // the newest first
  for (size_t i = 0; i < old.size(); ++i) {
    const std::string path = directory + "/" + old[i];
    bool remove = options_.max_files > 0 && i >= static_cast<size_t>(options_.max_files);
    struct stat info {};
    if (!remove && options_.max_days > 0 && stat(path.c_str(), &info) == 0)
      remove = options_.clock->wall() - WallTime(seconds(info.st_mtime)) > std::chrono::hours(24 * options_.max_days);
    if (remove) unlink(path.c_str());
  }
}

void AuditLog::write(std::string line) {
  line += '\n';
  Lock lock(mutex_);
  Status status;
  const bool to_file = options_.path != "-";
  if (to_file && size_ > 0 && size_ + static_cast<int64_t>(line.size()) > options_.max_bytes) status = rotate();
  if (status.ok()) {
    status = linux::write_all(to_file ? file_.get() : STDOUT_FILENO, line, options_.path);
    size_ += static_cast<int64_t>(line.size());
  }
  if (status.ok() == failing_) {
    failing_ = !status.ok();
    if (failing_) log::error("audit", "requests are not recorded", {{"error", status}});
  }
}

}  // namespace knarr::auth
