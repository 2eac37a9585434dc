// Requests on resources: options from the query, the verb on Rest, the answer in the client's form.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "audit_trail.h"
#include "knarr/codec/names.h"
#include "knarr/codec/selector.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "list_body.h"
#include "render.h"
#include "rest_impl.h"
#include "server_impl.h"
#include "write_options.h"

namespace knarr::apiserver {

namespace {

// Refused before anything else is looked at, in words of its own.
constexpr std::string_view kUnknownPatch =
    R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"415: Unsupported Media Type",)"
    R"("reason":"UnsupportedMediaType","details":{},"code":415})";
constexpr size_t kSentFromObjects = 32 << 10;  // a list of so many bytes is not put together before it is sent
constexpr size_t kWatchBatch = 32;  // items taken from a watch at once: about what a socket takes

Result<std::optional<int64_t>> number_param(const http::Request& request, std::string_view name) {
  const auto text = request.param(name);
  if (!text) return std::optional<int64_t>();
  int64_t value = 0;
  const std::string_view digits = text->starts_with('+') && !text->starts_with("+-") ? text->substr(1) : *text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return bad_request(go_number_error("ParseInt", *text));
  return std::optional<int64_t>(value);
}

Result<ListParams> list_params(const http::Request& request) {
  const auto text = [&](std::string_view name) { return std::string(request.param(name).value_or("")); };
  ListParams params;
  params.label_selector = text("labelSelector");
  params.field_selector = text("fieldSelector");
  params.resource_version = text("resourceVersion");
  params.resource_version_match = text("resourceVersionMatch");
  params.continue_token = text("continue");
  params.allow_watch_bookmarks = request.flag("allowWatchBookmarks");
  KNARR_ASSIGN(const auto limit, number_param(request, "limit"));
  params.limit = limit.value_or(0);
  KNARR_ASSIGN(params.timeout_seconds, number_param(request, "timeoutSeconds"));
  if (request.param("sendInitialEvents")) params.send_initial_events = request.flag("sendInitialEvents");
  return params;
}

Cause unknown_dry_run(const json::Value& values) {
  return {"FieldValueNotSupported",
          fmt::format("Unsupported value: {}: supported values: \"All\"", json::dump(values)), "dryRun"};
}

// DeleteOptions come in the query or in a body, which then alone counts.
Result<DeleteParams> delete_params(const http::Request& request, RequestContext& context) {
  DeleteParams params;
  if (!request.body.empty()) {
    KNARR_ASSIGN(const std::string body, body_as_json(request));
    KNARR_RETURN_IF_ERROR(params.merge_body(body));
    const auto options = json::parse(body);
    const json::Value* dry_run = options.ok() ? json::find(*options, "dryRun") : nullptr;
    if (dry_run && dry_run->IsArray() && !dry_run->Empty()) {
      for (const json::Value& value : dry_run->GetArray())
        if (!value.IsString() || json::view(value) != "All")
          return invalid_error("meta.k8s.io", "DeleteOptions", "", {unknown_dry_run(*dry_run)});
      context.dry_run = true;
    }
    return params;
  }
  KNARR_ASSIGN(params.grace_period_seconds, number_param(request, "gracePeriodSeconds"));
  if (const auto policy = request.param("propagationPolicy")) params.propagation_policy = *policy;
  if (request.param("orphanDependents")) params.orphan_dependents = request.flag("orphanDependents");
  return params;
}

// A watch on its way to a client: frames as the socket takes them.
class WatchSource final : public http::PumpSource {
 public:
  WatchSource(const Clock& clock, std::unique_ptr<Watch> watch, Renderer renderer, bool as_list, std::shared_ptr<AuditTrail> audit)
      : clock_(clock), watch_(std::move(watch)), renderer_(std::move(renderer)), as_list_(as_list), audit_(std::move(audit)) {}

