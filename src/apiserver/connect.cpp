// Subresources that connect a client to a pod's node: log, exec, attach, portforward.
//
// All of them answer on a thread of their own, so that no worker waits for a node; those that are upgraded take the
// client's connection over.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <optional>

#include "knarr/apiserver/document.h"
#include "knarr/codec/base64.h"
#include "knarr/http/client.h"
#include "knarr/http/websocket.h"
#include "connect_impl.h"

namespace knarr::apiserver {

using json::Document;
using json::Value;

Result<NodeAddress> find_node(Rest& rest, const std::string& name) {
  const schema::Resource* nodes = schema::find_resource("", "v1", "nodes");
  RequestContext context;
  const auto found =
      nodes ? rest.get(context, {nodes, "", "", name}) : Result<Answer>(unavailable("nodes are not served"));
  KNARR_RETURN_IF_ERROR(found.status());
  KNARR_ASSIGN(const Document node, json::parse(found->bytes()));
  NodeAddress address;
  address.node = name;
  const Value* endpoint = json::find(node, {"status", "daemonEndpoints", "kubeletEndpoint"});
  address.port = endpoint ? static_cast<int>(json::get_int(*endpoint, "Port")) : 0;
  const Value* addresses = json::find(node, {"status", "addresses"});
  for (const std::string_view type : {"InternalIP", "ExternalIP", "InternalDNS", "Hostname"}) {
    if (!address.host.empty() || !addresses || !addresses->IsArray()) break;
    for (const Value& item : addresses->GetArray())
      if (json::get_string(item, "type") == type && address.host.empty())
        address.host = json::get_string(item, "address");
  }
  if (address.host.empty() || address.port == 0)
    return unavailable(fmt::format("node {} has told no address and port of its API yet", name));
  return address;
}

namespace {

std::string_view reason_phrase(int code) {
  switch (code) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

// A whole answer, after which the connection ends; and an error as one.
void write_answer(http::Stream& stream, int code, std::string_view content_type, std::string_view body) {
  (void)stream.write(
      fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", code,
                  reason_phrase(code), content_type, body.size(), body));
}

void write_status(http::Stream& stream, const Status& status) {
  write_answer(stream, status.code(), "application/json", status_json(status));
}

}  // namespace

void relay_upgrade(http::Client& node, const http::ClientRequest& wanted, http::Stream& client,
                   std::string_view early) {
  auto upgraded = node.upgrade(wanted);
  if (!upgraded.ok()) return write_status(client, upgraded.status());
  const http::ClientResponse& head = upgraded->response;
  if (head.status != 101 || !upgraded->stream)
    return write_answer(client, head.status,
                        head.header("Content-Type").empty() ? "text/plain" : head.header("Content-Type"), head.body);
  std::string text = "HTTP/1.1 101 Switching Protocols\r\n";
  for (const auto& [name, value] : head.headers) text.append(name).append(": ").append(value).append("\r\n");
  if (!client.write(text += "\r\n").ok()) return;
  http::relay(client, early, *upgraded->stream, upgraded->early);
}

Result<std::shared_ptr<http::Client>> client_of_node(Rest& rest, NodeProxy* nodes, const std::string& node) {
  if (!nodes) return unavailable("this server has no way to its nodes");
  KNARR_ASSIGN(const NodeAddress address, find_node(rest, node));
  return nodes->client(address);
}

void reply_status(http::Reply& reply, const Status& status) {
  const std::string body = status_json(status);
  if (reply.begin(status.code(), {{"Content-Type", "application/json"}, {"Content-Length", std::to_string(body.size())}}).ok())
    (void)reply.write(body);
  reply.end();
}

namespace {

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const unsigned char c : text) {
    const bool plain = std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~';
    out += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return out;
}

// The names of a pod's containers of one list.
void add_names(const Value& pod, std::string_view list, std::vector<std::string>& out) {
  const Value* containers = json::find(pod, {"spec", list});
  if (!containers || !containers->IsArray()) return;
  for (const Value& container : containers->GetArray()) out.emplace_back(json::get_string(container, "name"));
}

// The container that a request means: the one it names, or the only one.
Result<std::string> choose_container(const Value& pod, std::string_view wanted) {
  const std::string_view pod_name = meta_string(pod, "name");
  std::vector<std::string> main, all;
  add_names(pod, "containers", main);
  add_names(pod, "initContainers", all);
  all.insert(all.end(), main.begin(), main.end());
  add_names(pod, "ephemeralContainers", all);
  if (!wanted.empty()) {
    if (std::find(all.begin(), all.end(), wanted) != all.end()) return std::string(wanted);
    return bad_request(fmt::format("container {} is not valid for pod {}", wanted, pod_name));
  }
  if (main.size() == 1) return main.front();
  if (main.empty()) return bad_request(fmt::format("a container name must be specified for pod {}", pod_name));
  return bad_request(
      fmt::format("a container name must be specified for pod {}, choose one of: [{}]", pod_name, fmt::join(all, " ")));
}

// The query of a log request as the node takes it. Errors: 422 on PodLogOptions.
Result<std::string> log_query(const http::Request& request, std::string_view pod) {
  std::vector<Cause> causes;
  std::string query;
  const auto add = [&](std::string_view name, std::string_view value) {
    query += fmt::format("{}{}={}", query.empty() ? "?" : "&", name, percent_encode(value));
  };
  for (const std::string_view flag : {"follow", "previous", "timestamps"})
    if (request.flag(flag)) add(flag, "true");
  const auto number = [&](std::string_view name, int64_t least, std::string_view detail) {
    const auto text = request.param(name);
    if (!text || text->empty()) return;
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc() || end != text->data() + text->size()) {
      causes.push_back(cause_invalid(name, fmt::format("\"{}\"", *text), "must be an integer"));
    } else if (value < least) {
      causes.push_back(cause_invalid(name, *text, detail));
    } else {
      add(name, *text);
    }
  };
  number("tailLines", 0, "must be greater than or equal to 0");
  number("limitBytes", 1, "must be greater than 0");
  number("sinceSeconds", 1, "must be greater than 0");
  if (const auto since = request.param("sinceTime"); since && !since->empty()) {
    if (request.param("sinceSeconds"))
      causes.push_back(cause_forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
    add("sinceTime", *since);
  }
  if (const auto stream = request.param("stream"); stream && !stream->empty()) {
    if (*stream != "All" && *stream != "Stdout" && *stream != "Stderr")
      causes.push_back(cause_unsupported("stream", *stream, "\"All\", \"Stderr\", \"Stdout\""));
    add("stream", *stream);
  }
  if (!causes.empty()) return invalid_error("", "PodLogOptions", pod, std::move(causes));
  return query;
}

std::string stream_query(const http::Request& request) {
  std::string query;
  const auto add = [&](std::string_view name, std::string_view value) {
    query += fmt::format("{}{}={}", query.empty() ? "?" : "&", name, percent_encode(value));
  };
  // The node's own names for what the API calls stdin, stdout, stderr.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kFlags = {
      {{"stdin", "input"}, {"stdout", "output"}, {"stderr", "error"}, {"tty", "tty"}}};
  for (const auto& [flag, name] : kFlags)
    if (request.flag(flag)) add(name, "1");
  for (const std::string_view word : request.params("command")) add("command", word);
  std::string ports;
  for (const std::string_view port : request.params("ports")) ports.append(ports.empty() ? "" : ",").append(port);
  if (!ports.empty()) add("port", ports);
  return query;
}

