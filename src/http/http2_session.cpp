#include "http/http2_session.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace knarr::http {

namespace {

constexpr size_t kReadSize = 16 << 10;
constexpr size_t kTurn = 256 << 10;                             // read in one go, before others have their turn
constexpr size_t kRecord = 16 << 10;                            // frames are gathered up to what a TLS record carries
constexpr size_t kWriterRoom = 64 << 10;                        // what a handler's thread may be ahead of its client

int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

}  // namespace

Http2Session::Http2Session(uint64_t number, Channel channel, std::string address,
                           std::shared_ptr<const PeerCertificate> certificate, Options options)
    : id(number),
      remote_address(std::move(address)),
      peer(std::move(certificate)),
      options_(std::move(options)),
      channel_(std::move(channel)),
      protocol_(options_.limits) {}

bool Http2Session::done_reading(uint32_t& seen) { return wakes_.compare_exchange_strong(seen, 0); }

// With the lock: a descriptor that another thread closed may be somebody else's already.
void Http2Session::arm(int epoll) {
  Lock lock(mutex_);
  if (state_ == State::kClosed) return;
  wakes_.store(0, std::memory_order_release);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = id << 1 | 1;
  ::epoll_ctl(epoll, EPOLL_CTL_MOD, channel_.fd(), &event);
}

bool Http2Session::read(std::vector<Arrival>& arrived, bool& more) {
  Lock lock(mutex_);
  if (state_ == State::kBroken || state_ == State::kClosed) return false;
  if (state_ == State::kLingering) return linger();
  protocol_.set_time(now_ns());
  std::array<char, kReadSize> buffer;
  size_t total = 0;
  Io io = Io::kDone;
  bool good = true;
  while (good && io == Io::kDone) {
    size_t got = 0;
    io = channel_.read(buffer.data(), buffer.size(), got);
    if (io != Io::kDone) break;
    good = protocol_.feed({buffer.data(), got});
    total += got;
    more = total >= kTurn && !channel_.has_buffered();  // of what TLS holds epoll knows nothing
    if (more) break;
  }
  if (io == Io::kEnd || io == Io::kError) return false;
  for (Arrival& arrival : protocol_.take_arrivals()) arrived.push_back(std::move(arrival));
  after();
  if (!good && state_ == State::kOpen) begin_lingering();
  return state_ == State::kLingering ? linger() : state_ == State::kOpen;
}

void Http2Session::close() {
  Lock lock(mutex_);
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  deadline_ = INT64_MAX;
  protocol_.abandon();
  channel_.close();
  tell_watcher();
  tell_closed();
}

// What follows every change.
void Http2Session::after() {
  flush();
  tell_watcher();
  tell_closed();
  if (state_ == State::kOpen) schedule();
}

void Http2Session::flush() {
  if (state_ != State::kOpen) return;
  for (;;) {
    if (out_sent_ == out_.size()) {
      out_.clear();
      out_sent_ = 0;
    }
    if (out_.size() < kRecord && !protocol_.produce(out_, kRecord)) return broken();
    if (out_.empty()) break;
    size_t took = 0;
    const Io io = channel_.write(std::string_view(out_).substr(out_sent_), took);
    out_sent_ += took;
    if (took > 0) progress_ = now_ns();
    if (io == Io::kError || io == Io::kEnd) return broken();
    if (io != Io::kDone) return;
  }
  out_ = std::string();
  if (protocol_.over()) begin_lingering();
}

// Who is woken by the socket's end closes the session.
void Http2Session::broken() {
  if (state_ == State::kClosed) return;
  state_ = State::kBroken;
  protocol_.abandon();
  ::shutdown(channel_.fd(), SHUT_RDWR);
}

void Http2Session::begin_lingering() {
  state_ = State::kLingering;
  protocol_.abandon();
  channel_.shutdown_write();
  if (leaving_) ::shutdown(channel_.fd(), SHUT_RDWR);
  set_deadline(now_ns() + std::chrono::nanoseconds(kLingerTime).count());
}

bool Http2Session::linger() { return discard_input(channel_.fd(), discarded_); }

void Http2Session::tell_watcher() {
  Http2Watcher* const watcher = this->watcher();
  if (!watcher) return;
  Http2Watcher::News news;
  news.roomy = protocol_.take_roomy();
  news.gone = protocol_.take_gone();
  if (watcher_waits_ && (out_.empty() || state_ != State::kOpen)) {
    watcher_waits_ = false;
    news.room = this;
  }
  if (news.room || !news.roomy.empty() || !news.gone.empty()) watcher->hear(std::move(news));
}

void Http2Session::tell_closed() {
  if (writers_ > 0) changed_.notify_all();
  std::erase_if(on_close_, [&](const auto& entry) KNARR_REQUIRES(mutex_) {
    if (protocol_.is_open(entry.first)) return false;
    entry.second();
    return true;
  });
}

// When expire() shall look again: soon enough for whatever may stand still from now on.
void Http2Session::schedule() {
  if (protocol_.open_streams() > 0) {
    idle_ = false;
    const int64_t when = now_ns() + options_.header_timeout.count();
    if (when < deadline_) set_deadline(when);
  } else if (!std::exchange(idle_, true)) {
    set_deadline(now_ns() + options_.idle_timeout.count());
  }
}

