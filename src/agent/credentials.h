// Keeps the agent's certificates good while it runs: they are renewed before they end, and when the server has another
// certificate authority.
#pragma once

#include <condition_variable>
#include <functional>
#include <string>
#include <thread>

#include "knarr/base/result.h"
#include "knarr/base/sync.h"

namespace knarr::agent {

struct CredentialsOptions {
  std::string ca_file;
  // See AgentOptions; may take its time.
  std::function<Status(bool wanted)> renew;
  // The files may be others now: use them.
  std::function<Status()> use;
  // After that, when the authorities are others.
  std::function<void()> on_authority;
};

// Thread-safe.
class Credentials {
 public:
  // Error: the file cannot be read.
  static Result<std::unique_ptr<Credentials>> open(CredentialsOptions options);
  ~Credentials() { stop(); }

  void start();
  void stop();

  std::string authority();  // which authorities are in use: auth::authority_id
  void want(const std::string& authority);  // the server has these

 private:
  explicit Credentials(CredentialsOptions options) : options_(std::move(options)) {}
  void loop();
  Status look(bool wanted);

  const CredentialsOptions options_;
  Mutex mutex_;
  std::condition_variable_any wake_;
  bool stop_ KNARR_GUARDED_BY(mutex_) = false;
  std::string held_ KNARR_GUARDED_BY(mutex_), wanted_ KNARR_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace knarr::agent
