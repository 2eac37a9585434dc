#include "http/reply.h"

#include <poll.h>

#include <array>
#include <cerrno>

#include "http/message.h"
#include "knarr/base/log.h"
#include "knarr/linux/fd.h"

namespace knarr::http {

namespace {

class SocketReply final : public Reply {
 public:
  SocketReply(Stream& stream, bool http10, bool is_head) : stream_(stream), http10_(http10), is_head_(is_head) {}

  Status begin(int status, const Headers& headers) override {
    Headers kept;
    std::string_view length;
    for (const auto& header : headers) {
      if (equal_fold(header.first, "Content-Length")) length = header.second;
      if (!frames_message(header.first)) kept.push_back(header);
    }
    bodiless_ = is_head_ || !may_have_body(status);
    chunked_ = length.empty() && !bodiless_ && !http10_;
    std::string head;
    append_response_head(head, status, kept);
    if (!length.empty()) append_header(head, "Content-Length", length);
    if (chunked_) append_header(head, "Transfer-Encoding", "chunked");
    append_header(head, "Connection", "close");
    return stream_.write(head += "\r\n");
  }
  Status write(std::string_view bytes) override {
    if (bytes.empty() || bodiless_) return {};
    return chunked_ ? write_chunk(stream_, bytes) : stream_.write(bytes);
  }
  void end() override {
    if (chunked_) [[maybe_unused]]
      Status gone = stream_.write(kLastChunk);
  }
  void on_gone(std::function<void()> gone) override { hangup_.emplace(stream_.fd(), std::move(gone)); }

 private:
  Stream& stream_;
  const bool http10_, is_head_;
  bool bodiless_ = false, chunked_ = false;
  std::optional<HangupWatch> hangup_;
};

class SessionReply final : public Reply {
 public:
  SessionReply(Http2Session& session, int32_t stream, bool is_head)
      : session_(session), stream_(stream), is_head_(is_head) {}
  ~SessionReply() override { session_.finish(stream_, ended_ || bodiless_); }

  Status begin(int status, const Headers& headers) override {
    Response head;
    head.status = status;
    head.headers = headers;
    bodiless_ = is_head_ || !may_have_body(status);
    if (bodiless_) {
      session_.respond(stream_, std::move(head), true);
    } else {
      session_.open_body(stream_, head);
    }
    return session_.is_open(stream_) || bodiless_ ? Status() : unavailable("answer a request: the client is gone");
  }
  Status write(std::string_view bytes) override {
    return bytes.empty() || bodiless_ ? Status() : session_.write(stream_, bytes);
  }
  void end() override { ended_ = true; }
  void on_gone(std::function<void()> gone) override { session_.on_close(stream_, std::move(gone)); }

 private:
  Http2Session& session_;
  const int32_t stream_;
  const bool is_head_;
  bool bodiless_ = false, ended_ = false;
};

void run_guarded(const std::function<void(Reply&)>& run, Reply& reply) {
  try {
    run(reply);
  } catch (const std::exception& error) {
    log::error("http", "a response that was passed on was cut off because its handler failed",
               {{"error", error.what()}});
  }
}

}  // namespace

HangupWatch::HangupWatch(int fd, std::function<void()> gone) {
  auto pipe = linux::make_pipe();
  if (!pipe.ok()) return;  // then it is noticed with the next write
  stop_ = std::move(pipe->write);
  thread_ = std::thread([fd, gone = std::move(gone), stopped = std::move(pipe->read)] {
    std::array<pollfd, 2> fds = {{{fd, POLLRDHUP, 0}, {stopped.get(), 0, 0}}};
    while (::poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents != 0) gone();
  });
}

HangupWatch::~HangupWatch() {
  stop_.reset();  // the thread sees POLLHUP
  if (thread_.joinable()) thread_.join();
}

void run_reply(const std::function<void(Reply&)>& run, Stream& stream, bool http10, bool is_head) {
  SocketReply reply(stream, http10, is_head);
  run_guarded(run, reply);
}

void run_reply(const std::function<void(Reply&)>& run, Http2Session& session, int32_t stream, bool is_head) {
  SessionReply reply(session, stream, is_head);
  run_guarded(run, reply);
}

}  // namespace knarr::http