// What a node said when it refused, as the API's error on the pod's log.
Status node_error(int code, const std::string& text, std::string_view pod) {
  std::string_view why = code == 404 ? reason::kNotFound : code == 400 ? reason::kBadRequest : reason::kInternalError;
  std::string message = text;
  while (!message.empty() && (message.back() == '\n' || message.back() == '\r')) message.pop_back();
  if (code == 404 || code == 400) {
    Status status(code, why, message.empty() ? "the server rejected our request for an unknown reason" : message);
    Status::Details details;
    details.kind = "pods/log";
    details.name = pod;
    return status.with_details(std::move(details));
  }
  return Status(code >= 400 ? code : 500, why,
                message.empty() ? "an error on the server has prevented the request from succeeding" : message);
}

// Where a log goes.
class LogSink {
 public:
  virtual ~LogSink() = default;
  // Once the node has begun to send it; write and end follow.
  virtual bool begin() = 0;
  virtual bool write(std::string_view data) = 0;
  virtual void end() = 0;  // that it was all
  virtual void refuse(const Status& status) = 0;  // instead of begin
  virtual void on_gone(std::function<void()> gone) = 0;
};

class PlainLog : public LogSink {
 public:
  explicit PlainLog(http::Reply& client) : client_(client) {}
  bool begin() override {
    return client_.begin(200, {{"Content-Type", "text/plain"}, {"Cache-Control", "no-cache, private"}}).ok();
  }
  bool write(std::string_view data) override { return client_.write(data).ok(); }
  void end() override { client_.end(); }
  void refuse(const Status& status) override { reply_status(client_, status); }
  void on_gone(std::function<void()> gone) override { client_.on_gone(std::move(gone)); }

