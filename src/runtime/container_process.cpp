#include "runtime/container_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "knarr/linux/namespace.h"
#include "knarr/linux/tree.h"
#include "runtime/capabilities.h"
#include "runtime/limits.h"
#include "runtime/rootfs.h"
#include "runtime/user.h"

namespace knarr::runtime {

namespace {

using linux::UniqueFd;

constexpr char kTerminal = 'T', kReady = 'X', kError = 'E';
constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pid_t clone_process(uint64_t flags, int cgroup_fd, UniqueFd& pidfd) {
  int fd = -1;
  clone_args args{};
  args.flags = flags | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&fd);
  args.exit_signal = SIGCHLD;
  if (cgroup_fd >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup_fd);
  }
  const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
  if (pid > 0) pidfd.reset(fd);
  return pid;
}

// What the shim ignores, its containers need not. By system call: libc does not let one touch the two signals of its own, which
// posix_spawn leaves ignored.
void reset_signals() {
  struct {
    void* handler = nullptr;  // SIG_DFL
    unsigned long flags = 0;
    void* restorer = nullptr;
    uint64_t mask = 0;
  } action;
  for (int number = 1; number <= 64; ++number) syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof action.mask);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// In the child: everything up to the exec, as the list that run() is.
class Child {
 public:
  Child(ProcessPlan& plan, int handshake) : plan_(plan), spec_(plan.container.spec), handshake_(handshake) {}

  [[noreturn]] void run() {
    const Status status = start();
    std::string message(1, kError);
    message += status.message();
    (void)linux::send_with_fds(handshake_, std::string_view(message).substr(0, 32 * 1024));
    _exit(128);
  }

 private:
  Status start() {
    reset_signals();
    // A container without its shim has nobody to write its log or to tell its end: it goes with it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // What already runs in the container must not reach into this process, which still has the host's rights and files.
    prctl(PR_SET_DUMPABLE, 0);
    setsid();
    KNARR_RETURN_IF_ERROR(load_seccomp_program());
    KNARR_RETURN_IF_ERROR(set_oom_score(spec_.oom_score_adj.value_or(0)));  // never the shim's own
    KNARR_RETURN_IF_ERROR(enter_root());
    KNARR_ASSIGN(user_, resolve_user(spec_, read_account_file("/etc/passwd"), read_account_file("/etc/group")));
    make_environment();
    KNARR_RETURN_IF_ERROR(plan_.terminal ? open_terminal() : connect_streams());
    for (const auto& [name, soft, hard] : spec_.rlimits) KNARR_RETURN_IF_ERROR(set_limit(name, soft, hard));
    const Status entered = enter_directory();  // as root, who may where the user may not...
    KNARR_RETURN_IF_ERROR(become_user());
    if (!entered.ok()) KNARR_RETURN_IF_ERROR(enter_directory());  // ... and the other way round, on NFS
    return execute();
  }

  Status load_seccomp_program() {
    if (plan_.container.seccomp_filter.empty()) return {};
    KNARR_ASSIGN(seccomp_, linux::read_file(plan_.container.seccomp_filter, 1 << 20));
    return {};
  }

  Status enter_root() {
    if (plan_.join_pidfd >= 0) {
      KNARR_RETURN_IF_ERROR(linux::enter_namespaces(plan_.join_pidfd, CLONE_NEWNS | CLONE_NEWCGROUP));
      return {};
    }
    return enter_container_root({plan_.pod, spec_, plan_.directory, plan_.pod_shm, plan_.pod_shm_fd, plan_.cgroup_v2, plan_.old_mount_ways});
  }

  void make_environment() {
    environment_ = spec_.env;
    const auto add_missing = [this](std::string_view name, std::string value) {
      const bool there = std::any_of(environment_.begin(), environment_.end(), [&](const std::string& variable) {
        return variable.size() > name.size() && variable[name.size()] == '=' && variable.compare(0, name.size(), name) == 0;
      });
      if (!there) environment_.push_back(std::move(value));
    };
    add_missing("PATH", std::string(kDefaultPath));
    const std::string& hostname = spec_.hostname.empty() ? plan_.pod.hostname : spec_.hostname;
    if (!hostname.empty()) add_missing("HOSTNAME", "HOSTNAME=" + hostname);
    if (plan_.terminal) add_missing("TERM", "TERM=xterm");
    add_missing("HOME", "HOME=" + user_.home);
  }

