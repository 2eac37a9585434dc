#include "audit_trail.h"

#include <fmt/format.h>

#include "admittance.h"
#include "knarr/apiserver/document.h"
#include "knarr/codec/time.h"
#include "knarr/schema/machinery.h"

namespace knarr::apiserver {

namespace {

using auth::AuditLevel;
using auth::AuditStage;
using json::Value;

void add(std::string& out, std::string_view name, std::string_view text) {
  if (text.empty()) return;
  if (!out.empty() && out.back() != '{') out += ',';
  json::append_quoted(out, name);
  out += ':';
  json::append_quoted(out, text);
}

std::string list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) {
    if (out.size() > 1) out += ',';
    json::append_quoted(out, item);
  }
  return out += ']';
}

std::string user_json(const auth::UserInfo& user) {
  std::string out = "{";
  add(out, "username", user.name);
  add(out, "uid", user.uid);
  if (!user.groups.empty()) out += fmt::format("{}\"groups\":{}", out == "{" ? "" : ",", list(user.groups));
  if (!user.extra.empty()) {
    out += out == "{" ? "\"extra\":{" : ",\"extra\":{";
    bool first = true;
    for (const auto& [key, values] : user.extra) {
      if (!std::exchange(first, false)) out += ',';
      json::append_quoted(out, key);
      out += ':' + list(values);
    }
    out += '}';
  }
  return out += '}';
}

std::string address_of(std::string_view remote) {
  const size_t colon = remote.rfind(':');
  std::string_view host = remote.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

// Where the request came from: what proxies said, and the connection.
std::vector<std::string> sources_of(const http::Request& request) {
  std::vector<std::string> out;
  std::string_view forwarded = request.header("X-Forwarded-For");
  while (!forwarded.empty()) {
    const size_t comma = std::min(forwarded.find(','), forwarded.size());
    std::string_view item = forwarded.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) out.emplace_back(item);
    forwarded.remove_prefix(std::min(comma + 1, forwarded.size()));
  }
  const std::string own = address_of(request.remote_address);
  if (out.empty() || out.back() != own) out.push_back(own);
  return out;
}

void drop_managed_fields(Value& object) {
  if (!object.IsObject()) return;
  if (Value* metadata = json::find(object, "metadata")) json::remove(*metadata, "managedFields");
  if (Value* items = json::find(object, "items"); items && items->IsArray())
    for (Value& item : items->GetArray()) drop_managed_fields(item);
}

std::string object_text(std::string_view text, bool omit_managed_fields) {
  auto document = json::parse(text);
  if (!document.ok()) return {};
  if (omit_managed_fields) drop_managed_fields(*document);
  return json::dump(*document);
}

// The answer as JSON, whatever the client asked for; "" for what is no object.
std::string answer_text(const http::Response& response, bool omit_managed_fields) {
  http::Request probe;  // bodies of requests and answers have the same forms
  for (const auto& [name, value] : response.headers)
    if (name == "Content-Type") probe.headers.emplace_back(name, value);
  probe.body = response.body;
  const auto text = body_as_json(probe);
  return text.ok() ? object_text(*text, omit_managed_fields) : std::string();
}

// What a request for something's end says of it, as upstream names that.
std::string delete_options(const json::Document& sent) {
  std::string out = R"({"kind":"DeleteOptions","apiVersion":"meta.k8s.io/__internal")";
  if (sent.IsObject())
    for (const auto& member : sent.GetObject()) {
      const std::string_view name = json::view(member.name);
      if (name == "kind" || name == "apiVersion") continue;
      out += ',';
      json::append_quoted(out, name);
      out += ':' + json::dump(member.value);
    }
  return out += '}';
}

// As it was understood: with the defaults of its kind, and without the empty values that protobuf has where JSON has
// nothing.
std::string tidy_object(std::string_view text, const RequestInfo& info, bool omit_managed_fields) {
  auto document = json::parse(text);
  if (!document.ok()) return {};
  if (info.verb == "delete" || info.verb == "deletecollection") return delete_options(*document);
  const schema::Resource* resource = schema::find_resource(info.group, info.version, info.resource);
  std::vector<std::string> unknown;
  if (resource && info.subresource.empty() && document->IsObject()) {
    (void)schema::normalize(*resource->type, *document, document->GetAllocator(), unknown);
    schema::apply_defaults(*resource, *document, document->GetAllocator());
  }
  if (omit_managed_fields) drop_managed_fields(*document);
  return json::dump(*document);
}

// The answer's status: of a Status object what it says, else the code alone.
std::string status_member(const http::Response& response) {
  std::string out = "{\"metadata\":{}";
  const auto body = response.status >= 400 ? json::parse(response.body) : Result<json::Document>(json::Document());
  if (body.ok() && body->IsObject() && json::get_string(*body, "kind") == "Status") {
    for (const std::string_view name : {"status", "message", "reason"}) add(out, name, json::get_string(*body, name));
    if (const Value* details = json::find(*body, "details")) out += ",\"details\":" + json::dump(*details);
  }
  return out += fmt::format(",\"code\":{}}}", response.status);
}

std::string reference(const RequestInfo& info, std::string_view name, std::string_view ns, std::string_view uid = {},
                      std::string_view revision = {}) {
  std::string ref = ",\"objectRef\":{";
  add(ref, "resource", info.resource);
  add(ref, "namespace", ns);
  add(ref, "name", name);
  add(ref, "uid", uid);
  add(ref, "apiGroup", info.group);
  add(ref, "apiVersion", info.version);
  add(ref, "resourceVersion", revision);
  add(ref, "subresource", info.subresource);
  return ref += '}';
}

}  // namespace

