#include "signing_requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/apiserver/errors.h"
#include "knarr/auth/csr.h"
#include "knarr/codec/base64.h"

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

// Before the first cause that `is_later`, since causes have an order.
template <typename Later>
void insert_before(std::vector<Cause>& causes, const Later& is_later, Cause cause) {
  causes.insert(std::find_if(causes.begin(), causes.end(), is_later), std::move(cause));
}

void check_contents(const Value& request, const Value* old, std::vector<Cause>& causes) {
  const std::string_view asked = json::get_string(request, {"spec", "request"}),
                         issued = json::get_string(request, {"status", "certificate"});
  const Status fits = auth::check_certificate_request(base64::decode(asked).value_or(""));
  if (!old && !fits.ok()) {
    const std::string shown = asked.empty() ? "null" : fmt::format("\"{}\"", asked);
    insert_before(causes, [](const Cause& cause) { return !cause.field.starts_with("metadata."); },
                  {"FieldValueInvalid", fmt::format("Invalid value: {}: {}", shown, fits.message()), "spec.request"});
  }
  if (issued.empty() || (old && json::get_string(*old, {"status", "certificate"}) == issued)) return;
  if (const Status good = auth::check_certificates(base64::decode(issued).value_or("")); !good.ok())
    insert_before(causes, [](const Cause& cause) { return cause.message.starts_with("Forbidden: updates may not"); },
                  cause_invalid("status.certificate", "\"<certificate data>\"", good.message()));
}

}  // namespace

void validate_signing_request(std::string_view subresource, const Value& request, const Value* old,
                              std::vector<Cause>& causes) {
  check_contents(request, old, causes);
  if (!old) return;
  if (subresource != "approval") {
    for (std::string_view type : {"Approved", "Denied"}) {
      if (conditions_of_type(request, type) > conditions_of_type(*old, type))
        causes.push_back(cause_forbidden("status.conditions",
                                         fmt::format("updates may not add a condition of type \"{}\"", type)));
    }
  }
  const std::string_view certificate = json::get_string(request, {"status", "certificate"}),
                         old_certificate = json::get_string(*old, {"status", "certificate"});
  if (certificate == old_certificate) return;
  if (subresource != "status") {
    causes.push_back(cause_forbidden("status.certificate", "updates may not set certificate content"));
  } else if (!old_certificate.empty()) {
    causes.push_back(cause_forbidden("status.certificate", "updates may not modify existing certificate content"));
  }
}

}  // namespace knarr::apiserver
