// A priority level while the server runs: its queues, who waits in them and until when, and what /metrics tells of it.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "flow/queues.h"
#include "flow/refusals.h"
#include "flow/rules.h"
#include "flow/seats.h"
#include "knarr/base/sync.h"

namespace knarr::flow {

class TicketImpl;
using Resumes = std::vector<std::function<void()>>;  // to be called when no lock is held

// How long requests waited.
struct WaitTimes {
  static constexpr std::array<double, 13> kBounds = {0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30};
  void add(double seconds);

  std::array<uint64_t, kBounds.size()> counts{};  // of those that waited as long or shorter
  uint64_t count = 0;
  double sum = 0;
};

// Counters of the requests of one FlowSchema at one level.
struct FlowCounts {
  uint64_t dispatched = 0, queue_full = 0, no_seat = 0, timed_out = 0;
  int waiting = 0, running = 0, seats = 0;
  WaitTimes served, refused;
};

struct Level {
  explicit Level(std::string level_name) : name(std::move(level_name)) {}

  // Moves those that were let in out of those that wait, and takes what wakes them.
  void let_in(const FairQueues::Started& started, MonoTime now, Resumes& resumes) KNARR_REQUIRES(mutex);

  const std::string name;
  Mutex mutex;
  FairQueues queues KNARR_GUARDED_BY(mutex);
  std::set<std::pair<MonoTime, TicketImpl*>> waiting KNARR_GUARDED_BY(mutex);
  Demand demand KNARR_GUARDED_BY(mutex);
  Refusals refusals KNARR_GUARDED_BY(mutex);
  std::map<std::string, FlowCounts> flows KNARR_GUARDED_BY(mutex);  // by FlowSchema; entries stay where they are

  // Guarded by FlowControl's lock of the configuration.
  QueueLimits limits;
  Shares shares;
  SeatBounds bounds;
  double smoothed = 0;
  int seats = 0, max_width = 0;
  bool wanted = true;  // has an object; else it is kept until its last request is done
  std::string uid;
};

// A FlowSchema with its level.
struct Flow {
  Matcher matcher;
  std::string uid, level_uid;
  std::shared_ptr<Level> level;
  FlowCounts* counts;  // of the level
  uint64_t seed;
  bool exempt, hashed;
  int max_width;
};

}  // namespace knarr::flow
