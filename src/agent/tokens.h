// Service account tokens of this node's pods: asked for by TokenRequest, renewed before they end. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "knarr/base/clock.h"
#include "knarr/base/sync.h"
#include "knarr/client/client.h"

namespace knarr::agent {

// A token that a volume shows: of the pod's service account, and no longer good than the pod is there.
struct TokenWanted {
  std::string ns, account, pod, pod_uid;
  std::string audience;  // "": the API server
  int64_t seconds = 3600;
};

class TokenCache {
 public:
  TokenCache(std::shared_ptr<client::Transport> transport, const Clock& clock)
      : transport_(std::move(transport)), clock_(clock) {}

  Result<std::string> get(const TokenWanted& wanted);
  // Forgets those that nobody asked for during the last `age`, and those that have ended.
  void forget(seconds age);

 private:
  struct Entry {
    std::string token;
    WallTime renew, ends;
    MonoTime used;
  };
  Result<Entry> request(const TokenWanted& wanted) const;

  const std::shared_ptr<client::Transport> transport_;
  const Clock& clock_;
  Mutex mutex_;
  std::map<std::string, Entry> entries_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::agent
