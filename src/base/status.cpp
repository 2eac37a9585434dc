#include "knarr/base/status.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace knarr {

namespace {
const std::string kEmpty;
const std::vector<Cause> kNoCauses;
const Status::Details kNoDetails;
}  // namespace

Status::Status(int code, std::string_view reason, std::string message)
    : rep_(new Rep{code, std::string(reason), std::move(message), {}, {}}) {}

Status::Status(const Status& other) : rep_(other.rep_ ? new Rep(*other.rep_) : nullptr) {}

Status& Status::operator=(const Status& other) {
  if (this != &other) rep_.reset(other.rep_ ? new Rep(*other.rep_) : nullptr);
  return *this;
}

int Status::code() const { return rep_ ? rep_->code : 200; }
const std::string& Status::reason() const { return rep_ ? rep_->reason : kEmpty; }
const std::string& Status::message() const { return rep_ ? rep_->message : kEmpty; }
const std::vector<Cause>& Status::causes() const { return rep_ ? rep_->causes : kNoCauses; }
const Status::Details& Status::details() const { return rep_ ? rep_->details : kNoDetails; }

Status& Status::with_cause(Cause cause) {
  if (rep_) rep_->causes.push_back(std::move(cause));
  return *this;
}

Status& Status::with_details(Details details) {
  if (rep_) rep_->details = std::move(details);
  return *this;
}

Status& Status::with_context(std::string_view what) {
  if (rep_) rep_->message = fmt::format("{}: {}", what, rep_->message);
  return *this;
}

std::string Status::to_string() const {
  return ok() ? "OK" : fmt::format("{} ({}): {}", rep_->reason, rep_->code, rep_->message);
}

Status internal_error(std::string message) { return {500, reason::kInternalError, std::move(message)}; }
Status bad_request(std::string message) { return {400, reason::kBadRequest, std::move(message)}; }
Status not_found(std::string message) { return {404, reason::kNotFound, std::move(message)}; }
Status unavailable(std::string message) { return {503, reason::kServiceUnavailable, std::move(message)}; }
Status timeout_error(std::string message) { return {504, reason::kTimeout, std::move(message)}; }

Status errno_status(int err, std::string_view what) {
  std::string message = fmt::format("{}: {}", what, std::generic_category().message(err));
  switch (err) {
    case ENOENT: return {404, reason::kNotFound, std::move(message)};
    case EEXIST: return {409, reason::kAlreadyExists, std::move(message)};
    case EACCES:
    case EPERM: return {403, reason::kForbidden, std::move(message)};
    case ENOSPC:
    case EDQUOT: return {507, "InsufficientStorage", std::move(message)};
    default: return {500, reason::kInternalError, std::move(message)};
  }
}

}  // namespace knarr
