#include "flow/ticket.h"

#include <algorithm>

namespace knarr::flow {

void WaitTimes::add(double seconds) {
  for (size_t i = kBounds.size(); i > 0 && seconds <= kBounds[i - 1]; --i) ++counts[i - 1];
  ++count;
  sum += seconds;
}

void Level::let_in(const FairQueues::Started& started, MonoTime now, Resumes& resumes) {
  for (FairQueues::Entry* entry : started) resumes.push_back(static_cast<TicketImpl*>(entry)->let_in(*this, now));
}

void TicketImpl::count_running(int by) {
  flow_->counts->running += by;
  flow_->counts->seats += by * seats;
}

void TicketImpl::refuse(Level& level, uint64_t FlowCounts::*why, MonoTime now) {
  outcome_ = Ticket::State::kRefused;
  ++(flow_->counts->*why);
  if (!flow_->exempt) flow_->counts->refused.add(seconds_between(arrived_, now));
  level.refusals.add(std::chrono::duration_cast<std::chrono::seconds>(shared_.clock->wall().time_since_epoch()).count());
  retry_after_ = level.refusals.retry_after();
}

Ticket::State TicketImpl::enter(std::function<void()> resume, milliseconds patience) {
  Level& level = *flow_->level;
  Shared& shared = shared_;
  FairQueues::Started started;
  Resumes resumes;
  Ticket::State outcome;
  MonoTime deadline;
  {
    Lock lock(level.mutex);
    const MonoTime now = arrived_ = shared.clock->mono();
    if (shared.open) {
      free_ = true;
      return outcome_ = Ticket::State::kRunning;
    }
    level.queues.arrive(*this, hash_, now, started);
    if (Entry::state == Entry::State::kWaiting && !resume) level.queues.finish(*this, now, started);
    if (Entry::state == Entry::State::kRunning) {
      outcome_ = Ticket::State::kRunning;
      ++flow_->counts->dispatched;
      if (!flow_->exempt) flow_->counts->served.add(0);
      count_running(1);
    } else if (Entry::state == Entry::State::kWaiting) {
      outcome_ = Ticket::State::kWaiting;
      resume_ = std::move(resume);
      deadline_ = now + patience;
      level.waiting.emplace(deadline_, this);
      ++flow_->counts->waiting;
    } else {
      refuse(level, flow_->hashed ? &FlowCounts::queue_full : &FlowCounts::no_seat, now);
    }
    level.demand.set(level.queues.seats_wanted(), now);
    level.let_in(started, now, resumes);
    outcome = outcome_;
    deadline = deadline_;
  }
  // From here on this may be gone, when it was made to wait.
  for (const auto& wake : resumes) wake();
  if (outcome == Ticket::State::kWaiting) shared.note_deadline(deadline);
  return outcome;
}

std::function<void()> TicketImpl::let_in(Level& level, MonoTime now, bool holds_seats) {
  outcome_ = Ticket::State::kRunning;
  free_ = !holds_seats;
  level.waiting.erase({deadline_, this});
  --flow_->counts->waiting;
  ++flow_->counts->dispatched;
  flow_->counts->served.add(seconds_between(arrived_, now));
  if (holds_seats) count_running(1);
  return std::exchange(resume_, nullptr);
}

std::function<void()> TicketImpl::time_out(Level& level, MonoTime now, FairQueues::Started& started) {
  level.waiting.erase({deadline_, this});
  --flow_->counts->waiting;
  level.queues.finish(*this, now, started);
  refuse(level, &FlowCounts::timed_out, now);
  return std::exchange(resume_, nullptr);
}

TicketImpl::~TicketImpl() {
  if (Entry::state == Entry::State::kNew || free_) return;
  Level& level = *flow_->level;
  FairQueues::Started started;
  Resumes resumes;
  {
    Lock lock(level.mutex);
    if (Entry::state == Entry::State::kDone) return;
    const MonoTime now = shared_.clock->mono();
    if (Entry::state == Entry::State::kRunning) {
      count_running(-1);
    } else {
      level.waiting.erase({deadline_, this});
      --flow_->counts->waiting;
    }
    level.queues.finish(*this, now, started);
    level.demand.set(level.queues.seats_wanted(), now);
    level.let_in(started, now, resumes);
  }
  for (const auto& wake : resumes) wake();
}

}  // namespace knarr::flow
