#include "pod_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/apiserver/errors.h"
#include "preparation.h"

namespace knarr::apiserver {

namespace {

using json::Allocator;
using json::Value;

constexpr std::string_view kEphemeral = "ephemeralcontainers", kResize = "resize";
constexpr std::string_view kMirror = "kubernetes.io/config.mirror";

const Value& list_of(const Value& pod, std::string_view name) {
  static const Value none(rapidjson::kArrayType);
  const Value* list = json::find(pod, {"spec", name});
  return list && list->IsArray() ? *list : none;
}

void take(Value& object, const Value& old, std::string_view key, Allocator& alloc) {
  if (const Value* value = json::find(old, key)) {
    json::set(object, key, json::copy(*value, alloc), alloc);
  } else {
    json::remove(object, key);
  }
}

// The old containers with the amounts of the new ones; the new ones where they are not the same containers, which is then refused.
Value resized(const Value& now, const Value& before, Allocator& alloc) {
  for (rapidjson::SizeType i = 0; i < now.Size(); ++i)
    if (json::get_string(now[i], "name") != json::get_string(before[i], "name")) return json::copy(now, alloc);
  Value out = json::copy(before, alloc);
  for (rapidjson::SizeType i = 0; i < now.Size(); ++i) {
    take(out[i], now[i], "resources", alloc);
    take(out[i], now[i], "resizePolicy", alloc);
  }
  return out;
}

void check_order(const Value& pod, const Value& old, std::string_view name, std::vector<Cause>& causes) {
  const Value &now = list_of(pod, name), &before = list_of(old, name);
  const std::string path = fmt::format("spec.{}", name);
  if (now.Size() != before.Size()) {
    causes.push_back(cause_forbidden(path, fmt::format("{} may not be added or removed on resize", name)));
    return;
  }
  for (rapidjson::SizeType i = 0; i < now.Size(); ++i)
    if (json::get_string(now[i], "name") != json::get_string(before[i], "name"))
      causes.push_back(cause_forbidden(fmt::format("{}[{}].name", path, i),
                                       fmt::format("{} may not be renamed or reordered on resize", name)));
}

bool removed(const Value& container, const Value& old, std::string_view side) {
  const Value *now = json::find(container, {"resources", side}), *before = json::find(old, {"resources", side});
  if (!before || !before->IsObject()) return false;
  return std::any_of(before->MemberBegin(), before->MemberEnd(),
                     [&](const auto& member) { return !now || !json::find(*now, json::view(member.name)); });
}

bool is_sidecar(const Value& container) { return json::get_string(container, "restartPolicy") == "Always"; }

// Whether something other than processors and memory differs.
bool other_amounts_differ(const Value& container, const Value& old) {
  const auto rest = [](const Value& of) {
    json::Document copy = json::copy(of);
    json::remove(copy, "resizePolicy");
    for (std::string_view side : {"requests", "limits"}) {
      Value* amounts = json::find(copy, {"resources", side});
      if (!amounts) continue;
      json::remove(*amounts, "cpu");
      json::remove(*amounts, "memory");
      if (amounts->ObjectEmpty()) json::remove(*json::find(copy, "resources"), side);
    }
    return copy;
  };
  return !json::equal(rest(container), rest(old));
}

void check_ephemeral(const Value& pod, const Value& old, std::vector<Cause>& causes) {
  for (const Value& before : list_of(old, "ephemeralContainers").GetArray()) {
    const std::string_view name = json::get_string(before, "name");
    const auto& all = list_of(pod, "ephemeralContainers");
    const auto now = std::find_if(all.Begin(), all.End(), [&](const Value& c) { return json::get_string(c, "name") == name; });
    if (now == all.End()) {
      causes.push_back(cause_forbidden("spec.ephemeralContainers",
                                       fmt::format("existing ephemeral containers \"{}\" may not be removed\n", name)));
    } else if (!json::equal(*now, before)) {
      causes.push_back(cause_forbidden("spec.ephemeralContainers",
                                       fmt::format("existing ephemeral containers \"{}\" may not be changed\n", name)));
    }
  }
}

void check_resize(const Value& pod, const Value& old, std::vector<Cause>& causes) {
  const std::string_view qos = json::get_string(old, {"status", "qosClass"});
  if (!qos.empty() && qos != prepare::qos_class_of(pod))
    causes.push_back(cause_invalid("spec", fmt::format("\"{}\"", qos), "Pod QOS Class may not change as a result of resizing"));
  const size_t before = causes.size();
  check_order(pod, old, "containers", causes);
  check_order(pod, old, "initContainers", causes);
  if (causes.size() > before) return;
  for (std::string_view name : {"initContainers", "containers"}) {
    const Value &now = list_of(pod, name), &was = list_of(old, name);
    for (rapidjson::SizeType i = 0; i < now.Size(); ++i) {
      const std::string path = fmt::format("spec.{}[{}].resources", name, i);
      if (removed(now[i], was[i], "requests"))
        causes.push_back(cause_forbidden(path + ".requests", "resource requests cannot be removed"));
      if (removed(now[i], was[i], "limits"))
        causes.push_back(cause_forbidden(path + ".limits", "resource limits cannot be removed"));
    }
  }
  const Value &containers = list_of(pod, "containers"), &inits = list_of(pod, "initContainers");
  for (rapidjson::SizeType i = 0; i < containers.Size(); ++i)
    if (other_amounts_differ(containers[i], list_of(old, "containers")[i]))
      causes.push_back(cause_forbidden("spec", "only cpu and memory resources are mutable"));
  for (rapidjson::SizeType i = 0; i < inits.Size(); ++i) {
    const Value& was = list_of(old, "initContainers")[i];
    if (!is_sidecar(was)) {
      if (!json::equal(inits[i], was))
        causes.push_back(cause_forbidden("spec", "resources for non-sidecar init containers are immutable"));
    } else if (other_amounts_differ(inits[i], was)) {
      causes.push_back(cause_forbidden(fmt::format("spec.initContainers[{}]", i),
                                       "only cpu and memory resources for init or sidecar containers are mutable"));
    }
  }
}

}  // namespace

bool is_pod_part(std::string_view subresource) { return subresource == kEphemeral || subresource == kResize; }

void prepare_pod_part(std::string_view subresource, Value& pod, const Value& old, Allocator& alloc) {
  Value containers, inits, ephemeral;
  if (subresource == kEphemeral) {
    ephemeral = json::copy(list_of(pod, "ephemeralContainers"), alloc);
  } else {
    const Value &now = list_of(pod, "containers"), &init_now = list_of(pod, "initContainers");
    if (now.Size() != list_of(old, "containers").Size() || init_now.Size() != list_of(old, "initContainers").Size()) return;
    containers = resized(now, list_of(old, "containers"), alloc);
    inits = resized(init_now, list_of(old, "initContainers"), alloc);
  }
  take(pod, old, "spec", alloc);
  take(pod, old, "status", alloc);
  Value& spec = json::ensure_object(pod, {"spec"}, alloc);
  if (subresource == kEphemeral) {
    json::remove(spec, "ephemeralContainers");
    if (!ephemeral.Empty()) json::set(spec, "ephemeralContainers", std::move(ephemeral), alloc);
  } else {
    json::set(spec, "containers", std::move(containers), alloc);
    if (!inits.Empty()) json::set(spec, "initContainers", std::move(inits), alloc);
  }
  Value& metadata = json::ensure_object(pod, {"metadata"}, alloc);
  const Value* old_metadata = json::find(old, "metadata");
  for (std::string_view key : {"labels", "annotations", "finalizers", "ownerReferences"})
    if (old_metadata) take(metadata, *old_metadata, key, alloc);
}

std::vector<Cause> validate_pod_part(std::string_view subresource, const Value& pod, const Value& old) {
  std::vector<Cause> causes;
  const bool ephemeral = subresource == kEphemeral;
  if (json::find(old, {"metadata", "annotations", kMirror})) {
    causes.push_back(
        cause_forbidden("", ephemeral ? "static pods do not support ephemeral containers" : "static pods cannot be resized"));
  } else if (ephemeral) {
    check_ephemeral(pod, old, causes);
  } else {
    check_resize(pod, old, causes);
  }
  return causes;
}

}  // namespace knarr::apiserver
