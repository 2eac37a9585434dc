#include "agent/credentials.h"

#include "knarr/auth/pki.h"
#include "knarr/base/clock.h"
#include "knarr/base/log.h"
#include "knarr/client/reflector.h"
#include "knarr/linux/tree.h"

namespace knarr::agent {

namespace {

constexpr std::chrono::hours kLookEvery{12};
constexpr milliseconds kFirstRetry{100}, kLongestRetry{60'000};

Result<std::string> authority_in(const std::string& file) {
  KNARR_ASSIGN(const std::string bundle, linux::read_file(file));
  return auth::authority_id(bundle);
}

}  // namespace

Result<std::unique_ptr<Credentials>> Credentials::open(CredentialsOptions options) {
  auto credentials = std::unique_ptr<Credentials>(new Credentials(std::move(options)));
  KNARR_ASSIGN(std::string held, authority_in(credentials->options_.ca_file));
  Lock lock(credentials->mutex_);
  credentials->held_ = std::move(held);
  return credentials;
}

void Credentials::start() {
  thread_ = std::thread([this] { loop(); });
}

void Credentials::stop() {
  {
    Lock lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

std::string Credentials::authority() {
  Lock lock(mutex_);
  return held_;
}

void Credentials::want(const std::string& authority) {
  Lock lock(mutex_);
  wanted_ = authority;
  if (wanted_ != held_) wake_.notify_all();
}

void Credentials::loop() {
  client::Backoff backoff(kFirstRetry, kLongestRetry);
  milliseconds pause{0};
  bool failed = false;
  for (;;) {
    bool wanted;
    {
      Lock lock(mutex_);
      // After a failure the pause counts, whatever is wanted.
      wake_.wait_for(lock, pause, [&]() KNARR_REQUIRES(mutex_) { return stop_ || (!failed && !wanted_.empty() && wanted_ != held_); });
      if (stop_) return;
      wanted = !wanted_.empty() && wanted_ != held_;
    }
    const Status status = look(wanted);
    if (status.ok() && failed) log::info("agent", "the certificates are good again");
    if (!status.ok() && !failed) log::warn("agent", "the certificates cannot be renewed, trying again", {{"error", status}});
    failed = !status.ok();
    if (!failed) backoff.reset();
    pause = failed ? backoff.next() : std::chrono::duration_cast<milliseconds>(kLookEvery);
  }
}

Status Credentials::look(bool wanted) {
  KNARR_RETURN_IF_ERROR(options_.renew(wanted));
  KNARR_ASSIGN(const std::string found, authority_in(options_.ca_file));
  KNARR_RETURN_IF_ERROR(options_.use());
  {
    Lock lock(mutex_);
    const bool other = held_ != found;
    held_ = found;
    // The server writes its files before it says that they are there; a newer wish has its own round.
    if (!other) return wanted && wanted_ != held_ ? unavailable("the server's certificate authority has not come yet") : Status();
  }
  log::info("agent", "the certificate authority is another one", {{"authority", found}});
  options_.on_authority();
  return {};
}

}  // namespace knarr::agent
