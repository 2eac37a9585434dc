// The ConfigMaps and Secrets that pods of this node name, and the tokens of their service accounts: fetched when asked
// for and remembered, so that a container can be started again while the server is away. Thread-safe.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/pod_view.h"
#include "agent/tokens.h"
#include "knarr/base/sync.h"
#include "knarr/client/informer.h"
#include "knarr/client/typed.h"

namespace knarr::agent {

class Sources {
 public:
  virtual ~Sources() = default;
  // Not older than `age`, or as old as it is when the server cannot be reached. NotFound as the API says it.
  virtual Result<std::shared_ptr<const core::ConfigMap>> config_map(const std::string& ns, const std::string& name,
                                                                    seconds age) = 0;
  virtual Result<std::shared_ptr<const core::Secret>> secret(const std::string& ns, const std::string& name,
                                                             seconds age) = 0;
  // All of a namespace; none while the server has not told of any.
  virtual std::vector<std::shared_ptr<const core::Service>> services(const std::string& ns) = 0;
  // One that still holds for a fifth of its time at least, where the server can be reached.
  virtual Result<std::string> token(const TokenWanted& wanted) = 0;
};

class ApiSources : public Sources {
 public:
  ApiSources(std::shared_ptr<client::Transport> transport, const Clock& clock)
      : config_maps_(client::Typed<core::ConfigMap>(transport), clock),
        secrets_(client::Typed<core::Secret>(transport), clock),
        tokens_(transport, clock),
        services_(transport) {}

  Result<std::shared_ptr<const core::ConfigMap>> config_map(const std::string& ns, const std::string& name,
                                                            seconds age) override {
    return config_maps_.get(ns, name, age);
  }
  Result<std::shared_ptr<const core::Secret>> secret(const std::string& ns, const std::string& name,
                                                     seconds age) override {
    return secrets_.get(ns, name, age);
  }
  std::vector<std::shared_ptr<const core::Service>> services(const std::string& ns) override {
    std::call_once(follow_services_, [this] { services_.start(); });  // a node without pods follows none
    (void)services_.wait_synced(kServicesCome);
    auto all = services_.list();
    std::erase_if(all, [&](const auto& service) { return service->metadata.namespace_ != ns; });
    return all;
  }
  Result<std::string> token(const TokenWanted& wanted) override { return tokens_.get(wanted); }
  // Forgets what nobody asked for during the last `age`.
  void forget(seconds age) {
    config_maps_.forget(age);
    secrets_.forget(age);
    tokens_.forget(age);
  }

 private:
  static constexpr milliseconds kServicesCome{5000};

  template <typename T>
  class Cache {
   public:
    Cache(client::Typed<T> api, const Clock& clock) : api_(std::move(api)), clock_(clock) {}

    Result<std::shared_ptr<const T>> get(const std::string& ns, const std::string& name, seconds age) {
      std::string key = client::make_key(ns, name);
      MonoTime now = clock_.mono();
      std::shared_ptr<const T> known;
      {
        Lock lock(mutex_);
        if (auto it = entries_.find(key); it != entries_.end()) {
          it->second.used = now;
          known = it->second.object;
          if (known->immutable.value_or(false) || now - it->second.fetched < age) return known;
        }
      }
      auto fetched = api_.get(ns, name);
      if (!fetched.ok()) {
        if (known && fetched.status().code() >= 500) return known;
        Lock lock(mutex_);
        entries_.erase(key);
        if (!fetched.status().is(reason::kNotFound)) return std::move(fetched).status();
        std::string kind(T::kKind);  // as the kubelet words it
        std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::tolower(c); });
        return not_found(fmt::format("{} \"{}\" not found", kind, name));
      }
      auto object = std::make_shared<const T>(std::move(*fetched));
      Lock lock(mutex_);
      entries_[key] = {object, now, now};
      return object;
    }

    void forget(seconds age) {
      Lock lock(mutex_);
      std::erase_if(entries_, [&](const auto& entry) { return clock_.mono() - entry.second.used > age; });
    }

   private:
    struct Entry {
      std::shared_ptr<const T> object;
      MonoTime fetched, used;
    };
    const client::Typed<T> api_;
    const Clock& clock_;
    Mutex mutex_;
    std::map<std::string, Entry> entries_ KNARR_GUARDED_BY(mutex_);
  };

  Cache<core::ConfigMap> config_maps_;
  Cache<core::Secret> secrets_;
  TokenCache tokens_;
  std::once_flag follow_services_;
  client::Informer<core::Service> services_;
};

}  // namespace knarr::agent
