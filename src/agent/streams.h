// The streams of exec and attach to a client, over WebSocket (v5, v4 and the first channel.k8s.io, those two also in base64) or SPDY/3.1 (v4.channel.k8s.io).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "knarr/http/server.h"
#include "knarr/runtime/runtime.h"

namespace knarr::agent {

struct StreamRequest {
  bool in = false, out = false, error = false, tty = false;
};

// One client. write_* are for one thread, read() for another; abort() from any makes both fail.
class RemoteStreams {
 public:
  virtual ~RemoteStreams() = default;
  virtual Status write_output(std::string_view data) = 0;
  virtual Status write_error(std::string_view data) = 0;
  virtual void finish(const std::string& status_json) = 0;  // how it ended, and that it ended

  struct Input {
    std::function<bool(std::string_view)> data;  // false: nobody reads it any more
    std::function<void()> end;
    std::function<void(int width, int height)> resize;
  };
  virtual void read(const Input& input) = 0;  // returns when the client went away or abort() was called
  virtual void abort() = 0;
};

// Answers an upgrade request: `serve` gets the client's streams on a thread of its own. Error: a request that is no
// such upgrade.
Status accept_streams(const http::Request& request, const StreamRequest& wanted, http::Response& response,
                      std::function<void(RemoteStreams& streams)> serve);

// Connects a process with a client until either ends, and tells the client how the process did.
void serve_session(runtime::ExecSession& session, RemoteStreams& streams);

// meta/v1.Status bodies for the error stream.
std::string exit_status_json(int exit_code);
std::string failure_json(const Status& status);

}  // namespace knarr::agent
