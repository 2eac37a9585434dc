// Writes the tables of include/knarr/schema/type.h as constant data.
#include <algorithm>
#include <numeric>
#include <set>
#include <sstream>

#include "model.h"

namespace knarr::schemagen {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string symbol(const std::string& full_name) {  // core/v1.Pod → core_v1_Pod
  std::string s = full_name;
  for (char& c : s) {
    if (c == '/' || c == '.') c = '_';
  }
  return s;
}

const char* shape_of(const TypeRef& ref) {
  if (ref.form == TypeRef::kList) return "kList";
  if (ref.form == TypeRef::kMap) return "kMap";
  if (!ref.alternative.empty()) return "kAny";
  static const std::map<std::string, const char*> words = {
      {"string", "kString"}, {"int32", "kInt32"},         {"int64", "kInt64"},       {"bool", "kBool"},         {"double", "kDouble"},
      {"bytes", "kBytes"},   {"time", "kTime"},           {"microTime", "kMicroTime"}, {"duration", "kDuration"}, {"quantity", "kQuantity"},
      {"any", "kAny"},       {"intOrString", "kIntOrString"}, {"raw", "kAny"},         {"fieldsV1", "kAny"}};
  auto it = words.find(ref.name);
  return it == words.end() ? "kObject" : it->second;
}

// Go's omitempty does nothing to a struct, and these shapes are structs there.
bool may_be_omitted(const Field& f) {
  std::string s = shape_of(f.type);
  bool go_struct = !f.pointer && (s == "kObject" || s == "kIntOrString" || s == "kQuantity" || s == "kTime" || s == "kMicroTime");
  return f.omit_zero || (f.omit_empty && !go_struct);
}

// Whether defaulting has something to do when the field is absent.
bool is_defaulted(const Field& f) {
  if (!f.default_json.empty() || !f.sets_json.empty()) return true;
  return !may_be_omitted(f) && std::string_view(shape_of(f.type)) != "kAny";
}

const TypeRef& innermost(const TypeRef& ref) { return ref.form == TypeRef::kNamed ? ref : innermost(*ref.element); }

class Writer {
 public:
  explicit Writer(const Model& model) : model_(model) {}

  std::string run() {
    for (const Type& type : model_.types) body_ << "extern const Type " << symbol(type.full_name()) << ";\n";
    body_ << "\n";
    for (const Type& type : model_.types) write(type);
    write_resources();

    std::ostringstream out;
    out << "// Made by knarr_schemagen from src/schema/api/*.kapi; edit those.\n#include <iterator>\n\n"
        << "#include \"knarr/schema/type.h\"\n#include \"schema/tables.h\"\n\n"
        << "namespace knarr::schema::tables {\n\n"
        << lists_.str() << "\n"
        << body_.str() << "\n}  // namespace knarr::schema::tables\n";
    return out.str();
  }

 private:
  // The name of a shared array with these words.
  std::string list(const std::vector<std::string>& words) {
    if (words.empty()) return "{}";
    std::string text;
    for (const auto& w : words) text += (text.empty() ? "" : ", ") + quoted(w);
    auto [it, fresh] = known_lists_.emplace(text, "words" + std::to_string(known_lists_.size()));
    if (fresh) lists_ << "constexpr std::string_view " << it->second << "[] = {" << text << "};\n";
    return it->second;
  }

  void write(const Field& f) {
    const char* shape = shape_of(f.type);
    body_ << "    {.name = " << quoted(f.name) << ", .doc = " << quoted(f.doc) << ", .shape = Shape::" << shape;
    if (f.type.element) body_ << ", .element = Shape::" << shape_of(*f.type.element);
    if (f.type.element && f.type.element->element) body_ << ", .inner = Shape::" << shape_of(*f.type.element->element);
    const TypeRef& leaf = innermost(f.type);
    if (leaf.name == "raw") body_ << ", .any = AnyKind::kObject";
    if (leaf.name == "fieldsV1") body_ << ", .any = AnyKind::kFieldsV1";
    if (leaf.alternative == "array") body_ << ", .any = AnyKind::kTypeOrArray";
    if (leaf.alternative == "bool") body_ << ", .any = AnyKind::kTypeOrBool";
    if (leaf.alternative == "strings") body_ << ", .any = AnyKind::kTypeOrStrings";
    if (!is_scalar(leaf.name)) body_ << ", .type = &" << symbol(leaf.name);
    if (f.required) body_ << ", .required = true";
    std::string s = shape;
    if (may_be_omitted(f)) body_ << ", .omit_empty = true";
    if (f.pointer) body_ << ", .pointer = true";
    bool map_field = f.type.form == TypeRef::kMap || s == "kObject";
    if (f.atomic && map_field) body_ << ", .atomic_map = true";
    if (f.granular) body_ << ", .granular = true";
    if (f.set) body_ << ", .list = ListType::kSet";
    if (!f.list_keys.empty()) body_ << ", .list = ListType::kMap, .list_keys = " << list(f.list_keys);
    if (f.atomic && !map_field) body_ << ", .list = ListType::kAtomic";
    if (f.merge) body_ << ", .patch_merge = true";
    if (f.retain_keys) body_ << ", .patch_retain_keys = true";
    if (f.replace) body_ << ", .patch_replace = true";
    if (!f.merge_key.empty()) body_ << ", .patch_key = " << quoted(f.merge_key);
    if (!f.default_json.empty()) body_ << ", .default_json = " << quoted(f.default_json);
    if (!f.sets_json.empty()) body_ << ", .sets_json = " << quoted(f.sets_json);
    if (!f.enum_values.empty()) body_ << ", .enum_values = " << list(f.enum_values);
    if (f.pb_number) body_ << ", .pb_number = " << f.pb_number;
    if (f.pb_outer) body_ << ", .pb_outer = " << f.pb_outer;
    body_ << "},\n";
  }

