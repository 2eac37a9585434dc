// What the agent knows of one pod on this node: the input of the plan and of the status, both of which are pure
// functions of it and of the Pod object.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/schema/api/core_v1.h"

namespace knarr::agent {

namespace core = api::core::v1;

// The latest run of a container, and what is remembered of the runs before.
struct ContainerView {
  enum class State { kNone, kRunning, kExited };

  State state = State::kNone;
  std::string id;           // of the latest run
  int attempt = 0;          // its number from 0: the restart count
  bool in_sandbox = false;  // it ran in the sandbox that the pod has now
  WallTime started_at{}, finished_at{};
  int exit_code = 0, signal = 0;
  std::string reason, message;                             // of the end
  std::string image;                                       // as the spec said when it started
  std::string image_id;                                    // imageID of the status
  std::optional<core::ContainerStateTerminated> previous;  // the end of the run before

  // While it runs.
  bool hook_running = false;  // its postStart hook
  bool started = false;       // the postStart hook ended and the startup probe, if any, succeeded
  bool ready = false;         // the readiness probe, if any, succeeded
  std::string must_end;       // why it has to be ended and started again: a failed probe or hook; "" when it has not
  bool stopping = false;      // its end is under way

  // Before it runs.
  std::string waiting_reason, waiting_message;  // what the last try to start it ended with
  WallTime not_before{};                        // when to try again

  milliseconds restart_delay{0};  // how long after its end the next start has to wait
  WallTime restart_counted{};     // when that was last changed
};

struct PodView {
  bool has_sandbox = false;
  bool terminating = false;             // deleted, past its deadline or evicted: nothing starts any more
  std::string end_reason, end_message;  // status.reason and message when it was not a deletion; "" when it was
  bool over = false;                    // terminal, and everything of it on the node is gone or will go
  WallTime start_time{};                // when the node accepted the pod
  std::string host_ip;
  std::vector<std::string> pod_ips;
  std::map<std::string, ContainerView> containers;  // by name, init containers too

  const ContainerView& container(const std::string& name) const {
    static const ContainerView kNever;
    auto it = containers.find(name);
    return it == containers.end() ? kNever : it->second;
  }
};

inline bool is_sidecar(const core::Container& init_container) {
  return init_container.restartPolicy && *init_container.restartPolicy == "Always";
}

inline bool has_ended(const core::Pod& pod) { return pod.status.phase == "Succeeded" || pod.status.phase == "Failed"; }

// How the container's latest run ended, as a status tells it. Times are whole seconds, as the API's.
core::ContainerStateTerminated end_of_run(const ContainerView& view);
std::optional<WallTime> whole_seconds(WallTime time);  // nothing for no time

// What the API says of a pod whose containers the runtime knows nothing of (a machine that was restarted): what ran is
// gone.
PodView view_from_status(const core::Pod& pod);

// Whether a container that ended like this is started again, by its own rules, its own policy or its pod's.
bool should_restart(const core::Container& container, const core::PodSpec& spec, bool init, int exit_code);

// The container of the spec, init or not, with this name; null when there is none.
// A container of a pod; an ephemeral one as the container that it amounts to.
class FoundContainer {
 public:
  FoundContainer() = default;
  explicit FoundContainer(const core::Container* in_spec) : in_spec_(in_spec) {}
  explicit FoundContainer(core::Container own) : own_(std::move(own)) {}
  explicit operator bool() const { return in_spec_ || own_; }
  const core::Container& operator*() const { return own_ ? *own_ : *in_spec_; }
  const core::Container* operator->() const { return &**this; }

 private:
  const core::Container* in_spec_ = nullptr;
  std::optional<core::Container> own_;
};
FoundContainer find_container(const core::PodSpec& spec, std::string_view name);
core::Container as_container(const core::EphemeralContainer& container);

}  // namespace knarr::agent
