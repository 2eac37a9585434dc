// The reading half of Rest, and what all verbs share.
#include "knarr/apiserver/rest.h"

#include <fmt/format.h>

#include <charconv>

#include "component_statuses.h"
#include "knarr/codec/base64.h"
#include "knarr/schema/machinery.h"
#include "list_body.h"
#include "rest_impl.h"
#include "selection.h"

namespace knarr::apiserver {

namespace {

constexpr std::chrono::seconds kContinueLifetime{300};  // upstream forgets a token's revision at its next compaction
constexpr std::string_view kInconsistentContinue =
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list.";

// Where a list goes on. `revision` 0: at whatever is the latest.
struct Continue {
  store::Revision revision = 0;
  std::string start_after;
  int64_t made = 0;  // seconds since the epoch
};

std::string encode_continue(const Continue& token) {
  std::string text = R"({"v":"meta.k8s.io/v1","rv":)";
  text += token.revision ? std::to_string(token.revision) : "-1";
  text += fmt::format(",\"t\":{},\"start\":", token.made);
  json::append_quoted(text, token.start_after);
  text += '}';
  return base64::encode_url(text);
}

Result<Continue> decode_continue(std::string_view text, std::string_view prefix) {
  const auto bytes = base64::decode_url(text);
  if (!bytes.ok()) return bad_request("invalid continue token: continue key is not valid: " + bytes.status().message());
  const auto document = json::parse(*bytes);
  if (!document.ok())
    return bad_request("invalid continue token: continue key is not valid: " + document.status().message());
  if (json::get_string(*document, "v") != "meta.k8s.io/v1")
    return bad_request(fmt::format(
        "invalid continue token: continue key is not valid: server does not recognize this encoded version {}",
        json::get_string(*document, "v")));
  const int64_t revision = json::get_int(*document, "rv");
  if (revision == 0)
    return bad_request(
        "invalid continue token: continue key is not valid: incorrect encoded start resourceVersion (version "
        "meta.k8s.io/v1)");
  Continue out;
  out.start_after = json::get_string(*document, "start");
  if (out.start_after.empty())
    return bad_request(
        "invalid continue token: continue key is not valid: encoded start key empty (version meta.k8s.io/v1)");
  if (out.start_after.compare(0, prefix.size(), prefix) != 0)
    return bad_request("invalid continue token: continue key is not valid: " + out.start_after);
  out.revision = revision > 0 ? static_cast<store::Revision>(revision) : 0;
  out.made = json::get_int(*document, "t");
  return out;
}

bool is_component_status(const schema::Resource& resource) { return resource.storage_name == "componentstatuses"; }

int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

Result<store::Revision> parse_revision(std::string_view text) {
  store::Revision value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return bad_request(
        fmt::format("invalid resource version: resourceVersion: Invalid value: \"{}\": {}", text, go_number_error("ParseUint", text)));
  return value;
}

bool is_cached(const schema::Resource& resource) { return resource.storage_name != "events"; }

Status late_revision_error(const Status& error) {
  return Status(500, "", error.message().substr(error.message().find("resourceVersion:")));
}

Rest::Impl::Impl(RestOptions options)
    : store(options.store),
      clock(options.clock),
      admission(std::move(options.admission)),
      service_accounts(std::move(options.service_accounts)),
      event_expiry(*store, *clock, options.event_ttl),
      definitions(*store, *clock, registry),
      service_addresses(*store, options.service_cidr) {
  for (const schema::Resource& resource : schema::resources()) ids.push_back(store->resource(resource.storage_name));
}

store::ResourceId Rest::Impl::id(const schema::Resource& resource) const {
  const auto all = schema::resources();
  if (&resource >= all.data() && &resource < all.data() + all.size()) return ids[&resource - all.data()];
  return store->resource(resource.storage_name);
}

Rest::Rest(RestOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Rest::~Rest() = default;
store::Store& Rest::store() const { return *impl_->store; }
const Clock& Rest::clock() const { return *impl_->clock; }
const schema::Registry& Rest::registry() const { return impl_->registry; }

Result<Answer> Rest::get(RequestContext&, const Target& target) {
  Answer answer;
  if (is_component_status(*target.resource)) {
    for (const store::ObjectPtr& object : component_statuses())
      if (object->key == target.name) answer.object = object;
    if (answer.object) return answer;
    Status::Details details;
    details.name = target.name;
    details.kind = "componentstatus";
    return Status(404, reason::kNotFound, fmt::format("componentstatus \"{}\" not found", target.name)).with_details(std::move(details));
  }
  answer.object = Presenter(impl_->registry, *target.resource)(
      impl_->store->get(impl_->id(*target.resource), object_key(target.ns, target.name)));
  if (!answer.object) return not_found_error(*target.resource, target.name);
  if (target.subresource == "scale") return Impl::as_scale(*target.resource, std::move(answer));
  return answer;
}

Status validate_list_params(const ListParams& params, bool watch) {
  constexpr std::string_view kField = "resourceVersionMatch";
  const std::string& match = params.resource_version_match;
  std::vector<Cause> causes;
  if (watch) {
    if (params.send_initial_events && match != "NotOlderThan")
      causes.push_back(
          cause_forbidden(kField, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    const bool from_state = params.resource_version.empty() || params.resource_version == "0";
    if (match.empty() && !params.send_initial_events && from_state && !params.continue_token.empty())
      causes.push_back(cause_forbidden(kField, "resourceVersionMatch is forbidden when continue is provided"));
    if (!match.empty()) {
      if (!params.send_initial_events)
        causes.push_back(cause_forbidden(
            kField, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
      if (match != "NotOlderThan") causes.push_back(cause_unsupported(kField, match, "\"NotOlderThan\""));
      if (!params.continue_token.empty())
        causes.push_back(cause_forbidden(kField, "resourceVersionMatch is forbidden when continue is provided"));
    }
  } else {
    if (!match.empty()) {
      if (params.resource_version.empty())
        causes.push_back(
            cause_forbidden(kField, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
      if (!params.continue_token.empty())
        causes.push_back(cause_forbidden(kField, "resourceVersionMatch is forbidden when continue is provided"));
      if (match != "Exact" && match != "NotOlderThan")
        causes.push_back(cause_unsupported(kField, match, "\"Exact\", \"NotOlderThan\", \"\""));
      if (match == "Exact" && params.resource_version == "0")
        causes.push_back(
            cause_forbidden(kField, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
    }
    if (params.send_initial_events)
      causes.push_back(cause_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  }
  if (causes.empty()) return Status::OK();
  return invalid_error("meta.k8s.io", "ListOptions", "", std::move(causes));
}

Result<ListAnswer> Rest::list(RequestContext& context, const Target& target, const ListParams& params) {
  KNARR_RETURN_IF_ERROR(validate_list_params(params, false));
  if (target.resource->storage_name == "events") impl_->event_expiry.sweep_if_due();
  KNARR_ASSIGN(const Selection selection, Selection::make(target, params));
  if (is_component_status(*target.resource)) {
    ListAnswer answer;
    answer.resource = target.resource;
    answer.revision = impl_->store->revision();
    for (const store::ObjectPtr& object : component_statuses())
      if (selection.matches(*object)) answer.objects.push_back(object);
    return answer;
  }
  store::ListOptions options;
  options.prefix = selection.prefix();
  const bool continued = !params.continue_token.empty();
  if (continued) {
    KNARR_ASSIGN(const Continue token, decode_continue(params.continue_token, selection.prefix()));
    if (!params.resource_version.empty() && params.resource_version != "0")
      return bad_request("specifying resource version is not allowed when using continue");
    options.at = token.revision;
    options.start_after = token.start_after;
    const bool old = token.made > 0 && unix_seconds(impl_->now()) - token.made > kContinueLifetime.count();
    if (token.revision > 0 && old) {
      context.continue_token = encode_continue({0, token.start_after, 0});
      return expired_error(kInconsistentContinue);
    }
  } else if (!params.resource_version.empty()) {
    KNARR_ASSIGN(const store::Revision wanted, parse_revision(params.resource_version));
    const store::Revision current = impl_->store->revision();
    if (wanted > current) return too_large_revision_error(wanted, current, is_cached(*target.resource));
    const bool legacy_exact = params.resource_version_match.empty() && params.limit > 0 && wanted > 0;
    if (params.resource_version_match == "Exact" || legacy_exact) options.at = wanted;
  }

  const size_t limit = params.limit > 0 ? static_cast<size_t>(params.limit) : 0;
  if (selection.everything()) options.limit = limit;
  options.labels = selection.exact_labels();
  auto listed = impl_->store->list(impl_->id(*target.resource), options);
  if (!listed.ok()) {
    if (listed.status().code() != 410) return listed.status();
    if (!continued) return expired_error("The resourceVersion for the provided list is too old.");
    context.continue_token = encode_continue({0, options.start_after, 0});
    return expired_error(kInconsistentContinue);
  }

  ListAnswer answer;
  answer.resource = target.resource;
  answer.revision = listed->revision;
  bool more = listed->more;
  if (selection.everything()) {
    answer.objects = std::move(listed->objects);
    if (more) answer.remaining = static_cast<int64_t>(listed->remaining);
  } else {
    for (store::ObjectPtr& object : listed->objects) {
      if (!selection.matches(*object)) continue;
      if (limit > 0 && answer.objects.size() == limit) {
        more = true;
        break;
      }
      answer.objects.push_back(std::move(object));
    }
  }
  const Presenter present(impl_->registry, *target.resource);
  for (store::ObjectPtr& object : answer.objects) object = present(std::move(object));
  if (more && !answer.objects.empty())
    answer.continue_token = encode_continue({answer.revision, answer.objects.back()->key, unix_seconds(impl_->now())});
  return answer;
}

std::string ListAnswer::to_json() const {
  ListBody body({std::shared_ptr<const ListAnswer>(), this});  // which this outlives
  std::string out(body.left(), '\0');
  body.read(out.data(), out.size());
  return out;
}

Result<std::unique_ptr<Watch>> Rest::watch(RequestContext&, const Target& target, const ListParams& params) {
  return make_watch(*impl_, target, params);
}

}  // namespace knarr::apiserver
