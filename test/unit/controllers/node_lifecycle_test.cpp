// The controllers of nodes that fail (life cycle, taint eviction, pod garbage), worked by hand with a clock that moves
// only when told.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "controllers/controller.h"
#include "controllers/node_health.h"
#include "knarr/apiserver/rest.h"
#include "knarr/client/inprocess.h"
#include "knarr/client/typed.h"
#include "unit/memory_api.h"

using namespace knarr;
using namespace knarr::controllers;
namespace v1 = api::core::v1;

namespace {

constexpr milliseconds kGrace{50'000};

void require(const Status& status) {
  INFO(status.message());
  REQUIRE(status.ok());
}

class Cluster {
 public:
  Cluster() {
    store_ = test::open_store();
    rest_ = test::make_rest(*store_);
    transport = client::make_inprocess_transport(*rest_, auth::internal_user("test"));
    REQUIRE(controllers::bootstrap(*transport).ok());
    require(
        transport->create({"", "v1", "serviceaccounts", ""}, "default", "default", R"({"metadata":{"name":"default"}})")
            .status());
    options_ = {
        .transport = transport, .cluster_cidr = "", .node_monitor_grace = kGrace, .clock = &clock};
    informers_ = std::make_unique<client::Informers>(transport);
    Context context{options_, *informers_, *transport};
    for (auto make : {make_node_lifecycle_controller, make_taint_eviction_controller, make_pod_garbage_controller}) {
      Loop& loop = loops_.emplace_back();
      loop.controller = make(context);
      loop.queue = std::make_unique<client::WorkQueue>(client::WorkQueue::Options{.name = "test", .clock = &clock});
      loop.controller->watch(*loop.queue);
    }
    pods = informers_->of<v1::Pod>();
    nodes = informers_->of<v1::Node>();
    informers_->start();
    REQUIRE(informers_->wait_synced(seconds(10)));
  }
  ~Cluster() { informers_->stop(); }

  void make_node(const std::string& name, const std::string& labels = "{}") {
    post("nodes", "", name,
         fmt::format(R"({{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{}","labels":{}}}}})", name, labels));
  }
  // What the agent of the node does every few seconds.
  void report(const std::string& name, const std::string& status = "True") {
    ++beats_;
    std::string time = fmt::format("2026-01-01T00:{:02}:{:02}Z", beats_ / 60, beats_ % 60);
    std::string body = fmt::format(
        R"({{"status":{{"conditions":[{{"type":"Ready","status":"{}","lastHeartbeatTime":"{}"}},{{"type":"MemoryPressure","status":"False"}}]}}}})",
        status, time);
    require(transport->patch({"", "v1", "nodes", "status"}, "", name, client::kMergePatch, body).status());
  }
  void renew(const std::string& name) {
    ++beats_;
    std::string spec = fmt::format(R"({{"holderIdentity":"{}","renewTime":"2026-01-01T00:{:02}:{:02}.000000Z"}})", name,
                                   beats_ / 60, beats_ % 60);
    client::ResourceRef leases{"coordination.k8s.io", "v1", "leases", ""};
    std::string body = fmt::format(
        R"({{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{{"name":"{}","namespace":"kube-node-lease"}},"spec":{}}})",
        name, spec);
    if (transport->create(leases, "kube-node-lease", name, body).ok()) return;
    REQUIRE(
        transport->patch(leases, "kube-node-lease", name, client::kMergePatch, fmt::format(R"({{"spec":{}}})", spec))
            .ok());
  }
  void make_pod(const std::string& name, const std::string& node, const std::string& tolerations = "[]") {
    post(
        "pods", "default", name,
        fmt::format(
            R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}"}},"spec":{{"nodeName":"{}","tolerations":{},"containers":[{{"name":"c","image":"i"}}]}}}})",
            name, node, tolerations));
    REQUIRE(transport
                ->patch({"", "v1", "pods", "status"}, "default", name, client::kMergePatch,
                        R"({"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}})")
                .ok());
  }

  // Lets the controllers work until nothing is left to do now and the copies show it.
  void settle() {
    for (int quiet = 0; quiet < 3;) {
      bool worked = false;
      for (Loop& loop : loops_) {
        while (auto key = loop.queue->try_get()) {
          worked = true;
          Status status = loop.controller->reconcile(*key, *loop.queue);
          loop.queue->done(*key);
          if (!status.ok()) loop.queue->add(*key);  // a stale copy
        }
      }
      catch_up();
      quiet = worked ? 0 : quiet + 1;
    }
  }
  void advance(milliseconds by) {
    clock.advance(by);
    settle();
  }
  // Time goes on while these nodes renew their leases.
  void advance_with(const std::vector<std::string>& alive, milliseconds by) {
    for (milliseconds gone{0}; gone < by; gone += milliseconds(10'000)) {
      for (const std::string& name : alive) renew(name);
      catch_up();
      advance(milliseconds(10'000));
    }
  }

  v1::Node node(const std::string& name) {
    auto found = client::Typed<v1::Node>(transport).get("", name);
    REQUIRE(found.ok());
    return *found;
  }
  std::string ready(const std::string& name) {
    v1::Node found = node(name);
    const NodeCondition* condition = ready_condition(found);
    return condition ? condition->status : "";
  }
  std::string taints(const std::string& name) {
    std::string text;
    for (const Taint& taint : node(name).spec.taints) {
      text += (text.empty() ? "" : " ") + taint.key.substr(taint.key.find('/') + 1) + ":" + taint.effect;
    }
    return text;
  }
  std::optional<v1::Pod> pod(const std::string& name) {
    auto found = client::Typed<v1::Pod>(transport).get("default", name);
    return found.ok() ? std::optional(*found) : std::nullopt;
  }
  // Running, or being deleted: there is no agent that would let it go.
  bool stays(const std::string& name) {
    auto found = pod(name);
    return found && !found->metadata.deletionTimestamp;
  }
  std::string pod_ready(const std::string& name) {
    auto found = pod(name);
    for (const auto& condition : found->status.conditions) {
      if (condition.type == "Ready") return condition.status;
    }
    return "";
  }
  void remove_node(const std::string& name) {
    REQUIRE(transport->remove({"", "v1", "nodes", ""}, "", name, {}).ok());
    settle();
  }
  void taint(const std::string& name, const std::string& taints) {
    REQUIRE(transport
                ->patch({"", "v1", "nodes", ""}, "", name, client::kMergePatch, R"({"spec":{"taints":)" + taints + "}}")
                .ok());
    settle();
  }

  ManualClock clock{Clock::system().wall()};  // the API stamps with the machine's

 private:
  struct Loop {
    std::unique_ptr<Controller> controller;
    std::unique_ptr<client::WorkQueue> queue;
  };

  void post(const std::string& plural, const std::string& ns, const std::string& name, const std::string& body) {
    require(transport->create({"", "v1", plural, ""}, ns, name, body).status());
  }

  // Until the informers show what the API does.
  void catch_up() {
    auto same = [this] {
      auto fresh_nodes = client::Typed<v1::Node>(transport).list();
      auto fresh_pods = client::Typed<v1::Pod>(transport).list();
      auto shown = [](const auto& informer, const auto& list) {
        if (informer.size() != list.items.size()) return false;
        for (const auto& object : list.items) {
          auto copy = informer.get(client::key_of(object));
          if (!copy || copy->metadata.resourceVersion != object.metadata.resourceVersion) return false;
        }
        return true;
      };
      return shown(*nodes, *fresh_nodes) && shown(*pods, *fresh_pods) && leases_shown();
    };
    auto deadline = Clock::system().mono() + seconds(10);
    while (!same()) {
      REQUIRE(Clock::system().mono() < deadline);
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  bool leases_shown() {
    using api::coordination::v1::Lease;
    auto informer = informers_->of<Lease>();
    auto list = client::Typed<Lease>(transport).list();
    for (const auto& lease : list->items) {
      auto copy = informer->get(client::key_of(lease));
      if (!copy || copy->metadata.resourceVersion != lease.metadata.resourceVersion) return false;
    }
    return true;
  }

  // Each lives on the ones before it.
  int beats_ = 0;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<apiserver::Rest> rest_;

 public:
  std::shared_ptr<client::Transport> transport;

 private:
  Options options_;
  std::unique_ptr<client::Informers> informers_;
  std::deque<Loop> loops_;
  std::shared_ptr<client::Informer<v1::Pod>> pods;
  std::shared_ptr<client::Informer<v1::Node>> nodes;
};

}  // namespace

TEST_CASE(
    "a node that falls silent is not ready after its grace, nor are its pods; and is well when it is heard again") {
  Cluster cluster;
  cluster.make_node("alive");
  cluster.make_node("lost");
  cluster.report("alive");
  cluster.report("lost");
  cluster.make_pod("p", "lost");
  cluster.settle();
  cluster.advance_with({"alive", "lost"}, kGrace * 2);  // leases alone are enough
  CHECK(cluster.ready("lost") == "True");
  CHECK(cluster.taints("lost").empty());

  cluster.advance_with({"alive"}, kGrace - seconds(10));
  CHECK(cluster.ready("lost") == "True");
  cluster.advance_with({"alive"}, seconds(10));
  CHECK(cluster.ready("lost") == "Unknown");
  CHECK(cluster.ready("alive") == "True");
  CHECK(cluster.taints("lost") == "unreachable:NoSchedule unreachable:NoExecute");
  CHECK(cluster.pod_ready("p") == "False");
  cluster.advance_with({"alive"}, seconds(290));
  CHECK(cluster.stays("p"));
  cluster.advance_with({"alive"}, seconds(10));  // every pod tolerates it for five minutes
  CHECK_FALSE(cluster.stays("p"));
  auto pod = cluster.pod("p");
  REQUIRE(pod);
  CHECK(std::any_of(pod->status.conditions.begin(), pod->status.conditions.end(), [](const auto& c) {
    return c.type == "DisruptionTarget" && c.reason == "DeletionByTaintManager" && c.status == "True";
  }));

  cluster.report("lost");
  cluster.settle();
  CHECK(cluster.ready("lost") == "True");
  CHECK(cluster.taints("lost").empty());
}

TEST_CASE("a node that says it is not ready is tainted at once") {
  Cluster cluster;
  cluster.make_node("a");
  cluster.make_node("b");
  cluster.report("a");
  cluster.report("b", "False");
  cluster.settle();
  CHECK(cluster.taints("b") == "not-ready:NoSchedule not-ready:NoExecute");
  cluster.advance_with({"a"}, kGrace + seconds(10));
  CHECK(cluster.taints("b") == "unreachable:NoSchedule unreachable:NoExecute");
  cluster.report("b");
  cluster.settle();
  CHECK(cluster.taints("b").empty());
}

TEST_CASE("a pod stays as long as it tolerates the taint, and for good when the node comes back in time") {
  Cluster cluster;
  cluster.make_node("alive");
  cluster.make_node("lost");
  cluster.report("alive");
  cluster.report("lost");
  auto tolerates = [](int seconds) {
    return fmt::format(
        R"([{{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":{}}}])",
        seconds);
  };
  cluster.make_pod("short", "lost", tolerates(30));
  cluster.make_pod("long", "lost", tolerates(300));
  cluster.make_pod("ever", "lost", R"([{"operator":"Exists"}])");
  cluster.settle();
  cluster.advance_with({"alive"}, kGrace + seconds(10));
  REQUIRE(cluster.taints("lost") == "unreachable:NoSchedule unreachable:NoExecute");
  CHECK(cluster.stays("short"));
  cluster.advance_with({"alive"}, seconds(30));
  CHECK_FALSE(cluster.stays("short"));
  CHECK(cluster.stays("long"));
  cluster.report("lost");
  cluster.settle();
  cluster.advance_with({"alive", "lost"}, seconds(400));
  CHECK(cluster.stays("long"));
  CHECK(cluster.stays("ever"));
}

