#include "knarr/apiserver/extract.h"

#include <algorithm>
#include <map>
#include <string>

#include "knarr/schema/machinery.h"

namespace knarr::apiserver {

namespace {

const schema::Resource* find_storage(std::string_view storage_name) {
  static const std::map<std::string_view, const schema::Resource*> by_name = [] {
    std::map<std::string_view, const schema::Resource*> map;
    for (const schema::Resource& resource : schema::resources()) {
      if (resource.storage) map.emplace(resource.storage_name, &resource);
    }
    return map;
  }();
  const auto found = by_name.find(storage_name);
  return found == by_name.end() ? nullptr : found->second;
}

void add_service_addresses(const json::Value& service, store::Extract& out) {
  const auto add_port = [&](int64_t port) {
    if (port != 0) out.index.emplace_back(kIndexServiceAddress, std::to_string(port));
  };
  if (const json::Value* addresses = json::find(service, {"spec", "clusterIPs"}); addresses && addresses->IsArray()) {
    for (const auto& address : addresses->GetArray())
      if (address.IsString()) out.index.emplace_back(kIndexServiceAddress, json::view(address));
  }
  if (const json::Value* ports = json::find(service, {"spec", "ports"}); ports && ports->IsArray()) {
    for (const auto& port : ports->GetArray()) add_port(json::get_int(port, "nodePort"));
  }
  if (const json::Value* spec = json::find(service, "spec")) add_port(json::get_int(*spec, "healthCheckNodePort"));
}

}  // namespace

store::Extract extract_of(const schema::Resource* resource, const json::Value& object) {
  store::Extract out;
  if (const json::Value* labels = json::find(object, {"metadata", "labels"}); labels && labels->IsObject()) {
    out.labels.reserve(labels->MemberCount());
    for (const auto& label : labels->GetObject())
      if (label.value.IsString()) out.labels.emplace_back(json::view(label.name), json::view(label.value));
    std::sort(out.labels.begin(), out.labels.end());
  }
  if (const json::Value* owners = json::find(object, {"metadata", "ownerReferences"}); owners && owners->IsArray()) {
    for (const auto& owner : owners->GetArray())
      if (auto uid = json::get_string(owner, "uid"); !uid.empty()) out.index.emplace_back(kIndexOwnerUid, uid);
  }
  if (!resource || resource->custom) return out;  // fields of custom resources are read when they are asked for
  for (std::string_view field : resource->field_selectors) {
    std::string value = schema::field_value(*resource, object, field);
    if (!value.empty()) out.fields.emplace_back(field, std::move(value));
  }
  std::sort(out.fields.begin(), out.fields.end());
  if (resource->storage_name == "services") add_service_addresses(object, out);
  if (resource->storage_name == "pods") {
    if (auto node = json::get_string(object, {"spec", "nodeName"}); !node.empty())
      out.index.emplace_back(kIndexPodNode, node);
  }
  return out;
}

store::Extract extract_object(std::string_view storage_name, std::string_view value) {
  const auto document = json::parse(value);
  if (!document.ok()) return {};
  return extract_of(find_storage(storage_name), *document);
}

}  // namespace knarr::apiserver
