#include "knarr/schema/custom.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "knarr/base/sync.h"
#include "schema/custom_type.h"
#include "schema/documents.h"
#include "schema/structural.h"

namespace knarr::schema {

using json::Value;

// What the versions of one CRD share.
struct Definition {
  std::string crd, group, plural, singular, kind, list_kind, storage_name, storage_version;
  std::vector<std::string> short_names, categories;
  bool namespaced = false, webhook_conversion = false;
  size_t versions = 0;
  uint64_t number = 0;
  std::atomic<uint64_t> since{0};
  std::atomic<bool> retired{false}, terminating{false};

  mutable Mutex mutex;
  Custom::Text text KNARR_GUARDED_BY(mutex);
};

// One Resource with all that it points to.
struct CustomParts {
  CustomParts(std::shared_ptr<Definition> shared, std::string_view version)
      : definition(std::move(shared)), custom(definition, version) {}

  void read(const Value& version);

  std::shared_ptr<Definition> definition;
  Custom custom;
  Resource resource;
  std::vector<std::string> column_texts, field_texts;
  std::vector<std::string_view> short_names, categories, fields;
  std::vector<Subresource> subresources;
  std::vector<Column> columns;

 private:
  void read_columns(const Value& version);
};

namespace {

constexpr std::array<std::string_view, 8> kVerbs = {"delete", "deletecollection", "get",    "list",
                                                    "patch",  "create",           "update", "watch"};
constexpr std::array<std::string_view, 3> kSubresourceVerbs = {"get", "patch", "update"};

std::vector<std::string> words(const Value& object, std::string_view key) {
  std::vector<std::string> out;
  for (const Value& word : items(object, key)) {
    if (word.IsString()) out.emplace_back(json::view(word));
  }
  return out;
}

std::string deprecation_of(const Value& crd, const Definition& definition, const Value& version) {
  if (!json::get_bool(version, "deprecated")) return "";
  if (const Value* text = json::find(version, "deprecationWarning"); text != nullptr && text->IsString())
    return std::string(json::view(*text));
  const std::string_view name = json::get_string(version, "name");
  std::string out = fmt::format("{}/{} {} is deprecated", definition.group, name, definition.kind);
  std::string_view best;
  for (const Value& other : items(child(crd, "spec"), "versions")) {
    const std::string_view candidate = json::get_string(other, "name");
    if (!json::get_bool(other, "served") || json::get_bool(other, "deprecated") || !version_before(candidate, name)) continue;
    if (best.empty() || version_before(candidate, best)) best = candidate;
  }
  if (!best.empty()) out += fmt::format("; use {}/{} {}", definition.group, best, definition.kind);
  return out;
}

}  // namespace

void CustomParts::read_columns(const Value& version) {
  static constexpr Column kName{"Name", "string", "name", "Name of the object.", 0};
  static constexpr Column kAge{"Age", "date", "", "When the object was created.", 0};
  const Value* list = json::find(version, "additionalPrinterColumns");
  columns.push_back(kName);
  if (list == nullptr || !list->IsArray() || list->Empty()) {
    columns.push_back(kAge);
    custom.column_paths_.emplace_back(".metadata.creationTimestamp");
    return;
  }
  column_texts.reserve(list->Size() * 4);  // views into it must stay
  const auto keep = [&](std::string_view text) -> std::string_view { return column_texts.emplace_back(text); };
  for (const Value& column : list->GetArray()) {
    std::string doc(json::get_string(column, "description"));
    const std::string_view path = json::get_string(column, "jsonPath");
    if (doc.empty()) doc = fmt::format("Custom resource definition column (in JSONPath format): {}", path);
    columns.push_back({keep(json::get_string(column, "name")), keep(json::get_string(column, "type")),
                       keep(json::get_string(column, "format")), keep(doc), static_cast<int>(json::get_int(column, "priority"))});
    custom.column_paths_.emplace_back(path);
  }
}

void CustomParts::read(const Value& version) {
  const Definition& d = *definition;
  const auto views = [](const std::vector<std::string>& from) { return std::vector<std::string_view>(from.begin(), from.end()); };
  short_names = views(d.short_names);
  categories = views(d.categories);
  for (const Value& field : items(version, "selectableFields")) {
    std::string_view path = json::get_string(field, "jsonPath");
    if (path.starts_with(".")) path.remove_prefix(1);
    field_texts.emplace_back(path);
  }
  fields = views(field_texts);
  read_columns(version);
  const Value& sub = child(version, "subresources");
  if (json::find(sub, "status") != nullptr) {
    custom.has_status_ = true;
    subresources.push_back({"status", d.group, custom.version(), d.kind, kSubresourceVerbs});
  }
  if (const Value* scale = json::find(sub, "scale"); scale != nullptr && scale->IsObject()) {
    const auto text = [&](std::string_view key) { return std::string(json::get_string(*scale, key)); };
    custom.scale_ = std::make_unique<ScalePaths>(ScalePaths{text("specReplicasPath"), text("statusReplicasPath"), text("labelSelectorPath")});
    subresources.push_back({"scale", "autoscaling", "v1", "Scale", kSubresourceVerbs});
  }
  resource.group = d.group;
  resource.version = custom.version();
  resource.plural = d.plural;
  resource.singular = d.singular;
  resource.kind = d.kind;
  resource.namespaced = d.namespaced;
  resource.short_names = short_names;
  resource.categories = categories;
  resource.verbs = kVerbs;
  resource.subresources = subresources;
  resource.field_selectors = fields;
  resource.type = &untyped_custom();
  resource.storage_name = d.storage_name;
  resource.storage = custom.version() == d.storage_version;
  resource.columns = columns;
  resource.custom = &custom;
}

MadeResources Custom::make(const Value& crd, Text text, uint64_t number) {
  const Value &spec = child(crd, "spec"), &names = child(child(crd, "status"), "acceptedNames");
  auto d = std::make_shared<Definition>();
  d->crd = json::get_string(crd, {"metadata", "name"});
  d->group = json::get_string(spec, "group");
  d->plural = json::get_string(names, "plural");
  d->singular = json::get_string(names, "singular");
  d->kind = json::get_string(names, "kind");
  d->list_kind = json::get_string(names, "listKind");
  d->short_names = words(names, "shortNames");
  d->categories = words(names, "categories");
  d->namespaced = json::get_string(spec, "scope") == "Namespaced";
  d->webhook_conversion = json::get_string(spec, {"conversion", "strategy"}) == "Webhook";
  d->storage_name = fmt::format("{}.{}", d->plural, d->group);
  d->number = number;
  {
    Lock lock(d->mutex);
    d->text = std::move(text);
  }
  for (const Value& version : items(spec, "versions")) {
    ++d->versions;
    if (json::get_bool(version, "storage")) d->storage_version = json::get_string(version, "name");
  }
  MadeResources out;
  for (const Value& version : items(spec, "versions")) {
    if (!json::get_bool(version, "served")) continue;
    auto parts = std::make_shared<CustomParts>(d, json::get_string(version, "name"));
    parts->custom.deprecation_ = deprecation_of(crd, *d, version);
    parts->read(version);
    out.emplace_back(parts, &parts->resource);
  }
  return out;
}

std::optional<Approval> approval_of(const Value& crd) {
  constexpr std::string_view kAnnotation = "api-approved.kubernetes.io";
  constexpr std::string_view kSee = "see https://github.com/kubernetes/enhancements/pull/1111";
  const std::string_view group = json::get_string(crd, {"spec", "group"});
  const auto below = [&](std::string_view domain) {
    return group == domain || (group.ends_with(domain) && group[group.size() - domain.size() - 1] == '.');
  };
  if (!below("k8s.io") && !below("kubernetes.io")) return std::nullopt;
  Approval out;
  out.annotation = json::get_string(crd, {"metadata", "annotations", kAnnotation});
  const std::string_view text = out.annotation;
  const size_t scheme = text.find("://");
  const bool url = scheme != std::string_view::npos && scheme > 0 && text.size() > scheme + 3 && text[scheme + 3] != '/' &&
                   text.find(' ') == std::string_view::npos;
  if (text.empty()) {
    out.condition_reason = "MissingAnnotation";
    out.message = fmt::format("protected groups must have approval annotation \"{}\", {}", kAnnotation, kSee);
  } else if (text.starts_with("unapproved")) {
    out.acceptable = true;
    out.condition_reason = "UnapprovedAnnotation";
    out.message = fmt::format("not approved: \"{}\"", text);
  } else if (url) {
    out.approved = out.acceptable = true;
    out.condition_reason = "ApprovedAnnotation";
    out.message = fmt::format("approved in {}", text);
  } else {
    out.condition_reason = "InvalidAnnotation";
    out.message = fmt::format(
        "protected groups must have approval annotation \"{}\" with either a URL or a reason starting with \"unapproved\", {}",
        kAnnotation, kSee);
  }
  return out;
}

struct Custom::Compiled {
  std::unique_ptr<Structural> structural;
  std::unique_ptr<CustomType> type;
  bool has_defaults = false;
};

Custom::Custom(std::shared_ptr<Definition> definition, std::string_view version)
    : definition_(std::move(definition)), version_(version) {}
Custom::~Custom() = default;

uint64_t Custom::number() const { return definition_->number; }
std::string_view Custom::crd() const { return definition_->crd; }
std::string_view Custom::list_kind() const { return definition_->list_kind; }
std::string_view Custom::storage_version() const { return definition_->storage_version; }
bool Custom::several_versions() const { return definition_->versions > 1; }
bool Custom::webhook_conversion() const { return definition_->webhook_conversion; }
uint64_t Custom::since() const { return definition_->since; }
void Custom::set_since(uint64_t revision) const { definition_->since = revision; }
bool Custom::retired() const { return definition_->retired; }
void Custom::retire() const { definition_->retired = true; }
bool Custom::terminating() const { return definition_->terminating; }
void Custom::set_terminating(bool on) const { definition_->terminating = on; }

void Custom::set_text(Text text) const {
  Lock lock(definition_->mutex);
  definition_->text = std::move(text);
}

json::Document Custom::openapi_schema() const {
  Text text;
  {
    Lock lock(definition_->mutex);
    text = definition_->text;
  }
  const auto crd = json::parse(*text);
  if (crd.ok()) {
    for (const Value& version : items(child(*crd, "spec"), "versions")) {
      if (json::get_string(version, "name") == version_) return json::copy(child(child(version, "schema"), "openAPIV3Schema"));
    }
  }
  return json::Document(rapidjson::kObjectType);
}

const Custom::Compiled& Custom::compiled() const {
  std::call_once(once_, [this] {
    auto compiled = std::make_unique<Compiled>();
    compiled->structural = Structural::read(openapi_schema());
    compiled->has_defaults = compiled->structural && compiled->structural->has_defaults();
    if (compiled->structural) compiled->type = std::make_unique<CustomType>(*compiled->structural, definition_->kind);
    compiled_ = std::move(compiled);
  });
  return *compiled_;
}

const Structural* Custom::structural() const { return compiled().structural.get(); }
bool Custom::has_defaults() const { return compiled().has_defaults; }
const Type* Custom::type() const {
  const Compiled& c = compiled();
  return c.type ? &c.type->root() : nullptr;
}

}  // namespace knarr::schema
