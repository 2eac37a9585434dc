// Shims: adopted after a restart, reported when they die, gone without a trace when the pod is removed. Exec and attach.
#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "knarr/linux/cgroup.h"
#include "knarr/linux/process.h"
#include "knarr/linux/tree.h"
#include "unit/runtime/harness.h"

using namespace knarr;
using namespace knarr::runtime;
using knarr::runtime::test::Harness;
using knarr::runtime::test::read_all;

namespace {
ExecOptions options(std::vector<std::string> args) {
  ExecOptions result;
  result.args = std::move(args);
  return result;
}

// Dead, whether its parent has looked at it or not; a moment is given for that.
bool ended(const linux::UniqueFd& pidfd) {
  pollfd wait{pidfd.get(), POLLIN, 0};
  return poll(&wait, 1, 5000) == 1;
}

// A container that sleeps in pod-1.
ContainerSpec start_sleeper(Harness& h) {
  REQUIRE(h.runtime().run_sandbox(h.pod()).ok());
  auto spec = h.container({"sleep", "1000"});
  spec.env = {"COLOUR=blue"};
  spec.user = "web";
  const auto started = h.runtime().start_container("pod-1", spec);
  REQUIRE(started.ok());
  REQUIRE(started->state == ContainerState::kRunning);
  return spec;
}
}  // namespace

TEST_CASE("exec runs in the container, as its user, with its environment and limits", "[root]") {
  Harness h;
  const auto spec = start_sleeper(h);
  auto session = h.runtime().exec("pod-1", spec.id,
                                  options({"sh", "-c", "id -u; echo $COLOUR; cat /proc/1/comm; hostname; grep Seccomp: /proc/self/status | cut -f2; echo oops >&2; exit 5"}));
  INFO(session.status().message());
  REQUIRE(session.ok());
  CHECK(read_all((*session)->stdout_fd()) == "1000\nblue\nsleep\nweb-host\n2\n");
  CHECK(read_all((*session)->stderr_fd()) == "oops\n");
  CHECK((*session)->stdin_fd() == -1);
  CHECK((*session)->wait().value() == 5);

  auto input = options({"cat"});
  input.stdin_open = true;
  auto cat = h.runtime().exec("pod-1", spec.id, input);
  REQUIRE(cat.ok());
  REQUIRE(write((*cat)->stdin_fd(), "through\n", 8) == 8);
  (*cat)->close_stdin();
  CHECK(read_all((*cat)->stdout_fd()) == "through\n");
  CHECK((*cat)->wait().value() == 0);

  const auto missing = h.runtime().exec("pod-1", spec.id, options({"nope"}));
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.status().message() == "unable to start container process: exec: \"nope\": executable file not found in $PATH");
  CHECK(h.runtime().exec("pod-1", "none", options({"true"})).status().is(reason::kNotFound));
}

TEST_CASE("exec with a terminal: one descriptor for both ways, with a size", "[root]") {
  Harness h;
  const auto spec = start_sleeper(h);
  auto with_terminal = options({"sh", "-c", "tty; read x; stty size; echo got $x; exit 3"});
  with_terminal.terminal = with_terminal.stdin_open = true;
  auto session = h.runtime().exec("pod-1", spec.id, with_terminal);
  INFO(session.status().message());
  REQUIRE(session.ok());
  CHECK((*session)->resize(100, 40).ok());
  REQUIRE(write((*session)->stdin_fd(), "word\n", 5) == 5);
  const std::string seen = read_all((*session)->stdout_fd());
  CHECK_THAT(seen, Catch::Contains("/dev/pts/0\r\n") && Catch::Contains("40 100\r\n") && Catch::Contains("got word\r\n"));
  CHECK((*session)->wait().value() == 3);
}

TEST_CASE("letting go of an exec kills its process", "[root]") {
  Harness h;
  const auto spec = start_sleeper(h);
  auto session = h.runtime().exec("pod-1", spec.id, options({"sh", "-c", "echo $$; exec sleep 999"}));
  REQUIRE(session.ok());
  char buffer[16] = {};
  REQUIRE(read((*session)->stdout_fd(), buffer, sizeof buffer - 1) > 0);
  session->reset();
  auto waiter = h.runtime().exec("pod-1", spec.id, options({"sh", "-c", "while test -e /proc/" + std::to_string(atoi(buffer)) + "; do sleep 0.01; done"}));
  REQUIRE(waiter.ok());
  CHECK((*waiter)->wait().value() == 0);
}

