// A node: registers itself with the API server, runs the pods that are bound to it, tells how they are, and serves
// their logs and exec. Pods outlive the agent; the next one finds and adopts them. While the server is away everything
// goes on.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/client/client.h"
#include "knarr/image/image.h"
#include "knarr/network/network.h"
#include "knarr/runtime/runtime.h"

namespace knarr::agent {

struct AgentOptions {
  std::string data_dir;  // absolute; below it: run, images, network, pods, log/pods, agent
  std::string instance;  // short and unique on this machine, see network::PodNetwork
  std::string node_name;
  std::string node_ip;  // "": the machine's primary address, also when that changes

  std::string server_url;                                  // https://127.0.0.1:6443
  std::string ca_file;                                     // of the server, and of those who may use the node API
  std::string client_certificate_file, client_key_file;    // system:node:<node_name>
  std::string serving_certificate_file, serving_key_file;  // of the node API
  // Sees to it that these files are good: `wanted` when the server has other certificate authorities than ca_file, else
  // now and then, to renew what ends before long. On a thread of the agent. Null: they never change.
  std::function<Status(bool wanted)> renew_credentials;

  std::string listen_address = "0.0.0.0";  // of the node API
  int node_port = 10250;                   // another free one when it is taken; told in the Node's status

  std::string pod_cidr;      // until the Node's spec has one; "" waits for that
  std::string cluster_cidr;  // not masqueraded; "": the pod CIDR

  int64_t pod_max_pids = 0;  // processes of one pod; 0: no limit

  std::vector<std::string> insecure_registries;
  std::string self_executable;  // what shims are started from; "": /proc/self/exe
  std::string version;          // 0.1.0
};

enum class StopMode {
  kKeepPods,  // leave them running, for the next agent
  kGraceful,  // end all pods with their grace periods first (for this stop: at most 30 s), then stop
};

class Agent {
 public:
  // Opens runtime, images and the node API, adopts what runs, and starts working; needs no server for that: it is
  // waited for in the background. Errors: of this machine (no root, a taken data directory, unreadable certificates).
  static Result<std::unique_ptr<Agent>> start(AgentOptions options);
  virtual ~Agent() = default;  // stop(kKeepPods)

  virtual void stop(StopMode mode) = 0;
  virtual int node_port() const = 0;
};

}  // namespace knarr::agent
