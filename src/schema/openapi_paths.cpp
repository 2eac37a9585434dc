// The operations of each resource, as upstream lists them.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "schema/openapi.h"

namespace knarr::schema::openapi {

namespace {

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
    {"shardSelector", "string", "Only objects of one shard of all."},
    {"timeoutSeconds", "integer", "How long the request may take."},
    {"watch", "boolean", "Changes as they happen instead of a list."},
};
constexpr Parameter kPretty{"pretty", "string", "true: the answer is indented."};
constexpr Parameter kName{"name", "string", "The object's name.", "path"};
constexpr Parameter kNamespace{"namespace", "string", "The object's namespace.", "path"};
constexpr Parameter kPath{"path", "string", "What is asked for behind the proxy.", "path"};

using Names = std::span<const std::string_view>;
constexpr std::string_view kRead[] = {
    "allowWatchBookmarks",  "continue",          "fieldSelector",  "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds", "watch"};
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
                                            "shardSelector",
                                            "timeoutSeconds"};
constexpr std::string_view kAtRevision[] = {"resourceVersion"};
constexpr std::string_view kPatchTypes[] = {"application/json-patch+json", "application/merge-patch+json",
                                            "application/strategic-merge-patch+json", "application/apply-patch+yaml"};
constexpr std::string_view kCustomPatchTypes[] = {"application/json-patch+json", "application/merge-patch+json",
                                                  "application/apply-patch+yaml"};
constexpr std::string_view kJson = "application/json", kYaml = "application/yaml",
                           kProtobuf = "application/vnd.kubernetes.protobuf";
constexpr std::string_view kForms[] = {kJson, kYaml, kProtobuf};
constexpr std::string_view kCustomForms[] = {kJson, kYaml};
constexpr std::string_view kStreams[] = {kJson, kYaml, kProtobuf, "application/json;stream=watch",
                                         "application/vnd.kubernetes.protobuf;stream=watch"};
constexpr std::string_view kAnything[] = {"*/*"};

// DELETE answers the object instead of a Status.
constexpr std::string_view kAnswerDeleted[] = {
    "csidrivers.storage.k8s.io",      "csinodes.storage.k8s.io",
    "deviceclasses.resource.k8s.io",  "persistentvolumeclaims",
    "persistentvolumes",              "pods",
    "podtemplates",                   "resourceclaims.resource.k8s.io",
    "resourceclaimtemplates.resource.k8s.io", "resourcequotas",
    "resourceslices.resource.k8s.io", "serviceaccounts",
    "services",                       "storageclasses.storage.k8s.io",
    "volumeattachments.storage.k8s.io", "volumeattributesclasses.storage.k8s.io"};

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

std::string tag_of(const Resource& resource) {
  std::string words = group_words(resource.group);
  words[0] = static_cast<char>(words[0] | 0x20);
  return fmt::format("{}_{}", words, resource.version);
}

template <typename T>
void append(std::vector<T>& to, std::span<const T> more) {
  to.insert(to.end(), more.begin(), more.end());
}

// What a stream's or a log's options are in the URL; only what is a scalar or a list of them can stand there.
void append_options(std::vector<Parameter>& to, const Type& options) {
  for (const Field& field : options.fields) {
    if (field.name == "kind" || field.name == "apiVersion") continue;
    const Shape shape = field.shape == Shape::kList ? field.element : field.shape;
    const std::string_view type = shape == Shape::kBool                                ? "boolean"
                                  : shape == Shape::kInt32 || shape == Shape::kInt64 ? "integer"
                                  : shape == Shape::kString                            ? "string"
                                                                                       : "";
    if (!type.empty()) to.push_back({field.name, type, field.doc});
  }
}

// Writes the paths of one resource.
class Paths {
 public:
  Paths(Writer& out, Version version, Schemas& schemas, const Resource& resource)
      : out_(out), version_(version), schemas_(schemas), resource_(resource) {
    root_ = resource.group.empty() ? fmt::format("/api/{}", resource.version)
                                   : fmt::format("/apis/{}/{}", resource.group, resource.version);
    id_ = group_words(resource.group) + capitalized(resource.version);
  }

