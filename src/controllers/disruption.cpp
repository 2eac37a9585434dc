// PodDisruptionBudgets: how many of their pods may be evicted now.
#include "knarr/apiserver/disruption.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "controllers/controller.h"
#include "knarr/apiserver/document.h"
#include "knarr/codec/selector.h"
#include "knarr/codec/time.h"

namespace knarr::controllers {

namespace {

using apiserver::meta_string;
using json::Document;
using json::Value;

constexpr std::string_view kBudgets = "poddisruptionbudgets.policy", kPods = "pods";
constexpr std::string_view kStale = "stale:";        // before the key of a pod, in the queue's keys
constexpr std::chrono::minutes kDeletionTimeout{2};  // an evicted pod is gone by then, or stays

bool is_ready(const Value& pod) {
  const Value* status = json::find(pod, "status");
  const Value* ready = status ? apiserver::find_condition(*status, "Ready") : nullptr;
  return ready && json::get_string(*ready, "status") == "True";
}

const Value* controller_of(const Value& object) {
  const Value* owners = json::find(object, {"metadata", "ownerReferences"});
  if (owners && owners->IsArray())
    for (const Value& owner : owners->GetArray())
      if (json::get_bool(owner, "controller")) return &owner;
  return nullptr;
}

// A number, or a percentage of `total` rounded up.
Result<int64_t> scaled(const Value& value, int64_t total) {
  if (value.IsInt64()) return value.GetInt64();
  const std::string text(value.IsString() ? json::view(value) : std::string_view());
  if (text.empty() || text.back() != '%')
    return bad_request("invalid value for IntOrString: invalid type: string is not a percentage");
  return static_cast<int64_t>(std::ceil(static_cast<double>(total) * std::atoi(text.c_str()) / 100.0));
}

struct Expected {
  int64_t pods = 0, healthy = 0;
  bool unmanaged = false;  // there are pods that no controller counts
};

class DisruptionController : public Controller {
 public:
  explicit DisruptionController(Context context)
      : clock_(*context.options.clock),
        rest_(*context.options.rest),
        store_(rest_.store()),
        publications_(*context.publications),
        events_(client::EventRecorder::make(context.options.transport, {.component = "controllermanager"})),
        budgets_(store_.resource(kBudgets)),
        pods_(store_.resource(kPods)) {
    request_.user = auth::internal_user("disruption-controller");
  }

  void watch(client::WorkQueue& queue) override {
    publications_.subscribe(kBudgets,
                            {.event =
                                 [&queue](const auto&, const auto& event) {
                                   if (event.type != store::EventType::kDeleted) queue.add(event.object->key);
                                 },
                             .present = [&queue](const auto&, const auto& budget) { queue.add(budget->key); }});
    publications_.subscribe(kPods, {.event = [this, &queue](const auto&, const auto& event) { on_pod(event, queue); },
                                    .present =
                                        [&queue](const auto&, const auto& pod) {
                                          if (mentions(*pod, "DisruptionTarget"))
                                            queue.add(std::string(kStale).append(pod->key));
                                        }});
  }

  Status reconcile(const std::string& key, client::WorkQueue& queue) override {
    if (key.starts_with(kStale)) return clean_stale(key, queue);
    const store::ObjectPtr object = store_.get(budgets_, key);
    if (!object) return {};
    KNARR_ASSIGN(const Document budget, json::parse(object->value));
    const Status synced = sync(key, budget, queue);
    if (synced.ok() || synced.is(reason::kConflict) || synced.is(reason::kNotFound))
      return synced.is(reason::kNotFound) ? Status() : synced;
    return fail(key, budget, synced);
  }

 private:
  void on_pod(const store::Event& event, client::WorkQueue& queue) {
    const auto [ns, name] = apiserver::split_key(event.object->key);
    if (event.type == store::EventType::kModified && mentions(*event.object, "DisruptionTarget"))
      queue.add_after(std::string(kStale).append(event.object->key), kDeletionTimeout);
    if (store_.count(budgets_) == 0) return;
    const auto listed = store_.list(budgets_, {.prefix = std::string(ns) + "/"});
    if (!listed.ok()) return;
    for (const store::ObjectPtr& object : listed->objects) {
      const auto budget = json::parse(object->value);
      if (!budget.ok()) continue;
      const auto selector = selector::Labels::from_label_selector(json::find(*budget, {"spec", "selector"}));
      if (!selector.ok()) continue;
      if (selector->matches(event.object->extract.labels) ||
          (event.previous && selector->matches(event.previous->extract.labels)))
        queue.add(object->key);
    }
  }

