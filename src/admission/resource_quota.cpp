// ResourceQuota: a write that would use more than its namespace's quotas allow is refused; one that is let through is
// counted at once, in the quotas' status, before the object is there. The controller corrects the count afterwards.
#include <array>

#include "admission/plugins.h"
#include "knarr/admission/quota.h"
#include "knarr/apiserver/extract.h"
#include "knarr/base/sync.h"

namespace knarr::admission {

namespace {

constexpr int kAttempts = 16;  // when the controller changes a quota meanwhile

struct Quota {
  store::ObjectPtr object;
  Document document;
  bool changed = false;
};

std::string joined(const Amounts& amounts) {
  std::string out;
  for (const auto& [name, amount] : amounts)
    out += fmt::format("{}{}={}", out.empty() ? "" : ",", name, amount.to_string());
  return out;
}

Amounts masked(const Amounts& amounts, const std::vector<std::string>& names) {
  Amounts out;
  for (const std::string& name : names)
    if (const auto it = amounts.find(name); it != amounts.end()) out.emplace(*it);
  return out;
}

bool ends_by_itself(const Value& pod) {
  const Value* deadline = json::find(pod, {"spec", "activeDeadlineSeconds"});
  return deadline && deadline->IsInt64() && deadline->GetInt64() >= 0;
}

class ResourceQuota : public AdmissionPlugin {
 public:
  explicit ResourceQuota(store::Store& store)
      : store_(store),
        quotas_(store.resource("resourcequotas")),
        resource_(schema::find_resource("", "v1", "resourcequotas")) {}
  std::string_view name() const override { return "ResourceQuota"; }

  Status validate(const AdmissionRequest& request) override {
    if (!resource_ || store_.count(quotas_) == 0 || !counts(request)) return Status::OK();
    // One at a time in a namespace: else most would only find out that another one was faster.
    Lock lock(mutexes_[std::hash<std::string_view>()(request.ns) % mutexes_.size()]);
    for (int attempt = 1;; ++attempt) {
      std::vector<Quota> quotas = load_quotas(request.ns);
      if (quotas.empty()) return Status::OK();
      KNARR_RETURN_IF_ERROR(charge(request, quotas));
      if (request.dry_run) return Status::OK();
      std::vector<store::Write> writes;
      for (const Quota& quota : quotas)
        if (quota.changed) writes.push_back(write_of(quota));
      if (writes.empty()) return Status::OK();
      const Status committed = store_.commit(writes).status();
      if (committed.ok()) return Status::OK();
      const bool raced = committed.is(reason::kConflict) || committed.is(reason::kNotFound);
      if (!raced || attempt == kAttempts) return committed;
    }
  }

 private:
  static bool counts(const AdmissionRequest& request) {
    if (!request.object || request.ns.empty()) return false;
    const std::string_view resource = request.resource->storage_name;
    if (resource == "namespaces" || !quota::is_counted(resource)) return false;
    const bool creates = request.operation == Operation::kCreate, updates = request.operation == Operation::kUpdate;
    if (resource == "pods") {
      if (request.subresource == "resize") return updates && request.old;
      if (!request.subresource.empty()) return false;
      return creates || (updates && request.old && ends_by_itself(*request.old) != ends_by_itself(*request.object));
    }
    if (resource == "persistentvolumeclaims") {
      if (request.subresource == "status") return updates && request.old;
      return request.subresource.empty() && (creates || (updates && request.old));
    }
    if (!request.subresource.empty()) return false;
    return creates || (updates && request.old && resource == "services");
  }

  std::vector<Quota> load_quotas(std::string_view ns) const {
    std::vector<Quota> out;
    auto listed = store_.list(quotas_, {.prefix = std::string(ns) + "/"});
    if (!listed.ok()) return out;
    for (store::ObjectPtr& object : listed->objects)
      if (auto document = json::parse(object->value); document.ok())
        out.push_back({std::move(object), std::move(*document)});
    return out;
  }

