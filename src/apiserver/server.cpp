// The request pipeline: ordered stages, each of which may answer and so end a request's way. Those before a request has its
// seat run as it arrives, on the thread that reads it; the others when its turn has come.
#include "knarr/apiserver/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "access.h"
#include "admittance.h"
#include "audit_trail.h"
#include "knarr/apiserver/document.h"
#include "knarr/base/log.h"
#include "server_impl.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kTooLarge = "Request entity too large: limit is 3145728";  // http::ServerOptions::max_body

bool is_openid(std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  return path == "/.well-known/openid-configuration" || path == "/openid/v1/jwks";
}

class ApiServerImpl final : public ApiServer, private http::Gate {
 public:
  explicit ApiServerImpl(ApiServerOptions options) : options_(std::move(options)) {
    version_ = version_json(options_.version_suffix);
    const Clock& clock = options_.rest->clock();
    flow_ = flow::FlowControl::make(
        {.store = &options_.rest->store(), .clock = &clock, .seats = options_.seats, .expires = &clock == &Clock::system()});
  }
  ~ApiServerImpl() override { detach(); }

  http::Handler handler() override {
    return [this](const http::Request& request, http::Response& response) { handle(request, response); };
  }
  http::Gate& gate() override { return *this; }

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

  std::shared_ptr<Exchange> make_exchange(const http::Request& request, http::Response& response) const;
  Verdict admit(http::Request& request, http::Response& response, std::function<void()> resume) override;
  void open() override { flow_->open(); }
  Verdict admit(Exchange& exchange, std::function<void()> resume, uint32_t& lane);
  void handle(const http::Request& request, http::Response& response);
  template <typename Run>
  void guarded(Exchange& exchange, Run run);
  void finish(const Exchange& exchange);
  std::string metrics() const;

  ApiServerOptions options_;
  std::string version_;
  std::vector<Check> checks_;
  Documents documents_;
  RequestCounts counts_;
  std::unique_ptr<flow::FlowControl> flow_;
  uint64_t listener_ = 0;
  bool attached_ = false;
};

// Whatever happens inside, the client gets an answer.
template <typename Run>
void ApiServerImpl::guarded(Exchange& exchange, Run run) {
  try {
    run();
  } catch (const std::exception& error) {
    log::error("apiserver", "a request failed in an unforeseen way",
               {{"method", exchange.request.method}, {"path", exchange.request.path}, {"error", error.what()}});
    if (exchange.audit) exchange.audit->panicked();
    exchange.response = http::Response();
    answer_status(exchange.response, internal_error("Internal error occurred: this request caused apiserver to fail"));
  }
}

std::shared_ptr<Exchange> ApiServerImpl::make_exchange(const http::Request& request, http::Response& response) const {
  auto exchange = std::make_shared<Exchange>(request, response, read_request_info(request));
  exchange->began = options_.rest->clock().mono();
  return exchange;
}

ApiServerImpl::Verdict ApiServerImpl::admit(http::Request& request, http::Response& response, std::function<void()> resume) {
  if (!options_.foreign_prefix.empty() && request.path.starts_with(options_.foreign_prefix)) return Verdict::kPass;
  const std::shared_ptr<Exchange> exchange = make_exchange(request, response);
  request.context = exchange;
  return admit(*exchange, std::move(resume), request.lane);
}

// After kWait another thread has the exchange.
ApiServerImpl::Verdict ApiServerImpl::admit(Exchange& exchange, std::function<void()> resume, uint32_t& lane) {
  Verdict verdict = Verdict::kAnswered;
  guarded(exchange, [&] {
    if (exchange.info.broken) {
      exchange.response.status = 500;
      exchange.response.set_header("Content-Type", "text/plain; charset=utf-8");
      exchange.response.set_header("X-Content-Type-Options", "nosniff");
      exchange.response.set_header("Audit-Id", new_uid());
      exchange.response.body = fmt::format(
          "Internal Server Error: \"{0}\": failed to create RequestInfo: unable to determine kind and namespace from url, {0}\n",
          exchange.request.target);
      return;
    }
    for (const Stage stage : {&ApiServerImpl::authenticate, &ApiServerImpl::impersonate})
      if ((this->*stage)(exchange) == Next::kAnswered) return;
    verdict = Verdict::kPass;
    if (long_running(exchange.info) && exchange.info.verb != "watch") return;
    exchange.ticket = classify(*flow_, *options_.rest, exchange);
    add_flow_headers(exchange);
    lane = exchange.ticket->lane();
    switch (exchange.ticket->enter(std::move(resume), patience_of(exchange.request))) {
      case flow::Ticket::State::kRunning:
        break;
      case flow::Ticket::State::kWaiting:
        verdict = Verdict::kWait;
        break;
      case flow::Ticket::State::kRefused:
        verdict = Verdict::kAnswered;
        answer_too_many(exchange);
    }
  });
  if (verdict == Verdict::kAnswered) finish(exchange);
  return verdict;
}

