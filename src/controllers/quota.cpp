// ResourceQuotas: shows in their status what is allowed and what is used, counted anew whenever something that counts
// goes, or the quota changes. What comes is counted by the admission plugin.
#include "knarr/admission/quota.h"

#include <algorithm>

#include "controllers/controller.h"
#include "knarr/apiserver/document.h"

namespace knarr::controllers {

namespace {

using admission::Amounts;
using json::Document;
using json::Value;
namespace quota = admission::quota;

constexpr std::string_view kQuotas = "resourcequotas";
// A write that was counted and then failed is given back by then.
constexpr std::chrono::minutes kResync{5};

bool ended(const store::Object& pod) {
  return mentions(pod, "\"phase\":\"Succeeded\"") || mentions(pod, "\"phase\":\"Failed\"");
}

Amounts hard_of(const Value& object, std::string_view member) {
  return admission::amounts_of(json::find(object, {member, "hard"}));
}

class QuotaController : public Controller {
 public:
  explicit QuotaController(Context context)
      : clock_(*context.options.clock),
        rest_(*context.options.rest),
        store_(rest_.store()),
        publications_(*context.publications),
        quotas_(store_.resource(kQuotas)) {
    request_.user = auth::internal_user("resourcequota-controller");
  }

  void watch(client::WorkQueue& queue) override {
    publications_.subscribe(
        "", {.event = [this, &queue](const auto& resource, const auto& event) { on_event(resource, event, queue); },
             .present =
                 [&queue](const auto& resource, const store::ObjectPtr& object) {
                   if (resource.storage_name == kQuotas) queue.add(object->key);
                 }});
  }

  Status reconcile(const std::string& key, client::WorkQueue& queue) override {
    const store::ObjectPtr object = store_.get(quotas_, key);
    if (!object) return {};
    KNARR_ASSIGN(Document document, json::parse(object->value));
    const Amounts hard = hard_of(document, "spec"),
                  before = admission::amounts_of(json::find(document, {"status", "used"}));
    Amounts used;
    for (const auto& [name, amount] : before)
      if (hard.contains(name)) used.emplace(name, amount);
    const auto [ns, name] = apiserver::split_key(key);
    for (const auto& [counted, amount] : count(document, ns, hard)) used.insert_or_assign(counted, amount);
    queue.add_after(key, kResync);
    const bool known = json::find(document, {"status", "hard"}) && json::find(document, {"status", "used"});
    if (known && hard == hard_of(document, "status") && used == before) return {};
    auto& alloc = document.GetAllocator();
    Value& status = json::ensure_object(document, {"status"}, alloc);
    json::set(status, "hard", admission::to_json(hard, alloc), alloc);
    json::set(status, "used", admission::to_json(used, alloc), alloc);
    const Status updated =
        rest_.update(request_, {schema::find_resource("", "v1", kQuotas), "status", ns, name}, json::dump(document))
            .status();
    return updated.is(reason::kNotFound) ? Status() : updated;
  }

 private:
  void on_event(const schema::Resource& resource, const store::Event& event, client::WorkQueue& queue) {
    const store::Object& object = *event.object;
    if (resource.storage_name == kQuotas && event.type != store::EventType::kDeleted) {
      // The plugin that counts changes only the status, and is right.
      const auto document = json::parse(object.value);
      if (document.ok() && hard_of(*document, "spec") != hard_of(*document, "status")) queue.add(object.key);
    }
    if (!resource.namespaced || store_.count(quotas_) == 0 || !frees(resource, event)) return;
    const auto [ns, name] = apiserver::split_key(object.key);
    const auto listed = store_.list(quotas_, {.prefix = std::string(ns) + "/"});
    if (!listed.ok()) return;
    for (const store::ObjectPtr& found : listed->objects) {
      const auto document = json::parse(found->value);
      if (document.ok() && !quota::matching(resource.storage_name, hard_of(*document, "spec")).empty())
        queue.add(found->key);
    }
  }

  // Something counts for less than before.
  static bool frees(const schema::Resource& resource, const store::Event& event) {
    if (event.type == store::EventType::kDeleted) return true;
    if (event.type != store::EventType::kModified || !event.previous) return false;
    if (resource.storage_name == "pods") return ended(*event.object) && !ended(*event.previous);
    return resource.storage_name == "services" || resource.storage_name == "persistentvolumeclaims";
  }

  Amounts count(const Document& document, std::string_view ns, const Amounts& hard) const {
    Amounts out;
    const WallTime now = clock_.wall();
    const bool scoped = quota::has_scopes(document);
    for (const auto& followed : *publications_.resources()) {
      const std::string_view resource = followed.resource->storage_name;
      if (!followed.resource->namespaced) continue;
      const auto names = quota::matching(resource, hard);
      if (names.empty()) continue;
      for (const std::string& name : names) out.try_emplace(name);
      const auto listed = store_.list(followed.id, {.prefix = std::string(ns) + "/"});
      if (!listed.ok()) continue;
      const bool plain = resource != "pods" && resource != "services" && resource != "persistentvolumeclaims";
      if (plain) {  // only their number counts, and they are in no scope
        for (const std::string& name : names)
          if (!scoped) out[name] += Quantity(static_cast<int64_t>(listed->objects.size()));
        continue;
      }
      for (const store::ObjectPtr& object : listed->objects) {
        const auto counted = json::parse(object->value);
        if (!counted.ok() || !quota::in_scopes(resource, document, *counted)) continue;
        const Amounts usage = quota::usage(resource, *counted, now);
        for (const std::string& name : names)
          if (const auto it = usage.find(name); it != usage.end()) out[name] += it->second;
      }
    }
    return out;
  }

  const Clock& clock_;
  apiserver::Rest& rest_;
  store::Store& store_;
  Publications& publications_;
  const store::ResourceId quotas_;
  apiserver::RequestContext request_;
};

}  // namespace

std::unique_ptr<Controller> make_quota_controller(Context context) {
  return std::make_unique<QuotaController>(context);
}

}  // namespace knarr::controllers
