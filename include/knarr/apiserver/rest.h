// The REST verbs on any resource, below HTTP: what the HTTP front and the in-process client both call, so that
// defaulting, admission, validation and concurrency are the same for everyone. Thread-safe.
//
// Bodies are JSON text. Errors are Kubernetes' own (Status with reason, details and causes). Authorisation stands
// above.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/apiserver/admission.h"
#include "knarr/auth/authn.h"
#include "knarr/auth/service_account.h"
#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/schema/catalog.h"
#include "knarr/schema/type.h"
#include "knarr/store/store.h"

namespace knarr::apiserver {

enum class FieldValidation { kIgnore, kWarn, kStrict };

// Who asks, and how.
struct RequestContext {
  auth::UserInfo user;
  std::string field_manager;  // who is remembered in managedFields: what the client calls itself, or is called; "": "unknown"
  bool force = false;         // an apply takes fields from other managers
  bool dry_run = false;
  FieldValidation field_validation = FieldValidation::kIgnore;
  std::vector<std::string> warnings;  // out: for Warning headers
  std::map<std::string, std::string>* audit = nullptr;  // out: annotations for the audit log; null: it is not recorded
  std::string continue_token;         // out: beside an Expired list, for its inconsistent continuation
};

// What a call is about. `name` is empty for collections and creation; `ns` for cluster-scoped resources and "all
// namespaces".
struct Target {
  schema::ResourceRef resource;
  std::string_view subresource, ns, name;
};

// One object (or Status) as answered: bytes that the store holds, shared, or a body made for this answer.
struct Answer {
  int code = 200;
  store::ObjectPtr object;  // null: `body` is the answer
  std::string body;
  std::string_view bytes() const { return object ? std::string_view(object->value) : std::string_view(body); }
};

// metav1.ListOptions. `resource_version` "" and "0" differ, as in the API.
struct ListParams {
  std::string label_selector, field_selector, resource_version, resource_version_match, continue_token;
  int64_t limit = 0;
  bool allow_watch_bookmarks = false;
  std::optional<bool> send_initial_events;
  std::optional<int64_t> timeout_seconds;
};

struct ListAnswer {
  schema::ResourceRef resource;
  std::vector<store::ObjectPtr> objects;
  store::Revision revision = 0;
  std::string continue_token;  // "" at the end
  std::optional<int64_t> remaining;

  // {"kind":"PodList",...}: the stored bytes side by side, without kind and apiVersion in the items, as upstream.
  std::string to_json() const;
};

struct DeleteParams {
  std::optional<int64_t> grace_period_seconds;
  std::optional<std::string> uid, resource_version;  // preconditions
  std::optional<std::string> propagation_policy;     // Orphan, Background, Foreground
  std::optional<bool> orphan_dependents;

  // From a DeleteOptions body ("" gives none) over what is set already.
  Status merge_body(std::string_view body);
};

// One deletion of many; see Rest::remove_many.
struct Removal {
  Target target;
  DeleteParams params;
};

enum class WatchType { kAdded, kModified, kDeleted, kBookmark, kError };
std::string_view to_string(WatchType type);

struct WatchItem {
  WatchType type;
  store::ObjectPtr object;  // of kAdded, kModified, kDeleted
  std::string body;         // instead of object->value where not empty: bookmarks, errors, objects that ceased to match
  std::string_view bytes() const {
    return body.empty() && object ? std::string_view(object->value) : std::string_view(body);
  }
};

// A running watch: filtering, initial events, bookmarks and time-out. One owner, not thread-safe. It waits for nothing:
// call next() after the store published something of `topic`, and at deadline().
class Watch {
 public:
  virtual ~Watch() = default;
  // Appends up to about `max` items. False: the watch is over (an error item may be the last one).
  virtual bool next(size_t max, std::vector<WatchItem>& out) = 0;
  virtual bool idle() const = 0;  // the last next() handed out all there was
  virtual MonoTime deadline() const = 0;
  virtual store::ResourceId topic() const = 0;
};

struct RestOptions {
  store::Store* store = nullptr;
  const Clock* clock = &Clock::system();
  AdmissionChain admission;  // see knarr/admission/chain.h
  std::chrono::nanoseconds event_ttl = std::chrono::hours(1);  // how long Events are kept after they last happened
  std::string service_cidr;  // networks that services get addresses of, one of a family; empty: they get none
  std::shared_ptr<const auth::ServiceAccountTokens> service_accounts;  // optional: makes their tokens
};

class Rest {
 public:
  explicit Rest(RestOptions options);
  ~Rest();

  store::Store& store() const;
  // The resources that are served: the built-in ones and those of CustomResourceDefinitions.
  const schema::Registry& registry() const;
  const Clock& clock() const;

  Result<Answer> get(RequestContext& context, const Target& target);
  Result<ListAnswer> list(RequestContext& context, const Target& target, const ListParams& params);
  Result<std::unique_ptr<Watch>> watch(RequestContext& context, const Target& target, const ListParams& params);

  // Code 201. With a subresource: pods/binding, pods/eviction, serviceaccounts/token (then `target.name` is set).
  Result<Answer> create(RequestContext& context, const Target& target, std::string_view body);
  // Code 200, or 201 where the kind may be created by an update. Subresources: "", status, namespaces/finalize.
  Result<Answer> update(RequestContext& context, const Target& target, std::string_view body);
  // content_type: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, or
  // application/apply-patch+yaml (code 201 where it creates).
  Result<Answer> patch(RequestContext& context, const Target& target, std::string_view content_type,
                       std::string_view body);
  // The object while it waits for its node or its finalizers (202 as upstream where it does), else a Status of success.
  Result<Answer> remove(RequestContext& context, const Target& target, const DeleteParams& params);
  // As remove() of each, in few commits: what takes a minute one by one takes a second. Each has an answer of its own.
  std::vector<Result<Answer>> remove_many(RequestContext& context, std::span<const Removal> removals);
  Result<ListAnswer> remove_collection(RequestContext& context, const Target& target, const ListParams& selection,
                                       const DeleteParams& params);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// The meta/v1.Status object of an error, as JSON.
std::string status_json(const Status& status);

}  // namespace knarr::apiserver
