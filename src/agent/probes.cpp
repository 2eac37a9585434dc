#include "agent/probes.h"

namespace knarr::agent {

std::string_view to_string(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kStartup:
      return "Startup";
    case ProbeKind::kLiveness:
      return "Liveness";
    case ProbeKind::kReadiness:
      return "Readiness";
  }
  return "";
}

std::optional<bool> ProbeCounter::feed(bool success) {
  run_ = run_ > 0 && last_ == success ? run_ + 1 : 1;
  last_ = success;
  if (run_ < needed_[success]) return {};
  return success;
}

namespace {
// A server that was just started does not listen yet: it is asked again soon, without that counting as a failure, so
// that a pod is ready when it is and not a period later. 50 ms, doubled, as long as that is less than half a period.
constexpr milliseconds kFirstLook{50};
constexpr seconds kYoung{10};  // not for a container that an earlier agent started
}  // namespace

struct Probes::Worker {
  HandlerTarget target;
  core::Container container;
  MonoTime began;  // of the container, for initialDelaySeconds
  Mutex mutex;
  bool stopped KNARR_GUARDED_BY(mutex) = false;
  bool ending KNARR_GUARDED_BY(mutex) = false;
  std::map<ProbeKind, client::Timers::Id> timers KNARR_GUARDED_BY(mutex);
  std::map<ProbeKind, ProbeCounter> counters KNARR_GUARDED_BY(mutex);
  // After what time to look again early; 0: the time for that is over.
  std::map<ProbeKind, milliseconds> early_look KNARR_GUARDED_BY(mutex);

  // How long to wait before an early look after this result; nothing when it counts.
  std::optional<milliseconds> look_again(ProbeKind kind, bool success) KNARR_REQUIRES(mutex) {
    milliseconds& wait = early_look.try_emplace(kind, kFirstLook).first->second;
    const core::Probe& p = *probe(kind);
    bool asks_a_server = p.httpGet || p.tcpSocket;
    bool young = Clock::system().mono() - began < kYoung + seconds(p.initialDelaySeconds);
    if (success || kind == ProbeKind::kLiveness || !asks_a_server || !young ||
        wait * 2 > seconds(std::max(p.periodSeconds, 1))) {
      wait = milliseconds(0);
    }
    if (wait == milliseconds(0)) return {};
    return std::exchange(wait, wait * 2);
  }

  const core::Probe* probe(ProbeKind kind) const {
    const auto& box = kind == ProbeKind::kStartup    ? container.startupProbe
                      : kind == ProbeKind::kLiveness ? container.livenessProbe
                                                     : container.readinessProbe;
    return box ? &*box : nullptr;
  }
};

void Probes::start(const HandlerTarget& target, const core::Container& container, WallTime began, WallTime now,
                   bool started) {
  if (!container.startupProbe && !container.livenessProbe && !container.readinessProbe) return;
  auto worker = std::make_shared<Worker>();
  worker->target = target;
  worker->container = container;
  worker->began = Clock::system().mono() - (now - began);
  {
    Lock lock(mutex_);
    auto& place = workers_[target.container_id];
    if (place) return;
    place = worker;
  }
  if (container.startupProbe && !started) {
    begin(worker, ProbeKind::kStartup, milliseconds(0));
    return;
  }
  begin(worker, ProbeKind::kLiveness, milliseconds(0));
  begin(worker, ProbeKind::kReadiness, milliseconds(0));
}

void Probes::stop(const std::string& container_id) {
  std::shared_ptr<Worker> worker;
  {
    Lock lock(mutex_);
    auto it = workers_.find(container_id);
    if (it == workers_.end()) return;
    worker = std::move(it->second);
    workers_.erase(it);
  }
  std::map<ProbeKind, client::Timers::Id> timers;
  {
    Lock lock(worker->mutex);
    worker->stopped = true;
    timers.swap(worker->timers);
  }
  for (auto& [kind, timer] : timers) timers_.cancel(timer);
}

void Probes::ending(const std::string& container_id) {
  std::shared_ptr<Worker> worker;
  {
    Lock lock(mutex_);
    auto it = workers_.find(container_id);
    if (it == workers_.end()) return;
    worker = it->second;
  }
  std::vector<client::Timers::Id> timers;
  {
    Lock lock(worker->mutex);
    worker->ending = true;
    for (ProbeKind kind : {ProbeKind::kStartup, ProbeKind::kLiveness}) {
      if (auto timer = worker->timers.extract(kind)) timers.push_back(timer.mapped());
    }
  }
  for (auto timer : timers) timers_.cancel(timer);
}

void Probes::stop_all() {
  while (true) {
    std::string id;
    {
      Lock lock(mutex_);
      if (workers_.empty()) return;
      id = workers_.begin()->first;
    }
    stop(id);
  }
}

// The first run comes `initialDelaySeconds` after the container's start, and at once when that is over.
void Probes::begin(const std::shared_ptr<Worker>& worker, ProbeKind kind, milliseconds after) {
  const core::Probe* probe = worker->probe(kind);
  if (!probe) return;
  {
    Lock lock(worker->mutex);
    worker->counters.insert_or_assign(
        kind, ProbeCounter(std::max(probe->successThreshold, 1), std::max(probe->failureThreshold, 1)));
  }
  auto due = worker->began + seconds(probe->initialDelaySeconds) - Clock::system().mono();
  arm(worker, kind, std::max(after, std::chrono::ceil<milliseconds>(due)));
}

void Probes::arm(const std::shared_ptr<Worker>& worker, ProbeKind kind, milliseconds after) {
  Lock lock(worker->mutex);
  if (worker->stopped || (worker->ending && kind != ProbeKind::kReadiness)) return;
  worker->timers[kind] = timers_.run_after(std::max(after, milliseconds(0)), [this, worker, kind] {
    tasks_.submit([this, worker, kind] { run(worker, kind); });
  });
}

void Probes::run(const std::shared_ptr<Worker>& worker, ProbeKind kind) {
  const core::Probe* probe = worker->probe(kind);
  MonoTime begin_time = Clock::system().mono();
  HandlerResult handled =
      handlers_.run(worker->target, *probe, worker->container, seconds(std::max(probe->timeoutSeconds, 1)));
  Result result{worker->target.pod_id,
                worker->container.name,
                worker->target.container_id,
                kind,
                handled.success,
                handled.output,
                false};
  std::optional<milliseconds> again;
  {
    Lock lock(worker->mutex);
    if (worker->stopped || (worker->ending && kind != ProbeKind::kReadiness)) return;
    again = worker->look_again(kind, handled.success);
    if (!again) result.decided = worker->counters.at(kind).feed(handled.success).has_value();
  }
  if (again) return arm(worker, kind, *again);
  if (result.decided || !result.success) report_(result);
  if (kind == ProbeKind::kStartup && result.decided && result.success) {
    begin(worker, ProbeKind::kLiveness, milliseconds(0));
    begin(worker, ProbeKind::kReadiness, milliseconds(0));
    return;
  }
  if (kind != ProbeKind::kReadiness && result.decided && !result.success) return;  // the container is ended for it
  auto took = std::chrono::duration_cast<milliseconds>(Clock::system().mono() - begin_time);
  arm(worker, kind, seconds(std::max(probe->periodSeconds, 1)) - took);
}

}  // namespace knarr::agent