  Status open_terminal() {
    UniqueFd master(open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master) return errno_status(errno, "open a terminal: /dev/pts/ptmx");
    const int unlocked = 0;
    if (ioctl(master.get(), TIOCSPTLCK, &unlocked) != 0) return errno_status(errno, "unlock the terminal");
    UniqueFd slave(ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!slave) return errno_status(errno, "open the terminal");
    if (fchown(slave.get(), user_.uid, static_cast<gid_t>(-1)) != 0) return errno_status(errno, "give the terminal to the user");
    if (plan_.join_pidfd < 0) KNARR_RETURN_IF_ERROR(bind_console(slave.get()));
    if (ioctl(slave.get(), TIOCSCTTY, 0) != 0) return errno_status(errno, "make it the controlling terminal");
    const int fds[] = {master.get()};
    KNARR_RETURN_IF_ERROR(linux::send_with_fds(handshake_, std::string_view(&kTerminal, 1), fds).status());
    for (int target = 0; target <= 2; ++target) KNARR_RETURN_IF_ERROR(install(slave, target));
    return {};
  }

  Status connect_streams() {
    UniqueFd* streams[] = {&plan_.streams.in, &plan_.streams.out, &plan_.streams.err};
    for (int target = 0; target <= 2; ++target) {
      UniqueFd& stream = *streams[target];
      if (!stream) {
        stream.reset(open("/dev/null", O_RDWR | O_CLOEXEC));
        if (!stream) return errno_status(errno, "open /dev/null");
      } else if (fchown(stream.get(), user_.uid, static_cast<gid_t>(-1)) != 0) {
        // A user who is not root opens /dev/stdout by this: the pipe must be theirs.
        return errno_status(errno, "give the standard streams to the user");
      }
      KNARR_RETURN_IF_ERROR(install(stream, target));
    }
    return {};
  }

  // The shim's own 0 to 2 are /dev/null and the streams lie above them, so none is overwritten before it is used.
  static Status install(const UniqueFd& fd, int target) {
    if (dup2(fd.get(), target) < 0) return errno_status(errno, fmt::format("install descriptor {}", target));
    return {};
  }

  Status enter_directory() {
    const std::string& directory = spec_.working_directory.empty() ? std::string("/") : spec_.working_directory;
    if (chdir(directory.c_str()) == 0) return {};
    if (errno == ENOENT) KNARR_RETURN_IF_ERROR(linux::make_directories(directory));
    if (chdir(directory.c_str()) != 0) return errno_status(errno, fmt::format("chdir to cwd (\"{}\") set in the container", directory));
    return {};
  }

  Status become_user() {
    KNARR_ASSIGN(linux::CapabilityMask available, linux::permitted_capabilities());
    if (!plan_.device_filter && !spec_.security.privileged) available &= ~(linux::CapabilityMask{1} << CAP_MKNOD);
    KNARR_ASSIGN(const linux::CapabilityMask capabilities, container_capabilities(spec_.security, available));
    // Without no_new_privs only a privileged process may load a filter, so it comes before the rights go.
    if (!spec_.security.no_new_privileges) KNARR_RETURN_IF_ERROR(install_seccomp());
    KNARR_RETURN_IF_ERROR(linux::limit_bounding_set(capabilities));
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return errno_status(errno, "keep capabilities over the change of user");
    if (setgroups(user_.groups.size(), user_.groups.data()) != 0) return errno_status(errno, "set the supplementary groups");
    if (setresgid(user_.gid, user_.gid, user_.gid) != 0) return errno_status(errno, fmt::format("become group {}", user_.gid));
    if (setresuid(user_.uid, user_.uid, user_.uid) != 0) return errno_status(errno, fmt::format("become user {}", user_.uid));
    if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return errno_status(errno, "keep capabilities no longer");
    KNARR_RETURN_IF_ERROR(linux::set_capabilities(capabilities, capabilities, 0, 0));
    if (spec_.security.no_new_privileges) {
      if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_status(errno, "set no_new_privs");
      KNARR_RETURN_IF_ERROR(install_seccomp());
    }
    return {};
  }

  Status install_seccomp() {
    if (seccomp_.empty()) return {};
    sock_fprog program{};
    program.len = static_cast<unsigned short>(seccomp_.size() / sizeof(sock_filter));
    program.filter = reinterpret_cast<sock_filter*>(seccomp_.data());
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return errno_status(errno, "load the seccomp filter");
    return {};
  }

  std::string_view path_variable() const {
    for (const std::string& variable : environment_) {
      if (variable.compare(0, 5, "PATH=") == 0) return std::string_view(variable).substr(5);
    }
    return {};
  }

