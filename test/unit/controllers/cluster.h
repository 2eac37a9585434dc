// The controllers against the real REST verbs over a store in memory: no HTTP, no disk, no node.
#pragma once

#include <catch2/catch.hpp>
#include <thread>

#include "knarr/apiserver/rest.h"
#include "knarr/base/sync.h"
#include "knarr/client/inprocess.h"
#include "knarr/client/typed.h"
#include "knarr/codec/json.h"
#include "knarr/controllers/controllers.h"
#include "knarr/schema/api.h"
#include "unit/memory_api.h"

namespace knarr::controllers::test {

namespace v1 = api::core::v1;

class Cluster {
 public:
  Cluster() {
    store_ = knarr::test::open_store();
    rest_ = knarr::test::make_rest(*store_);
    transport = client::make_inprocess_transport(*rest_, auth::internal_user("test"));
    REQUIRE(controllers::bootstrap(*transport).ok());
    REQUIRE(controllers::bootstrap(*transport).ok());  // again: what is there stays
    controllers_ = controllers::start(
        {.transport = transport, .rest = rest_.get(), .trusted_ca = [this] { return authority(); }, .cluster_cidr = "10.42.0.0/16"});
  }

  void change_authority(std::string to) {
    {
      const Lock lock(mutex_);
      authority_ = std::move(to);
    }
    controllers_->authority_changed();
  }

  template <typename T>
  bool exists(const std::string& ns, const std::string& name) {
    return client::Typed<T>(transport).get(ns, name).ok();
  }

  // Once the pods' account is there.
  void wait_for_account() {
    auto deadline = Clock::system().mono() + seconds(10);
    while (!exists<v1::ServiceAccount>("default", "default")) {
      REQUIRE(Clock::system().mono() < deadline);
      std::this_thread::sleep_for(milliseconds(5));
    }
  }

  Status create(const std::string& plural, const std::string& ns, const std::string& body) {
    auto document = json::parse(body);
    REQUIRE(document.ok());
    return transport->create({"", "v1", plural, ""}, ns, json::get_string(*document, {"metadata", "name"}), body)
        .status();
  }

  // Each lives on the ones before it.
 private:
  std::string authority() {  // asked by the controllers' threads
    const Lock lock(mutex_);
    return authority_;
  }

  std::unique_ptr<store::Store> store_;
  std::unique_ptr<apiserver::Rest> rest_;

 public:
  std::shared_ptr<client::Transport> transport;

 private:
  Mutex mutex_;
  std::string authority_ KNARR_GUARDED_BY(mutex_) = "the CA";
  std::unique_ptr<controllers::Controllers> controllers_;
};

// The controllers work on threads of their own: wait for what they should bring about, for at most ten seconds.
inline bool comes_true(const std::function<bool()>& condition) {
  auto deadline = Clock::system().mono() + seconds(10);
  while (!condition()) {
    if (Clock::system().mono() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

}  // namespace knarr::controllers::test
