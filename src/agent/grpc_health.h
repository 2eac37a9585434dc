// The health check of gRPC (grpc.health.v1.Health/Check): one call in as much of HTTP/2 as it takes, without TLS.
// Source: RFC 9113, RFC 7541, gRPC over HTTP2.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/handlers.h"

namespace knarr::agent {

// Asks what serves at host:port how `service` does ("": all of it). Blocks at most `limit`.
HandlerResult check_grpc_health(const std::string& host, int port, const std::string& service, milliseconds limit);

// The bytes of the call, and what its answer tells. Separate, so that they can be tested without a server.
namespace grpc {

std::string health_request(const std::string& authority, const std::string& service);

// Takes a server's bytes piece by piece.
class HealthAnswer {
 public:
  // What to send back to the server; an error when it does not speak HTTP/2 or refuses the call.
  Result<std::string> feed(std::string_view bytes);
  bool complete() const { return status_.has_value() || ended_; }
  // 1 is SERVING; nothing when the call ended without an answer.
  std::optional<int> status() const { return status_; }

 private:
  Status take_frame(int type, int flags, uint32_t stream, std::string_view payload, std::string& reply);
  void read_message();

  std::string pending_, message_;
  std::optional<int> status_;
  bool ended_ = false;
};

}  // namespace grpc

}  // namespace knarr::agent