  store::Write write_of(const Quota& quota) const {
    apiserver::Encoded encoded = apiserver::encode_object(*resource_, quota.document);
    store::Write write;
    write.resource = quotas_;
    write.key = quota.object->key;
    write.expect = store::Write::Expect::kRevision;
    write.expected = quota.object->revision;
    write.extract = apiserver::extract_of(resource_, quota.document);
    write.value = std::move(encoded.text);
    write.rev_pos = encoded.rev_pos;
    return write;
  }

  // Adds the request's usage to the quotas that it counts against, or refuses it.
  static Status charge(const AdmissionRequest& request, std::vector<Quota>& quotas) {
    const std::string_view resource = request.resource->storage_name;
    std::vector<std::pair<Quota*, Amounts>> concerned;  // with status.hard
    for (Quota& quota : quotas) {
      Amounts hard = amounts_of(json::find(quota.document, {"status", "hard"}));
      const auto names = quota::matching(resource, hard);
      if (names.empty() || !quota::in_scopes(resource, quota.document, *request.object)) continue;
      const std::string_view name = meta_string(quota.document, "name");
      if (resource == "pods") {
        if (const std::string missing = quota::missing_amounts(names, *request.object); !missing.empty())
          return refuse(request, fmt::format("failed quota: {}: {}", name, missing));
      }
      const Amounts used = amounts_of(json::find(quota.document, {"status", "used"}));
      if (std::any_of(names.begin(), names.end(), [&](const std::string& n) { return !used.contains(n); }))
        return refuse(request, fmt::format("status unknown for quota: {}, resources: {}", name, fmt::join(names, ",")));
      concerned.emplace_back(&quota, std::move(hard));
    }
    if (concerned.empty()) return Status::OK();
    const WallTime now = Clock::system().wall();
    const Amounts usage = quota::usage(resource, *request.object, now);
    std::vector<std::string> negative;
    for (const auto& [name, amount] : usage)
      if (amount.sign() < 0) negative.push_back(name);
    if (!negative.empty())
      return refuse(request, fmt::format("quota usage is negative for resource(s): {}", fmt::join(negative, ",")));
    for (auto& [quota, hard] : concerned) {
      Amounts wanted = usage;
      const bool counted_already = request.operation == Operation::kUpdate && request.old &&
                                   quota::in_scopes(resource, quota->document, *request.old);
      if (counted_already) {
        for (const auto& [name, before] : quota::usage(resource, *request.old, now)) {
          const auto it = wanted.find(name);
          if (it != wanted.end()) it->second = it->second > before ? it->second - before : Quantity();
        }
      }
      const Amounts& allowed = hard;
      std::erase_if(wanted,
                    [&](const auto& entry) { return entry.second.is_zero() || !allowed.contains(entry.first); });
      KNARR_RETURN_IF_ERROR(charge_one(request, *quota, hard, wanted));
    }
    return Status::OK();
  }

  static Status charge_one(const AdmissionRequest& request, Quota& quota, const Amounts& hard, const Amounts& wanted) {
    if (wanted.empty()) return Status::OK();
    Amounts used = amounts_of(json::find(quota.document, {"status", "used"}));
    const Amounts before = used;
    add(used, wanted);
    std::vector<std::string> exceeded;
    for (const auto& [name, amount] : wanted)
      if (used[name] > hard.at(name)) exceeded.push_back(name);
    if (!exceeded.empty() && request.subresource != "status")
      return refuse(request, fmt::format("exceeded quota: {}, requested: {}, used: {}, limited: {}",
                                         meta_string(quota.document, "name"), joined(masked(wanted, exceeded)),
                                         joined(masked(before, exceeded)), joined(masked(hard, exceeded))));
    auto& alloc = quota.document.GetAllocator();
    json::set(json::ensure_object(quota.document, {"status"}, alloc), "used", to_json(used, alloc), alloc);
    quota.changed = true;
    return Status::OK();
  }

  store::Store& store_;
  const store::ResourceId quotas_;
  const schema::Resource* const resource_;
  std::array<Mutex, 16> mutexes_;
};

}  // namespace

PluginPtr make_resource_quota(store::Store& store) { return std::make_unique<ResourceQuota>(store); }

}  // namespace knarr::admission