// What a request changes is admitted (mutating, then validating) inside Rest, where in-process writers pass too.
void ApiServerImpl::handle(const http::Request& request, http::Response& response) {
  auto exchange = std::static_pointer_cast<Exchange>(request.context);
  if (!exchange) {  // there is no gate
    exchange = make_exchange(request, response);
    uint32_t lane = 0;
    if (admit(*exchange, nullptr, lane) == Verdict::kAnswered) return;
  }
  guarded(*exchange, [&] {
    if (exchange->ticket && exchange->ticket->state() == flow::Ticket::State::kRefused) return answer_too_many(*exchange);
    if (authorize(*exchange) == Next::kGoOn) (void)serve(*exchange);
  });
  exchange->ticket.reset();
  finish(*exchange);
}

void ApiServerImpl::finish(const Exchange& exchange) {
  if (exchange.audit) {
    exchange.audit->answered(exchange.response);
    exchange.response.hold(exchange.audit);
  }
  fit_status(exchange.request, exchange.response);
  compress(exchange.request, exchange.response);
  auto& headers = exchange.response.headers;
  const bool cacheable =
      std::any_of(headers.begin(), headers.end(), [](const auto& header) { return header.first == "Cache-Control"; });
  if (!cacheable && !exchange.info.broken) headers.emplace_back("Cache-Control", "no-cache, private");
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
  if (exchange.audit && exchange.impersonator) exchange.audit->impersonates(exchange);
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
  if (request.path.starts_with("//")) {
    answer_no_such_path(response);
    return Next::kAnswered;
  }
  if (exchange.info.resource_request) {
    const WallTime now = options_.rest->clock().wall();
    if (!serve_review(options_.tokens.get(), options_.authorizer.get(), now, exchange))
      serve_resource(*options_.rest, options_.node_proxy.get(), exchange);
    return Next::kAnswered;
  }
  const schema::CatalogPtr catalog = options_.rest->registry().catalog();
  const bool openid = options_.service_accounts && is_openid(request.path);
  if (openid || request.path == "/version" || request.path == "/version/") {
    const Route route = request.path.starts_with("/openid/") ? Route::kKeys : Route::kJson;
    const Status status = request.method == "GET" ? check_route_accepts(request, route) : method_not_allowed_error();
    if (!status.ok()) {
      answer_status(response, status);
    } else if (openid) {
      serve_openid(request, response);
    } else {
      response.set_header("Content-Type", "application/json");
      response.body = version_;
    }
  } else if (request.path == "/metrics") {
    response.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    response.body = metrics();
  } else if (!serve_health(request, response, checks_) &&
             !serve_discovery(request, response, documents_, *catalog, options_.external_address) &&
             !serve_openapi(request, response, documents_, *catalog)) {
    answer_missing_path(request, response);
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
  return out + flow_->metrics();
}

}  // namespace

std::unique_ptr<ApiServer> ApiServer::make(ApiServerOptions options) {
  return std::make_unique<ApiServerImpl>(std::move(options));
}

void ApiServer::error_body(int code, std::string_view message, http::Response& response) {
  response.set_header("Audit-Id", new_uid());
  response.set_header("Cache-Control", "no-cache, private");
  std::string_view why = reason::kInternalError;
  if (code == 400 || code == 431) why = reason::kBadRequest;
  if (code == 413) why = reason::kRequestEntityTooLarge;
  const std::string_view upstreams = code == 413 ? kTooLarge : message;
  answer_status(response, Status(code, why, std::string(upstreams)));
}

}  // namespace knarr::apiserver
