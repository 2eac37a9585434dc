// What a handler asked for instead of a body.
#pragma once

#include "knarr/http/server.h"

namespace knarr::http {

struct Response::Takeover {
  enum class Kind { kPump, kStream, kReply, kConnection } kind = Kind::kPump;
  uint32_t topic = 0;
  std::unique_ptr<PumpSource> source;
  std::function<void(const Writer&, const std::function<bool()>&)> run_stream;
  std::function<void(Reply&)> run_reply;
  std::function<void(std::unique_ptr<Stream>, std::string)> run_connection;
  std::shared_ptr<const void> held;
};

}  // namespace knarr::http
