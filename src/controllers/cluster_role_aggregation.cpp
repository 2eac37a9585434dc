// Keeps the rules of cluster roles with an aggregationRule what the roles that it selects grant together.
#include <algorithm>

#include "controllers/controller.h"
#include "knarr/client/reflector.h"
#include "knarr/codec/json.h"
#include "knarr/codec/selector.h"

namespace knarr::controllers {

namespace {

using json::Value;

constexpr client::ResourceRef kClusterRoles{"rbac.authorization.k8s.io", "v1", "clusterroles", ""};

bool selects(const Value& role, const Value& candidate) {
  const Value* selectors = json::find(role, {"aggregationRule", "clusterRoleSelectors"});
  if (!selectors || !selectors->IsArray()) return false;
  const Value* labels = json::find(candidate, {"metadata", "labels"});
  return std::any_of(selectors->Begin(), selectors->End(), [&](const Value& item) {
    const auto selector = selector::Labels::from_label_selector(&item);
    return selector.ok() && selector->matches(labels);
  });
}

// There are few cluster roles and they seldom change: each change looks at all of them, and none is kept in between.
class ClusterRoleAggregation : public Controller {
 public:
  explicit ClusterRoleAggregation(Context context) : context_(context) {}

  void watch(client::WorkQueue& queue) override {
    const auto look = [&queue] { queue.add("all"); };
    roles_ = std::make_unique<client::Reflector>(
        context_.options.transport, kClusterRoles, client::Reflector::Options{},
        client::Reflector::Sink{.replace = [look](const auto&) { look(); },
                                .change = [look](client::WatchEvent::Type, std::string_view) { look(); }});
    roles_->start();
  }

  Status reconcile(const std::string&, client::WorkQueue&) override {
    KNARR_ASSIGN(const std::string text, context_.transport.list(kClusterRoles, {}));
    KNARR_ASSIGN(const json::Document list, json::parse(text));
    const Value* items = json::find(list, "items");
    if (!items || !items->IsArray()) return {};
    std::vector<const Value*> roles;
    for (const Value& item : items->GetArray()) roles.push_back(&item);
    std::sort(roles.begin(), roles.end(), [](const Value* a, const Value* b) { return name_of(*a) < name_of(*b); });
    Status result;
    for (const Value* role : roles) {
      if (!json::find(*role, "aggregationRule")) continue;
      if (Status status = aggregate(*role, roles); !status.ok() && result.ok()) result = std::move(status);
    }
    return result;
  }

 private:
  static std::string_view name_of(const Value& role) { return json::get_string(role, {"metadata", "name"}); }

  Status aggregate(const Value& role, const std::vector<const Value*>& candidates) {
    json::Document patch(rapidjson::kObjectType);
    auto& alloc = patch.GetAllocator();
    Value& rules = json::set(patch, "rules", Value(rapidjson::kArrayType), alloc);
    for (const Value* candidate : candidates) {
      if (name_of(*candidate) == name_of(role) || !selects(role, *candidate)) continue;
      const Value* own = json::find(*candidate, "rules");
      if (!own || !own->IsArray()) continue;
      for (const Value& rule : own->GetArray()) {
        const bool there =
            std::any_of(rules.Begin(), rules.End(), [&](const Value& known) { return json::equal(known, rule); });
        if (!there) rules.PushBack(json::copy(rule, alloc), alloc);
      }
    }
    const Value* now = json::find(role, "rules");
    const bool none = !now || !now->IsArray();
    if (none ? rules.Empty() : json::equal(*now, rules)) return {};
    const std::string body = json::dump(patch);
    Status status = context_.transport.patch(kClusterRoles, "", name_of(role), client::kMergePatch, body).status();
    return status.is(reason::kNotFound) ? Status() : status;
  }

  Context context_;
  std::unique_ptr<client::Reflector> roles_;
};

}  // namespace

std::unique_ptr<Controller> make_cluster_role_aggregation_controller(Context context) {
  return std::make_unique<ClusterRoleAggregation>(context);
}

}  // namespace knarr::controllers
