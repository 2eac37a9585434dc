// Startup, liveness and readiness probes of the containers that run here. Between two probes a container costs a timer
// and no thread. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/handlers.h"
#include "agent/tasks.h"
#include "knarr/base/sync.h"
#include "knarr/client/timers.h"

namespace knarr::agent {

enum class ProbeKind { kStartup, kLiveness, kReadiness };
std::string_view to_string(ProbeKind kind);  // Startup, Liveness, Readiness

// Counts results against a probe's thresholds.
class ProbeCounter {
 public:
  ProbeCounter(int successes_needed, int failures_needed) : needed_{failures_needed, successes_needed} {}
  // The verdict, when this result made enough of its kind in a row.
  std::optional<bool> feed(bool success);

 private:
  int needed_[2];  // by success
  bool last_ = false;
  int run_ = 0;
};

class Probes {
 public:
  struct Result {
    std::string pod_id, container, container_id;
    ProbeKind kind;
    bool success;
    std::string output;
    bool decided;  // the thresholds say so: the verdict is `success`
  };
  // Called on a thread of `tasks` after each probe that failed and each that decided.
  using Report = std::function<void(const Result& result)>;

  Probes(client::Timers& timers, Tasks& tasks, Handlers& handlers, Report report)
      : timers_(timers), tasks_(tasks), handlers_(handlers), report_(std::move(report)) {}
  ~Probes() { stop_all(); }  // `tasks` is stopped before this

  // `container` began to run as `target`: its startup probe, and when that succeeded (or `started`, or it has none) the
  // others.
  void start(const HandlerTarget& target, const core::Container& container, WallTime began, WallTime now, bool started);
  void stop(const std::string& container_id);
  // The container is being ended: nothing is to end it again, but whether it is ready stays of interest until it has.
  void ending(const std::string& container_id);
  void stop_all();

 private:
  struct Worker;
  void begin(const std::shared_ptr<Worker>& worker, ProbeKind kind, milliseconds after);
  void arm(const std::shared_ptr<Worker>& worker, ProbeKind kind, milliseconds after);
  void run(const std::shared_ptr<Worker>& worker, ProbeKind kind);

  client::Timers& timers_;
  Tasks& tasks_;
  Handlers& handlers_;
  const Report report_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Worker>> workers_ KNARR_GUARDED_BY(mutex_);  // by container id
};

}  // namespace knarr::agent
