// Jobs and CronJobs (upstream: pkg/apis/batch/validation).
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "knarr/codec/cron.h"
#include "knarr/codec/time.h"
#include "knarr/schema/api/batch_v1.h"
#include "schema/go_json.h"
#include "schema/validate.h"

namespace knarr::schema::validation {

namespace batch = api::batch::v1;

namespace {

constexpr int32_t kMaxParallelism = 100'000, kMaxFailedIndexes = 100'000, kManyCompletions = 100'000, kManyLimit = 10'000;
constexpr size_t kMaxRules = 20, kMaxExitCodes = 255, kMaxManagedBy = 63, kMaxSucceededIndexes = 64 * 1024, kMaxCronJobName = 52;

bool is_indexed(const batch::JobSpec& spec) { return spec.completionMode == "Indexed"; }

template <typename T>
void non_negative(const std::optional<T>& value, const Path& path, FieldErrors& errors) {
  if (value) errors.non_negative(path, *value);
}

// "1,3-5" below `completions`. Answers how many there are.
Result<int64_t> interval(std::string_view text, int32_t completions, int64_t& first, int64_t& last) {
  auto number = [&](std::string_view part) -> Result<int64_t> {
    const bool digits = !part.empty() && part.size() <= 18 && part.find_first_not_of("0123456789") == part.npos;
    if (!digits) return bad_request(fmt::format("cannot convert string to integer for index: \"{}\"", part));
    const int64_t value = std::strtoll(std::string(part).c_str(), nullptr, 10);
    if (value >= completions) return bad_request(fmt::format("too large index: \"{}\"", part));
    return value;
  };
  const size_t hyphen = text.find('-');
  if (hyphen != text.npos && text.find('-', hyphen + 1) != text.npos) {
    return bad_request(
        fmt::format("the fragment \"{}\" violates the requirement that an index interval can have at most two parts separated by '-'", text));
  }
  KNARR_ASSIGN(first, number(text.substr(0, hyphen)));
  last = first;
  if (hyphen == text.npos) return 1;
  KNARR_ASSIGN(last, number(text.substr(hyphen + 1)));
  if (first >= last) return bad_request(fmt::format("non-increasing order, previous: {}, current: {}", first, last));
  return last - first + 1;
}

Result<int64_t> indexes(std::string_view text, int32_t completions) {
  int64_t total = 0, previous = -1;
  for (size_t at = 0; !text.empty();) {
    const size_t end = std::min(text.find(',', at), text.size());
    int64_t first, last;
    KNARR_ASSIGN(const int64_t count, interval(text.substr(at, end - at), completions, first, last));
    if (previous >= first) return bad_request(fmt::format("non-increasing order, previous: {}, current: {}", previous, first));
    total += count;
    previous = last;
    if (end == text.size()) break;
    at = end + 1;
  }
  return total;
}

void exit_codes(const batch::PodFailurePolicyOnExitCodesRequirement& r, const batch::JobSpec& spec, const Path& path, FieldErrors& errors) {
  if (r.operator_.empty()) {
    errors.required(path.child("operator"), R"(valid values: ["In" "NotIn"])");
  } else {
    errors.one_of(path.child("operator"), r.operator_, {"In", "NotIn"});
  }
  if (r.containerName) {
    auto named = [&](const core::Container& c) { return c.name == *r.containerName; };
    const auto &main = spec.template_.spec.containers, &init = spec.template_.spec.initContainers;
    if (std::none_of(main.begin(), main.end(), named) && std::none_of(init.begin(), init.end(), named))
      errors.invalid(path.child("containerName"), *r.containerName, "must be one of the container or initContainer names in the pod template");
  }
  const Path values = path.child("values");
  const std::string all = fmt::format("[{}]", fmt::join(r.values, ","));
  if (r.values.empty()) {
    errors.invalid_json(values, all, "at least one value is required");
  } else if (r.values.size() > kMaxExitCodes) {
    errors.too_many(values, r.values.size(), kMaxExitCodes);
  }
  std::set<int32_t> seen;
  for (size_t i = 0; i < r.values.size(); ++i) {
    if (r.operator_ == "In" && r.values[i] == 0) errors.invalid(values.index(i), r.values[i], "must not be 0 for the In operator");
    if (!seen.insert(r.values[i]).second) errors.duplicate_json(values.index(i), std::to_string(r.values[i]));
  }
  if (!std::is_sorted(r.values.begin(), r.values.end())) errors.invalid_json(values, all, "must be ordered");
}

void failure_policy_rule(const batch::PodFailurePolicyRule& rule, const batch::JobSpec& spec, const Path& path, FieldErrors& errors) {
  const Path action = path.child("action");
  if (rule.action.empty()) {
    errors.required(action, R"(valid values: ["Count" "FailIndex" "FailJob" "Ignore"])");
  } else if (rule.action == "FailIndex") {
    if (!spec.backoffLimitPerIndex) errors.invalid(action, rule.action, "requires the backoffLimitPerIndex to be set");
  } else {
    errors.one_of(action, rule.action, {"Count", "FailIndex", "FailJob", "Ignore"});
  }
  if (rule.onExitCodes) exit_codes(*rule.onExitCodes, spec, path.child("onExitCodes"), errors);
  const Path conditions = path.child("onPodConditions");
  if (rule.onPodConditions.size() > kMaxRules) errors.too_many(conditions, rule.onPodConditions.size(), kMaxRules);
  for (size_t i = 0; i < rule.onPodConditions.size(); ++i) {
    const auto& pattern = rule.onPodConditions[i];
    errors.invalid(conditions.index(i).child("type"), pattern.type, names::qualified_name(pattern.type));
    if (pattern.status.empty()) {
      errors.required(conditions.index(i).child("status"), R"(valid values: ["False" "True" "Unknown"])");
    } else {
      errors.one_of(conditions.index(i).child("status"), pattern.status, {"False", "True", "Unknown"});
    }
  }
  if (rule.onExitCodes && !rule.onPodConditions.empty())
    errors.invalid(path, FieldErrors::kNoValue, "specifying both OnExitCodes and OnPodConditions is not supported");
  if (!rule.onExitCodes && rule.onPodConditions.empty())
    errors.invalid(path, FieldErrors::kNoValue, "specifying one of OnExitCodes and OnPodConditions is required");
}

void success_policy_rule(const batch::SuccessPolicyRule& rule, int32_t completions, const Path& path, FieldErrors& errors) {
  if (!rule.succeededCount && !rule.succeededIndexes)
    errors.required(path, "at least one of succeededCount or succeededIndexes must be specified");
  int64_t total = 0;
  if (rule.succeededIndexes) {
    const Path at = path.child("succeededIndexes");
    if (rule.succeededIndexes->size() > kMaxSucceededIndexes) errors.too_long(at, kMaxSucceededIndexes);
    auto count = indexes(*rule.succeededIndexes, completions);
    if (count.ok()) {
      total = *count;
    } else {
      errors.invalid(at, *rule.succeededIndexes, fmt::format("error parsing succeededIndexes: {}", count.status().message()));
    }
  }
  if (!rule.succeededCount) return;
  const Path at = path.child("succeededCount");
  errors.non_negative(at, *rule.succeededCount);
  if (*rule.succeededCount > completions)
    errors.invalid(at, *rule.succeededCount, fmt::format("must be less than or equal to {} (the number of specified completions)", completions));
  if (rule.succeededIndexes && *rule.succeededCount > total)
    errors.invalid(at, *rule.succeededCount,
                   fmt::format("must be less than or equal to {} (the number of indexes in the specified succeededIndexes field)", total));
}

void indexed_limits(const batch::JobSpec& spec, const Path& path, FieldErrors& errors) {
  auto at_most = [&](std::string_view name, const std::optional<int32_t>& value, int32_t limit, std::string_view when) {
    if (value && *value > limit) errors.invalid(path.child(name), *value, fmt::format("must be less than or equal to {}{}", limit, when));
  };
  if (!spec.completions) errors.required(path.child("completions"), "when completion mode is Indexed");
  at_most("parallelism", spec.parallelism, kMaxParallelism, " when completion mode is Indexed");
  if (spec.completions && spec.maxFailedIndexes && *spec.maxFailedIndexes > *spec.completions)
    errors.invalid(path.child("maxFailedIndexes"), *spec.maxFailedIndexes, "must be less than or equal to completions");
  at_most("maxFailedIndexes", spec.maxFailedIndexes, kMaxFailedIndexes, "");
  if (spec.completions.value_or(0) <= kManyCompletions || !spec.backoffLimitPerIndex) return;
  const std::string when = fmt::format(" when completions are above {} and used with backoff limit per index", kManyCompletions);
  if (!spec.maxFailedIndexes)
    errors.required(path.child("maxFailedIndexes"), fmt::format("must be specified when completions is above {}", kManyCompletions));
  at_most("parallelism", spec.parallelism, kManyLimit, when);
  at_most("maxFailedIndexes", spec.maxFailedIndexes, kManyLimit, when);
}

void domain_prefixed_path(const std::string& value, const Path& path, FieldErrors& errors) {
  if (value.empty()) return errors.required(path);
  const size_t slash = value.find('/');
  if (slash == value.npos || slash == 0 || slash + 1 == value.size())
    return errors.invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
  const std::string host = value.substr(0, slash);
  for (const std::string& problem : names::dns1123_subdomain(host)) errors.invalid(path, host, problem);
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/%!$&'()*+,;=:@_.~-";
  const std::string rest = value.substr(slash + 1);
  if (rest.find_first_not_of(kAllowed) != rest.npos)
    errors.invalid(path, rest,
                   "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
}

// What holds for a Job and for the template of one.
void job_spec_common(const batch::JobSpec& spec, const Path& path, FieldErrors& errors) {
  non_negative(spec.parallelism, path.child("parallelism"), errors);
  non_negative(spec.completions, path.child("completions"), errors);
  non_negative(spec.activeDeadlineSeconds, path.child("activeDeadlineSeconds"), errors);
  non_negative(spec.backoffLimit, path.child("backoffLimit"), errors);
  non_negative(spec.ttlSecondsAfterFinished, path.child("ttlSecondsAfterFinished"), errors);
  non_negative(spec.backoffLimitPerIndex, path.child("backoffLimitPerIndex"), errors);
  non_negative(spec.maxFailedIndexes, path.child("maxFailedIndexes"), errors);
  if (spec.maxFailedIndexes && !spec.backoffLimitPerIndex)
    errors.required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
  if (spec.managedBy) {
    domain_prefixed_path(*spec.managedBy, path.child("managedBy"), errors);
    if (spec.managedBy->size() > kMaxManagedBy) errors.too_long(path.child("managedBy"), kMaxManagedBy);
  }
  if (spec.completionMode) {
    errors.one_of(path.child("completionMode"), *spec.completionMode, {"NonIndexed", "Indexed"});
    if (is_indexed(spec)) indexed_limits(spec, path, errors);
  }
  if (!spec.completionMode || *spec.completionMode == "NonIndexed") {
    constexpr std::string_view kNeeds = "requires indexed completion mode";
    if (spec.backoffLimitPerIndex) errors.invalid(path.child("backoffLimitPerIndex"), *spec.backoffLimitPerIndex, kNeeds);
    if (spec.maxFailedIndexes) errors.invalid(path.child("maxFailedIndexes"), *spec.maxFailedIndexes, kNeeds);
  }
  if (spec.podFailurePolicy) {
    const Path rules = path.child("podFailurePolicy", "rules");
    const auto& list = spec.podFailurePolicy->rules;
    if (list.size() > kMaxRules) errors.too_many(rules, list.size(), kMaxRules);
    for (size_t i = 0; i < list.size(); ++i) failure_policy_rule(list[i], spec, rules.index(i), errors);
  }
  if (spec.successPolicy) {
    const Path at = path.child("successPolicy"), rules = at.child("rules");
    const auto& list = spec.successPolicy->rules;
    if (!is_indexed(spec)) {
      errors.invalid_json(at, go_json(*spec.successPolicy), "requires indexed completion mode");
    } else {
      if (list.empty()) errors.required(rules, "at least one rules must be specified when the successPolicy is specified");
      if (list.size() > kMaxRules) errors.too_many(rules, list.size(), kMaxRules);
      for (size_t i = 0; i < list.size(); ++i) success_policy_rule(list[i], spec.completions.value_or(0), rules.index(i), errors);
    }
  }
  if (spec.podReplacementPolicy) {
    if (spec.podFailurePolicy) {
      errors.one_of(path.child("podReplacementPolicy"), *spec.podReplacementPolicy, {"Failed"});
    } else {
      errors.one_of(path.child("podReplacementPolicy"), *spec.podReplacementPolicy, {"Failed", "TerminatingOrFailed"});
    }
  }
  pod_template(spec.template_, path.child("template"), errors);
  const std::string& restart = spec.template_.spec.restartPolicy;
  const Path at = path.child("template").child("spec", "restartPolicy");
  if (restart.empty() || restart == "Always") {
    errors.required(at, R"(valid values: "OnFailure", "Never")");
  } else if (errors.one_of(at, restart, {"OnFailure", "Never"}) && spec.podFailurePolicy && restart != "Never") {
    errors.invalid(at, restart, R"(only "Never" is supported when podFailurePolicy is specified)");
  }
}

void job_spec(const batch::JobSpec& spec, const Path& path, FieldErrors& errors) {
  job_spec_common(spec, path, errors);
  const size_t before = errors.count();
  if (spec.selector) label_selector(*spec.selector, path.child("selector"), errors);
  const bool usable = errors.count() == before;
  if (!spec.selector) errors.required(path.child("selector"));
  if (usable && !(spec.selector && selects(*spec.selector, spec.template_.metadata.labels)))
    errors.invalid_json(path.child("template").child("metadata", "labels"), labels_json(spec.template_.metadata.labels),
                        "`selector` does not match template `labels`");
}

// A selector that the server made, and the labels that it put on the template for it, must still be there.
void generated_selector(const batch::Job& job, bool prefixed, FieldErrors& errors) {
  if (job.spec.manualSelector.value_or(false) || !job.spec.selector) return;
  if (job.metadata.uid.empty()) errors.required(Path("metadata.uid"));
  const Path path("spec.template.metadata");
  std::map<std::string, std::string> expected = {{"controller-uid", job.metadata.uid}, {"job-name", job.metadata.name}};
  auto has = [&](const std::string& key, const std::string& value) {
    const auto& labels = job.spec.template_.metadata.labels;
    auto it = labels.find(key);
    const Path at = path.child("labels").key(key);
    if (it == labels.end()) {
      errors.required(at, fmt::format("must be '{}'", value));
    } else if (it->second != value) {
      errors.invalid_json(path.child("labels").key(key), labels_json(labels), fmt::format("must be '{}'", value));
    }
  };
  has("controller-uid", job.metadata.uid);
  has("job-name", job.metadata.name);
  if (prefixed) {
    has("batch.kubernetes.io/controller-uid", job.metadata.uid);
    has("batch.kubernetes.io/job-name", job.metadata.name);
    expected["batch.kubernetes.io/controller-uid"] = job.metadata.uid;
    expected["batch.kubernetes.io/job-name"] = job.metadata.name;
  }
  FieldErrors unusable;  // which is told elsewhere
  label_selector(*job.spec.selector, Path("spec.selector"), unusable);
  if (unusable.count() == 0 && !selects(*job.spec.selector, expected)) errors.invalid_json(Path("spec.selector"), api::encode(*job.spec.selector), "`selector` not auto-generated");
}

template <typename T>
std::string json_or_null(const api::Box<T>& value) {
  return value ? go_json(*value) : "null";
}
std::string json_or_null(const std::optional<int32_t>& value) { return value ? std::to_string(*value) : "null"; }
std::string json_or_null(const std::optional<std::string>& value) { return value ? "\"" + *value + "\"" : "null"; }

// While a job is suspended, directives of scheduling may change, and resources when nothing of it runs.
void template_update(const batch::Job& job, const batch::Job& old, FieldErrors& errors) {
  core::PodTemplateSpec before = old.spec.template_;
  const core::PodTemplateSpec& now = job.spec.template_;
  const bool suspended = old.spec.suspend.value_or(false);
  const bool resting = std::any_of(old.status.conditions.begin(), old.status.conditions.end(),
                                   [](const auto& c) { return c.type == "Suspended" && c.status == "True"; });
  const bool mutable_template = suspended && (!old.status.startTime || resting) && old.status.active == 0;
  if (mutable_template) {
    if (now.spec.affinity && before.spec.affinity) {
      before.spec.affinity->nodeAffinity = now.spec.affinity->nodeAffinity;
    } else if (now.spec.affinity) {
      before.spec.affinity.emplace();
      before.spec.affinity->nodeAffinity = now.spec.affinity->nodeAffinity;
    } else if (before.spec.affinity) {
      before.spec.affinity->nodeAffinity.reset();
      if (!before.spec.affinity->podAffinity && !before.spec.affinity->podAntiAffinity) before.spec.affinity.reset();
    }
    before.spec.nodeSelector = now.spec.nodeSelector;
    before.spec.tolerations = now.spec.tolerations;
    before.spec.schedulingGates = now.spec.schedulingGates;
    before.metadata.annotations = now.metadata.annotations;
    before.metadata.labels = now.metadata.labels;
    auto resources = [](auto& to, const auto& from) {
      if (to.size() != from.size()) return;
      for (size_t i = 0; i < to.size(); ++i) {
        if (to[i].name == from[i].name) to[i].resources = from[i].resources;
      }
    };
    resources(before.spec.containers, now.spec.containers);
    resources(before.spec.initContainers, now.spec.initContainers);
    if (!(before.spec == now.spec)) errors.invalid_json(Path("spec.template.spec"), go_json(now.spec), kImmutable);
    return;
  }
  if (!(before == now)) errors.invalid_json(Path("spec.template"), go_json(now), kImmutable);
}

void job_update(const batch::Job& job, const batch::Job& old, FieldErrors& errors) {
  const batch::JobSpec &now = job.spec, &before = old.spec;
  const Path path("spec");
  auto immutable = [&](std::string_view name, const auto& a, const auto& b) {
    if (!(a == b)) errors.invalid_json(path.child(name), json_or_null(a), kImmutable);
  };
  if (!is_indexed(now)) {
    immutable("completions", now.completions, before.completions);
  } else if (now.completions && now.completions != before.completions && now.completions != now.parallelism) {
    errors.invalid(path.child("completions"), *now.completions, "can only be modified in tandem with spec.parallelism");
  }
  immutable("selector", now.selector, before.selector);
  template_update(job, old, errors);
  immutable("completionMode", now.completionMode, before.completionMode);
  immutable("podFailurePolicy", now.podFailurePolicy, before.podFailurePolicy);
  immutable("backoffLimitPerIndex", now.backoffLimitPerIndex, before.backoffLimitPerIndex);
  immutable("managedBy", now.managedBy, before.managedBy);
  immutable("successPolicy", now.successPolicy, before.successPolicy);
}

bool has_condition(const batch::JobStatus& s, std::string_view type) {
  return std::any_of(s.conditions.begin(), s.conditions.end(), [&](const auto& c) { return c.type == type && c.status == "True"; });
}

std::string time_json(const std::optional<WallTime>& time) { return time ? "\"" + format_time(*time) + "\"" : "null"; }

void finished_job(const batch::JobStatus& s, const Path& path, FieldErrors& errors) {
  const bool finished = has_condition(s, "Complete") || has_condition(s, "Failed");
  if (!finished) return;
  if (s.active > 0) errors.invalid(path.child("active"), s.active, "active>0 is invalid for finished job");
  if (!s.startTime) errors.required(path.child("startTime"), "startTime is required for finished job");
  if (s.uncountedTerminatedPods && !(s.uncountedTerminatedPods->failed.empty() && s.uncountedTerminatedPods->succeeded.empty()))
    errors.invalid_json(path.child("uncountedTerminatedPods"), api::encode(*s.uncountedTerminatedPods), "must be empty for finished job");
}

void job_conditions(const batch::JobStatus& s, const batch::JobSpec& spec, const Path& path, FieldErrors& errors) {
  const bool complete = has_condition(s, "Complete"), failed = has_condition(s, "Failed"), target = has_condition(s, "FailureTarget"),
             met = has_condition(s, "SuccessCriteriaMet");
  auto bad = [&](std::string_view what) { errors.invalid(path.child("conditions"), FieldErrors::kNoValue, what); };
  if (complete && failed) bad("cannot set Complete=True and Failed=true conditions");
  if (complete && target) bad("cannot set Complete=True and FailureTarget=true conditions");
  if (s.completionTime && !complete)
    errors.invalid_json(path.child("completionTime"), time_json(s.completionTime), "cannot set completionTime when there is no Complete=True condition");
  if (!s.completionTime && complete) errors.required(path.child("completionTime"), "completionTime is required for Complete jobs");
  if (s.startTime && s.completionTime && *s.completionTime < *s.startTime)
    errors.invalid_json(path.child("completionTime"), time_json(s.completionTime), "must be equal to or after `startTime`");
  if (failed && !target) bad("cannot set Failed=True condition without the FailureTarget=true condition");
  if (complete && !met) bad("cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
  finished_job(s, path, errors);
  if (spec.completions) {
    if (auto ok = indexes(s.completedIndexes, *spec.completions); !ok.ok())
      errors.invalid(path.child("completedIndexes"), s.completedIndexes, "error parsing completedIndexes: " + std::string(ok.status().message()));
    if (spec.backoffLimitPerIndex && s.failedIndexes) {
      if (auto ok = indexes(*s.failedIndexes, *spec.completions); !ok.ok())
        errors.invalid(path.child("failedIndexes"), *s.failedIndexes, "error parsing failedIndexes: " + std::string(ok.status().message()));
    }
  }
  if (!s.completedIndexes.empty() && !is_indexed(spec))
    errors.invalid(path.child("completedIndexes"), s.completedIndexes, "cannot set non-empty completedIndexes when non-indexed completion mode");
  if (!spec.backoffLimitPerIndex && s.failedIndexes)
    errors.invalid(path.child("failedIndexes"), *s.failedIndexes, "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
  if (s.terminating.value_or(0) > 0 && (complete || failed))
    errors.invalid(path.child("terminating"), *s.terminating, "terminating>0 is invalid for finished job");
  if (s.ready && *s.ready > s.active) errors.invalid(path.child("ready"), *s.ready, "cannot set more ready pods than active");
  if (met && failed) bad("cannot set SuccessCriteriaMet=True and Failed=true conditions");
  if (met && target) bad("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
  if (spec.successPolicy && !met && complete) bad("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True");
}

void job_status(const batch::Job& job, const batch::Job& old, FieldErrors& errors) {
  const batch::JobStatus &s = job.status, &before = old.status;
  const Path path("status");
  errors.non_negative(path.child("active"), s.active);
  errors.non_negative(path.child("succeeded"), s.succeeded);
  errors.non_negative(path.child("failed"), s.failed);
  non_negative(s.ready, path.child("ready"), errors);
  non_negative(s.terminating, path.child("terminating"), errors);
  if (s.uncountedTerminatedPods) {
    std::set<std::string> seen;
    for (const auto& [name, list] : {std::pair("succeeded", &s.uncountedTerminatedPods->succeeded), std::pair("failed", &s.uncountedTerminatedPods->failed)}) {
      for (size_t i = 0; i < list->size(); ++i) {
        const Path at = path.child("uncountedTerminatedPods", name).index(i);
        if ((*list)[i].empty()) {
          errors.invalid(at, (*list)[i], "must not be empty");
        } else if (!seen.insert((*list)[i]).second) {
          errors.duplicate(at, (*list)[i]);
        }
      }
    }
  }
  job_conditions(s, job.spec, path, errors);
  for (const char* type : {"Failed", "Complete", "FailureTarget"}) {
    if (has_condition(before, type) && !has_condition(s, type))
      errors.invalid(path.child("conditions"), FieldErrors::kNoValue, fmt::format("cannot disable the terminal {}=True condition", type));
  }
  if (s.failed < before.failed) errors.invalid(path.child("failed"), s.failed, "cannot decrease the failed counter");
  if (s.succeeded < before.succeeded) errors.invalid(path.child("succeeded"), s.succeeded, "cannot decrease the succeeded counter");
  if (s.completionTime && before.completionTime && s.completionTime != before.completionTime)
    errors.invalid_json(path.child("completionTime"), time_json(s.completionTime), kImmutable);
  if (before.startTime && s.startTime != before.startTime && !job.spec.suspend.value_or(false))
    errors.invalid_json(path.child("startTime"), time_json(s.startTime), "field is immutable for unsuspended job once set");
  if (has_condition(before, "SuccessCriteriaMet") && !has_condition(s, "SuccessCriteriaMet"))
    errors.invalid(path.child("conditions"), FieldErrors::kNoValue, "cannot disable the SuccessCriteriaMet=True condition");
}

bool known_time_zone(const std::string& name) {
  static const bool have_database = access("/usr/share/zoneinfo", X_OK) == 0;
  return !have_database || name == "UTC" || access(("/usr/share/zoneinfo/" + name).c_str(), R_OK) == 0;
}

void time_zone(const std::string& zone, const Path& path, FieldErrors& errors) {
  if (zone.empty()) return errors.invalid(path, zone, "timeZone must be nil or non-empty string");
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-_0123456789+";
  const std::string unknown = "unknown time zone " + zone;
  for (size_t at = 0; at <= zone.size();) {
    const size_t end = std::min(zone.find('/', at), zone.size());
    const std::string_view part = std::string_view(zone).substr(at, end - at);
    if (part.empty() || part.size() > 14 || part == "." || part == ".." || part.front() == '-' || part.find_first_not_of(kAllowed) != part.npos)
      return errors.invalid(path, zone, unknown);
    at = end + 1;
  }
  std::string lower = zone;
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (lower == "local")
    errors.invalid(path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
  if (!known_time_zone(zone))
    errors.invalid(path, zone, unknown);
}

void schedule(const batch::CronJobSpec& spec, const batch::CronJobSpec* old, const Path& path, FieldErrors& errors) {
  if (spec.schedule.empty()) return errors.required(path);
  if (auto parsed = CronSchedule::parse(spec.schedule); !parsed.ok()) errors.invalid(path, spec.schedule, parsed.status().message());
  auto has_zone = [](const std::string& text) { return text.find("TZ") != text.npos; };
  if (!has_zone(spec.schedule)) return;
  if (!old || !has_zone(old->schedule)) {
    errors.invalid(path, spec.schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
  } else if (spec.timeZone) {
    errors.invalid(path, spec.schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
  }
}

void cron_job_spec(const batch::CronJobSpec& spec, const batch::CronJobSpec* old, const Path& path, FieldErrors& errors) {
  schedule(spec, old, path.child("schedule"), errors);
  non_negative(spec.startingDeadlineSeconds, path.child("startingDeadlineSeconds"), errors);
  if (spec.timeZone && (!old || old->timeZone != spec.timeZone)) time_zone(*spec.timeZone, path.child("timeZone"), errors);
  if (spec.concurrencyPolicy.empty()) {
    errors.required(path.child("concurrencyPolicy"));
  } else {
    errors.one_of(path.child("concurrencyPolicy"), spec.concurrencyPolicy, {"Allow", "Forbid", "Replace"});
  }
  const batch::JobSpec& job = spec.jobTemplate.spec;
  const Path at = path.child("jobTemplate").child("spec");
  job_spec_common(job, at, errors);
  if (job.selector) errors.invalid_json(at.child("selector"), api::encode(*job.selector), "`selector` will be auto-generated");
  if (job.manualSelector.value_or(false)) errors.unsupported_json(at.child("manualSelector"), "true", {"nil", "false"});
  non_negative(spec.successfulJobsHistoryLimit, path.child("successfulJobsHistoryLimit"), errors);
  non_negative(spec.failedJobsHistoryLimit, path.child("failedJobsHistoryLimit"), errors);
}

}  // namespace

void job(const batch::Job& job, const batch::Job* old, FieldErrors& errors) {
  object_meta(job.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  if (!old || !(job.spec == old->spec)) {
    const auto had = [&](const char* label) { return !old || old->spec.template_.metadata.labels.count(label); };
    generated_selector(job, had("batch.kubernetes.io/job-name") && had("batch.kubernetes.io/controller-uid"), errors);
    job_spec(job.spec, Path("spec"), errors);
    if (is_indexed(job.spec) && job.spec.completions.value_or(0) > 0) {
      const std::string host = fmt::format("{}-{}", job.metadata.name, *job.spec.completions - 1);
      if (!names::dns1123_label(host).empty())
        errors.invalid(Path("metadata.name"), job.metadata.name, fmt::format("will not able to create pod with invalid DNS label: {}", host));
    }
  }
  if (!old) return;
  // Upstream checks the whole once more as part of an update, so every cause is there twice.
  if (!(job.spec == old->spec)) job_spec(job.spec, Path("spec"), errors);
  job_update(job, *old, errors);
  if (!(job.status == old->status)) job_status(job, *old, errors);
}

void cron_job(const batch::CronJob& job, const batch::CronJob* old, FieldErrors& errors) {
  object_meta(job.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  if (!old || !(job.spec == old->spec)) cron_job_spec(job.spec, old ? &old->spec : nullptr, Path("spec"), errors);
  if (!old && job.metadata.name.size() > kMaxCronJobName)
    errors.invalid(Path("metadata.name"), job.metadata.name, fmt::format("must be no more than {} characters", kMaxCronJobName));
}

}  // namespace knarr::schema::validation