TEST_CASE("while no node is ready none is given up; they get their time anew when one comes back") {
  Cluster cluster;
  for (const char* name : {"a", "b"}) {
    cluster.make_node(name);
    cluster.report(name);
    cluster.make_pod(std::string("on-") + name, name);
  }
  cluster.settle();
  cluster.advance(kGrace + seconds(1));
  CHECK(cluster.ready("a") == "Unknown");
  CHECK(cluster.ready("b") == "Unknown");
  CHECK(cluster.taints("a") == "unreachable:NoSchedule");
  CHECK(cluster.taints("b") == "unreachable:NoSchedule");
  cluster.report("a");
  cluster.settle();
  CHECK(cluster.taints("a").empty());
  CHECK(cluster.taints("b") == "unreachable:NoSchedule");  // its turn comes after a pause
  cluster.advance_with({"a"}, seconds(10));
  CHECK(cluster.taints("b") == "unreachable:NoSchedule unreachable:NoExecute");
}

TEST_CASE("nodes of a zone are given up one after the other") {
  Cluster cluster;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    cluster.make_node(name);
    cluster.report(name);
  }
  cluster.settle();
  cluster.advance_with({"a", "b", "c"}, kGrace + seconds(10));
  auto given_up = [&](const char* name) { return cluster.taints(name).find("NoExecute") != std::string::npos; };
  CHECK(given_up("d") != given_up("e"));
  CHECK(cluster.taints("d").find("NoSchedule") != std::string::npos);
  CHECK(cluster.taints("e").find("NoSchedule") != std::string::npos);
  cluster.advance_with({"a", "b", "c"}, seconds(10));
  CHECK(given_up("d"));
  CHECK(given_up("e"));
  cluster.advance_with({"a", "b"}, kGrace + seconds(10));  // three of five are gone: no further
  CHECK(cluster.ready("c") == "Unknown");
  CHECK_FALSE(given_up("c"));
  cluster.remove_node("e");
  cluster.advance_with({"a", "b"}, seconds(10));
  CHECK(given_up("c"));
}

