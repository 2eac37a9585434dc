// Keeps this node's Node object and its Lease: registers, renews, and reports what changed.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/machine.h"
#include "knarr/base/sync.h"
#include "knarr/client/informer.h"
#include "knarr/schema/api/coordination_v1.h"

namespace knarr::agent {

struct NodeStatusOptions {
  std::string node_name, data_dir, version;
  std::function<std::string()> node_ip;
  int api_port = 0;
  std::vector<std::string> missing;  // what the kernel does not give, a sentence each
  std::function<std::vector<core::ContainerImage>()> images;
  std::function<Status()> ready;                             // why the node is not ready, OK when it is
  std::function<void(const std::string& cidr)> on_pod_cidr;  // the spec's, when it appears; on a thread of the watch
  std::function<std::string()> authority;  // which certificate authorities the agent has; null: it does not say
  std::function<void(const std::string& authority)> on_authority;  // which it should have; as on_pod_cidr
  std::function<void()> on_round;  // with each renewal of the lease: what has to be looked at now and then
  const Clock* clock = &Clock::system();
};

// The Node as it should be, over what is known of it: labels and status of this machine; what others own is kept.
core::Node make_node(const NodeStatusOptions& options, const Machine& machine, const Usage& usage,
                     const core::Node* known, const Status& ready, std::vector<core::ContainerImage> images,
                     WallTime now);

class NodeStatus {
 public:
  NodeStatus(std::shared_ptr<client::Transport> transport, NodeStatusOptions options);
  ~NodeStatus() { stop(); }

  void start();
  void stop();
  void report_soon();  // something changed: do not wait for the next round

  const Machine& machine() const { return machine_; }
  std::map<std::string, std::string> allocatable();

 private:
  void loop();
  Status renew_lease();
  Status report(bool due);
  Status write(const core::Node& node, const core::Node* known);

  const NodeStatusOptions options_;
  const Machine machine_;
  const client::Typed<core::Node> nodes_;
  const client::Typed<api::coordination::v1::Lease> leases_;
  client::Informer<core::Node> informer_;

  // The thread's own.
  std::optional<api::coordination::v1::Lease> lease_;
  std::optional<core::NodeStatus> reported_;
  MonoTime reported_at_{};
  bool away_ = false;

  Mutex mutex_;
  std::condition_variable_any wake_;
  bool stop_ KNARR_GUARDED_BY(mutex_) = false;
  bool soon_ KNARR_GUARDED_BY(mutex_) = false;
  Usage usage_ KNARR_GUARDED_BY(mutex_);
  std::string pod_cidr_ KNARR_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace knarr::agent