  Status sync(const std::string& key, const Document& budget, client::WorkQueue& queue) {
    const auto [ns, name] = apiserver::split_key(key);
    KNARR_ASSIGN(const auto selector, selector::Labels::from_label_selector(json::find(budget, {"spec", "selector"})));
    std::vector<Document> pods;
    KNARR_ASSIGN(const store::ListResult listed, store_.list(pods_, {.prefix = std::string(ns) + "/"}));
    for (const store::ObjectPtr& object : listed.objects) {
      if (!selector.matches(object->extract.labels)) continue;
      KNARR_ASSIGN(Document pod, json::parse(object->value));
      pods.push_back(std::move(pod));
    }
    if (pods.empty()) tell(budget, client::kEventNormal, "NoPods", "No matching pods found");
    auto expected = expect(budget, pods);
    if (!expected.ok()) {
      tell(budget, client::kEventWarning, "CalculateExpectedPodCountFailed",
           fmt::format("Failed to calculate the number of expected pods: {}", expected.status().message()));
      return expected.status();
    }
    const WallTime now = clock_.wall();
    Document next = json::copy(budget);
    auto& alloc = next.GetAllocator();
    Value& status = json::ensure_object(next, {"status"}, alloc);
    // Evictions that were granted and whose pods are still there count as gone, for a while.
    Value disrupted(rapidjson::kObjectType);
    std::optional<WallTime> recheck;
    int64_t healthy = 0;
    for (const Document& pod : pods) {
      if (apiserver::is_deleting(pod)) continue;
      const std::string_view pod_name = meta_string(pod, "name");
      const std::string_view text = json::get_string(budget, {"status", "disruptedPods", pod_name});
      const auto time = parse_time(text);
      if (!text.empty() && time.ok() && *time + kDeletionTimeout > now) {
        json::set(disrupted, pod_name, text, alloc);
        recheck = std::min(recheck.value_or(WallTime::max()), *time + kDeletionTimeout);
        continue;
      }
      if (!text.empty())
        events_->event(ref_of(pod), client::kEventWarning, "NotDeleted",
                       fmt::format("Pod was expected by PDB {0}/{0} to be deleted but it wasn't", ns));
      healthy += is_ready(pod);
    }
    if (recheck) queue.add_after(key, std::chrono::ceil<milliseconds>(*recheck - now));
    const int64_t allowed = expected->pods > 0 ? std::max<int64_t>(0, healthy - expected->healthy) : 0;
    if (disrupted.ObjectEmpty()) {
      json::remove(status, "disruptedPods");
    } else {
      json::set(status, "disruptedPods", std::move(disrupted), alloc);
    }
    json::set(status, "currentHealthy", Value(healthy), alloc);
    json::set(status, "desiredHealthy", Value(expected->healthy), alloc);
    json::set(status, "expectedPods", Value(expected->pods), alloc);
    json::set(status, "disruptionsAllowed", Value(allowed), alloc);
    json::set(status, "observedGeneration", Value(json::get_int(*json::find(budget, "metadata"), "generation")), alloc);
    apiserver::set_disruption_allowed(status, now, alloc);
    return write(key, budget, next);
  }

  Result<Expected> expect(const Document& budget, const std::vector<Document>& pods) {
    Expected out;
    const Value* most_missing = json::find(budget, {"spec", "maxUnavailable"});
    const Value* least = json::find(budget, {"spec", "minAvailable"});
    if (!most_missing && least && least->IsInt64()) {
      out.pods = static_cast<int64_t>(pods.size());
      out.healthy = least->GetInt64();
      return out;
    }
    if (!most_missing && !least) return out;
    KNARR_ASSIGN(out.pods, expected_scale(pods, out.unmanaged));
    KNARR_ASSIGN(const int64_t amount, scaled(most_missing ? *most_missing : *least, out.pods));
    out.healthy = most_missing ? std::max<int64_t>(0, out.pods - amount) : amount;
    if (out.unmanaged)
      tell(budget, client::kEventWarning, "UnmanagedPods",
           fmt::format("Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a "
                       "result, the status of the PDB cannot be calculated correctly, which may result in undefined "
                       "behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an "
                       "integer value.",
                       json::find(budget, {"spec", "selector"}) ? json::dump(*json::find(budget, {"spec", "selector"}))
                                                                : "nil"));
    return out;
  }

  // The pods that the controllers of these ones want.
  Result<int64_t> expected_scale(const std::vector<Document>& pods, bool& unmanaged) {
    std::map<std::string, int64_t, std::less<>> known;  // by the controller's uid
    for (const Document& pod : pods) {
      const Value* controller = controller_of(pod);
      if (!controller) {
        unmanaged = true;
        continue;
      }
      const std::string uid(json::get_string(*controller, "uid"));
      if (known.contains(uid)) continue;
      KNARR_ASSIGN(const auto scale, scale_of(*controller, meta_string(pod, "namespace")));
      if (!scale) return internal_error(fmt::format("found no controllers for pod \"{}\"", meta_string(pod, "name")));
      known[scale->first] = scale->second;
    }
    int64_t total = 0;
    for (const auto& [uid, replicas] : known) total += replicas;
    return total;
  }

