// PodSecurity: namespaces say by their labels which of the Pod Security Standards their pods must keep (enforce), and
// of which people are warned (warn) or told in the audit log (audit).
#include <charconv>
#include <map>
#include <set>

#include "admission/plugins.h"
#include "admission/pod_security_checks.h"

namespace knarr::admission {

namespace {

constexpr std::string_view kAuditPrefix = "pod-security.kubernetes.io/";
constexpr size_t kPodsChecked = 3000;  // when a namespace's level is raised

struct Policy {
  LevelVersion enforce, audit, warn;
};

// The policy of a namespace by its labels; what is wrong with them goes to `problems`.
Policy policy_of(const std::function<std::string_view(std::string_view label)>& label, std::vector<Cause>& problems) {
  const auto path = [](std::string_view name) {
    return fmt::format("metadata.labels[pod-security.kubernetes.io/{}]", name);
  };
  const auto value_of = [&](std::string_view name) {
    return label(std::string("pod-security.kubernetes.io/").append(name));
  };
  // `fallback` is what a level that cannot be read means.
  const auto read_level = [&](std::string_view name, Level& level, Level fallback) {
    const std::string_view text = value_of(name);
    if (text.data() == nullptr) return false;
    if (text == "privileged") {
      level = Level::kPrivileged;
    } else if (text == "baseline") {
      level = Level::kBaseline;
    } else if (text == "restricted") {
      level = Level::kRestricted;
    } else {
      level = fallback;
      problems.push_back(apiserver::cause_invalid(path(name), fmt::format("\"{}\"", text),
                                                  "must be one of privileged, baseline, restricted"));
      return false;
    }
    return true;
  };
  const auto read_version = [&](std::string_view name, PolicyVersion& version) {
    const std::string_view text = value_of(name);
    if (text.data() == nullptr) return false;
    version.minor = PolicyVersion::kLatest;
    if (text == "latest") return true;
    const std::string_view digits = text.starts_with("v1.") ? text.substr(3) : std::string_view();
    int minor = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), minor);
    const bool number = !digits.empty() && digits[0] >= '0' && digits[0] <= '9' && error == std::errc() &&
                        end == digits.data() + digits.size() && (digits.size() == 1 || digits[0] != '0');
    if (number) {
      version.minor = minor;
    } else {
      problems.push_back(
          apiserver::cause_invalid(path(name), fmt::format("\"{}\"", text), "must be \"latest\" or \"v1.x\""));
    }
    return true;
  };
  Policy policy;
  const bool enforced = read_level("enforce", policy.enforce.level, Level::kRestricted);
  read_version("enforce-version", policy.enforce.version);
  read_level("audit", policy.audit.level, Level::kPrivileged);
  read_version("audit-version", policy.audit.version);
  read_level("warn", policy.warn.level, Level::kPrivileged);
  const bool warned = value_of("warn").data() != nullptr;
  const bool warn_version = read_version("warn-version", policy.warn.version);
  // Who enforces a level warns of it too, also for what makes pods, unless told otherwise.
  if (!warned && enforced && policy.enforce.level > policy.warn.level) {
    policy.warn.level = policy.enforce.level;
    if (!warn_version) policy.warn.version = policy.enforce.version;
  }
  return policy;
}

Policy policy_of(const Value& ns, std::vector<Cause>& problems) {
  const Value* labels = json::find(ns, {"metadata", "labels"});
  return policy_of(
      [labels](std::string_view name) {
        const Value* value = labels ? json::find(*labels, name) : nullptr;
        return value && value->IsString() ? json::view(*value) : std::string_view();
      },
      problems);
}

// Where the pod is in an object of this kind; null: it has none.
struct PodParts {
  const Value* annotations = nullptr;
  const Value* spec = nullptr;
};
PodParts parts_of(const Value& pod_or_template) {
  return {json::find(pod_or_template, {"metadata", "annotations"}), json::find(pod_or_template, "spec")};
}
const Value* template_of(std::string_view storage_name, const Value& object) {
  if (storage_name == "podtemplates") return json::find(object, "template");
  if (storage_name == "cronjobs.batch") return json::find(object, {"spec", "jobTemplate", "spec", "template"});
  constexpr std::string_view kWorkloads[] = {"replicationcontrollers", "replicasets.apps", "deployments.apps",
                                             "statefulsets.apps",      "daemonsets.apps",  "jobs.batch"};
  for (std::string_view workload : kWorkloads)
    if (storage_name == workload) return json::find(object, {"spec", "template"});
  return nullptr;
}

