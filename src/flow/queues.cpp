#include "flow/queues.h"

#include <algorithm>
#include <array>
#include <limits>

#include "flow/seats.h"

namespace knarr::flow {

namespace {

constexpr double kEstimatedSeconds = 0.003;  // of a request's service, until it is known
constexpr size_t kMaxHand = 15;              // no more fit into the hash's bits
constexpr int kMaxQueues = 8192;             // further ones would tell flows apart no better, and each costs memory

double work_of(const FairQueues::Entry& entry) { return entry.seats * kEstimatedSeconds; }

// A service cannot begin before the request is there: a queue that did not use its part has not saved it up.
void bound(FairQueues::Queue& queue) {
  if (queue.oldest) queue.next = std::max(queue.next, queue.oldest->arrival);
}

}  // namespace

void FairQueues::configure(const QueueLimits& limits, int seats, MonoTime now, Started& started) {
  advance(now);
  limits_ = limits;
  limits_.queues = std::clamp(limits.queues, 0, kMaxQueues);
  seats_ = seats;
  while (static_cast<int>(queues_.size()) < limits_.queues) queues_.emplace_back();
  while (static_cast<int>(queues_.size()) > limits_.queues && queues_.back().waiting + queues_.back().running == 0)
    queues_.pop_back();
  if (robin_ >= queues_.size()) robin_ = 0;
  dispatch(now, nullptr, started);
}

// Since the last time each queue with requests was given the same part of the seats that could be used.
void FairQueues::advance(MonoTime now) {
  if (active_ > 0 && now > last_)
    given_ += std::min(seats_in_use_ + seats_waiting_, seats_) * seconds_between(last_, now) / active_;
  last_ = std::max(last_, now);
}

// The cards of the hand are the digits of the hash, each in a base that is one less than the one before, and count what is
// left of the deck. Where the look at them begins moves on, so that flows with common queues do not all prefer the same.
FairQueues::Queue& FairQueues::deal(uint64_t flow_hash) {
  const size_t deck = static_cast<size_t>(limits_.queues);
  const size_t size = std::min({static_cast<size_t>(std::max(limits_.hand_size, 1)), deck, kMaxHand});
  std::array<size_t, kMaxHand> left, hand;
  for (size_t i = 0; i < size; ++i) {
    left[i] = flow_hash % (deck - i);
    flow_hash /= deck - i;
    hand[i] = left[i];
    for (size_t j = i; j > 0; --j)
      if (hand[i] >= left[j - 1]) ++hand[i];
  }
  const size_t first = dealt_++ % size;
  Queue* best = nullptr;
  for (size_t i = 0; i < size; ++i) {
    Queue& queue = queues_[hand[(first + i) % size]];
    if (!best || queue.work_waiting < best->work_waiting) best = &queue;
  }
  return *best;
}

bool FairQueues::fits(int seats) const {
  if (limits_.exempt) return true;
  if (seats > seats_) return running_ == 0;  // never would it otherwise
  return seats_in_use_ + seats <= seats_;
}

FairQueues::Entry::State FairQueues::arrive(Entry& entry, uint64_t flow_hash, MonoTime now, Started& started) {
  advance(now);
  entry.arrival = given_;
  if (limits_.exempt || limits_.queues <= 0) {
    if (!fits(entry.seats)) return entry.state = Entry::State::kDone;
    begin(entry, now);
    return entry.state;
  }
  Queue& queue = deal(flow_hash);
  if (seats_in_use_ >= seats_ && queue.waiting >= limits_.queue_length) return entry.state = Entry::State::kDone;
  enqueue(entry, queue);
  if (waiting_ == 1 && seats_in_use_ < seats_ && fits(entry.seats)) {  // nobody to choose from
    unlink(entry);
    begin(entry, now);
  } else {
    dispatch(now, &entry, started);
  }
  return entry.state;
}

void FairQueues::note_active(const Queue& queue, int by) {
  if (queue.waiting + queue.running == 0) active_ += by;
}

void FairQueues::enqueue(Entry& entry, Queue& queue) {
  if (queue.waiting + queue.running == 0) queue.next = given_;
  note_active(queue, 1);
  entry.state = Entry::State::kWaiting;
  entry.queue = &queue;
  entry.before = queue.youngest;
  entry.after = nullptr;
  (queue.youngest ? queue.youngest->after : queue.oldest) = &entry;
  queue.youngest = &entry;
  ++queue.waiting;
  queue.work_waiting += work_of(entry);
  ++waiting_;
  seats_waiting_ += entry.seats;
  bound(queue);
}

void FairQueues::unlink(Entry& entry) {
  Queue& queue = *entry.queue;
  (entry.before ? entry.before->after : queue.oldest) = entry.after;
  (entry.after ? entry.after->before : queue.youngest) = entry.before;
  --queue.waiting;
  queue.work_waiting = queue.waiting == 0 ? 0 : queue.work_waiting - work_of(entry);
  --waiting_;
  seats_waiting_ -= entry.seats;
  note_active(queue, -1);
}

void FairQueues::begin(Entry& entry, MonoTime now) {
  entry.state = Entry::State::kRunning;
  entry.began = now;
  ++running_;
  seats_in_use_ += entry.seats;
  Queue* queue = entry.queue;
  if (!queue) return;
  note_active(*queue, 1);
  ++queue->running;
  queue->next += work_of(entry);
  bound(*queue);
}

FairQueues::Queue* FairQueues::next_queue() {
  Queue* best = nullptr;
  size_t best_index = 0;
  double soonest = std::numeric_limits<double>::infinity();
  for (size_t i = 1; i <= queues_.size(); ++i) {
    const size_t index = (robin_ + i) % queues_.size();
    Queue& queue = queues_[index];
    if (!queue.oldest) continue;
    const double end = queue.next + work_of(*queue.oldest);
    if (end >= soonest) continue;
    soonest = end;
    best = &queue;
    best_index = index;
  }
  // A wide one that does not fit yet keeps its turn: the seats that become free gather for it.
  if (!best || !fits(best->oldest->seats)) return nullptr;
  robin_ = best_index;
  return best;
}

void FairQueues::dispatch(MonoTime now, const Entry* newcomer, Started& started) {
  while (waiting_ > 0 && seats_in_use_ < seats_) {
    Queue* queue = next_queue();
    if (!queue) return;
    Entry& entry = *queue->oldest;
    unlink(entry);
    begin(entry, now);
    if (&entry != newcomer) started.push_back(&entry);
  }
}

void FairQueues::finish(Entry& entry, MonoTime now, Started& started) {
  advance(now);
  if (entry.state == Entry::State::kWaiting) {
    unlink(entry);
    bound(*entry.queue);
  } else if (entry.state == Entry::State::kRunning) {
    --running_;
    seats_in_use_ -= entry.seats;
    if (Queue* queue = entry.queue) {
      --queue->running;
      // What it took in place of what was reckoned.
      queue->next += entry.seats * (seconds_between(entry.began, now) - kEstimatedSeconds);
      bound(*queue);
      note_active(*queue, -1);
    }
  } else {
    return;
  }
  entry.state = Entry::State::kDone;
  dispatch(now, nullptr, started);
}

}  // namespace knarr::flow
