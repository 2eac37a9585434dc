#include "render.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "knarr/apiserver/document.h"
#include "knarr/apiserver/errors.h"
#include "knarr/codec/json.h"
#include "knarr/codec/yaml.h"
#include "knarr/schema/machinery.h"
#include "knarr/schema/protobuf.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kStatusPrefix = R"({"kind":"Status","apiVersion":"v1",)";

bool is_status(std::string_view bytes) { return bytes.substr(0, kStatusPrefix.size()) == kStatusPrefix; }

// The end of the JSON value that begins at `from` with { : behind its }.
size_t end_of_object(std::string_view text, size_t from) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = from; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return text.size();
}

// Metadata as it is without the annotations that only a version of the kind keeps fields in.
std::string partial_metadata(const schema::Resource& resource, std::string_view metadata) {
  const bool daemons = resource.storage_name == "daemonsets.apps";
  const bool scalers = resource.group == "autoscaling" && resource.version == "v1";
  const std::string_view prefix = daemons ? "deprecated.daemonset.template.generation" : "autoscaling.alpha.kubernetes.io/";
  if ((!daemons && !scalers) || metadata.find(prefix) == metadata.npos) return std::string(metadata);
  auto document = json::parse(metadata);
  json::Value* annotations = document.ok() ? json::find(*document, "annotations") : nullptr;
  if (!annotations || !annotations->IsObject()) return std::string(metadata);
  for (auto member = annotations->MemberBegin(); member != annotations->MemberEnd();)
    member = json::view(member->name).starts_with(prefix) ? annotations->EraseMember(member) : member + 1;
  if (annotations->ObjectEmpty()) json::remove(*document, "annotations");
  return json::dump(*document);
}

// The metadata of a table with one object: that object's revision.
std::string table_metadata(std::string_view bytes) {
  constexpr std::string_view kKey = "\"resourceVersion\":\"";
  const std::string_view metadata = metadata_text(bytes);
  const size_t at = metadata.find(kKey);
  if (at == std::string_view::npos) return {};
  const size_t end = metadata.find('"', at + kKey.size());
  return std::string(metadata.substr(at, end + 1 - at));
}

void append_pod_conditions(std::string& out, const json::Value& pod) {
  const std::string_view phase = json::get_string(pod, {"status", "phase"});
  if (phase != "Succeeded" && phase != "Failed") return;
  out +=
      fmt::format(R"(,"conditions":[{{"type":"Completed","status":"True","reason":"{}","message":"The pod has {}."}}])",
                  phase, phase == "Succeeded" ? "completed successfully" : "failed");
}

// With the members of every object in the order of their names, as upstream's YAML has them.
json::Document sorted(const json::Value& value) {
  json::Document out = json::copy(value);
  const auto sort = [](auto&& self, json::Value& of) -> void {
    if (of.IsArray()) {
      for (json::Value& item : of.GetArray()) self(self, item);
    } else if (of.IsObject()) {
      for (auto& member : of.GetObject()) self(self, member.value);
      std::vector<std::pair<json::Value, json::Value>> members;
      for (auto& member : of.GetObject()) members.emplace_back(std::move(member.name), std::move(member.value));
      std::sort(members.begin(), members.end(),
                [](const auto& a, const auto& b) { return json::view(a.first) < json::view(b.first); });
      size_t i = 0;
      for (auto& member : of.GetObject()) {
        member.name = std::move(members[i].first);
        member.value = std::move(members[i++].second);
      }
    }
  };
  sort(sort, out);
  return out;
}

// FlowSchemas as requests are compared with them.
std::vector<store::ObjectPtr> in_matching_order(const std::vector<store::ObjectPtr>& objects) {
  std::vector<std::pair<int64_t, store::ObjectPtr>> keyed;
  for (const store::ObjectPtr& object : objects) {
    const auto document = json::parse(object->value);
    const json::Value* spec = document.ok() ? json::find(*document, "spec") : nullptr;
    keyed.emplace_back(spec ? json::get_int(*spec, "matchingPrecedence") : 0, object);
  }
  std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<store::ObjectPtr> out;
  for (auto& [precedence, object] : keyed) out.push_back(std::move(object));
  return out;
}

}  // namespace

