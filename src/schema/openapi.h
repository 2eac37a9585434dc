// How the OpenAPI documents are put together; private to the module. Both versions come from the same tables: `Schemas`
// writes the types, openapi_paths.cpp the operations.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/codec/json.h"
#include "knarr/schema/type.h"

namespace knarr::schema::openapi {

enum class Version { k2, k3 };

// JSON text written front to back; commas come by themselves.
class Writer {
 public:
  Writer& begin(char bracket = '{') {
    separate();
    out_ += bracket;
    comma_ = false;
    return *this;
  }
  Writer& end(char bracket = '}') {
    out_ += bracket;
    comma_ = true;
    return *this;
  }
  Writer& key(std::string_view name) {
    separate();
    json::append_quoted(out_, name);
    out_ += ':';
    comma_ = false;
    return *this;
  }
  Writer& string(std::string_view text) {
    separate();
    json::append_quoted(out_, text);
    return *this;
  }
  Writer& raw(std::string_view text) {  // JSON as it is: a value, or members without their braces
    separate();
    out_ += text;
    return *this;
  }
  Writer& member(std::string_view name, std::string_view text) { return key(name).string(text); }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  bool comma_ = false;

  void separate() {
    if (comma_) out_ += ',';
    comma_ = true;
  }
};

// A group and a version of it.
struct GroupVersion {
  std::string_view group, version;
};

// The schemas that a document needs, collected while its paths are written.
class Schemas {
 public:
  // DeleteOptions and WatchEvent are kinds of every group; the document names them as kinds of `groups`.
  Schemas(Version version, std::vector<GroupVersion> groups) : version_(version), groups_(std::move(groups)) {}

  // The reference to a type's schema, which is then in the document with all that it is made of.
  std::string reference(const Type& type);
  std::string custom_reference(const Resource& resource, bool list);  // of a custom resource
  std::string builtin(std::string_view name);  // Quantity, Time, Patch, ...: what has a schema without being a table

  bool empty() const { return types_.empty() && builtins_.empty() && customs_.empty(); }
  void write(Writer& out) const;  // the members of components.schemas or of definitions

 private:
  Version version_;
  std::vector<GroupVersion> groups_;
  std::map<std::string, const Type*> types_;
  std::set<std::string_view> builtins_;
  std::map<std::string, const Resource*> customs_;

  std::string link(std::string_view name) const;
  void write_customs(Writer& out) const;
  void need(const Type& type);
  void need_field(const Field& field);
  std::string_view builtin_of(Shape shape, AnyKind any) const;  // "": the shape is written out

  void write_type(Writer& out, const Type& type) const;
  void write_field(Writer& out, const Type& type, const Field& field) const;
  void write_shape(Writer& out, const Field& field, Shape shape, bool element) const;
  void write_reference(Writer& out, std::string_view name, bool describes, bool empty_default) const;
};

struct Parameter {
  std::string_view name, type, doc;
  std::string_view in = "query";
  bool operator==(const Parameter&) const = default;
};

// One method of a path.
struct Operation {
  std::string_view method;  // of HTTP, in small letters
  std::string id, tag;
  std::string_view action;  // x-kubernetes-action; "": of no kind
  std::string_view group, version, kind;
  std::vector<Parameter> parameters;
  std::string body;  // reference to what comes in, "": nothing
  bool body_required = false;
  std::vector<std::string_view> consumes, produces;
  std::string answer;  // reference to what goes out, "": a text
  std::vector<std::string_view> codes{"200"};
};

// A path with its operations; parameters that all of them have stand beside them.
void write_path(Writer& out, Version version, std::string_view path, std::vector<Operation> operations);

// The members of `paths` for these resources.
void write_paths(Writer& out, Version version, std::span<const Resource* const> resources, Schemas& schemas);

// The path of a discovery document: "api", "apis", "apis/apps", "apis/apps/v1", "version", ... False: there is none such.
bool write_discovery_path(Writer& out, Version version, std::string_view name, Schemas& schemas);

// rbac.authorization.k8s.io → RbacAuthorization; "" → Core.
std::string group_words(std::string_view group);
std::string capitalized(std::string_view word);

// io.k8s.api.core.v1.Pod
std::string definition_name(const Type& type);

}  // namespace knarr::schema::openapi