TEST_CASE("a node that never reports is unreachable a minute after it was made") {
  Cluster cluster;
  cluster.make_node("alive");
  cluster.report("alive");
  cluster.make_node("mute",
                    R"({"kubernetes.io/os":"linux","kubernetes.io/arch":"riscv64","beta.kubernetes.io/arch":"x"})");
  cluster.settle();
  CHECK(cluster.ready("mute").empty());
  CHECK(cluster.node("mute").metadata.labels.at("beta.kubernetes.io/os") == "linux");
  CHECK(cluster.node("mute").metadata.labels.at("beta.kubernetes.io/arch") == "riscv64");
  cluster.advance_with({"alive"}, seconds(70));
  CHECK(cluster.ready("mute") == "Unknown");
}

TEST_CASE("taints of users evict pods; removing one in time cancels that") {
  Cluster cluster;
  cluster.make_node("a");
  cluster.report("a");
  cluster.make_pod("none", "a");
  cluster.make_pod("some", "a", R"([{"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":5}])");
  cluster.settle();
  cluster.taint("a", R"([{"key":"k","value":"v","effect":"NoExecute"}])");
  CHECK_FALSE(cluster.stays("none"));
  CHECK(cluster.stays("some"));
  cluster.taint("a", "[]");
  cluster.advance_with({"a"}, seconds(20));
  CHECK(cluster.stays("some"));
  cluster.taint("a", R"([{"key":"k","value":"v","effect":"NoExecute"}])");
  cluster.advance_with({"a"}, seconds(10));
  CHECK_FALSE(cluster.stays("some"));
}

