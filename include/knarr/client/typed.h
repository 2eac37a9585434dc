// The calls of the API with the generated structs.
//
//   client::Typed<Pod> pods(transport);
//   KNARR_ASSIGN(Pod pod, pods.get("default", "web"));
//   pod.status.phase = "Running";
//   KNARR_ASSIGN(pod, pods.update_status(pod));
//
// Cheap to copy; thread-safe. Errors are the API's (see client.h).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "knarr/client/client.h"
#include "knarr/schema/object.h"

namespace knarr::client {

inline constexpr std::string_view kMergePatch = "application/merge-patch+json";
inline constexpr std::string_view kStrategicMergePatch = "application/strategic-merge-patch+json";
inline constexpr std::string_view kJsonPatch = "application/json-patch+json";

template <typename T>
concept Kind = api::Struct<T> && requires(T object) {
  T::kGroup;
  T::kVersion;
  T::kPlural;
  object.metadata.resourceVersion;
};

template <Kind T>
constexpr ResourceRef resource_of(std::string_view subresource = {}) {
  return {T::kGroup, T::kVersion, T::kPlural, subresource};
}

// "namespace/name", or "name" of what has no namespace: the key of caches and queues.
std::string make_key(std::string_view ns, std::string_view name);
std::pair<std::string, std::string> split_key(std::string_view key);  // namespace, name
template <Kind T>
std::string key_of(const T& object) {
  return make_key(object.metadata.namespace_, object.metadata.name);
}

// The elements of a List object's text, as texts, and its resourceVersion; without building documents. BadRequest when
// it is none.
struct ListText {
  std::vector<std::string_view> items;  // point into the list's text
  std::string resource_version;
};
Result<ListText> split_list(std::string_view list);

template <Kind T>
struct ListOf {
  std::vector<T> items;
  std::string resource_version;
};

template <Kind T>
class Typed {
 public:
  explicit Typed(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

  Result<T> get(std::string_view ns, std::string_view name) const {
    return decode(transport_->get(resource_of<T>(), ns, name));
  }

  Result<ListOf<T>> list(const ListOptions& options = {}) const {
    KNARR_ASSIGN(std::string text, transport_->list(resource_of<T>(), options));
    KNARR_ASSIGN(ListText parts, split_list(text));
    ListOf<T> list{{}, std::move(parts.resource_version)};
    list.items.reserve(parts.items.size());
    for (std::string_view item : parts.items) {
      KNARR_ASSIGN(T object, api::decode_as<T>(item));
      list.items.push_back(std::move(object));
    }
    return list;
  }

  Result<T> create(const T& object) const {
    return decode(
        transport_->create(resource_of<T>(), object.metadata.namespace_, object.metadata.name, api::encode(object)));
  }
  Result<T> update(const T& object) const { return put(object, {}); }
  Result<T> update_status(const T& object) const { return put(object, "status"); }

  Result<T> patch(std::string_view ns, std::string_view name, std::string_view content_type, std::string_view body,
                  std::string_view subresource = {}) const {
    return decode(transport_->patch(resource_of<T>(subresource), ns, name, content_type, body));
  }

  Status remove(std::string_view ns, std::string_view name, const DeleteOptions& options = {}) const {
    return transport_->remove(resource_of<T>(), ns, name, options).status();
  }

  const std::shared_ptr<Transport>& transport() const { return transport_; }

 private:
  static Result<T> decode(Result<std::string> text) {
    if (!text.ok()) return std::move(text).status();
    return api::decode_as<T>(*text);
  }
  Result<T> put(const T& object, std::string_view subresource) const {
    return decode(transport_->update(resource_of<T>(subresource), object.metadata.namespace_, object.metadata.name,
                                     api::encode(object)));
  }

  std::shared_ptr<Transport> transport_;
};

}  // namespace knarr::client