AuditTrail::AuditTrail(const AuditOptions& options, const Clock& clock, auth::AuditDecision decision)
    : options_(options), clock_(clock), decision_(decision) {}

std::string AuditTrail::now() const { return format_micro_time(clock_.wall()); }

std::shared_ptr<AuditTrail> AuditTrail::begin(const AuditOptions& options, const Clock& clock, Exchange& exchange) {
  const std::string_view given = exchange.request.header("Audit-ID");
  const std::string id = given.empty() || given.size() > 64 ? new_uid() : std::string(given);
  exchange.response.set_header("Audit-Id", id);  // whether or not it is recorded
  if (!options.policy || !options.log) return nullptr;
  auth::Attributes attributes = attributes_of(exchange);
  if (exchange.user.name.empty()) attributes.user = nullptr;
  const auth::AuditDecision decision = options.policy->decide(attributes);
  if (decision.level == AuditLevel::kNone) return nullptr;
  auto trail = std::shared_ptr<AuditTrail>(new AuditTrail(options, clock, decision));
  trail->id_ = id;
  trail->received_ = trail->now();
  trail->annotations_ = exchange.user.audit;
  trail->long_running_ = long_running(exchange.info);
  trail->describe(exchange);
  trail->record(AuditStage::kRequestReceived);
  return trail;
}

void AuditTrail::describe(const Exchange& exchange) {
  const http::Request& request = exchange.request;
  const RequestInfo& info = exchange.info;
  add(head_, "requestURI", request.target);
  add(head_, "verb", info.verb);
  head_ += ",\"user\":" + user_json(exchange.user);
  middle_ = fmt::format(",\"sourceIPs\":{}", list(sources_of(request)));
  add(middle_, "userAgent", request.header("User-Agent").substr(0, 1024));
  if (info.resource_request) object_ = reference(info, info.name, info.ns);
}

void AuditTrail::reads(const Exchange& exchange) {
  const http::Request& request = exchange.request;
  const RequestInfo& info = exchange.info;
  if (!info.resource_request || request.body.empty()) return;
  if (info.verb == "patch") {
    if (decision_.level >= AuditLevel::kRequest)
      request_object_ = object_text(request.body, decision_.omit_managed_fields);
    return;
  }
  const auto body = body_as_json(request);
  if (!body.ok()) return;
  if (const auto object = json::parse(*body); object.ok() && object->IsObject()) {
    object_ = reference(info, info.name.empty() ? meta_string(*object, "name") : std::string_view(info.name),
                        info.ns.empty() ? meta_string(*object, "namespace") : std::string_view(info.ns),
                        meta_string(*object, "uid"), meta_string(*object, "resourceVersion"));
  }
  if (decision_.level >= AuditLevel::kRequest)
    request_object_ = tidy_object(*body, info, decision_.omit_managed_fields);
}

void AuditTrail::impersonates(const Exchange& exchange) {
  impersonated_ = ",\"impersonatedUser\":" + user_json(exchange.user);
  if (exchange.impersonation.empty()) return;
  impersonated_ += ",\"authenticationMetadata\":{";
  add(impersonated_, "impersonationConstraint", exchange.impersonation);
  impersonated_ += '}';
}

void AuditTrail::record(AuditStage stage, const std::string& further) {
  if (!decision_.records(stage)) return;
  std::string line = fmt::format(R"({{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"{}","auditID":)",
                                 to_string(decision_.level));
  json::append_quoted(line, id_);
  line += fmt::format(",\"stage\":\"{}\",{}{}{}{}", to_string(stage), head_, impersonated_, middle_ + object_, further);
  line += fmt::format(",\"requestReceivedTimestamp\":\"{}\",\"stageTimestamp\":\"{}\"", received_, now());
  if (stage != AuditStage::kRequestReceived && !annotations_.empty()) {
    std::string told = "{";
    for (const auto& [name, text] : annotations_) {
      if (told.size() > 1) told += ',';
      json::append_quoted(told, name);
      told += ':';
      json::append_quoted(told, text);
    }
    line += ",\"annotations\":" + told + "}";
  }
  options_.log->write(line += '}');
}

void AuditTrail::refused_credentials() {
  complete_ = true;
  record(AuditStage::kResponseStarted,
         R"(,"responseStatus":{"metadata":{},"status":"Failure","message":"Authentication failed","code":401})");
}

void AuditTrail::panicked() {
  complete_ = true;
  record(
      AuditStage::kPanic,
      R"(,"responseStatus":{"metadata":{},"status":"Failure","message":"APIServer panic'd","reason":"InternalError","code":500})");
}

void AuditTrail::answered(const http::Response& response) {
  if (complete_) return;
  result_ = ",\"responseStatus\":" + status_member(response);
  if (!request_object_.empty()) result_ += ",\"requestObject\":" + request_object_;
  if (response.takeover) return record(AuditStage::kResponseStarted, result_);
  complete_ = true;
  if (decision_.level == AuditLevel::kRequestResponse) {
    const std::string object = answer_text(response, decision_.omit_managed_fields);
    if (!object.empty()) result_ += ",\"responseObject\":" + object;
  }
  if (long_running_) record(AuditStage::kResponseStarted, result_);  // it was at its end as soon as it began
  record(AuditStage::kResponseComplete, result_);
}

AuditTrail::~AuditTrail() {
  if (!complete_) record(AuditStage::kResponseComplete, result_);
}

}  // namespace knarr::apiserver