  void write(const Type& type) {
    std::string name = symbol(type.full_name());
    std::vector<Field> fields;
    if (type.is_kind) {
      for (const char* word : {"kind", "apiVersion"}) {
        Field f;
        f.name = word;
        f.doc = f.name == "kind" ? "The kind of the object." : "The group and version of the schema that the object is written in.";
        f.type.name = "string";
        f.omit_empty = true;
        fields.push_back(f);
      }
    }
    fields.insert(fields.end(), type.fields.begin(), type.fields.end());
    bool has_defaults = false;
    if (!fields.empty()) {
      body_ << "constexpr Field fields_" << name << "[] = {\n";
      for (const Field& f : fields) write(f);
      body_ << "};\n";
      std::vector<size_t> order(fields.size());
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return fields[a].name < fields[b].name; });
      body_ << "constexpr uint16_t order_" << name << "[] = {";
      for (size_t i = 0; i < order.size(); ++i) body_ << (i ? ", " : "") << order[i];
      body_ << "};\n";
      std::string defaulted;
      for (size_t i = 0; i < fields.size(); ++i) {
        if (is_defaulted(fields[i])) defaulted += (defaulted.empty() ? "" : ", ") + std::to_string(i);
      }
      if (!defaulted.empty()) body_ << "constexpr uint16_t defaulted_" << name << "[] = {" << defaulted << "};\n";
      has_defaults = !defaulted.empty();
    }
    body_ << "constinit const Type " << name << " = {.name = " << quoted(type.full_name()) << ", .doc = " << quoted(type.doc);
    if (!fields.empty()) body_ << ", .fields = fields_" << name << ", .by_name = order_" << name;
    if (has_defaults) body_ << ", .defaulted = defaulted_" << name;
    if (type.is_kind)
      body_ << ", .group = " << quoted(type.group) << ", .version = " << quoted(type.version) << ", .kind = " << quoted(type.name);
    if (type.atomic) body_ << ", .atomic = true";
    body_ << "};\n\n";
  }

  void write_resources() {
    std::ostringstream rows;
    for (const Resource& r : model_.resources) {
      const Type& type = *model_.find(r.type);
      std::string name = symbol(type.package + "." + r.plural);
      if (!r.subresources.empty()) {
        body_ << "constexpr Subresource sub_" << name << "[] = {\n";
        for (const Subresource& s : r.subresources) {
          const Type& t = *model_.find(s.type);
          body_ << "    {.name = " << quoted(s.name) << ", .group = " << quoted(t.group) << ", .version = " << quoted(t.version)
                << ", .kind = " << quoted(t.name) << ", .verbs = " << list(s.verbs) << "},\n";
        }
        body_ << "};\n";
      }
      if (!r.columns.empty()) {
        body_ << "constexpr Column columns_" << name << "[] = {\n";
        for (const Column& c : r.columns)
          body_ << "    {.name = " << quoted(c.name) << ", .type = " << quoted(c.type) << ", .format = " << quoted(c.format)
                << ", .doc = " << quoted(c.doc) << ", .priority = " << c.priority << "},\n";
        body_ << "};\n";
      }
      rows << "    {.group = " << quoted(type.group) << ", .version = " << quoted(type.version) << ", .plural = " << quoted(r.plural)
           << ", .singular = " << quoted(r.singular) << ", .kind = " << quoted(type.name)
           << ", .namespaced = " << (r.namespaced ? "true" : "false") << ", .short_names = " << list(r.short_names)
           << ", .categories = " << list(r.categories) << ", .verbs = " << list(r.verbs)
           << ", .subresources = " << (r.subresources.empty() ? "{}" : "sub_" + name)
           << ", .field_selectors = " << list(r.field_selectors) << ", .storage_version_hash = " << quoted(r.hash)
           << ", .type = &" << symbol(type.full_name())
           << ", .storage_name = "
           << quoted(!r.stored.empty() ? r.stored : type.group.empty() ? r.plural : r.plural + "." + type.group)
           << ", .storage = " << (r.stored.empty() ? "true" : "false")
           << ", .doc = " << quoted(r.doc) << ", .columns = " << (r.columns.empty() ? "{}" : "columns_" + name) << "},\n";
    }
    body_ << "constexpr Resource resource_rows[] = {\n" << rows.str() << "};\n";
    body_ << "constexpr const Type* type_rows[] = {\n";
    for (const Type& type : model_.types) body_ << "    &" << symbol(type.full_name()) << ",\n";
    body_ << "};\n\n";
    body_ << "constinit const std::span<const Resource> all_resources = resource_rows;\n";
    body_ << "constinit const std::span<const Type* const> all_types = type_rows;\n";
  }

  const Model& model_;
  std::ostringstream lists_, body_;
  std::map<std::string, std::string> known_lists_;
};

}  // namespace

std::string tables_source(const Model& model) { return Writer(model).run(); }

}  // namespace knarr::schemagen
