#include "agent/streams.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <thread>

#include "knarr/base/sync.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"
#include "knarr/http/spdy.h"
#include "knarr/http/websocket.h"
#include "knarr/linux/fd.h"

namespace knarr::agent {

namespace {

constexpr seconds kStreamsArrive{30};
constexpr int kClientReads = 2000;  // ms for the client to take the end and hang up before we do
constexpr uint8_t kStdin = 0, kStdout = 1, kStderr = 2, kError = 3, kResize = 4, kCloseChannel = 255;

void take_resize(std::string_view text, const RemoteStreams::Input& input) {
  auto size = json::parse(text);
  if (!size.ok() || !size->IsObject()) return;
  input.resize(static_cast<int>(json::get_int(*size, "Width")), static_cast<int>(json::get_int(*size, "Height")));
}

// What a protocol of exec over WebSocket does: a message is a channel's byte and data, or a digit and base64 as text; the end is told as a
// Status in JSON, or, before v4, as the message of a failure.
struct WebSocketProtocol {
  bool base64 = false, has_status = true;

  static WebSocketProtocol of(std::string_view name) {
    return {name.find("base64") != std::string_view::npos, name.starts_with("v4.") || name.starts_with("v5.")};
  }
};
const std::vector<std::string_view> kWebSocketProtocols = {"v5.channel.k8s.io", "v4.channel.k8s.io",
                                                           "v4.base64.channel.k8s.io", "channel.k8s.io",
                                                           "base64.channel.k8s.io"};

class WebSocketStreams : public RemoteStreams {
 public:
  WebSocketStreams(std::unique_ptr<http::WebSocket> socket, WebSocketProtocol protocol, const StreamRequest& wanted)
      : socket_(std::move(socket)), protocol_(protocol) {
    // The first message, without data, says that the streams stand.
    (void)send(wanted.out ? kStdout : wanted.error ? kStderr : kError, "");
  }

  Status write_output(std::string_view data) override { return send(kStdout, data); }
  Status write_error(std::string_view data) override { return send(kStderr, data); }
  void finish(const std::string& status_json) override {
    Status sent;
    if (protocol_.has_status) {
      sent = send(kError, status_json);
    } else if (auto status = json::parse(status_json); status.ok() && json::get_string(*status, "status") != "Success") {
      sent = send(kError, json::get_string(*status, "message"));
    }
    if (sent.ok()) (void)socket_->close();
  }

  void read(const Input& input) override {
    while (true) {
      auto message = socket_->read();
      if (!message.ok() || message->type == http::WebSocket::Type::kClose) return;
      if (message->data.empty()) continue;
      std::string_view data(message->data);
      auto channel = static_cast<uint8_t>(data[0]);
      data.remove_prefix(1);
      std::string decoded;
      if (protocol_.base64) {
        auto bytes = base64::decode(data);
        if (!bytes.ok()) return;
        decoded = std::move(*bytes);
        data = decoded;
        channel = static_cast<uint8_t>(channel - '0');
      }
      if (channel == kStdin && !data.empty()) {
        input.data(data);
      } else if (channel == kResize) {
        take_resize(data, input);
      } else if (channel == kCloseChannel && data.size() == 1 && static_cast<uint8_t>(data[0]) == kStdin) {
        input.end();
      }
    }
  }
  void abort() override { socket_->abort(); }

 private:
  Status send(uint8_t channel, std::string_view data) {
    if (!protocol_.base64) return socket_->write_channel(channel, data);
    const char digit = static_cast<char>('0' + channel);
    return socket_->write(http::WebSocket::Type::kText, base64::encode(data), std::string_view(&digit, 1));
  }

  std::unique_ptr<http::WebSocket> socket_;
  const WebSocketProtocol protocol_;
};

// The client opens one SPDY stream for each of them, and says which by a header.
class SpdyStreams : public RemoteStreams {
 public:
  explicit SpdyStreams(const StreamRequest& wanted) : wanted_(wanted) {}
  ~SpdyStreams() override { session_.reset(); }

