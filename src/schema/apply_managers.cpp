#include "schema/apply_managers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace knarr::schema {

using json::Allocator;
using json::Value;
using Kind = PathElement::Kind;

namespace {

constexpr size_t kMaxUpdaters = 10;
constexpr std::string_view kOldUpdates = "ancient-changes";

// Sets that are asked for again and again are made once, from their paths: {"status"}, {"metadata", "labels"}.
FieldSet set_of(std::initializer_list<std::vector<std::string_view>> paths) {
  FieldSet out;
  for (const auto& names : paths) {
    std::vector<PathElement> path;
    for (const std::string_view name : names) path.push_back(field_element(name));
    out.insert(path);
  }
  return out;
}

// What an endpoint does not take from clients.
const FieldSet& resets(const Resource& resource, std::string_view subresource) {
  static const FieldSet none, status = set_of({{"status"}}), spec = set_of({{"spec"}}),
                              spec_and_metadata = set_of({{"spec"}, {"metadata"}});
  static const std::map<std::pair<std::string_view, std::string_view>, FieldSet> special = {
      {{"pods", "status"}, set_of({{"spec"}, {"metadata", "deletionTimestamp"}, {"metadata", "ownerReferences"}})},
      {{"namespaces", "finalize"}, status},
      {{"deployments.apps", "status"}, set_of({{"spec"}, {"metadata", "labels"}})},
      {{"certificatesigningrequests.certificates.k8s.io", ""}, set_of({{"spec"}, {"status"}})},
      {{"certificatesigningrequests.certificates.k8s.io", "status"}, set_of({{"spec"}, {"status", "conditions"}})},
      {{"certificatesigningrequests.certificates.k8s.io", "approval"}, set_of({{"spec"}, {"status", "certificate"}})},
      {{"customresourcedefinitions.apiextensions.k8s.io", "status"}, spec_and_metadata},
      {{"validatingadmissionpolicies.admissionregistration.k8s.io", "status"}, spec_and_metadata},
      {{"flowschemas.flowcontrol.apiserver.k8s.io", "status"}, spec_and_metadata},
      {{"prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "status"}, spec_and_metadata},
      {{"servicecidrs.networking.k8s.io", "status"}, spec_and_metadata},
      {{"resourceclaims.resource.k8s.io", "status"}, spec_and_metadata},
      {{"volumeattachments.storage.k8s.io", "status"}, spec_and_metadata},
  };
  if (const auto found = special.find({resource.storage_name, subresource}); found != special.end()) return found->second;
  if (subresource == "status") {
    return resource.custom ? spec_and_metadata : spec;
  }
  const bool has_status = std::any_of(resource.subresources.begin(), resource.subresources.end(),
                                      [](const Subresource& s) { return s.name == "status"; });
  return has_status && subresource.empty() ? status : none;
}

int64_t order_of_time(const Manager& a, const Manager& b) { return a.time.compare(b.time); }

}  // namespace

std::string group_version_of(const Resource& resource) {
  return resource.group.empty() ? std::string(resource.version) : fmt::format("{}/{}", resource.group, resource.version);
}

std::string ManagerId::text() const {
  std::string out = "{";
  const auto member = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    if (out.size() > 1) out += ',';
    out.append("\"").append(name).append("\":");
    json::append_quoted(out, value);
  };
  member("manager", manager);
  member("operation", applied ? "Apply" : "Update");
  member("apiVersion", api_version);
  member("subresource", subresource);
  return out += '}';
}

const FieldSet& Manager::set(Allocator& alloc) const {
  if (!set_) {
    const Value* fields = entry_ ? json::find(*entry_, "fieldsV1") : nullptr;
    auto read = fields ? set_from_json(*fields, alloc) : Result<FieldSet>(FieldSet());
    set_ = read.ok() ? std::move(*read) : FieldSet();
  }
  return *set_;
}

bool Manager::owns_nothing() const {
  if (set_) return set_->empty();
  const Value* fields = entry_ ? json::find(*entry_, "fieldsV1") : nullptr;
  return !fields || !fields->IsObject() || fields->ObjectEmpty();
}

Value Manager::to_json(Allocator& alloc) const {
  Value out(rapidjson::kObjectType);
  if (!id.manager.empty()) json::set(out, "manager", id.manager, alloc);
  json::set(out, "operation", id.applied ? "Apply" : "Update", alloc);
  json::set(out, "apiVersion", api_version, alloc);
  if (!time.empty()) json::set(out, "time", time, alloc);
  json::set(out, "fieldsType", "FieldsV1", alloc);
  const Value* fields = changed_ || !entry_ ? nullptr : json::find(*entry_, "fieldsV1");
  json::set(out, "fieldsV1", fields ? json::copy(*fields, alloc) : set_to_json(set(alloc), alloc), alloc);
  if (!id.subresource.empty()) json::set(out, "subresource", id.subresource, alloc);
  return out;
}

Result<Managers> Managers::from_json(const Value* managed_fields, bool check, Allocator& alloc) {
  Managers out;
  if (!managed_fields || !managed_fields->IsArray()) return out;
  out.list.reserve(managed_fields->Size());
  for (rapidjson::SizeType i = 0; i < managed_fields->Size(); ++i) {
    const Value& entry = (*managed_fields)[i];
    const std::string_view operation = json::get_string(entry, "operation"), version = json::get_string(entry, "apiVersion"),
                           fields_type = json::get_string(entry, "fieldsType");
    if (operation != "Apply" && operation != "Update") return bad_request("operation must be `Apply` or `Update`");
    if (version.empty()) return bad_request("apiVersion must not be empty");
    if (fields_type.empty()) return bad_request(fmt::format("missing fieldsType in managed fields entry {}", i));
    if (fields_type != "FieldsV1")
      return bad_request(fmt::format("invalid fieldsType \"{}\" in managed fields entry {}", fields_type, i));
    const Value* fields = json::find(entry, "fieldsV1");
    if (check && fields && !fields->IsNull()) KNARR_RETURN_IF_ERROR(set_from_json(*fields, alloc).status());
    const bool applied = operation == "Apply";
    const ManagerId id{json::get_string(entry, "manager"), applied, applied ? std::string_view() : version,
                       json::get_string(entry, "subresource")};
    out.erase(id);  // the last of the same counts
    out.list.emplace_back(id, version, json::get_string(entry, "time"), entry);
  }
  return out;
}

Value Managers::to_json(Allocator& alloc) {
  if (list.empty()) return {};
  std::sort(list.begin(), list.end(), [](const Manager& a, const Manager& b) {
    if (a.id.applied != b.id.applied) return a.id.applied;
    if (const auto order = order_of_time(a, b); order != 0) return order < 0;
    return std::tie(a.id.manager, a.api_version, a.id.subresource) < std::tie(b.id.manager, b.api_version, b.id.subresource);
  });
  Value out(rapidjson::kArrayType);
  out.Reserve(static_cast<rapidjson::SizeType>(list.size()), alloc);
  for (const Manager& manager : list) out.PushBack(manager.to_json(alloc), alloc);
  return out;
}

Manager* Managers::find(const ManagerId& id) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const Manager& m) { return m.id == id; });
  return found == list.end() ? nullptr : &*found;
}

