#include "selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "knarr/apiserver/document.h"
#include "knarr/schema/machinery.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kName = "metadata.name", kNamespace = "metadata.namespace";

// Pods know spec.nodeName by an old name too.
std::string_view canonical_field(std::string_view field) { return field == "spec.host" ? "spec.nodeName" : field; }

// The name under which a field is extracted: that of the version in which its object is stored.
std::string stored_field(std::string_view field) {
  if (field == "reportingController") return "reportingComponent";  // Events of events.k8s.io
  if (constexpr std::string_view kNew = "regarding."; field.starts_with(kNew))
    return fmt::format("involvedObject.{}", field.substr(kNew.size()));
  return std::string(canonical_field(field));
}

bool is_slice(const schema::Resource& resource) { return resource.storage_name == "resourceslices.resource.k8s.io"; }

// Some kinds say it in words of their own.
Status unknown_field(const schema::Resource& resource, std::string_view field) {
  if (resource.storage_name == "jobs.batch") return bad_request(fmt::format("field label \"{}\" not supported for Job", field));
  if (is_slice(resource)) return bad_request(fmt::format("field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}", field));
  if (!resource.field_selectors.empty() || resource.custom) return bad_request(fmt::format("field label not supported: {}", field));
  return bad_request(
      fmt::format("\"{}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"", field));
}

}  // namespace

Result<Selection> Selection::make(const Target& target, const ListParams& params) {
  Selection out;
  if (!params.label_selector.empty()) {
    KNARR_ASSIGN(out.labels_, selector::Labels::parse(params.label_selector));
  }
  if (!params.field_selector.empty()) {
    KNARR_ASSIGN(out.fields_, selector::Fields::parse(params.field_selector));
  }
  for (const auto& term : out.fields_.terms()) {
    if (term.field == kName || (term.field == kNamespace && !is_slice(*target.resource))) continue;
    const auto& known = target.resource->field_selectors;
    if (std::find(known.begin(), known.end(), canonical_field(term.field)) == known.end())
      return unknown_field(*target.resource, term.field);
  }
  if (target.resource->custom) out.custom_ = target.resource;
  if (!target.ns.empty()) out.prefix_ = object_key(target.ns, "");
  if (!target.ns.empty() || !target.resource->namespaced) {
    if (auto name = out.fields_.exact(kName)) out.prefix_ += *name;
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> Selection::exact_labels() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const selector::Requirement& requirement : labels_.requirements())
    if (const auto value = labels_.exact(requirement.key)) out.emplace_back(requirement.key, *value);
  return out;
}

bool Selection::matches(const store::Object& object) const {
  if (!prefix_.empty() && object.key.compare(0, prefix_.size(), prefix_) != 0) return false;
  std::optional<json::Document> document;  // of a custom resource, when it is asked for
  for (const auto& term : fields_.terms()) {
    const auto [ns, name] = split_key(object.key);
    std::string field;
    std::string_view value;
    if (term.field == kName) {
      value = name;
    } else if (term.field == kNamespace) {
      value = ns;
    } else if (custom_) {
      if (!document) {
        auto parsed = json::parse(object.value);
        if (!parsed.ok()) return false;
        document = std::move(*parsed);
      }
      field = schema::field_value(*custom_, *document, term.field);
      value = field;
    } else {
      const auto& fields = object.extract.fields;
      const std::string wanted = stored_field(term.field);
      const auto found = std::lower_bound(fields.begin(), fields.end(), wanted,
                                          [](const auto& pair, std::string_view key) { return pair.first < key; });
      if (found != fields.end() && found->first == wanted) value = found->second;
    }
    if ((value == term.value) != term.equals) return false;
  }
  return labels_.is_everything() || labels_.matches(selector::Pairs(object.extract.labels));
}

}  // namespace knarr::apiserver