// Of all that a pod's update may change only images matter, and containers that are new.
bool is_significant(const Value& pod, const Value& old) {
  for (std::string_view list : {"containers", "initContainers", "ephemeralContainers"}) {
    const Value *now = json::find(pod, {"spec", list}), *before = json::find(old, {"spec", list});
    const size_t count = now && now->IsArray() ? now->Size() : 0;
    const size_t count_before = before && before->IsArray() ? before->Size() : 0;
    if (count != count_before && (list != "ephemeralContainers" || count > count_before)) return true;
    for (size_t i = 0; i < count; ++i)
      if (json::get_string((*now)[i], "image") != json::get_string((*before)[i], "image")) return true;
  }
  return false;
}

class PodSecurity : public AdmissionPlugin {
 public:
  explicit PodSecurity(store::Store& store)
      : store_(store), namespaces_(store.resource("namespaces")), pods_(store.resource("pods")) {}
  std::string_view name() const override { return "PodSecurity"; }

  Status validate(const AdmissionRequest& request) override {
    if (!request.object || (request.operation != Operation::kCreate && request.operation != Operation::kUpdate))
      return Status::OK();
    const std::string_view resource = request.resource->storage_name;
    if (resource == "pods") return validate_pod(request);
    if (!request.subresource.empty()) return Status::OK();
    if (resource == "namespaces") return validate_namespace(request);
    if (const Value* pod = template_of(resource, *request.object)) warn_of_template(request, *pod);
    return Status::OK();
  }

 private:
  Policy policy_of_namespace(std::string_view ns) const {
    std::vector<Cause> problems;  // labels that cannot be read mean the strictest: it was refused when they were set
    const store::ObjectPtr object = store_.get(namespaces_, ns);
    if (!object) return {};
    const auto& labels = object->extract.labels;
    return policy_of(
        [&labels](std::string_view name) {
          const auto it =
              std::lower_bound(labels.begin(), labels.end(), name, [](const auto& a, auto b) { return a.first < b; });
          return it != labels.end() && it->first == name ? std::string_view(it->second) : std::string_view();
        },
        problems);
  }

  Status validate_pod(const AdmissionRequest& request) {
    for (std::string_view ignored : {"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"})
      if (request.subresource == ignored) return Status::OK();
    const Policy policy = policy_of_namespace(request.ns);
    if (policy.enforce.level == Level::kPrivileged && policy.warn.level == Level::kPrivileged &&
        policy.audit.level == Level::kPrivileged) {
      tell(request, "enforce-policy", "privileged:latest");
      return Status::OK();
    }
    if (request.operation == Operation::kUpdate && request.old && !is_significant(*request.object, *request.old))
      return Status::OK();
    const PodParts pod = parts_of(*request.object);
    if (!pod.spec) return Status::OK();
    tell(request, "enforce-policy", policy.enforce.to_string());
    const auto violations = check_pod_security(policy.enforce, pod.annotations, *pod.spec);
    record(request, policy, pod);
    if (!violations.empty())
      return refuse(request,
                    fmt::format("violates PodSecurity \"{}\": {}", policy.enforce.to_string(), details_of(violations)));
    warn(request, policy, pod);
    return Status::OK();
  }

  void warn_of_template(const AdmissionRequest& request, const Value& pod_template) {
    const Policy policy = policy_of_namespace(request.ns);
    if (policy.warn.level == Level::kPrivileged && policy.audit.level == Level::kPrivileged) return;
    const PodParts pod = parts_of(pod_template);
    if (!pod.spec) return;
    record(request, policy, pod);
    warn(request, policy, pod);
  }

  static std::string would_violate(const LevelVersion& level, const PodParts& pod) {
    const auto violations = check_pod_security(level, pod.annotations, *pod.spec);
    if (violations.empty()) return "";
    return fmt::format("would violate PodSecurity \"{}\": {}", level.to_string(), details_of(violations));
  }

