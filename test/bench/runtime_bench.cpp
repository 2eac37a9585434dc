// How long a pod takes from nothing to its running container, and what its shim costs, beside the OCI runtimes that are installed.
//
//   bench_runtime [--knarr PATH] [--pods N]
//
// PATH is the program that shims are made of (this one when it is not given). Needs root and /bin/busybox. The peers run the
// same program from the same root with their own default spec and without seccomp; they make neither a pod's namespaces apart from
// the container's nor its log.
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "knarr/codec/json.h"
#include "knarr/linux/mount.h"
#include "knarr/linux/namespace.h"
#include "knarr/linux/process.h"
#include "knarr/linux/tree.h"
#include "knarr/runtime/runtime.h"

using namespace knarr;
using namespace knarr::runtime;

namespace {

using Samples = std::vector<double>;  // milliseconds

double elapsed(MonoTime since) { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count(); }

void print(const std::string& what, Samples samples) {
  std::sort(samples.begin(), samples.end());
  fmt::print("{:<44} p50 {:7.2f} ms   p99 {:7.2f} ms   n={}\n", what, samples[samples.size() / 2], samples[samples.size() * 99 / 100], samples.size());
}

template <typename T>
T need(Result<T> result) {
  if (result.ok()) return std::move(*result);
  fmt::print(stderr, "bench: {}\n", result.status().to_string());
  std::exit(1);
}
void need(const Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "bench: {}\n", status.to_string());
  std::exit(1);
}

PodSandboxSpec make_pod(const std::string& directory, int number) {
  PodSandboxSpec pod;
  pod.id = fmt::format("bench-{}", number);
  pod.name = "bench";
  pod.namespace_ = "default";
  pod.hostname = "bench";
  pod.log_directory = directory + "/log/" + pod.id;
  return pod;
}

ContainerSpec make_container(const std::string& directory) {
  ContainerSpec container;
  container.id = "c1";
  container.name = "c1";
  container.args = {"/bin/busybox", "sleep", "1000"};
  container.lower_directories = {directory + "/layer"};
  return container;
}

// Kilobytes of a key in smaps_rollup.
long memory_of(int pid, const std::string& key) {
  const std::string text = linux::read_file(fmt::format("/proc/{}/smaps_rollup", pid)).value_or("");
  const size_t at = text.find("\n" + key + ":");
  return at == std::string::npos ? 0 : std::atol(text.c_str() + at + key.size() + 2);
}

void bench_knarr(const std::string& directory, const std::string& executable, int pods) {
  Runtime::Options options;
  options.state_directory = directory + "/run";
  options.self_executable = executable;
  auto runtime = need(Runtime::open(options));
  for (const char* seccomp : {"RuntimeDefault", "Unconfined"}) {
    Samples sandbox, start, both, remove;
    for (int i = -1; i < pods; ++i) {  // the first, which starts the factory and compiles the filter, is not counted
      const auto pod = make_pod(directory, i);
      auto container = make_container(directory);
      container.security.seccomp = seccomp;
      const auto begin = std::chrono::steady_clock::now();
      need(runtime->run_sandbox(pod).status());
      const double made = elapsed(begin);
      const auto status = need(runtime->start_container(pod.id, container));
      const double running = elapsed(begin);
      if (status.state != ContainerState::kRunning) need(internal_error(status.message));
      const auto end = std::chrono::steady_clock::now();
      need(runtime->remove_sandbox(pod.id));
      if (i < 0) continue;
      sandbox.push_back(made);
      start.push_back(running - made);
      both.push_back(running);
      remove.push_back(elapsed(end));
    }
    const std::string with = fmt::format("knarr ({})", seccomp);
    print(with + " sandbox", sandbox);
    print(with + " start container", start);
    print(with + " sandbox and container", both);
    print(with + " remove", remove);
  }

  long pss = 0, dirty = 0, rss = 0;
  for (int i = 0; i < pods; ++i) {
    need(runtime->run_sandbox(make_pod(directory, i)).status());
    need(runtime->start_container(make_pod(directory, i).id, make_container(directory)).status());
  }
  for (const auto& pod : runtime->list()) {
    pss += memory_of(pod.shim_pid, "Pss");
    dirty += memory_of(pod.shim_pid, "Private_Dirty") + memory_of(pod.shim_pid, "Private_Clean");
    rss += memory_of(pod.shim_pid, "Rss");
  }
  fmt::print("knarr shim, mean of {} pods: Pss {} kB, private {} kB, Rss {} kB\n", pods, pss / pods, dirty / pods, rss / pods);
  for (int i = 0; i < pods; ++i) need(runtime->remove_sandbox(make_pod(directory, i).id));
}

