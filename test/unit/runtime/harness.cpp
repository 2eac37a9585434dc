#include "unit/runtime/harness.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>

#include "knarr/linux/mount.h"
#include "knarr/linux/tree.h"

namespace {
// An agent for killing: it starts a pod in the state directory that it is given, says so on its standard output, and waits.
int agent_to_be_killed(const std::string& directory, const std::string& layer) {
  using namespace knarr::runtime;
  auto runtime = Runtime::open({.state_directory = directory});
  PodSandboxSpec pod;
  pod.id = pod.name = "pod-1";
  ContainerSpec container;
  container.id = container.name = "c";
  container.args = {"sleep", "1000"};
  container.lower_directories = {layer};
  if (!runtime.ok() || !(*runtime)->run_sandbox(pod).ok() || !(*runtime)->start_container("pod-1", container).ok()) return 1;
  (void)!write(1, "up", 2);
  pause();
  return 0;
}

// The tests' shims are this program started again with "shim": before Catch looks at the command line.
__attribute__((constructor)) void become_shim_when_asked(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "shim") == 0) _exit(knarr::runtime::shim_main(argc - 1, argv + 1));
  if (argc > 3 && std::strcmp(argv[1], "agent-to-be-killed") == 0) _exit(agent_to_be_killed(argv[2], argv[3]));
}
}  // namespace

namespace knarr::runtime::test {

Harness::Harness(bool old_mount_ways) : old_mount_ways_(old_mount_ways) {
  char name[] = "/tmp/knarr-runtime-XXXXXX";
  directory_ = mkdtemp(name);
  const std::string root = directory_ + "/layer/";
  for (const char* part : {"bin", "etc", "tmp"}) REQUIRE(linux::make_directories(root + part).ok());
  REQUIRE(linux::replace_file(root + "bin/busybox", linux::read_file("/bin/busybox").value(), 0755).ok());
  for (const char* applet : {"sh", "true", "false", "cat", "echo", "id", "sleep", "ls", "grep", "hostname", "kill", "ps", "head", "seq", "touch", "mount", "stty", "tty", "dd",
                             "yes", "unshare", "readlink", "mkdir", "stat", "cut", "pwd", "printenv", "tr", "test", "nc", "ip", "wc", "mknod"}) {
    REQUIRE(symlink("busybox", (root + "bin/" + applet).c_str()) == 0);
  }
  REQUIRE(linux::replace_file(root + "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:Web:/home/web:/bin/sh\n").ok());
  REQUIRE(linux::replace_file(root + "etc/group", "root:x:0:\nweb:x:1001:\nlogs:x:2000:nobody,web\n").ok());
  REQUIRE(chmod((root + "tmp").c_str(), 01777) == 0);
  open();
}

Harness::~Harness() {
  if (runtime_) {
    for (const auto& pod : runtime_->list()) CHECK(runtime_->remove_sandbox(pod.spec.id).ok());
  }
  runtime_.reset();
  // Nothing is left: not a mount, and no process that says our directory.
  const auto mounts = linux::read_mounts();
  for (const auto& mount : *mounts) CHECK(mount.mount_point.find(directory_) == std::string::npos);
  CHECK(linux::remove_tree(directory_).ok());
}

void Harness::open() {
  Runtime::Options options;
  options.state_directory = directory_ + "/run";
  options.old_mount_ways = old_mount_ways_;
  options.on_change = [this](const std::string& pod, const ContainerStatus& status) {
    std::lock_guard lock(mutex_);
    statuses_[pod + "/" + status.id] = status;
    changed_.notify_all();
  };
  options.on_sandbox_lost = [this](const std::string& pod) {
    std::lock_guard lock(mutex_);
    lost_.push_back(pod);
    changed_.notify_all();
  };
  auto runtime = Runtime::open(std::move(options));
  INFO(runtime.status().message());
  REQUIRE(runtime.ok());
  runtime_ = std::move(*runtime);
}

void Harness::reopen() {
  runtime_.reset();
  open();
}

PodSandboxSpec Harness::pod(const std::string& id) {
  PodSandboxSpec spec;
  spec.id = id;
  spec.name = "web";
  spec.namespace_ = "default";
  spec.hostname = "web-host";
  spec.log_directory = directory_ + "/log/" + id;
  return spec;
}

ContainerSpec Harness::container(std::vector<std::string> args, const std::string& name) {
  ContainerSpec spec;
  spec.id = name + "-" + std::to_string(++serial_);
  spec.name = name;
  spec.attempt = serial_;
  spec.args = std::move(args);
  spec.lower_directories = {directory_ + "/layer"};
  return spec;
}

ContainerStatus Harness::run(const ContainerSpec& spec, const std::string& pod_id) {
  if (!runtime_->status(pod_id).ok()) {
    const auto made = runtime_->run_sandbox(pod(pod_id));
    INFO(made.status().message());
    REQUIRE(made.ok());
  }
  const auto started = runtime_->start_container(pod_id, spec);
  INFO(started.status().message());
  REQUIRE(started.ok());
  return wait_exited(pod_id, spec.id);
}

ContainerStatus Harness::wait_exited(const std::string& pod_id, const std::string& container_id) {
  std::unique_lock lock(mutex_);
  ContainerStatus& status = statuses_[pod_id + "/" + container_id];
  const bool ended = changed_.wait_for(lock, std::chrono::seconds(20), [&] { return status.state == ContainerState::kExited; });
  CHECK(ended);
  return status;
}

bool Harness::wait_lost(const std::string& pod_id) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return std::find(lost_.begin(), lost_.end(), pod_id) != lost_.end(); });
}

std::string Harness::log(const ContainerSpec& spec) {
  return linux::read_file(directory_ + "/log/pod-1/" + spec.name + "/" + std::to_string(spec.attempt) + ".log").value_or("");
}

std::string Harness::output(const ContainerSpec& spec) {
  std::string result;
  const std::string text = log(spec);
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    size_t start = 0;
    for (int word = 0; word < 3; ++word) start = line.find(' ', start) + 1;
    result += line.substr(start);
    if (line[start - 2] == 'F') result += '\n';
  }
  return result;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  return text;
}

}  // namespace knarr::runtime::test
