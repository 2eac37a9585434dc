// The blocking Stream over a Channel, and who keeps watch over those that handlers took over.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <unordered_set>

#include "http/channel.h"
#include "knarr/base/sync.h"

namespace knarr::http {

// Streams that are open and threads that run on them, so that a server that stops can end them. Shared by the server
// and each of them.
class OpenStreams {
 public:
  void add(Stream* stream);
  void remove(Stream* stream);
  size_t size() const;
  void thread_began();
  void thread_ended();
  void abort_all();
  // Waits until no stream is open and no thread runs; false: the deadline passed.
  bool wait_empty(MonoTime deadline);

 private:
  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::unordered_set<Stream*> streams_ KNARR_GUARDED_BY(mutex_);
  size_t threads_ KNARR_GUARDED_BY(mutex_) = 0;
};

// `tracker` may be null.
std::unique_ptr<Stream> make_stream(Channel channel, std::shared_ptr<OpenStreams> tracker);

// One chunk of a body that is framed in chunks.
Status write_chunk(Stream& stream, std::string_view bytes);

// Waits for `events` (POLLIN, POLLOUT) on one descriptor. Timeout when the deadline passed.
Status wait_fd(int fd, short events, std::optional<MonoTime> deadline);

}  // namespace knarr::http
