// The life cycle of namespaces. An active one has its ServiceAccount "default" and its ConfigMap "kube-root-ca.crt";
// one that is being deleted is emptied, resource by resource, and let go when nothing is left in it.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/controller.h"
#include "controllers/publications.h"
#include "knarr/apiserver/document.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"
#include "knarr/schema/type.h"

namespace knarr::controllers {

namespace {

constexpr std::string_view kAccount = "default", kRootCa = "kube-root-ca.crt", kFinalizer = "kubernetes";

constexpr milliseconds kShortestPause{20}, kLongestPause{8'000};

// What was found in a namespace that should be empty.
struct Remaining {
  std::map<std::string, size_t> resources;   // resource.group, as upstream writes it: "pods." -> 2
  std::map<std::string, size_t> finalizers;  // "example.com/wait" -> 1
  std::vector<std::string> failures;         // what went wrong

  bool empty() const { return resources.empty() && failures.empty(); }
};

std::string counted(const std::map<std::string, size_t>& counts, std::string_view what) {
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts)
    parts.push_back(fmt::format("{} {} {} resource instances", name, what, count));
  return fmt::format("{}", fmt::join(parts, ", "));
}

class NamespaceController : public Controller {
 public:
  explicit NamespaceController(Context context)
      : context_(context),
        rest_(*context.options.rest),
        store_(rest_.store()),
        publications_(*context.publications),
        namespaces_(store_.resource("namespaces")),
        accounts_(store_.resource("serviceaccounts")),
        config_maps_(store_.resource("configmaps")) {
    request_.user = auth::internal_user("namespace-controller");
  }

  void watch(client::WorkQueue& queue) override {
    publications_.subscribe("namespaces", {.event =
                                               [&queue](const auto&, const auto& event) {
                                                 if (event.type != store::EventType::kDeleted)
                                                   queue.add(event.object->key);
                                               },
                                           .present = [&queue](const auto&, const auto& ns) { queue.add(ns->key); }});
    publications_.subscribe("configmaps", {.event =
                                               [&queue](const auto&, const auto& event) {
                                                 const auto [ns, name] = apiserver::split_key(event.object->key);
                                                 if (name == kRootCa) queue.add(ns);
                                               },
                                           .present = {}});
    // What goes may be the last that a namespace waited for.
    publications_.subscribe("", {.event =
                                     [this, &queue](const auto& resource, const auto& event) {
                                       if (event.type != store::EventType::kDeleted || !resource.namespaced) return;
                                       const auto [ns, name] = apiserver::split_key(event.object->key);
                                       const bool account =
                                           resource.storage_name == "serviceaccounts" && name == kAccount;
                                       const store::ObjectPtr object = store_.get(namespaces_, ns);
                                       if (object && (account || seems_deleting(*object))) queue.add(ns);
                                     },
                                 .present = {}});
  }

  void authority_changed(client::WorkQueue& queue) override {
    if (const auto all = store_.list(namespaces_, {}); all.ok())
      for (const store::ObjectPtr& object : all->objects) queue.add(object->key);
  }

  Status reconcile(const std::string& key, client::WorkQueue& queue) override {
    const store::ObjectPtr object = store_.get(namespaces_, key);
    if (!object) return {};
    KNARR_ASSIGN(const Namespace ns, api::decode_as<Namespace>(object->value));
    if (ns.metadata.deletionTimestamp) return finish(ns, queue);
    KNARR_RETURN_IF_ERROR(ensure_account(key));
    return ensure_root_ca(key);
  }

 private:
  Status ensure_account(const std::string& ns) {
    if (store_.get(accounts_, apiserver::object_key(ns, kAccount))) return {};
    std::string body = fmt::format(
        R"({{"apiVersion":"v1","kind":"ServiceAccount","metadata":{{"name":"{}","namespace":"{}"}}}})", kAccount, ns);
    return settled(context_.transport.create({"", "v1", "serviceaccounts", ""}, ns, kAccount, body).status());
  }

