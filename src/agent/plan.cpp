#include "agent/plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace knarr::agent {

namespace {

using State = ContainerView::State;

constexpr milliseconds kFirstDelay{10'000}, kLongestDelay{300'000};

class Planner {
 public:
  Planner(const core::Pod& pod, const PodView& view, WallTime now)
      : pod_(pod), spec_(pod.spec), view_(view), now_(now) {}

  Plan run() {
    if (view_.terminating || has_ended(pod_) || view_.over) {
      stop_all();
    } else if (deadline_is_over()) {
      plan_.past_deadline = true;
    } else {
      keep_running();
    }
    return std::move(plan_);
  }

 private:
  static bool runs(const ContainerView& container) { return container.state == State::kRunning; }

  void wake_at(WallTime time) {
    if (!plan_.wake || time < *plan_.wake) plan_.wake = time;
  }

  bool deadline_is_over() {
    if (!spec_.activeDeadlineSeconds || view_.start_time == WallTime{}) return false;
    WallTime deadline = view_.start_time + seconds(*spec_.activeDeadlineSeconds);
    if (deadline > now_) wake_at(deadline);
    return deadline <= now_;
  }

  // Regular containers first and all at once; then the sidecars, the last one first, each when those behind it have
  // ended.
  void stop_all() {
    bool running = false;
    auto stop = [&](const auto& container) {
      if (!runs(view_.container(container.name))) return;
      running = true;
      plan_.stop.push_back({container.name, fmt::format("Stopping container {}", container.name)});
    };
    for (const auto& container : spec_.containers) stop(container);
    for (const auto& container : spec_.ephemeralContainers) stop(container);
    for (const auto& container : spec_.initContainers) {
      if (!is_sidecar(container)) stop(container);
    }
    for (auto it = spec_.initContainers.rbegin(); it != spec_.initContainers.rend() && !running; ++it) stop(*it);
    plan_.remove_sandbox = !running && view_.has_sandbox;
  }

  void keep_running() {
    if (!view_.has_sandbox) {
      plan_.create_sandbox = anything_to_start();
      if (!plan_.create_sandbox) stop_all();
      return;
    }
    for (const auto& container : spec_.ephemeralContainers) {  // once, beside whatever else the pod does
      const ContainerView& view = view_.container(container.name);
      if (view.state == State::kNone && !nothing_left()) start(container.name, view);
    }
    // In the sandbox that a restart made, init containers run again; once a regular container ran in it, they are done.
    bool initialized = init_done();
    bool go_on = true;
    for (const auto& container : spec_.initContainers) {
      if (is_sidecar(container)) {
        keep_container(container, true);
        const ContainerView& sidecar = view_.container(container.name);
        if (!initialized && !(runs(sidecar) && sidecar.started)) go_on = false;
      } else if (!initialized) {
        go_on = run_init(container);
      }
      if (!go_on) return;
    }
    for (const auto& container : spec_.containers) {
      keep_container(container, false);
      if (view_.container(container.name).hook_running)
        break;  // the next one starts when this one's postStart hook is done
    }
    if (nothing_left()) stop_all();
  }

  bool init_done() const {
    return std::any_of(spec_.containers.begin(), spec_.containers.end(),
                       [&](const core::Container& c) { return view_.container(c.name).in_sandbox; });
  }

  // True when the init container has done its work and the next may come.
  bool run_init(const core::Container& container) {
    const ContainerView& view = view_.container(container.name);
    if (runs(view)) {
      end_if_needed(container, view);
      return false;
    }
    if (view.state == State::kNone || !view.in_sandbox) {
      start(container.name, view);
      return false;
    }
    if (view.exit_code == 0) return true;
    if (should_restart(container, spec_, true, view.exit_code)) {
      start_after_backoff(container, view);
    } else {
      stop_all();  // the pod failed: what sidecars there are go too
    }
    return false;
  }

  void keep_container(const core::Container& container, bool init) {
    const ContainerView& view = view_.container(container.name);
    if (runs(view)) {
      end_if_needed(container, view);
    } else if (view.state == State::kNone) {
      start(container.name, view);
    } else if (should_restart(container, spec_, init, view.exit_code)) {
      start_after_backoff(container, view);
    }
  }

  void end_if_needed(const core::Container& container, const ContainerView& view) {
    if (!view.must_end.empty()) {
      plan_.stop.push_back({container.name, view.must_end});
    } else if (!view.image.empty() && view.image != container.image) {
      plan_.stop.push_back(
          {container.name, fmt::format("Container {} definition changed, will be restarted", container.name)});
    }
  }

  void start(const std::string& name, const ContainerView& view) {
    if (view.not_before > now_) {  // the last try failed before there was a process
      wake_at(view.not_before);
      return;
    }
    plan_.start.push_back(name);
  }

  void start_after_backoff(const core::Container& container, const ContainerView& view) {
    WallTime due = view.finished_at + view.restart_delay;
    if (view.restart_delay.count() == 0 || due <= now_) return start(container.name, view);
    wake_at(due);
    plan_.waiting.push_back(
        {container.name, "CrashLoopBackOff",
         fmt::format("back-off {} restarting failed container={} pod={}_{}({})", delay_text(view.restart_delay),
                     container.name, pod_.metadata.name, pod_.metadata.namespace_, pod_.metadata.uid)});
  }

  static std::string delay_text(milliseconds delay) {
    auto whole = std::chrono::duration_cast<seconds>(delay).count();
    return whole < 60 ? fmt::format("{}s", whole) : fmt::format("{}m{}s", whole / 60, whole % 60);
  }

  bool anything_to_start() const {
    for (const auto& container : spec_.initContainers) {
      const ContainerView& view = view_.container(container.name);
      bool failed = view.state == State::kExited && view.exit_code != 0;
      if (!is_sidecar(container) && failed && !should_restart(container, spec_, true, view.exit_code)) return false;
    }
    for (const auto& container : spec_.containers) {
      const ContainerView& view = view_.container(container.name);
      if (view.state != State::kExited || should_restart(container, spec_, false, view.exit_code)) return true;
    }
    return false;
  }

  // All regular containers ended for good: the sidecars have nobody to serve.
  bool nothing_left() const {
    return std::all_of(spec_.containers.begin(), spec_.containers.end(), [&](const core::Container& c) {
      const ContainerView& view = view_.container(c.name);
      return view.state == State::kExited && !should_restart(c, spec_, false, view.exit_code);
    });
  }

  const core::Pod& pod_;
  const core::PodSpec& spec_;
  const PodView& view_;
  const WallTime now_;
  Plan plan_;
};

}  // namespace

Plan make_plan(const core::Pod& pod, const PodView& view, WallTime now) { return Planner(pod, view, now).run(); }

milliseconds next_restart_delay(milliseconds current, WallTime counted, WallTime now) {
  if (current.count() == 0 || now - counted > 2 * kLongestDelay) return kFirstDelay;
  return std::min(current * 2, kLongestDelay);
}

}  // namespace knarr::agent
