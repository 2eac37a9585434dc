#include <condition_variable>

#include "admission/plugins.h"
#include "knarr/base/sync.h"
#include "knarr/codec/names.h"

namespace knarr::admission {

namespace {

constexpr std::string_view kMountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::string_view kVolumePrefix = "kube-api-access-";
constexpr int kTokenSeconds = 3607;  // not a round number, so that the API knows a token that was asked for by this
constexpr int kDefaultMode = 0644;
constexpr seconds kPatience{1};  // for the account of a namespace that was made just now

template <typename Visit>
void each(const Value& object, std::string_view list, Visit&& visit) {
  const Value* items = json::find(object, list);
  if (!items || !items->IsArray()) return;
  for (const Value& item : items->GetArray()) visit(item);
}

bool names_one(const Value& account, std::string_view list, std::string_view name) {
  bool found = false;
  each(account, list, [&](const Value& ref) { found |= json::get_string(ref, "name") == name; });
  return found;
}

// The files by which a program in a pod reaches the API: token, authority, namespace.
Value token_volume(const std::string& name, json::Allocator& alloc) {
  const auto text = fmt::format(
      R"({{"name":"{}","projected":{{"sources":[{{"serviceAccountToken":{{"expirationSeconds":{},"path":"token"}}}},)"
      R"({{"configMap":{{"name":"kube-root-ca.crt","items":[{{"key":"ca.crt","path":"ca.crt"}}]}}}},)"
      R"({{"downwardAPI":{{"items":[{{"path":"namespace","fieldRef":{{"apiVersion":"v1","fieldPath":"metadata.namespace"}}}}]}}}}],)"
      R"("defaultMode":{}}}}})",
      name, kTokenSeconds, kDefaultMode);
  const auto document = json::parse(text);
  return document.ok() ? json::copy(*document, alloc) : Value();
}

void mount_token(Document& pod) {
  auto& alloc = pod.GetAllocator();
  Value& spec = json::ensure_object(pod, {"spec"}, alloc);
  std::string volume;
  each(spec, "volumes", [&](const Value& known) {
    if (volume.empty() && json::get_string(known, "name").starts_with(kVolumePrefix))
      volume = json::get_string(known, "name");
  });
  const bool there = !volume.empty();
  if (!there) volume = names::generate_name(kVolumePrefix, apiserver::random_number());
  bool needed = false;
  for (const std::string_view list : {"initContainers", "containers"}) {
    Value* containers = json::find(spec, list);
    if (!containers || !containers->IsArray()) continue;
    for (Value& container : containers->GetArray()) {
      bool mounted = false;
      each(container, "volumeMounts",
           [&](const Value& mount) { mounted |= json::get_string(mount, "mountPath") == kMountPath; });
      if (mounted) continue;
      needed = true;
      Value mount(rapidjson::kObjectType);
      json::set(mount, "name", volume, alloc);
      json::set(mount, "readOnly", Value(true), alloc);
      json::set(mount, "mountPath", kMountPath, alloc);
      Value* mounts = json::find(container, "volumeMounts");
      if (!mounts || !mounts->IsArray())
        mounts = &json::set(container, "volumeMounts", Value(rapidjson::kArrayType), alloc);
      mounts->PushBack(mount, alloc);
    }
  }
  if (there || !needed) return;
  Value* volumes = json::find(spec, "volumes");
  if (!volumes || !volumes->IsArray()) volumes = &json::set(spec, "volumes", Value(rapidjson::kArrayType), alloc);
  volumes->PushBack(token_volume(volume, alloc), alloc);
}

// Why the account may not let the pod use a secret; "" when it may. Only for accounts that list their secrets and say
// so by an annotation.
std::string limit_secrets(const Value& account, const Value& spec) {
  const std::string_view name = meta_string(account, "name");
  std::string why;
  const auto refuse = [&](std::string text) {
    if (why.empty()) why = std::move(text);
  };
  each(spec, "volumes", [&](const Value& volume) {
    const std::string_view secret = json::get_string(volume, {"secret", "secretName"});
    if (!secret.empty() && !names_one(account, "secrets", secret))
      refuse(
          fmt::format("volume with secret.secretName=\"{}\" is not allowed because service account {} does not "
                      "reference that secret",
                      secret, name));
  });
  for (const auto& [list, word] : {std::pair("initContainers", "init container"), std::pair("containers", "container")})
    each(spec, list, [&, word = word](const Value& container) {
      const std::string_view own = json::get_string(container, "name");
      each(container, "env", [&](const Value& env) {
        const std::string_view secret = json::get_string(env, {"valueFrom", "secretKeyRef", "name"});
        if (!secret.empty() && !names_one(account, "secrets", secret))
          refuse(
              fmt::format("{} {} with envVar {} referencing secret.secretName=\"{}\" is not allowed because service "
                          "account {} does not reference that secret",
                          word, own, json::get_string(env, "name"), secret, name));
      });
      each(container, "envFrom", [&](const Value& from) {
        const std::string_view secret = json::get_string(from, {"secretRef", "name"});
        if (!secret.empty() && !names_one(account, "secrets", secret))
          refuse(
              fmt::format("{} {} with envFrom referencing secret.secretName=\"{}\" is not allowed because service "
                          "account {} does not reference that secret",
                          word, own, secret, name));
      });
    });
  size_t i = 0;
  each(spec, "imagePullSecrets", [&](const Value& ref) {
    const std::string_view secret = json::get_string(ref, "name");
    if (!names_one(account, "imagePullSecrets", secret))
      refuse(
          fmt::format("imagePullSecrets[{}].name=\"{}\" is not allowed because service account {} does not "
                      "reference that imagePullSecret",
                      i, secret, name));
    ++i;
  });
  return why;
}

bool limits_secrets(const Value& account) {
  const std::string_view text =
      json::get_string(account, {"metadata", "annotations", "kubernetes.io/enforce-mountable-secrets"});
  return text == "true" || text == "1" || text == "t" || text == "T" || text == "TRUE" || text == "True";
}

// A pod runs as a service account, its namespace's "default" when it names none, whose token it finds as a file.
class ServiceAccount : public AdmissionPlugin {
 public:
  explicit ServiceAccount(store::Store& store) : store_(store), accounts_(store.resource("serviceaccounts")) {}
  std::string_view name() const override { return "ServiceAccount"; }

