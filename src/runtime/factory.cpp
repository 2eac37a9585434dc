// Where shims come from: one process for each agent, started as `knarr shim`, that forks one for every pod. A fork shares all
// that the program's start touched (relocations, libraries), so that a pod costs only the pages its shim writes, and it takes a
// fraction of a millisecond where another exec takes several. It holds nothing and ends with its agent; the shims stay.
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "knarr/base/log.h"
#include "knarr/linux/caps.h"
#include "knarr/linux/cgroup.h"
#include "runtime/factory.h"
#include "runtime/limits.h"
#include "runtime/shim.h"

namespace knarr::runtime {

namespace {

// The third word of the command line, which ps shows: room for the pod's name.
struct Title {
  char* text = nullptr;
  size_t size = 0;

  void set(const std::string& name) const {
    if (size == 0) return;
    const size_t length = std::min(name.size(), size);
    std::memcpy(text, name.data(), length);
    std::memset(text + length, 0, size - length);
  }
};

[[noreturn]] void become_shim(const SandboxRequest& request, int socket, const Title& title) {
  setsid();
  std::signal(SIGCHLD, SIG_DFL);
  // Everything of the factory's goes, its epoll and its agent's socket first of all.
  if (dup2(socket, kControlFd) < 0) _exit(1);
  close_range(kControlFd + 1, ~0U, 0);
  fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  title.set(request.spec.namespace_ + "/" + request.spec.name);
  _exit(Shim::run(request, linux::UniqueFd(kControlFd)));
}

int run_factory(const Title& title) {
  // Shims are not waited for: their end is seen by the agent's connection, their bodies go by themselves.
  std::signal(SIGCHLD, SIG_IGN);
  for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) std::signal(number, SIG_IGN);
  // Pods outlive the service that started them: what the service manager counts and ends with that must not be their shims.
  if (const auto hierarchy = linux::CgroupHierarchy::detect(); hierarchy.ok()) {
    if (const auto group = hierarchy->create(kShimsGroup); group.ok()) (void)group->add(0);
  }
  auto loop = linux::EventLoop::create();
  if (!loop.ok()) return 1;
  const auto on_message = [&](Message message) {
    if (message.fds.size() != 1) return;
    const json::Value* params = json::find(message.body, "params");
    if (params == nullptr) return;
    const auto request = from_json<SandboxRequest>(*params);
    const pid_t pid = fork();
    if (pid == 0) become_shim(request, message.fds[0].get(), title);
    if (pid < 0) log::error("shim", "cannot fork a shim", {{"pod", request.spec.id}, {"error", errno_status(errno, "fork")}});
  };
  Channel channel(**loop, linux::UniqueFd(kControlFd), on_message, [&] { (*loop)->stop(); });
  if (!channel.start().ok()) return 1;
  (*loop)->run();
  return 0;
}

}  // namespace

int shim_main(int argc, char** argv) {
  if (fcntl(kControlFd, F_SETFD, FD_CLOEXEC) != 0) {
    fmt::print(stderr, "knarr shim: this is started by the agent, with a socket as its descriptor {}\n", kControlFd);
    return 2;
  }
  prctl(PR_SET_NAME, "knarr-shim");
  umask(0022);
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  mallopt(M_TRIM_THRESHOLD, 64 * 1024);
  mallopt(M_TOP_PAD, 0);
  (void)linux::known_capabilities();  // read now: a container's /proc is not the place to ask
  Title title;
  if (argc > 1) title = {argv[1], std::strlen(argv[1])};
  title.set("(starts pods)");
  return run_factory(title);
}

}  // namespace knarr::runtime
