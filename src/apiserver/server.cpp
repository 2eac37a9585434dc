// The request pipeline: ordered stages, each of which may answer and so end a request's way.
#include "knarr/apiserver/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>

#include "access.h"
#include "audit_trail.h"
#include "knarr/base/log.h"
#include "server_impl.h"

namespace knarr::apiserver {

namespace {

constexpr int kMaxReading = 400, kMaxMutating = 200;  // requests under way, as upstream's defaults

bool long_running(const RequestInfo& info) {
  return info.verb == "watch" || info.subresource == "log" || info.subresource == "exec" ||
         info.subresource == "attach" || info.subresource == "portforward" || info.subresource == "proxy";
}

bool is_openid(std::string_view path) {
  return path == "/.well-known/openid-configuration" || path == "/openid/v1/jwks" || path == "/openid/v1/jwks/";
}

class ApiServerImpl final : public ApiServer {
 public:
  explicit ApiServerImpl(ApiServerOptions options) : options_(std::move(options)) {
    version_ = version_json(options_.version_suffix);
    checks_.push_back({"ping", true, [] { return Status::OK(); }});
  }
  ~ApiServerImpl() override { detach(); }

  http::Handler handler() override {
    return [this](const http::Request& request, http::Response& response) { handle(request, response); };
  }

  void attach(http::Pump& pump) override {
    detach();
    listener_ =
        options_.rest->store().add_listener([&pump](std::span<const store::ResourceId> resources, store::Revision) {
          for (const store::ResourceId id : resources) pump.wake(id);
        });
    attached_ = true;
  }
  void detach() override {
    if (std::exchange(attached_, false)) options_.rest->store().remove_listener(listener_);
  }
  void add_check(std::string name, bool live, std::function<Status()> check) override {
    checks_.push_back({std::move(name), live, std::move(check)});
  }

 private:
  enum class Next { kGoOn, kAnswered };
  using Stage = Next (ApiServerImpl::*)(Exchange&);

  Next authenticate(Exchange& exchange);
  Next impersonate(Exchange& exchange);
  Next authorize(Exchange& exchange);
  Next serve(Exchange& exchange);
  static Next refuse_unless(Exchange& exchange, const Status& status);
  void serve_openid(const http::Request& request, http::Response& response) const;
  void handle(const http::Request& request, http::Response& response);
  void run(Exchange& exchange);
  void finish(const Exchange& exchange);
  std::string metrics() const;

