// The threads that write to thousands of watchers. See Pump and PumpSource in server.h.
//
// A lane is one thread with its own epoll and its own watches. There is one; further ones begin when every lane has
// enough watches to be worth its wake-up. A watch is a connection of its own (HTTP/1.1) or a stream of one that others use
// too (HTTP/2): those of one connection are asked in a row, and what they gave is sent together.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "http/channel.h"
#include "http/http2_session.h"
#include "knarr/base/sync.h"

namespace knarr::http {

// A connection or a stream that is to be pumped: `head` is written first, then what the source gives.
struct PumpItem {
  Channel channel;
  std::string head;
  uint32_t topic = 0;
  std::unique_ptr<PumpSource> source;
  bool chunked = true;  // false: for HTTP/1.0, the end of the connection ends the body
  // Instead of channel and head, which was sent already:
  std::shared_ptr<Http2Session> session;
  int32_t stream = 0;
  uint64_t id = 0;  // the lane's
};

class PumpLane final : public Http2Watcher {
 public:
  static Result<std::unique_ptr<PumpLane>> start();
  ~PumpLane();  // stop()

  void wake(uint32_t topic);
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  size_t connections() const { return connections_.load(std::memory_order_relaxed); }  // of HTTP/1.1
  void attach(PumpItem item);
  void hear(News news) override;
  void stop();

  std::atomic<size_t> sessions{0};  // that were given to this lane

 private:
  struct Watch;
  // The watches of one HTTP/2 connection.
  struct Group {
    std::shared_ptr<Http2Session> session;
    size_t watches = 0;
    std::vector<Watch*> ready;  // have more to send
    bool queued = false;        // in ready_groups_
    bool full = false;          // the connection takes no more: hear() will tell
  };
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
  void register_watch(PumpItem item);
  bool add_to_epoll(Watch& watch);
  bool add_to_group(Watch& watch, std::shared_ptr<Http2Session> session);
  void take_heard(std::vector<News>& heard);
  void handle(Watch& watch, uint32_t events);
  void advance(Watch& watch);
  Progress flush(Watch& watch);
  Progress pull(Watch& watch);
  bool drain_input(Watch& watch);
  void note_deadline(Watch& watch);
  void note_stall(Watch& watch);
  void note(Watch& watch, MonoTime when);
  void enqueue(Watch& watch);
  void queue_group(Group& group);
  void pump_group(Group& group);
  size_t ask(Group& group, const std::vector<Watch*>& ready, size_t next);
  void deliver(Group& group);
  void forget_groups();
  static bool can_ask(const Watch& watch);
  PumpSource::More ask_source(Watch& watch, bool& failed);
  void trim_scratch();
  static void prefetch(const Watch& second, const Watch& next);
  void run_deadlines();
  int timeout() const;
  void close(Watch& watch);
  void close_all();

  // Constant after construction.
  const linux::UniqueFd epoll_, wake_;

  // The lane's thread only.
  std::unordered_map<uint64_t, std::unique_ptr<Watch>> watches_;
  std::unordered_map<uint32_t, std::vector<Watch*>> topics_;
  std::vector<Watch*> ready_;  // have more to send and room to send it
  std::vector<std::unique_ptr<Watch>> closed_;  // still named by this round's events or by ready_
  std::vector<Due> due_;                             // min-heap; an entry may be outdated, the watch knows
  std::string scratch_;
  std::unordered_map<const Http2Session*, std::unique_ptr<Group>> groups_;
  std::vector<Group*> ready_groups_;
  std::vector<Http2Session::Part> parts_;  // of the group that is being pumped, and whose they are
  std::vector<Watch*> asked_;
  bool empty_groups_ = false;

  std::atomic<size_t> size_{0}, connections_{0};
  std::atomic<uint64_t> next_id_{1};
  Mutex mutex_;
  bool stopping_ KNARR_GUARDED_BY(mutex_) = false;
  bool signalled_ KNARR_GUARDED_BY(mutex_) = false;
  std::unordered_map<uint32_t, size_t> watched_ KNARR_GUARDED_BY(mutex_);  // topics by how many connections they have
  std::unordered_set<uint32_t> woken_ KNARR_GUARDED_BY(mutex_);
  std::vector<PumpItem> arrived_ KNARR_GUARDED_BY(mutex_);
  std::vector<News> heard_ KNARR_GUARDED_BY(mutex_);
  std::thread thread_;
};

class PumpImpl final : public Pump {
 public:
  static Result<std::unique_ptr<PumpImpl>> start(size_t max_lanes);

  void wake(uint32_t topic) override;
  size_t size() const override;
  size_t connections() const;  // that are nothing but a watch

  void attach(PumpItem item);
  // Ends every response that stands at a boundary with its last chunk, closes all connections and ends the threads. What
  // is attached afterwards is closed at once.
  void stop();

 private:
  explicit PumpImpl(size_t max_lanes) : max_lanes_(max_lanes) { lanes_.reserve(max_lanes); }
  PumpLane& choose() KNARR_REQUIRES(mutex_);
  PumpLane& lane_for(Http2Session& session) KNARR_REQUIRES(mutex_);

  const size_t max_lanes_;
  mutable Mutex mutex_;
  bool stopped_ KNARR_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<PumpLane>> lanes_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::http
