// Deletion: at once, after a grace period that the node ends, or when the last finalizer is gone.
#include <fmt/format.h>

#include <algorithm>

#include "knarr/apiserver/extract.h"
#include "knarr/codec/go_text.h"
#include "knarr/codec/time.h"
#include "rest_impl.h"

namespace knarr::apiserver {

namespace {

using json::Document;
using json::Value;

constexpr int kConflictAttempts = 64;
constexpr size_t kRemovedAtOnce = 256;  // of many deletions, as one commit
constexpr std::string_view kOrphan = "orphan", kForeground = "foregroundDeletion";

Status validate_delete_params(const DeleteParams& params) {
  std::vector<Cause> causes;
  const auto& policy = params.propagation_policy;
  if (policy && params.orphan_dependents)
    causes.push_back(cause_invalid("propagationPolicy", "\"" + *policy + "\"",
                                   "orphanDependents and deletionPropagation cannot be both set"));
  if (policy && policy != "Orphan" && policy != "Background" && policy != "Foreground")
    causes.push_back(
        cause_unsupported("propagationPolicy", *policy, "\"Foreground\", \"Background\", \"Orphan\", \"nil\""));
  if (causes.empty()) return Status::OK();
  return invalid_error("meta.k8s.io", "DeleteOptions", "", std::move(causes));
}

bool has(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// Which of the garbage collector's finalizers the object needs, in the place of those that it has.
std::vector<std::string> collector_finalizers(const schema::Resource& resource, const DeleteParams& params,
                                              const std::vector<std::string>& current) {
  bool orphan = false, foreground = false;
  if (params.orphan_dependents) {
    orphan = *params.orphan_dependents;
  } else if (params.propagation_policy) {
    orphan = params.propagation_policy == "Orphan";
    foreground = params.propagation_policy == "Foreground";
  } else if (has(current, kOrphan) || has(current, kForeground)) {
    orphan = has(current, kOrphan);
    foreground = !orphan;
  } else {
    orphan = strategy_of(resource).orphans_by_default;
  }
  std::vector<std::string> out;
  for (const std::string& name : current)
    if (name != kOrphan && name != kForeground) out.push_back(name);
  if (orphan) out.emplace_back(kOrphan);
  if (foreground) out.emplace_back(kForeground);
  return out;
}

void bump_generation(Value& metadata, json::Allocator& alloc) {
  const int64_t generation = json::get_int(metadata, "generation");
  if (generation > 0) json::set(metadata, "generation", Value(generation + 1), alloc);
}

// How a deletion goes on from here.
enum class Step {
  kRemove,   // the object goes now
  kMark,     // the object stays, changed: it waits for its node or its finalizers
  kPending,  // it waits already, and nothing changes
};

// A pod's grace: until when its node may take to stop it. Upstream's BeforeDelete.
Step mark_pod(Document& pod, const DeleteParams& params, WallTime now) {
  auto& alloc = pod.GetAllocator();
  Value& metadata = metadata_of(pod, alloc);
  std::optional<int64_t> wanted = params.grace_period_seconds;
  if (wanted && *wanted < 0) wanted = 1;
  if (is_deleting(pod)) {
    const int64_t granted = json::get_int(metadata, "deletionGracePeriodSeconds");
    if (granted == 0) return Step::kRemove;
    if (!wanted || *wanted >= granted) return Step::kPending;  // it may only get shorter
    const auto until = parse_time(json::get_string(metadata, "deletionTimestamp"));
    WallTime shortened = until.ok() ? *until - seconds(granted) + seconds(*wanted) : now;
    int64_t period = *wanted;
    if (shortened < now) {
      shortened = now;
      if (period != 0) period = 1;
    }
    json::set(metadata, "deletionTimestamp", format_time(shortened), alloc);
    json::set(metadata, "deletionGracePeriodSeconds", Value(period), alloc);
    return period == 0 ? Step::kRemove : Step::kMark;
  }
  int64_t period = wanted ? *wanted : json::get_int(*json::find(pod, "spec"), "terminationGracePeriodSeconds");
  const std::string_view phase = json::get_string(pod, {"status", "phase"});
  if (json::get_string(pod, {"spec", "nodeName"}).empty() || phase == "Failed" || phase == "Succeeded") period = 0;
  json::set(metadata, "deletionTimestamp", format_time(now + seconds(period)), alloc);
  json::set(metadata, "deletionGracePeriodSeconds", Value(period), alloc);
  bump_generation(metadata, alloc);
  return period == 0 ? Step::kRemove : Step::kMark;
}

// An object with finalizers waits for them.
void mark_deleting(Document& object, WallTime now) {
  auto& alloc = object.GetAllocator();
  Value& metadata = metadata_of(object, alloc);
  if (!is_deleting(object)) {
    bump_generation(metadata, alloc);
    json::set(metadata, "deletionTimestamp", format_time(now), alloc);
  }
  json::set(metadata, "deletionGracePeriodSeconds", Value(0), alloc);
}

// A namespace first terminates: its controller empties it and takes its finalizer away.
Step mark_namespace(Document& ns, const DeleteParams& params, WallTime now) {
  auto& alloc = ns.GetAllocator();
  if (!is_deleting(ns)) {
    json::set(metadata_of(ns, alloc), "deletionTimestamp", format_time(now), alloc);
    json::set(json::ensure_object(ns, {"status"}, alloc), "phase", "Terminating", alloc);
    auto finalizers = finalizers_of(ns);
    if (params.orphan_dependents || params.propagation_policy) {
      std::erase_if(finalizers, [](const std::string& name) { return name == kOrphan || name == kForeground; });
      if (params.orphan_dependents ? *params.orphan_dependents : params.propagation_policy == "Orphan")
        finalizers.emplace_back(kOrphan);
      if (params.orphan_dependents ? !*params.orphan_dependents : params.propagation_policy == "Foreground")
        finalizers.emplace_back(kForeground);
      set_finalizers(ns, finalizers, alloc);
    }
    return Step::kMark;
  }
  const Value* held = json::find(ns, {"spec", "finalizers"});
  if (held && held->IsArray() && !held->Empty()) return Step::kPending;
  return has_finalizers(ns) ? Step::kPending : Step::kRemove;
}

Step plan(const schema::Resource& resource, Document& object, const DeleteParams& params, WallTime now) {
  if (resource.storage_name == "namespaces") return mark_namespace(object, params, now);
  if (resource.storage_name == kDefinitions && !is_deleting(object)) {
    begin_definition_deletion(object, now);
    return Step::kMark;
  }
  Step step = Step::kRemove;
  // An object that waits already, and not for a node's grace period, can wait for no more.
  const bool waiting =
      is_deleting(object) && json::get_int(*json::find(object, "metadata"), "deletionGracePeriodSeconds") == 0;
  if (resource.storage_name == "pods") step = mark_pod(object, params, now);
  if (step == Step::kPending) return step;
  auto& alloc = object.GetAllocator();
  const auto current = finalizers_of(object);
  const auto wanted = collector_finalizers(resource, params, current);
  if (wanted != current) set_finalizers(object, wanted, alloc);
  if (wanted.empty()) return step;
  if (step == Step::kRemove) {
    if (waiting && wanted == current) return Step::kPending;
    mark_deleting(object, now);
  }
  return Step::kMark;
}

}  // namespace

Status check_preconditions(const schema::Resource& resource, std::string_view name, const DeleteParams& params,
                           const Value& object, std::string_view revision) {
  // Upstream names the kind here, not the resource.
  const auto refuse = [&](std::string_view what, std::string_view wanted, std::string_view actual,
                          std::string_view perhaps) {
    Status status(
        409, reason::kConflict,
        fmt::format(
            "Operation cannot be fulfilled on {} \"{}\": the {} in the precondition ({}) does not match the {} in "
            "record ({}). The object might have been {}",
            group_kind(resource), name, what, wanted, what, actual, perhaps));
    Status::Details details;
    details.group = resource.group;
    details.kind = resource.kind;
    details.name = name;
    return status.with_details(std::move(details));
  };
  const auto check = [&](std::string_view what, const std::optional<std::string>& wanted, std::string_view actual,
                         std::string_view perhaps) -> Status {
    if (!wanted || *wanted == actual) return Status::OK();
    if (resource.storage_name != kDefinitions && resource.storage_name != "namespaces")
      return refuse(what, *wanted, actual, perhaps);
    return conflict_error(resource, name,
                          fmt::format("Precondition failed: {} in precondition: {}, {} in object meta: {}", what, *wanted, what, actual));
  };
  KNARR_RETURN_IF_ERROR(check("UID", params.uid, meta_string(object, "uid"), "deleted and then recreated"));
  return check("ResourceVersion", params.resource_version, revision, "modified");
}

Status DeleteParams::merge_body(std::string_view body) {
  if (body.empty()) return Status::OK();
  KNARR_ASSIGN(const Document options, json::parse(body));
  if (!options.IsObject())
    return bad_request("couldn't get version/kind; json parse error: DeleteOptions is a JSON object");
  const std::string_view kind = json::get_string(options, "kind");
  if (!kind.empty() && kind != "DeleteOptions")
    return bad_request(unregistered_kind(kind, json::get_string(options, "apiVersion")));
  if (const Value* grace = json::find(options, "gracePeriodSeconds"); grace && !grace->IsNull()) {
    if (!grace->IsInt64())
      return bad_request(
          fmt::format("json: cannot unmarshal {} into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
                      grace->IsNumber() ? "number " + json::dump(*grace) : std::string(json::go_json_kind(*grace))));
    grace_period_seconds = grace->GetInt64();
  }
  if (const Value* orphan = json::find(options, "orphanDependents"); orphan && !orphan->IsNull() && !orphan->IsBool())
    return bad_request(fmt::format("json: cannot unmarshal {} into Go struct field DeleteOptions.orphanDependents of type bool", json::go_json_kind(*orphan)));
  if (const Value* orphan = json::find(options, "orphanDependents"); orphan && orphan->IsBool())
    orphan_dependents = orphan->GetBool();
  const auto take = [&](std::optional<std::string>& to, std::initializer_list<std::string_view> path) {
    if (const Value* value = json::find(options, path); value && value->IsString()) to = json::view(*value);
  };
  take(uid, {"preconditions", "uid"});
  take(resource_version, {"preconditions", "resourceVersion"});
  take(propagation_policy, {"propagationPolicy"});
  return Status::OK();
}

// A deletion on its way: what it answers, and the write that has to be made first, if there is one.
struct Rest::Impl::Deletion {
  Answer answer;
  std::optional<store::Write> write;
  bool shows_object = false;  // answers the object as committed
  store::Durability durability = store::Durability::kDurable;
};

Result<Rest::Impl::Deletion> Rest::Impl::prepare_deletion(RequestContext& context, const Removal& removal) const {
  const Target& target = removal.target;
  const DeleteParams& params = removal.params;
  const schema::Resource& resource = *target.resource;
  const store::ObjectPtr existing = store->get(id(resource), object_key(target.ns, target.name));
  if (!existing) return not_found_error(resource, target.name);
  const Presenter present(registry, resource);
  KNARR_ASSIGN(Document object, present.document(*existing));
  KNARR_RETURN_IF_ERROR(check_preconditions(resource, target.name, params, object, revision_digits(*existing)));
  const Document old = json::copy(object);
  AdmissionRequest request{
      Operation::kDelete, &resource,       target.subresource, target.ns, target.name, nullptr, &old,
      &context.user,      context.dry_run, &context.warnings};
  KNARR_RETURN_IF_ERROR(admit(request));
  KNARR_RETURN_IF_ERROR(admission_validate(request));

  const Step step = plan(resource, object, params, now());
  Deletion deletion;
  // As upstream, which answers 202 only to those who asked with the old option.
  if (step != Step::kRemove && params.orphan_dependents && !*params.orphan_dependents) deletion.answer.code = 202;
  if (step == Step::kPending) {
    deletion.answer.object = present(existing);
    return deletion;
  }
  deletion.shows_object = step == Step::kMark || strategy_of(resource).returns_deleted;
  if (!deletion.shows_object) {
    deletion.answer.body = success_json(resource, target.name, meta_string(object, "uid"));
  } else if (context.dry_run) {
    deletion.answer.body = unstored_text(encode_object(resource, object), revision_digits(*existing));
  }
  if (context.dry_run) return deletion;
  deletion.durability = durability_of(resource, target.ns);
  deletion.write = write_over(step == Step::kMark ? store::Write::Op::kPut : store::Write::Op::kDelete, *existing,
                              stored_form(registry, resource, object));
  return deletion;
}

namespace {

void warn_of_orphans(RequestContext& context, const Target& target, const DeleteParams& params) {
  if (target.resource->storage_name != "jobs.batch" || params.propagation_policy || params.orphan_dependents) return;
  context.warnings.emplace_back(
      "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
      "propagationPolicy=Orphan to suppress this warning");
}

}  // namespace

Result<Answer> Rest::remove(RequestContext& context, const Target& target, const DeleteParams& params) {
  const Impl::Settle settle(*impl_);
  KNARR_RETURN_IF_ERROR(validate_delete_params(params));
  warn_of_orphans(context, target, params);
  for (int attempt = 1;; ++attempt) {
    KNARR_ASSIGN(Impl::Deletion deletion, impl_->prepare_deletion(context, {target, params}));
    if (!deletion.write) return std::move(deletion.answer);
    auto committed = impl_->store->commit({&*deletion.write, 1}, deletion.durability);
    if (committed.ok()) {
      if (deletion.shows_object)
        deletion.answer.object = Presenter(impl_->registry, *target.resource)(std::move(committed->front()));
      return std::move(deletion.answer);
    }
    const Status& status = committed.status();
    const bool raced = status.is(reason::kConflict) || status.is(reason::kNotFound);
    if (!raced || attempt == kConflictAttempts) return commit_error(status, *target.resource, target.name);
  }
}

std::vector<Result<Answer>> Rest::remove_many(RequestContext& context, std::span<const Removal> removals) {
  const Impl::Settle settle(*impl_);
  std::vector<Result<Answer>> answers;
  answers.reserve(removals.size());
  for (size_t begin = 0; begin < removals.size(); begin += kRemovedAtOnce) {
    const auto batch = removals.subspan(begin, std::min(kRemovedAtOnce, removals.size() - begin));
    std::vector<store::Write> writes;
    std::vector<std::pair<size_t, bool>> written;  // which answer each write belongs to; whether it shows the object
    for (const Removal& removal : batch) {
      const Status valid = validate_delete_params(removal.params);
      auto deletion = valid.ok() ? impl_->prepare_deletion(context, removal) : Result<Impl::Deletion>(std::move(valid));
      if (deletion.ok() && deletion->write) {
        writes.push_back(std::move(*deletion->write));
        written.emplace_back(answers.size(), deletion->shows_object);
      }
      answers.push_back(deletion.ok() ? Result<Answer>(std::move(deletion->answer))
                                      : Result<Answer>(std::move(deletion).status()));
    }
    if (writes.empty()) continue;
    auto committed = impl_->store->commit(writes);
    for (size_t i = 0; i < written.size(); ++i) {
      const auto [at, shows_object] = written[i];
      if (!committed.ok()) {  // somebody was faster with one of them: then each by itself
        answers[at] = remove(context, removals[at].target, removals[at].params);
      } else if (shows_object) {
        answers[at]->object =
            Presenter(impl_->registry, *removals[at].target.resource)(std::move((*committed)[i]));
      }
    }
  }
  return answers;
}

Result<ListAnswer> Rest::remove_collection(RequestContext& context, const Target& target, const ListParams& selection,
                                           const DeleteParams& params) {
  KNARR_RETURN_IF_ERROR(validate_delete_params(params));
  warn_of_orphans(context, target, params);
  KNARR_ASSIGN(ListAnswer listed, list(context, target, selection));
  std::vector<Removal> removals;
  removals.reserve(listed.objects.size());
  for (const store::ObjectPtr& object : listed.objects) {
    const auto [ns, name] = split_key(object->key);
    removals.push_back({{target.resource, "", ns, name}, params});
  }
  for (const auto& removed : remove_many(context, removals))
    if (!removed.ok() && !removed.status().is(reason::kNotFound)) return removed.status();
  return listed;
}

}  // namespace knarr::apiserver
