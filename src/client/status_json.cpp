#include "client/status_json.h"

#include <fmt/format.h>

#include "knarr/client/https.h"
#include "knarr/codec/json.h"

namespace knarr::client {

namespace {

std::string_view reason_of_code(int code) {
  switch (code) {
    case 400:
      return reason::kBadRequest;
    case 401:
      return reason::kUnauthorized;
    case 403:
      return reason::kForbidden;
    case 404:
      return reason::kNotFound;
    case 405:
      return reason::kMethodNotAllowed;
    case 409:
      return reason::kConflict;
    case 410:
      return reason::kGone;
    case 413:
      return reason::kRequestEntityTooLarge;
    case 415:
      return reason::kUnsupportedMediaType;
    case 422:
      return reason::kInvalid;
    case 429:
      return reason::kTooManyRequests;
    case 503:
      return reason::kServiceUnavailable;
    case 504:
      return reason::kTimeout;
    default:
      return reason::kInternalError;
  }
}

// Nothing when the text is no meta/v1.Status of an error.
Status read_status(std::string_view text) {
  auto document = json::parse(text);
  if (!document.ok() || !document->IsObject() || json::get_string(*document, "kind") != "Status") return {};
  int code = static_cast<int>(json::get_int(*document, "code"));
  if (code < 400) return {};
  Status status(code, json::get_string(*document, "reason"), std::string(json::get_string(*document, "message")));
  const json::Value* details = json::find(*document, "details");
  if (!details) return status;
  status.with_details({std::string(json::get_string(*details, "group")),
                       std::string(json::get_string(*details, "kind")), std::string(json::get_string(*details, "name")),
                       std::string(json::get_string(*details, "uid")),
                       static_cast<int>(json::get_int(*details, "retryAfterSeconds"))});
  if (const json::Value* causes = json::find(*details, "causes"); causes && causes->IsArray()) {
    for (const auto& cause : causes->GetArray()) {
      status.with_cause({std::string(json::get_string(cause, "reason")),
                         std::string(json::get_string(cause, "message")),
                         std::string(json::get_string(cause, "field"))});
    }
  }
  return status;
}

}  // namespace

Status parse_status(std::string_view text) {
  Status status = read_status(text);
  return status.ok() ? internal_error("the server sent an error that is no Status object") : status;
}

Status status_of_response(int code, std::string_view body) {
  if (code >= 200 && code < 300) return {};
  Status status = read_status(body);
  if (!status.ok()) return status;
  return {code, reason_of_code(code), fmt::format("the server answered {}: {}", code, body.substr(0, 200))};
}

}  // namespace knarr::client