std::string format_json(std::string text, const Output& output) {
  if (!output.yaml && !output.pretty && !output.protobuf) return text;
  const auto document = json::parse(text);
  if (!document.ok()) return text;
  if (output.protobuf) {
    auto encoded = schema::encode_protobuf(*document);
    return encoded.ok() ? std::move(*encoded) : text;
  }
  return output.yaml ? yaml::dump(sorted(*document)) : json::dump_pretty(*document) + "\n";
}

std::string_view metadata_text(std::string_view bytes) {
  // Canonical bytes have metadata third, behind kind and apiVersion, whose values contain no braces.
  constexpr std::string_view kKey = ",\"metadata\":{";
  const size_t at = bytes.find(kKey);
  if (at == std::string_view::npos) return "{}";
  const size_t begin = at + kKey.size() - 1;
  return bytes.substr(begin, end_of_object(bytes, begin) - begin);
}

std::string Renderer::partial(std::string_view bytes) const {
  return fmt::format(R"({{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/{}","metadata":{}}})",
                     output_.meta_version, partial_metadata(resource_, metadata_text(bytes)));
}

void Renderer::append_table_head(std::string& out, std::string_view metadata, bool columns) const {
  out += fmt::format(R"({{"kind":"Table","apiVersion":"meta.k8s.io/{}","metadata":{{{}}},"columnDefinitions":)",
                     output_.meta_version, metadata);
  if (columns) {
    out += '[';
    bool first = true;
    for (const schema::Column& column : schema::columns(resource_)) {
      out += first ? "{\"name\":" : ",{\"name\":";
      first = false;
      json::append_quoted(out, column.name);
      out += ",\"type\":";
      json::append_quoted(out, column.type);
      out += ",\"format\":";
      json::append_quoted(out, column.format);
      out += ",\"description\":";
      json::append_quoted(out, column.doc);
      out += fmt::format(",\"priority\":{}}}", column.priority);
    }
    out += ']';
  } else {
    out += "null";
  }
  out += ",\"rows\":[";
}

void Renderer::append_row(std::string& out, std::string_view bytes) const {
  const auto document = json::parse(bytes);
  if (!document.ok()) return;
  json::Document cells(rapidjson::kArrayType);
  schema::print_row(resource_, *document, now_, cells, cells.GetAllocator());
  if (out.back() != '[') out += ',';
  out += "{\"cells\":";
  json::append(out, cells);
  if (resource_.storage_name == "pods") append_pod_conditions(out, *document);
  out += ",\"object\":";
  if (output_.include_object == "None") {
    out += "null";
  } else if (output_.include_object == "Object") {
    out += bytes;
  } else {
    out += partial(bytes);
  }
  out += '}';
}

std::string Renderer::plain(std::string_view bytes) const {
  if (is_status(bytes) || output_.shape == Shape::kObject) return std::string(bytes);
  if (output_.shape != Shape::kTable) return partial(bytes);
  std::string out;
  append_table_head(out, table_metadata(bytes), true);
  append_row(out, bytes);
  return out += "]}";
}

std::string Renderer::object(std::string_view bytes) const { return format_json(plain(bytes), output_); }

void Renderer::append_message(std::string& out, std::string_view bytes) const {
  std::string message;
  if (output_.shape == Shape::kObject) {
    if (const auto document = json::parse(bytes); document.ok())
      schema::append_protobuf_message(message, *resource_.type, *document);
  } else if (const auto metadata = json::parse(metadata_text(bytes)); metadata.ok()) {
    std::string inner;
    schema::append_protobuf_message(inner, *schema::find_type("meta/v1.ObjectMeta"), *metadata);
    schema::append_protobuf_field(message, 1, inner);
  }
  schema::append_protobuf_field(out, 2, message);
}

