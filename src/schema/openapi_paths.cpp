// The operations of each resource, as upstream lists them.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "schema/openapi.h"

namespace knarr::schema::openapi {

namespace {

struct Parameter {
  std::string_view name, type, doc;
};
constexpr Parameter kParameters[] = {
    {"allowWatchBookmarks", "boolean", "Whether the server may send events of type BOOKMARK on a watch."},
    {"continue", "string", "Where a list that was cut off goes on: metadata.continue of the part before."},
    {"dryRun", "string", "All: everything is checked and nothing is stored."},
    {"fieldManager", "string", "A name for who makes this change."},
    {"fieldSelector", "string", "Only objects whose fields are so, such as metadata.name=web."},
    {"fieldValidation", "string", "What is done about unknown and duplicate fields: Ignore, Warn or Strict."},
    {"force", "boolean", "Whether server-side apply takes over fields that others own."},
    {"gracePeriodSeconds", "integer", "How long the object may take to stop; zero: none."},
    {"ignoreStoreReadErrorWithClusterBreakingPotential", "boolean",
     "Whether an object that cannot be read is deleted all the same."},
    {"labelSelector", "string", "Only objects with these labels."},
    {"limit", "integer", "How many objects are listed at most."},
    {"orphanDependents", "boolean", "Deprecated: see propagationPolicy."},
    {"propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."},
    {"resourceVersion", "string", "From which state on the answer may come."},
    {"resourceVersionMatch", "string", "How resourceVersion is meant: NotOlderThan or Exact."},
    {"sendInitialEvents", "boolean", "Whether a watch begins with what is there."},
    {"timeoutSeconds", "integer", "How long the request may take."},
    {"watch", "boolean", "Changes as they happen instead of a list."},
};
constexpr Parameter kPretty{"pretty", "string", "true: the answer is indented."};
constexpr Parameter kName{"name", "string", "The object's name."};
constexpr Parameter kNamespace{"namespace", "string", "The object's namespace."};

using Names = std::span<const std::string_view>;
constexpr std::string_view kRead[] = {
    "allowWatchBookmarks",  "continue",          "fieldSelector",  "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"};
constexpr std::string_view kWrite[] = {"dryRun", "fieldManager", "fieldValidation"};
constexpr std::string_view kPatching[] = {"dryRun", "fieldManager", "fieldValidation", "force"};
constexpr std::string_view kDelete[] = {"dryRun", "gracePeriodSeconds",
                                        "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
                                        "propagationPolicy"};
constexpr std::string_view kDeleteMany[] = {"continue",
                                            "dryRun",
                                            "fieldSelector",
                                            "gracePeriodSeconds",
                                            "ignoreStoreReadErrorWithClusterBreakingPotential",
                                            "labelSelector",
                                            "limit",
                                            "orphanDependents",
                                            "propagationPolicy",
                                            "resourceVersion",
                                            "resourceVersionMatch",
                                            "sendInitialEvents",
                                            "timeoutSeconds"};
constexpr std::string_view kPatchTypes[] = {"application/json-patch+json", "application/merge-patch+json",
                                            "application/strategic-merge-patch+json"};

// What a verb is called where, and what goes in and comes out.
struct Verb {
  std::string_view name;    // of the API: create, list, ...
  std::string_view method;  // of HTTP
  std::string_view action;  // x-kubernetes-action
  std::string_view id;      // the operationId's first word
  Names parameters;
};
constexpr Verb kCollectionVerbs[] = {{"list", "get", "list", "list", kRead},
                                     {"create", "post", "post", "create", kWrite},
                                     {"deletecollection", "delete", "deletecollection", "delete", kDeleteMany}};
constexpr Verb kObjectVerbs[] = {{"get", "get", "get", "read", {}},
                                 {"update", "put", "put", "replace", kWrite},
                                 {"patch", "patch", "patch", "patch", kPatching},
                                 {"delete", "delete", "delete", "delete", kDelete},
                                 {"create", "post", "post", "create", kWrite}};

bool has(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

const Type* type_of_kind(std::string_view group, std::string_view version, std::string_view kind) {
  for (const Type* type : types()) {
    if (type->kind == kind && type->version == version && type->group == group) return type;
  }
  return nullptr;
}

std::string capitalized(std::string_view word) {
  std::string out(word);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

// rbac.authorization.k8s.io → RbacAuthorization; "" → Core.
std::string group_words(std::string_view group) {
  if (group.empty()) return "Core";
  if (group.ends_with(".k8s.io")) group.remove_suffix(7);
  std::string out;
  while (!group.empty()) {
    const size_t dot = std::min(group.find('.'), group.size());
    out += capitalized(group.substr(0, dot));
    group.remove_prefix(std::min(dot + 1, group.size()));
  }
  return out;
}

std::string tag_of(const Resource& resource) {
  std::string words = group_words(resource.group);
  words[0] = static_cast<char>(words[0] | 0x20);
  return fmt::format("{}_{}", words, resource.version);
}

// Writes the paths of one resource.
class Paths {
 public:
  Paths(Writer& out, Version version, Schemas& schemas, const Resource& resource)
      : out_(out), v3_(version == Version::k3), schemas_(schemas), resource_(resource) {
    root_ = resource.group.empty() ? fmt::format("/api/{}", resource.version)
                                   : fmt::format("/apis/{}/{}", resource.group, resource.version);
    id_ = group_words(resource.group) + capitalized(resource.version);
  }

  void write() {
    const std::string scope = resource_.namespaced ? root_ + "/namespaces/{namespace}" : root_;
    const std::string collection = fmt::format("{}/{}", scope, resource_.plural), object = collection + "/{name}";
    if (resource_.namespaced && has(resource_.verbs, "list")) {
      out_.key(fmt::format("{}/{}", root_, resource_.plural)).begin();
      operation(kCollectionVerbs[0], id_ + std::string(resource_.kind) + "ForAllNamespaces", {});
      path_parameters(false, false);
      out_.end();
    }
    const std::string what = id_ + (resource_.namespaced ? "Namespaced" : "") + std::string(resource_.kind);
    verbs(collection, kCollectionVerbs, resource_.verbs, what, false, nullptr);
    // Creating is the collection's verb.
    verbs(object, std::span(kObjectVerbs).first(4), resource_.verbs, what, true, nullptr);
    for (const Subresource& sub : resource_.subresources) {
      verbs(fmt::format("{}/{}", object, sub.name), kObjectVerbs, sub.verbs, what + capitalized(sub.name), true, &sub);
    }
  }

 private:
  Writer& out_;
  bool v3_;
  Schemas& schemas_;
  const Resource& resource_;
  std::string root_, id_;

  // References to what comes in and goes out.
  std::string reference(const Type* type) const { return type ? schemas_.reference(*type) : ""; }
  std::string object() const {
    return resource_.custom ? schemas_.custom_reference(resource_, false) : reference(resource_.type);
  }
  std::string list() const {
    return resource_.custom ? schemas_.custom_reference(resource_, true)
                            : reference(type_of_kind(resource_.group, resource_.version, std::string(resource_.kind) + "List"));
  }
  // Custom resources know no strategic merge.
  Names patch_types() const { return resource_.custom ? Names(kPatchTypes).first(2) : Names(kPatchTypes); }

  void verbs(const std::string& path, std::span<const Verb> known, std::span<const std::string_view> served,
             const std::string& what, bool named, const Subresource* sub) {
    if (std::none_of(known.begin(), known.end(), [&](const Verb& verb) { return has(served, verb.name); })) return;
    out_.key(path).begin();
    for (const Verb& verb : known) {
      if (!has(served, verb.name)) continue;
      const bool collection = verb.name == "deletecollection";
      operation(verb, collection ? id_ + "Collection" + what.substr(id_.size()) : what, sub);
    }
    path_parameters(resource_.namespaced, named);
    out_.end();
  }

  void operation(const Verb& verb, const std::string& what, const Subresource* sub) {
    std::string_view group = resource_.group, version = resource_.version, kind = resource_.kind;
    if (sub && !sub->kind.empty()) {
      kind = sub->kind;
      group = sub->group;
      version = sub->version.empty() ? resource_.version : sub->version;
    }
    // Streams (exec, attach, port-forward, proxy) name their options as kind; they and logs answer no object.
    const bool connects = sub && kind.ends_with("Options"), text = connects || (sub && sub->name == "log");
    const bool own = !sub || (resource_.custom && kind == resource_.kind);
    const std::string type = text ? "" : own ? object() : reference(type_of_kind(group, version, kind));
    const bool deletes = verb.method == "delete", patches = verb.method == "patch", lists = verb.name == "list";
    const std::string answer = lists ? list() : deletes ? reference(find_type("meta/v1.Status")) : type;

    out_.key(verb.method).begin();
    out_.member("operationId", connects ? "connect" + id_ + capitalized(verb.method) + what.substr(id_.size())
                                        : std::string(verb.id) + what);
    out_.key("tags").begin('[').string(tag_of(resource_)).end(']');
    out_.member("x-kubernetes-action", connects ? "connect" : verb.action);
    out_.key("x-kubernetes-group-version-kind")
        .begin()
        .member("group", group)
        .member("kind", kind)
        .member("version", version)
        .end();
    std::string body = patches ? schemas_.builtin("meta.v1.Patch") : "";
    if (verb.method == "post" || verb.method == "put") body = type;
    if (deletes) {
      body = reference(find_type("meta/v1.DeleteOptions"));
    }
    parameters(connects ? Names() : verb.parameters, v3_ ? "" : body, !deletes);
    if (v3_ && !body.empty()) request_body(body, patches, !deletes);
    if (!v3_) {
      if (patches) {
        strings("consumes", patch_types());
      } else {
        out_.key("consumes").begin('[').string("*/*").end(']');
      }
      out_.key("produces").begin('[').string("application/json");
      if (lists) out_.string("application/json;stream=watch");
      out_.end(']');
      out_.key("schemes").begin('[').string("https").end(']');
    }
    if (text) {
      text_responses();
    } else {
      responses(verb, answer, lists);
    }
    out_.end();
  }

  void strings(std::string_view key, std::span<const std::string_view> texts) {
    out_.key(key).begin('[');
    for (std::string_view text : texts) out_.string(text);
    out_.end(']');
  }

  void parameter(const Parameter& parameter, std::string_view in) {
    out_.begin().member("name", parameter.name).member("in", in).member("description", parameter.doc);
    if (in == "path") out_.key("required").raw("true");
    if (v3_) {
      out_.key("schema").begin().member("type", parameter.type).key("uniqueItems").raw("true").end();
    } else {
      out_.member("type", parameter.type).key("uniqueItems").raw("true");
    }
    out_.end();
  }

  void parameters(Names names, const std::string& body, bool body_required) {
    if (names.empty() && body.empty()) return;
    out_.key("parameters").begin('[');
    if (!body.empty()) {
      out_.begin().member("name", "body").member("in", "body");
      if (body_required) out_.key("required").raw("true");
      out_.key("schema").begin().member("$ref", body).end().end();
    }
    for (const Parameter& known : kParameters) {
      if (has(names, known.name)) parameter(known, "query");
    }
    out_.end(']');
  }

  void path_parameters(bool in_namespace, bool named) {
    out_.key("parameters").begin('[');
    if (named) parameter(kName, "path");
    if (in_namespace) parameter(kNamespace, "path");
    parameter(kPretty, "query");
    out_.end(']');
  }

  void content(std::string_view type, const std::string& schema) {
    out_.key(type).begin().key("schema").begin().member("$ref", schema).end().end();
  }

  void request_body(const std::string& schema, bool patch, bool required) {
    out_.key("requestBody").begin().key("content").begin();
    if (patch) {
      for (std::string_view type : patch_types()) content(type, schema);
    } else {
      content("*/*", schema);
    }
    out_.end();
    if (required) out_.key("required").raw("true");
    out_.end();
  }

  void response(std::string_view code, std::string_view doc, const std::string& schema, bool stream) {
    out_.key(code).begin().member("description", doc);
    if (!schema.empty()) {
      if (v3_) {
        out_.key("content").begin();
        content("application/json", schema);
        if (stream) content("application/json;stream=watch", schema);
        out_.end();
      } else {
        out_.key("schema").begin().member("$ref", schema).end();
      }
    }
    out_.end();
  }

  void text_responses() {
    out_.key("responses").begin().key("200").begin().member("description", "OK");
    out_.raw(v3_ ? R"("content":{"*/*":{"schema":{"type":"string"}}})" : R"("schema":{"type":"string"})").end();
    response("401", "Unauthorized", "", false);
    out_.end();
  }

  void responses(const Verb& verb, const std::string& type, bool stream) {
    out_.key("responses").begin();
    response("200", "OK", type, stream);
    const bool writes = verb.method == "post" || verb.method == "put" || verb.method == "patch";
    if (writes) response("201", "Created", type, false);
    if (verb.method == "post" || verb.name == "delete") response("202", "Accepted", type, false);
    response("401", "Unauthorized", "", false);
    out_.end();
  }
};

}  // namespace

void write_paths(Writer& out, Version version, std::span<const Resource* const> resources, Schemas& schemas) {
  for (const Resource* resource : resources) {
    if (resource->type) Paths(out, version, schemas, *resource).write();
  }
}

}  // namespace knarr::schema::openapi
