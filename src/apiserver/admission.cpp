#include "knarr/apiserver/admission.h"

#include <fmt/format.h>

#include <array>

#include "document.h"
#include "errors.h"

namespace knarr::apiserver {

namespace {

using json::Document;
using json::Value;

bool creates_pod(const AdmissionRequest& request) {
  return request.operation == Operation::kCreate && request.subresource.empty() && request.object &&
         request.resource->storage_name == "pods";
}

// Objects live in namespaces that exist and are not going away; the first three namespaces never go.
class NamespaceLifecycle : public AdmissionPlugin {
 public:
  explicit NamespaceLifecycle(store::Store& store) : store_(store), namespaces_(store.resource("namespaces")) {}
  std::string_view name() const override { return "NamespaceLifecycle"; }

  Status admit(AdmissionRequest& request) override {
    const bool is_namespace = request.resource->storage_name == "namespaces";
    if (request.operation == Operation::kDelete && is_namespace) {
      for (std::string_view immortal : {"default", "kube-system", "kube-public"})
        if (request.name == immortal)
          return forbidden_error(*request.resource, request.name, "this namespace may not be deleted");
    }
    if (is_namespace || request.ns.empty() || request.operation == Operation::kDelete) return Status::OK();
    if (request.resource->plural == "localsubjectaccessreviews") return Status::OK();
    const store::ObjectPtr found = store_.get(namespaces_, request.ns);
    if (!found) {
      Status status(404, reason::kNotFound, fmt::format("namespaces \"{}\" not found", request.ns));
      Status::Details details;
      details.kind = "namespaces";
      details.name = request.ns;
      return status.with_details(std::move(details));
    }
    if (request.operation != Operation::kCreate || !terminating(*found)) return Status::OK();
    Status status = forbidden_error(
        *request.resource, request.name,
        fmt::format("unable to create new content in namespace {} because it is being terminated", request.ns));
    return status.with_cause(
        {"NamespaceTerminating", fmt::format("namespace {} is being terminated", request.ns), "metadata.namespace"});
  }

 private:
  static bool terminating(const store::Object& ns) {
    for (const auto& [field, value] : ns.extract.fields)
      if (field == "status.phase") return value == "Terminating";
    return false;
  }

  store::Store& store_;
  const store::ResourceId namespaces_;
};

// A pod that names no service account runs as its namespace's "default".
class ServiceAccount : public AdmissionPlugin {
 public:
  explicit ServiceAccount(store::Store& store) : store_(store), accounts_(store.resource("serviceaccounts")) {}
  std::string_view name() const override { return "ServiceAccount"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates_pod(request)) return Status::OK();
    Document& pod = *request.object;
    if (const Value* annotations = json::find(pod, {"metadata", "annotations"});
        annotations && json::find(*annotations, "kubernetes.io/config.mirror"))
      return Status::OK();  // a node's static pod
    std::string_view account = json::get_string(pod, {"spec", "serviceAccountName"});
    const bool named = !account.empty();
    if (!named) account = "default";
    const std::string text(account);
    if (!store_.get(accounts_, object_key(request.ns, text))) {
      // Where nobody makes default accounts, pods still run: without an account.
      if (!named) return Status::OK();
      return forbidden_error(*request.resource, meta_string(pod, "name"),
                             fmt::format("error looking up service account {}/{}: serviceaccount \"{}\" not found",
                                         request.ns, text, text));
    }
    auto& alloc = pod.GetAllocator();
    Value& spec = json::ensure_object(pod, {"spec"}, alloc);
    json::set(spec, "serviceAccountName", text, alloc);
    json::set(spec, "serviceAccount", text, alloc);
    return Status::OK();
  }

