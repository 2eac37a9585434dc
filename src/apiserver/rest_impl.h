// What the files of Rest share. See include/knarr/apiserver/rest.h.
#pragma once

#include <functional>

#include "knarr/apiserver/document.h"
#include "knarr/apiserver/errors.h"
#include "definitions.h"
#include "event_expiry.h"
#include "knarr/apiserver/rest.h"
#include "service_addresses.h"
#include "strategy.h"
#include "versions.h"

namespace knarr::apiserver {

struct Rest::Impl {
  store::Store* store;
  const Clock* clock;
  AdmissionChain admission;
  std::shared_ptr<const auth::ServiceAccountTokens> service_accounts;
  std::vector<store::ResourceId> ids;  // of schema::resources(), by position
  EventExpiry event_expiry;
  schema::Registry registry;
  Definitions definitions;

  ServiceAddresses service_addresses;

  explicit Impl(RestOptions options);

  store::ResourceId id(const schema::Resource& resource) const;
  WallTime now() const { return clock->wall(); }

  // Reads a client's text as an object of the resource: parsed once, checked for kind and version, pruned. Unknown and
  // duplicate fields become warnings or an error, as the context says.
  static Result<json::Document> decode(RequestContext& context, const schema::Resource& resource,
                                       std::string_view text);
  // The same for a document that is there already (a patched one). Errors say only why it does not fit.
  static Status check_document(const schema::Resource& resource, json::Document& document,
                               std::vector<std::string>& unknown);

  Status admit(AdmissionRequest& request) const;
  Status admission_validate(const AdmissionRequest& request) const;

  // The new object from the stored one. Called again with a newer one when another writer was faster.
  using Change = std::function<Result<json::Document>(const json::Document& old)>;
  enum class Checks {
    kClient,    // what a client sent instead of the object: remembered in managedFields, prepared, admitted and validated
    kPatched,   // what a client's patch made of it: the same, but that its uid is no precondition
    kApplied,   // as patched, managedFields being done
    kInternal,  // a change that the server itself makes: stored as it is
  };
  // Read, change, compare, write; until no other writer was faster. NotFound where there is no such object.
  Result<Answer> change(RequestContext& context, const Target& target, Checks checks, const Change& make);

  // `tracked`: managedFields are done.
  static std::vector<Cause> validate(const schema::Resource& resource, std::string_view subresource,
                                     const json::Value& object, const json::Value* old);
  Result<Answer> create(RequestContext& context, const Target& target, json::Document document, bool tracked = false);
  Result<Answer> commit_create(RequestContext& context, const Target& target, json::Document object);

  // Brings definitions in order when a write ends, before it is answered.
  struct Settle {
    explicit Settle(Impl& of) : impl(of) {}
    ~Settle() { impl.definitions.sync(); }
    Settle(const Settle&) = delete;
    Settle& operator=(const Settle&) = delete;
    Impl& impl;
  };
  struct Deletion;
  Result<Deletion> prepare_deletion(RequestContext& context, const Removal& removal) const;

  // A change of an object by one of its Scale, and an answer as a Scale.
  static Change through_scale(const schema::Resource& resource, Change make);
  static Result<Answer> as_scale(const schema::Resource& resource, Result<Answer> answer);

  Result<Answer> apply(RequestContext& context, const Target& target, std::string_view body);
  Result<Answer> apply_scale(RequestContext& context, const Target& target, const json::Value& config);
  // Remembers a client's write in the object's managedFields. `old` is null on create.
  void track(const RequestContext& context, const Target& target, json::Document& object, const json::Value* old) const;

  Result<Answer> bind_pod(RequestContext& context, const Target& target, std::string_view body);
  // Deletes the pod as its Eviction says, when its disruption budget allows it.
  Result<Answer> evict_pod(Rest& rest, RequestContext& context, const Target& target, std::string_view body);
  Status evict(Rest& rest, RequestContext& context, const Target& pod, DeleteParams params);
  std::vector<json::Document> budgets_of(const store::Object& pod, std::string_view ns) const;
  Result<Answer> create_token(RequestContext& context, const Target& target, std::string_view body);
  Status bind_token(const Target& target, const json::Value& ref, auth::TokenClaims& claims) const;
  Result<Answer> finalize_namespace(RequestContext& context, const Target& target, std::string_view body);
};

// Conflict when the object is not the one that the options of its deletion name.
Status check_preconditions(const schema::Resource& resource, std::string_view name, const DeleteParams& params,
                           const json::Value& object, std::string_view revision);

// Bytes of an answer that is not stored (dry run): the given revision, or none at all.
std::string unstored_text(const Encoded& encoded, std::string_view digits);

// The store's answer to a commit, as the API words it.
Status commit_error(const Status& status, const schema::Resource& resource, std::string_view name);

// An object belongs to the namespace of the URL; error where it says another.
Status check_namespace(const Target& target, json::Value& metadata, json::Allocator& alloc);
// Why an object of this name is not the one that the URL names.
std::string other_name(std::string_view name, std::string_view of_url);
// A resourceVersion of a client; BadRequest when it is no number.
Result<store::Revision> parse_revision(std::string_view text);
// Whether upstream answers from its cache, which all but Events have.
bool is_cached(const schema::Resource& resource);
// That error where upstream finds out late, and says it without a reason: of a watch and of one object.
Status late_revision_error(const Status& error);

// Rest's checks of list options (422 on ListOptions).
Status validate_list_params(const ListParams& params, bool watch);
Result<std::unique_ptr<Watch>> make_watch(const Rest::Impl& rest, const Target& target, const ListParams& params);

}  // namespace knarr::apiserver