  ApiServerOptions options_;
  std::string version_;
  std::vector<Check> checks_;
  Documents documents_;
  RequestCounts counts_;
  std::atomic<int> reading_{0}, mutating_{0};
  uint64_t listener_ = 0;
  bool attached_ = false;
};

// The way of a request. What a request changes is admitted (mutating, then validating) inside Rest, where in-process
// writers pass too.
void ApiServerImpl::run(Exchange& exchange) {
  static constexpr std::array<Stage, 4> kStages = {&ApiServerImpl::authenticate, &ApiServerImpl::impersonate,
                                                   &ApiServerImpl::authorize, &ApiServerImpl::serve};
  for (const Stage stage : kStages)
    if ((this->*stage)(exchange) == Next::kAnswered) return;
}

// The edge: whatever happens inside, the client gets an answer, and the in-flight count is kept.
void ApiServerImpl::handle(const http::Request& request, http::Response& response) {
  Exchange exchange{request, response, read_request_info(request), {}, {}, false, options_.rest->clock().mono()};
  const bool counted = !long_running(exchange.info);
  const bool reads = exchange.info.verb == "get" || exchange.info.verb == "list";
  std::atomic<int>& in_flight = reads ? reading_ : mutating_;
  if (counted && in_flight.fetch_add(1) >= (reads ? kMaxReading : kMaxMutating)) {
    response.set_header("Retry-After", "1");
    answer_status(response, Status(429, reason::kTooManyRequests, "Too many requests, please try again later."));
  } else {
    try {
      run(exchange);
    } catch (const std::exception& error) {
      log::error("apiserver", "a request failed in an unforeseen way",
                 {{"method", request.method}, {"path", request.path}, {"error", error.what()}});
      if (exchange.audit) exchange.audit->panicked();
      response = http::Response();
      answer_status(response, internal_error("Internal error occurred: this request caused apiserver to fail"));
    }
  }
  if (counted) in_flight.fetch_sub(1);
  if (exchange.audit) exchange.audit->answered(response);
  finish(exchange);
}

void ApiServerImpl::finish(const Exchange& exchange) {
  fit_status(exchange.request, exchange.response);
  compress(exchange.request, exchange.response);
  auto& headers = exchange.response.headers;
  const bool cacheable =
      std::any_of(headers.begin(), headers.end(), [](const auto& header) { return header.first == "Cache-Control"; });
  if (!cacheable) headers.emplace_back("Cache-Control", "no-cache, private");
  counts_.add(exchange.info, exchange.response.status);
}

ApiServerImpl::Next ApiServerImpl::refuse_unless(Exchange& exchange, const Status& status) {
  if (status.ok()) return Next::kGoOn;
  if (status.code() != 401) exchange.response.set_header("X-Content-Type-Options", "nosniff");
  answer_status(exchange.response, status);
  return Next::kAnswered;
}

ApiServerImpl::Next ApiServerImpl::authenticate(Exchange& exchange) {
  const Status status = apiserver::authenticate(options_.authenticator.get(), options_.anonymous, exchange);
  exchange.audit = AuditTrail::begin(options_.audit, options_.rest->clock(), exchange);
  if (exchange.audit && !status.ok()) exchange.audit->refused_credentials();
  return refuse_unless(exchange, status);
}

ApiServerImpl::Next ApiServerImpl::impersonate(Exchange& exchange) {
  const Status status = apiserver::impersonate(options_.authorizer.get(), exchange);
  if (exchange.audit && exchange.impersonator) exchange.audit->impersonates(exchange.user);
  return refuse_unless(exchange, status);
}

ApiServerImpl::Next ApiServerImpl::authorize(Exchange& exchange) {
  return refuse_unless(exchange, apiserver::authorize(options_.authorizer.get(), exchange));
}

// What others need to check this server's ServiceAccount tokens (OpenID Connect discovery).
void ApiServerImpl::serve_openid(const http::Request& request, http::Response& response) const {
  const bool keys = request.path.starts_with("/openid/v1/jwks");
  response.set_header("Content-Type", keys ? "application/jwk-set+json" : "application/json");
  response.set_header("Cache-Control", "public, max-age=3600");
  response.body = keys ? options_.service_accounts->jwks_json()
                       : options_.service_accounts->discovery_json("https://" + options_.external_address);
}

ApiServerImpl::Next ApiServerImpl::serve(Exchange& exchange) {
  const http::Request& request = exchange.request;
  http::Response& response = exchange.response;
  if (exchange.info.resource_request) {
    const WallTime now = options_.rest->clock().wall();
    if (!serve_review(options_.tokens.get(), options_.authorizer.get(), now, exchange))
      serve_resource(*options_.rest, options_.node_proxy.get(), exchange);
    return Next::kAnswered;
  }
  const schema::CatalogPtr catalog = options_.rest->registry().catalog();
  if (request.method != "GET" && request.method != "HEAD") {
    answer_status(response, Status(405, reason::kMethodNotAllowed,
                                   "the server does not allow this method on the requested resource")
                                .with_details({}));
  } else if (options_.service_accounts && is_openid(request.path)) {
    serve_openid(request, response);
  } else if (request.path == "/version" || request.path == "/version/") {
    response.set_header("Content-Type", "application/json");
    response.body = version_;
  } else if (request.path == "/metrics") {
    response.set_header("Content-Type", "text/plain; version=0.0.4");
    response.body = metrics();
  } else if (!serve_health(request, response, checks_) &&
             !serve_discovery(request, response, documents_, *catalog, options_.external_address) &&
             !serve_openapi(request, response, documents_, *catalog)) {
    answer_no_such_path(response);
  }
  return Next::kAnswered;
}

std::string ApiServerImpl::metrics() const {
  std::string out = counts_.to_text();
  const store::Store::Stats stats = options_.rest->store().stats();
  const auto line = [&](std::string_view name, std::string_view type, std::string_view help, size_t value) {
    out += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n", name, type, help, value);
  };
  line("knarr_store_objects", "gauge", "Objects in the store.", stats.objects);
  line("knarr_store_value_bytes", "gauge", "Bytes of the objects' values.", stats.value_bytes);
  line("knarr_store_commits_total", "counter", "Commits answered.", stats.commits);
  line("knarr_store_transactions_total", "counter", "Transactions of the journal; each may hold many commits.",
       stats.transactions);
  line("knarr_store_syncs_failed_total", "counter", "Transactions that the journal refused.", stats.syncs_failed);
  line("knarr_store_lazy_pending", "gauge", "Writes that are not yet on disk and need not be.", stats.lazy_pending);
  line("knarr_store_revision", "gauge", "Revision of the last write.", options_.rest->store().revision());
  line("apiserver_current_inflight_requests_reading", "gauge", "Reading requests under way.", reading_.load());
  line("apiserver_current_inflight_requests_mutating", "gauge", "Mutating requests under way.", mutating_.load());
  return out;
}

}  // namespace

std::unique_ptr<ApiServer> ApiServer::make(ApiServerOptions options) {
  return std::make_unique<ApiServerImpl>(std::move(options));
}

void ApiServer::error_body(int code, std::string_view message, http::Response& response) {
  std::string_view why = reason::kInternalError;
  if (code == 400 || code == 431) why = reason::kBadRequest;
  if (code == 413) why = reason::kRequestEntityTooLarge;
  answer_status(response, Status(code, why, std::string(message)));
}

}  // namespace knarr::apiserver
