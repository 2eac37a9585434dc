// What an operation answers when it does not answer a value: one idiom for errors in all of knarr.
//
// A Status is either OK or an error that can be shown to a Kubernetes client as it is: `code` is the HTTP code of
// meta/v1.Status, `reason` its machine-readable reason, `causes` its field errors. Libraries return a Status (or a
// Result<T>, see result.h); the edge logs it, or turns it into a meta/v1.Status. Thread-compatible, cheap to move; OK costs nothing.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace knarr {

// One cause of a refusal, as in meta/v1.StatusCause.
struct Cause {
  std::string reason;   // FieldValueRequired, FieldValueInvalid, ...
  std::string message;  // what is wrong with the field
  std::string field;    // path of the field: spec.containers[0].name

  bool operator==(const Cause&) const = default;
};

// HTTP codes and Kubernetes reasons that go together (meta/v1.StatusReason).
namespace reason {
inline constexpr std::string_view kBadRequest = "BadRequest";                        // 400
inline constexpr std::string_view kUnauthorized = "Unauthorized";                    // 401
inline constexpr std::string_view kForbidden = "Forbidden";                          // 403
inline constexpr std::string_view kNotFound = "NotFound";                            // 404
inline constexpr std::string_view kMethodNotAllowed = "MethodNotAllowed";            // 405
inline constexpr std::string_view kNotAcceptable = "NotAcceptable";                  // 406
inline constexpr std::string_view kAlreadyExists = "AlreadyExists";                  // 409
inline constexpr std::string_view kConflict = "Conflict";                            // 409
inline constexpr std::string_view kGone = "Gone";                                    // 410
inline constexpr std::string_view kExpired = "Expired";                              // 410
inline constexpr std::string_view kRequestEntityTooLarge = "RequestEntityTooLarge";  // 413
inline constexpr std::string_view kUnsupportedMediaType = "UnsupportedMediaType";    // 415
inline constexpr std::string_view kInvalid = "Invalid";                              // 422
inline constexpr std::string_view kTooManyRequests = "TooManyRequests";              // 429
inline constexpr std::string_view kInternalError = "InternalError";                  // 500
inline constexpr std::string_view kServiceUnavailable = "ServiceUnavailable";        // 503
inline constexpr std::string_view kTimeout = "Timeout";                              // 504
}  // namespace reason

class [[nodiscard]] Status {
 public:
  // What the error is about, as in meta/v1.StatusDetails.
  struct Details {
    std::string group, kind, name, uid;
    int retry_after_seconds = 0;
  };

  Status() = default;  // OK
  Status(int code, std::string_view reason, std::string message);
  Status(const Status& other);
  Status& operator=(const Status& other);
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;

  static Status OK() { return {}; }

  bool ok() const { return rep_ == nullptr; }
  int code() const;                    // 200 when OK
  const std::string& reason() const;   // empty when OK
  const std::string& message() const;  // empty when OK
  const std::vector<Cause>& causes() const;
  const Details& details() const;

  bool is(std::string_view reason) const { return !ok() && this->reason() == reason; }

  // Change an error in place and return it; they do nothing to OK.
  Status& with_cause(Cause cause);
  Status& with_details(Details details);
  Status& with_context(std::string_view what);  // message becomes "what: message"

  std::string to_string() const;  // "Conflict (409): message", for logs

 private:
  struct Rep {
    int code;
    std::string reason, message;
    std::vector<Cause> causes;
    Details details;
  };
  std::unique_ptr<Rep> rep_;
};

// The errors that every module makes.
Status internal_error(std::string message);
Status bad_request(std::string message);
Status not_found(std::string message);
Status unavailable(std::string message);
Status timeout_error(std::string message);

// An errno with what was tried and on what: "open /x: No such file or directory". Code 500, reason InternalError, but for
// ENOENT (NotFound), EEXIST (AlreadyExists), EACCES and EPERM (Forbidden), ENOSPC and EDQUOT (507, "InsufficientStorage").
Status errno_status(int err, std::string_view what);

}  // namespace knarr
