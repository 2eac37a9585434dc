// What probes and life-cycle hooks do: a command in the container, an HTTP request, a TCP connection or a gRPC health
// check to it, or waiting. Blocking.
#pragma once

#include <string>
#include <vector>

#include "agent/pod_view.h"
#include "knarr/runtime/runtime.h"

namespace knarr::agent {

struct HandlerTarget {
  std::string pod_id, container_id;
  std::string host;  // the pod's address
};

struct HandlerResult {
  bool success = false;
  std::string output;  // what it said, or why it failed; at most 10 KiB
};

class Handlers {
 public:
  virtual ~Handlers() = default;
  virtual HandlerResult exec(const HandlerTarget& target, const std::vector<std::string>& command,
                             milliseconds limit) = 0;
  virtual HandlerResult http(const HandlerTarget& target, const core::HTTPGetAction& action,
                             const core::Container& container, milliseconds limit) = 0;
  virtual HandlerResult tcp(const HandlerTarget& target, const core::TCPSocketAction& action,
                            const core::Container& container, milliseconds limit) = 0;
  virtual HandlerResult grpc(const HandlerTarget& target, const core::GRPCAction& action, milliseconds limit) = 0;

  // Whichever of them this hook is.
  HandlerResult run(const HandlerTarget& target, const core::LifecycleHandler& hook, const core::Container& container,
                    milliseconds limit);
  HandlerResult run(const HandlerTarget& target, const core::Probe& probe, const core::Container& container,
                    milliseconds limit);
};

std::unique_ptr<Handlers> make_handlers(runtime::Runtime& runtime);

// The number of a port that a probe names by number or by the name it has in the container. Error: BadRequest.
Result<int> resolve_port(const IntOrString& port, const core::Container& container);

}  // namespace knarr::agent
