#include "agent/node_api.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "agent/port_forward.h"
#include "agent/streams.h"
#include "knarr/base/log.h"
#include "knarr/codec/time.h"
#include "knarr/linux/fd.h"

namespace knarr::agent {

namespace {

void answer_text(http::Response& response, int code, std::string_view text) {
  response.status = code;
  response.set_header("Content-Type", "text/plain; charset=utf-8");
  response.body = text;
}

void answer_error(http::Response& response, const Status& status) {
  answer_text(response, status.code(), status.message());
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    auto slash = path.find('/');
    if (slash != 0) parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

Result<std::optional<int64_t>> number_param(const http::Request& request, std::string_view name) {
  auto text = request.param(name);
  if (!text || text->empty()) return std::optional<int64_t>();
  int64_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < 0) {
    return bad_request(fmt::format("{}: \"{}\" is no number", name, *text));
  }
  return std::optional<int64_t>(value);
}

class NodeApiImpl : public NodeApi {
 public:
  NodeApiImpl(NodeApiOptions options, Pods& pods, runtime::Runtime& runtime)
      : options_(std::move(options)), pods_(pods), runtime_(runtime) {}

  Status serve() {
    http::ServerOptions server;
    server.address = options_.address;
    server.port = options_.port;
    server.workers = 2;
    server.tls = http::TlsOptions{options_.certificate_file, options_.key_file, options_.client_ca_file};
    auto handler = [this](const http::Request& request, http::Response& response) { handle(request, response); };
    auto started = http::Server::start(server, handler);
    if (!started.ok() && server.port != 0) {
      log::info("agent", "the node API takes another port", {{"wanted", server.port}, {"why", started.status()}});
      server.port = 0;
      started = http::Server::start(server, handler);
    }
    if (!started.ok()) return std::move(started).status().with_context("start the node API");
    server_ = std::move(*started);
    return {};
  }

  int port() const override { return server_->port(); }
  Status reload_tls() override { return server_->reload_tls(); }

 private:
  void handle(const http::Request& request, http::Response& response) {
    if (request.path == "/healthz") {
      Status health = options_.health ? options_.health() : Status();
      return health.ok() ? answer_text(response, 200, "ok") : answer_error(response, health);
    }
    if (!may_use_node_api(request.peer)) {
      return answer_text(response, request.peer ? 403 : 401, request.peer ? "Forbidden" : "Unauthorized");
    }
    std::vector<std::string> parts = split_path(request.path);
    Status status = not_found("404 page not found");
    if (parts.size() == 1 && parts[0] == "pods") {
      status = list_pods(response);
    } else if (parts.size() == 4 && parts[0] == "containerLogs") {
      status = logs(request, parts, response);
    } else if ((parts.size() == 4 || parts.size() == 5) && (parts[0] == "exec" || parts[0] == "attach")) {
      status = stream(request, parts, response);
    } else if ((parts.size() == 3 || parts.size() == 4) && parts[0] == "portForward") {
      status = port_forward(request, parts, response);
    }
    if (!status.ok()) answer_error(response, status);
  }

  Status list_pods(http::Response& response) {
    std::string body = R"({"kind":"PodList","apiVersion":"v1","metadata":{},"items":[)";
    bool first = true;
    for (const auto& pod : pods_.list()) {
      if (!first) body += ',';
      first = false;
      api::encode(*pod, body);
    }
    body += "]}";
    response.set_header("Content-Type", "application/json");
    response.body = std::move(body);
    return {};
  }

  Status logs(const http::Request& request, const std::vector<std::string>& parts, http::Response& response) {
    KNARR_ASSIGN(LogQuery query, parse_log_query(request, Clock::system().wall()));
    KNARR_ASSIGN(ContainerLocation where, pods_.locate(parts[1], parts[2], parts[3], ""));
    if (!where.started_once) {
      return bad_request(fmt::format("container \"{}\" in pod \"{}\" is waiting to start: {}", parts[3], parts[2],
                                     where.waiting_reason));
    }
    std::string path = where.log_path;
    if (request.flag("previous")) {
      path = where.previous_log_path;
      query.follow = false;
      if (path.empty() || access(path.c_str(), R_OK) != 0) {
        return bad_request(
            fmt::format("previous terminated container \"{}\" in pod \"{}\" not found", parts[3], parts[2]));
      }
    }
    response.set_header("Content-Type", "text/plain");
    response.stream([this, path, query, where](const http::Response::Writer& write, const std::function<bool()>& gone) {
      send(path, query, where, write, gone);
    });
    return {};
  }