  Status admit(AdmissionRequest& request) override {
    if (!creates(request, "pods")) return Status::OK();
    Document& pod = *request.object;
    const std::string_view pod_name = meta_string(pod, "name");
    auto& alloc = pod.GetAllocator();
    Value& spec = json::ensure_object(pod, {"spec"}, alloc);
    if (const Value* annotations = json::find(pod, {"metadata", "annotations"});
        annotations && json::find(*annotations, "kubernetes.io/config.mirror")) {
      if (json::get_string(spec, "serviceAccountName").empty()) return Status::OK();
      return forbidden_error(*request.resource, pod_name, "a mirror pod may not reference service accounts");
    }
    std::string name(json::get_string(spec, "serviceAccountName"));
    if (name.empty()) name = "default";
    const store::ObjectPtr found = find(object_key(request.ns, name), name == "default");
    if (!found)
      return forbidden_error(*request.resource, pod_name,
                             fmt::format("error looking up service account {}/{}: serviceaccount \"{}\" not found",
                                         request.ns, name, name));
    json::set(spec, "serviceAccountName", name, alloc);
    json::set(spec, "serviceAccount", name, alloc);
    KNARR_ASSIGN(const Document account, json::parse(found->value));
    const Value* own = json::find(spec, "automountServiceAccountToken");
    if (own && own->IsBool() ? own->GetBool() : json::get_bool(account, "automountServiceAccountToken", true))
      mount_token(pod);
    const Value* secrets = json::find(spec, "imagePullSecrets");
    const Value* given = json::find(account, "imagePullSecrets");
    if ((!secrets || !secrets->IsArray() || secrets->Empty()) && given && given->IsArray() && !given->Empty())
      json::set(spec, "imagePullSecrets", json::copy(*given, alloc), alloc);
    if (!limits_secrets(account)) return Status::OK();
    const std::string why = limit_secrets(account, spec);
    return why.empty() ? Status::OK() : forbidden_error(*request.resource, pod_name, why);
  }

 private:
  // A namespace's own account comes a moment after the namespace: who is that quick is kept waiting, not refused.
  store::ObjectPtr find(const std::string& key, bool wait) const {
    if (auto found = store_.get(accounts_, key); found || !wait) return found;
    Mutex mutex;
    std::condition_variable_any published;
    bool changed = false;
    const uint64_t listener = store_.add_listener([&](std::span<const store::ResourceId> resources, store::Revision) {
      for (const store::ResourceId id : resources) {
        if (id != accounts_) continue;
        Lock lock(mutex);
        changed = true;
        published.notify_all();
      }
    });
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    store::ObjectPtr found;
    while (!(found = store_.get(accounts_, key))) {
      Lock lock(mutex);
      if (!published.wait_until(lock, deadline, [&] { return changed; })) break;
      changed = false;
    }
    store_.remove_listener(listener);
    return found;
  }

  store::Store& store_;
  const store::ResourceId accounts_;
};

}  // namespace

PluginPtr make_service_account(store::Store& store) { return std::make_unique<ServiceAccount>(store); }

}  // namespace knarr::admission
