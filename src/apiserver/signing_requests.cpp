#include "signing_requests.h"

#include <fmt/format.h>

#include "knarr/apiserver/errors.h"

namespace knarr::apiserver {

namespace {

using json::Value;

size_t conditions_of_type(const Value& request, std::string_view type) {
  const Value* conditions = json::find(request, {"status", "conditions"});
  if (!conditions || !conditions->IsArray()) return 0;
  size_t count = 0;
  for (const Value& condition : conditions->GetArray()) count += json::get_string(condition, "type") == type ? 1 : 0;
  return count;
}

}  // namespace

std::vector<Cause> validate_signing_request(std::string_view subresource, const Value& request, const Value& old) {
  std::vector<Cause> causes;
  if (subresource != "approval") {
    for (std::string_view type : {"Approved", "Denied"}) {
      if (conditions_of_type(request, type) > conditions_of_type(old, type))
        causes.push_back(cause_forbidden("status.conditions",
                                         fmt::format("updates may not add a condition of type \"{}\"", type)));
    }
  }
  const std::string_view certificate = json::get_string(request, {"status", "certificate"}),
                         old_certificate = json::get_string(old, {"status", "certificate"});
  if (certificate == old_certificate) return causes;
  if (subresource != "status") {
    causes.push_back(cause_forbidden("status.certificate", "updates may not set certificate content"));
  } else if (!old_certificate.empty()) {
    causes.push_back(cause_forbidden("status.certificate", "updates may not modify existing certificate content"));
  }
  return causes;
}

}  // namespace knarr::apiserver