std::string Renderer::protobuf_list(const ListAnswer& list) const {
  json::Document metadata(rapidjson::kObjectType);
  auto& alloc = metadata.GetAllocator();
  json::set(metadata, "resourceVersion", std::to_string(list.revision), alloc);
  if (!list.continue_token.empty()) json::set(metadata, "continue", list.continue_token, alloc);
  if (list.remaining) json::set(metadata, "remainingItemCount", json::Value(*list.remaining), alloc);
  std::string head, message, out;
  schema::append_protobuf_message(head, *schema::find_type("meta/v1.ListMeta"), metadata);
  schema::append_protobuf_field(message, 1, head);
  for (const auto& object : list.objects) append_message(message, object->value);
  if (output_.shape == Shape::kObject) {
    schema::append_protobuf_envelope(out, group_version(resource_), fmt::format("{}List", resource_.kind), message);
  } else {
    schema::append_protobuf_envelope(out, fmt::format("meta.k8s.io/{}", output_.meta_version), "PartialObjectMetadataList",
                                     message);
  }
  return out;
}

// A frame is a WatchEvent with its size before it, which holds the object with its own envelope. What many watches tell one after
// the other is encoded once.
void Renderer::protobuf_frame(std::string& out, const WatchItem& item) const {
  thread_local struct {
    store::ObjectPtr object;
    Shape shape = Shape::kObject;
    std::string bytes;
  } last;
  std::string own;
  const bool kept = item.object && item.body.empty() && last.object == item.object && last.shape == output_.shape;
  if (!kept) {
    own = format_json(item.type == WatchType::kError ? std::string(item.bytes()) : plain(item.bytes()), output_);
    if (item.object && item.body.empty()) last = {item.object, output_.shape, own};
  }
  std::string raw, event;
  schema::append_protobuf_field(raw, 1, kept ? last.bytes : own);
  schema::append_protobuf_field(event, 1, to_string(item.type));
  schema::append_protobuf_field(event, 2, raw);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(event.size() >> shift);
  out += event;
}

std::string Renderer::list(const ListAnswer& list) const {
  if (output_.protobuf) return protobuf_list(list);
  if (output_.shape == Shape::kObject) return format_json(list.to_json(), output_);
  std::string metadata = fmt::format(R"("resourceVersion":"{}")", list.revision);
  if (!list.continue_token.empty()) metadata += fmt::format(R"(,"continue":"{}")", list.continue_token);
  if (list.remaining) metadata += fmt::format(R"(,"remainingItemCount":{})", *list.remaining);
  std::string out;
  if (output_.shape == Shape::kTable) {
    append_table_head(out, metadata, true);
    const bool sorted = resource_.storage_name == "flowschemas.flowcontrol.apiserver.k8s.io";
    const std::vector<store::ObjectPtr> rows = sorted ? in_matching_order(list.objects) : std::vector<store::ObjectPtr>();
    for (const auto& object : sorted ? rows : list.objects) append_row(out, object->value);
  } else {
    out =
        fmt::format(R"({{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/{}","metadata":{{{}}},"items":[)",
                    output_.meta_version, metadata);
    for (const auto& object : list.objects) {
      if (out.back() != '[') out += ',';
      out += partial(object->value);
    }
  }
  return format_json(out += "]}", output_);
}

void Renderer::watch_frame(std::string& out, const WatchItem& item, WallTime now) {
  now_ = now;
  if (output_.protobuf) return protobuf_frame(out, item);
  out += "{\"type\":\"";
  out += to_string(item.type);
  out += "\",\"object\":";
  const std::string_view bytes = item.bytes();
  if (output_.shape == Shape::kObject || item.type == WatchType::kError) {
    out += bytes;
  } else if (output_.shape != Shape::kTable) {
    out += partial(bytes);
  } else {
    std::string table;
    append_table_head(table, table_metadata(bytes), !columns_shown_);
    columns_shown_ = true;
    append_row(table, bytes);
    out += table;
    out += "]}";
  }
  out += "}\n";
}

}  // namespace knarr::apiserver