TEST_CASE("pods that are to go from a node out of service are given up; on one that lives its agent ends them") {
  Cluster cluster;
  for (const char* name : {"dead", "alive"}) {
    cluster.make_node(name);
    cluster.report(name);
    cluster.make_pod(std::string("on-") + name, name, R"([{"operator":"Exists"}])");
  }
  cluster.settle();
  cluster.advance_with({"alive"}, kGrace + seconds(10));
  for (const char* pod : {"on-dead", "on-alive"}) {
    REQUIRE(cluster.transport->remove({"", "v1", "pods", ""}, "default", pod, {}).ok());
  }
  cluster.settle();
  CHECK(cluster.pod("on-dead"));  // it may come back
  for (const char* name : {"dead", "alive"}) {
    cluster.taint(name, R"([{"key":"node.kubernetes.io/out-of-service","effect":"NoExecute"}])");
  }
  CHECK_FALSE(cluster.pod("on-dead"));
  CHECK(cluster.pod("on-alive"));
}

TEST_CASE("pods of a node that is gone fail, and go after a while") {
  Cluster cluster;
  cluster.make_node("a");
  cluster.report("a");
  cluster.make_pod("p", "a");
  cluster.settle();
  cluster.remove_node("a");
  cluster.advance(seconds(39));
  CHECK(cluster.stays("p"));
  cluster.advance(seconds(2));
  CHECK_FALSE(cluster.pod("p"));
}
