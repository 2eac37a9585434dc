// How everything inside knarr speaks to the API: the same calls whether the server is in this process or behind HTTPS.
//
// Typed calls take the structs that the schema generates (knarr/schema/api.h); each kind's struct has kGroup, kVersion,
// kPlural, kNamespaced. Errors are the API's own Status (NotFound, AlreadyExists, Conflict, Invalid, ...), or
// ServiceUnavailable when the server cannot be reached. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"

namespace knarr::client {

// Which resource: group, version, plural; and perhaps a subresource.
struct ResourceRef {
  std::string_view group, version, plural, subresource;
};

struct ListOptions {
  std::string namespace_;  // "" for all
  std::string label_selector, field_selector;
  std::string resource_version;
};

struct DeleteOptions {
  std::optional<int64_t> grace_period_seconds;
  std::string uid, resource_version;  // preconditions
  std::string propagation_policy;
};

// One event of a watch: the object's JSON as the API would send it.
struct WatchEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark, kError } type;
  std::string_view object;  // valid during the callback
};

class WatchHandle {
 public:
  virtual ~WatchHandle() = default;  // stops and waits until no callback is running
};

// The transport beneath: JSON in, JSON out.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<std::string> get(const ResourceRef& resource, std::string_view ns, std::string_view name) = 0;
  virtual Result<std::string> list(const ResourceRef& resource, const ListOptions& options) = 0;  // a List object
  virtual Result<std::string> create(const ResourceRef& resource, std::string_view ns, std::string_view name,
                                     std::string_view body) = 0;
  virtual Result<std::string> update(const ResourceRef& resource, std::string_view ns, std::string_view name,
                                     std::string_view body) = 0;
  // content_type: application/merge-patch+json, application/strategic-merge-patch+json, application/json-patch+json
  virtual Result<std::string> patch(const ResourceRef& resource, std::string_view ns, std::string_view name,
                                    std::string_view content_type, std::string_view body) = 0;
  virtual Result<std::string> remove(const ResourceRef& resource, std::string_view ns, std::string_view name,
                                     const DeleteOptions& options) = 0;
  // One watch from a resourceVersion until it ends: `on_event` on a thread of the transport, `on_end` once with why.
  virtual Result<std::unique_ptr<WatchHandle>> watch(const ResourceRef& resource, const ListOptions& options,
                                                     std::function<void(const WatchEvent&)> on_event,
                                                     std::function<void(Status)> on_end) = 0;
};

}  // namespace knarr::client
