// One watch as its lane knows it.
#pragma once

#include "http/pump.h"

namespace knarr::http {

struct PumpLane::Watch {
  uint64_t id = 0;
  size_t place = 0;  // among those of its topic
  Channel channel;
  std::unique_ptr<PumpSource> source;
  std::string unsent;             // what the socket did not take yet
  size_t input = 0;               // bytes that the client sent
  MonoTime progress{};            // when the socket last took something, while `unsent` is there
  std::optional<MonoTime> noted;  // the earliest deadline that stands in due_
  uint32_t topic = 0;
  bool chunked = true;
  bool woken = true;    // the source may have something
  bool queued = false;  // in ready_
  bool ended = false;   // the source is done: close when `unsent` is gone
  bool closed = false;

  // Of a stream.
  bool blocked = false;  // it takes no more: hear() will tell
  int32_t stream = 0;
  Group* group = nullptr;
};

}  // namespace knarr::http