  void send(const std::string& path, const LogQuery& query, const ContainerLocation& where,
            const http::Response::Writer& write, const std::function<bool()>& gone) {
    auto ended = std::make_shared<linux::UniqueFd>(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    auto tell = [ended] {
      uint64_t one = 1;
      (void)!::write(ended->get(), &one, sizeof one);
    };
    uint64_t watch = 0;
    if (query.follow) {
      watch = pods_.watch_ends([tell, id = where.container_id](const std::string& container_id) {
        if (container_id == id) tell();
      });
      if (!pods_.is_running(where.pod_uid, where.container_id).value_or(false)) tell();
    }
    Status status = send_log(path, query, ended->get(), write, gone);
    if (watch != 0) pods_.unwatch_ends(watch);
    if (!status.ok() && !gone())
      log::info("agent", "a log was not sent to its end", {{"log", path}, {"error", status}});
  }

  Status stream(const http::Request& request, const std::vector<std::string>& parts, http::Response& response) {
    // /exec/namespace/pod/container, or with the pod's uid before the container.
    const std::string& container = parts.back();
    KNARR_ASSIGN(ContainerLocation where,
                 pods_.locate(parts[1], parts[2], container, parts.size() == 5 ? parts[3] : ""));
    if (!where.running) return bad_request(fmt::format("container {} of pod {} is not running", container, parts[2]));
    StreamRequest wanted{request.flag("input") || request.flag("stdin"),
                         request.flag("output") || request.flag("stdout"),
                         request.flag("error") || request.flag("stderr"), request.flag("tty")};
    bool attach = parts[0] == "attach";
    runtime::ExecOptions options;
    for (auto word : request.params("command")) options.args.emplace_back(word);
    if (!attach && options.args.empty()) return bad_request("you must specify at least one command for the container");
    if (!wanted.in && !wanted.out && !wanted.error)
      return bad_request("you must specify at least 1 of stdin, stdout, stderr");
    options.terminal = wanted.tty;
    options.stdin_open = wanted.in;
    options.stdout_open = wanted.out || wanted.tty;
    options.stderr_open = wanted.error && !wanted.tty;
    return accept_streams(request, wanted, response, [this, where, options, attach](RemoteStreams& streams) {
      auto session = attach ? runtime_.attach(where.pod_uid, where.container_id, options)
                            : runtime_.exec(where.pod_uid, where.container_id, options);
      if (!session.ok()) return streams.finish(failure_json(session.status()));
      serve_session(**session, streams);
    });
  }

  Status port_forward(const http::Request& request, const std::vector<std::string>& parts, http::Response& response) {
    KNARR_ASSIGN(std::string uid, pods_.locate_pod(parts[1], parts[2]));
    KNARR_ASSIGN(std::string netns, runtime_.network_namespace(uid));
    return accept_port_forward(request, response, [netns](int port) { return dial_in_namespace(netns, port); });
  }

  const NodeApiOptions options_;
  Pods& pods_;
  runtime::Runtime& runtime_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace

Result<std::unique_ptr<NodeApi>> NodeApi::start(NodeApiOptions options, Pods& pods, runtime::Runtime& runtime) {
  auto api = std::make_unique<NodeApiImpl>(std::move(options), pods, runtime);
  KNARR_RETURN_IF_ERROR(api->serve());
  return std::unique_ptr<NodeApi>(std::move(api));
}

Result<LogQuery> parse_log_query(const http::Request& request, WallTime now) {
  LogQuery query;
  query.follow = request.flag("follow");
  query.timestamps = request.flag("timestamps");
  KNARR_ASSIGN(query.tail_lines, number_param(request, request.param("tail") ? "tail" : "tailLines"));
  KNARR_ASSIGN(query.limit_bytes, number_param(request, "limitBytes"));
  KNARR_ASSIGN(auto since_seconds, number_param(request, "sinceSeconds"));
  if (since_seconds) query.since = now - seconds(*since_seconds);
  if (auto text = request.param("sinceTime"); text && !text->empty()) {
    KNARR_ASSIGN(query.since, parse_time(*text));
  }
  if (auto stream = request.param("stream")) {
    if (*stream == "Stdout") query.stream = "stdout";
    if (*stream == "Stderr") query.stream = "stderr";
  }
  return query;
}

bool may_use_node_api(const std::optional<http::PeerCertificate>& peer) {
  if (!peer) return false;
  const auto& groups = peer->organizations;
  return std::find(groups.begin(), groups.end(), "system:masters") != groups.end() ||
         peer->common_name == "kube-apiserver" || peer->common_name == "knarr-server";
}

}  // namespace knarr::agent
