#include "agent/handlers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <thread>

#include "agent/dial.h"
#include "agent/grpc_health.h"
#include "knarr/http/client.h"

namespace knarr::agent {

namespace {

constexpr size_t kMaxOutput = 10 << 10;

// Reads both outputs to their ends. False when the time was over first.
bool read_output(runtime::ExecSession& session, MonoTime deadline, std::string& output) {
  pollfd fds[2] = {{session.stdout_fd(), POLLIN, 0}, {session.stderr_fd(), POLLIN, 0}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    int n = poll(fds, 2, remaining_ms(deadline));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    for (auto& fd : fds) {
      if (fd.fd < 0 || fd.revents == 0) continue;
      char buffer[4096];
      ssize_t got = read(fd.fd, buffer, sizeof buffer);
      if (got <= 0) {
        fd.fd = -1;
      } else if (output.size() < kMaxOutput) {
        output.append(buffer, std::min(static_cast<size_t>(got), kMaxOutput - output.size()));
      }
    }
  }
  return true;
}

class RealHandlers : public Handlers {
 public:
  explicit RealHandlers(runtime::Runtime& runtime) : runtime_(runtime) {}

  HandlerResult exec(const HandlerTarget& target, const std::vector<std::string>& command,
                     milliseconds limit) override {
    auto session = runtime_.exec(target.pod_id, target.container_id, {.args = command});
    if (!session.ok()) return {false, session.status().message()};
    HandlerResult result;
    MonoTime deadline = Clock::system().mono() + limit;
    if (!read_output(**session, deadline, result.output)) {
      result.output =
          fmt::format("command timed out: \"{}\" timed out after {}ms", fmt::join(command, " "), limit.count());
      return result;
    }
    auto code = (*session)->wait();
    if (!code.ok()) return {false, code.status().message()};
    result.success = *code == 0;
    if (!result.success && result.output.empty()) result.output = fmt::format("command exited with {}", *code);
    return result;
  }

  HandlerResult http(const HandlerTarget& target, const core::HTTPGetAction& action, const core::Container& container,
                     milliseconds limit) override {
    auto port = resolve_port(action.port, container);
    if (!port.ok()) return {false, port.status().message()};
    std::string host = action.host.empty() ? target.host : action.host;
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    bool tls = action.scheme == "HTTPS";
    http::ClientOptions options;
    options.url = fmt::format("{}://{}:{}", tls ? "https" : "http", host, *port);
    options.insecure_skip_verify = true;  // as upstream: a probe asks whether it answers, not who it is
    options.user_agent = "kube-probe/1.36";
    options.connect_timeout = options.request_timeout = limit;
    options.max_idle_connections = 0;
    auto client = http::Client::make(std::move(options));
    if (!client.ok()) return {false, client.status().message()};
    http::ClientRequest request;
    request.target = action.path.starts_with('/') ? action.path : "/" + action.path;
    request.headers.emplace_back("Accept", "*/*");
    for (const auto& header : action.httpHeaders) request.headers.emplace_back(header.name, header.value);
    request.timeout = limit;
    auto response = (*client)->send(request);
    if (!response.ok()) {
      return {false, fmt::format("Get \"{}://{}:{}{}\": {}", tls ? "https" : "http", host, *port, request.target,
                                 response.status().message())};
    }
    if (response->status >= 200 && response->status < 400) return {true, response->body.substr(0, kMaxOutput)};
    return {false, fmt::format("HTTP probe failed with statuscode: {}", response->status)};
  }

  HandlerResult tcp(const HandlerTarget& target, const core::TCPSocketAction& action, const core::Container& container,
                    milliseconds limit) override {
    auto port = resolve_port(action.port, container);
    if (!port.ok()) return {false, port.status().message()};
    auto fd = connect_tcp(action.host.empty() ? target.host : action.host, *port, Clock::system().mono() + limit);
    if (!fd.ok()) return {false, fd.status().message()};
    return {true, ""};
  }

  HandlerResult grpc(const HandlerTarget& target, const core::GRPCAction& action, milliseconds limit) override {
    return check_grpc_health(target.host, action.port, action.service.value_or(""), limit);
  }

 private:
  runtime::Runtime& runtime_;
};

}  // namespace

HandlerResult Handlers::run(const HandlerTarget& target, const core::LifecycleHandler& hook,
                            const core::Container& container, milliseconds limit) {
  if (hook.exec) return exec(target, hook.exec->command, limit);
  if (hook.httpGet) return http(target, *hook.httpGet, container, limit);
  if (hook.tcpSocket) return tcp(target, *hook.tcpSocket, container, limit);
  if (hook.sleep) std::this_thread::sleep_for(std::min<milliseconds>(seconds(hook.sleep->seconds), limit));
  return {true, ""};
}

HandlerResult Handlers::run(const HandlerTarget& target, const core::Probe& probe, const core::Container& container,
                            milliseconds limit) {
  if (probe.exec) return exec(target, probe.exec->command, limit);
  if (probe.httpGet) return http(target, *probe.httpGet, container, limit);
  if (probe.tcpSocket) return tcp(target, *probe.tcpSocket, container, limit);
  if (probe.grpc) return grpc(target, *probe.grpc, limit);
  return {false, fmt::format("missing probe handler for container {}", container.name)};
}

std::unique_ptr<Handlers> make_handlers(runtime::Runtime& runtime) { return std::make_unique<RealHandlers>(runtime); }

Result<int> resolve_port(const IntOrString& port, const core::Container& container) {
  int number = port.number;
  if (!port.is_int) {
    auto [end, error] = std::from_chars(port.text.data(), port.text.data() + port.text.size(), number);
    if (error != std::errc() || *end != '\0') {
      number = 0;
      for (const auto& known : container.ports) {
        if (known.name == port.text) number = known.containerPort;
      }
      if (number == 0) return bad_request(fmt::format("couldn't find port by name: {}", port.text));
    }
  }
  if (number < 1 || number > 65535) return bad_request(fmt::format("invalid port number: {}", number));
  return number;
}

}  // namespace knarr::agent
