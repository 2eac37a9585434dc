// What the runtime's tests share: a Runtime whose shims are this test program, and a root file system of one busybox.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "knarr/runtime/runtime.h"

namespace knarr::runtime::test {

// A directory with a Runtime's state, a busybox root and logs; everything is removed at its end.
class Harness {
 public:
  explicit Harness(bool old_mount_ways = false);
  ~Harness();

  Runtime& runtime() { return *runtime_; }
  void reopen();  // a new Runtime over the same state, as after the agent's restart; the old one is let go first

  PodSandboxSpec pod(const std::string& id = "pod-1");
  ContainerSpec container(std::vector<std::string> args, const std::string& name = "c");
  ContainerSpec shell(const std::string& script, const std::string& name = "c") { return container({"sh", "-c", script}, name); }

  // Runs a container to its end in the pod (made when it is not there); answers its last status.
  ContainerStatus run(const ContainerSpec& spec, const std::string& pod_id = "pod-1");
  ContainerStatus wait_exited(const std::string& pod_id, const std::string& container_id);
  bool wait_lost(const std::string& pod_id);
  std::string log(const ContainerSpec& spec);     // the file as it is
  std::string output(const ContainerSpec& spec);  // the log's lines without time, stream and tag

  const std::string& directory() const { return directory_; }

 private:
  void open();

  const bool old_mount_ways_;
  std::string directory_;
  int serial_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, ContainerStatus> statuses_;
  std::vector<std::string> lost_;
  std::unique_ptr<Runtime> runtime_;
};

std::string read_all(int fd);  // until its end

}  // namespace knarr::runtime::test
