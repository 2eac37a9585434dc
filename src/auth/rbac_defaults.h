// The tables behind default_rbac_objects().
#pragma once

#include <span>
#include <string_view>

namespace knarr::auth {

// A rule is a line of words: verbs, API groups ("core" is the first one, without a name), resources, and perhaps names
// of objects; or verbs and paths. Each word is a list with commas.
struct DefaultRole {
  std::string_view ns, name;       // ns "": a ClusterRole
  std::string_view aggregated_to;  // roles that take up its rules
  std::string_view aggregates;     // it has no rules but takes up those of roles that are aggregated to this one
  std::string_view rules;
};

// Cluster roles named system:controller:<name>, each bound to the service account <name> in kube-system.
std::span<const DefaultRole> default_controller_roles();

}  // namespace knarr::auth
