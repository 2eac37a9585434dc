#include "knarr/http/client.h"

#include <fmt/format.h>

#include <algorithm>

#include "http/client_connection.h"

namespace knarr::http {

namespace {

constexpr seconds kMaxIdle{60};          // servers close idle connections; ours after 90 s
constexpr size_t kMaxAnswer = 1u << 30;  // a whole answer in memory

bool idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" || method == "OPTIONS";
}

class ClientImpl final : public Client {
 public:
  ClientImpl(ClientOptions options, Url url, SslContextPtr tls)
      : options_(std::move(options)), url_(std::move(url)), tls_(std::move(tls)) {}

  Status reload_tls() override;

  Result<ClientResponse> send(const ClientRequest& request) override;
  Status stream(const ClientRequest& request, const std::function<bool(const ClientResponse& head)>& on_head,
                const std::function<bool(std::string_view)>& on_data, std::shared_ptr<Cancel> cancel) override;
  Result<Upgraded> upgrade(const ClientRequest& request) override;

 private:
  using ConnectionPtr = std::unique_ptr<ClientConnection>;
  using Deadline = ClientConnection::Deadline;
  struct Exchange {
    ConnectionPtr connection;
    ResponseHead head;
  };

  Result<std::string> request_head(const ClientRequest& request) const;
  Result<ConnectionPtr> connect(Deadline deadline, std::shared_ptr<CancelImpl> cancel);
  ConnectionPtr take_idle();
  void keep(ConnectionPtr connection);
  // Sends the request and reads the answer's head; a kept connection that turns out to be closed is replaced once.
  Result<Exchange> begin(const ClientRequest& request, Deadline deadline, std::shared_ptr<CancelImpl> cancel,
                         bool fresh);
  Status read_whole(Exchange& exchange, Deadline deadline, std::string& body);
  static Status transmit(ClientConnection& connection, std::string_view head, std::string_view body, Deadline deadline);

  const ClientOptions options_;
  const Url url_;
  Mutex mutex_;
  std::shared_ptr<SSL_CTX> tls_ KNARR_GUARDED_BY(mutex_);  // null: plain HTTP
  std::vector<ConnectionPtr> idle_ KNARR_GUARDED_BY(mutex_);
};

Result<std::string> ClientImpl::request_head(const ClientRequest& request) const {
  const auto printable = [](unsigned char c) { return c > 0x20 && c != 0x7f; };
  if (request.target.empty() || request.target.front() != '/' ||
      !std::all_of(request.target.begin(), request.target.end(), printable))
    return bad_request(fmt::format("the request's target \"{}\" is no encoded path", request.target));
  std::string head = fmt::format("{} {}{} HTTP/1.1\r\n", request.method, url_.prefix, request.target);
  const auto given = [&](std::string_view name) { return !find_header(request.headers, name).empty(); };
  if (!given("Host")) append_header(head, "Host", url_.authority());
  if (!given("User-Agent")) append_header(head, "User-Agent", options_.user_agent);
  if (!options_.bearer_token.empty() && !given("Authorization"))
    append_header(head, "Authorization", fmt::format("Bearer {}", options_.bearer_token));
  for (const auto& [name, value] : request.headers)
    if (!equal_fold(name, "Content-Length") && !equal_fold(name, "Transfer-Encoding")) append_header(head, name, value);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH")
    append_header(head, "Content-Length", fmt::to_string(request.body.size()));
  head += "\r\n";
  return head;
}

Status ClientImpl::reload_tls() {
  if (!url_.tls) return {};
  KNARR_ASSIGN(SslContextPtr context, make_client_context(options_));
  std::shared_ptr<SSL_CTX> shared(std::move(context));
  std::vector<ConnectionPtr> old;  // closed without the lock
  Lock lock(mutex_);
  tls_.swap(shared);
  old.swap(idle_);
  return {};
}

Result<ClientImpl::ConnectionPtr> ClientImpl::connect(Deadline deadline, std::shared_ptr<CancelImpl> cancel) {
  MonoTime limit = std::chrono::steady_clock::now() + options_.connect_timeout;
  if (deadline) limit = std::min(limit, *deadline);
  std::shared_ptr<SSL_CTX> tls;
  {
    Lock lock(mutex_);
    tls = tls_;
  }
  return ClientConnection::connect(url_, tls.get(), options_.server_name.empty() ? url_.host : options_.server_name,
                                   limit, std::move(cancel));
}

ClientImpl::ConnectionPtr ClientImpl::take_idle() {
  const MonoTime oldest = std::chrono::steady_clock::now() - kMaxIdle;
  std::vector<ConnectionPtr> stale;  // closed without the lock
  Lock lock(mutex_);
  while (!idle_.empty()) {
    ConnectionPtr connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->idle_since >= oldest && connection->still_open()) return connection;
    stale.push_back(std::move(connection));
  }
  return nullptr;
}

void ClientImpl::keep(ConnectionPtr connection) {
  connection->set_cancel(nullptr);
  connection->idle_since = std::chrono::steady_clock::now();
  Lock lock(mutex_);
  if (idle_.size() < options_.max_idle_connections) idle_.push_back(std::move(connection));
}

