#include "versions.h"

#include <fmt/format.h>

#include <map>

#include "knarr/apiserver/errors.h"
#include "knarr/apiserver/extract.h"
#include "knarr/base/log.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"

namespace knarr::apiserver {

namespace {

using schema::Resource;

// Built-in resources that are served in several versions: the version that is stored, by the name in the store.
const std::map<std::string_view, const Resource*>& converted() {
  static const auto table = [] {
    std::map<std::string_view, std::vector<const Resource*>> versions;
    for (const Resource& r : schema::resources()) versions[r.storage_name].push_back(&r);
    std::map<std::string_view, const Resource*> out;
    for (const auto& [name, list] : versions) {
      for (const Resource* r : list)
        if (list.size() > 1 && r->storage) out[name] = r;
    }
    return out;
  }();
  return table;
}

std::pair<std::string_view, std::string_view> group_version_of(const json::Value& object) {
  const std::string_view text = json::get_string(object, "apiVersion");
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {"", text};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

void set_version(const Resource& resource, json::Value& object, std::string_view version, json::Allocator& alloc) {
  json::set(object, "apiVersion", fmt::format("{}/{}", resource.group, version), alloc);
}

}  // namespace

Presenter::Presenter(const schema::Registry& registry, const Resource& resource)
    : registry_(registry), resource_(resource), converts_(resource.custom || converted().contains(resource.storage_name)) {
  if (converts_) prefix_ = object_prefix(resource);
}

bool Presenter::as_stored(const store::Object& object) const {
  if (!converts_) return true;
  if (object.value.compare(0, prefix_.size(), prefix_) != 0) return false;
  if (!resource_.custom) return true;
  return resource_.storage && object.revision > resource_.custom->since();
}

Status Presenter::bring_here(json::Document& document) const {
  auto& alloc = document.GetAllocator();
  const auto [group, version] = group_version_of(document);
  if (!resource_.custom) {
    const Resource* from = nullptr;
    for (const Resource& r : schema::resources())
      if (r.storage_name == resource_.storage_name && r.group == group && r.version == version) from = &r;
    return from ? schema::convert(*from, resource_, document, alloc) : Status::OK();
  }
  // First by the rules of the version that it was stored in, then by those of the wanted one.
  if (version != resource_.version) {
    const schema::ResourceRef stored = registry_.find(group, version, resource_.plural);
    if (stored && stored->custom) {
      KNARR_RETURN_IF_ERROR(schema::custom::normalize(*stored, document, alloc, nullptr, true));
      schema::apply_defaults(*stored, document, alloc);
    }
    set_version(resource_, document, resource_.version, alloc);
    return schema::custom::normalize(resource_, document, alloc, nullptr, true);
  }
  KNARR_RETURN_IF_ERROR(schema::custom::normalize(resource_, document, alloc, nullptr, true));
  schema::apply_defaults(resource_, document, alloc);
  return Status::OK();
}

Result<json::Document> Presenter::document(const store::Object& object) const {
  KNARR_ASSIGN(json::Document document, json::parse(object.value));
  if (!as_stored(object)) KNARR_RETURN_IF_ERROR(bring_here(document));
  return document;
}

store::ObjectPtr Presenter::operator()(store::ObjectPtr object) const {
  if (!object || as_stored(*object)) return object;
  auto document = this->document(*object);
  if (!document.ok()) {
    log::warn("apiserver", "an object is shown as it is stored, as it cannot be converted",
              {{"resource", resource_.storage_name}, {"key", object->key}, {"error", document.status().message()}});
    return object;
  }
  auto shown = std::make_shared<store::Object>();
  Encoded encoded = encode_object(resource_, *document);
  shown->resource = object->resource;
  shown->key = object->key;
  shown->rev_pos = encoded.rev_pos;
  shown->value = with_revision(encoded, revision_digits(*object));
  shown->revision = object->revision;
  shown->create_revision = object->create_revision;
  shown->extract = object->extract;
  return shown;
}

StoredForm stored_form(const schema::Registry& registry, const Resource& resource, const json::Value& object) {
  StoredForm out;
  const Resource* storage = resource.storage ? &resource : nullptr;
  schema::ResourceRef keep;
  if (!storage && !resource.custom) storage = converted().at(resource.storage_name);
  if (!storage) {
    keep = registry.find(resource.group, resource.custom->storage_version(), resource.plural);
    storage = keep;
  }
  // What was dropped after defaults were set (status) has its defaults when it is read, so they may as well be stored.
  const bool defaults = resource.custom && schema::custom::has_defaults(resource);
  if (storage == &resource && !defaults) {
    out.encoded = encode_object(resource, object);
    out.extract = extract_of(&resource, object);
    return out;
  }
  json::Document stored = json::copy(object);
  auto& alloc = stored.GetAllocator();
  if (storage == &resource) {
    schema::apply_defaults(resource, stored, alloc);
  } else if (!resource.custom) {
    (void)schema::convert(resource, *storage, stored, alloc);  // versions of one resource: cannot fail
  } else {
    set_version(resource, stored, resource.custom->storage_version(), alloc);
    if (storage) {  // else the stored version is not served, and nothing is known of it that would matter
      (void)schema::custom::normalize(*storage, stored, alloc, nullptr, true);
      schema::apply_defaults(*storage, stored, alloc);
    }
  }
  if (storage) {
    out.encoded = encode_object(*storage, stored);
  } else {
    Resource unserved = resource;
    unserved.version = resource.custom->storage_version();
    out.encoded = encode_object(unserved, stored);
  }
  out.extract = extract_of(storage ? storage : &resource, stored);
  return out;
}

std::string list_kind(const Resource& resource) {
  if (resource.custom) return std::string(resource.custom->list_kind());
  return std::string(resource.kind) + "List";
}

}  // namespace knarr::apiserver
