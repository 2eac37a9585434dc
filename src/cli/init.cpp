#include "cli/init.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "cli/instance.h"
#include "cli/supervised.h"
#include "knarr/base/log.h"
#include "knarr/linux/mount.h"
#include "knarr/linux/namespace.h"
#include "knarr/linux/tree.h"

namespace knarr::cli {

namespace {

constexpr ino_t kFirstPidNamespace = 0xEFFFFFFC;  // PROC_PID_INIT_INO of the kernel's headers
constexpr seconds kStopLimit{60};                 // for knarr and its pods
constexpr seconds kTermLimit{3}, kKillLimit{5};   // for whatever else runs
constexpr rlim_t kOpenFiles = 1 << 20;

struct StandardMount {
  const char *path, *type, *options;
  unsigned long flags;
};
constexpr StandardMount kMounts[] = {
    {"/proc", "proc", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"/sys", "sysfs", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"/dev", "devtmpfs", "mode=0755", MS_NOSUID},
    {"/dev/pts", "devpts", "gid=5,mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC},
    {"/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV},
    {"/dev/mqueue", "mqueue", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"/run", "tmpfs", "mode=0755", MS_NOSUID | MS_NODEV},
    {"/sys/fs/cgroup", "cgroup2", "nsdelegate,memory_recursiveprot", MS_NOSUID | MS_NODEV | MS_NOEXEC},
};

// Whether this is the machine's own init. Where /proc is not mounted yet nobody else has set anything up.
bool first_of_machine() {
  struct stat info;
  if (stat("/proc/self/ns/pid", &info) == 0) return info.st_ino == kFirstPidNamespace;
  return access("/proc/self", F_OK) != 0;
}

std::string_view command_of(int argc, char** argv) { return argc > 1 ? argv[1] : ""; }
bool is_service(std::string_view command) { return command == "server" || command == "agent"; }

// A step of the set-up: the machine is better off with what works than with an init that gives up.
void attempt(const Status& status) {
  if (!status.ok()) log::error("init", "the machine lacks something", {{"error", status}});
}

bool is_mount_point(const char* path) {
  struct stat here, above;
  return stat(path, &here) == 0 && stat(fmt::format("{}/..", path).c_str(), &above) == 0 && here.st_dev != above.st_dev;
}

void mount_standard() {
  for (const StandardMount& mount : kMounts) {
    if (is_mount_point(mount.path)) continue;
    attempt(linux::make_directories(mount.path));
    attempt(linux::mount_at(mount.type, mount.path, mount.type, mount.flags, mount.options));
  }
}

// The kernel opens /dev/console for init, when there is one already.
void open_console() {
  if (fcntl(STDERR_FILENO, F_GETFD) >= 0) return;
  const int console = open("/dev/console", O_RDWR | O_NOCTTY);
  if (console < 0) return;
  for (int target = 0; target <= 2; ++target) {
    if (target != console) dup2(console, target);
  }
  if (console > 2) close(console);
}

// The initramfs is no mount that pivot_root could leave, which is what containers do: a copy of it laid over itself is one. What
// is mounted in it moves along: left in both, it could never be unmounted.
Status leave_initramfs() {
  KNARR_ASSIGN(const auto mounts, linux::read_mounts());
  const auto root = std::find_if(mounts.begin(), mounts.end(), [](const linux::MountInfo& m) { return m.mount_point == "/"; });
  if (root == mounts.end() || root->type != "rootfs") return {};
  std::vector<std::pair<std::string, linux::UniqueFd>> inner;
  for (const linux::MountInfo& mount : mounts) {
    if (mount.parent != root->id || mount.id == root->id) continue;
    inner.emplace_back(mount.mount_point, open(mount.mount_point.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  KNARR_ASSIGN(const linux::UniqueFd copy, linux::clone_mount("/", false));
  KNARR_RETURN_IF_ERROR(linux::attach_mount(copy.get(), "/"));
  if (fchdir(copy.get()) != 0 || chroot(".") != 0) return errno_status(errno, "enter the copy of the initramfs");
  Status status;
  for (const auto& [path, mount] : inner) {
    if (Status moved = mount ? linux::attach_mount(mount.get(), path) : errno_status(errno, "open " + path); !moved.ok()) status = std::move(moved);
  }
  return status;
}

Status make_root_writable() {
  struct statvfs fs {};
  if (statvfs("/", &fs) != 0 || (fs.f_flag & ST_RDONLY) == 0) return {};
  return linux::mount_at("", "/", "", MS_REMOUNT);
}

void raise_open_files() {
  const rlimit wanted{kOpenFiles, kOpenFiles};
  if (setrlimit(RLIMIT_NOFILE, &wanted) != 0) attempt(errno_status(errno, "raise the limit of open files"));
}

void set_up_machine() {
  umask(0022);
  mount_standard();
  open_console();
  attempt(leave_initramfs());
  attempt(make_root_writable());
  attempt(linux::mount_at("", "/", "", MS_SHARED | MS_REC));  // what pods may share with the machine
  attempt(linux::bring_up_loopback());
  raise_open_files();
  if (auto name = linux::read_file("/etc/hostname"); name.ok() && host_name() == "(none)") attempt(linux::set_host_name(trimmed(std::move(*name))));
  setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
  if (reboot(RB_DISABLE_CAD) != 0) attempt(errno_status(errno, "have ctrl-alt-del as a signal"));  // SIGINT
}

sigset_t init_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT, SIGPWR, SIGUSR1, SIGUSR2, SIGRTMIN + 3, SIGRTMIN + 4, SIGRTMIN + 5}) sigaddset(&signals, signal);
  return signals;
}

// Waits for one of `signals` until `deadline`; 0 when it came first.
int wait_signal(const sigset_t& signals, MonoTime deadline) {
  const auto wait = std::max(deadline - Clock::system().mono(), MonoTime::duration::zero());
  const timespec timeout{std::chrono::duration_cast<seconds>(wait).count(),
                         std::chrono::duration_cast<std::chrono::nanoseconds>(wait % seconds(1)).count()};
  const int signal = sigtimedwait(&signals, nullptr, &timeout);
  return signal > 0 ? signal : 0;
}

// Reaps all that ended. False when there is no child left.
bool reap_children(SupervisedProcess& knarr, bool going_down) {
  int how = 0;
  for (;;) {
    const pid_t pid = waitpid(-1, &how, WNOHANG);
    if (pid < 0 && errno == ECHILD) return false;
    if (pid <= 0) return true;
    if (pid == knarr.pid() && !going_down) knarr.ended(how);
  }
}

// Until knarr was told to stop: the signal that said so.
int supervise(SupervisedProcess& knarr) {
  const sigset_t signals = init_signals();
  for (;;) {
    const int signal = wait_signal(signals, knarr.restart_at().value_or(Clock::system().mono() + std::chrono::hours(1)));
    if (signal == SIGCHLD) {
      reap_children(knarr, false);
    } else if (signal != 0) {
      return signal;
    }
    if (knarr.restart_at() && *knarr.restart_at() <= Clock::system().mono()) {
      if (auto status = knarr.start(); !status.ok()) {
        log::error("init", "cannot start knarr", {{"error", status}});
        knarr.ended(0);  // to be tried again after a pause
      }
    }
  }
}

// After `signal` was sent: until no child is left that `gone` asks for, but not longer than `limit`.
template <typename Gone>
void wait_ended(SupervisedProcess& knarr, seconds limit, Gone gone) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  const MonoTime deadline = Clock::system().mono() + limit;
  while (reap_children(knarr, true) && !gone() && Clock::system().mono() < deadline) (void)wait_signal(child, deadline);
}

void end_processes(SupervisedProcess& knarr) {
  if (const pid_t pid = knarr.pid(); pid > 0) {
    kill(pid, kMachineGoesDown);
    wait_ended(knarr, kStopLimit, [pid] { return kill(pid, 0) != 0; });
  }
  const auto never = [] { return false; };  // all of them
  kill(-1, SIGTERM);
  wait_ended(knarr, kTermLimit, never);
  kill(-1, SIGKILL);
  wait_ended(knarr, kKillLimit, never);
}

void unmount_all() {
  sync();
  auto mounts = linux::read_mounts();
  if (!mounts.ok()) return;
  for (auto mount = mounts->rbegin(); mount != mounts->rend(); ++mount) {
    const std::string& path = mount->mount_point;
    if (path == "/" || path == "/proc" || path == "/dev") continue;
    // First, since somebody else may hold the file system too (a mount namespace that is not gone yet).
    (void)linux::mount_at("", path, "", MS_REMOUNT | MS_RDONLY);
    (void)linux::unmount(path, 0);
  }
  (void)linux::mount_at("", "/", "", MS_REMOUNT | MS_RDONLY);
  sync();
}

}  // namespace

bool is_init(int argc, char** argv) { return getpid() == 1 && (is_service(command_of(argc, argv)) || first_of_machine()); }

int run_init(int argc, char** argv) {
  const bool machine = first_of_machine();
  const sigset_t signals = init_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  if (machine) set_up_machine();

  // A kernel hands words that it does not know on its command line to init: what is no command of ours is none for us.
  std::vector<std::string> arguments{"knarr"};
  if (is_service(command_of(argc, argv))) {
    arguments.insert(arguments.end(), argv + 1, argv + argc);
  } else {
    arguments.emplace_back("server");
  }
  log::info("init", machine ? "the machine is set up" : "first process of a container", {{"runs", arguments[1]}});
  SupervisedProcess knarr("init", arguments[1], arguments, {});
  if (auto status = knarr.start(); !status.ok()) log::error("init", "cannot start knarr", {{"error", status}});
  const int signal = supervise(knarr);

  const bool again = signal == SIGRTMIN + 5;
  log::info("init", again ? "restarting the machine" : "going down", {{"signal", signal}});
  end_processes(knarr);
  if (!machine) return 0;
  unmount_all();
  reboot(again ? RB_AUTOBOOT : RB_POWER_OFF);
  return 1;  // the kernel panics, which is the last means to stop a machine that cannot turn itself off
}

}  // namespace knarr::cli