  static void warn(const AdmissionRequest& request, const Policy& policy, const PodParts& pod) {
    if (std::string text = would_violate(policy.warn, pod); !text.empty()) request.warnings->push_back(std::move(text));
  }

  static void record(const AdmissionRequest& request, const Policy& policy, const PodParts& pod) {
    if (!request.audit) return;
    if (const std::string text = would_violate(policy.audit, pod); !text.empty()) tell(request, "audit-violations", text);
  }

  static void tell(const AdmissionRequest& request, std::string_view name, std::string_view text) {
    if (request.audit) (*request.audit)[fmt::format("{}{}", kAuditPrefix, name)] = text;
  }

  Status validate_namespace(const AdmissionRequest& request) {
    std::vector<Cause> problems, old_problems;
    const Policy policy = policy_of(*request.object, problems);
    const auto invalid = [&] { return apiserver::invalid_error(*request.resource, name_of(request), problems); };
    if (request.operation == Operation::kCreate || !request.old) return problems.empty() ? Status::OK() : invalid();
    const Policy old = policy_of(*request.old, old_problems);
    if (!problems.empty() && problems != old_problems) return invalid();
    if (policy.enforce == old.enforce || policy.enforce.level == Level::kPrivileged) return Status::OK();
    if (policy.enforce.version == old.enforce.version && policy.enforce.level <= old.enforce.level) return Status::OK();
    warn_of_pods(request, policy.enforce);
    return Status::OK();
  }

  // Pods that are there already and break the level that holds from now on. Those of one controller are alike.
  void warn_of_pods(const AdmissionRequest& request, const LevelVersion& enforce) {
    const std::string ns(meta_string(*request.object, "name"));
    const auto listed = store_.list(pods_, {.prefix = ns + "/"});
    if (!listed.ok()) return;
    std::vector<Document> pods, alike;
    std::set<std::string> controllers;
    for (const store::ObjectPtr& object : listed->objects) {
      auto pod = json::parse(object->value);
      if (!pod.ok()) continue;
      const std::string controller = controller_of(*pod);
      const bool first = controller.empty() || controllers.insert(controller).second;
      (first ? pods : alike).push_back(std::move(*pod));
    }
    std::move(alike.begin(), alike.end(), std::back_inserter(pods));
    std::map<std::string, std::set<std::string>> broken;  // what -> names of pods
    for (size_t i = 0; i < std::min(pods.size(), kPodsChecked); ++i) {
      const PodParts parts = parts_of(pods[i]);
      const auto violations =
          parts.spec ? check_pod_security(enforce, parts.annotations, *parts.spec) : std::vector<Violation>();
      if (!violations.empty()) broken[reasons_of(violations)].emplace(meta_string(pods[i], "name"));
    }
    if (pods.size() > kPodsChecked)
      request.warnings->push_back(
          fmt::format("new PodSecurity enforce level only checked against the first {} of {} existing pods",
                      kPodsChecked, pods.size()));
    if (broken.empty()) return;
    request.warnings->push_back(fmt::format(
        "existing pods in namespace \"{}\" violate the new PodSecurity enforce level \"{}\"", ns, enforce.to_string()));
    std::set<std::string> lines;
    for (const auto& [what, names] : broken) {
      const std::string others = names.size() == 1   ? ""
                                 : names.size() == 2 ? " (and 1 other pod)"
                                                     : fmt::format(" (and {} other pods)", names.size() - 1);
      lines.insert(fmt::format("{}{}: {}", *names.begin(), others, what));
    }
    request.warnings->insert(request.warnings->end(), lines.begin(), lines.end());
  }

  static std::string controller_of(const Value& pod) {
    const Value* owners = json::find(pod, {"metadata", "ownerReferences"});
    if (owners && owners->IsArray())
      for (const Value& owner : owners->GetArray())
        if (json::get_bool(owner, "controller")) return std::string(json::get_string(owner, "uid"));
    return "";
  }

  store::Store& store_;
  const store::ResourceId namespaces_, pods_;
};

}  // namespace

PluginPtr make_pod_security(store::Store& store) { return std::make_unique<PodSecurity>(store); }

}  // namespace knarr::admission
