// The agent's end of an exec or an attach.
#pragma once

#include "runtime/shim_link.h"

namespace knarr::runtime {

class Session : public ExecSession {
 public:
  // `fds` as the shim gave them: for an exec its pipes or its terminal; for an attach the pipes, and a terminal last, for its size.
  Session(std::shared_ptr<ShimLink> link, std::string name, std::shared_ptr<SessionEnd> end, const ExecOptions& options, bool attached,
          std::vector<linux::UniqueFd> fds);
  ~Session() override;

  int stdin_fd() const override { return stdin_.get(); }
  int stdout_fd() const override { return stdout_.get(); }
  int stderr_fd() const override { return stderr_.get(); }
  void close_stdin() override;
  Status resize(int width, int height) override;
  Result<int> wait() override { return end_->wait(); }

 private:
  void notify(const char* method);

  const std::shared_ptr<ShimLink> link_;
  const std::string name_;
  const std::shared_ptr<SessionEnd> end_;
  const bool attached_;
  linux::UniqueFd stdin_, stdout_, stderr_, terminal_;
};

}  // namespace knarr::runtime
