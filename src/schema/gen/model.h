// What the .kapi texts say, as the generator holds it between reading and writing.
//
// The language, a line at a time (`#` starts a comment line; ` -- ` starts the documentation of what stands before it):
//
//   group core/v1 "" [PRIORITY]          directory and version of what follows; the API group on the wire ("" is core); discovery
//                                        tells groups of a higher priority first
//   type PodSpec [atomic] -- ...         an object; its fields follow, indented
//   kind Pod [of GROUP] -- ...           an object with kind and apiVersion, which are not listed; GROUP when not the file's
//     name?!  TYPE #NUMBER FLAGS -- ...  a field: ? is left out when empty, ! is required, #a.b is nested in message a on the wire
//   resource pods Pod [namespaced] -- .. what is served, from the kind
//     singular/short/categories/verbs/fields WORDS, hash TEXT
//     stored NAME                      another version of the resource is what is stored, under this name
//     subresource NAME KIND|dir/v.KIND VERBS
//     column NAME_WITH_UNDERSCORES TYPE[/FORMAT] [wide] -- ...
//
// TYPE: string int32 int64 bool double bytes time microTime duration quantity intOrString any raw fieldsV1, a type's name
// (dir/version.Name of another group), *T absent is not zero, [T] list, {T} map, T|array T|bool T|strings an object or something else.
// FLAGS: set, map(keys), atomic (list type), granular (of an atomic type), merge, merge(key), retainKeys, replace (patch strategy), omitzero, enum(values),
// default JSON (declared, clients see it), sets JSON (what the server sets without declaring it).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace knarr::schemagen {

struct TypeRef {
  enum Form { kNamed, kList, kMap } form = kNamed;
  std::string name;  // of kNamed: a scalar's word, or "core/v1.Container"
  std::string alternative;  // what may stand instead of an object: array, bool, strings
  std::shared_ptr<TypeRef> element;
};

struct Field {
  std::string name, doc;
  TypeRef type;
  bool pointer = false, required = false, omit_empty = false, omit_zero = false, atomic = false, granular = false, set = false;
  bool merge = false, retain_keys = false, replace = false;
  std::string merge_key, default_json, sets_json;
  std::vector<std::string> list_keys, enum_values;
  uint32_t pb_number = 0, pb_outer = 0;
};

struct Type {
  std::string package, name, doc, group, version;  // package: "core/v1"
  std::string file;                                // that it stands in, without directory and suffix
  bool is_kind = false, atomic = false;
  std::vector<Field> fields;
  std::string full_name() const { return package + "." + name; }
};

struct Subresource {
  std::string name, type;  // type: "core/v1.Pod"
  std::vector<std::string> verbs;
};

struct Column {
  std::string name, type, format, doc;
  int priority = 0;
};

struct Resource {
  std::string plural, singular, type, doc, hash, stored;
  bool namespaced = false;
  std::vector<std::string> short_names, categories, verbs, field_selectors;
  std::vector<Subresource> subresources;
  std::vector<Column> columns;
};

struct Model {
  std::vector<std::string> packages;  // in the order of their first file
  std::vector<std::pair<std::string, std::string>> files;  // package, name without directory and suffix
  std::vector<Type> types;            // sorted by full name
  std::vector<Resource> resources;    // in discovery's order
  std::map<std::string, size_t> index;  // full name → types
  std::map<std::string, int> priorities;  // of groups on the wire

  const Type* find(const std::string& full_name) const {
    auto it = index.find(full_name);
    return it == index.end() ? nullptr : &types[it->second];
  }
};

bool is_scalar(const std::string& word);
inline bool is_object(const TypeRef& ref) { return !is_scalar(ref.name) && ref.alternative.empty(); }

// Throws std::runtime_error with file and line of what is wrong.
void parse_file(const std::string& path, Model& model);
void finish(Model& model);  // sorts, and checks that every name that is used exists

std::string tables_source(const Model& model);
std::string structs_header(const Model& model, const std::string& package);
std::string structs_source(const Model& model, const std::string& package, const std::string& file);
std::string file_stem(const std::string& package);  // core/v1 → core_v1

}  // namespace knarr::schemagen
