#include "admittance.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "knarr/codec/time.h"

namespace knarr::apiserver {

namespace {

constexpr int kWidest = 100;               // seats, of a list (upstream: MaximumListSeatsLimit)
constexpr double kBytesOfSeat = 100'000, kMostBytes = 1'000'000;  // of a list that streams out of memory
constexpr milliseconds kRequestTime{60'000}, kLongestWait{60'000};
constexpr int kPartThatWaits = 4;

// The seats of a list go by the bytes that it reads, as upstream reckons them for a list from its cache. How large the
// objects of one resource are is not known here: they count as the average object does.
int width_of(Rest& rest, const Exchange& exchange, int most) {
  const RequestInfo& info = exchange.info;
  const http::Request& request = exchange.request;
  if (info.verb == "watch") {
    const std::string_view version = request.param("resourceVersion").value_or("");
    const bool starts_with_all = version.empty() || version == "0" || request.flag("sendInitialEvents");
    if (!starts_with_all) return 1;
  }
  most = most <= 0 ? kWidest : std::min(most, kWidest);
  const schema::ResourceRef resource = rest.registry().catalog()->find(info.group, info.version, info.resource);
  if (!resource) return 1;
  size_t objects = 1;
  if (info.name.empty()) {
    objects = rest.store().count(rest.store().resource(resource->storage_name));
    const std::string_view limit = request.param("limit").value_or("");
    int64_t wanted = 0;
    if (!limit.empty() && std::from_chars(limit.data(), limit.data() + limit.size(), wanted).ptr != limit.data() + limit.size()) return most;
    if (wanted > 0) objects = std::min(objects, static_cast<size_t>(wanted));
  }
  const store::Store::Stats stats = rest.store().stats();
  const double average = stats.objects > 0 ? static_cast<double>(stats.value_bytes) / static_cast<double>(stats.objects) : 0;
  const double bytes = std::min(static_cast<double>(objects) * average, kMostBytes);
  return std::clamp(static_cast<int>(std::ceil(bytes / kBytesOfSeat)), 1, most);
}

}  // namespace

bool long_running(const RequestInfo& info) {
  if (info.verb == "watch" || info.verb == "proxy") return true;
  return info.resource_request && (info.subresource == "log" || info.subresource == "exec" || info.subresource == "attach" ||
                                   info.subresource == "portforward" || info.subresource == "proxy");
}

std::unique_ptr<flow::Ticket> classify(flow::FlowControl& flow, Rest& rest, const Exchange& exchange) {
  const RequestInfo& info = exchange.info;
  flow::Question question;
  question.user = &exchange.user;
  question.verb = info.verb;
  question.group = info.group;
  question.resource = info.resource;
  question.subresource = info.subresource;
  question.ns = info.ns;
  question.path = exchange.request.path;
  question.resource_request = info.resource_request;
  if (info.verb == "list" || info.verb == "watch") question.width = [&](int most) { return width_of(rest, exchange, most); };
  return flow.classify(question);
}

milliseconds patience_of(const http::Request& request) {
  milliseconds time = kRequestTime;
  if (const auto text = request.param("timeout"); text && !text->empty()) {
    if (const auto given = parse_duration(*text); given.ok() && *given > std::chrono::nanoseconds::zero())
      time = std::min(time, std::chrono::duration_cast<milliseconds>(*given));
  }
  return std::min(time / kPartThatWaits, kLongestWait);
}

void add_flow_headers(Exchange& exchange) {
  exchange.response.add_header("X-Kubernetes-Pf-Flowschema-Uid", exchange.ticket->schema_uid());
  exchange.response.add_header("X-Kubernetes-Pf-Prioritylevel-Uid", exchange.ticket->level_uid());
}

void answer_too_many(Exchange& exchange) {
  http::Response& response = exchange.response;
  response.status = 429;
  response.set_header("Retry-After", std::to_string(exchange.ticket->retry_after()));
  response.set_header("Content-Type", "text/plain; charset=utf-8");
  response.set_header("X-Content-Type-Options", "nosniff");
  response.body = "Too many requests, please try again later.\n";
}

}  // namespace knarr::apiserver
