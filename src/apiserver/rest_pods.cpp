// Writes that are not an object's own: binding a pod to its node, and a namespace's finalizers.
#include <fmt/format.h>

#include "knarr/codec/go_text.h"
#include "knarr/codec/names.h"
#include "knarr/codec/time.h"
#include "rest_impl.h"

namespace knarr::apiserver {

namespace {

using json::Document;
using json::Value;

Value* find_condition(Value& conditions, std::string_view type) {
  for (Value& condition : conditions.GetArray())
    if (json::get_string(condition, "type") == type) return &condition;
  return nullptr;
}

void set_scheduled(Document& pod, WallTime now) {
  auto& alloc = pod.GetAllocator();
  Value& status = json::ensure_object(pod, {"status"}, alloc);
  Value* conditions = json::find(status, "conditions");
  if (!conditions || !conditions->IsArray())
    conditions = &json::set(status, "conditions", Value(rapidjson::kArrayType), alloc);
  Value condition(rapidjson::kObjectType);
  json::set(condition, "type", "PodScheduled", alloc);
  json::set(condition, "status", "True", alloc);
  json::set(condition, "lastProbeTime", Value(), alloc);
  json::set(condition, "lastTransitionTime", format_time(now), alloc);
  if (Value* there = find_condition(*conditions, "PodScheduled")) {
    *there = std::move(condition);
  } else {
    conditions->PushBack(condition, alloc);
  }
}

// Members of a map of strings over those of another.
void overlay(Document& object, const Value* from, std::string_view member) {
  if (!from || !from->IsObject() || from->ObjectEmpty()) return;
  auto& alloc = object.GetAllocator();
  Value& to = json::ensure_object(object, {"metadata", member}, alloc);
  for (const auto& pair : from->GetObject())
    if (pair.value.IsString()) json::set(to, json::view(pair.name), json::view(pair.value), alloc);
}

Answer created_status() {
  Answer answer;
  answer.code = 201;
  answer.body = R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201})";
  return answer;
}

}  // namespace

Result<Answer> Rest::Impl::bind_pod(RequestContext& context, const Target& target, std::string_view body) {
  KNARR_ASSIGN(const Document binding, json::parse(body));
  if (!binding.IsObject()) return bad_request("not a Binding object");
  if (meta_string(binding, "name") != target.name)
    return bad_request("name in URL does not match name in Binding object");
  if (const auto ns = meta_string(binding, "namespace"); !ns.empty() && ns != target.ns)
    return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  const std::string_view kind = json::get_string(binding, {"target", "kind"});
  const std::string node(json::get_string(binding, {"target", "name"}));
  std::vector<Cause> causes;
  if (!kind.empty() && kind != "Node")
    causes.push_back(cause_unsupported("target.kind", kind, "\"Node\", \"<empty>\""));
  if (node.empty()) causes.push_back(cause_required("target.name", ""));
  if (!causes.empty()) return invalid_error("", "Binding", target.name, std::move(causes));

  AdmissionRequest request{Operation::kCreate, target.resource,  "binding", target.ns,
                           target.name,        nullptr,          nullptr,   &context.user,
                           context.dry_run,    &context.warnings};
  KNARR_RETURN_IF_ERROR(admit(request));
  KNARR_RETURN_IF_ERROR(admission_validate(request));
  const auto refuse = [&](std::string_view why) {
    Status status(409, reason::kConflict,
                  fmt::format("Operation cannot be fulfilled on pods/binding \"{}\": {}", target.name, why));
    Status::Details details;
    details.kind = "pods/binding";
    details.name = target.name;
    return status.with_details(std::move(details));
  };
  auto bound = change(context, target, Checks::kInternal, [&](const Document& old) -> Result<Document> {
    const std::string_view uid = meta_string(binding, "uid"), revision = meta_string(binding, "resourceVersion");
    if (!uid.empty() && uid != meta_string(old, "uid"))
      return conflict_error(*target.resource, target.name,
                            fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid,
                                        meta_string(old, "uid")));
    if (!revision.empty() && revision != meta_string(old, "resourceVersion"))
      return modified_error(*target.resource, target.name);
    if (is_deleting(old))
      return refuse(fmt::format("pod {} is being deleted, cannot be assigned to a host", target.name));
    const std::string_view assigned = json::get_string(old, {"spec", "nodeName"});
    if (!assigned.empty())
      return refuse(fmt::format("pod {} is already assigned to node \"{}\"", target.name, assigned));
    const Value* gates = json::find(old, {"spec", "schedulingGates"});
    if (gates && gates->IsArray() && !gates->Empty())
      return refuse(fmt::format("pod {} has non-empty .spec.schedulingGates", target.name));
    Document pod = json::copy(old);
    auto& alloc = pod.GetAllocator();
    json::set(json::ensure_object(pod, {"spec"}, alloc), "nodeName", node, alloc);
    overlay(pod, json::find(binding, {"metadata", "annotations"}), "annotations");
    overlay(pod, json::find(binding, {"metadata", "labels"}), "labels");
    json::remove(json::ensure_object(pod, {"status"}, alloc), "nominatedNodeName");
    set_scheduled(pod, now());
    return pod;
  });
  KNARR_RETURN_IF_ERROR(bound.status());
  return created_status();
}

// What keeps a namespace has a name of its own or one of Kubernetes'.
static std::vector<Cause> finalizer_problems(const Value* finalizers) {
  std::vector<Cause> causes;
  if (!finalizers) return causes;
  for (rapidjson::SizeType i = 0; i < finalizers->Size(); ++i) {
    const std::string_view name = json::view((*finalizers)[i]);
    const auto refuse = [&](std::string_view why) {
      causes.push_back(cause_invalid(fmt::format("spec.finalizers[{}]", i), json::go_quoted(name), why));
    };
    for (const std::string& problem : names::qualified_name(name)) refuse(problem);
    const bool standard = name == "kubernetes" || name == "orphan" || name == "foregroundDeletion";
    if (!standard && name.find('/') == std::string_view::npos)
      refuse("name is neither a standard finalizer name nor is it fully qualified");
  }
  return causes;
}

Result<Answer> Rest::Impl::finalize_namespace(RequestContext& context, const Target& target, std::string_view body) {
  KNARR_ASSIGN(const Document sent, decode(context, *target.resource, body));
  return change(context, target, Checks::kInternal, [&](const Document& old) -> Result<Document> {
    if (meta_string(sent, "name") != target.name)
      return bad_request(other_name(meta_string(sent, "name"), target.name));
    const std::string_view revision = meta_string(sent, "resourceVersion");
    if (!revision.empty() && revision != meta_string(old, "resourceVersion"))
      return modified_error(*target.resource, target.name);
    Document ns = json::copy(old);
    auto& alloc = ns.GetAllocator();
    Value& spec = json::ensure_object(ns, {"spec"}, alloc);
    const Value* finalizers = json::find(sent, {"spec", "finalizers"});
    if (finalizers && finalizers->IsArray() && !finalizers->Empty()) {
      json::set(spec, "finalizers", json::copy(*finalizers, alloc), alloc);
    } else {
      json::remove(spec, "finalizers");
    }
    if (auto causes = finalizer_problems(json::find(spec, "finalizers")); !causes.empty())
      return invalid_error(*target.resource, target.name, std::move(causes));
    track(context, target, ns, &old);
    return ns;
  });
}

}  // namespace knarr::apiserver
