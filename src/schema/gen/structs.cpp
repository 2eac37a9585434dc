// Writes the C++ structs of a package: a header with plain data, and a source with their layouts.
//
// A struct that holds other structs has its special members in the source, so that the hundred types below a Pod are compiled
// once and not in every file that uses one. A struct of scalars stays an aggregate.
#include <algorithm>
#include <functional>
#include <set>
#include <sstream>

#include "model.h"

namespace knarr::schemagen {
namespace {

const std::set<std::string> kKeywords = {"namespace", "default",  "operator", "continue", "template", "static", "signed", "class",
                                         "public",    "private",  "protected", "delete",  "new",      "export", "union",  "enum",
                                         "struct",    "register", "volatile", "switch",   "case",     "for",    "if",     "not",
                                         "and",       "or",       "xor",      "this",     "auto",     "bool",   "int",    "double",
                                         "const",     "explicit", "friend",   "inline",   "return",   "using",  "virtual", "void"};

std::string member_name(const std::string& json_name) {
  std::string name;
  for (char c : json_name) {  // $ref, x-kubernetes-...
    if (c == '$') continue;
    name += c == '-' ? '_' : c;
  }
  return kKeywords.count(name) ? name + "_" : name;
}

std::string cpp_namespace(const std::string& package) {  // core/v1 → knarr::api::core::v1
  std::string name = package;
  name.replace(name.find('/'), 1, "::");
  return "knarr::api::" + name;
}

std::string cpp_name(const std::string& full_name, const std::string& package) {
  size_t dot = full_name.find('.');
  std::string owner = full_name.substr(0, dot);
  return owner == package ? full_name.substr(dot + 1) : cpp_namespace(owner).substr(7) + "::" + full_name.substr(dot + 1);
}

std::string cpp_type(const TypeRef& ref, const std::string& package) {
  if (ref.form == TypeRef::kList) {
    std::string element = cpp_type(*ref.element, package);
    return element == "bool" ? "std::deque<bool>" : "std::vector<" + element + ">";
  }
  if (ref.form == TypeRef::kMap) return "std::map<std::string, " + cpp_type(*ref.element, package) + ">";
  if (ref.name == "int32") return "int32_t";
  if (ref.name == "int64") return "int64_t";
  if (ref.name == "bool" || ref.name == "double") return ref.name;
  if (ref.name == "time" || ref.name == "microTime") return "std::optional<WallTime>";
  if (ref.name == "intOrString") return "IntOrString";
  return is_object(ref) ? cpp_name(ref.name, package) : "std::string";
}

std::string cpp_type(const Field& field, const std::string& package) {
  std::string type = cpp_type(field.type, package);
  if (!field.pointer || type.starts_with("std::optional")) return type;
  bool object = field.type.form == TypeRef::kNamed && is_object(field.type);
  return (object ? "Box<" : "std::optional<") + type + ">";
}

const TypeRef& innermost(const TypeRef& ref) { return ref.form == TypeRef::kNamed ? ref : innermost(*ref.element); }

bool is_leaf(const Type& type) {
  return std::all_of(type.fields.begin(), type.fields.end(), [](const Field& f) { return !is_object(innermost(f.type)); });
}

std::vector<const Type*> types_of(const Model& model, const std::string& package) {
  std::vector<const Type*> types;
  for (const Type& type : model.types) {
    if (type.package == package) types.push_back(&type);
  }
  return types;
}

// Types held by value come before their holders.
std::vector<const Type*> in_order(const Model& model, const std::string& package) {
  std::vector<const Type*> order;
  std::set<const Type*> seen;
  std::function<void(const Type*)> visit = [&](const Type* type) {
    if (!seen.insert(type).second) return;
    for (const Field& f : type->fields) {
      const TypeRef& leaf = innermost(f.type);
      if (f.pointer || !is_object(leaf)) continue;
      const Type* held = model.find(leaf.name);
      if (held->package == package) visit(held);
    }
    order.push_back(type);
  };
  for (const Type* type : types_of(model, package)) visit(type);
  return order;
}

const Resource* resource_of(const Model& model, const Type& type) {
  for (const Resource& r : model.resources) {
    if (r.type == type.full_name()) return &r;
  }
  return nullptr;
}

void write_struct(std::ostream& out, const Model& model, const Type& type) {
  if (!type.doc.empty()) out << "// " << type.doc << "\n";
  out << "struct " << type.name << " {\n";
  if (type.is_kind) {
    out << "  static constexpr std::string_view kGroup = \"" << type.group << "\", kVersion = \"" << type.version << "\", kKind = \"" << type.name
        << "\";\n";
    out << "  static constexpr std::string_view kApiVersion = \"" << (type.group.empty() ? "" : type.group + "/") << type.version << "\";\n";
    if (const Resource* r = resource_of(model, type)) {
      out << "  static constexpr std::string_view kPlural = \"" << r->plural << "\";\n";
      out << "  static constexpr bool kNamespaced = " << (r->namespaced ? "true" : "false") << ";\n";
    }
    out << "\n";
  }
  for (const Field& f : type.fields) {
    std::string cpp = cpp_type(f, type.package);
    out << "  " << cpp << " " << member_name(f.name);
    if (cpp == "int32_t" || cpp == "int64_t" || cpp == "double") out << " = 0";
    if (cpp == "bool") out << " = false";
    out << ";";
    if (!f.doc.empty()) out << "  // " << f.doc;
    out << "\n";
  }
  out << "\n";
  if (!is_leaf(type)) {
    const std::string& n = type.name;
    out << "  " << n << "();\n  " << n << "(const " << n << "&);\n  " << n << "(" << n << "&&) noexcept;\n  " << n << "& operator=(const " << n
        << "&);\n  " << n << "& operator=(" << n << "&&) noexcept;\n  ~" << n << "();\n";
  }
  out << "  static const Layout kLayout;\n";
  out << "  friend bool operator==(const " << type.name << "& a, const " << type.name << "& b) { return detail::same(kLayout, &a, &b); }\n";
  out << "};\n\n";
}

}  // namespace

std::string structs_header(const Model& model, const std::string& package) {
  std::set<std::string> others;
  bool deque = false;
  for (const Type* type : types_of(model, package)) {
    for (const Field& f : type->fields) {
      const TypeRef& leaf = innermost(f.type);
      deque = deque || (leaf.name == "bool" && f.type.form == TypeRef::kList);
      if (is_object(leaf) && model.find(leaf.name)->package != package) others.insert(model.find(leaf.name)->package);
    }
  }
  std::ostringstream out;
  out << "// The types of " << package << ". Made by knarr_schemagen from src/schema/api/*.kapi; edit those.\n#pragma once\n\n";
  if (deque) out << "#include <deque>\n\n";
  out << "#include \"knarr/schema/object.h\"\n";
  for (const std::string& other : others) out << "#include \"knarr/schema/api/" << file_stem(other) << ".h\"\n";
  out << "\nnamespace " << cpp_namespace(package) << " {\n\n";
  for (const Type* type : types_of(model, package)) out << "struct " << type->name << ";\n";
  out << "\n";
  for (const Type* type : in_order(model, package)) write_struct(out, model, *type);
  out << "}  // namespace " << cpp_namespace(package) << "\n";
  return out.str();
}

std::string structs_source(const Model& model, const std::string& package, const std::string& file) {
  std::ostringstream out;
  out << "// Made by knarr_schemagen from src/schema/api/*.kapi; edit those.\n#include \"knarr/schema/api/" << file_stem(package) << ".h\"\n\n"
      << "#include <cstddef>\n\n#include \"schema/layout.h\"\n\n"
      << "#pragma GCC diagnostic ignored \"-Winvalid-offsetof\"  // the structs have neither bases nor virtual functions\n\n"
      << "namespace knarr::schema::tables {\n";
  std::vector<const Type*> types = in_order(model, package);
  std::erase_if(types, [&](const Type* type) { return type->file != file; });
  for (const Type* type : types) out << "extern const Type " << file_stem(package) << "_" << type->name << ";\n";
  out << "}  // namespace knarr::schema::tables\n\nnamespace " << cpp_namespace(package) << " {\n\n";
  for (const Type* type : types) {
    const std::string& n = type->name;
    if (!is_leaf(*type)) {
      out << n << "::" << n << "() = default;\n"
          << n << "::" << n << "(const " << n << "&) = default;\n"
          << n << "::" << n << "(" << n << "&&) noexcept = default;\n"
          << n << "& " << n << "::operator=(const " << n << "&) = default;\n"
          << n << "& " << n << "::operator=(" << n << "&&) noexcept = default;\n"
          << n << "::~" << n << "() = default;\n";
    }
    if (!type->fields.empty()) {
      out << "static constexpr Member members_" << n << "[] = {\n";
      for (const Field& f : type->fields) {
        std::string member = member_name(f.name);
        out << "    {offsetof(" << n << ", " << member << "), &detail::held<decltype(" << n << "::" << member << ")>},\n";
      }
      out << "};\n";
    }
    out << "constinit const Layout " << n << "::kLayout = {&schema::tables::" << file_stem(package) << "_" << n << ", "
        << (type->fields.empty() ? "nullptr" : "members_" + n) << "};\n\n";
  }
  out << "}  // namespace " << cpp_namespace(package) << "\n";
  return out.str();
}

}  // namespace knarr::schemagen