  // False when the client did not open what it asked for in time.
  bool open(std::unique_ptr<http::Stream> stream, std::string early) {
    session_ = http::SpdySession::make(std::move(stream), std::move(early),
                                       [this](std::shared_ptr<http::SpdyStream> s) { take(std::move(s)); });
    Lock lock(mutex_);
    return arrived_.wait_for(lock, kStreamsArrive, [&]() KNARR_REQUIRES(mutex_) { return complete(); });
  }

  Status write_output(std::string_view data) override { return output_ ? output_->write(data) : Status(); }
  Status write_error(std::string_view data) override { return stderr_ ? stderr_->write(data) : Status(); }
  void finish(const std::string& status_json) override {
    if (output_) (void)output_->close_write();
    if (stderr_) (void)stderr_->close_write();
    (void)error_->write(status_json);
    (void)error_->close_write();
    session_->wait_end(Clock::system().mono() + seconds(5));  // the client closes when it has read all
  }

  void read(const Input& input) override {
    std::thread resizes;
    if (resize_) {
      resizes = std::thread([this, &input] {
        std::string pending;
        read_all(*resize_, [&](std::string_view data) {  // JSON objects, one behind the other
          pending += data;
          for (auto end = pending.find('}'); end != std::string::npos; end = pending.find('}')) {
            take_resize(std::string_view(pending).substr(0, end + 1), input);
            pending.erase(0, end + 1);
          }
          return pending.size() < 1024;
        });
      });
    }
    if (input_) {
      read_all(*input_, input.data);
      input.end();
    }
    session_->wait_end();
    if (resizes.joinable()) resizes.join();
  }
  void abort() override { session_->close(); }

 private:
  static void read_all(http::SpdyStream& stream, const std::function<bool(std::string_view)>& take) {
    char buffer[16 << 10];
    while (true) {
      auto n = stream.read(buffer, sizeof buffer);
      if (!n.ok() || *n == 0 || !take({buffer, *n})) return;
    }
  }

  void take(std::shared_ptr<http::SpdyStream> stream) {
    Lock lock(mutex_);
    std::string_view type = stream->header("streamtype");
    if (type == "stdin")
      input_ = std::move(stream);
    else if (type == "stdout")
      output_ = std::move(stream);
    else if (type == "stderr")
      stderr_ = std::move(stream);
    else if (type == "error")
      error_ = std::move(stream);
    else if (type == "resize")
      resize_ = std::move(stream);
    arrived_.notify_all();
  }
  bool complete() const KNARR_REQUIRES(mutex_) {
    return error_ && (input_ || !wanted_.in) && (output_ || !wanted_.out) &&
           (stderr_ || !wanted_.error || wanted_.tty) && (resize_ || !wanted_.tty);
  }

  const StreamRequest wanted_;
  Mutex mutex_;
  std::condition_variable_any arrived_;
  std::shared_ptr<http::SpdyStream> input_, output_, stderr_, error_, resize_;  // constant once complete
  std::unique_ptr<http::SpdySession> session_;
};

std::string chosen_spdy_protocol(const http::Request& request) {
  constexpr std::array<std::string_view, 1> kSupported = {"v4.channel.k8s.io"};
  for (std::string_view supported : kSupported) {
    for (const auto& [name, value] : request.headers) {
      if (strcasecmp(name.c_str(), "X-Stream-Protocol-Version") == 0 && value.find(supported) != std::string::npos) {
        return std::string(supported);
      }
    }
  }
  return {};
}

Status write_fully(int fd, std::string_view data) {
  while (!data.empty()) {
    ssize_t n = write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd wait{fd, POLLOUT, 0};
      (void)poll(&wait, 1, -1);
      continue;
    }
    if (n < 0) return errno_status(errno, "write to the process");
    data.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

// Copies what the process writes until it closes both outputs. False when the client went away first.
bool copy_output(runtime::ExecSession& session, RemoteStreams& streams, int gone_fd) {
  pollfd fds[3] = {{session.stdout_fd(), POLLIN, 0}, {session.stderr_fd(), POLLIN, 0}, {gone_fd, POLLIN, 0}};
  if (fds[1].fd == fds[0].fd) fds[1].fd = -1;  // one pty for both
  char buffer[32 << 10];
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (poll(fds, 3, -1) < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n <= 0) {  // EIO is a pty's way to say so
        fds[i].fd = -1;
        continue;
      }
      std::string_view data(buffer, static_cast<size_t>(n));
      if (!(i == 0 ? streams.write_output(data) : streams.write_error(data)).ok()) return false;
    }
    if (fds[2].revents != 0 && fds[0].revents == 0 && fds[1].revents == 0) return false;
  }
  return true;
}

}  // namespace

