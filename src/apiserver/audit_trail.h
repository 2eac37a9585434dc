// What one request leaves in the audit log.
#pragma once

#include <memory>
#include <string>

#include "knarr/auth/audit.h"
#include "server_impl.h"

namespace knarr::apiserver {

// Not thread-safe: the request's thread writes it; who keeps a connection open afterwards (a watch) only holds it, and
// letting go of it records the end.
class AuditTrail {
 public:
  // Null when the policy does not want the request recorded. The exchange's user is known by now, or is nobody whose
  // credentials were refused.
  static std::shared_ptr<AuditTrail> begin(const AuditOptions& options, const Clock& clock, Exchange& exchange);
  ~AuditTrail();

  void annotate(const std::string& name, std::string_view text) { annotations_.insert_or_assign(name, text); }
  std::map<std::string, std::string>& annotations() { return annotations_; }
  void impersonates(const Exchange& exchange);
  void reads(const Exchange& exchange);  // it is allowed: what its body says may be told from now on
  void refused_credentials();
  // The handler is done: the answer is complete, or what follows takes its time.
  void answered(const http::Response& response);
  void panicked();

 private:
  AuditTrail(const AuditOptions& options, const Clock& clock, auth::AuditDecision decision);
  void describe(const Exchange& exchange);
  void record(auth::AuditStage stage, const std::string& further = {});
  std::string now() const;

  const AuditOptions& options_;
  const Clock& clock_;
  const auth::AuditDecision decision_;
  std::string id_, received_;
  std::string head_;          // members up to the user, without the stage
  std::string impersonated_;  // a member with its comma, or ""
  std::string middle_;        // members from the addresses to the client
  std::string object_;        // what it is about
  std::string request_object_;
  std::map<std::string, std::string> annotations_;
  std::string result_;  // what the end of a long answer says of it
  bool long_running_ = false;
  bool complete_ = false;
};

}  // namespace knarr::apiserver