 private:
  http::Reply& client_;
};

// A message for each piece, as bytes or in base64; the first one, without any, says that the log is there.
class WebSocketLog : public LogSink {
 public:
  static constexpr std::string_view kBinary = "binary.k8s.io", kBase64 = "base64.binary.k8s.io";

  WebSocketLog(std::unique_ptr<http::Stream> client, http::WebSocketHandshake handshake)
      : client_(std::move(client)), fd_(client_->fd()), handshake_(std::move(handshake)), base64_(handshake_.protocol == kBase64) {}
  bool begin() override {
    auto socket = http::WebSocket::accept(std::move(client_), "", handshake_);
    if (!socket.ok()) return false;
    socket_ = std::move(*socket);
    return write("");
  }
  bool write(std::string_view data) override {
    if (base64_) return socket_->write(http::WebSocket::Type::kText, base64::encode(data)).ok();
    return socket_->write(http::WebSocket::Type::kBinary, data).ok();
  }
  void end() override { (void)socket_->close(); }
  void refuse(const Status& status) override { write_status(*client_, status); }
  void on_gone(std::function<void()> gone) override { hangup_.emplace(fd_, std::move(gone)); }

 private:
  std::unique_ptr<http::Stream> client_;  // taken when it begins
  const int fd_;
  const http::WebSocketHandshake handshake_;
  const bool base64_;
  std::unique_ptr<http::WebSocket> socket_;
  std::optional<http::HangupWatch> hangup_;  // ends before the socket does
};

void relay_log(http::Client& node, const http::ClientRequest& wanted, bool follow, const std::string& pod, LogSink& sink) {
  bool begun = false;
  int code = 0;
  std::string error_text;
  constexpr size_t kMaxErrorText = 64 * 1024;
  const auto cancel = http::Client::make_cancel();
  if (follow) sink.on_gone([cancel] { cancel->cancel(); });
  const Status status = node.stream(
      wanted,
      [&](const http::ClientResponse& head) {
        code = head.status;
        if (code != 200) return true;
        begun = true;
        return sink.begin();
      },
      [&](std::string_view data) {
        if (begun) return sink.write(data);
        error_text.append(data.substr(0, kMaxErrorText - std::min(kMaxErrorText, error_text.size())));
        return true;
      },
      cancel);
  if (begun) {
    if (status.ok()) sink.end();  // else the client sees that something is missing
  } else if (!status.ok()) {
    sink.refuse(status);
  } else {
    sink.refuse(node_error(code, error_text, pod));
  }
}

bool passes_on(std::string_view header) {
  const std::string name = media_type(header);
  return name == "connection" || name == "upgrade" || name == "user-agent" || name == "origin" ||
         name.starts_with("sec-websocket-") || name.starts_with("x-stream-protocol-version");
}

