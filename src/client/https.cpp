#include "knarr/client/https.h"

#include <atomic>
#include <random>
#include <thread>

#include "client/json_scan.h"
#include "client/status_json.h"
#include "knarr/base/log.h"
#include "knarr/client/timers.h"
#include "knarr/codec/json.h"

namespace knarr::client {

namespace {

void append_escaped(std::string& out, std::string_view text) {
  for (unsigned char c : text) {
    if (std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += static_cast<char>(c);
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", c);
    }
  }
}

std::string path_of(const ResourceRef& resource, std::string_view ns, std::string_view name) {
  std::string path = resource.group.empty() ? fmt::format("/api/{}", resource.version)
                                            : fmt::format("/apis/{}/{}", resource.group, resource.version);
  if (!ns.empty()) {
    path += "/namespaces/";
    append_escaped(path, ns);
  }
  path += '/';
  path += resource.plural;
  if (name.empty()) return path;
  path += '/';
  append_escaped(path, name);
  if (!resource.subresource.empty()) {
    path += '/';
    path += resource.subresource;
  }
  return path;
}

void append_query(std::string& target, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  target += target.find('?') == std::string::npos ? '?' : '&';
  target += name;
  target += '=';
  append_escaped(target, value);
}

std::string list_target(const ResourceRef& resource, const ListOptions& options) {
  std::string target = path_of(resource, options.namespace_, "");
  append_query(target, "labelSelector", options.label_selector);
  append_query(target, "fieldSelector", options.field_selector);
  append_query(target, "resourceVersion", options.resource_version);
  return target;
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  if (text.empty()) return;
  if (out.back() != '{') out += ',';
  json::append_quoted(out, name);
  out += ':';
  json::append_quoted(out, text);
}

std::string delete_body(const DeleteOptions& options) {
  std::string body = R"({"kind":"DeleteOptions","apiVersion":"v1")";
  if (options.grace_period_seconds) body += fmt::format(R"(,"gracePeriodSeconds":{})", *options.grace_period_seconds);
  append_member(body, "propagationPolicy", options.propagation_policy);
  if (!options.uid.empty() || !options.resource_version.empty()) {
    body += R"(,"preconditions":{)";
    append_member(body, "uid", options.uid);
    append_member(body, "resourceVersion", options.resource_version);
    body += '}';
  }
  body += '}';
  return body;
}

std::optional<WatchEvent> parse_event(std::string_view line) {
  std::string_view type, object;
  JsonScan scan(line);
  bool good = scan.object([&](std::string_view key) {
    std::string_view value = scan.value();
    if (key == "type") type = value;
    if (key == "object") object = value;
    return !value.empty();
  });
  if (!good || object.empty()) return {};
  using Type = WatchEvent::Type;
  if (type == "\"ADDED\"") return WatchEvent{Type::kAdded, object};
  if (type == "\"MODIFIED\"") return WatchEvent{Type::kModified, object};
  if (type == "\"DELETED\"") return WatchEvent{Type::kDeleted, object};
  if (type == "\"BOOKMARK\"") return WatchEvent{Type::kBookmark, object};
  if (type == "\"ERROR\"") return WatchEvent{Type::kError, object};
  return {};
}

// Cuts a stream into its lines and hands on the events in them.
class EventReader {
 public:
  explicit EventReader(const std::function<void(const WatchEvent&)>& on_event) : on_event_(on_event) {}

  Status take(std::string_view data) {
    while (!data.empty()) {
      auto newline = data.find('\n');
      if (newline == std::string_view::npos) {
        if (pending_.size() + data.size() > kMaxEvent)
          return internal_error("watch: the server sent an event of more than 64 MB");
        pending_ += data;
        return {};
      }
      std::string_view line = data.substr(0, newline);
      data.remove_prefix(newline + 1);
      if (!pending_.empty()) {
        pending_ += line;
        line = pending_;
      }
      if (!line.empty()) {
        auto event = parse_event(line);
        if (!event) return internal_error("watch: the server sent a line that is no event");
        on_event_(*event);
      }
      pending_ = std::string();
    }
    return {};
  }

 private:
  static constexpr size_t kMaxEvent = 64 << 20;
  const std::function<void(const WatchEvent&)>& on_event_;
  std::string pending_;  // the begin of a line
};

class HttpsWatch : public WatchHandle {
 public:
  HttpsWatch(std::shared_ptr<http::Client> client, http::ClientRequest request, milliseconds limit,
             std::function<void(const WatchEvent&)> on_event, std::function<void(Status)> on_end)
      : cancel_(http::Client::make_cancel()) {
    // The server ends a watch in time; one that does not is gone without a word (power cut, network change).
    watchdog_ = Timers::shared().run_after(limit, [cancel = cancel_] { cancel->cancel(); });
    thread_ =
        std::thread([this, client = std::move(client), request = std::move(request), on_event = std::move(on_event),
                     on_end = std::move(on_end)] { on_end(run(*client, request, on_event)); });
  }
  ~HttpsWatch() override {
    Timers::shared().cancel(watchdog_);
    cancel_->cancel();
    thread_.join();
  }

