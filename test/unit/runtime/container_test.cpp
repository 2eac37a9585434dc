// Containers from outside: what they see and what is reported of them.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "knarr/linux/mount.h"
#include "knarr/linux/tree.h"
#include "unit/runtime/harness.h"

using namespace knarr;
using namespace knarr::runtime;
using knarr::runtime::test::Harness;

TEST_CASE("a container runs its arguments with its environment, directory and host name", "[root]") {
  Harness h;
  auto spec = h.shell("echo $0 $GREETING $HOSTNAME $HOME; hostname; pwd; echo $PATH");
  spec.env = {"GREETING=hello"};
  spec.working_directory = "/made/here";
  const auto status = h.run(spec);
  INFO(status.message);
  CHECK(status.exit_code == 0);
  CHECK(status.reason == "Completed");
  CHECK(status.pid == 0);
  CHECK(status.started_at.time_since_epoch().count() > 0);
  CHECK(status.finished_at >= status.started_at);
  CHECK(h.output(spec) == "sh hello web-host /root\nweb-host\n/made/here\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
}

TEST_CASE("exit codes and signals are reported", "[root]") {
  Harness h;
  CHECK(h.run(h.shell("exit 42")).exit_code == 42);
  const auto error = h.run(h.container({"false"}));
  CHECK(error.exit_code == 1);
  CHECK(error.reason == "Error");

  const auto spec = h.container({"sleep", "1000"});
  const auto started = h.runtime().start_container("pod-1", spec);
  REQUIRE(started.ok());
  CHECK(started->state == ContainerState::kRunning);
  CHECK(kill(started->pid, 0) == 0);
  CHECK(h.runtime().signal_container("pod-1", spec.id, SIGKILL).ok());
  const auto killed = h.wait_exited("pod-1", spec.id);
  CHECK(killed.exit_code == 137);
  CHECK(killed.signal == SIGKILL);
  CHECK_FALSE(killed.oom_killed);
  CHECK(h.runtime().signal_container("pod-1", spec.id, SIGTERM).ok());  // it is over: nothing to do
  CHECK(h.runtime().signal_container("pod-1", "nobody", SIGTERM).is(reason::kNotFound));
}

TEST_CASE("a program that cannot be started says why, as people know it", "[root]") {
  Harness h;
  struct Case {
    std::vector<std::string> args;
    std::string message;
  };
  REQUIRE(linux::replace_file(h.directory() + "/layer/bin/plain", "text", 0644).ok());
  REQUIRE(linux::replace_file(h.directory() + "/layer/bin/garbage", "\1\2\3", 0755).ok());
  for (const Case& c : {Case{{"foo"}, "unable to start container process: exec: \"foo\": executable file not found in $PATH"},
                        {{"/bin/foo"}, "unable to start container process: exec: \"/bin/foo\": stat /bin/foo: no such file or directory"},
                        {{"/bin/plain"}, "unable to start container process: exec: \"/bin/plain\": permission denied"},
                        {{"/etc"}, "unable to start container process: exec: \"/etc\": is a directory"},
                        {{"/bin/garbage"}, "unable to start container process: exec /bin/garbage: exec format error"}}) {
    const auto status = h.run(h.container(c.args));
    CHECK(status.state == ContainerState::kExited);
    CHECK(status.reason == "StartError");
    CHECK(status.exit_code == 128);
    CHECK(status.message == c.message);
  }
  auto nobody = h.container({"true"});
  nobody.user = "somebody";
  CHECK(h.run(nobody).message == "unable to start container process: unable to find user somebody: no matching entries in passwd file");
}

TEST_CASE("users are found in the container's own files", "[root]") {
  Harness h;
  auto named = h.shell("id -u; id -g; id -G; echo $HOME; touch /tmp/mine; echo out > /dev/stdout");
  named.user = "web";
  CHECK(h.run(named).exit_code == 0);
  CHECK(h.output(named) == "1000\n1001\n1001 2000\n/home/web\nout\n");

  auto numbers = h.shell("id -u; id -g; id -G");
  numbers.run_as_user = 4242;
  numbers.run_as_group = 99;
  numbers.security.additional_gids = {5, 6, 99};
  h.run(numbers);
  CHECK(h.output(numbers) == "4242\n99\n99 5 6\n");
}

TEST_CASE("the log has the CRI format, with parts of long lines and the last line without its end", "[root]") {
  Harness h;
  auto spec = h.shell("echo one; echo two >&2; dd if=/dev/zero bs=1000 count=20 2>/dev/null | tr '\\0' x; echo; printf end");
  h.run(spec);
  const std::string log = h.log(spec);
  CHECK_THAT(log, Catch::Contains("Z stdout F one\n"));
  CHECK_THAT(log, Catch::Contains("Z stderr F two\n"));
  CHECK_THAT(log, Catch::Contains("Z stdout P " + std::string(16384, 'x') + "\n"));
  CHECK_THAT(log, Catch::Contains("Z stdout F " + std::string(20000 - 16384, 'x') + "\n"));
  // Not necessarily the last record: standard error is read by itself and may come later.
  CHECK_THAT(log, Catch::Contains("Z stdout P end\n"));
}

TEST_CASE("a renamed log goes on in a new file after reopen", "[root]") {
  Harness h;
  REQUIRE(h.runtime().run_sandbox(h.pod()).ok());
  auto spec = h.shell("echo first; cat; echo second");
  spec.stdin_open = true;
  spec.stdin_once = true;
  REQUIRE(h.runtime().start_container("pod-1", spec).ok());
  ExecOptions options;
  options.stdin_open = true;
  auto session = h.runtime().attach("pod-1", spec.id, options);
  REQUIRE(session.ok());
  REQUIRE(write((*session)->stdin_fd(), "middle\n", 7) == 7);
  std::string seen;
  for (char c; seen.find("middle\n") == std::string::npos && read((*session)->stdout_fd(), &c, 1) == 1;) seen += c;  // so the log has it, too
  const std::string path = h.directory() + "/log/pod-1/" + spec.name + "/" + std::to_string(spec.attempt) + ".log";
  REQUIRE(rename(path.c_str(), (path + ".1").c_str()) == 0);
  REQUIRE(h.runtime().reopen_log("pod-1", spec.id).ok());
  (*session)->close_stdin();
  CHECK((*session)->wait().value() == 0);
  CHECK(h.wait_exited("pod-1", spec.id).exit_code == 0);
  CHECK(h.output(spec) == "second\n");
  CHECK_THAT(linux::read_file(path + ".1").value(), Catch::Contains("first") && Catch::Contains("middle"));
}

TEST_CASE("mounts: given ones, their modes and what is under them", "[root]") {
  Harness h;
  const std::string host = h.directory() + "/host";
  REQUIRE(linux::make_directories(host + "/sub").ok());
  REQUIRE(linux::replace_file(host + "/file", "from the host\n").ok());
  auto spec = h.shell(
      "cat /data/file /one; touch /data/new && echo wrote; touch /ro/x 2>/dev/null || echo read-only; touch /missing/y && echo made;"
      "grep ' /scratch ' /proc/mounts | cut -d' ' -f3; grep -c ' /data/sub' /proc/mounts; touch /fresh/z");
  const auto bind = [&](const std::string& source, const std::string& destination, bool read_only) {
    Mount mount;
    mount.source = source;
    mount.destination = destination;
    mount.read_only = read_only;
    spec.mounts.push_back(mount);
  };
  bind(host + "/sub", "/data/sub", false);  // before its parent on purpose
  bind(host, "/data", false);
  bind(host, "/ro", true);
  bind(host + "/file", "/one", true);
  bind(h.directory() + "/not/there/yet", "/fresh", false);
  Mount scratch;
  scratch.source = "tmpfs";
  scratch.destination = "/scratch";
  scratch.type = "tmpfs";
  scratch.options = "size=1m,mode=1777";
  spec.mounts.push_back(scratch);
  scratch.destination = "/missing";
  spec.mounts.push_back(scratch);
  const auto status = h.run(spec);
  INFO(status.message);
  CHECK(h.output(spec) == "from the host\nfrom the host\nwrote\nread-only\nmade\ntmpfs\n1\n");
  CHECK(access((host + "/new").c_str(), F_OK) == 0);
  CHECK(access((h.directory() + "/not/there/yet/z").c_str(), F_OK) == 0);
}

TEST_CASE("mount propagation: to the container, and from it", "[root]") {
  Harness h;
  const std::string host = h.directory() + "/shared";
  REQUIRE(linux::make_directories(host + "/later").ok());
  REQUIRE(linux::make_directories(host + "/theirs").ok());
  REQUIRE(linux::mount_at(host, host, "", MS_BIND).ok());
  linux::ScopedMount owner(host);
  REQUIRE(linux::mount_at("", host, "", MS_PRIVATE).ok());  // where / is shared, a group of its own
  REQUIRE(linux::mount_at("", host, "", MS_SHARED).ok());
  REQUIRE(h.runtime().run_sandbox(h.pod()).ok());
  auto spec = h.container({"sleep", "1000"});
  spec.security.privileged = true;
  Mount mount;
  mount.source = host;
  mount.destination = "/private";
  spec.mounts.push_back(mount);
  mount.destination = "/slave";
  mount.propagation = "rslave";
  spec.mounts.push_back(mount);
  mount.destination = "/both";
  mount.propagation = "rshared";
  spec.mounts.push_back(mount);
  const auto status = h.runtime().start_container("pod-1", spec);
  INFO(status->message);
  REQUIRE(status->state == ContainerState::kRunning);
  REQUIRE(linux::mount_at("tmpfs", host + "/later", "tmpfs", 0).ok());
  ExecOptions look;
  look.args = {"sh", "-c", "for d in private slave both; do grep -c \" /$d/later \" /proc/mounts; done; mount -t tmpfs x /both/theirs; mount -t tmpfs x /slave/later"};
  auto session = h.runtime().exec("pod-1", spec.id, look);
  REQUIRE(session.ok());
  CHECK(test::read_all((*session)->stdout_fd()) == "0\n1\n1\n");
  CHECK((*session)->wait().value() == 0);
  int theirs = 0, later = 0;
  const auto mounts = linux::read_mounts();
  for (const auto& m : *mounts) {
    theirs += m.mount_point == host + "/theirs";
    later += m.mount_point == host + "/later";
  }
  CHECK(theirs == 1);
  CHECK(later == 1);
  CHECK(linux::unmount_tree(host + "/theirs").ok());
  CHECK(linux::unmount_tree(host + "/later").ok());
}

TEST_CASE("limits that a process sets for itself", "[root]") {
  Harness h;
  auto spec = h.shell("ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; umask; grep SigIgn /proc/self/status | cut -f2");
  spec.rlimits = {{"RLIMIT_NOFILE", 100, 200}, {"core", 0, 0}};
  spec.oom_score_adj = 500;
  h.run(spec);
  CHECK(h.output(spec) == "100\n200\n500\n0022\n0000000000000000\n");
  auto bad = h.shell("true");
  bad.rlimits = {{"RLIMIT_NONSENSE", 1, 1}};
  CHECK_THAT(h.run(bad).message, Catch::Contains("RLIMIT_NONSENSE"));
}

TEST_CASE("a link in the image cannot lead a mount out of the root", "[root]") {
  Harness h;
  const std::string outside = h.directory() + "/outside";
  REQUIRE(linux::make_directories(outside).ok());
  REQUIRE(linux::make_directories(h.directory() + "/layer" + outside).ok());
  REQUIRE(symlink(outside.c_str(), (h.directory() + "/layer/escape").c_str()) == 0);
  auto spec = h.shell("ls /escape/in");
  Mount mount;
  mount.source = h.directory() + "/layer/etc";
  mount.destination = "/escape/in";
  spec.mounts.push_back(mount);
  const auto status = h.run(spec);
  INFO(status.message);
  CHECK(h.output(spec) == "group\npasswd\n");
  CHECK(access((outside + "/in").c_str(), F_OK) != 0);
}

TEST_CASE("the root: writable for each container alone, or read-only", "[root]") {
  Harness h;
  auto first = h.shell("echo changed > /etc/passwd; touch /new; ls /new");
  CHECK(h.run(first).exit_code == 0);
  auto second = h.shell("ls /new 2>/dev/null || echo clean; grep -c root /etc/passwd");
  h.run(second);
  CHECK(h.output(second) == "clean\n1\n");
  auto read_only = h.shell("touch /x 2>/dev/null || echo read-only; touch /dev/shm/x && echo shm");
  read_only.security.read_only_root = true;
  h.run(read_only);
  CHECK(h.output(read_only) == "read-only\nshm\n");
  CHECK(access((h.directory() + "/layer/new").c_str(), F_OK) != 0);
}

TEST_CASE("standard devices and file systems are there, dangerous paths are covered", "[root]") {
  Harness h;
  auto spec = h.shell(
      "for d in null zero full random urandom tty ptmx fd stdin stdout stderr pts shm mqueue; do test -e /dev/$d || echo no $d; done;"
      "head -c 3 /dev/zero | wc -c; cat /proc/keys | wc -c; cat /proc/timer_list | wc -c;"
      "(echo x > /proc/sys/kernel/hostname) 2>/dev/null || echo sys read-only; mkdir /sys/fs/x 2>/dev/null || echo sysfs read-only;"
      "ls /proc/1/root/bin/busybox; cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l");
  const auto status = h.run(spec);
  INFO(status.message);
  CHECK(h.output(spec) == "3\n0\n0\nsys read-only\nsysfs read-only\n/proc/1/root/bin/busybox\nsh\n3\n");
}

TEST_CASE("containers of a pod share /dev/shm, the network and the host name, not their processes", "[root]") {
  Harness h(GENERATE(false, true));  // where /dev/shm is a mount that hangs nowhere, and where it cannot be
  auto writer = h.shell("echo shared > /dev/shm/x; for n in net ipc uts; do readlink /proc/self/ns/$n; done", "writer");
  h.run(writer);
  auto reader = h.shell("for n in net ipc uts; do readlink /proc/self/ns/$n; done; cat /dev/shm/x", "reader");
  h.run(reader);
  CHECK(h.output(reader) == h.output(writer) + "shared\n");
  char ours[64] = {};
  REQUIRE(readlink("/proc/self/ns/net", ours, sizeof ours - 1) > 0);
  CHECK_THAT(h.output(writer), !Catch::Contains(ours));
  const auto path = h.runtime().network_namespace("pod-1");
  char theirs[64] = {};
  REQUIRE(readlink(path.value().c_str(), theirs, sizeof theirs - 1) > 0);
  CHECK_THAT(h.output(writer), Catch::Contains(theirs));
}

TEST_CASE("a shared process namespace shows the other containers, and zombies are reaped there", "[root]") {
  Harness h;
  auto pod = h.pod();
  pod.share_process_namespace = true;
  REQUIRE(h.runtime().run_sandbox(pod).ok());
  const auto sleeper = h.container({"sleep", "12345"}, "sleeper");
  REQUIRE(h.runtime().start_container("pod-1", sleeper).ok());
  auto looker = h.shell("ps | grep -c '[s]leep 12345'; cat /proc/1/comm; (sleep 0.01 &) ; sleep 0.05; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l", "looker");
  h.run(looker);
  CHECK(h.output(looker) == "1\nknarr-init\n0\n");
}

TEST_CASE("the host's network and processes when the pod asks for them", "[root]") {
  Harness h;
  auto pod = h.pod();
  pod.host_network = true;
  pod.host_pid = true;
  REQUIRE(h.runtime().run_sandbox(pod).ok());
  CHECK(h.runtime().network_namespace("pod-1").value().empty());
  auto spec = h.shell("readlink /proc/self/ns/net; readlink /proc/self/ns/pid");
  h.run(spec);
  char net[64] = {}, pid[64] = {};
  REQUIRE(readlink("/proc/self/ns/net", net, sizeof net - 1) > 0);
  REQUIRE(readlink("/proc/self/ns/pid", pid, sizeof pid - 1) > 0);
  CHECK(h.output(spec) == std::string(net) + "\n" + pid + "\n");
}

TEST_CASE("sysctls of the pod's namespaces are set, others refused", "[root]") {
  Harness h;
  auto pod = h.pod();
  pod.sysctls = {{"net.ipv4.ip_local_port_range", "2000 3000"}, {"kernel.shm_rmid_forced", "1"}};
  REQUIRE(h.runtime().run_sandbox(pod).ok());
  auto spec = h.shell("cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_unprivileged_port_start");
  h.run(spec);
  CHECK(h.output(spec) == "2000\t3000\n1\n0\n");
  auto bad = h.pod("pod-2");
  bad.sysctls = {{"kernel.panic", "1"}};
  const auto refused = h.runtime().run_sandbox(bad);
  REQUIRE_FALSE(refused.ok());
  CHECK_THAT(refused.status().message(), Catch::Contains("kernel.panic"));
  CHECK(access((h.directory() + "/run/pod-2").c_str(), F_OK) != 0);
}
