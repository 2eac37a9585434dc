// Descriptors over sockets, the mount table's text, capabilities, cgroup arithmetic, namespaces.
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>

#include "knarr/linux/caps.h"
#include "knarr/linux/cgroup.h"
#include "knarr/linux/fd.h"
#include "knarr/linux/mount.h"
#include "knarr/linux/namespace.h"
#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;

namespace {
struct TempDir : test::TempDirectory {
  ~TempDir() { (void)linux::unmount_tree(path); }
};
}  // namespace

TEST_CASE("descriptors travel over a unix socket, also one whose path is longer than the kernel takes") {
  TempDir dir;
  const std::string path = dir.path + "/" + std::string(120, 'd');
  REQUIRE(linux::make_directories(path).ok());
  auto listener = linux::listen_unix(path + "/s");
  REQUIRE(listener.ok());
  struct stat info;
  REQUIRE(stat((path + "/s").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  auto client = linux::connect_unix(path + "/s");
  REQUIRE(client.ok());
  linux::UniqueFd server(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));

  auto pipe = *linux::make_pipe();
  const int fds[] = {pipe.write.get()};
  REQUIRE(linux::send_with_fds(client->get(), "hi", fds).value() == 2);
  char buffer[16];
  auto received = linux::receive_with_fds(server.get(), buffer, sizeof buffer);
  REQUIRE(received.ok());
  CHECK(received->bytes == 2);
  REQUIRE(received->fds.size() == 1);
  REQUIRE(write(received->fds[0].get(), "x", 1) == 1);
  CHECK(read(pipe.read.get(), buffer, 1) == 1);

  client->reset();
  CHECK(linux::receive_with_fds(server.get(), buffer, sizeof buffer)->state == linux::Received::kEnd);
  // A socket file that was left behind is replaced.
  listener->reset();
  CHECK(linux::listen_unix(path + "/s").ok());
}

TEST_CASE("the mount table is read with its escapes and optional fields") {
  const auto mounts = linux::parse_mounts(
      "36 35 98:0 /mnt1 /mnt/with\\040space rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n"
      "nonsense\n"
      "37 36 0:5 / /proc rw - proc proc rw\n");
  REQUIRE(mounts.size() == 2);
  CHECK(mounts[0].id == 36);
  CHECK(mounts[0].parent == 35);
  CHECK(mounts[0].root == "/mnt1");
  CHECK(mounts[0].mount_point == "/mnt/with space");
  CHECK(mounts[0].propagation == std::vector<std::string>{"shared:1", "master:2"});
  CHECK(mounts[0].type == "ext3");
  CHECK(mounts[0].super_options == "rw,errors=continue");
  CHECK(mounts[1].propagation.empty());
}

TEST_CASE("mount options are told apart: the file system's and the mount's") {
  uint64_t attributes = MOUNT_ATTR_NODEV;
  const auto options = linux::parse_mount_options("size=64m,noexec,dev,mode=1777,huge", attributes);
  CHECK(options == linux::MountOptions{{"size", "64m"}, {"mode", "1777"}, {"huge", ""}});
  CHECK(attributes == MOUNT_ATTR_NOEXEC);
}

TEST_CASE("capabilities have names with and without CAP_") {
  CHECK(linux::parse_capability("NET_ADMIN").value() == 12);
  CHECK(linux::parse_capability("cap_chown").value() == 0);
  CHECK(linux::parse_capability("CHECKPOINT_RESTORE").value() == 40);
  CHECK_FALSE(linux::parse_capability("NET_").ok());
  CHECK_FALSE(linux::parse_capability("CAP_").ok());
  CHECK(linux::capability_name(21) == "CAP_SYS_ADMIN");
}

TEST_CASE("cpu shares become the weight that other runtimes set") {
  struct Case {
    int64_t shares, weight;
  };
  for (const Case& c : {Case{0, 0}, {1, 1}, {2, 1}, {1024, 100}, {262144, 10000}, {1 << 30, 10000}}) {
    CAPTURE(c.shares);
    CHECK(linux::cpu_weight_of_shares(c.shares) == c.weight);
  }
}

TEST_CASE("an overlay of many layers with long and odd paths", "[root]") {
  TempDir dir;
  linux::Overlay overlay;
  for (int i = 0; i < 60; ++i) {
    overlay.lower.push_back(dir.path + "/lower," + std::string(100, 'x') + ":" + std::to_string(i));
    REQUIRE(linux::make_directories(overlay.lower.back()).ok());
    REQUIRE(linux::replace_file(overlay.lower.back() + "/layer", std::to_string(i)).ok());
    REQUIRE(linux::replace_file(overlay.lower.back() + "/only" + std::to_string(i), "").ok());
  }
  overlay.upper = dir.path + "/upper";
  overlay.work = dir.path + "/work/work";
  for (const auto& path : {overlay.upper, overlay.work, dir.path + "/root"}) REQUIRE(linux::make_directories(path).ok());
  const bool by_options = GENERATE(false, true);
  auto mount = by_options ? linux::make_overlay_by_options(overlay, MOUNT_ATTR_NODEV) : linux::make_overlay(overlay, MOUNT_ATTR_NODEV);
  INFO(mount.status().message());
  REQUIRE(mount.ok());
  REQUIRE(linux::attach_mount(mount->get(), dir.path + "/root").ok());
  linux::ScopedMount owner(dir.path + "/root");
  CHECK(linux::read_file(dir.path + "/root/layer").value() == "59");
  CHECK(access((dir.path + "/root/only0").c_str(), F_OK) == 0);
}

TEST_CASE("unmount_tree takes mounts upon mounts", "[root]") {
  TempDir dir;
  REQUIRE(linux::make_directories(dir.path + "/a").ok());
  REQUIRE(linux::mount_at("tmpfs", dir.path + "/a", "tmpfs", 0).ok());
  REQUIRE(linux::mount_at("tmpfs", dir.path + "/a", "tmpfs", 0).ok());
  REQUIRE(linux::make_directories(dir.path + "/a/b").ok());
  REQUIRE(linux::mount_at("tmpfs", dir.path + "/a/b", "tmpfs", 0, "size=1m").ok());
  REQUIRE(linux::unmount_tree(dir.path).ok());
  const auto mounts = linux::read_mounts();
  for (const auto& mount : *mounts) CHECK(mount.mount_point.find(dir.path) == std::string::npos);
  CHECK(linux::unmount(dir.path + "/a").ok());
}

TEST_CASE("a network namespace is made, entered and named", "[root]") {
  auto made = linux::make_network_namespace();
  REQUIRE(made.ok());
  const auto ours = linux::namespace_id(linux::open_namespace(0, "net")->get()).value();
  CHECK(linux::namespace_id(made->get()).value() != ours);
  CHECK(linux::in_network_namespace(made->get(), [&] {
          auto inside = linux::open_namespace(0, "net");
          CHECK(linux::namespace_id(inside->get()).value() == linux::namespace_id(made->get()).value());
          return linux::bring_up_loopback();
        }).ok());
  CHECK(linux::namespace_id(linux::open_namespace(0, "net")->get()).value() == ours);
}

TEST_CASE("a cgroup is made, kills what is in it and is removed with those beneath", "[root]") {
  auto hierarchy = linux::CgroupHierarchy::detect();
  if (!hierarchy.ok()) return;  // a host without v2
  const std::string name = "knarr-test-" + std::to_string(getpid());
  auto group = hierarchy->create(name + "/inner");
  INFO(group.status().message());
  REQUIRE(group.ok());
  CHECK_FALSE(group->populated());
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  REQUIRE(group->add(child).ok());
  CHECK(group->populated());
  CHECK(group->processes().value() == std::vector<int>{child});
  CHECK(group->kill().ok());
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(linux::Cgroup(hierarchy->root() + "/" + name).remove().ok());
  CHECK(access(group->directory().c_str(), F_OK) != 0);
}
