// The pods of this node: follows what the API wants, what the runtime tells and what probes say, plans, carries the
// plan out, and tells the API how they are.
//
// Every cause only puts a pod's uid into a queue; a small number of workers work on one pod at a time each. An Entry is
// what is known of a pod, guarded by one mutex that nobody holds while something blocks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/handlers.h"
#include "agent/image_puller.h"
#include "agent/plan.h"
#include "agent/probes.h"
#include "agent/sources.h"
#include "agent/tasks.h"
#include "agent/volumes.h"
#include "knarr/client/events.h"
#include "knarr/client/informer.h"
#include "knarr/client/timers.h"
#include "knarr/client/workqueue.h"
#include "knarr/image/image.h"
#include "knarr/network/network.h"
#include "knarr/runtime/runtime.h"

namespace knarr::agent {

// What the pods are run with: the seams of the agent. All outlive Pods.
struct PodServices {
  std::string data_dir, node_name;
  std::function<std::string()> node_ip;
  std::string api_host, api_port;  // where pods reach the API server
  runtime::Runtime* runtime = nullptr;
  image::ImageStore* images = nullptr;
  Handlers* handlers = nullptr;
  Sources* sources = nullptr;
  std::shared_ptr<client::Transport> transport;
  std::shared_ptr<client::EventRecorder> events;
  const Clock* clock = &Clock::system();
  client::Timers* timers = &client::Timers::shared();
  std::function<network::PodNetwork*()> network;  // null until the node has its pod CIDR
  std::function<std::map<std::string, std::string>()> node_allocatable;
  int64_t node_memory_bytes = 0;
  int64_t pod_max_pids = 0;  // 0: no limit
};

// A container as the node API looks for it.
struct ContainerLocation {
  std::string pod_uid, container_id;
  int attempt = 0;
  bool running = false, started_once = false;
  std::string log_path;           // of the latest run
  std::string previous_log_path;  // "" when there was none
  std::string waiting_reason;     // why it has not run yet
  bool tty = false, stdin_open = false;
};

class Pods {
 public:
  explicit Pods(PodServices services);
  ~Pods();

  // Before start(): pods of earlier agents. They are matched with the API's by uid when those are known.
  void adopt(std::vector<runtime::PodSandboxStatus> found);
  void start(std::shared_ptr<client::Informer<core::Pod>> informer);
  // The informer has synced: what runs but is not in the API goes.
  void remove_unknown();
  // The pod network came up: pods that waited for it go on.
  void retry_all();
  // The node has another address: pods tell it.
  void node_moved();
  // Ends all pods with grace periods of at most `limit`, without telling the API; answers when nothing runs or the time
  // is over.
  void drain(seconds limit);
  // False when a pull, a hook or a probe still runs after a while: then this has to stay where it is until the process
  // ends.
  bool stop();
  // Moves logs that grew beyond 10 MiB aside (the last five of each container are kept); called now and then.
  void rotate_logs();

  // From the runtime's event thread.
  void on_container(const std::string& pod_id, const runtime::ContainerStatus& status);
  void on_sandbox_lost(const std::string& pod_id);

  // For the node API and the node's status.
  Result<ContainerLocation> locate(std::string_view ns, std::string_view pod, std::string_view container,
                                   std::string_view uid);
  Result<std::string> locate_pod(std::string_view ns, std::string_view pod);  // its uid; an error when it does not run
  std::vector<std::shared_ptr<const core::Pod>> list();
  std::vector<std::string> images_in_use();
  // Called when the container's state changes after this, until cancelled: for log streams that end with it. Must not
  // block.
  uint64_t watch_ends(std::function<void(const std::string& container_id)> callback);
  void unwatch_ends(uint64_t id);
  std::optional<bool> is_running(const std::string& pod_uid, const std::string& container_id);

 private:
  struct StopState {
    MonoTime deadline;
    seconds grace;
    client::Timers::Id timer = 0;
  };
  struct Entry {
    std::shared_ptr<const core::Pod> pod;  // the newest that is known
    bool in_api = true;
    PodView view;
    VolumePaths volumes;
    bool has_volumes = false;
    WallTime retry_sandbox{};  // not before, after a failure
    milliseconds retry_delay{0};
    std::map<std::string, StopState> stops;  // by container
    std::set<std::string> unread_ends;       // containers whose termination message is still to be read
    bool sandbox_gone = false;               // nothing of the pod is left on the node
    bool deleted = false;                    // the API was asked to delete it
  };
  using PodPtr = std::shared_ptr<const core::Pod>;
  enum class Step { kDone, kAgain };