  // 0 when the file can be executed, else why not.
  static int executable(const std::string& path) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return errno;
    if (S_ISDIR(info.st_mode)) return EISDIR;
    return faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno == EPERM ? EACCES : errno;
  }

  // The words are those of Go's os/exec, which people and tests know from the other runtimes.
  Result<std::string> find_executable() const {
    const std::string& name = plan_.args.front();
    if (name.find('/') != std::string::npos) {
      const int error = executable(name);
      if (error == 0) return name;
      return bad_request(error == ENOENT ? fmt::format("exec: \"{0}\": stat {0}: no such file or directory", name)
                                         : fmt::format("exec: \"{}\": {}", name, error == EISDIR ? "is a directory" : error == EACCES ? "permission denied" : std::strerror(error)));
    }
    const std::string_view path = path_variable();
    bool denied = false;
    for (size_t at = 0; at <= path.size() && !name.empty();) {
      const size_t end = std::min(path.find(':', at), path.size());
      const std::string directory(path.substr(at, end - at));
      const std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
      const int error = executable(candidate);
      if (error == 0) return candidate;
      denied |= error == EACCES;
      at = end + 1;
    }
    return bad_request(fmt::format("exec: \"{}\": {}", name, denied ? "permission denied" : "executable file not found in $PATH"));
  }

  Status execute() {
    if (plan_.args.empty()) return bad_request("no command specified");
    KNARR_ASSIGN(const std::string path, find_executable());
    std::vector<char*> arguments, environment;
    for (const std::string& argument : plan_.args) arguments.push_back(const_cast<char*>(argument.c_str()));
    for (const std::string& variable : environment_) environment.push_back(const_cast<char*>(variable.c_str()));
    arguments.push_back(nullptr);
    environment.push_back(nullptr);
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // the change of user took the first one away
    umask(0022);
    (void)linux::send_with_fds(handshake_, std::string_view(&kReady, 1));
    execve(path.c_str(), arguments.data(), environment.data());
    const int error = errno;
    std::string why = std::strerror(error);
    if (!why.empty()) why[0] = static_cast<char>(why[0] | 0x20);  // Go's texts begin in lower case
    return bad_request(fmt::format("exec {}: {}", path, why));
  }

  ProcessPlan& plan_;
  const ContainerSpec& spec_;
  const int handshake_;
  std::string seccomp_;
  User user_;
  std::vector<std::string> environment_;
};

// The calling thread's children are born in the pid namespace of another process, as long as this lives.
class ChildrenInPidNamespace {
 public:
  Status enter(int pidfd) {
    KNARR_ASSIGN(own_, linux::open_namespace(0, "pid"));
    KNARR_RETURN_IF_ERROR(linux::enter_namespaces(pidfd, CLONE_NEWPID));
    entered_ = true;
    return {};
  }
  ~ChildrenInPidNamespace() {
    if (entered_) (void)linux::enter_namespaces(own_.get(), CLONE_NEWPID);
  }

 private:
  UniqueFd own_;
  bool entered_ = false;
};

}  // namespace

Result<StartedProcess> start_process(ProcessPlan plan) {
  KNARR_ASSIGN(linux::SocketPair handshake, linux::make_socketpair(SOCK_SEQPACKET));
  UniqueFd cgroup;
  if (plan.cgroup != nullptr && plan.cgroup->valid()) {
    KNARR_ASSIGN(cgroup, plan.cgroup->open());
  }
  ChildrenInPidNamespace children;
  if (plan.pid_namespace >= 0) KNARR_RETURN_IF_ERROR(children.enter(plan.pid_namespace));

  uint64_t flags = 0;
  if (plan.join_pidfd < 0) flags |= CLONE_NEWNS | CLONE_NEWCGROUP;
  if (plan.new_pid_namespace) flags |= CLONE_NEWPID;
  StartedProcess started;
  started.pid = clone_process(flags, cgroup.get(), started.pidfd);
  if (started.pid < 0) return errno_status(errno, "clone a process for the container");
  if (started.pid == 0) Child(plan, handshake.second.get()).run();
  started.handshake = std::move(handshake.first);
  KNARR_RETURN_IF_ERROR(linux::set_nonblocking(started.handshake.get()));
  return started;
}

void read_handshake(int socket, Handshake& handshake) {
  std::string buffer(33 * 1024, '\0');
  while (!handshake.ended) {
    auto received = linux::receive_with_fds(socket, buffer.data(), buffer.size());
    if (received.ok() && received->state == linux::Received::kWouldBlock) return;
    if (!received.ok() || received->state == linux::Received::kEnd) {
      handshake.ended = true;
    } else if (buffer[0] == kTerminal && !received->fds.empty()) {
      handshake.terminal = std::move(received->fds.front());
    } else if (buffer[0] == kReady) {
      handshake.ready = true;
    } else if (buffer[0] == kError) {
      handshake.error = buffer.substr(1, received->bytes - 1);
    }
  }
}

Result<StartedProcess> start_reaper() {
  StartedProcess started;
  started.pid = clone_process(CLONE_NEWPID, -1, started.pidfd);
  if (started.pid < 0) return errno_status(errno, "clone the first process of the pod's pid namespace");
  if (started.pid > 0) return started;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "knarr-init");
  close_range(3, ~0U, 0);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  for (;;) {
    int number = 0;
    sigwait(&all, &number);
    while (number == SIGCHLD && waitpid(-1, nullptr, WNOHANG) > 0) continue;
    if (number == SIGTERM || number == SIGINT) _exit(0);
  }
}

}  // namespace knarr::runtime