Status serve_log(Rest& rest, NodeProxy* nodes, const Document& pod, Exchange& exchange) {
  const http::Request& request = exchange.request;
  const std::string name(meta_string(pod, "name")), ns(meta_string(pod, "namespace"));
  KNARR_ASSIGN(const std::string query, log_query(request, name));
  KNARR_ASSIGN(const std::string container, choose_container(pod, request.param("container").value_or("")));
  const std::string node(json::get_string(pod, {"spec", "nodeName"}));
  if (node.empty()) {  // not scheduled yet: nothing was said
    exchange.response.set_header("Content-Type", "text/plain");
    return Status::OK();
  }
  KNARR_ASSIGN(auto client, client_of_node(rest, nodes, node));
  http::ClientRequest wanted;
  wanted.target = fmt::format("/containerLogs/{}/{}/{}{}", ns, name, container, query);
  const bool follow = request.flag("follow");
  if (http::is_websocket_upgrade(request)) {
    KNARR_ASSIGN(auto handshake, http::websocket_handshake(request, {WebSocketLog::kBinary, WebSocketLog::kBase64}));
    exchange.response.take_over([client, wanted, follow, name, handshake](std::unique_ptr<http::Stream> stream, std::string) {
      WebSocketLog sink(std::move(stream), handshake);
      relay_log(*client, wanted, follow, name, sink);
    });
    return Status::OK();
  }
  exchange.response.reply([client, wanted, follow, name](http::Reply& reply) {
    PlainLog sink(reply);
    relay_log(*client, wanted, follow, name, sink);
  });
  return Status::OK();
}

Status serve_stream(Rest& rest, NodeProxy* nodes, const Document& pod, Exchange& exchange) {
  const http::Request& request = exchange.request;
  const std::string name(meta_string(pod, "name")), ns(meta_string(pod, "namespace"));
  const bool forward = exchange.info.subresource == "portforward";
  std::string path = fmt::format("/portForward/{}/{}", ns, name);
  if (!forward) {
    KNARR_ASSIGN(const std::string container, choose_container(pod, request.param("container").value_or("")));
    path = fmt::format("/{}/{}/{}/{}", exchange.info.subresource, ns, name, container);
  }
  const std::string node(json::get_string(pod, {"spec", "nodeName"}));
  if (node.empty()) return bad_request(fmt::format("pod {} does not have a host assigned", name));
  if (request.header("Upgrade").empty()) return bad_request("Upgrade request required");
  KNARR_ASSIGN(auto client, client_of_node(rest, nodes, node));
  http::ClientRequest wanted;
  wanted.method = request.method;
  wanted.target = path + stream_query(request);
  for (const auto& header : request.headers)
    if (passes_on(header.first)) wanted.headers.push_back(header);
  exchange.response.status = 101;
  exchange.response.take_over([client, wanted](std::unique_ptr<http::Stream> stream, std::string early) {
    relay_upgrade(*client, wanted, *stream, early);
  });
  return Status::OK();
}

}  // namespace

bool serve_connect(Rest& rest, NodeProxy* nodes, const Target& target, Exchange& exchange) {
  const std::string_view sub = target.subresource;
  const std::string_view storage = target.resource->storage_name;
  Status status;
  if (sub == "proxy") {
    status = serve_proxy(rest, nodes, target, exchange);
  } else if (storage == "pods" && (sub == "log" || sub == "exec" || sub == "attach" || sub == "portforward")) {
    RequestContext context;
    auto found = rest.get(context, {target.resource, "", target.ns, target.name});
    const auto pod = found.ok() ? json::parse(found->bytes()) : Result<Document>(found.status());
    if (!pod.ok()) {
      status = pod.status();
    } else {
      status = sub == "log" ? serve_log(rest, nodes, *pod, exchange) : serve_stream(rest, nodes, *pod, exchange);
    }
  } else {
    return false;
  }
  if (!status.ok()) answer_status(exchange.response, status);
  return true;
}

}  // namespace knarr::apiserver
