#include "runtime/session.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace knarr::runtime {

Session::Session(std::shared_ptr<ShimLink> link, std::string name, std::shared_ptr<SessionEnd> end, const ExecOptions& options, bool attached,
                 std::vector<linux::UniqueFd> fds)
    : link_(std::move(link)), name_(std::move(name)), end_(std::move(end)), attached_(attached) {
  if (!attached && options.terminal) {
    // One terminal for both ways; two descriptors, so that each has one owner.
    if (fds.empty()) return;
    terminal_ = std::move(fds.front());
    const auto copy = [this](linux::UniqueFd& to) {
      if (auto fd = linux::duplicate(terminal_.get()); fd.ok()) to = std::move(*fd);
    };
    copy(stdout_);
    if (options.stdin_open) copy(stdin_);
    return;
  }
  size_t next = 0;
  const auto take = [&](bool wanted, linux::UniqueFd& to) {
    if (wanted && next < fds.size()) to = std::move(fds[next++]);
  };
  take(options.stdin_open, stdin_);
  take(options.stdout_open, stdout_);
  take(options.stderr_open && !options.terminal, stderr_);
  take(attached && options.terminal, terminal_);
}

Session::~Session() {
  stdin_.reset();
  if (!end_->ended()) notify("close");
  link_->remove_session(name_);
}

void Session::close_stdin() {
  stdin_.reset();
  if (attached_ && !end_->ended()) notify("closeStdin");
}

Status Session::resize(int width, int height) {
  if (!terminal_) return bad_request("resize: there is no terminal");
  winsize size{};
  size.ws_col = static_cast<unsigned short>(width);
  size.ws_row = static_cast<unsigned short>(height);
  if (ioctl(terminal_.get(), TIOCSWINSZ, &size) != 0) return errno_status(errno, "resize the terminal");
  return {};
}

void Session::notify(const char* method) {
  json::Document params(rapidjson::kObjectType);
  json::set(params, "session", name_, params.GetAllocator());
  link_->notify(method, std::move(params));
}

}  // namespace knarr::runtime