void Http2Session::set_deadline(int64_t when) {
  deadline_ = when;
  if (when != INT64_MAX) options_.note_deadline(when);
}

void Http2Session::expire(int64_t now) {
  Lock lock(mutex_);
  if (deadline_ > now || state_ == State::kClosed) return;
  deadline_ = INT64_MAX;
  if (state_ != State::kOpen) {
    ::shutdown(channel_.fd(), SHUT_RDWR);
    return;
  }
  protocol_.set_time(now);
  const int64_t answer = options_.header_timeout.count();
  const int64_t stall = std::chrono::nanoseconds(kStallLimit).count();
  const bool was_idle = protocol_.open_streams() == 0;
  int64_t next = INT64_MAX;
  if (was_idle) {
    protocol_.terminate(Http2Protocol::Reason::kIdle);
  } else {
    next = protocol_.expire({answer, answer, stall});
  }
  const auto unsent = protocol_.unsent();
  if (!out_.empty() || (unsent != Http2Protocol::Unsent::kNothing && protocol_.window_closed())) {
    const int64_t limit = unsent == Http2Protocol::Unsent::kStreams ? stall : answer;
    if (progress_ + limit <= now) {
      broken();
    } else {
      next = std::min(next, progress_ + limit);
    }
  }
  flush();
  tell_watcher();
  tell_closed();
  if (state_ != State::kOpen) return;
  if (!was_idle && protocol_.open_streams() == 0) return schedule();
  if (!out_.empty()) next = std::min(next, now + answer);
  set_deadline(next);
}

void Http2Session::go_away() {
  Lock lock(mutex_);
  leaving_ = true;
  if (state_ != State::kOpen) return;
  protocol_.set_time(now_ns());
  protocol_.go_away();
  after();
}

void Http2Session::shut_down() {
  Lock lock(mutex_);
  if (state_ != State::kClosed) ::shutdown(channel_.fd(), SHUT_RDWR);
}

bool Http2Session::is_open(int32_t stream) const {
  Lock lock(mutex_);
  return protocol_.is_open(stream);
}

void Http2Session::respond(int32_t stream, Response response, bool is_head) {
  {
    Lock lock(answers_mutex_);
    answers_.push_back({stream, std::move(response), is_head});
    if (std::exchange(answering_, true)) return;
  }
  for (;;) {
    std::vector<Answer> answers;
    {
      Lock lock(answers_mutex_);
      answering_ = !answers_.empty();
      if (!answering_) return;
      answers.swap(answers_);
    }
    Lock lock(mutex_);
    if (state_ != State::kOpen) continue;
    protocol_.set_time(now_ns());
    for (Answer& answer : answers) protocol_.respond(answer.stream, answer.response, answer.is_head);
    after();
  }
}

void Http2Session::open_body(int32_t stream, Response& response) {
  Lock lock(mutex_);
  if (!protocol_.is_open(stream)) return;
  protocol_.set_time(now_ns());
  protocol_.open_body(stream, response);
  after();
}

Status Http2Session::write(int32_t stream, std::string_view bytes) {
  Lock lock(mutex_);
  while (protocol_.is_open(stream) && protocol_.unsent(stream) >= kWriterRoom) {
    ++writers_;
    changed_.wait(lock);
    --writers_;
  }
  if (!protocol_.is_open(stream)) return unavailable("write to a stream: the client closed it");
  protocol_.set_time(now_ns());
  protocol_.append(stream, bytes);
  after();
  return {};
}

void Http2Session::finish(int32_t stream, bool whole) {
  Lock lock(mutex_);
  std::erase_if(on_close_, [&](const auto& entry) { return entry.first == stream; });
  if (!protocol_.is_open(stream)) return;
  protocol_.set_time(now_ns());
  if (whole) {
    protocol_.end(stream);
  } else {
    protocol_.reset(stream);
  }
  after();
}

void Http2Session::on_close(int32_t stream, std::function<void()> gone) {
  Lock lock(mutex_);
  on_close_.emplace_back(stream, std::move(gone));
  tell_closed();
}

bool Http2Session::watch(int32_t stream, uint64_t watch) {
  Lock lock(mutex_);
  return protocol_.watch(stream, watch);
}

bool Http2Session::deliver(std::vector<Part>& parts, std::string_view bytes) {
  Lock lock(mutex_);
  if (state_ == State::kOpen) protocol_.set_time(now_ns());
  for (const Part& part : parts) {
    protocol_.append(part.stream, bytes.substr(part.begin, part.end - part.begin));
    if (part.last) protocol_.end(part.stream);
  }
  flush();
  for (Part& part : parts) {
    if (!protocol_.is_open(part.stream)) {
      part.state = Part::State::kGone;
    } else if (protocol_.unsent(part.stream) > 0) {
      part.state = Part::State::kFull;
      protocol_.ask_for_room(part.stream);
    }
  }
  const bool full = state_ == State::kOpen && !out_.empty();
  watcher_waits_ = watcher_waits_ || full;
  tell_watcher();
  tell_closed();
  if (state_ == State::kOpen) schedule();
  return full;
}

}  // namespace knarr::http
