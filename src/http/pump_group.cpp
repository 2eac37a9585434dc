// Watches that are streams of HTTP/2: those of one connection are asked in a row, and what they gave goes out together.
#include <cstddef>

#include "http/pump_watch.h"

namespace knarr::http {

namespace {

constexpr size_t kBatch = 64 << 10;  // what is gathered before it is sent

}  // namespace

bool PumpLane::add_to_group(Watch& watch, std::shared_ptr<Http2Session> session) {
  std::unique_ptr<Group>& group = groups_[session.get()];
  if (!group) {
    group = std::make_unique<Group>();
    group->session = std::move(session);
  }
  watch.group = group.get();
  ++group->watches;
  return group->session->is_open(watch.stream);
}

void PumpLane::take_heard(std::vector<News>& heard) {
  for (const News& news : heard) {
    for (uint64_t id : news.gone)
      if (const auto found = watches_.find(id); found != watches_.end()) close(*found->second);
    for (uint64_t id : news.roomy) {
      const auto found = watches_.find(id);
      if (found == watches_.end()) continue;
      found->second->blocked = false;
      if (found->second->woken) enqueue(*found->second);
    }
    const auto group = news.room ? groups_.find(news.room) : groups_.end();
    if (group == groups_.end()) continue;
    group->second->full = false;
    if (!group->second->ready.empty()) queue_group(*group->second);
  }
}

void PumpLane::queue_group(Group& group) {
  if (group.full || std::exchange(group.queued, true)) return;
  ready_groups_.push_back(&group);
}

void PumpLane::pump_group(Group& group) {
  group.queued = false;
  std::vector<Watch*> ready;
  ready.swap(group.ready);
  size_t next = 0;
  while (next < ready.size() && !group.full) {
    next = ask(group, ready, next);
    deliver(group);
  }
  group.ready.insert(group.ready.end(), ready.begin() + static_cast<std::ptrdiff_t>(next), ready.end());
  if (!group.ready.empty()) queue_group(group);
  trim_scratch();
}

// Asks sources from ready[next] on until there is enough to send; tells where it stopped.
size_t PumpLane::ask(Group& group, const std::vector<Watch*>& ready, size_t next) {
  scratch_.clear();
  parts_.clear();
  asked_.clear();
  while (next < ready.size() && scratch_.size() < kBatch) {
    Watch& watch = *ready[next++];
    if (next + 1 < ready.size()) prefetch(*ready[next + 1], *ready[next]);
    watch.queued = false;
    if (watch.closed) continue;
    const size_t begin = scratch_.size();
    bool failed = false;
    const PumpSource::More more = ask_source(watch, failed);
    if (failed) {
      scratch_.resize(begin);
      group.session->finish(watch.stream, false);
      close(watch);
      continue;
    }
    watch.woken = more == PumpSource::More::kAgain;
    watch.ended = more == PumpSource::More::kEnd;
    if (!watch.ended) note_deadline(watch);
    if (scratch_.size() == begin && !watch.ended) {
      if (watch.woken) enqueue(watch);
      continue;
    }
    parts_.push_back({watch.stream, begin, scratch_.size(), watch.ended});
    asked_.push_back(&watch);
  }
  return next;
}

void PumpLane::deliver(Group& group) {
  if (parts_.empty()) return;
  group.full = group.session->deliver(parts_, scratch_);
  for (size_t i = 0; i < parts_.size(); ++i) {
    Watch& watch = *asked_[i];
    if (parts_[i].state == Http2Session::Part::State::kGone || watch.ended) {
      close(watch);
    } else if (parts_[i].state == Http2Session::Part::State::kFull) {
      watch.blocked = true;
    } else if (watch.woken) {
      enqueue(watch);
    }
  }
}

// Groups without watches; what still names them is closed.
void PumpLane::forget_groups() {
  empty_groups_ = false;
  std::erase_if(ready_groups_, [](const Group* group) { return group->watches == 0; });
  std::erase_if(groups_, [](const auto& entry) {
    Group& group = *entry.second;
    if (group.watches > 0) return false;
    for (Watch* watch : group.ready) watch->queued = false;
    return true;
  });
}

}  // namespace knarr::http