void Managers::erase(const ManagerId& id) {
  std::erase_if(list, [&](const Manager& m) { return m.id == id; });
}

void Managers::drop_unknown_versions(const Resource& resource) {
  const std::string own = group_version_of(resource);
  std::erase_if(list, [&](const Manager& m) {
    if (m.api_version == own) return false;
    const size_t slash = m.api_version.find('/');
    const std::string_view group = slash == std::string_view::npos ? "" : m.api_version.substr(0, slash);
    const std::string_view version = slash == std::string_view::npos ? m.api_version : m.api_version.substr(slash + 1);
    return group != resource.group || (!resource.custom && !find_kind(group, version, resource.kind));
  });
}

void Managers::cap(Allocator& alloc) {
  std::vector<Manager*> updaters;
  for (Manager& manager : list)
    if (!manager.id.applied) updaters.push_back(&manager);
  if (updaters.size() <= kMaxUpdaters) return;
  std::sort(updaters.begin(), updaters.end(), [](const Manager* a, const Manager* b) {
    const auto order = order_of_time(*a, *b);
    return order != 0 ? order < 0 : a->id.text() < b->id.text();
  });
  size_t left = updaters.size();
  std::map<std::string_view, Manager*> buckets;  // by version: the first is only remembered, the second opens the bucket
  std::vector<ManagerId> gone;
  for (Manager* manager : updaters) {
    if (left <= kMaxUpdaters) break;
    Manager*& bucket = buckets[manager->api_version];
    if (!bucket) {
      bucket = manager;
      continue;
    }
    const ManagerId id{kOldUpdates, false, manager->api_version, ""};
    Manager merged(id, manager->api_version, unite(manager->set(alloc), bucket->set(alloc)));
    merged.time = manager->time;  // the more recent one
    gone.push_back(manager->id);
    *bucket = std::move(merged);
    --left;
  }
  for (const ManagerId& id : gone) erase(id);
}

FieldSet without_reset_fields(const Resource& resource, std::string_view subresource, const FieldSet& set) {
  if (set.empty()) return set;
  return subtract_recursively(set, resets(resource, subresource));
}

FieldSet without_system_fields(const FieldSet& set) {
  static const FieldSet system = set_of({{"apiVersion"},
                                         {"kind"},
                                         {"metadata"},
                                         {"metadata", "name"},
                                         {"metadata", "namespace"},
                                         {"metadata", "creationTimestamp"},
                                         {"metadata", "selfLink"},
                                         {"metadata", "uid"},
                                         {"metadata", "clusterName"},
                                         {"metadata", "generation"},
                                         {"metadata", "managedFields"},
                                         {"metadata", "resourceVersion"}});
  return subtract(set, system);
}

}  // namespace knarr::schema
