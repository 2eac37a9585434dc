// The Pod Security Standards: what pods of a level and a version may ask for.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/codec/json.h"

namespace knarr::admission {

enum class Level { kPrivileged, kBaseline, kRestricted };  // from lax to strict

// Of a policy: the rules as Kubernetes 1.<minor> had them, or the newest.
struct PolicyVersion {
  static constexpr int kLatest = 1 << 30;
  int minor = kLatest;
  auto operator<=>(const PolicyVersion&) const = default;
};

struct LevelVersion {
  Level level = Level::kPrivileged;
  PolicyVersion version;
  bool operator==(const LevelVersion&) const = default;
  std::string to_string() const;  // restricted:latest, baseline:v1.24
};

// One rule that a pod breaks: "privileged", `container "a" must not set securityContext.privileged=true`.
struct Violation {
  std::string reason, detail;
};

// In upstream's order. `annotations` are those of the pod's metadata; null: none.
std::vector<Violation> check_pod_security(const LevelVersion& policy, const json::Value* annotations,
                                          const json::Value& spec);

std::string reasons_of(const std::vector<Violation>& violations);  // a, b
std::string details_of(const std::vector<Violation>& violations);  // a (why), b

}  // namespace knarr::admission