Status accept_streams(const http::Request& request, const StreamRequest& wanted, http::Response& response,
                      std::function<void(RemoteStreams& streams)> serve) {
  if (http::is_websocket_upgrade(request)) {
    KNARR_ASSIGN(auto handshake, http::websocket_handshake(request, kWebSocketProtocols));
    response.take_over([handshake, wanted, serve = std::move(serve)](std::unique_ptr<http::Stream> stream, std::string early) {
      auto socket = http::WebSocket::accept(std::move(stream), std::move(early), handshake);
      if (!socket.ok()) return;
      WebSocketStreams streams(std::move(*socket), WebSocketProtocol::of(handshake.protocol), wanted);
      serve(streams);
    });
    return {};
  }
  if (http::is_spdy_upgrade(request)) {
    std::string protocol = chosen_spdy_protocol(request);
    if (protocol.empty())
      return Status(403, reason::kForbidden, "no common stream protocol; this node speaks v4.channel.k8s.io");
    response.take_over(
        [protocol, wanted, serve = std::move(serve)](std::unique_ptr<http::Stream> stream, std::string early) {
          if (!stream->write(http::spdy_handshake(protocol)).ok()) return;
          SpdyStreams streams(wanted);
          if (streams.open(std::move(stream), std::move(early))) serve(streams);
        });
    return {};
  }
  return bad_request("this needs an upgrade to WebSocket or SPDY/3.1");
}

void serve_session(runtime::ExecSession& session, RemoteStreams& streams) {
  linux::UniqueFd gone(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::thread reader([&] {
    bool open = session.stdin_fd() >= 0;
    streams.read({.data =
                      [&](std::string_view data) {
                        if (open && !write_fully(session.stdin_fd(), data).ok()) open = false;
                        return true;
                      },
                  .end =
                      [&] {
                        if (open) session.close_stdin();
                        open = false;
                      },
                  .resize = [&](int width, int height) { (void)session.resize(width, height); }});
    uint64_t one = 1;
    (void)!write(gone.get(), &one, sizeof one);
  });
  if (copy_output(session, streams, gone.get())) {
    auto code = session.wait();
    streams.finish(code.ok() ? exit_status_json(*code) : failure_json(code.status()));
    pollfd left{gone.get(), POLLIN, 0};
    (void)poll(&left, 1, kClientReads);
  }
  streams.abort();
  reader.join();
}

std::string exit_status_json(int exit_code) {
  if (exit_code == 0) return R"({"metadata":{},"status":"Success"})";
  return fmt::format(
      R"({{"metadata":{{}},"status":"Failure","message":"command terminated with non-zero exit code: exit status {0}",)"
      R"("reason":"NonZeroExitCode","details":{{"causes":[{{"reason":"ExitCode","message":"{0}"}}]}}}})",
      exit_code);
}

std::string failure_json(const Status& status) {
  std::string out = R"({"metadata":{},"status":"Failure","message":)";
  json::append_quoted(out, status.message());
  out += R"(,"reason":)";
  json::append_quoted(out, status.reason());
  out += fmt::format(R"(,"code":{}}})", status.code());
  return out;
}

}  // namespace knarr::agent