  Status ensure_root_ca(const std::string& ns) {
    const std::string trusted = context_.options.trusted_ca();
    const store::ObjectPtr have = store_.get(config_maps_, apiserver::object_key(ns, kRootCa));
    if (have) {
      KNARR_ASSIGN(const json::Document map, json::parse(have->value));
      if (json::get_string(map, {"data", "ca.crt"}) == trusted) return {};
    }
    json::Document body(rapidjson::kObjectType);
    auto& alloc = body.GetAllocator();
    json::set(body, "apiVersion", "v1", alloc);
    json::set(body, "kind", "ConfigMap", alloc);
    auto& metadata = json::ensure_object(body, {"metadata"}, alloc);
    json::set(metadata, "name", kRootCa, alloc);
    json::set(metadata, "namespace", ns, alloc);
    json::set(json::ensure_object(metadata, {"annotations"}, alloc), "kubernetes.io/description",
              "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such "
              "as the internal service "
              "IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
              alloc);
    json::set(json::ensure_object(body, {"data"}, alloc), "ca.crt", trusted, alloc);
    const client::ResourceRef maps{"", "v1", "configmaps", ""};
    if (have) return settled(context_.transport.update(maps, ns, kRootCa, json::dump(body)).status());
    return settled(context_.transport.create(maps, ns, kRootCa, json::dump(body)).status());
  }

  // What somebody else did first, or what the namespace's end made pointless, is no error.
  static Status settled(Status status) {
    if (status.is(reason::kAlreadyExists) || status.is(reason::kNotFound) || status.is(reason::kForbidden)) return {};
    return status;
  }

  Status finish(const Namespace& ns, client::WorkQueue& queue) {
    const auto& finalizers = ns.spec.finalizers;
    if (std::find(finalizers.begin(), finalizers.end(), kFinalizer) == finalizers.end()) return {};
    Remaining remaining = empty_out(ns.metadata.name, queue);
    if (queue.shutting_down()) return {};  // the next start goes on
    if (!remaining.empty()) {
      KNARR_RETURN_IF_ERROR(settled(report(ns, remaining)));
      if (!remaining.failures.empty()) return internal_error(remaining.failures[0]);
      // What goes reports its end by itself; in case it does not, the namespace is looked at again with pauses that
      // grow with the time that it has waited already.
      const auto waited = context_.options.clock->wall() - *ns.metadata.deletionTimestamp;
      queue.add_after(ns.metadata.name,
                      std::clamp(std::chrono::duration_cast<milliseconds>(waited / 4), kShortestPause, kLongestPause));
      return {};
    }
    Namespace last = ns;
    std::erase(last.spec.finalizers, kFinalizer);
    return settled(
        context_.transport.update({"", "v1", "namespaces", "finalize"}, "", ns.metadata.name, api::encode(last))
            .status());
  }

  // Pods go first: what they use is there until they have ended.
  Remaining empty_out(const std::string& ns, const client::WorkQueue& queue) {
    Remaining remaining;
    const auto resources = stored_resources(rest_.registry());
    for (const schema::ResourceRef& resource : resources)
      if (resource->storage_name == "pods") empty_resource(*resource, ns, remaining);
    if (!remaining.resources.empty()) return remaining;
    for (const schema::ResourceRef& resource : resources) {
      if (queue.shutting_down()) return remaining;
      if (resource->namespaced && resource->storage_name != "pods") empty_resource(*resource, ns, remaining);
    }
    return remaining;
  }