 private:
  store::Store& store_;
  const store::ResourceId accounts_;
};

// Pods stay five minutes on a node that is not ready or cannot be reached, unless they say otherwise.
class DefaultTolerationSeconds : public AdmissionPlugin {
 public:
  std::string_view name() const override { return "DefaultTolerationSeconds"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates_pod(request)) return Status::OK();
    Document& pod = *request.object;
    auto& alloc = pod.GetAllocator();
    constexpr std::array<std::string_view, 2> kTaints = {"node.kubernetes.io/not-ready",
                                                         "node.kubernetes.io/unreachable"};
    std::array<bool, kTaints.size()> tolerated{};
    Value& spec = json::ensure_object(pod, {"spec"}, alloc);
    Value* list = json::find(spec, "tolerations");
    if (list && list->IsArray()) {
      for (const Value& toleration : list->GetArray()) {
        const std::string_view key = json::get_string(toleration, "key"),
                               effect = json::get_string(toleration, "effect");
        for (size_t i = 0; i < kTaints.size(); ++i)
          if ((key.empty() || key == kTaints[i]) && (effect.empty() || effect == "NoExecute")) tolerated[i] = true;
      }
    } else if (tolerated != std::array<bool, 2>{true, true}) {
      list = &json::set(spec, "tolerations", Value(rapidjson::kArrayType), alloc);
    }
    for (size_t i = 0; i < kTaints.size(); ++i) {
      if (tolerated[i]) continue;
      Value toleration(rapidjson::kObjectType);
      json::set(toleration, "key", kTaints[i], alloc);
      json::set(toleration, "operator", "Exists", alloc);
      json::set(toleration, "effect", "NoExecute", alloc);
      json::set(toleration, "tolerationSeconds", Value(300), alloc);
      list->PushBack(toleration, alloc);
    }
    return Status::OK();
  }
};

// The number behind a pod's priority class: the named one's, the global default's, or 0.
class Priority : public AdmissionPlugin {
 public:
  explicit Priority(store::Store& store)
      : store_(store), classes_(store.resource("priorityclasses.scheduling.k8s.io")) {}
  std::string_view name() const override { return "Priority"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates_pod(request)) return Status::OK();
    Document& pod = *request.object;
    auto& alloc = pod.GetAllocator();
    Value& spec = json::ensure_object(pod, {"spec"}, alloc);
    const std::string wanted(json::get_string(spec, "priorityClassName"));
    int64_t priority = 0;
    std::string policy = "PreemptLowerPriority", class_name = wanted;
    if (wanted == "system-node-critical") {
      priority = 2000001000;
    } else if (wanted == "system-cluster-critical") {
      priority = 2000000000;
    } else if (const store::ObjectPtr found = wanted.empty() ? global_default() : store_.get(classes_, wanted)) {
      const auto document = json::parse(found->value);
      if (document.ok()) {
        priority = json::get_int(*document, "value");
        if (auto text = json::get_string(*document, "preemptionPolicy"); !text.empty()) policy = text;
        class_name = found->key;
      }
    } else if (!wanted.empty()) {
      return forbidden_error(*request.resource, meta_string(pod, "name"),
                             fmt::format("no PriorityClass with name {} was found", wanted));
    }
    if (const Value* set = json::find(spec, "priority"); set && set->IsInt64() && set->GetInt64() != priority)
      return forbidden_error(
          *request.resource, meta_string(pod, "name"),
          fmt::format("the integer value of priority ({}) must not be provided in pod spec; priority "
                      "admission controller computed {} from the given PriorityClass name",
                      set->GetInt64(), priority));
    if (!class_name.empty()) json::set(spec, "priorityClassName", class_name, alloc);
    json::set(spec, "priority", Value(priority), alloc);
    if (json::get_string(spec, "preemptionPolicy").empty()) json::set(spec, "preemptionPolicy", policy, alloc);
    return Status::OK();
  }

 private:
  // Usually there is no class at all, so nothing is parsed.
  store::ObjectPtr global_default() const {
    if (store_.count(classes_) == 0) return nullptr;
    const auto listed = store_.list(classes_, {});
    if (!listed.ok()) return nullptr;
    for (const store::ObjectPtr& object : listed->objects) {
      const auto document = json::parse(object->value);
      if (document.ok() && json::get_bool(*document, "globalDefault")) return object;
    }
    return nullptr;
  }

  store::Store& store_;
  const store::ResourceId classes_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> make_namespace_lifecycle(store::Store& store) {
  return std::make_unique<NamespaceLifecycle>(store);
}
std::unique_ptr<AdmissionPlugin> make_service_account_admission(store::Store& store) {
  return std::make_unique<ServiceAccount>(store);
}
std::unique_ptr<AdmissionPlugin> make_default_toleration_seconds() {
  return std::make_unique<DefaultTolerationSeconds>();
}
std::unique_ptr<AdmissionPlugin> make_priority_admission(store::Store& store) {
  return std::make_unique<Priority>(store);
}

AdmissionChain default_admission(store::Store& store) {
  AdmissionChain chain;
  chain.push_back(make_namespace_lifecycle(store));
  chain.push_back(make_service_account_admission(store));
  chain.push_back(make_default_toleration_seconds());
  chain.push_back(make_priority_admission(store));
  return chain;
}

}  // namespace knarr::apiserver
