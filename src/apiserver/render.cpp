#include "render.h"

#include <fmt/format.h>

#include "knarr/apiserver/document.h"
#include "knarr/codec/json.h"
#include "knarr/codec/yaml.h"
#include "knarr/schema/machinery.h"

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

}  // namespace

std::string format_json(std::string text, const Output& output) {
  if (!output.yaml && !output.pretty) return text;
  const auto document = json::parse(text);
  if (!document.ok()) return text;
  return output.yaml ? yaml::dump(*document) : json::dump_pretty(*document) + "\n";
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
                     output_.meta_version, metadata_text(bytes));
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

std::string Renderer::list(const ListAnswer& list) const {
  if (output_.shape == Shape::kObject) return format_json(list.to_json(), output_);
  std::string metadata = fmt::format(R"("resourceVersion":"{}")", list.revision);
  if (!list.continue_token.empty()) metadata += fmt::format(R"(,"continue":"{}")", list.continue_token);
  if (list.remaining) metadata += fmt::format(R"(,"remainingItemCount":{})", *list.remaining);
  std::string out;
  if (output_.shape == Shape::kTable) {
    append_table_head(out, metadata, true);
    for (const auto& object : list.objects) append_row(out, object->value);
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

void Renderer::watch_frame(std::string& out, const WatchItem& item) {
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
