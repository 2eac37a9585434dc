// One client's HTTP/2 connection, used by many threads at once: pollers that read it, whoever finishes an answer, the
// pump's lane that its watches belong to, handlers' threads that write as time passes. See http2_protocol.h for what
// it says.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/channel.h"
#include "http/http2_protocol.h"
#include "knarr/base/sync.h"

namespace knarr::http {

class Http2Session;

// What a session's watches are told: a lane of the pump. Called with the session's lock held; must not call it.
class Http2Watcher {
 public:
  struct News {
    const Http2Session* room = nullptr;  // its connection takes more again
    std::vector<uint64_t> roomy, gone;   // watches whose stream takes more, whose stream is closed
  };
  virtual ~Http2Watcher() = default;
  virtual void hear(News news) = 0;
};

class Http2Session {
 public:
  struct Options {
    RequestLimits limits;
    std::chrono::nanoseconds idle_timeout, header_timeout;
    std::function<void(int64_t when)> note_deadline;  // expire() is to be called then; called with the lock held
  };
  // What a watch gave for its stream: bytes[begin, end) of a batch.
  struct Part {
    int32_t stream;
    size_t begin, end;
    bool last;  // the stream ends with it
    // deliver()'s answer
    enum class State : uint8_t { kRoom, kFull, kGone } state = State::kRoom;
  };
  using Arrival = Http2Protocol::Arrival;

  Http2Session(uint64_t id, Channel channel, std::string remote_address, std::shared_ptr<const PeerCertificate> peer,
               Options options);

  const uint64_t id;
  const std::string remote_address;
  const std::shared_ptr<const PeerCertificate> peer;

  // For the thread that epoll (edge-triggered) woke. true: it is to call read() until done_reading(); false: another
  // one does that, and looks again on our behalf.
  bool begin_reading() { return wakes_.fetch_add(1, std::memory_order_acq_rel) == 0; }
  bool done_reading(uint32_t& seen);
  // Has epoll tell of what is there, at first and when it was left unread.
  void arm(int epoll);
  // Reads what there is, sends what can be sent. `arrived` gets the requests. `more`: stopped for others' sake.
  // false: the connection is over, and close() is to be called.
  bool read(std::vector<Arrival>& arrived, bool& more);
  void close();

  // What epoll tells of a session: an odd number, larger than those of the server's own descriptors.
  static constexpr uint64_t kFirstId = 16;
  static bool is_session(uint64_t tag) { return tag & 1; }
  static uint64_t id_of(uint64_t tag) { return tag >> 1; }

  // Looks after deadlines.
  int64_t deadline() const { return deadline_.load(std::memory_order_relaxed); }
  void expire(int64_t now);
  // The server stops: running streams may end.
  void go_away();
  void shut_down();  // the socket

  bool is_open(int32_t stream) const;

  // Answers. To a stream that is closed they do nothing. respond() does not wait while another thread sends answers: that
  // one takes this along.
  void respond(int32_t stream, Response response, bool is_head);
  void open_body(int32_t stream, Response& response);
  Status write(int32_t stream, std::string_view bytes);  // waits for room
  void finish(int32_t stream, bool whole);               // not whole: the stream is reset
  // Calls `gone` once when the stream is closed, perhaps at once, or never if `finish` comes first. It must not call
  // the session.
  void on_close(int32_t stream, std::function<void()> gone);

  // The lane that all its watches belong to, chosen with the first one.
  Http2Watcher* watcher() const { return watcher_.load(std::memory_order_acquire); }
  void set_watcher(Http2Watcher* watcher) { watcher_.store(watcher, std::memory_order_release); }
  bool watch(int32_t stream, uint64_t watch);  // false: the stream is closed
  // Sends the parts. true: the connection takes no more for now, and hear() will say when it does; neither do streams
  // that are kFull.
  bool deliver(std::vector<Part>& parts, std::string_view bytes);

 private:
  void flush() KNARR_REQUIRES(mutex_);
  void after() KNARR_REQUIRES(mutex_);
  void tell_watcher() KNARR_REQUIRES(mutex_);
  void tell_closed() KNARR_REQUIRES(mutex_);
  void schedule() KNARR_REQUIRES(mutex_);
  void set_deadline(int64_t when) KNARR_REQUIRES(mutex_);
  void begin_lingering() KNARR_REQUIRES(mutex_);
  bool linger() KNARR_REQUIRES(mutex_);
  void broken() KNARR_REQUIRES(mutex_);

  const Options options_;
  std::atomic<uint32_t> wakes_{0};
  std::atomic<int64_t> deadline_{INT64_MAX};
  std::atomic<Http2Watcher*> watcher_{nullptr};

  struct Answer {
    int32_t stream;
    Response response;
    bool is_head;
  };
  Mutex answers_mutex_;
  std::vector<Answer> answers_ KNARR_GUARDED_BY(answers_mutex_);
  bool answering_ KNARR_GUARDED_BY(answers_mutex_) = false;  // a thread sends them

  mutable Mutex mutex_;
  std::condition_variable_any changed_;  // for write()
  int writers_ KNARR_GUARDED_BY(mutex_) = 0;  // threads in write()
  Channel channel_ KNARR_GUARDED_BY(mutex_);
  Http2Protocol protocol_ KNARR_GUARDED_BY(mutex_);
  std::string out_ KNARR_GUARDED_BY(mutex_);  // frames; those that the socket did not take
  size_t out_sent_ KNARR_GUARDED_BY(mutex_) = 0;
  int64_t progress_ KNARR_GUARDED_BY(mutex_) = 0;  // when the socket last took something
  bool watcher_waits_ KNARR_GUARDED_BY(mutex_) = false;
  bool leaving_ KNARR_GUARDED_BY(mutex_) = false;  // the server stops: clients are not waited for
  bool idle_ KNARR_GUARDED_BY(mutex_) = false;
  enum class State : uint8_t { kOpen, kLingering, kBroken, kClosed };
  State state_ KNARR_GUARDED_BY(mutex_) = State::kOpen;
  size_t discarded_ KNARR_GUARDED_BY(mutex_) = 0;
  std::vector<std::pair<int32_t, std::function<void()>>> on_close_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::http