TEST_CASE("a container with a terminal logs it as stdout, and can be attached to", "[root]") {
  Harness h;
  REQUIRE(h.runtime().run_sandbox(h.pod()).ok());
  auto spec = h.shell("tty; read line; echo said $line; test -c /dev/console && echo console");
  spec.terminal = spec.stdin_open = true;
  REQUIRE(h.runtime().start_container("pod-1", spec).ok());
  ExecOptions attach;
  attach.stdin_open = attach.terminal = true;
  auto session = h.runtime().attach("pod-1", spec.id, attach);
  INFO(session.status().message());
  REQUIRE(session.ok());
  CHECK((*session)->resize(80, 24).ok());
  REQUIRE(write((*session)->stdin_fd(), "hi\n", 3) == 3);
  CHECK_THAT(read_all((*session)->stdout_fd()), Catch::Contains("said hi\r\n"));
  CHECK((*session)->wait().value() == 0);
  h.wait_exited("pod-1", spec.id);
  CHECK_THAT(h.log(spec), Catch::Contains("stdout F /dev/pts/0\r\n") && Catch::Contains("stdout F said hi\r\n") && Catch::Contains("stdout F console\r\n"));
}

TEST_CASE("a new runtime adopts the pods of the one before", "[root]") {
  Harness h;
  const auto spec = start_sleeper(h);
  const auto ended = h.shell("exit 9", "ended");
  h.run(ended);
  const auto before = *h.runtime().status("pod-1");
  h.reopen();
  CHECK(h.runtime().list().empty());
  const auto found = h.runtime().recover();
  REQUIRE(found.ok());
  REQUIRE(found->size() == 1);
  const auto& pod = found->front();
  CHECK(pod.spec.hostname == "web-host");
  CHECK(pod.shim_pid == before.shim_pid);
  REQUIRE(pod.containers.size() == 2);
  for (const auto& container : pod.containers) {
    CHECK(container.state == (container.id == spec.id ? ContainerState::kRunning : ContainerState::kExited));
    if (container.id == ended.id) CHECK(container.exit_code == 9);
  }
  // It is as usable as before.
  auto session = h.runtime().exec("pod-1", spec.id, options({"echo", "again"}));
  REQUIRE(session.ok());
  CHECK(read_all((*session)->stdout_fd()) == "again\n");
  CHECK(h.runtime().signal_container("pod-1", spec.id, SIGTERM).ok());
  CHECK(h.runtime().signal_container("pod-1", spec.id, SIGKILL).ok());
  CHECK(h.wait_exited("pod-1", spec.id).signal == SIGKILL);
}

TEST_CASE("pods outlive an agent that is killed, and the next one adopts them", "[root]") {
  Harness h;
  auto out = *linux::make_pipe();
  linux::SpawnOptions spawn;
  spawn.executable = "/proc/self/exe";
  spawn.arguments = {"test", "agent-to-be-killed", h.directory() + "/run", h.directory() + "/layer"};
  spawn.fds = {{out.write.get(), 1}};
  auto agent = linux::Process::spawn(spawn);
  REQUIRE(agent.ok());
  out.write.reset();
  char up[2];
  REQUIRE(read(out.read.get(), up, 2) == 2);
  agent->kill_and_wait();
  const auto found = h.runtime().recover();
  REQUIRE(found.ok());
  REQUIRE(found->size() == 1);
  REQUIRE(found->front().containers.size() == 1);
  CHECK(found->front().containers.front().state == ContainerState::kRunning);
  auto session = h.runtime().exec("pod-1", "c", options({"echo", "alive"}));
  REQUIRE(session.ok());
  CHECK(read_all((*session)->stdout_fd()) == "alive\n");
}

TEST_CASE("a killed shim is reported, and takes its containers along", "[root]") {
  Harness h;
  const auto spec = start_sleeper(h);
  const auto status = *h.runtime().status("pod-1");
  const auto container = linux::open_pidfd(status.containers.front().pid);
  REQUIRE(container.ok());
  REQUIRE(kill(status.shim_pid, SIGKILL) == 0);
  REQUIRE(h.wait_lost("pod-1"));
  CHECK(ended(*container));
  const auto exited = h.wait_exited("pod-1", spec.id);
  CHECK(exited.exit_code == 137);
  CHECK_THAT(exited.message, Catch::Contains("shim"));
  CHECK(h.runtime().start_container("pod-1", h.shell("true")).status().is(reason::kServiceUnavailable));
  CHECK(h.runtime().remove_sandbox("pod-1").ok());
  CHECK(h.runtime().list().empty());
  // The name is free again.
  CHECK(h.runtime().run_sandbox(h.pod()).ok());
}

