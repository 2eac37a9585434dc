// Fair queueing of the requests of one priority level: who gets the next free seat, who waits, who is refused.
//
// A flow is dealt a hand of queues by its hash and puts a request into the one of them with the least work; so a flow that
// floods fills its hand, and hardly another flow has the same one (shuffle sharding). The queues share the seats as if each
// were served at the same time, a bit at each turn: `next` of a queue tells, in seat-seconds that each queue was given so far,
// when its oldest request would begin, and the queue whose request would end first is next (upstream: KEP-1040,
// util/flowcontrol/fairqueuing). Time is told by the caller; nothing here blocks, allocates for a request or takes a lock.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "knarr/base/clock.h"

namespace knarr::flow {

struct QueueLimits {
  int queues = 0;  // 0: nobody waits, who finds no seat is refused
  int hand_size = 1;
  int queue_length = 0;
  bool exempt = false;  // there is always a seat
};

class FairQueues {
 public:
  struct Queue;
  // One request, owned by its caller, who tells when it is over. At one address while it waits or runs.
  struct Entry {
    int seats = 1;

    enum class State : uint8_t { kNew, kWaiting, kRunning, kDone } state = State::kNew;
    Queue* queue = nullptr;  // null while none is needed
    Entry *before = nullptr, *after = nullptr;
    double arrival = 0;  // what each queue had been given by then
    MonoTime began{};    // to run
  };
  struct Queue {
    Entry *oldest = nullptr, *youngest = nullptr;
    int waiting = 0, running = 0;
    double work_waiting = 0;
    double next = 0;
  };
  using Started = std::vector<Entry*>;

  // Both may let some that waited begin: they are appended to `started`.
  void configure(const QueueLimits& limits, int seats, MonoTime now, Started& started);
  void finish(Entry& entry, MonoTime now, Started& started);  // one that ran, or gives up waiting

  // Whether it runs, waits, or is refused (kDone). Others may begin in its wake.
  Entry::State arrive(Entry& entry, uint64_t flow_hash, MonoTime now, Started& started);

  int waiting() const { return waiting_; }
  int running() const { return running_; }
  int seats_in_use() const { return seats_in_use_; }
  int seats_wanted() const { return seats_in_use_ + seats_waiting_; }
  int seats() const { return seats_; }
  bool idle() const { return waiting_ == 0 && running_ == 0; }
  size_t queue_count() const { return queues_.size(); }

 private:
  void advance(MonoTime now);
  Queue& deal(uint64_t flow_hash);
  bool fits(int seats) const;
  void enqueue(Entry& entry, Queue& queue);
  void unlink(Entry& entry);
  void begin(Entry& entry, MonoTime now);
  void dispatch(MonoTime now, const Entry* newcomer, Started& started);
  Queue* next_queue();
  void note_active(const Queue& queue, int by);

  QueueLimits limits_;
  int seats_ = 0;
  std::deque<Queue> queues_;  // more than wanted while those in excess drain
  double given_ = 0;          // seat-seconds that each busy queue was given
  MonoTime last_{};
  size_t robin_ = 0;  // the queue that was served last
  uint64_t dealt_ = 0;
  int waiting_ = 0, running_ = 0, seats_in_use_ = 0, seats_waiting_ = 0, active_ = 0;
};

}  // namespace knarr::flow