  More next(std::string& out, size_t budget) override {
    thread_local std::vector<WatchItem> items;  // one for thousands of watches
    const size_t end = out.size() + budget;
    while (out.size() < end) {
      items.clear();
      const bool goes_on = watch_->next(kWatchBatch, items);
      for (const WatchItem& item : items) {
        if (as_list_ && item.type != WatchType::kError) return More::kEnd;  // no event is a list: upstream ends there
        renderer_.watch_frame(out, item, clock_.wall());
      }
      items.clear();  // holds no object longer
      if (!goes_on) return More::kEnd;
      if (watch_->idle()) return More::kIdle;
    }
    return More::kAgain;
  }
  std::optional<MonoTime> deadline() const override { return watch_->deadline(); }

 private:
  const Clock& clock_;
  std::unique_ptr<Watch> watch_;
  Renderer renderer_;
  const bool as_list_;
  std::shared_ptr<AuditTrail> audit_;  // letting go of it records the end
};

bool takes_patch(std::string_view type) {
  constexpr std::array<std::string_view, 4> kTypes = {"application/json-patch+json", "application/merge-patch+json",
                                                      "application/strategic-merge-patch+json",
                                                      "application/apply-patch+yaml"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

const schema::Subresource* find_subresource(const schema::Resource& resource, std::string_view name) {
  for (const schema::Subresource& sub : resource.subresources)
    if (sub.name == name) return &sub;
  return nullptr;
}

bool contains(std::span<const std::string_view> list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// Subresources that Rest knows; the connecting ones are served before it is asked.
bool rest_serves(std::string_view subresource) {
  constexpr std::string_view kServed[] = {"",         "status",   "approval", "binding", "ephemeralcontainers",
                                          "eviction", "finalize", "resize",   "scale",   "token"};
  return std::find(std::begin(kServed), std::end(kServed), subresource) != std::end(kServed);
}

// Below /api and the groups that are built in, a path that leads nowhere gets a Status; elsewhere, a text.
bool is_builtin_group(std::string_view group) {
  const auto all = schema::resources();
  return std::any_of(all.begin(), all.end(), [&](const schema::Resource& r) { return r.group == group; });
}

// What upstream's handler of custom resources says to a method that it does not know.
Status refuse_custom(const schema::Resource& resource, const RequestInfo& info) {
  if (resource.namespaced && info.ns.empty()) return path_not_found_error();
  return not_supported_error(resource, info.verb);
}

// What the path names, if it is served and has that verb.
Result<Target> find_target(const schema::Registry& registry, const RequestInfo& info) {
  Target target;
  target.resource = registry.find(info.group, info.version, info.resource);
  if (!target.resource) return path_not_found_error();
  const schema::Resource& resource = *target.resource;
  target.subresource = info.subresource;
  target.ns = resource.namespaced ? std::string_view(info.ns) : std::string_view();
  target.name = info.name;
  if (!resource.namespaced && info.in_namespace) return path_not_found_error();
  if (info.verb == "watch" && resource.storage_name == "componentstatuses") {
    if (info.old_watch) return path_not_found_error();
    Status status(405, reason::kMethodNotAllowed, "watch is not supported on resources of kind \"componentstatuses\"");
    Status::Details details;
    details.kind = resource.plural;
    return status.with_details(std::move(details));
  }
  if (info.old_watch && (!info.subresource.empty() || (resource.namespaced && info.ns.empty() && !info.name.empty())))
    return path_not_found_error();
  if (resource.custom && info.subresource.empty() && !contains(resource.verbs, info.verb)) return refuse_custom(resource, info);
  const bool across = info.verb == "list" || info.verb == "watch";
  // Paths that lead nowhere: an object's without its namespace, or of a resource whose objects are only sent.
  if (!info.name.empty() && !across) {
    constexpr std::string_view kOfObjects[] = {"get", "update", "patch", "delete"};
    const bool has_objects = !info.subresource.empty() ||
        std::any_of(std::begin(kOfObjects), std::end(kOfObjects), [&](std::string_view verb) { return contains(resource.verbs, verb); });
    if (!has_objects || (resource.namespaced && info.ns.empty())) return path_not_found_error();
  }
  if (resource.namespaced && info.ns.empty() && !contains(resource.verbs, "list")) return path_not_found_error();
  if (!info.subresource.empty()) {
    const schema::Subresource* sub = find_subresource(resource, info.subresource);
    if (!sub && resource.custom) return not_found_error(resource, info.name);
    if (!sub) return path_not_found_error();
    if (!contains(sub->verbs, info.verb)) return method_not_allowed_error();
  } else if (!contains(resource.verbs, info.verb)) {
    return method_not_allowed_error();
  }
  const bool of_collection =
      info.verb == "list" || info.verb == "watch" || info.verb == "create" || info.verb == "deletecollection";
  if (of_collection && info.verb != "create") target.name = {};
  if (resource.namespaced && info.ns.empty() && !across)
    return resource.custom ? path_not_found_error() : method_not_allowed_error();
  if (info.verb == "create" && info.subresource.empty() && !info.name.empty()) return method_not_allowed_error();
  if ((info.verb == "update" || info.verb == "patch") && info.name.empty())
    return resource.custom ? bad_request("name must be provided") : method_not_allowed_error();
  return target;
}

class ResourceRequest {
 public:
  ResourceRequest(Rest& rest, const Target& target, Exchange& exchange)
      : rest_(rest), target_(target), exchange_(exchange), request_(exchange.request), response_(exchange.response) {}

  Status run() {
    const schema::Custom* custom = target_.resource->custom;
    const std::string_view deprecation = custom ? custom->deprecation() : schema::deprecation(*target_.resource);
    if (!deprecation.empty()) add_warnings(response_, {std::string(deprecation)});
    if (!deprecation.empty() && exchange_.audit && !custom) exchange_.audit->annotate("k8s.io/deprecated", "true");
    if (custom && custom->webhook_conversion() && !target_.resource->storage)
      return internal_error(fmt::format(
          "conversion webhook for {}/{}, Kind={} failed: this server does not call conversion webhooks, only version {} is served",
          target_.resource->group, custom->storage_version(), target_.resource->kind, custom->storage_version()));
    const bool plain_only = shown().custom != nullptr;  // no protobuf
    const Forms forms = exchange_.info.verb == "watch" ? (plain_only ? Forms::kCustomStream : Forms::kStream)
                                                       : (plain_only ? Forms::kCustom : Forms::kMeta);
    const std::string& verb = exchange_.info.verb;
    if (!plain_only) {
      if (request_.method == "HEAD") return method_not_allowed_error();
      if (verb == "patch" && !takes_patch(media_type(request_.header("Content-Type")))) return unknown_patch();
      KNARR_RETURN_IF_ERROR(check_route_accepts(request_, verb == "list" || verb == "watch" ? Route::kCollection : Route::kObject));
    }
    KNARR_ASSIGN(output_, negotiate_output(request_, forms));
    KNARR_RETURN_IF_ERROR(check_form());
    if (verb == "get" || verb == "update" || verb == "patch" || verb == "delete") KNARR_RETURN_IF_ERROR(check_name());
    if (verb == "get") return get();
    if (verb == "list") return list();
    if (verb == "watch") return watch();
    if (verb == "create") return create();
    if (verb == "update") return update();
    if (verb == "patch") return patch();
    if (verb == "delete") return remove();
    if (verb == "deletecollection") return remove_collection();
    return method_not_allowed_error();
  }

 private:
  // Metadata comes as one object or as a list, by what is asked for.
  Status check_form() const {
    const std::string& verb = exchange_.info.verb;
    const std::string kind = shown().custom ? "unstructured.Unstructured" : internal_kind(shown());
    const bool many = verb == "list" || verb == "deletecollection";
    if (output_.shape == Shape::kPartial && many)
      return Status(
          406, reason::kNotAcceptable,
          fmt::format("you requested PartialObjectMetadata, but the requested object is a list (*{}List)", kind));
    if (output_.shape == Shape::kPartialList && !many && verb != "watch")
      return Status(
          406, reason::kNotAcceptable,
          fmt::format("you requested PartialObjectMetadataList, but the requested object is not a list (*{})", kind));
    const std::string& include = output_.include_object;
    if (output_.shape == Shape::kTable && include != "Metadata" && include != "Object" && include != "None")
      return bad_request(
          fmt::format("Unable to convert to Table as requested: includeObject: Invalid value: \"{}\": must be "
                      "'Metadata', 'Object', 'None', or empty",
                      include));
    return Status::OK();
  }

  // A key of the store is made of the name: what would lead elsewhere is refused.
  Status check_name() const {
    const auto problems = names::path_segment_name(target_.name);
    if (problems.empty()) return Status::OK();
    return bad_request(fmt::format("Name parameter invalid: \"{}\": {}", target_.name, fmt::join(problems, ";")));
  }

  // What is asked for must be no newer than what is there.
  Status check_revision() const {
    const std::string_view text = request_.param("resourceVersion").value_or("");
    if (text.empty()) return Status::OK();
    const auto wanted = parse_revision(text);
    const bool cached = is_cached(*target_.resource);
    if (!wanted.ok()) return cached ? late_revision_error(wanted.status()) : wanted.status();
    const store::Revision current = rest_.store().revision();
    return *wanted > current ? too_large_revision_error(*wanted, current, cached) : Status::OK();
  }

  Status unknown_patch() {
    response_.status = 415;
    response_.set_header("Content-Type", output_.content_type());
    response_.body = kUnknownPatch;
    return Status::OK();
  }

  // What is answered: the resource, or what its subresource shows.
  const schema::Resource& shown() const { return target_.subresource == "scale" ? schema::scale_resource() : *target_.resource; }

  Renderer renderer() const { return Renderer(shown(), output_, rest_.clock().wall()); }

  Status answer(const RequestContext& context, const Answer& answer) {
    response_.status = answer.code;
    response_.set_header("Content-Type", output_.content_type());
    response_.body = renderer().object(answer.bytes());
    add_warnings(response_, context.warnings);
    return Status::OK();
  }

  Status get() {
    RequestContext context;
    KNARR_RETURN_IF_ERROR(check_revision());
    KNARR_ASSIGN(const Answer found, rest_.get(context, target_));
    return answer(context, found);
  }

  Status answer_list(ListAnswer listed) {
    response_.set_header("Content-Type", output_.content_type());
    if (!output_.plain_json() || exchange_.audit) {
      response_.body = renderer().list(listed);
      return Status::OK();
    }
    response_.source = std::make_shared<ListBody>(std::make_shared<const ListAnswer>(std::move(listed)));
    if (response_.source->left() < kSentFromObjects) response_.make_body();
    return Status::OK();
  }

  Status list() {
    RequestContext context;
    KNARR_ASSIGN(const ListParams params, list_params(request_));
    auto listed = rest_.list(context, target_, params);
    if (listed.ok()) return answer_list(std::move(*listed));
    if (context.continue_token.empty()) return listed.status();
    answer_status(response_, listed.status(), context.continue_token);
    return Status::OK();
  }

  // The old path /watch/pods/name: a selector may not name another one.
  Status add_name(ListParams& params) const {
    const std::string& name = exchange_.info.name;
    if (name.empty()) return Status::OK();
    const auto selector = selector::Fields::parse(params.field_selector);
    const auto selected = selector.ok() ? selector->exact("metadata.name") : std::nullopt;
    if (selected && *selected != name) return bad_request("fieldSelector metadata.name doesn't match requested name");
    if (!selected && params.field_selector.empty()) params.field_selector = fmt::format("metadata.name={}", name);
    return Status::OK();
  }

  Status watch() {
    RequestContext context;
    KNARR_ASSIGN(ListParams params, list_params(request_));
    KNARR_RETURN_IF_ERROR(add_name(params));
    KNARR_ASSIGN(std::unique_ptr<Watch> watch, rest_.watch(context, target_, params));
    const uint32_t topic = watch->topic();
    output_.pretty = false;
    response_.set_header("Content-Type",
                         output_.protobuf ? fmt::format("{};stream=watch", output_.content_type()) : "application/json");
    response_.pump(topic, std::make_unique<WatchSource>(rest_.clock(), std::move(watch), renderer(), output_.shape == Shape::kPartialList, exchange_.audit));
    return Status::OK();
  }

  Status create() {
    KNARR_ASSIGN(RequestContext context, make_context(exchange_, "CreateOptions"));
    KNARR_ASSIGN(const std::string body, body_as_json(request_, shown().kind));
    auto created = rest_.create(context, target_, body);
    return finish(context, created);
  }

  Status update() {
    KNARR_ASSIGN(RequestContext context, make_context(exchange_, "UpdateOptions"));
    KNARR_ASSIGN(const std::string body, body_as_json(request_, shown().kind));
    auto updated = rest_.update(context, target_, body);
    return finish(context, updated);
  }

  Status patch() {
    const std::string type = media_type(request_.header("Content-Type"));
    if (!takes_patch(type)) return unknown_patch();
    KNARR_ASSIGN(RequestContext context, make_context(exchange_, "PatchOptions"));
    auto patched = rest_.patch(context, target_, type, request_.body);
    return finish(context, patched);
  }

  Status remove() {
    KNARR_ASSIGN(RequestContext context, make_context(exchange_, "DeleteOptions"));
    KNARR_ASSIGN(const DeleteParams params, delete_params(request_, context));
    auto removed = rest_.remove(context, target_, params);
    return finish(context, removed);
  }

  Status remove_collection() {
    KNARR_ASSIGN(RequestContext context, make_context(exchange_, "DeleteOptions"));
    KNARR_ASSIGN(const DeleteParams params, delete_params(request_, context));
    KNARR_ASSIGN(const ListParams selection, list_params(request_));
    KNARR_ASSIGN(ListAnswer removed, rest_.remove_collection(context, target_, selection, params));
    add_warnings(response_, context.warnings);
    return answer_list(std::move(removed));
  }

  // Warnings go out beside errors too.
  Status finish(const RequestContext& context, const Result<Answer>& result) {
    if (result.ok()) return answer(context, *result);
    add_warnings(response_, context.warnings);
    return result.status();
  }

  Rest& rest_;
  const Target& target_;
  Exchange& exchange_;
  const http::Request& request_;
  http::Response& response_;
  Output output_;
};

}  // namespace

void answer_missing_path(const http::Request& request, http::Response& response) {
  constexpr std::string_view kCore = "/api/", kGroups = "/apis/";
  const std::string_view path = request.path;
  const size_t end = std::min(path.find('/', kGroups.size()), path.size());
  const bool in_group = path.starts_with(kGroups) && end < path.size() && is_builtin_group(path.substr(kGroups.size(), end - kGroups.size()));
  if (path.starts_with(kCore) || in_group) {
    answer_status(response, path_not_found_error());
  } else {
    answer_no_such_path(response);
  }
}

void serve_resource(Rest& rest, NodeProxy* nodes, Exchange& exchange) {
  auto target = find_target(rest.registry(), exchange.info);
  if (!target.ok()) {
    // Upstream knows no path of a custom resource that is not served, so that there is no Status either.
    if (target.status().code() == 404 && target.status().details().kind.empty() && !is_builtin_group(exchange.info.group))
      return answer_no_such_path(exchange.response);
    return answer_status(exchange.response, target.status());
  }
  if (serve_connect(rest, nodes, *target, exchange)) return;
  if (!rest_serves(target->subresource)) return answer_status(exchange.response, path_not_found_error());
  const Status status = ResourceRequest(rest, *target, exchange).run();
  if (!status.ok()) answer_status(exchange.response, status);
}

}  // namespace knarr::apiserver
