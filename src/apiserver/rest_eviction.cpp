// Evictions: a pod is deleted when the budgets that it belongs to can spare it.
#include <fmt/format.h>

#include "knarr/apiserver/disruption.h"
#include "knarr/codec/selector.h"
#include "knarr/codec/time.h"
#include "rest_impl.h"

namespace knarr::apiserver {

namespace {

using json::Document;
using json::Value;

constexpr std::string_view kCause = "DisruptionBudget";
constexpr int kAttempts = 20;
constexpr size_t kMostDisrupted = 2000;  // evictions that the controller has not seen yet

Status too_many(std::string why, int retry_after) {
  Status status(429, reason::kTooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.");
  Status::Details details;
  details.retry_after_seconds = retry_after;
  return status.with_details(std::move(details)).with_cause({std::string(kCause), std::move(why), ""});
}

Status still_processed(std::string_view budget) {
  return too_many(fmt::format("The disruption budget {} is still being processed by the server.", budget), 10);
}

Status budget_forbidden(std::string_view budget, std::string_view why) {
  Status status(403, reason::kForbidden,
                fmt::format("poddisruptionbudget.policy \"{}\" is forbidden: {}", budget, why));
  Status::Details details;
  details.group = "policy";
  details.kind = "poddisruptionbudget";
  details.name = budget;
  return status.with_details(std::move(details));
}

std::string why_not(std::string_view name, const Value& status) {
  const Value* condition = find_condition(status, kDisruptionAllowed);
  const bool is_false = condition && json::get_string(*condition, "status") == "False";
  const std::string_view message = is_false ? json::get_string(*condition, "message") : std::string_view();
  const std::string_view reason = is_false ? json::get_string(*condition, "reason") : std::string_view();
  const int64_t healthy = json::get_int(status, "currentHealthy"), desired = json::get_int(status, "desiredHealthy");
  if (!message.empty() && reason == "SyncFailed")
    return fmt::format("The disruption budget {} does not allow evicting pods currently because it failed sync: {}",
                       name, message);
  if (healthy <= desired)
    return fmt::format("The disruption budget {} needs {} healthy pods and has {} currently", name, desired, healthy);
  if (!message.empty())
    return fmt::format("The disruption budget {} does not allow evicting pods currently ({}): {}", name, reason,
                       message);
  return fmt::format("The disruption budget {} does not allow evicting pods currently", name);
}

// One disruption less, with the pod's name and the time, until the controller sees the pod go.
Result<Document> spend(const Document& budget, std::string_view pod, WallTime now) {
  const std::string_view name = meta_string(budget, "name");
  Document next = json::copy(budget);
  auto& alloc = next.GetAllocator();
  Value& status = json::ensure_object(next, {"status"}, alloc);
  const int64_t generation = json::get_int(*json::find(budget, "metadata"), "generation");
  if (json::get_int(status, "observedGeneration") < generation) return still_processed(name);
  const int64_t allowed = json::get_int(status, "disruptionsAllowed");
  if (allowed < 0) return budget_forbidden(name, "pdb disruptions allowed is negative");
  if (const Value* disrupted = json::find(status, "disruptedPods");
      disrupted && disrupted->IsObject() && disrupted->MemberCount() > kMostDisrupted)
    return budget_forbidden(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
  if (allowed == 0) return too_many(why_not(name, status), 0);
  json::set(status, "disruptionsAllowed", Value(allowed - 1), alloc);
  if (allowed == 1) set_disruption_allowed(status, now, alloc);
  json::set(json::ensure_object(status, {"disruptedPods"}, alloc), pod, format_time(now), alloc);
  return next;
}

bool is_ready(const Value& pod) {
  const Value* status = json::find(pod, "status");
  const Value* ready = status ? find_condition(*status, "Ready") : nullptr;
  return ready && json::get_string(*ready, "status") == "True";
}

// Of an unhealthy pod: nobody misses it while there are enough healthy ones.
bool spares_unhealthy(const Value& budget) {
  if (json::get_string(budget, {"spec", "unhealthyPodEvictionPolicy"}) == "AlwaysAllow") return true;
  const Value* status = json::find(budget, "status");
  if (!status) return false;
  const int64_t desired = json::get_int(*status, "desiredHealthy");
  return desired > 0 && json::get_int(*status, "currentHealthy") >= desired;
}

Answer answer_of(int code, std::string body) {
  Answer answer;
  answer.code = code;
  answer.body = std::move(body);
  return answer;
}

}  // namespace

const Value* find_condition(const Value& status, std::string_view type) {
  const Value* conditions = json::find(status, "conditions");
  if (!conditions || !conditions->IsArray()) return nullptr;
  for (const Value& condition : conditions->GetArray())
    if (json::get_string(condition, "type") == type) return &condition;
  return nullptr;
}

void set_condition(Value& status, const ConditionState& state, WallTime now, json::Allocator& alloc) {
  Value* conditions = json::find(status, "conditions");
  if (!conditions || !conditions->IsArray())
    conditions = &json::set(status, "conditions", Value(rapidjson::kArrayType), alloc);
  Value* condition = const_cast<Value*>(find_condition(status, state.type));
  if (!condition) {
    Value fresh(rapidjson::kObjectType);
    json::set(fresh, "type", state.type, alloc);
    conditions->PushBack(fresh, alloc);
    condition = &(*conditions)[conditions->Size() - 1];
  }
  const bool changed = json::get_string(*condition, "status") != state.status;
  json::set(*condition, "status", state.status, alloc);
  json::set(*condition, "observedGeneration", Value(state.observed_generation), alloc);
  if (changed) json::set(*condition, "lastTransitionTime", format_time(now), alloc);
  json::set(*condition, "reason", state.reason, alloc);
  json::set(*condition, "message", state.message, alloc);
}

void set_disruption_allowed(Value& status, WallTime now, json::Allocator& alloc) {
  const bool allowed = json::get_int(status, "disruptionsAllowed") > 0;
  set_condition(status,
                {kDisruptionAllowed, allowed ? "True" : "False", allowed ? "SufficientPods" : "InsufficientPods", "",
                 json::get_int(status, "observedGeneration")},
                now, alloc);
}

std::vector<Document> Rest::Impl::budgets_of(const store::Object& pod, std::string_view ns) const {
  std::vector<Document> out;
  const auto listed = store->list(store->resource("poddisruptionbudgets.policy"), {.prefix = std::string(ns) + "/"});
  if (!listed.ok()) return out;
  for (const store::ObjectPtr& object : listed->objects) {
    auto budget = json::parse(object->value);
    if (!budget.ok()) continue;
    const auto selector = selector::Labels::from_label_selector(json::find(*budget, {"spec", "selector"}));
    if (selector.ok() && selector->matches(pod.extract.labels)) out.push_back(std::move(*budget));
  }
  return out;
}

// Says in the pod's status why it goes, and deletes it: that version of it, when `revision` is not empty.
Status Rest::Impl::evict(Rest& rest, RequestContext& context, const Target& pod, DeleteParams params) {
  if (!context.dry_run) {
    KNARR_ASSIGN(
        const Answer changed, change(context, pod, Checks::kInternal, [&](const Document& old) -> Result<Document> {
          KNARR_RETURN_IF_ERROR(
              check_preconditions(*pod.resource, pod.name, params, old, meta_string(old, "resourceVersion")));
          Document next = json::copy(old);
          auto& alloc = next.GetAllocator();
          Value& status = json::ensure_object(next, {"status"}, alloc);
          const Value* known = find_condition(status, "DisruptionTarget");
          const bool changes = !known || json::get_string(*known, "status") != "True";
          Value condition(rapidjson::kObjectType);
          json::set(condition, "type", "DisruptionTarget", alloc);
          json::set(condition, "status", "True", alloc);
          json::set(condition, "lastProbeTime", Value(), alloc);
          json::set(condition, "lastTransitionTime",
                    changes ? format_time(now()) : std::string(json::get_string(*known, "lastTransitionTime")), alloc);
          json::set(condition, "reason", "EvictionByEvictionAPI", alloc);
          json::set(condition, "message", "Eviction API: evicting", alloc);
          if (known) {
            *const_cast<Value*>(known) = std::move(condition);
          } else {
            Value* list = json::find(status, "conditions");
            if (!list || !list->IsArray()) list = &json::set(status, "conditions", Value(rapidjson::kArrayType), alloc);
            list->PushBack(condition, alloc);
          }
          return next;
        }));
    if (params.resource_version && changed.object) params.resource_version = revision_digits(*changed.object);
  }
  return rest.remove(context, pod, params).status();
}

Result<Answer> Rest::Impl::evict_pod(Rest& rest, RequestContext& context, const Target& target, std::string_view body) {
  KNARR_ASSIGN(Document eviction, json::parse(body));
  if (meta_string(eviction, "name") != target.name)
    return bad_request("name in URL does not match name in Eviction object");
  DeleteParams params;
  if (const Value* options = json::find(eviction, "deleteOptions"); options && options->IsObject()) {
    KNARR_RETURN_IF_ERROR(params.merge_body(json::dump(*options)));
    if (const Value* dry_run = json::find(*options, "dryRun"); dry_run && dry_run->IsArray() && !dry_run->Empty())
      context.dry_run = true;
  }
  AdmissionRequest request{Operation::kCreate, target.resource, "eviction",    target.ns,       target.name,
                           &eviction,          nullptr,         &context.user, context.dry_run, &context.warnings};
  KNARR_RETURN_IF_ERROR(admit(request));
  KNARR_RETURN_IF_ERROR(admission_validate(request));

  const Target pod{target.resource, "", target.ns, target.name};
  const bool any_version = !params.resource_version;
  for (int attempt = 1;; ++attempt) {
    const store::ObjectPtr object = store->get(id(*pod.resource), object_key(pod.ns, pod.name));
    if (!object) return not_found_error(*pod.resource, pod.name);
    KNARR_ASSIGN(const Document current, json::parse(object->value));
    const std::string_view phase = json::get_string(current, {"status", "phase"});
    const bool going = is_deleting(current) || phase == "Succeeded" || phase == "Failed";
    // Only that version of it: a pod that starts to run meanwhile counts in its budget.
    const auto this_version = [&] {
      DeleteParams bound = params;
      if (any_version) bound.resource_version = revision_digits(*object);
      return bound;
    };
    if (going || phase == "Pending") {
      const Status evicted = evict(rest, context, pod, going ? params : this_version());
      if (evicted.is(reason::kConflict) && any_version && attempt < kAttempts) continue;
      KNARR_RETURN_IF_ERROR(evicted);
      break;
    }
    const auto budgets = budgets_of(*object, pod.ns);
    if (budgets.size() > 1)
      return answer_of(
          500,
          R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"This pod has more than one )"
          R"(PodDisruptionBudget, which the eviction subresource does not support.","code":500})");
    const bool unhealthy = !budgets.empty() && !is_ready(current) && spares_unhealthy(budgets.front());
    if (!budgets.empty() && !unhealthy) {
      const std::string name(meta_string(budgets.front(), "name"));
      const Target budget{schema::find_resource("policy", "v1", "poddisruptionbudgets"), "status", pod.ns, name};
      KNARR_RETURN_IF_ERROR(change(context, budget, Checks::kInternal, [&](const Document& old) {
                              return spend(old, pod.name, now());
                            }).status());
    }
    const Status evicted = evict(rest, context, pod, unhealthy ? this_version() : params);
    if (evicted.is(reason::kConflict) && unhealthy && any_version)
      return still_processed(meta_string(budgets.front(), "name"));
    KNARR_RETURN_IF_ERROR(evicted);
    break;
  }
  return answer_of(201, R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201})");
}

}  // namespace knarr::apiserver
