// What a container may do, as the kernel shows it in /proc/self/status, and the tables behind it.
#include <catch2/catch.hpp>
#include <linux/filter.h>

#include "knarr/linux/tree.h"
#include "runtime/capabilities.h"
#include "runtime/seccomp.h"
#include "runtime/sysctl.h"
#include "runtime/user.h"
#include "unit/runtime/harness.h"

using namespace knarr;
using namespace knarr::runtime;
using knarr::runtime::test::Harness;

namespace {
const char* const kShow = "grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'";
}

TEST_CASE("default capabilities and seccomp are in force", "[root]") {
  Harness h;
  auto spec = h.shell(kShow);
  h.run(spec);
  CHECK(h.output(spec) ==
        "CapInh:0000000000000000\nCapPrm:00000000a80425fb\nCapEff:00000000a80425fb\nCapBnd:00000000a80425fb\nCapAmb:0000000000000000\n"
        "NoNewPrivs:0\nSeccomp:2\n");

  auto user = h.shell(kShow);
  user.run_as_user = 1000;
  user.security.no_new_privileges = true;
  h.run(user);
  CHECK(h.output(user) ==
        "CapInh:0000000000000000\nCapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:00000000a80425fb\nCapAmb:0000000000000000\n"
        "NoNewPrivs:1\nSeccomp:2\n");

  auto dropped = h.shell(kShow);
  dropped.security.drop_capabilities = {"ALL"};
  dropped.security.add_capabilities = {"NET_BIND_SERVICE"};
  dropped.security.seccomp = "Unconfined";
  h.run(dropped);
  CHECK_THAT(h.output(dropped), Catch::Contains("CapEff:0000000000000400\nCapBnd:0000000000000400\n") && Catch::Contains("Seccomp:0"));

  auto privileged = h.shell(std::string(kShow) + "; test -w /proc/sys/kernel/hostname && echo writable");
  privileged.security.privileged = true;
  h.run(privileged);
  CHECK_THAT(h.output(privileged), Catch::Contains("Seccomp:0") && Catch::Contains("writable") && !Catch::Contains("CapEff:00000000a80425fb"));
}

TEST_CASE("seccomp refuses new namespaces and mounts, and allows threads and sockets", "[root]") {
  Harness h;
  auto spec = h.shell("unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1; (sleep 0.001); echo ok");
  h.run(spec);
  CHECK_THAT(h.output(spec), Catch::Contains("unshare") && Catch::Contains("Operation not permitted") && Catch::EndsWith("ok\n"));

  // A profile of the node's own.
  const std::string path = h.directory() + "/profile.json";
  REQUIRE(linux::replace_file(path, R"({"defaultAction": "SCMP_ACT_ALLOW",
      "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30}]})").ok());
  auto local = h.shell("mkdir /x 2>&1");
  local.security.seccomp = "Localhost:" + path;
  h.run(local);
  CHECK(h.output(local) == "mkdir: can't create directory '/x': Read-only file system\n");
}

TEST_CASE("devices that a container makes itself cannot be opened", "[root]") {
  Harness h;
  auto spec = h.shell("mknod /tmp/kmsg c 1 11 2>&1; mknod /tmp/zero c 1 5; head -c 1 /tmp/kmsg 2>&1; head -c 2 /tmp/zero | wc -c; head -c 2 /dev/urandom | wc -c");
  h.run(spec);
  if (h.runtime().capabilities().device_filter) {
    CHECK(h.output(spec) == "head: /tmp/kmsg: Operation not permitted\n2\n2\n");
  } else {
    CHECK_THAT(h.output(spec), Catch::Contains("mknod: /tmp/kmsg: Operation not permitted"));
  }
}

TEST_CASE("seccomp profiles that are no profiles are refused with what is wrong") {
  CHECK(parse_seccomp_profile("[]", 0).status().is(reason::kBadRequest));
  CHECK_THAT(parse_seccomp_profile(R"({"defaultAction": "NO"})", 0).status().message(), Catch::Contains("\"NO\""));
  CHECK_THAT(parse_seccomp_profile(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 9, "op": "SCMP_CMP_EQ"}]}]})", 0)
                 .status()
                 .message(),
             Catch::Contains("index"));
}

TEST_CASE("conditions of a profile's rules look at capabilities") {
  const char* text = R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
      {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
      {"names": ["never"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}}]})";
  const auto with = parse_seccomp_profile(text, linux::CapabilityMask{1} << 21), without = parse_seccomp_profile(text, 0);
  REQUIRE(with->rules.size() == 1);
  CHECK(with->rules[0].names[0] == "mount");
  REQUIRE(without->rules.size() == 1);
  CHECK(without->rules[0].names[0] == "clone");
}

