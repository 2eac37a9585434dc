// The audit log: which requests are recorded how fully (a policy, audit.k8s.io/v1), and the file of JSON lines that
// they are recorded in.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/auth/authz.h"
#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/base/sync.h"
#include "knarr/linux/fd.h"

namespace knarr::auth {

enum class AuditLevel { kNone, kMetadata, kRequest, kRequestResponse };
enum class AuditStage : unsigned { kRequestReceived = 1, kResponseStarted = 2, kResponseComplete = 4, kPanic = 8 };
std::string_view to_string(AuditLevel level);
std::string_view to_string(AuditStage stage);

// How a request is to be recorded.
struct AuditDecision {
  AuditLevel level = AuditLevel::kNone;
  unsigned omitted_stages = 0;  // AuditStage bits
  bool omit_managed_fields = false;
  bool records(AuditStage stage) const {
    return level != AuditLevel::kNone && (omitted_stages & static_cast<unsigned>(stage)) == 0;
  }
};

// Immutable.
class AuditPolicy {
 public:
  // From YAML or JSON. Error: what is no Policy, and every field that is wrong.
  static Result<AuditPolicy> parse(std::string_view text);
  // The first rule that fits decides; without one nothing is recorded.
  AuditDecision decide(const Attributes& attributes) const;

 private:
  struct GroupResources {
    std::string group;
    std::vector<std::string> resources, resource_names;
  };
  struct Rule {
    AuditDecision decision;
    std::vector<std::string> users, groups, verbs, namespaces, paths;
    std::vector<GroupResources> resources;
  };
  static bool fits(const Rule& rule, const Attributes& attributes);
  static bool fits_resource(const Rule& rule, const Attributes& attributes);

  std::vector<Rule> rules_;
};

struct AuditLogOptions {
  std::string path;       // "-": standard output
  int64_t max_bytes = 0;  // the file is put aside when it would grow beyond; 0: 100 MiB
  int max_files = 0;      // how many of those are kept; 0: all
  int max_days = 0;       // and for how long; 0: for ever
  const Clock* clock = &Clock::system();
};

// Thread-safe. A line is with the kernel when write() returns.
class AuditLog {
 public:
  static Result<std::unique_ptr<AuditLog>> open(AuditLogOptions options);
  void write(std::string line);  // without its line break; a failure is logged, the request goes on

 private:
  explicit AuditLog(AuditLogOptions options) : options_(std::move(options)) {}
  Status open_file() KNARR_REQUIRES(mutex_);
  Status rotate() KNARR_REQUIRES(mutex_);
  void remove_old() KNARR_REQUIRES(mutex_);

  const AuditLogOptions options_;
  Mutex mutex_;
  linux::UniqueFd file_ KNARR_GUARDED_BY(mutex_);
  int64_t size_ KNARR_GUARDED_BY(mutex_) = 0;
  bool failing_ KNARR_GUARDED_BY(mutex_) = false;
};

}  // namespace knarr::auth