Status ClientImpl::transmit(ClientConnection& connection, std::string_view head, std::string_view body,
                            Deadline deadline) {
  constexpr size_t kSmall = 16 << 10;
  if (body.size() > kSmall) {
    KNARR_RETURN_IF_ERROR(connection.write(head, deadline));
    return connection.write(body, deadline);
  }
  std::string joined(head);
  joined += body;
  return connection.write(joined, deadline);
}

Result<ClientImpl::Exchange> ClientImpl::begin(const ClientRequest& request, Deadline deadline,
                                               std::shared_ptr<CancelImpl> cancel, bool fresh) {
  KNARR_ASSIGN(const std::string head, request_head(request));
  ConnectionPtr connection = fresh ? nullptr : take_idle();
  bool reused = connection != nullptr;
  for (;;) {
    if (!connection) {
      KNARR_ASSIGN(connection, connect(deadline, cancel));
    } else {
      connection->set_cancel(cancel);
    }
    connection->begin_exchange();
    Status sent = transmit(*connection, head, request.body, deadline);
    // Even when the request could not be sent as a whole there may be an answer: a refusal of its size.
    auto answer =
        sent.is(reason::kTimeout) ? Result<ResponseHead>(sent) : connection->read_head(request.method, deadline);
    if (answer.ok()) {
      if (!sent.ok()) answer->keep_alive = false;
      return Exchange{std::move(connection), std::move(*answer)};
    }
    Status failure = sent.ok() ? std::move(answer).status() : std::move(sent);
    const bool stale = reused && !connection->received_any() && !failure.is(reason::kTimeout);
    if (!stale || !idempotent(request.method) || (cancel && cancel->cancelled())) return failure;
    connection.reset();
    reused = false;
  }
}

Status ClientImpl::read_whole(Exchange& exchange, Deadline deadline, std::string& body) {
  if (exchange.head.framing == Framing::kLength)
    body.reserve(static_cast<size_t>(std::min<uint64_t>(exchange.head.content_length, 16u << 20)));
  bool stopped = false;
  KNARR_RETURN_IF_ERROR(exchange.connection->read_body(
      exchange.head, deadline,
      [&](std::string_view piece) {
        body += piece;
        return body.size() <= kMaxAnswer;
      },
      stopped));
  if (stopped) return internal_error(fmt::format("the answer of {} is larger than {} bytes", options_.url, kMaxAnswer));
  if (exchange.head.keep_alive && exchange.connection->clean()) keep(std::move(exchange.connection));
  return {};
}

Result<ClientResponse> ClientImpl::send(const ClientRequest& request) {
  const MonoTime deadline = std::chrono::steady_clock::now() + request.timeout.value_or(options_.request_timeout);
  KNARR_ASSIGN(Exchange exchange, begin(request, deadline, nullptr, false));
  ClientResponse response;
  response.status = exchange.head.status;
  KNARR_RETURN_IF_ERROR(read_whole(exchange, deadline, response.body));
  response.headers = std::move(exchange.head.headers);
  return response;
}

Status ClientImpl::stream(const ClientRequest& request, const std::function<bool(const ClientResponse& head)>& on_head,
                          const std::function<bool(std::string_view)>& on_data, std::shared_ptr<Cancel> cancel) {
  auto own = std::static_pointer_cast<CancelImpl>(std::move(cancel));  // there is only one kind
  if (own && own->cancelled()) return {};
  Deadline deadline;
  if (request.timeout) deadline = std::chrono::steady_clock::now() + *request.timeout;
  const auto stopped_or = [&](Status status) { return own && own->cancelled() ? Status() : std::move(status); };
  auto begun = begin(request, deadline, own, false);
  if (!begun.ok()) return stopped_or(begun.status());
  Exchange& exchange = *begun;
  ClientResponse head;
  head.status = exchange.head.status;
  head.headers = exchange.head.headers;
  if (!on_head(head)) return {};
  bool stopped = false;
  Status status = exchange.connection->read_body(exchange.head, deadline, on_data, stopped);
  if (!status.ok()) return stopped_or(std::move(status));
  if (!stopped && exchange.head.keep_alive && exchange.connection->clean()) keep(std::move(exchange.connection));
  return {};
}

Result<Client::Upgraded> ClientImpl::upgrade(const ClientRequest& request) {
  const MonoTime deadline = std::chrono::steady_clock::now() + request.timeout.value_or(options_.request_timeout);
  KNARR_ASSIGN(Exchange exchange, begin(request, deadline, nullptr, true));
  Upgraded upgraded;
  upgraded.response.status = exchange.head.status;
  upgraded.response.headers = exchange.head.headers;
  if (exchange.head.status == 101) {
    upgraded.stream = exchange.connection->release(upgraded.early);
  } else {
    KNARR_RETURN_IF_ERROR(read_whole(exchange, deadline, upgraded.response.body));
  }
  return upgraded;
}

}  // namespace

std::string_view ClientResponse::header(std::string_view name) const { return find_header(headers, name); }

Result<std::shared_ptr<Client>> Client::make(ClientOptions options) {
  KNARR_ASSIGN(Url url, parse_url(options.url));
  SslContextPtr tls;
  if (url.tls) {
    KNARR_ASSIGN(tls, make_client_context(options));
  }
  return std::shared_ptr<Client>(std::make_shared<ClientImpl>(std::move(options), std::move(url), std::move(tls)));
}

}  // namespace knarr::http
