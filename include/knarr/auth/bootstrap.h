// Bootstrap tokens, <id>.<secret>, as kubeadm makes them: Secrets bootstrap-token-<id> of type
// bootstrap.kubernetes.io/token in kube-system. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "knarr/base/result.h"

namespace knarr::auth {

// Whose tokens machines may join with.
inline constexpr std::string_view kNodeTokenGroup = "system:bootstrappers:kubeadm:default-node-token";

struct BootstrapToken {
  std::string id, secret;  // six and sixteen lower-case letters and digits

  // Whatever stands in front of the last two parts is skipped: tokens to join with have a hash there.
  static Result<BootstrapToken> parse(std::string_view text);
  static BootstrapToken random();
  std::string text() const { return id + "." + secret; }
};

// A group that such a token may give: system:bootstrappers:<name>.
bool is_bootstrap_group(std::string_view text);

}  // namespace knarr::auth
