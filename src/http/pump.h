// The threads that write to thousands of watchers. See Pump and PumpSource in server.h.
//
// A lane is one thread with its own epoll and its own connections. There is one; further ones begin when every lane has
// enough connections to be worth its wake-up.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "http/channel.h"
#include "knarr/base/sync.h"

namespace knarr::http {

// A connection that is to be pumped: `head` is written first, then what the source gives.
struct PumpItem {
  Channel channel;
  std::string head;
  uint32_t topic = 0;
  std::unique_ptr<PumpSource> source;
  bool chunked = true;  // false: for HTTP/1.0, the end of the connection ends the body
};

class PumpLane {
 public:
  static Result<std::unique_ptr<PumpLane>> start();
  ~PumpLane();  // stop()

  void wake(uint32_t topic);
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  void attach(PumpItem item);
  void stop();

 private:
  struct Connection;
  enum class Progress { kWaiting, kReady, kClosed };
  struct Due {
    MonoTime when;
    uint64_t id;
    bool operator>(const Due& other) const { return when > other.when; }
  };

  PumpLane(linux::UniqueFd epoll, linux::UniqueFd wake);
  void run();
  void signal();
  void take_news();
  void register_connection(PumpItem item);
  void handle(Connection& connection, uint32_t events);
  void advance(Connection& connection);
  Progress flush(Connection& connection);
  Progress pull(Connection& connection);
  bool drain_input(Connection& connection);
  void note_deadline(Connection& connection);
  void note_stall(Connection& connection);
  void note(Connection& connection, MonoTime when);
  void enqueue(Connection& connection);
  static void prefetch(const Connection& second, const Connection& next);
  void run_deadlines();
  int timeout() const;
  void close(Connection& connection);
  void close_all();

  // Constant after construction.
  const linux::UniqueFd epoll_, wake_;

  // The lane's thread only.
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::unordered_map<uint32_t, std::vector<Connection*>> topics_;
  std::vector<Connection*> ready_;  // have more to send and room to send it
  std::vector<std::unique_ptr<Connection>> closed_;  // still named by this round's events or by ready_
  std::vector<Due> due_;                             // min-heap; an entry may be outdated, the connection knows
  uint64_t next_id_ = 1;
  std::string scratch_;

  std::atomic<size_t> size_{0};
  Mutex mutex_;
  bool stopping_ KNARR_GUARDED_BY(mutex_) = false;
  bool signalled_ KNARR_GUARDED_BY(mutex_) = false;
  std::unordered_map<uint32_t, size_t> watched_ KNARR_GUARDED_BY(mutex_);  // topics by how many connections they have
  std::unordered_set<uint32_t> woken_ KNARR_GUARDED_BY(mutex_);
  std::vector<PumpItem> arrived_ KNARR_GUARDED_BY(mutex_);
  std::thread thread_;
};

class PumpImpl final : public Pump {
 public:
  static Result<std::unique_ptr<PumpImpl>> start(size_t max_lanes);

  void wake(uint32_t topic) override;
  size_t size() const override;

  void attach(PumpItem item);
  // Ends every response that stands at a boundary with its last chunk, closes all connections and ends the threads. What
  // is attached afterwards is closed at once.
  void stop();

 private:
  explicit PumpImpl(size_t max_lanes) : max_lanes_(max_lanes) { lanes_.reserve(max_lanes); }
  PumpLane& choose() KNARR_REQUIRES(mutex_);

  const size_t max_lanes_;
  mutable Mutex mutex_;
  bool stopped_ KNARR_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<PumpLane>> lanes_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::http