  void empty_resource(const schema::Resource& resource, const std::string& ns, Remaining& remaining) {
    const store::ResourceId id = store_.resource(resource.storage_name);
    const auto listed = store_.list(id, {.prefix = ns + "/"});
    if (!listed.ok()) {
      remaining.failures.push_back(std::string(listed.status().message()));
      return;
    }
    std::vector<apiserver::Removal> removals;
    for (const store::ObjectPtr& object : listed->objects) {
      if (seems_deleting(*object)) continue;
      const auto [in, name] = apiserver::split_key(object->key);
      removals.push_back({{&resource, "", in, name}, {.propagation_policy = "Background"}});
    }
    for (const auto& removed : rest_.remove_many(request_, removals))
      if (!removed.ok() && !removed.status().is(reason::kNotFound))
        remaining.failures.push_back(std::string(removed.status().message()));
    const auto left = store_.list(id, {.prefix = ns + "/"});
    if (!left.ok() || left->objects.empty()) return;
    remaining.resources[fmt::format("{}.{}", resource.plural, resource.group)] = left->objects.size();
    for (const store::ObjectPtr& object : left->objects) {
      if (!mentions(*object, "\"finalizers\":[")) continue;
      const auto document = json::parse(object->value);
      if (!document.ok()) continue;
      for (const std::string& finalizer : apiserver::finalizers_of(*document)) ++remaining.finalizers[finalizer];
    }
  }

  // The conditions by which a person sees what a namespace still waits for, worded as upstream's.
  Status report(const Namespace& ns, const Remaining& remaining) {
    struct Condition {
      std::string_view type, bad_reason, good_reason, good_message;
      std::string bad_message;
    } conditions[] = {
        {"NamespaceDeletionDiscoveryFailure", "DiscoveryFailed", "ResourcesDiscovered",
         "All resources successfully discovered", ""},
        {"NamespaceDeletionGroupVersionParsingFailure", "GroupVersionParsingFailed", "ParsedGroupVersions",
         "All legacy kube types successfully parsed", ""},
        {"NamespaceDeletionContentFailure", "ContentDeletionFailed", "ContentDeleted",
         "All content successfully deleted, may be waiting on finalization",
         remaining.failures.empty() ? ""
                                    : fmt::format("Failed to delete all resource types, {} remaining: {}",
                                                  remaining.failures.size(), fmt::join(remaining.failures, ", "))},
        {"NamespaceContentRemaining", "SomeResourcesRemain", "ContentRemoved", "All content successfully removed",
         remaining.resources.empty() ? "" : "Some resources are remaining: " + counted(remaining.resources, "has")},
        {"NamespaceFinalizersRemaining", "SomeFinalizersRemain", "ContentHasNoFinalizers",
         "All content-preserving finalizers finished",
         remaining.finalizers.empty()
             ? ""
             : "Some content in the namespace has finalizers remaining: " + counted(remaining.finalizers, "in")},
    };
    Namespace next = ns;
    bool changed = false;
    for (const Condition& want : conditions) {
      bool bad = !want.bad_message.empty();
      api::core::v1::NamespaceCondition condition;
      condition.type = want.type;
      condition.status = bad ? "True" : "False";
      condition.reason = bad ? want.bad_reason : want.good_reason;
      condition.message = bad ? want.bad_message : std::string(want.good_message);
      condition.lastTransitionTime = context_.options.clock->wall();
      auto have = std::find_if(next.status.conditions.begin(), next.status.conditions.end(),
                               [&](const auto& c) { return c.type == want.type; });
      if (have == next.status.conditions.end()) {
        next.status.conditions.push_back(condition);
        changed = true;
      } else if (have->status != condition.status || have->reason != condition.reason ||
                 have->message != condition.message) {
        if (have->status == condition.status) condition.lastTransitionTime = have->lastTransitionTime;
        *have = condition;
        changed = true;
      }
    }
    if (!changed) return {};
    return context_.transport.update({"", "v1", "namespaces", "status"}, "", ns.metadata.name, api::encode(next))
        .status();
  }

  Context context_;
  apiserver::Rest& rest_;
  store::Store& store_;
  apiserver::RequestContext request_;
  Publications& publications_;
  const store::ResourceId namespaces_, accounts_, config_maps_;
};

}  // namespace

std::unique_ptr<Controller> make_namespace_controller(Context context) {
  return std::make_unique<NamespaceController>(context);
}

}  // namespace knarr::controllers
