// The roles and bindings that every cluster has, brought back to what they must grant each time the server starts.
#include <fmt/format.h>

#include "knarr/auth/rbac.h"
#include "knarr/base/log.h"
#include "knarr/controllers/controllers.h"

namespace knarr::controllers {

namespace {

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

// True when something had to be written.
Result<bool> reconcile(client::Transport& transport, const auth::DefaultObject& wanted) {
  const client::ResourceRef resource{kGroup, "v1", wanted.plural, ""};
  KNARR_ASSIGN(const json::Document object, json::parse(wanted.json));
  const auto found = transport.get(resource, wanted.ns, wanted.name);
  if (!found.ok() && !found.status().is(reason::kNotFound)) return found.status();
  json::Document existing;
  if (found.ok()) {
    KNARR_ASSIGN(existing, json::parse(*found));
  }
  bool replace = false;
  const std::string text = auth::reconciled(object, found.ok() ? &existing : nullptr, replace);
  if (text.empty()) return false;
  if (replace) KNARR_RETURN_IF_ERROR(transport.remove(resource, wanted.ns, wanted.name, {}).status());
  if (found.ok() && !replace) {
    KNARR_RETURN_IF_ERROR(transport.update(resource, wanted.ns, wanted.name, text).status());
  } else {
    KNARR_RETURN_IF_ERROR(transport.create(resource, wanted.ns, "", text).status());
  }
  return true;
}

}  // namespace

Status reconcile_default_rbac(client::Transport& transport) {
  size_t written = 0;
  for (const auth::DefaultObject& wanted : auth::default_rbac_objects()) {
    auto done = reconcile(transport, wanted);
    if (!done.ok()) return done.status().with_context(fmt::format("default {} {}", wanted.plural, wanted.name));
    written += *done;
  }
  if (written > 0) log::info("controllers", "default roles and bindings written", {{"objects", written}});
  return {};
}

}  // namespace knarr::controllers