  // Of a replica set that belongs to a deployment, the deployment's.
  Result<std::optional<std::pair<std::string, int64_t>>> scale_of(const Value& reference, std::string_view ns) {
    using Scale = std::optional<std::pair<std::string, int64_t>>;
    const std::string_view api_version = json::get_string(reference, "apiVersion");
    const size_t slash = api_version.find('/');
    const std::string_view group = slash == std::string_view::npos ? "" : api_version.substr(0, slash);
    const std::string_view version = slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
    const auto resource = rest_.registry().catalog()->find_kind(group, version, json::get_string(reference, "kind"));
    if (!resource) return Scale();
    const std::string_view name = json::get_string(reference, "name");
    const auto has_scale = std::any_of(resource->subresources.begin(), resource->subresources.end(),
                                       [](const auto& sub) { return sub.name == "scale"; });
    if (!has_scale)
      return internal_error(fmt::format("{}{}{} does not implement the scale subresource", resource->plural,
                                        resource->group.empty() ? "" : ".", resource->group));
    const auto found = rest_.get(request_, {resource.get(), "", ns, name});
    if (!found.ok()) return found.status().is(reason::kNotFound) ? Result<Scale>(Scale()) : found.status();
    KNARR_ASSIGN(const Document owner, json::parse(found->bytes()));
    if (meta_string(owner, "uid") != json::get_string(reference, "uid")) return Scale();
    if (resource->storage_name == "replicasets.apps")
      if (const Value* above = controller_of(owner); above && json::get_string(*above, "kind") == "Deployment")
        return scale_of(*above, ns);
    KNARR_ASSIGN(const apiserver::Answer answer, rest_.get(request_, {resource.get(), "scale", ns, name}));
    KNARR_ASSIGN(const Document scale, json::parse(answer.bytes()));
    const Value* spec = json::find(scale, "spec");
    return Scale(std::pair(std::string(meta_string(owner, "uid")), spec ? json::get_int(*spec, "replicas") : 0));
  }

  Status fail(const std::string& key, const Document& budget, const Status& why) {
    Document next = json::copy(budget);
    auto& alloc = next.GetAllocator();
    Value& status = json::ensure_object(next, {"status"}, alloc);
    json::set(status, "disruptionsAllowed", Value(0), alloc);
    apiserver::set_condition(status,
                             {apiserver::kDisruptionAllowed, "False", "SyncFailed", why.message(),
                              json::get_int(status, "observedGeneration")},
                             clock_.wall(), alloc);
    return write(key, budget, next);
  }

  Status write(const std::string& key, const Document& before, const Document& next) {
    if (json::equal(before, next)) return {};
    const auto [ns, name] = apiserver::split_key(key);
    const Status updated =
        rest_
            .update(request_, {schema::find_resource("policy", "v1", "poddisruptionbudgets"), "status", ns, name},
                    json::dump(next))
            .status();
    return updated.is(reason::kNotFound) ? Status() : updated;
  }

  // A pod that was to be evicted and is still there was not: its condition is taken back.
  Status clean_stale(const std::string& key, client::WorkQueue& queue) {
    const std::string pod_key = key.substr(kStale.size());
    const store::ObjectPtr object = store_.get(pods_, pod_key);
    if (!object) return {};
    KNARR_ASSIGN(Document pod, json::parse(object->value));
    const std::string_view phase = json::get_string(pod, {"status", "phase"});
    Value* status = json::find(pod, "status");
    const Value* condition = status ? apiserver::find_condition(*status, "DisruptionTarget") : nullptr;
    if (apiserver::is_deleting(pod) || phase == "Succeeded" || phase == "Failed" || !condition ||
        json::get_string(*condition, "status") != "True" ||
        json::get_string(*condition, "reason") == "TerminationByKubelet")
      return {};
    const auto since = parse_time(json::get_string(*condition, "lastTransitionTime"));
    const WallTime now = clock_.wall();
    if (since.ok() && *since + kDeletionTimeout > now) {
      queue.add_after(key, std::chrono::ceil<milliseconds>(*since + kDeletionTimeout - now));
      return {};
    }
    auto& alloc = pod.GetAllocator();
    Value& changed = const_cast<Value&>(*condition);
    json::set(changed, "status", "False", alloc);
    json::set(changed, "lastTransitionTime", format_time(now), alloc);
    json::remove(changed, "reason");
    json::remove(changed, "message");
    const auto [ns, name] = apiserver::split_key(pod_key);
    const Status updated =
        rest_.update(request_, {schema::find_resource("", "v1", kPods), "status", ns, name}, json::dump(pod)).status();
    return updated.is(reason::kNotFound) ? Status() : updated;
  }

  static client::EventRef ref_of(const Value& object) {
    return {std::string(json::get_string(object, "apiVersion")),
            std::string(json::get_string(object, "kind")),
            std::string(meta_string(object, "namespace")),
            std::string(meta_string(object, "name")),
            std::string(meta_string(object, "uid")),
            std::string(meta_string(object, "resourceVersion")),
            ""};
  }

  void tell(const Value& budget, std::string_view type, std::string_view reason, std::string_view message) {
    events_->event(ref_of(budget), type, reason, message);
  }

  const Clock& clock_;
  apiserver::Rest& rest_;
  store::Store& store_;
  Publications& publications_;
  const std::shared_ptr<client::EventRecorder> events_;
  const store::ResourceId budgets_, pods_;
  apiserver::RequestContext request_;
};

}  // namespace

std::unique_ptr<Controller> make_disruption_controller(Context context) {
  return std::make_unique<DisruptionController>(context);
}

}  // namespace knarr::controllers
