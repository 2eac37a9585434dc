// The default profile as a table for review: what a container may call, by subject, and what it may call with which capability.
// Left out on purpose: io_uring (a kernel interface that goes round these rules), keyrings (not namespaced), userfaultfd,
// kexec, swap, modules, clocks, new namespaces and mounts.
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>

#include <cerrno>

#include "runtime/seccomp.h"

namespace knarr::runtime {

namespace {

constexpr std::string_view kAlways[] = {
    // files: open, read, write, seek
    "open openat openat2 creat close close_range read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek _llseek "
    "sendfile sendfile64 splice tee vmsplice copy_file_range readahead fadvise64 fadvise64_64 cachestat dup dup2 dup3 fcntl fcntl64 flock "
    "ioctl pipe pipe2 memfd_create memfd_secret name_to_handle_at",
    // files: what they are and where
    "stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx access faccessat faccessat2 getcwd chdir fchdir getdents "
    "getdents64 readlink readlinkat statfs statfs64 fstatfs fstatfs64 umask chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 "
    "fchownat lchown lchown32 link linkat symlink symlinkat rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir mknod mknodat "
    "truncate truncate64 ftruncate ftruncate64 fallocate utime utimes utimensat utimensat_time64 futimesat sync syncfs fsync fdatasync "
    "sync_file_range",
    // files: attributes and watching them
    "getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr listxattrat "
    "removexattr lremovexattr fremovexattr removexattrat inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark "
    "statmount listmount",
    // old asynchronous I/O
    "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set",
    // memory
    "brk mmap mmap2 munmap mremap mprotect madvise msync mincore mlock mlock2 munlock mlockall munlockall remap_file_pages membarrier "
    "mseal map_shadow_stack pkey_alloc pkey_free pkey_mprotect",
    // processes and threads
    "execve execveat exit exit_group fork vfork wait4 waitid waitpid getpid getppid gettid getpgid getpgrp setpgid getsid setsid "
    "get_robust_list set_robust_list set_tid_address get_thread_area set_thread_area arch_prctl modify_ldt prctl rseq restart_syscall "
    "getpriority setpriority getrlimit ugetrlimit setrlimit prlimit64 getrusage times getcpu sched_yield sched_getaffinity "
    "sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_get_priority_max sched_get_priority_min "
    "sched_getscheduler sched_setscheduler sched_rr_get_interval sched_rr_get_interval_time64 pidfd_open pidfd_send_signal process_mrelease "
    "ptrace process_vm_readv process_vm_writev uretprobe",
    "futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue",
    // who one is
    "getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32 getgroups getgroups32 "
    "setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid "
    "setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset seccomp landlock_create_ruleset landlock_add_rule "
    "landlock_restrict_self lsm_get_self_attr lsm_set_self_attr lsm_list_modules",
    // signals
    "kill tkill tgkill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
    "rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend sigaction",
    // time
    "time gettimeofday clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 nanosleep "
    "adjtimex clock_adjtime clock_adjtime64 alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime "
    "timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64",
    // waiting
    "poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait "
    "epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2",
    // sockets; socket itself stands below
    "socketpair socketcall bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt send sendto sendmsg "
    "sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64",
    // System V and POSIX messages
    "ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget mq_getsetattr mq_notify "
    "mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink",
    // the machine
    "uname sysinfo getrandom",
    // other architectures' own
    "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls get_tls riscv_flush_icache riscv_hwprobe",
};

constexpr struct {
  std::string_view capability, names;
} kWithCapability[] = {
    {"SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree open_tree_attr "
     "perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare"},
    {"BPF", "bpf"},
    {"PERFMON", "perf_event_open"},
    {"SYSLOG", "syslog"},
    {"DAC_READ_SEARCH", "open_by_handle_at"},
    {"SYS_BOOT", "reboot"},
    {"SYS_CHROOT", "chroot"},
    {"SYS_MODULE", "delete_module init_module finit_module"},
    {"SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"SYS_PACCT", "acct"},
    {"SYS_PTRACE", "kcmp pidfd_getfd process_madvise"},
    {"SYS_RAWIO", "iopl ioperm"},
    {"SYS_TIME", "settimeofday stime clock_settime clock_settime64"},
    {"SYS_TTY_CONFIG", "vhangup"},
};

// execution domains: Linux as it is, with 32-bit uname or address limits, and the question what it is now
constexpr uint64_t kPersonalities[] = {0, 0x8, 0x20000, 0x20008, 0xffffffff};

constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) result.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

}  // namespace

SeccompProfile default_seccomp_profile(linux::CapabilityMask capabilities) {
  const auto has = [&](std::string_view name) {
    const auto number = linux::parse_capability(name);
    return number.ok() && (capabilities >> *number & 1) != 0;
  };
  SeccompProfile profile;
  profile.newer_than_known_is_enosys = true;
  const SeccompAction allow{SeccompAction::kAllow, 0};
  for (const std::string_view names : kAlways) profile.rules.push_back({words(names), allow, {}});
  for (const auto& [capability, names] : kWithCapability) {
    if (has(capability)) profile.rules.push_back({words(names), allow, {}});
  }
  for (const uint64_t domain : kPersonalities) profile.rules.push_back({{"personality"}, allow, {{0, SCMP_CMP_EQ, domain, 0}}});
  // Sockets to the hypervisor are not confined by network namespaces.
  profile.rules.push_back({{"socket"}, allow, {{0, SCMP_CMP_NE, AF_VSOCK, 0}}});
  if (!has("SYS_ADMIN")) {
    profile.rules.push_back({{"clone"}, allow, {{0, SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0}}});
    // Its flags lie in memory, where a filter cannot look: as if the kernel had none, and libc takes clone.
    profile.rules.push_back({{"clone3"}, {SeccompAction::kErrno, ENOSYS}, {}});
  }
  return profile;
}

}  // namespace knarr::runtime