  // pods.cpp, pods_node.cpp
  const Entry* find(std::string_view ns, std::string_view pod, std::string_view uid) const KNARR_REQUIRES(mutex_);
  void on_pod(const PodPtr& pod);
  void on_pod_removed(const PodPtr& pod);
  void adopt_into(Entry& entry, const runtime::PodSandboxStatus& sandbox) KNARR_REQUIRES(mutex_);
  void start_probes(const core::Pod& pod, const PodView& view);
  Status sync(const std::string& uid);
  Step sync_once(const std::string& uid);
  void apply_waiting(const PodPtr& pod, const Plan& plan);
  void forget(const std::string& uid);
  void wake(const std::string& uid) { queue_.add(uid); }
  // Calls action(Entry&) with the lock held; false when the pod is not known.
  template <typename F>
  bool with_entry(const std::string& uid, F action) {
    Lock lock(mutex_);
    auto it = entries_.find(uid);
    if (it == entries_.end()) return false;
    action(it->second);
    return true;
  }
  void event(const core::Pod& pod, const std::string& container, std::string_view type, std::string_view reason,
             std::string_view message) const;
  void on_probe(const Probes::Result& result);

  // pod_report.cpp
  Status report(const std::string& uid);
  Status finish_deletion(const std::string& uid, const core::Pod& pod);

  // pod_actions.cpp
  PodFacts facts(const core::Pod& pod, const PodView& view) const;
  bool make_sandbox(const PodPtr& pod, const PodView& view);
  Result<std::vector<std::string>> make_network(const core::Pod& pod);
  void sandbox_failed(const PodPtr& pod, std::string_view reason, const Status& status);
  bool start_container(const PodPtr& pod, const PodView& view, const std::string& name);
  Result<runtime::ContainerSpec> container_spec(const core::Pod& pod, const PodView& view,
                                                const core::Container& container, const image::Image& image,
                                                const std::string& id, int attempt);
  void start_failed(const PodPtr& pod, const std::string& container, std::string reason, std::string message,
                    milliseconds retry, std::string_view event_reason);
  void container_started(const PodPtr& pod, const core::Container& container, const image::Image& image,
                         const runtime::ContainerStatus& status);
  void run_post_start(const PodPtr& pod, const core::Container& container, const HandlerTarget& target);
  void stop_container(const PodPtr& pod, const PodView& view, const Plan::Stop& stop);
  seconds grace_of(const core::Pod& pod, const PodView& view, const core::Container& container) const;
  void end_container(const PodPtr& pod, const core::Container& container, const HandlerTarget& target, seconds grace);
  bool remove_sandbox(const std::string& uid, const core::Pod& pod);
  void weigh_burstable();
  void read_ends(const std::string& uid, const core::Pod& pod);
  std::string termination_message(const core::Pod& pod, const core::Container& container,
                                  const ContainerView& view) const;
  void refresh_volumes();
  void refresh_volumes_of(const core::Pod& pod, const PodView& view);

  std::string pod_directory(const std::string& uid) const { return services_.data_dir + "/pods/" + uid; }
  std::string log_directory(const core::Pod& pod) const;
  std::string log_path(const core::Pod& pod, const std::string& container, int attempt) const;
  std::string termination_path(const core::Pod& pod, const std::string& container, const std::string& id) const;

  const PodServices services_;
  const client::Typed<core::Pod> api_;
  std::shared_ptr<client::Informer<core::Pod>> informer_;

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, Entry> entries_ KNARR_GUARDED_BY(mutex_);                      // by uid
  std::map<std::string, runtime::PodSandboxStatus> adopted_ KNARR_GUARDED_BY(mutex_);  // not matched yet
  std::map<uint64_t, std::function<void(const std::string&)>> end_watchers_ KNARR_GUARDED_BY(mutex_);
  uint64_t next_watcher_ KNARR_GUARDED_BY(mutex_) = 1;
  int64_t burstable_milli_ KNARR_GUARDED_BY(mutex_) = 0;  // as the kernel was last told
  bool draining_ KNARR_GUARDED_BY(mutex_) = false;
  seconds drain_grace_ KNARR_GUARDED_BY(mutex_){0};
  Mutex refresh_mutex_;  // one refresh at a time
  client::Timers::Id refresh_timer_ KNARR_GUARDED_BY(mutex_) = 0;

  client::WorkQueue queue_, reports_;
  Tasks tasks_;  // pulls, hooks
  Tasks probing_;
  ImagePuller puller_;
  Probes probes_;
  client::Workers workers_, reporters_;
};

// Of a container that the runtime tells of: its end as a ContainerView has it.
void take_runtime_status(ContainerView& view, const runtime::ContainerStatus& status);

}  // namespace knarr::agent
