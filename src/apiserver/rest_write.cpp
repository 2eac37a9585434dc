// Create, update and patch: from a client's text to a commit.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "knarr/apiserver/extract.h"
#include "knarr/codec/go_text.h"
#include "knarr/codec/names.h"
#include "knarr/codec/patch.h"
#include "knarr/codec/time.h"
#include "knarr/schema/apply.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/go_conversion.h"
#include "knarr/schema/machinery.h"
#include "negotiate.h"
#include "pod_parts.h"
#include "rest_decode.h"
#include "rest_impl.h"
#include "update_causes.h"

namespace knarr::apiserver {

namespace {

using json::Allocator;
using json::Document;
using json::Value;

constexpr int kNameAttempts = 8;       // for generateName
constexpr int kConflictAttempts = 64;  // how often a change is made anew because another writer was faster

// Namespaces carry their own name as a label.
void canonicalize(const schema::Resource& resource, Document& object) {
  if (resource.storage_name != "namespaces") return;
  auto& alloc = object.GetAllocator();
  const std::string name(meta_string(object, "name"));
  json::set(json::ensure_object(object, {"metadata", "labels"}, alloc), "kubernetes.io/metadata.name", name, alloc);
}

void keep(Value& metadata, const Value* old_metadata, std::string_view key, Allocator& alloc) {
  const Value* value = old_metadata ? json::find(*old_metadata, key) : nullptr;
  if (value) {
    json::set(metadata, key, json::copy(*value, alloc), alloc);
  } else {
    json::remove(metadata, key);
  }
}

// metadata that a client may send and not change; where it may not even be sent, its check says so.
void keep_system_metadata(Document& object, const Value& old) {
  auto& alloc = object.GetAllocator();
  Value& metadata = metadata_of(object, alloc);
  const Value* old_metadata = json::find(old, "metadata");
  for (std::string_view key : {"generation", "creationTimestamp"}) keep(metadata, old_metadata, key, alloc);
  if (json::get_string(metadata, "uid").empty()) keep(metadata, old_metadata, "uid", alloc);
  if (!is_deleting(old)) return;
  keep(metadata, old_metadata, "deletionTimestamp", alloc);
  if (!json::find(metadata, "deletionGracePeriodSeconds")) keep(metadata, old_metadata, "deletionGracePeriodSeconds", alloc);
}

// Where nothing changes but the times at which managers are said to have written, these stay as they were.
void keep_managed_times(Document& object, const Value& old) {
  Value* now = json::find(object, {"metadata", "managedFields"});
  const Value* before = json::find(old, {"metadata", "managedFields"});
  if (!schema::same_but_for_times(now, before) || json::equal(*now, *before)) return;
  Value changed = std::move(*now);
  *now = json::copy(*before, object.GetAllocator());
  if (!json::equal(object, old)) *now = std::move(changed);
}

void keep_namespace_finalizers(Document& object, const Value& old) {
  auto& alloc = object.GetAllocator();
  const Value* finalizers = json::find(old, {"spec", "finalizers"});
  Value& spec = json::ensure_object(object, {"spec"}, alloc);
  keep(spec, json::find(old, "spec"), "finalizers", alloc);
  if (!finalizers && spec.ObjectEmpty()) json::remove(object, "spec");
}

// An owner that is named twice counts once; that is told, by when it was found.
void drop_duplicate_owners(RequestContext& context, Document& object, bool after_admission) {
  Value* owners = json::find(object, {"metadata", "ownerReferences"});
  if (!owners || !owners->IsArray() || owners->Size() < 2) return;
  std::vector<std::string> duplicates;
  std::unordered_set<std::string> seen;
  Value kept(rapidjson::kArrayType);
  for (Value& owner : owners->GetArray()) {
    std::string key;
    for (std::string_view name : {"apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"}) {
      if (const Value* member = json::find(owner, name)) json::append(key, *member);
      key += ',';
    }
    if (seen.insert(std::move(key)).second) {
      kept.PushBack(owner, object.GetAllocator());
    } else {
      duplicates.emplace_back(json::get_string(owner, "uid"));
    }
  }
  *owners = std::move(kept);
  if (duplicates.empty()) return;
  context.warnings.push_back(fmt::format(
      ".metadata.ownerReferences contains duplicate entries{}; API server dedups owner references in 1.20+, and may reject such "
      "requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
      after_admission ? " after mutating admission happens" : "", fmt::join(duplicates, ", ")));
}

// What a patch left without a version is read as upstream's internal object, none of whose members is called so.
std::vector<std::string> take_unversioned(Document& object) {
  std::vector<std::string> members;
  for (const auto& member : object.GetObject())
    if (const std::string_view name = json::view(member.name); name != "kind" && name != "apiVersion") members.emplace_back(name);
  std::sort(members.begin(), members.end());
  for (const std::string& name : members) json::remove(object, name);
  return members;
}

// A deleted object goes when nothing holds it any more.
bool goes_with_update(const schema::Resource& resource, const Value& object, const Value& old) {
  if (has_finalizers(object) || !is_deleting(old)) return false;
  if (const Value* grace = json::find(old, {"metadata", "deletionGracePeriodSeconds"});
      grace && grace->IsInt64() && grace->GetInt64() != 0)
    return false;
  if (resource.storage_name != "namespaces") return true;
  const Value* finalizers = json::find(object, {"spec", "finalizers"});
  return !finalizers || !finalizers->IsArray() || finalizers->Empty();
}

}  // namespace

Status commit_error(const Status& status, const schema::Resource& resource, std::string_view name) {
  if (status.is(reason::kAlreadyExists)) return already_exists_error(resource, name);
  if (status.is(reason::kNotFound)) return not_found_error(resource, name);
  if (status.is(reason::kConflict)) return modified_error(resource, name);
  return status;
}

std::string unstored_text(const Encoded& encoded, std::string_view digits) {
  if (!digits.empty()) return with_revision(encoded, digits);
  constexpr std::string_view kBefore = "\"resourceVersion\":\"", kAfter = "\"";
  std::string out = encoded.text;
  size_t begin = encoded.rev_pos - kBefore.size(), size = kBefore.size() + kAfter.size();
  if (begin + size < out.size() && out[begin + size] == ',') {
    ++size;
  } else if (out[begin - 1] == ',') {
    --begin, ++size;
  }
  return out.erase(begin, size);
}

std::vector<Cause> Rest::Impl::validate(const schema::Resource& resource, std::string_view subresource,
                                        const Value& object, const Value* old) {
  if (resource.custom) return schema::custom::validate(resource, subresource, object, old);
  if (old && is_pod_part(subresource)) {  // by rules of its own, not by those of a pod's update
    auto causes = schema::validate(resource, object, nullptr);
    std::erase_if(causes, [](const Cause& cause) { return cause.message == "Forbidden: cannot be set on create"; });
    auto more = validate_pod_part(subresource, object, *old);
    causes.insert(causes.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    return causes;
  }
  auto causes = schema::validate(resource, object, old);
  if (const auto check = strategy_of(resource).validate) check(subresource, object, old, causes);
  return causes;
}

Status check_namespace(const Target& target, Value& metadata, Allocator& alloc) {
  const std::string_view ns = json::get_string(metadata, "namespace");
  if (!target.resource->namespaced) {
    json::remove(metadata, "namespace");
    return Status::OK();
  }
  if (ns.empty()) {
    json::set(metadata, "namespace", target.ns, alloc);
    return Status::OK();
  }
  if (ns == target.ns) return Status::OK();
  return bad_request("the namespace of the provided object does not match the namespace sent on the request");
}

std::string other_name(std::string_view name, std::string_view of_url) {
  if (name.empty()) return fmt::format("the name of the object ({} based on URL) was undeterminable: name must be provided", of_url);
  return fmt::format("the name of the object ({}) does not match the name on the URL ({})", name, of_url);
}

Status Rest::Impl::admit(AdmissionRequest& request) const {
  for (const auto& plugin : admission) KNARR_RETURN_IF_ERROR(plugin->admit(request));
  return Status::OK();
}

Status Rest::Impl::admission_validate(const AdmissionRequest& request) const {
  for (const auto& plugin : admission) KNARR_RETURN_IF_ERROR(plugin->validate(request));
  return Status::OK();
}

Result<Answer> Rest::create(RequestContext& context, const Target& target, std::string_view body) {
  const Impl::Settle settle(*impl_);
  const bool pods = target.resource->storage_name == "pods";
  if (pods && target.subresource == "binding") return impl_->bind_pod(context, target, body);
  if (target.resource->storage_name == "serviceaccounts" && target.subresource == "token")
    return impl_->create_token(context, target, body);
  if (pods && target.subresource == "eviction") return impl_->evict_pod(*this, context, target, body);
  if (target.resource->storage_name == "bindings") {  // the older way to bind: the pod is named in the body only
    const auto binding = json::parse(body);
    const std::string name(binding.ok() ? meta_string(*binding, "name") : "");
    return impl_->bind_pod(context, {schema::find_resource("", "v1", "pods"), "binding", target.ns, name}, body);
  }
  const auto verbs = target.resource->verbs;  // what cannot be read is a question, not an object to keep
  const bool kept = std::find(verbs.begin(), verbs.end(), "get") != verbs.end();
  if (!target.subresource.empty() || !kept) return not_supported_error(*target.resource, "create");
  if (target.resource->storage_name == "events") impl_->event_expiry.sweep_if_due();
  KNARR_ASSIGN(Document document, impl_->decode(context, *target.resource, body));
  return impl_->create(context, target, std::move(document));
}

void Rest::Impl::track(const RequestContext& context, const Target& target, Document& object, const Value* old) const {
  // When something was scaled is not remembered, as upstream has it.
  const std::string time = target.subresource == "scale" ? "" : format_time(now());
  schema::track_fields(*target.resource, {context.field_manager, target.subresource, time}, object, old,
                       object.GetAllocator());
}

Result<Answer> Rest::Impl::create(RequestContext& context, const Target& target, Document document, bool tracked) {
  const schema::Resource& resource = *target.resource;
  if (resource.namespaced && target.ns.empty()) return bad_request("an empty namespace may not be set during creation");
  auto& alloc = document.GetAllocator();
  Value& metadata = metadata_of(document, alloc);
  for (std::string_view key : {"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
                               "generation"})
    json::remove(metadata, key);
  KNARR_RETURN_IF_ERROR(check_namespace(target, metadata, alloc));
  if (resource.custom && resource.custom->terminating())
    return forbidden_error(resource, meta_string(document, "name"),
                           "create not allowed while custom resource definition is terminating");
  const bool empties = schema::apply_defaults_but_empties(resource, document, alloc);
  const std::string name(meta_string(document, "name"));
  if (!name.empty()) canonicalize(resource, document);
  if (!tracked) drop_duplicate_owners(context, document, false);
  if (!tracked) track(context, target, document, nullptr);
  if (empties) schema::apply_defaults(resource, document, alloc);
  const std::string_view ns = resource.storage_name == "namespaces" ? std::string_view(name) : target.ns;
  AdmissionRequest request{Operation::kCreate, &resource,        "", ns, name, &document, nullptr, &context.user,
                           context.dry_run,    &context.warnings, context.audit};
  KNARR_RETURN_IF_ERROR(admit(request));

  const std::string generate_name(meta_string(document, "generateName"));
  if (!name.empty() || generate_name.empty()) return commit_create(context, target, std::move(document));
  for (int attempt = 1;; ++attempt) {
    // An address is a name that nothing can be added to.
    const bool as_it_is = resource.storage_name == "ipaddresses.networking.k8s.io";
    const std::string generated = as_it_is ? generate_name : names::generate_name(generate_name, random_number());
    Document copy = json::copy(document);
    json::set(metadata_of(copy, copy.GetAllocator()), "name", generated, copy.GetAllocator());
    auto answer = commit_create(context, target, std::move(copy));
    if (answer.ok() || !answer.status().is(reason::kAlreadyExists)) return answer;
    if (attempt == kNameAttempts) return generate_name_error(resource, generated);
  }
}

Result<Answer> Rest::Impl::commit_create(RequestContext& context, const Target& target, Document object) {
  const schema::Resource& resource = *target.resource;
  auto& alloc = object.GetAllocator();
  const Strategy& strategy = strategy_of(resource);
  json::set(metadata_of(object, alloc), "uid", new_uid(), alloc);
  json::set(metadata_of(object, alloc), "creationTimestamp", format_time(now()), alloc);
  std::optional<ServiceAddresses::Reservation> addresses;  // until the service is in the store
  if (resource.storage_name == "services") {
    KNARR_ASSIGN(auto reservation, service_addresses.allocate(object, nullptr, context.dry_run, alloc));
    addresses.emplace(std::move(reservation));
  }
  schema::prepare(resource, "", object, nullptr, alloc);
  if (strategy.prepare_create) strategy.prepare_create(object, {now(), context.user}, alloc);
  if (strategy.generation) json::set(metadata_of(object, alloc), "generation", Value(1), alloc);
  const std::string name(meta_string(object, "name"));
  canonicalize(resource, object);
  if (auto causes = validate(resource, "", object, nullptr); !causes.empty())
    return invalid_error(resource, name, std::move(causes));
  add_warnings(context, schema::warnings(resource, "", object, nullptr));
  const AdmissionRequest request{Operation::kCreate,
                                 &resource,
                                 "",
                                 resource.storage_name == "namespaces" ? name : target.ns,
                                 name,
                                 &object,
                                 nullptr,
                                 &context.user,
                                 context.dry_run,
                                 &context.warnings,
                                 context.audit};
  KNARR_RETURN_IF_ERROR(admission_validate(request));
  if (!context.dry_run && !meta_string(object, "resourceVersion").empty())
    return Status(500, "", "resourceVersion should not be set on objects to be created");

  const Presenter present(registry, resource);
  StoredForm stored = stored_form(registry, resource, object);
  store::Write write;
  write.resource = id(resource);
  write.key = object_key(target.resource->namespaced ? target.ns : std::string_view(), name);
  write.expect = store::Write::Expect::kAbsent;
  Answer answer;
  answer.code = 201;
  const auto exists = [&](const store::ObjectPtr& there) -> Status {
    Status status = already_exists_error(resource, name);
    const auto old = there ? json::parse(there->value) : Result<Document>(not_found(""));
    if (old.ok() && is_deleting(*old)) status.with_context("object is being deleted");
    return status;
  };
  if (context.dry_run) {
    if (auto there = store->get(write.resource, write.key)) return exists(there);
    const std::string revision(meta_string(object, "resourceVersion"));  // nothing looks at it
    answer.body = unstored_text(encode_object(resource, object), revision);
    return answer;
  }
  write.extract = std::move(stored.extract);
  write.value = std::move(stored.encoded.text);
  write.rev_pos = stored.encoded.rev_pos;
  const std::string key = write.key;
  auto committed = store->commit({&write, 1}, durability_of(resource, target.ns));
  if (!committed.ok()) {
    if (committed.status().is(reason::kAlreadyExists)) return exists(store->get(id(resource), key));
    return commit_error(committed.status(), resource, name);
  }
  answer.object = present(std::move(committed->front()));
  return answer;
}

Result<Answer> Rest::Impl::change(RequestContext& context, const Target& target, Checks checks, const Change& make) {
  const schema::Resource& resource = *target.resource;
  if (resource.namespaced && target.ns.empty())
    return bad_request("an empty namespace may not be set when a resource name is provided");
  const store::ResourceId resource_id = id(resource);
  const std::string key = object_key(target.ns, target.name);
  const Strategy& strategy = strategy_of(resource);
  for (int attempt = 1;; ++attempt) {
    const store::ObjectPtr existing = store->get(resource_id, key);
    if (!existing) return not_found_error(resource, target.name);
    const Presenter present(registry, resource);
    KNARR_ASSIGN(Document old, present.document(*existing));
    KNARR_ASSIGN(Document object, make(old));
    auto& alloc = object.GetAllocator();
    std::optional<ServiceAddresses::Reservation> addresses;

    if (checks != Checks::kInternal) {
      Value& metadata = metadata_of(object, alloc);
      const std::string_view name = json::get_string(metadata, "name"), uid = json::get_string(metadata, "uid");
      KNARR_RETURN_IF_ERROR(check_namespace(target, metadata, alloc));
      if (name != target.name) return bad_request(other_name(name, target.name));
      const std::string_view old_uid = meta_string(old, "uid");
      if (checks == Checks::kClient && !uid.empty() && uid != old_uid) {
        std::string place = registry_key(resource, key);
        if (context.dry_run) place.erase(0, std::string_view("/registry").size());  // what only tries does not come down to the store
        return conflict_error(
            resource, target.name,
            fmt::format("StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition "
                        "failed: UID in precondition: {}, UID in object meta: {}",
                        place, uid, old_uid));
      }
      const std::string_view revision = json::get_string(metadata, "resourceVersion");
      if (revision.empty() || revision == "0") {
        if (!strategy.unconditional_update)
          return invalid_error(resource.group, resource.plural, target.name,
                               {cause_invalid("metadata.resourceVersion", "0", "must be specified for an update")});
      } else if (revision != revision_digits(*existing)) {
        if (!parse_revision(revision).ok())  // upstream takes it for a failure of its own
          return Status(500, "", fmt::format("strconv.ParseUint: parsing \"{}\": invalid syntax", revision));
        return modified_error(resource, target.name);
      }
      const bool empties = schema::apply_defaults_but_empties(resource, object, alloc);
      RequestContext quiet;  // a further round warns of nothing twice
      RequestContext& told = attempt == 1 ? context : quiet;
      if (checks == Checks::kClient) drop_duplicate_owners(told, object, false);
      if (checks != Checks::kApplied) track(context, target, object, &old);
      if (empties) schema::apply_defaults(resource, object, alloc);
      AdmissionRequest request{Operation::kUpdate,
                               &resource,
                               target.subresource,
                               resource.storage_name == "namespaces" ? target.name : target.ns,
                               target.name,
                               &object,
                               &old,
                               &context.user,
                               context.dry_run,
                               &context.warnings,
                               context.audit};
      KNARR_RETURN_IF_ERROR(admit(request));
      if (checks != Checks::kClient) drop_duplicate_owners(told, object, true);
      keep_system_metadata(object, old);
      if (resource.storage_name == "services" && target.subresource.empty()) {
        KNARR_ASSIGN(auto reservation, service_addresses.allocate(object, &old, context.dry_run, alloc));
        addresses.emplace(std::move(reservation));
      }
      schema::prepare(resource, target.subresource, object, &old, alloc);
      if (is_pod_part(target.subresource)) prepare_pod_part(target.subresource, object, old, alloc);
      if (strategy.prepare_update)
        strategy.prepare_update(object, old, target.subresource, {now(), context.user}, alloc);
      if (resource.storage_name == "namespaces") keep_namespace_finalizers(object, old);
      canonicalize(resource, object);
      if (strategy.generation && target.subresource != "status" && schema::generation_differs(resource, object, old))
        json::set(metadata_of(object, alloc), "generation",
                  Value(json::get_int(*json::find(old, "metadata"), "generation") + 1), alloc);
      json::set(metadata_of(object, alloc), "resourceVersion", revision_digits(*existing), alloc);
      if (auto causes = validate(resource, target.subresource, object, &old); !causes.empty())
        return invalid_error(resource, target.name, causes_of_update(resource, target.subresource, std::move(causes)));
      if (attempt == 1) add_warnings(context, schema::warnings(resource, target.subresource, object, &old));
      KNARR_RETURN_IF_ERROR(admission_validate(request));
      if (!context.dry_run) json::remove(metadata_of(object, alloc), "selfLink");  // which is never stored
      keep_managed_times(object, old);
    }

    Answer answer;
    const bool goes = goes_with_update(resource, object, old);
    if (!goes && json::equal(object, old)) {  // nothing changes: nothing is written
      answer.object = present(existing);
      return answer;
    }
    if (context.dry_run) {
      answer.body = unstored_text(encode_object(resource, object), revision_digits(*existing));
      return answer;
    }
    // What goes is shown to watchers as it was stored, and to this client as it made it.
    store::Write write = goes ? write_over(store::Write::Op::kDelete, *existing, {})
                              : write_over(store::Write::Op::kPut, *existing, stored_form(registry, resource, object));
    auto committed = store->commit({&write, 1}, durability_of(resource, target.ns, object, old));
    if (committed.ok()) {
      if (goes) answer.body = unstored_text(encode_object(resource, object), revision_digits(*existing));
      if (!goes) answer.object = present(std::move(committed->front()));
      return answer;
    }
    const Status& status = committed.status();
    const bool raced = status.is(reason::kConflict) || status.is(reason::kNotFound);
    if (!raced || attempt == kConflictAttempts) return commit_error(status, resource, target.name);
  }
}

Result<Answer> Rest::update(RequestContext& context, const Target& target, std::string_view body) {
  const Impl::Settle settle(*impl_);
  if (target.resource->storage_name == "namespaces" && target.subresource == "finalize")
    return impl_->finalize_namespace(context, target, body);
  const bool scales = target.subresource == "scale";
  const schema::Resource& resource = scales ? schema::scale_resource() : *target.resource;  // what is sent
  KNARR_ASSIGN(Document document, impl_->decode(context, resource, body));
  const bool may_create = strategy_of(*target.resource).create_on_update && target.subresource.empty();
  if (!impl_->store->get(impl_->id(*target.resource), object_key(target.ns, target.name))) {
    KNARR_RETURN_IF_ERROR(check_namespace(target, metadata_of(document, document.GetAllocator()), document.GetAllocator()));
    if (const std::string_view name = meta_string(document, "name"); name != target.name)
      return bad_request(other_name(name, target.name));
    if (!may_create) return not_found_error(*target.resource, target.name);
    if (const std::string_view uid = meta_string(document, "uid"); !uid.empty())
      return conflict_error(*target.resource, target.name,
                            fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: ", uid));
    auto& alloc = document.GetAllocator();
    json::remove(metadata_of(document, alloc), "resourceVersion");
    return impl_->create(context, target, std::move(document));
  }
  bool first = true;
  const auto make = [&](const Document&) -> Result<Document> {
    if (std::exchange(first, false)) return std::move(document);
    RequestContext quiet;  // a further round needs the client's object again, and warns of nothing twice
    return impl_->decode(quiet, resource, body);
  };
  if (!scales) return impl_->change(context, target, Impl::Checks::kClient, make);
  const auto change = Impl::through_scale(*target.resource, make);
  return Impl::as_scale(*target.resource, impl_->change(context, target, Impl::Checks::kClient, change));
}

Result<Answer> Rest::patch(RequestContext& context, const Target& target, std::string_view content_type,
                           std::string_view body) {
  const Impl::Settle settle(*impl_);
  if (content_type == "application/apply-patch+yaml") return impl_->apply(context, target, body);
  enum class Kind { kJson, kMerge, kStrategic } kind;
  if (content_type == "application/json-patch+json") {
    kind = Kind::kJson;
  } else if (content_type == "application/merge-patch+json") {
    kind = Kind::kMerge;
  } else if (content_type == "application/strategic-merge-patch+json" && !target.resource->custom) {
    kind = Kind::kStrategic;
  } else {
    return unsupported_media_type_error(
        target.resource->custom ? "application/json-patch+json, application/merge-patch+json, "
                                  "application/apply-patch+yaml"
                                : "application/json-patch+json, application/merge-patch+json, "
                                  "application/strategic-merge-patch+json, application/apply-patch+yaml");
  }
  const auto patch = json::parse(body);
  if (!patch.ok()) {
    const std::string why = json::go_syntax_error(body);
    return bad_request((kind == Kind::kStrategic ? "" : "error decoding patch: ") + (why.empty() ? patch.status().message() : why));
  }

  const bool scales = target.subresource == "scale";
  const schema::Resource& resource = scales ? schema::scale_resource() : *target.resource;  // what is patched
  const bool strict = context.field_validation != FieldValidation::kIgnore;
  bool warned = false;  // once, however many rounds it takes
  std::vector<std::string> patch_errors = strict && kind != Kind::kJson ? strict_errors(body, {}) : std::vector<std::string>();
  const auto patched = [&](const Document& old) -> Result<Document> {
    Document object = json::copy(old);
    auto& alloc = object.GetAllocator();
    switch (kind) {
      case Kind::kJson:
        patch_errors.clear();
        if (strict) {
          std::vector<std::string> unknown;
          KNARR_RETURN_IF_ERROR(patch::check_operations(*patch, unknown));
          for (const std::string& error : strict_errors(body, unknown)) patch_errors.push_back("json patch " + error);
        }
        if (const Status applied = patch::apply_json(object, *patch, alloc); !applied.ok())
          return Status(applied.code(), applied.reason(), applied.message());  // upstream tells no causes of it
        break;
      case Kind::kMerge:
        KNARR_RETURN_IF_ERROR(patch::apply_merge(object, *patch, alloc));
        break;
      case Kind::kStrategic:
        KNARR_RETURN_IF_ERROR(schema::strategic_merge(*resource.type, object, *patch, alloc));
        // The type is what the path says, whatever the patch says.
        for (const std::string_view member : {"kind", "apiVersion"})
          if (const Value* own = json::find(old, member)) json::set(object, member, Value(*own, alloc), alloc);
        break;
    }
    if (!object.IsObject()) return bad_request("error decoding patch: the patched document is no object");
    return object;
  };
  const auto make = [&](const Document& old) -> Result<Document> {
    KNARR_ASSIGN(Document object, patched(old));
    std::vector<std::string> unknown;
    const bool of_no_version = !resource.custom && json::get_string(object, "apiVersion").empty();
    const Status fits = of_no_version ? Status::OK() : impl_->check_document(resource, object, unknown);
    if (of_no_version) unknown = take_unversioned(object);
    std::vector<std::string> errors = patch_errors;
    if (fits.ok() && strict)
      for (const std::string& path : unknown) errors.push_back(fmt::format("unknown field \"{}\"", path));
    const bool refuse = !errors.empty() && context.field_validation == FieldValidation::kStrict;
    if (!fits.ok() || refuse) {
      std::string value, why;
      KNARR_ASSIGN(object, patched(old));  // as it was before it was looked at
      json::append_quoted(value, kind == Kind::kStrategic ? json::go_text(*patch) : json::dump(object));
      if (!fits.ok() && kind == Kind::kStrategic) why = schema::conversion_error(*resource.type, object);
      if (why.empty()) why = fits.ok() ? fmt::format("strict decoding error: {}", fmt::join(errors, ", ")) : fits.message();
      return invalid_error("", "", "", {cause_invalid("patch", value, why)});
    }
    if (!warned) add_warnings(context, errors);
    warned = true;
    return object;
  };
  if (!scales) return impl_->change(context, target, Impl::Checks::kPatched, make);
  const auto change = Impl::through_scale(*target.resource, make);
  return Impl::as_scale(*target.resource, impl_->change(context, target, Impl::Checks::kPatched, change));
}

}  // namespace knarr::apiserver