bool run(const std::vector<std::string>& arguments, const std::string& working_directory) {
  linux::SpawnOptions spawn;
  spawn.executable = arguments[0];
  spawn.arguments = arguments;
  spawn.working_directory = working_directory;
  auto process = linux::Process::spawn(spawn);
  return process.ok() && process->wait().value_or(linux::ExitStatus{1, 0}).success();
}

void bench_peer(const std::string& program, const std::string& directory, int runs) {
  if (access(program.c_str(), X_OK) != 0) return;
  const std::string bundle = directory + "/bundle-" + program.substr(program.rfind('/') + 1);
  need(linux::make_directories(bundle));
  if (!run({program, "spec"}, bundle)) return;
  auto config = need(json::parse(need(linux::read_file(bundle + "/config.json"))));
  auto& alloc = config.GetAllocator();
  json::set(config["process"], "terminal", json::Value(false), alloc);
  json::Value args(rapidjson::kArrayType);
  for (const char* arg : {"/bin/busybox", "sleep", "1000"}) args.PushBack(json::string(arg, alloc), alloc);
  json::set(config["process"], "args", std::move(args), alloc);
  json::set(config["root"], "path", directory + "/layer", alloc);
  need(linux::replace_file(bundle + "/config.json", json::dump(config)));
  Samples samples;
  for (int i = 0; i < runs; ++i) {
    const std::string id = fmt::format("bench-{}-{}", getpid(), i);
    const auto begin = std::chrono::steady_clock::now();
    const bool started = run({program, "--root", directory + "/peer", "run", "--detach", "--bundle", bundle, id}, directory);
    if (started) samples.push_back(elapsed(begin));
    (void)run({program, "--root", directory + "/peer", "delete", "--force", id}, directory);
    if (!started) {
      fmt::print("{} does not run here\n", program);
      return;
    }
  }
  print(program + " run --detach", samples);
}

// Podman with runc, from the same root. Its own default of open files may be more than this machine grants.
void bench_podman(const std::string& directory, int runs) {
  const std::string program = "/usr/bin/podman";
  if (access(program.c_str(), X_OK) != 0) return;
  std::vector<std::string> base = {program, "--cgroup-manager=cgroupfs", "--storage-driver=vfs", "--runtime=/usr/sbin/runc",
                                   "--root=" + directory + "/podman", "--runroot=" + directory + "/podman-run"};
  auto podman = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), base.begin(), base.end());
    return run(arguments, directory);
  };
  Samples samples;
  for (int i = 0; i < runs; ++i) {
    const std::string id = fmt::format("bench-{}-{}", getpid(), i);
    const auto begin = std::chrono::steady_clock::now();
    const bool started = podman({"run", "--detach", "--quiet", "--name", id, "--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024",
                                 "--rootfs", directory + "/layer", "/bin/busybox", "sleep", "1000"});
    if (started) samples.push_back(elapsed(begin));
    (void)podman({"rm", "--force", "--time=0", id});
    if (!started) {
      fmt::print("{} does not run here\n", program);
      return;
    }
  }
  print(program + " run --detach (runc)", samples);
}

// crun refuses a machine that has cgroups of both versions mounted: the peers run where v2's are out of sight.
void bench_peers(const std::string& directory, int runs) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    need(linux::unshare_namespaces(CLONE_NEWNS));
    need(linux::mount_at("", "/", "", MS_PRIVATE | MS_REC));
    const auto mounts = need(linux::read_mounts());
    const bool hybrid = std::any_of(mounts.begin(), mounts.end(), [](const auto& m) { return m.type == "cgroup"; });
    for (const auto& mount : mounts) {
      if (hybrid && mount.type == "cgroup2") need(linux::unmount(mount.mount_point));
    }
    for (const char* peer : {"/usr/bin/crun", "/usr/sbin/runc"}) bench_peer(peer, directory, runs);
    bench_podman(directory, runs);
    fflush(stdout);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "shim") == 0) return shim_main(argc - 1, argv + 1);
  std::string executable;
  int pods = 20;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--knarr") == 0) executable = argv[i + 1];
    if (std::strcmp(argv[i], "--pods") == 0) pods = std::max(1, std::atoi(argv[i + 1]));
  }
  char name[] = "/tmp/knarr-bench-XXXXXX";
  const std::string directory = mkdtemp(name);
  for (const char* part : {"bin", "proc", "dev", "sys"}) need(linux::make_directories(directory + "/layer/" + part));
  need(linux::replace_file(directory + "/layer/bin/busybox", need(linux::read_file("/bin/busybox")), 0755));
  bench_knarr(directory, executable, pods);
  bench_peers(directory, pods);
  // podman's last clean-up may still be writing there when podman has ended.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  Status removed = linux::remove_tree(directory);
  while (!removed.ok() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    removed = linux::remove_tree(directory);
  }
  need(removed);
  return 0;
}
