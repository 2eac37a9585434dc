#include "http/stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "http/message.h"

namespace knarr::http {

namespace {

// Milliseconds for poll(), rounded up so that it does not wake just before the deadline.
int poll_timeout(std::optional<MonoTime> deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, INT_MAX));
}

class SocketStream final : public Stream {
 public:
  SocketStream(Channel channel, std::shared_ptr<OpenStreams> tracker)
      : fd_(channel.fd()), channel_(std::move(channel)), tracker_(std::move(tracker)) {
    if (tracker_) tracker_->add(this);
  }
  ~SocketStream() override {
    if (tracker_) tracker_->remove(this);
    Lock lock(mutex_);
    channel_.close();
  }

  Result<size_t> read(char* buffer, size_t size, std::optional<MonoTime> deadline) override {
    for (;;) {
      size_t got = 0;
      short wait_for = 0;
      {
        Lock lock(mutex_);
        switch (channel_.read(buffer, size, got)) {
          case Io::kDone:
            return got;
          case Io::kEnd:
            return size_t{0};
          case Io::kWantRead:
            wait_for = POLLIN;
            break;
          case Io::kWantWrite:
            wait_for = POLLOUT;
            break;
          case Io::kError:
            return broken("read from");
        }
      }
      KNARR_RETURN_IF_ERROR(wait_fd(fd_, wait_for, deadline).with_context("read from a connection"));
    }
  }

  Status write(std::string_view bytes, std::optional<MonoTime> deadline) override {
    while (!bytes.empty()) {
      size_t took = 0;
      short wait_for = 0;
      {
        Lock lock(mutex_);
        switch (channel_.write(bytes, took)) {
          case Io::kDone:
            break;
          case Io::kWantRead:
            wait_for = POLLIN;
            break;
          case Io::kWantWrite:
            wait_for = POLLOUT;
            break;
          case Io::kEnd:
          case Io::kError:
            return broken("write to");
        }
      }
      bytes.remove_prefix(took);
      if (wait_for) KNARR_RETURN_IF_ERROR(wait_fd(fd_, wait_for, deadline).with_context("write to a connection"));
    }
    return {};
  }

  void shutdown_write() override {
    Lock lock(mutex_);
    channel_.shutdown_write();
  }
  void abort() override {
    aborted_ = true;
    ::shutdown(fd_, SHUT_RDWR);
  }

  Result<size_t> try_write(std::string_view bytes) override {
    Lock lock(mutex_);
    size_t took = 0;
    const Io io = bytes.empty() ? Io::kDone : channel_.write(bytes, took);
    if (io == Io::kError || io == Io::kEnd) return broken("write to");
    return took;
  }
  Result<size_t> try_read(char* buffer, size_t size, bool& end) override {
    Lock lock(mutex_);
    size_t got = 0;
    const Io io = channel_.read(buffer, size, got);
    end = io == Io::kEnd;
    if (io == Io::kError) return broken("read from");
    return got;
  }
  int fd() const override { return fd_; }

 private:
  Status broken(std::string_view what) KNARR_REQUIRES(mutex_) {
    if (aborted_) return unavailable(fmt::format("{} a connection: it was aborted", what));
    return unavailable(fmt::format("{} a connection: {}", what, channel_.error_text()));
  }

  const int fd_;
  std::atomic<bool> aborted_{false};
  Mutex mutex_;  // held for single steps, never while waiting
  Channel channel_ KNARR_GUARDED_BY(mutex_);
  const std::shared_ptr<OpenStreams> tracker_;
};

// One direction of a relay.
struct Flow {
  Stream& from;
  Stream& to;
  std::string pending;  // read, not yet written
  bool ended = false, done = false;

  // Moves what can be moved without waiting. false: a side failed.
  bool move(char* buffer, size_t size) {
    for (;;) {
      if (!pending.empty()) {
        auto took = to.try_write(pending);
        if (!took.ok()) return false;
        pending.erase(0, *took);
        if (!pending.empty()) return true;
      }
      if (ended) {
        if (!done) to.shutdown_write();
        done = true;
        return true;
      }
      auto got = from.try_read(buffer, size, ended);
      if (!got.ok()) return false;
      if (*got == 0 && !ended) return true;
      pending.append(buffer, *got);
    }
  }
};

}  // namespace

void OpenStreams::add(Stream* stream) {
  Lock lock(mutex_);
  streams_.insert(stream);
}

void OpenStreams::remove(Stream* stream) {
  Lock lock(mutex_);
  streams_.erase(stream);
  changed_.notify_all();
}

size_t OpenStreams::size() const {
  Lock lock(mutex_);
  return streams_.size();
}

void OpenStreams::thread_began() {
  Lock lock(mutex_);
  ++threads_;
}

void OpenStreams::thread_ended() {
  Lock lock(mutex_);
  --threads_;
  changed_.notify_all();
}

void OpenStreams::abort_all() {
  Lock lock(mutex_);
  for (Stream* stream : streams_) stream->abort();
}

bool OpenStreams::wait_empty(MonoTime deadline) {
  Lock lock(mutex_);
  while (threads_ > 0 || !streams_.empty()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    changed_.wait_until(lock, deadline);
  }
  return true;
}

std::unique_ptr<Stream> make_stream(Channel channel, std::shared_ptr<OpenStreams> tracker) {
  return std::make_unique<SocketStream>(std::move(channel), std::move(tracker));
}

Status write_chunk(Stream& stream, std::string_view bytes) {
  std::string framed;
  framed.reserve(bytes.size() + 16);
  append_chunk_size(framed, bytes.size());
  framed.append(bytes).append("\r\n");
  return stream.write(framed);
}

Status wait_fd(int fd, short events, std::optional<MonoTime> deadline) {
  for (;;) {
    pollfd entry{fd, events, 0};
    const int n = ::poll(&entry, 1, poll_timeout(deadline));
    if (n > 0) return {};
    if (n < 0 && errno != EINTR) return errno_status(errno, "poll");
    if (deadline && std::chrono::steady_clock::now() >= *deadline)
      return timeout_error("the other side did not answer in time");
  }
}

void relay(Stream& a, std::string_view early_from_a, Stream& b, std::string_view early_from_b) {
  std::array<char, 32768> buffer;
  Flow flows[2] = {{a, b, std::string(early_from_a)}, {b, a, std::string(early_from_b)}};
  for (;;) {
    for (Flow& flow : flows)
      if (!flow.move(buffer.data(), buffer.size())) return;
    if (flows[0].done && flows[1].done) return;
    pollfd entries[2] = {{a.fd(), 0, 0}, {b.fd(), 0, 0}};
    for (int i = 0; i < 2; ++i) {
      const Flow& flow = flows[i];
      if (!flow.pending.empty()) {
        entries[1 - i].events |= POLLOUT;
      } else if (!flow.ended) {
        entries[i].events |= POLLIN;
      }
    }
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) return;
    // A side of which nothing is awaited only ever reports that it is gone altogether.
    for (const pollfd& entry : entries)
      if (entry.events == 0 && (entry.revents & (POLLHUP | POLLERR))) return;
  }
}

}  // namespace knarr::http
