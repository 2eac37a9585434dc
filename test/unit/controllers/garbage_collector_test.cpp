#include "cluster.h"

using namespace knarr;
using namespace knarr::controllers::test;

namespace {

constexpr client::ResourceRef kMaps{"", "v1", "configmaps", ""};

// Config maps that own each other.
class Family {
 public:
  // `owners`: names, with '!' behind those that must wait for this one.
  std::string make(const std::string& name, const std::vector<std::string>& owners = {},
                   const std::string& finalizers = "[]") {
    std::string references;
    for (std::string owner : owners) {
      const bool blocks = owner.back() == '!';
      if (blocks) owner.pop_back();
      references += fmt::format(
          R"({}{{"apiVersion":"v1","kind":"ConfigMap","name":"{}","uid":"{}","blockOwnerDeletion":{}}})",
          references.empty() ? "" : ",", owner, uids.contains(owner) ? uids[owner] : "gone-" + owner, blocks);
    }
    auto made = cluster.transport->create(
        kMaps, "default", name,
        fmt::format(
            R"({{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"{}","finalizers":{},"ownerReferences":[{}]}}}})",
            name, finalizers, references));
    INFO(made.status().to_string());
    REQUIRE(made.ok());
    return uids[name] = json::get_string(*json::parse(*made), {"metadata", "uid"});
  }
  bool exists(const std::string& name) { return cluster.exists<v1::ConfigMap>("default", name); }
  v1::ConfigMap get(const std::string& name) {
    auto found = client::Typed<v1::ConfigMap>(cluster.transport).get("default", name);
    REQUIRE(found.ok());
    return *found;
  }
  void remove(const std::string& name, const std::string& policy) {
    REQUIRE(cluster.transport->remove(kMaps, "default", name, {.propagation_policy = policy}).ok());
  }
  void release(const std::string& name) {
    REQUIRE(cluster.transport->patch(kMaps, "default", name, client::kMergePatch, R"({"metadata":{"finalizers":[]}})")
                .ok());
  }

  Cluster cluster;
  std::map<std::string, std::string> uids;
};

}  // namespace

TEST_CASE("garbage: dependents follow their owner, and theirs") {
  Family family;
  family.make("owner");
  family.make("child", {"owner"});
  family.make("grandchild", {"child!"});
  family.make("other");
  family.make("shared", {"owner", "other"});
  family.remove("owner", "Background");
  CHECK(comes_true([&] { return !family.exists("child") && !family.exists("grandchild"); }));
  // It has another owner: only the reference goes.
  CHECK(comes_true([&] { return family.get("shared").metadata.ownerReferences.size() == 1; }));
  CHECK(family.get("shared").metadata.ownerReferences[0].name == "other");
}

TEST_CASE("garbage: an owner that is deleted in the foreground waits for those that block it") {
  Family family;
  family.make("owner");
  family.make("blocking", {"owner!"}, R"(["example.com/wait"])");
  family.make("free", {"owner"});
  family.remove("owner", "Foreground");
  CHECK(comes_true([&] { return !family.exists("free"); }));
  CHECK(comes_true([&] { return family.get("blocking").metadata.deletionTimestamp.has_value(); }));
  REQUIRE(family.exists("owner"));
  CHECK(family.get("owner").metadata.finalizers == std::vector<std::string>{"foregroundDeletion"});
  family.release("blocking");
  CHECK(comes_true([&] { return !family.exists("blocking") && !family.exists("owner"); }));
}

TEST_CASE("garbage: an owner whose dependents do not block goes at once, and so do they") {
  Family family;
  family.make("owner");
  family.make("held", {"owner"}, R"(["example.com/wait"])");
  family.remove("owner", "Foreground");
  CHECK(comes_true([&] { return !family.exists("owner"); }));
  CHECK(comes_true([&] { return family.get("held").metadata.deletionTimestamp.has_value(); }));
}

TEST_CASE("garbage: orphans lose their owner and stay") {
  Family family;
  family.make("owner");
  family.make("one", {"owner!"});
  family.make("two", {"owner"});
  family.remove("owner", "Orphan");
  CHECK(comes_true([&] { return !family.exists("owner"); }));
  CHECK(family.get("one").metadata.ownerReferences.empty());
  CHECK(family.get("two").metadata.ownerReferences.empty());
}

TEST_CASE("garbage: a circle of owners can be deleted") {
  Family family;
  family.make("a");
  family.make("b", {"a!"});
  family.make("c", {"b!"});
  REQUIRE(family.cluster.transport
              ->patch(kMaps, "default", "a", client::kMergePatch,
                      fmt::format(R"({{"metadata":{{"ownerReferences":[{{"apiVersion":"v1","kind":"ConfigMap",)"
                                  R"("name":"c","uid":"{}","blockOwnerDeletion":true}}]}}}})",
                                  family.uids["c"]))
              .ok());
  family.remove("a", "Foreground");
  CHECK(comes_true([&] { return !family.exists("a") && !family.exists("b") && !family.exists("c"); }));
}

TEST_CASE("garbage: what names an owner that never was is deleted; of a kind that is not served, it stays") {
  Family family;
  family.make("child", {"nobody"});
  CHECK(comes_true([&] { return !family.exists("child"); }));
  REQUIRE(family.cluster
              .create("configmaps", "default",
                      R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"strange","ownerReferences":[
                          {"apiVersion":"example.com/v1","kind":"Foo","name":"x","uid":"1"}]}})")
              .ok());
  family.make("later", {"nobody"});
  CHECK(comes_true([&] { return !family.exists("later"); }));
  CHECK(family.exists("strange"));
}

TEST_CASE("garbage: an owner in another namespace is no owner, and an event says so") {
  Family family;
  const std::string uid = family.make("far");
  REQUIRE(family.cluster
              .create("configmaps", "kube-public",
                      fmt::format(
                          R"({{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"child",)"
                          R"("ownerReferences":[{{"apiVersion":"v1","kind":"ConfigMap","name":"far","uid":"{}"}}]}}}})",
                          uid))
              .ok());
  CHECK(comes_true([&] { return !family.cluster.exists<v1::ConfigMap>("kube-public", "child"); }));
  CHECK(comes_true([&] {
    auto events = client::Typed<v1::Event>(family.cluster.transport).list({.namespace_ = "kube-public"});
    REQUIRE(events.ok());
    for (const auto& event : events->items)
      if (event.reason == "OwnerRefInvalidNamespace" &&
          event.message == fmt::format("ownerRef [v1/ConfigMap, namespace: kube-public, name: far, uid: {}] does not "
                                       "exist in namespace \"kube-public\"",
                                       uid))
        return true;
    return false;
  }));
}
