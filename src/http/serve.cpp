// What happens on one connection: handshake, request, answer, and again. Each step goes as far as it can without
// waiting.
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "http/reply.h"
#include "http/server_impl.h"
#include "http/takeover.h"
#include "knarr/base/log.h"

namespace knarr::http {

namespace {

constexpr size_t kReadSize = 32 << 10;
constexpr size_t kWindow = 64 << 10;  // of a body that is made while it is sent: four TLS records
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// A method that only reads does not wait for the disk.
bool only_reads(std::string_view method) { return method == "GET" || method == "HEAD" || method == "OPTIONS"; }

std::string begin_head(Response& response) {
  std::erase_if(response.headers, [](const auto& header) { return frames_message(header.first); });
  std::string head;
  head.reserve(256);
  append_response_head(head, response.status, response.headers);
  return head;
}

std::string plain_head(Response& response, bool is_head, bool http10, bool close) {
  const std::string length = body_length(response, is_head);
  std::string head = begin_head(response);
  if (may_have_body(response.status)) append_header(head, "Content-Length", length);
  if (close) append_header(head, "Connection", "close");
  if (http10 && !close) append_header(head, "Connection", "keep-alive");
  head += "\r\n";
  return head;
}

// The head of a body that comes in pieces and ends the connection.
std::string streamed_head(Response& response, bool http10) {
  std::string head = begin_head(response);
  if (!http10) append_header(head, "Transfer-Encoding", "chunked");
  append_header(head, "Connection", "close");
  head += "\r\n";
  return head;
}

// Whether the client of a stream went away. What it may have sent is of no use.
bool client_gone(Stream& stream) {
  std::array<char, 1024> buffer;
  for (;;) {
    bool end = false;
    auto got = stream.try_read(buffer.data(), buffer.size(), end);
    if (!got.ok() || end) return true;
    if (*got == 0) return false;
  }
}

// Whether the client of a request that waited closed its connection meanwhile.
bool hung_up(int fd) {
  pollfd state{fd, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0;
}

void write_stream(Stream& stream, const std::string& head, bool chunked, const Response::Takeover& takeover) {
  if (!stream.write(head).ok()) return;
  const auto write = [&](std::string_view chunk) -> Status {
    if (chunk.empty()) return {};
    return chunked ? write_chunk(stream, chunk) : stream.write(chunk);
  };
  try {
    takeover.run_stream(write, [&] { return client_gone(stream); });
  } catch (const std::exception& error) {
    log::error("http", "a streamed response was cut off because its handler failed", {{"error", error.what()}});
    return;  // without the last chunk the client knows that there should be more
  }
  if (chunked) [[maybe_unused]]
    Status gone = stream.write(kLastChunk);
}

}  // namespace

void ServerImpl::drive(Connection& connection) {
  { Lock lock(connection.hand_over); }
  connection.idle = false;
  switch (connection.state) {
    case Connection::State::kHandshake:
      return shake_hands(connection);
    case Connection::State::kReading:
      return read_request(connection);
    case Connection::State::kWriting:
      return flush(connection);
    case Connection::State::kLingering:
      return linger(connection);
  }
}

void ServerImpl::shake_hands(Connection& connection) {
  const Io io = connection.channel.handshake();
  if (io == Io::kWantRead || io == Io::kWantWrite) {
    connection.idle = true;
    return arm(connection, io == Io::kWantRead ? EPOLLIN : EPOLLOUT);
  }
  if (io != Io::kDone) {
    log::debug("http", "TLS handshake failed",
               {{"client", connection.remote_address}, {"error", connection.channel.error_text()}});
    return close(connection);
  }
  if (auto peer = shown_certificate(connection.channel.ssl()))
    connection.peer = std::make_shared<const PeerCertificate>(std::move(*peer));
  if (chose_http2(connection.channel.ssl())) return adopt_session(connection);
  connection.state = Connection::State::kReading;
  read_request(connection);
}

void ServerImpl::read_request(Connection& connection) {
  std::array<char, kReadSize> buffer;
  for (;;) {
    if (!connection.in.empty() || !connection.reader.between_requests()) {
      switch (connection.reader.feed(connection.in)) {
        case RequestReader::State::kRequest:
          return dispatch(connection);
        case RequestReader::State::kError:
          return refuse(connection, connection.reader.error());
        case RequestReader::State::kMore:
          break;
      }
      if (connection.reader.wants_continue()) {
        size_t took = 0;
        connection.channel.write(kContinue, took);
        if (took != kContinue.size()) {  // nothing else is on its way, so only a broken socket does not take it
          return close(connection);
        }
      }
    }
    size_t got = 0;
    switch (connection.channel.read(buffer.data(), buffer.size(), got)) {
      case Io::kDone:
        connection.in.append(buffer.data(), got);
        break;
      case Io::kWantRead:
        return wait_for_request(connection);
      case Io::kWantWrite:
        return arm(connection, EPOLLOUT);
      case Io::kEnd:
      case Io::kError:
        return close(connection);
    }
  }
}

void ServerImpl::wait_for_request(Connection& connection) {
  if (connection.in.empty() && connection.reader.between_requests()) {
    connection.in = std::string();
    connection.out = std::string();
    connection.timed = false;
    set_deadline(connection, options_.idle_timeout);
    connection.idle = true;
    if (stopping_) {
      return close(connection);
    }
  } else if (!std::exchange(connection.timed, true)) {  // from a request's first bytes on its time runs
    set_deadline(connection, options_.header_timeout);
  }
  return arm(connection, EPOLLIN);
}

void ServerImpl::dispatch(Connection& connection) {
  connection.deadline = INT64_MAX;
  connection.timed = false;
  const auto job = std::make_shared<Job>(connection, connection.reader.take());
  Request& request = job->taken.request;
  request.remote_address = connection.remote_address;
  identify(request, connection.peer.get());
  admit(job, true);
}

// `alone`: nothing else came with it that could be before its turn.
void ServerImpl::admit(const JobPtr& job, bool alone) {
  enter_handler();
  switch (options_.gate ? ask_gate(job) : Gate::Verdict::kPass) {
    case Gate::Verdict::kWait:  // it may be over already
      break;
    case Gate::Verdict::kAnswered:
      answer(*job);
      break;
    case Gate::Verdict::kPass:
      // Where another poller takes what comes meanwhile, there is nobody whose turn it could be before.
      if (alone && only_reads(job->taken.request.method) && ready_count_.load() == 0 && polling_.load() > 0) {
        serve(*job);
      } else {
        queue(job);
      }
  }
  leave_handler();
}

template <typename Call>
void ServerImpl::guarded(const Request& request, Response& response, Call call) {
  try {
    return call();
  } catch (const std::exception& error) {
    log::error("http", "a handler failed",
               {{"method", request.method}, {"path", request.path}, {"error", error.what()}});
  } catch (...) {
    log::error("http", "a handler failed", {{"method", request.method}, {"path", request.path}});
  }
  response = Response();
  fill_error(500, "the server failed to handle this request", response);
}

Gate::Verdict ServerImpl::ask_gate(const JobPtr& job) {
  Gate::Verdict verdict = Gate::Verdict::kAnswered;
  guarded(job->taken.request, job->response, [&] {
    verdict = options_.gate->admit(job->taken.request, job->response, [this, job] { resume(job); });
  });
  return verdict;
}

void ServerImpl::resume(const JobPtr& job) {
  job->waited = true;
  queue(job);
  wake_poller();
}

void ServerImpl::queue(const JobPtr& job) {
  const Request& request = job->taken.request;
  if (!only_reads(request.method)) return writers_.submit([this, job] { serve(*job); }, request.lane);
  Lock lock(ready_mutex_);
  ready_.push(request.lane, job);
  ready_count_ = ready_.size();
}

// Handles the request whose turn it is.
void ServerImpl::run_ready() {
  JobPtr job;
  bool more = false;
  {
    Lock lock(ready_mutex_);
    if (ready_.empty()) return;
    job = ready_.pop();
    ready_count_ = ready_.size();
    more = !ready_.empty();
  }
  enter_handler();
  if (more && sleeping_.load() > 0) wake_poller();
  serve(*job);
  leave_handler();
}

void ServerImpl::wake_poller() {
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(wake_event_.get(), &one, sizeof one);
}

void ServerImpl::serve(Job& job) {
  if (job.session) {
    if (!job.session->is_open(job.stream)) return;
  } else if (job.waited && hung_up(job.connection->channel.fd())) {
    return close(*job.connection);
  }
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  guarded(job.taken.request, job.response, [&] { handler_(job.taken.request, job.response); });
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  answer(job);
}

void ServerImpl::answer(Job& job) {
  requests_.fetch_add(1, std::memory_order_relaxed);
  if (job.session) return answer_stream(job);
  Response& response = job.response;
  if (response.takeover) return hand_over(job);
  const bool is_head = job.taken.request.method == "HEAD";
  const bool close_after =
      !job.taken.head.keep_alive || stopping_ || header_has_token(response.headers, "Connection", "close");
  if (!may_have_body(response.status)) {
    response.body.clear();
    response.source.reset();
  }
  std::string head = plain_head(response, is_head, job.taken.head.minor_version == 0, close_after);
  if (!is_head) job.connection->source = std::move(response.source);
  send(*job.connection, std::move(head), is_head ? std::string() : std::move(response.body), close_after);
}

void ServerImpl::fill_error(int code, std::string_view message, Response& response) const {
  response.status = code;
  if (options_.error_body) return options_.error_body(code, message, response);
  response.set_header("Content-Type", "text/plain; charset=utf-8");
  response.body = fmt::format("{}\n", message);
}

void ServerImpl::refuse(Connection& connection, const ParseError& error) {
  connection.deadline = INT64_MAX;
  requests_.fetch_add(1, std::memory_order_relaxed);
  Response response;
  fill_error(error.code, error.message, response);
  connection.linger = true;  // the client may still be sending, and must not lose the answer to a reset
  std::string head = plain_head(response, false, false, true);  // tells the body's length, and so goes before its move
  return send(connection, std::move(head), std::move(response.body), true);
}

void ServerImpl::send(Connection& connection, std::string head, std::string body, bool close_after) {
  connection.close_after_write = close_after;
  if (connection.source) {
    connection.out = std::move(head);
    connection.out_sent = 0;
    refill(connection);
    return flush(connection);
  }
  size_t took = 0;
  const Io io = connection.channel.write(head, body, took);
  if (io == Io::kError || io == Io::kEnd) {
    return close(connection);
  }
  if (took == head.size() + body.size()) return sent(connection);
  if (took < head.size()) {
    connection.out = std::move(head);
    connection.out += body;
    connection.out_sent = took;
  } else {
    connection.out = std::move(body);
    connection.out_sent = took - head.size();
  }
  return flush(connection);
}

// Puts the next part of a body that is made while it is sent behind what `out` holds, or in its place when that is sent.
void ServerImpl::refill(Connection& connection) {
  std::string& out = connection.out;
  const size_t begin = connection.out_sent == out.size() ? 0 : out.size();
  connection.out_sent = 0;
  out.resize(std::max(begin, kWindow));
  const size_t got = connection.source->read(out.data() + begin, out.size() - begin);
  out.resize(begin + got);
  if (connection.source->left() == 0 || got == 0) connection.source.reset();
}

// A client has header_timeout to take the next part of an answer, not for all of it.
void ServerImpl::flush(Connection& connection) {
  while (connection.out_sent < connection.out.size()) {
    size_t took = 0;
    const Io io = connection.channel.write(std::string_view(connection.out).substr(connection.out_sent), took);
    connection.out_sent += took;
    if (connection.source && connection.out_sent == connection.out.size()) refill(connection);
    if (io == Io::kDone) continue;
    if (io == Io::kError || io == Io::kEnd) {
      return close(connection);
    }
    connection.state = Connection::State::kWriting;
    set_deadline(connection, options_.header_timeout);
    return arm(connection, io == Io::kWantRead ? EPOLLIN : EPOLLOUT);
  }
  connection.out = std::string();
  connection.out_sent = 0;
  connection.deadline = INT64_MAX;
  return sent(connection);
}

void ServerImpl::sent(Connection& connection) {
  if (connection.close_after_write) {
    if (!connection.linger) {
      return close(connection);
    }
    connection.channel.shutdown_write();
    connection.state = Connection::State::kLingering;
    set_deadline(connection, kLingerTime);
    return linger(connection);
  }
  connection.state = Connection::State::kReading;
  if (connection.in.empty() && !connection.channel.has_buffered()) return wait_for_request(connection);
  // The next request is here already (pipelining). Others come first: a socket that can be written wakes a poller at
  // once.
  set_deadline(connection, options_.header_timeout);
  return arm(connection, EPOLLIN | EPOLLOUT);
}

void ServerImpl::linger(Connection& connection) {
  if (discard_input(connection.channel.fd(), connection.discarded)) return arm(connection, EPOLLIN);
  return close(connection);
}

void ServerImpl::hand_over(Job& job) {
  const std::unique_ptr<Connection> owner(job.connection);
  Connection& connection = *owner;
  const Taken& taken = job.taken;
  Response& response = job.response;
  remove(connection);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection.channel.fd(), nullptr);
  const std::shared_ptr<Response::Takeover> takeover = std::move(response.takeover);
  const bool http10 = taken.head.minor_version == 0;
  const bool is_head = taken.request.method == "HEAD";
  const bool only_head = is_head && (takeover->kind == Response::Takeover::Kind::kPump ||
                                     takeover->kind == Response::Takeover::Kind::kStream);
  if (takeover->kind == Response::Takeover::Kind::kPump && !only_head) {
    pump_->attach({std::move(connection.channel), streamed_head(response, http10), takeover->topic,
                   std::move(takeover->source), !http10, nullptr});
    return;
  }
  // std::function wants what it holds to be copyable.
  auto stream = std::make_shared<std::unique_ptr<Stream>>(make_stream(std::move(connection.channel), streams_));
  if (takeover->kind == Response::Takeover::Kind::kConnection) {
    run_on_thread(
        [takeover, stream, early = std::move(connection.in)] { takeover->run_connection(std::move(*stream), early); });
  } else if (takeover->kind == Response::Takeover::Kind::kReply) {
    run_on_thread([takeover, stream, http10, is_head] {
      const std::unique_ptr<Stream> mine = std::move(*stream);
      run_reply(takeover->run_reply, *mine, http10, is_head);
    });
  } else {
    run_on_thread([takeover, stream, http10, only_head, head = streamed_head(response, http10)] {
      const std::unique_ptr<Stream> mine = std::move(*stream);
      if (only_head) {
        [[maybe_unused]] Status gone = mine->write(head);
      } else {
        write_stream(*mine, head, !http10, *takeover);
      }
    });
  }
}

void ServerImpl::run_on_thread(std::function<void()> run) {
  streams_->thread_began();
  try {
    std::thread([run = std::move(run), streams = streams_]() mutable {
      try {
        run();
      } catch (const std::exception& error) {
        log::error("http", "a connection that was taken over ended because its handler failed",
                   {{"error", error.what()}});
      }
      run = nullptr;  // closes the stream, should it still be there
      streams->thread_ended();
    }).detach();
  } catch (const std::system_error& error) {
    streams_->thread_ended();
    log::error("http", "a connection was closed: no thread could be started for it", {{"error", error.what()}});
  }
}

}  // namespace knarr::http