TEST_CASE("the default profile compiles to a program that the kernel takes") {
  const auto program = compile_seccomp(default_seccomp_profile(0));
  INFO(program.status().message());
  REQUIRE(program.ok());
  CHECK(program->size() % sizeof(sock_filter) == 0);
  CHECK(program->size() / sizeof(sock_filter) < BPF_MAXINSNS);
}

TEST_CASE("capabilities that are added and dropped") {
  const auto mask = [](std::vector<std::string> add, std::vector<std::string> drop) {
    SecurityContext security;
    security.add_capabilities = std::move(add);
    security.drop_capabilities = std::move(drop);
    return container_capabilities(security, ~linux::CapabilityMask{0});
  };
  CHECK(mask({}, {}).value() == 0xa80425fb);
  CHECK(mask({"CAP_NET_ADMIN"}, {}).value() == (0xa80425fb | 1 << 12));
  CHECK(mask({}, {"chown"}).value() == (0xa80425fb & ~1));
  CHECK(mask({"ALL"}, {"SYS_ADMIN"}).value() == ~(linux::CapabilityMask{1} << 21));
  CHECK(mask({"KILL"}, {"ALL"}).value() == 1 << 5);
  CHECK(mask({"NOPE"}, {}).status().is(reason::kBadRequest));
}

TEST_CASE("users: names, numbers, groups and what overrules what") {
  const char* passwd = "root:x:0:0::/root:/bin/sh\nbroken line\nweb:x:1000:1001::/home/web:\nother:x:1000:7::/o:\n";
  const char* group = "root:x:0:\nlogs:x:2000:web,other\nwheel:x:10:root,web\n";
  struct Case {
    std::string user;
    std::optional<int64_t> run_as_user, run_as_group;
    uint32_t uid, gid;
    std::vector<uint32_t> groups;
    std::string home;
  };
  for (const Case& c : std::vector<Case>{{"", {}, {}, 0, 0, {0, 10}, "/root"},
                                         {"web", {}, {}, 1000, 1001, {1001, 2000, 10}, "/home/web"},
                                         {"1000", {}, {}, 1000, 1001, {1001, 2000, 10}, "/home/web"},
                                         {"web:logs", {}, {}, 1000, 2000, {2000, 10}, "/home/web"},
                                         {"7:8", {}, {}, 7, 8, {8}, "/"},
                                         {"web", 5, {}, 5, 0, {0}, "/"},
                                         {"web", 1000, 3, 1000, 3, {3, 2000, 10}, "/home/web"},
                                         {"web:logs", {}, 9, 1000, 9, {9, 2000, 10}, "/home/web"}}) {
    CAPTURE(c.user);
    ContainerSpec spec;
    spec.user = c.user;
    spec.run_as_user = c.run_as_user;
    spec.run_as_group = c.run_as_group;
    const auto user = resolve_user(spec, passwd, group);
    REQUIRE(user.ok());
    CHECK(user->uid == c.uid);
    CHECK(user->gid == c.gid);
    CHECK(user->groups == c.groups);
    CHECK(user->home == c.home);
  }
  ContainerSpec spec;
  spec.user = "ghost";
  CHECK_FALSE(resolve_user(spec, passwd, group).ok());
  spec.user = "web:ghosts";
  CHECK_FALSE(resolve_user(spec, passwd, group).ok());
}

TEST_CASE("sysctls belong to the pod or are refused") {
  PodSandboxSpec own, host;
  host.host_network = host.host_ipc = true;
  CHECK(sysctl_file("net.ipv4.ip_forward", own).value() == "/proc/sys/net/ipv4/ip_forward");
  CHECK(sysctl_file("net/ipv4/conf/eth0.1/forwarding", own).value() == "/proc/sys/net/ipv4/conf/eth0.1/forwarding");
  CHECK(sysctl_file("net.ipv4.conf.eth0/1.forwarding", own).value() == "/proc/sys/net/ipv4/conf/eth0.1/forwarding");
  CHECK(sysctl_file("kernel.msgmax", own).ok());
  for (const char* name : {"kernel.panic", "vm.swappiness", "net/../kernel/panic", "fs.file-max", ""}) CHECK_FALSE(sysctl_file(name, own).ok());
  for (const char* name : {"net.ipv4.ip_forward", "kernel.shmmax"}) CHECK_FALSE(sysctl_file(name, host).ok());
}
