#include "knarr/apiserver/document.h"

#include <fmt/format.h>

#include <array>
#include <random>

#include "knarr/apiserver/extract.h"

namespace knarr::apiserver {

namespace {

// Members of metadata in upstream's order.
constexpr std::array<std::string_view, 15> kMetaOrder = {"name",
                                                         "generateName",
                                                         "namespace",
                                                         "selfLink",
                                                         "uid",
                                                         "resourceVersion",
                                                         "generation",
                                                         "creationTimestamp",
                                                         "deletionTimestamp",
                                                         "deletionGracePeriodSeconds",
                                                         "labels",
                                                         "annotations",
                                                         "ownerReferences",
                                                         "finalizers",
                                                         "managedFields"};

std::mt19937_64& random_engine() {
  thread_local std::mt19937_64 engine = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return engine;
}

void append_member(std::string& out, std::string_view key, const json::Value& value) {
  if (out.back() != '{') out += ',';
  json::append_quoted(out, key);
  out += ':';
  json::append(out, value);
}

}  // namespace

std::string object_key(std::string_view ns, std::string_view name) {
  if (ns.empty()) return std::string(name);
  std::string key;
  key.reserve(ns.size() + 1 + name.size());
  return key.append(ns).append("/").append(name);
}

std::pair<std::string_view, std::string_view> split_key(std::string_view key) {
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos) return {{}, key};
  return {key.substr(0, slash), key.substr(slash + 1)};
}

json::Value& metadata_of(json::Value& object, json::Allocator& alloc) {
  return json::ensure_object(object, {"metadata"}, alloc);
}

std::string_view meta_string(const json::Value& object, std::string_view key) {
  return json::get_string(object, {"metadata", key});
}

bool has_finalizers(const json::Value& object) {
  const json::Value* list = json::find(object, {"metadata", "finalizers"});
  return list && list->IsArray() && !list->Empty();
}

std::vector<std::string> finalizers_of(const json::Value& object) {
  std::vector<std::string> out;
  const json::Value* list = json::find(object, {"metadata", "finalizers"});
  if (!list || !list->IsArray()) return out;
  for (const auto& item : list->GetArray())
    if (item.IsString()) out.emplace_back(json::view(item));
  return out;
}

void set_finalizers(json::Value& object, const std::vector<std::string>& finalizers, json::Allocator& alloc) {
  json::Value& metadata = metadata_of(object, alloc);
  if (finalizers.empty()) {
    json::remove(metadata, "finalizers");
    return;
  }
  json::Value list(rapidjson::kArrayType);
  for (const std::string& name : finalizers) list.PushBack(json::string(name, alloc), alloc);
  json::set(metadata, "finalizers", std::move(list), alloc);
}

bool is_deleting(const json::Value& object) { return !meta_string(object, "deletionTimestamp").empty(); }

// Version 4, of random numbers.
std::string new_uid() {
  auto& engine = random_engine();
  std::string out(36, '-');
  uint64_t bits = 0;
  size_t left = 0;  // hexadecimal digits in bits
  for (size_t i = 0; i < out.size(); ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) continue;
    if (left == 0) bits = engine(), left = 16;
    uint64_t digit = bits & 15;
    if (i == 14) digit = 4;
    if (i == 19) digit = 8 | (digit & 3);
    out[i] = "0123456789abcdef"[digit];
    bits >>= 4, --left;
  }
  return out;
}

uint64_t random_number() { return random_engine()(); }

std::string object_prefix(const schema::Resource& resource) {
  std::string out = "{\"kind\":\"";
  out.append(resource.kind).append("\",\"apiVersion\":\"");
  if (!resource.group.empty()) out.append(resource.group).append("/");
  return out.append(resource.version).append("\",");
}

namespace {

// What every object begins with: `prefix`, then metadata.
Encoded encode_metadata(std::string prefix, const json::Value& object) {
  Encoded out;
  std::string& text = out.text;
  text = std::move(prefix);
  text.reserve(4096);  // most fit; what is kept of it is copied
  text += "\"metadata\":{";
  const json::Value* metadata = json::find(object, "metadata");
  for (std::string_view key : kMetaOrder) {
    if (key == "resourceVersion") {
      if (text.back() != '{') text += ',';
      text += "\"resourceVersion\":\"";
      out.rev_pos = static_cast<uint32_t>(text.size());
      text += '"';
      continue;
    }
    const json::Value* value = metadata ? json::find(*metadata, key) : nullptr;
    if (value && !value->IsNull()) append_member(text, key, *value);
  }
  text += '}';
  return out;
}

void append_others(std::string& text, const json::Value& object) {
  for (const auto& member : object.GetObject()) {
    const std::string_view key = json::view(member.name);
    if (key != "kind" && key != "apiVersion" && key != "metadata") append_member(text, key, member.value);
  }
}

}  // namespace

Encoded encode_object(const schema::Resource& resource, const json::Value& object) {
  Encoded out = encode_metadata(object_prefix(resource), object);
  std::string& text = out.text;
  if (resource.custom) append_others(text, object);
  for (const schema::Field& field : resource.type->fields) {
    if (resource.custom || field.name == "kind" || field.name == "apiVersion" || field.name == "metadata") continue;
    if (const json::Value* value = json::find(object, field.name)) append_member(text, field.name, *value);
  }
  text += '}';
  return out;
}

Encoded encode_as_it_is(const json::Value& object) {
  std::string prefix = "{\"kind\":";
  json::append_quoted(prefix, json::get_string(object, "kind"));
  prefix += ",\"apiVersion\":";
  json::append_quoted(prefix, json::get_string(object, "apiVersion"));
  Encoded out = encode_metadata(prefix + ",", object);
  append_others(out.text, object);
  out.text += '}';
  return out;
}

std::string_view revision_digits(const store::Object& object) {
  size_t end = object.rev_pos;
  while (end < object.value.size() && object.value[end] >= '0' && object.value[end] <= '9') ++end;
  return std::string_view(object.value).substr(object.rev_pos, end - object.rev_pos);
}

std::string with_revision(const store::Object& object, store::Revision revision) {
  const std::string_view value = object.value;
  const size_t end = object.rev_pos + revision_digits(object).size();
  return fmt::format("{}{}{}", value.substr(0, object.rev_pos), revision, value.substr(end));
}

std::string with_revision(const Encoded& encoded, std::string_view digits) {
  std::string out = encoded.text;
  return out.insert(encoded.rev_pos, digits);
}

store::Write write_over(store::Write::Op op, const store::Object& existing, StoredForm stored) {
  store::Write write;
  write.op = op;
  write.resource = existing.resource;
  write.key = existing.key;
  write.expect = store::Write::Expect::kRevision;
  write.expected = existing.revision;
  write.extract = std::move(stored.extract);
  write.value = std::move(stored.encoded.text);
  write.rev_pos = stored.encoded.rev_pos;
  return write;
}

store::Write write_over(store::Write::Op op, const schema::Resource& resource, const store::Object& existing,
                        const json::Value& object, Encoded encoded) {
  return write_over(op, existing, {std::move(encoded), extract_of(&resource, object)});
}

}  // namespace knarr::apiserver