 private:
  Status run(http::Client& client, const http::ClientRequest& request,
             const std::function<void(const WatchEvent&)>& on_event) {
    EventReader reader(on_event);
    int code = 0;
    std::string error_body;
    Status reading;
    Status transfer = client.stream(
        request,
        [&](const http::ClientResponse& head) {
          code = head.status;
          return true;
        },
        [&](std::string_view data) {
          if (code == 200) {
            reading = reader.take(data);
          } else {
            error_body += data;
          }
          return reading.ok() && error_body.size() < (1 << 20);
        },
        cancel_);
    if (!reading.ok()) return reading;
    if (code != 0 && code != 200) return status_of_response(code, error_body);
    return transfer;
  }

  std::shared_ptr<http::Client::Cancel> cancel_;
  Timers::Id watchdog_ = 0;
  std::thread thread_;
};

class HttpsTransport : public Transport {
 public:
  explicit HttpsTransport(std::shared_ptr<http::Client> client) : client_(std::move(client)) {}

  Result<std::string> get(const ResourceRef& resource, std::string_view ns, std::string_view name) override {
    return send("GET", path_of(resource, ns, name));
  }
  Result<std::string> list(const ResourceRef& resource, const ListOptions& options) override {
    return send("GET", list_target(resource, options));
  }
  Result<std::string> create(const ResourceRef& resource, std::string_view ns, std::string_view name,
                             std::string_view body) override {
    // The name stands in the path only where something is created beneath an object (a binding, an eviction).
    return send("POST", path_of(resource, ns, resource.subresource.empty() ? "" : name), body);
  }
  Result<std::string> update(const ResourceRef& resource, std::string_view ns, std::string_view name,
                             std::string_view body) override {
    return send("PUT", path_of(resource, ns, name), body);
  }
  Result<std::string> patch(const ResourceRef& resource, std::string_view ns, std::string_view name,
                            std::string_view content_type, std::string_view body) override {
    return send("PATCH", path_of(resource, ns, name), body, content_type);
  }
  Result<std::string> remove(const ResourceRef& resource, std::string_view ns, std::string_view name,
                             const DeleteOptions& options) override {
    return send("DELETE", path_of(resource, ns, name), delete_body(options));
  }

  Result<std::unique_ptr<WatchHandle>> watch(const ResourceRef& resource, const ListOptions& options,
                                             std::function<void(const WatchEvent&)> on_event,
                                             std::function<void(Status)> on_end) override {
    // Spread, so that watches that began together (a server that came back) do not end together for ever.
    thread_local std::minstd_rand random{std::random_device{}()};
    auto timeout = seconds(300 + random() % 300);
    std::string target = list_target(resource, options);
    append_query(target, "watch", "true");
    append_query(target, "allowWatchBookmarks", "true");
    append_query(target, "timeoutSeconds", std::to_string(timeout.count()));
    http::ClientRequest request;
    request.target = std::move(target);
    request.headers = {{"Accept", "application/json"}};
    return std::unique_ptr<WatchHandle>(std::make_unique<HttpsWatch>(client_, std::move(request), timeout + seconds(30),
                                                                     std::move(on_event), std::move(on_end)));
  }

 private:
  Result<std::string> send(std::string_view method, std::string target, std::string_view body = {},
                           std::string_view content_type = "application/json") {
    http::ClientRequest request;
    request.method = method;
    request.target = std::move(target);
    request.headers = {{"Accept", "application/json"}};
    if (!body.empty()) request.headers.emplace_back("Content-Type", content_type);
    request.body = body;
    auto response = client_->send(request);
    if (!response.ok()) return std::move(response).status();
    KNARR_RETURN_IF_ERROR(status_of_response(response->status, response->body));
    return std::move(response->body);
  }

  const std::shared_ptr<http::Client> client_;
};

}  // namespace

Result<std::shared_ptr<Transport>> make_https_transport(http::ClientOptions options) {
  KNARR_ASSIGN(auto client, http::Client::make(std::move(options)));
  return make_https_transport(std::move(client));
}

std::shared_ptr<Transport> make_https_transport(std::shared_ptr<http::Client> client) {
  return std::make_shared<HttpsTransport>(std::move(client));
}

}  // namespace knarr::client
