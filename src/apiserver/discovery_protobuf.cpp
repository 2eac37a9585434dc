#include "discovery_protobuf.h"

#include <cstdint>
#include <span>

#include "knarr/codec/json.h"
#include "knarr/schema/protobuf.h"

namespace knarr::apiserver {

namespace {

using json::Value;

// A message: its fields as JSON names them. All are texts, messages or lists of either.
struct Member {
  std::string_view name;
  uint32_t number;
  std::span<const Member> message;  // empty: a text
};

// Numbers of k8s.io/api/apidiscovery/v2 and of the metadata in it.
constexpr Member kListMeta[] = {{"selfLink", 1, {}}, {"resourceVersion", 2, {}}, {"continue", 3, {}}};
constexpr Member kObjectMeta[] = {{"name", 1, {}}};
constexpr Member kGroupVersionKind[] = {{"group", 1, {}}, {"version", 2, {}}, {"kind", 3, {}}};
constexpr Member kSubresource[] = {
    {"subresource", 1, {}}, {"responseKind", 2, kGroupVersionKind}, {"acceptedTypes", 3, kGroupVersionKind}, {"verbs", 4, {}}};
constexpr Member kResource[] = {{"resource", 1, {}},         {"responseKind", 2, kGroupVersionKind},
                                {"scope", 3, {}},            {"singularResource", 4, {}},
                                {"verbs", 5, {}},            {"shortNames", 6, {}},
                                {"categories", 7, {}},       {"subresources", 8, kSubresource}};
constexpr Member kVersion[] = {{"version", 1, {}}, {"resources", 2, kResource}, {"freshness", 3, {}}};
constexpr Member kGroup[] = {{"metadata", 1, kObjectMeta}, {"versions", 2, kVersion}};
constexpr Member kList[] = {{"metadata", 1, kListMeta}, {"items", 2, kGroup}};

std::string message(const Value& object, std::span<const Member> members);

void append(std::string& out, const Member& member, const Value& value) {
  if (value.IsArray()) {
    for (const Value& item : value.GetArray()) append(out, member, item);
  } else if (!member.message.empty()) {
    schema::append_protobuf_field(out, member.number, message(value, member.message));
  } else {
    schema::append_protobuf_field(out, member.number, json::view(value));
  }
}

std::string message(const Value& object, std::span<const Member> members) {
  std::string out;
  for (const Member& member : members)
    if (const Value* value = json::find(object, member.name)) append(out, member, *value);
  return out;
}

}  // namespace

std::string discovery_protobuf(std::string_view text) {
  const auto document = json::parse(text);
  std::string out;
  if (document.ok())
    schema::append_protobuf_envelope(out, json::get_string(*document, "apiVersion"), json::get_string(*document, "kind"),
                                     message(*document, kList));
  return out;
}

}  // namespace knarr::apiserver
