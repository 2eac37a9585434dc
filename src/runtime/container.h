// One container in its shim: its process, its streams into the log and to whoever is attached, its end.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>

#include "knarr/linux/event_loop.h"
#include "runtime/container_process.h"
#include "runtime/log_writer.h"

namespace knarr::runtime {

// A pipe to a client that is attached. What it does not take at once waits, up to a limit; a reader too slow is cut off.
class OutputSink {
 public:
  OutputSink(linux::EventLoop& loop, linux::UniqueFd pipe) : loop_(loop), pipe_(std::move(pipe)) {}
  ~OutputSink();
  OutputSink(const OutputSink&) = delete;
  OutputSink& operator=(const OutputSink&) = delete;
  void write(std::string_view bytes);

 private:
  void flush();
  void close();
  linux::EventLoop& loop_;
  linux::UniqueFd pipe_;
  std::string pending_;
  bool watched_ = false;
};

struct ContainerEnvironment {  // the pod's part
  const PodSandboxSpec& pod;
  std::string pod_directory;
  std::string shm_path;
  int shm_fd = -1;
  int pid_namespace = -1;  // pidfd of the pod's reaper
  linux::Cgroup pod_cgroup;
  std::string cgroup_root;
  bool device_filter = false;
  bool old_mount_ways = false;
};

class Container {
 public:
  // `on_change` is called when it started, could not start, or ended.
  Container(linux::EventLoop& loop, ContainerRequest request, std::function<void(Container&)> on_change);
  ~Container();
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  // Clones its process; on_change tells the rest. On an error there is none, and the status says why.
  Status start(const ContainerEnvironment& environment);

  const ContainerSpec& spec() const { return request_.spec; }
  const ContainerRequest& request() const { return request_; }
  const ContainerRecord& record() const { return record_; }
  const linux::Cgroup& cgroup() const { return cgroup_; }
  pid_t pid() const { return process_.pid; }
  int pidfd() const { return process_.pidfd.get(); }
  bool running() const { return record_.status.state == ContainerState::kRunning; }
  bool alive() const { return process_.pid > 0; }  // its process is not reaped yet

  void on_exit(int wait_status);  // its process was reaped
  Status signal(int number);
  void kill();
  Status reopen_log();

  // The ends that a client gets, in the order of its request: stdin, stdout and stderr, or one for a terminal and its output.
  Result<std::vector<linux::UniqueFd>> attach(const ExecRequest& request, const void* client);
  void detach(const std::string& session, const void* client);
  void detach_all(const void* client);
  void close_stdin_once(const std::string& session, const void* client);
  std::vector<std::pair<std::string, const void*>> sessions() const;

 private:
  struct Output {
    linux::UniqueFd fd;
    Stream stream;
  };
  struct Attachment {
    std::string session;
    const void* client;
    bool with_stdin;
    std::unique_ptr<OutputSink> out, err;
  };

  Status start_process(const ContainerEnvironment& environment);
  Status watch(Output& output);
  void on_handshake();
  void on_started();
  void fail(const std::string& message);
  bool read_output(Output& output);  // false: nothing there now
  void close_output(Output& output);
  void drop_streams();

  linux::EventLoop& loop_;
  const ContainerRequest request_;
  const std::function<void(Container&)> on_change_;
  ContainerRecord record_;
  linux::Cgroup cgroup_;
  bool shared_pid_namespace_ = false;
  StartedProcess process_;
  Handshake handshake_;
  std::optional<LogWriter> log_;
  Output outputs_[2];
  linux::UniqueFd stdin_;     // our end of its stdin, or another of the terminal's master
  linux::UniqueFd terminal_;  // for attaching; outputs_[0] reads from a copy
  std::list<Attachment> attachments_;
};

}  // namespace knarr::runtime
