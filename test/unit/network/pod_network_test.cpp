#include <fcntl.h>
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>

#include "knarr/linux/namespace.h"
#include "knarr/linux/netlink.h"
#include "knarr/linux/process.h"
#include "knarr/network/network.h"
#include "unit/temp_directory.h"

using namespace knarr;
using namespace knarr::network;
namespace fs = std::filesystem;

namespace {

// A machine of its own: a network namespace that plays the host, and a directory for state.
struct Machine {
  linux::UniqueFd netns;
  test::TempDirectory directory;
  const std::string& state = directory.path;

  Machine() {
    netns = make_netns();
  }

  static linux::UniqueFd make_netns() {
    auto made = linux::make_network_namespace();
    REQUIRE(made.ok());
    return std::move(made).value();
  }

  // Everything that touches the host's network runs in it; a failed REQUIRE ends the test, not the thread.
  void run(const std::function<void()>& work) const {
    std::exception_ptr failure;
    Status status = linux::in_network_namespace(netns.get(), [&] {
      try {
        work();
      } catch (...) {
        failure = std::current_exception();
      }
      return Status::OK();
    });
    if (failure) std::rethrow_exception(failure);
    REQUIRE(status.ok());
  }

  std::unique_ptr<PodNetwork> open(const std::string& instance = "test",
                                   const std::string& cidr = "10.98.0.0/24") const {
    auto network = PodNetwork::open({.instance = instance,
                                     .pod_cidr = cidr,
                                     .cluster_cidr = "10.98.0.0/16",
                                     .state_directory = state + "/" + instance});
    INFO(network.status().to_string());
    REQUIRE(network.ok());
    return std::move(network).value();
  }
};

std::string output_of(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  pclose(pipe);
  return text;
}

bool ping_from(int netns, const std::string& address) {
  bool answered = false;
  linux::UniqueFd silent(open("/dev/null", O_WRONLY | O_CLOEXEC));
  Status status = linux::in_network_namespace(netns, [&]() -> Status {
    KNARR_ASSIGN(linux::Process ping,
                 linux::Process::spawn({.executable = "/bin/busybox",
                                        .arguments = {"busybox", "ping", "-q", "-c", "1", "-W", "3", address},
                                        .fds = {{silent.get(), 1}}}));
    KNARR_ASSIGN(const linux::ExitStatus exit, ping.wait());
    answered = exit.success();
    return {};
  });
  REQUIRE(status.ok());
  return answered;
}

size_t count_links() {
  auto kernel = linux::RouteSocket::open();
  REQUIRE(kernel.ok());
  return kernel->links()->size();
}

}  // namespace

TEST_CASE("pods reach each other and the host, and the outside under the host's address", "[root][net]") {
  Machine machine;
  auto pod_a = Machine::make_netns(), pod_b = Machine::make_netns(), outside = Machine::make_netns();
  machine.run([&] {
    const size_t links_before = count_links();
    auto network = machine.open();
    auto a = network->attach("pod-a", linux::fd_path(pod_a.get()));
    auto b = network->attach("pod-b", linux::fd_path(pod_b.get()));
    INFO(a.status().to_string() << b.status().to_string());
    REQUIRE((a.ok() && b.ok()));
    CHECK(a->address == "10.98.0.2");
    CHECK(a->gateway == "10.98.0.1");
    CHECK(a->prefix == 24);
    CHECK(a->mac == "0a:58:0a:62:00:02");
    CHECK(ping_from(pod_a.get(), b->address));
    CHECK(ping_from(pod_b.get(), "10.98.0.1"));
    CHECK(ping_from(pod_a.get(), "127.0.0.1"));
    CHECK(ping_from(machine.netns.get(), a->address));

    // The outside knows no way to 10.98.0.0/24: an answer comes only to the host's own address.
    auto host = linux::RouteSocket::open();
    auto far = linux::RouteSocket::open_in(outside.get());
    REQUIRE((host.ok() && far.ok()));
    REQUIRE(host->add_veth({.host_name = "uplink", .peer_name = "eth0", .peer_netns_fd = outside.get()}).ok());
    REQUIRE(host->add_address((*host->find_link("uplink"))->index, 0xcb007101, 24).ok());  // 203.0.113.1
    REQUIRE(far->add_address((*far->find_link("eth0"))->index, 0xcb007102, 24).ok());
    REQUIRE(far->set_up((*far->find_link("eth0"))->index).ok());
    CHECK(ping_from(pod_a.get(), "203.0.113.2"));
    REQUIRE(host->delete_link((*host->find_link("uplink"))->index).ok());

    const std::string rules = output_of("nft list table inet knarr-test");
    INFO(rules);
    CHECK(rules.find("ip saddr 10.98.0.0/24 ip daddr != 10.98.0.0/16 oifname != \"kn-test\" masquerade") !=
          std::string::npos);
    CHECK(rules.find("iifname \"kn-test\" accept") != std::string::npos);
    CHECK(rules.find("type nat hook postrouting priority srcnat; policy accept;") != std::string::npos);

    REQUIRE(network->remove().ok());
    CHECK(count_links() == links_before);
    CHECK(output_of("nft list tables") == "");
    CHECK(!fs::exists(machine.state + "/test"));
    REQUIRE(network->remove().ok());
  });
}

