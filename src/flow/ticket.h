// One request's way through its priority level.
#pragma once

#include "flow/level.h"

namespace knarr::flow {

// What tickets need of the whole.
struct Shared {
  const Clock* clock;
  std::atomic<bool> open{false};
  std::function<void(MonoTime)> note_deadline;  // somebody waits no longer than until then
};

class TicketImpl final : public Ticket, public FairQueues::Entry {
 public:
  TicketImpl(Shared& shared, std::shared_ptr<const Flow> flow, uint64_t hash, int width)
      : shared_(shared), flow_(std::move(flow)), hash_(hash) {
    seats = width;
    if (!flow_->exempt) lane_ = static_cast<uint32_t>(hash_) | 1;
  }
  ~TicketImpl() override;

  Ticket::State enter(std::function<void()> resume, milliseconds patience) override;
  Ticket::State state() const override { return outcome_; }
  const std::string& schema_uid() const override { return flow_->uid; }
  const std::string& level_uid() const override { return flow_->level_uid; }
  uint32_t lane() const override { return lane_; }
  int retry_after() const override { return retry_after_; }

  // Of one that waits at its level; both answer what wakes it.
  std::function<void()> let_in(Level& level, MonoTime now, bool holds_seats = true) KNARR_REQUIRES(level.mutex);
  std::function<void()> time_out(Level& level, MonoTime now, FairQueues::Started& started) KNARR_REQUIRES(level.mutex);

 private:
  void count_running(int by);
  void refuse(Level& level, uint64_t FlowCounts::*why, MonoTime now) KNARR_REQUIRES(level.mutex);

  Shared& shared_;
  const std::shared_ptr<const Flow> flow_;
  const uint64_t hash_;
  Ticket::State outcome_ = Ticket::State::kRefused;
  bool free_ = false;  // runs without seats
  MonoTime arrived_{}, deadline_{};
  std::function<void()> resume_;
  uint32_t lane_ = 0;
  int retry_after_ = 1;
};

}  // namespace knarr::flow