  void write() {
    const std::string in_namespace = resource_.namespaced ? "/namespaces/{namespace}" : "";
    const std::string collection = fmt::format("{}{}/{}", root_, in_namespace, resource_.plural);
    const std::string object = collection + "/{name}", kind(resource_.kind);
    const bool lists = has(resource_.verbs, "list"), watches = has(resource_.verbs, "watch") && !resource_.custom;
    const std::string all = id_ + kind + (lists ? "ForAllNamespaces" : "");
    if (resource_.namespaced && lists) {
      std::vector<Operation> operations{operation(kCollectionVerbs[0], all, nullptr)};
      finish(operations, false, false);
      write_path(out_, version_, fmt::format("{}/{}", root_, resource_.plural), std::move(operations));
    }
    const std::string what = id_ + (resource_.namespaced ? "Namespaced" : "") + kind;
    verbs(collection, kCollectionVerbs, resource_.verbs, what, false, nullptr);
    // Creating is the collection's verb.
    verbs(object, std::span(kObjectVerbs).first(4), resource_.verbs, what, true, nullptr);
    for (const Subresource& sub : resource_.subresources) {
      const std::string path = fmt::format("{}/{}", object, sub.name), id = what + capitalized(sub.name);
      if (sub.kind.ends_with("Options") && sub.name != "log") {
        connections(path, id, sub, false);
        if (sub.kind.ends_with("ProxyOptions")) connections(path + "/{path}", id + "WithPath", sub, true);
      } else {
        verbs(path, kObjectVerbs, sub.verbs, id, true, &sub);
      }
    }
    if (!watches) return;
    const std::string watch = root_ + "/watch";
    if (resource_.namespaced) this->watch(fmt::format("{}/{}", watch, resource_.plural), id_ + kind + "ListForAllNamespaces", false, false);
    this->watch(fmt::format("{}{}/{}", watch, in_namespace, resource_.plural), what + "List", resource_.namespaced, false);
    this->watch(fmt::format("{}{}/{}/{{name}}", watch, in_namespace, resource_.plural), what, resource_.namespaced, true);
  }

 private:
  Writer& out_;
  const Version version_;
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

  // What every operation of a path has.
  void finish(std::vector<Operation>& operations, bool in_namespace, bool named, bool pretty = true) const {
    for (Operation& operation : operations) {
      if (named) operation.parameters.push_back(kName);
      if (in_namespace) operation.parameters.push_back(kNamespace);
      if (pretty) operation.parameters.push_back(kPretty);
    }
  }

  void verbs(const std::string& path, std::span<const Verb> known, std::span<const std::string_view> served,
             const std::string& what, bool named, const Subresource* sub) {
    std::vector<Operation> operations;
    for (const Verb& verb : known) {
      if (!has(served, verb.name)) continue;
      const bool collection = verb.name == "deletecollection";
      operations.push_back(operation(verb, collection ? id_ + "Collection" + what.substr(id_.size()) : what, sub));
    }
    if (operations.empty()) return;
    finish(operations, resource_.namespaced, named);
    write_path(out_, version_, path, std::move(operations));
  }

  Operation operation_of_kind(std::string_view method, std::string id, std::string_view action) const {
    Operation out;
    out.method = method;
    out.id = std::move(id);
    out.tag = tag_of(resource_);
    out.action = action;
    out.group = resource_.group, out.version = resource_.version, out.kind = resource_.kind;
    append(out.consumes, Names(kAnything));
    return out;
  }

  void watch(const std::string& path, const std::string& what, bool in_namespace, bool named) {
    Operation out = operation_of_kind("get", "watch" + what, named ? "watch" : "watchlist");
    append_known(out, kRead);
    append(out.produces, Names(kStreams));
    out.answer = reference(find_type("meta/v1.WatchEvent"));
    std::vector<Operation> operations{std::move(out)};
    finish(operations, in_namespace, named);
    write_path(out_, version_, path, std::move(operations));
  }

