// How knarr's own commands speak to a server that runs on this machine: a socket in its data directory, for root alone. One line
// asks ("secrets rotate"), one line answers ("ok …" or "error …").
#pragma once

#include <functional>
#include <map>
#include <string>
#include <thread>

#include "cli/instance.h"

namespace knarr::cli {

class ControlServer {
 public:
  // Called on the control server's own thread, one at a time; answers what the person is told.
  using Action = std::function<Result<std::string>()>;

  static Result<std::unique_ptr<ControlServer>> start(const Instance& instance, std::map<std::string, Action> actions);
  ~ControlServer();  // waits for an action that is under way

 private:
  ControlServer(std::string path, linux::UniqueFd listener, linux::UniqueFd stop, std::map<std::string, Action> actions);
  void loop();
  void answer(int connection) const;

  const std::string path_;
  const linux::UniqueFd listener_, stop_;
  const std::map<std::string, Action> actions_;
  std::thread thread_;
};

// Asks the server of this data directory. Errors: none runs; what the server answered.
Result<std::string> ask_server(const Instance& instance, const std::string& command);

}  // namespace knarr::cli