TEST_CASE("attaching is repeatable and survives a restart", "[root][net]") {
  Machine machine;
  auto pod = Machine::make_netns(), reborn = Machine::make_netns();
  machine.run([&] {
    auto network = machine.open();
    const std::string path = linux::fd_path(pod.get());
    auto first = network->attach("pod-a", path);
    REQUIRE(first.ok());
    auto again = network->attach("pod-a", path);
    REQUIRE(again.ok());
    CHECK(again->address == first->address);

    network = machine.open();  // adopts bridge, port and address, replaces the rules
    REQUIRE(network->list().size() == 1);
    CHECK(network->list()[0].second.address == first->address);
    auto adopted = network->attach("pod-a", path);
    REQUIRE(adopted.ok());
    CHECK(adopted->address == first->address);
    CHECK(ping_from(pod.get(), "10.98.0.1"));
    const std::string rules = output_of("nft list table inet knarr-test");
    CHECK(rules.find("masquerade") == rules.rfind("masquerade"));

    // The pod's namespace was made anew: it is plugged in again, under the same address.
    auto moved = network->attach("pod-a", linux::fd_path(reborn.get()));
    REQUIRE(moved.ok());
    CHECK(moved->address == first->address);
    CHECK(ping_from(reborn.get(), "10.98.0.1"));
    REQUIRE(network->remove().ok());
  });
}

TEST_CASE("detach and keep_only free addresses and links", "[root][net]") {
  Machine machine;
  auto pod_a = Machine::make_netns(), pod_b = Machine::make_netns(), stranger = Machine::make_netns();
  machine.run([&] {
    auto network = machine.open();
    REQUIRE(network->attach("pod-a", linux::fd_path(pod_a.get())).ok());
    REQUIRE(network->attach("pod-b", linux::fd_path(pod_b.get())).ok());
    const size_t links = count_links();
    REQUIRE(network->detach("pod-a").ok());
    REQUIRE(network->detach("pod-a").ok());
    REQUIRE(network->detach("never-there").ok());
    CHECK(count_links() == links - 1);
    CHECK(network->list().size() == 1);

    auto kernel = linux::RouteSocket::open();
    REQUIRE(kernel.ok());
    const int bridge = (*kernel->find_link("kn-test"))->index;
    REQUIRE(kernel
                ->add_veth(
                    {.host_name = "kvleftover", .peer_name = "eth0", .master = bridge, .peer_netns_fd = stranger.get()})
                .ok());
    REQUIRE(network->keep_only({"pod-b"}).ok());
    CHECK(!*kernel->find_link("kvleftover"));
    CHECK(network->list().size() == 1);
    CHECK(ping_from(pod_b.get(), "10.98.0.1"));
    REQUIRE(network->keep_only({}).ok());
    CHECK(network->list().empty());
    CHECK(count_links() == links - 2);
    REQUIRE(network->remove().ok());
  });
}

TEST_CASE("instances live side by side, and networks that overlap are refused", "[root][net]") {
  Machine machine;
  machine.run([&] {
    auto one = machine.open("one", "10.98.0.0/24");
    auto two = machine.open("an-instance-with-a-long-name", "10.98.1.0/24");
    auto clash = PodNetwork::open({.instance = "three",
                                   .pod_cidr = "10.98.0.0/20",
                                   .cluster_cidr = "",
                                   .state_directory = machine.state + "/three"});
    CHECK(clash.status().is(reason::kConflict));
    CHECK(clash.status().message() ==
          "the pod network 10.98.0.0/20 overlaps 10.98.0.1/24 of link kn-one: choose another one (--cluster-cidr)");
    CHECK(*first_free_cidr({"10.98.0.0/16", "10.99.0.0/16"}) == "10.99.0.0/16");
    CHECK(first_free_cidr({"10.98.0.0/16"}).status().is(reason::kServiceUnavailable));
    CHECK(primary_address() == "127.0.0.1");
    REQUIRE(one->remove().ok());
    REQUIRE(two->remove().ok());
    CHECK(output_of("nft list tables") == "");
  });
}

TEST_CASE("wrong options are refused before anything is changed") {
  const PodNetwork::Options good{
      .instance = "x", .pod_cidr = "10.98.0.0/24", .cluster_cidr = "10.98.0.0/16", .state_directory = "/nonexistent"};
  auto refused = [](PodNetwork::Options options) {
    return PodNetwork::open(std::move(options)).status().is(reason::kBadRequest);
  };
  auto changed = [&](auto change) {
    auto options = good;
    change(options);
    return refused(options);
  };
  CHECK(changed([](auto& o) { o.instance = ""; }));
  CHECK(changed([](auto& o) { o.instance = "a b"; }));
  CHECK(changed([](auto& o) { o.pod_cidr = "10.98.0.0"; }));
  CHECK(changed([](auto& o) { o.pod_cidr = "10.98.0.0/30"; }));
  CHECK(changed([](auto& o) { o.cluster_cidr = "nonsense"; }));
}

TEST_CASE("how long it takes to connect a pod", "[root][net][!benchmark][.]") {
  Machine machine;
  std::vector<linux::UniqueFd> pods;
  for (int i = 0; i < 50; ++i) pods.push_back(Machine::make_netns());
  machine.run([&] {
    auto network = machine.open();
    std::vector<double> times;
    for (size_t i = 0; i < pods.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      REQUIRE(network->attach(fmt::format("pod-{}", i), linux::fd_path(pods[i].get())).ok());
      times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    WARN(fmt::format("attach: p50 {:.2f} ms, p99 {:.2f} ms", times[times.size() / 2], times.back()));
    REQUIRE(network->remove().ok());
  });
}