  // Streams (exec, attach, port-forward, proxy): their options are the kind, and they answer no object.
  void connections(const std::string& path, const std::string& what, const Subresource& sub, bool with_path) {
    std::vector<Operation> operations;
    const bool proxies = sub.kind.ends_with("ProxyOptions");
    const Type* options = type_of_kind(resource_.group, resource_.version, sub.kind);
    for (const auto& [verb, method] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
             {"get", "get"}, {"update", "put"}, {"create", "post"}, {"delete", "delete"}, {"get", "options"}, {"get", "head"}, {"patch", "patch"}}) {
      if (!has(sub.verbs, verb) || (!proxies && (method == "options" || method == "head"))) continue;
      Operation out = operation_of_kind(method, "connect" + id_ + capitalized(method) + what.substr(id_.size()), "connect");
      out.kind = sub.kind;
      append(out.produces, Names(kAnything));
      if (options) append_options(out.parameters, *options);
      if (with_path) out.parameters.push_back(kPath);
      operations.push_back(std::move(out));
    }
    finish(operations, resource_.namespaced, true, false);
    write_path(out_, version_, path, std::move(operations));
  }

  static void append_known(Operation& to, Names names) {
    for (const Parameter& known : kParameters) {
      if (has(names, known.name)) to.parameters.push_back(known);
    }
  }

  Operation operation(const Verb& verb, const std::string& what, const Subresource* sub) const {
    const bool custom = resource_.custom, log = sub && sub->name == "log";
    const bool deletes = verb.method == "delete", patches = verb.method == "patch", lists = verb.name == "list";
    Operation out = operation_of_kind(verb.method, std::string(verb.id) + what, verb.action);
    std::string_view kind_version = resource_.version;
    // The scale of a custom resource is told as of its own kind.
    if (sub && !sub->kind.empty() && !log) {
      kind_version = sub->version.empty() ? resource_.version : sub->version;
      if (!custom) out.kind = sub->kind, out.group = sub->group, out.version = kind_version;
    }
    const bool own = !sub || log || sub->kind.empty() || (custom && sub->kind == resource_.kind);
    const std::string type = own ? object() : reference(type_of_kind(sub->group, kind_version, sub->kind));

    append_known(out, verb.parameters);
    if (custom && verb.name == "get") append_known(out, kAtRevision);
    if (log) append_options(out.parameters, *find_type("core/v1.PodLogOptions"));
    if (patches) {
      out.body = schemas_.builtin("meta.v1.Patch");
      out.consumes.clear();
      append(out.consumes, custom ? Names(kCustomPatchTypes) : Names(kPatchTypes));
    } else if (deletes) {
      out.body = reference(find_type("meta/v1.DeleteOptions"));
    } else if (verb.method != "get") {
      out.body = type;
    }
    out.body_required = !deletes;
    if (custom && !patches) out.consumes = {kJson, kYaml};
    if (custom && verb.name == "deletecollection") {  // as upstream's builder of these documents has it
      out.body.clear();
      out.parameters.clear();
      append_known(out, kRead);
    }

    if (log) out.produces = {"text/plain"};
    append(out.produces, custom ? Names(kCustomForms) : lists ? Names(kStreams) : Names(kForms));
    const bool shows_deleted = verb.name == "delete" && has(kAnswerDeleted, resource_.storage_name);
    if (!log) out.answer = lists ? list() : deletes && !shows_deleted ? reference(find_type("meta/v1.Status")) : type;
    if (verb.method == "post" || verb.method == "put" || (patches && !custom)) out.codes.push_back("201");
    if (verb.method == "post" || verb.name == "delete") out.codes.push_back("202");
    return out;
  }
};

}  // namespace

void write_paths(Writer& out, Version version, std::span<const Resource* const> resources, Schemas& schemas) {
  for (const Resource* resource : resources) {
    if (resource->type) Paths(out, version, schemas, *resource).write();
  }
}

}  // namespace knarr::schema::openapi