TEST_CASE("a pod whose shim died while nobody looked is cleaned up and reported", "[root]") {
  Harness h;
  start_sleeper(h);
  const int shim = h.runtime().status("pod-1")->shim_pid;
  const auto pidfd = linux::open_pidfd(shim);
  h.reopen();
  REQUIRE(kill(shim, SIGKILL) == 0);
  const auto found = h.runtime().recover();
  REQUIRE(found.ok());
  CHECK(found->empty());
  CHECK(h.wait_lost("pod-1"));
  CHECK(access((h.directory() + "/run/pod-1").c_str(), F_OK) != 0);
}

TEST_CASE("what an earlier boot's state names is not killed: numbers and start times come again", "[root]") {
  Harness h;
  const std::string run = h.directory() + "/run";
  const bool same_boot = GENERATE(true, false);
  auto sleeper = linux::Process::spawn({.executable = "/bin/sleep", .arguments = {"sleep", "1000"}, .environment = {}, .working_directory = "", .fds = {}});
  REQUIRE(sleeper.ok());
  REQUIRE(linux::make_directories(run + "/pod-9").ok());
  REQUIRE(linux::replace_file(run + "/pod-9/state.json",
                              fmt::format(R"({{"spec":{{"id":"pod-9"}},"containers":[{{"status":{{"id":"c","state":1,"pid":{}}},"startTime":{}}}]}})", sleeper->pid(),
                                          linux::process_start_time(sleeper->pid()).value()))
              .ok());
  if (!same_boot) REQUIRE(linux::replace_file(run + "/.boot-id", "another\n").ok());
  h.reopen();
  REQUIRE(h.runtime().recover().ok());
  CHECK(access((run + "/pod-9").c_str(), F_OK) != 0);
  CHECK(sleeper->try_wait().value().has_value() == same_boot);
  sleeper->kill_and_wait();
}

TEST_CASE("removing a pod ends its processes and deletes everything but its logs", "[root]") {
  Harness h;
  const auto spec = start_sleeper(h);
  const auto stubborn = h.shell("trap '' TERM; (sleep 1000 &); echo up; while true; do sleep 1000; done", "stubborn");
  REQUIRE(h.runtime().start_container("pod-1", stubborn).ok());
  const auto status = *h.runtime().status("pod-1");
  std::vector<linux::UniqueFd> processes;
  for (const auto& container : status.containers) processes.push_back(*linux::open_pidfd(container.pid));
  processes.push_back(*linux::open_pidfd(status.shim_pid));
  CHECK(h.runtime().run_sandbox(h.pod()).status().is(reason::kAlreadyExists));
  CHECK(h.runtime().remove_container("pod-1", spec.id).is(reason::kConflict));
  REQUIRE(h.runtime().remove_sandbox("pod-1").ok());
  for (const auto& process : processes) CHECK(ended(process));
  CHECK(access((h.directory() + "/run/pod-1").c_str(), F_OK) != 0);
  CHECK(access((h.directory() + "/log/pod-1").c_str(), F_OK) == 0);
  const auto hierarchy = linux::CgroupHierarchy::detect();
  if (hierarchy.ok()) CHECK(access((hierarchy->root() + "/knarr/podpod-1").c_str(), F_OK) != 0);
  CHECK(h.runtime().status("pod-1").status().is(reason::kNotFound));
  CHECK(h.runtime().remove_sandbox("pod-1").ok());
  CHECK(h.runtime().remove_sandbox("never-was").ok());
  CHECK(h.runtime().remove_sandbox("../../etc").is(reason::kBadRequest));
}

TEST_CASE("an exited container is removed with what it wrote", "[root]") {
  Harness h;
  const auto spec = h.shell("touch /file");
  h.run(spec);
  const std::string directory = h.directory() + "/run/pod-1/containers/" + spec.id;
  CHECK(access((directory + "/upper/file").c_str(), F_OK) == 0);
  CHECK(h.runtime().remove_container("pod-1", spec.id).ok());
  CHECK(access(directory.c_str(), F_OK) != 0);
  CHECK(h.runtime().status("pod-1")->containers.empty());
  CHECK(h.runtime().remove_container("pod-1", spec.id).ok());
}

TEST_CASE("many pods at once", "[root]") {
  Harness h;
  std::vector<std::thread> threads;
  std::atomic<int> running{0};
  for (int i = 0; i < 12; ++i) {
    const std::string id = "many-" + std::to_string(i);
    auto pod = h.pod(id);
    auto spec = h.container({"sleep", "1000"});
    threads.emplace_back([&h, &running, pod, spec] {
      if (!h.runtime().run_sandbox(pod).ok()) return;
      const auto status = h.runtime().start_container(pod.id, spec);
      if (status.ok() && status->state == ContainerState::kRunning) ++running;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(running == 12);
  CHECK(h.runtime().list().size() == 12);
}
