// Result<T>: a T, or the Status that says why there is none. See status.h.
#pragma once

#include <cassert>
#include <utility>
#include <variant>

#include "knarr/base/status.h"

namespace knarr {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by intent
  Result(Status status) : value_(std::in_place_index<1>, std::move(status)) {
    assert(!std::get<1>(value_).ok() && "a Result without a value needs an error");
  }

  bool ok() const { return value_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Only when ok().
  T& value() & { return std::get<0>(value_); }
  const T& value() const& { return std::get<0>(value_); }
  T&& value() && { return std::get<0>(std::move(value_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T value_or(T other) const& { return ok() ? value() : std::move(other); }

  // OK when there is a value.
  Status status() const& { return ok() ? Status() : std::get<1>(value_); }
  Status status() && { return ok() ? Status() : std::move(std::get<1>(value_)); }

 private:
  std::variant<T, Status> value_;
};

}  // namespace knarr

#define KNARR_CONCAT_(a, b) a##b
#define KNARR_CONCAT(a, b) KNARR_CONCAT_(a, b)

// KNARR_RETURN_IF_ERROR(expr): returns the Status of expr from this function unless it is OK.
#define KNARR_RETURN_IF_ERROR(expr)                                        \
  do {                                                                     \
    if (::knarr::Status knarr_status_ = (expr); !knarr_status_.ok()) return knarr_status_; \
  } while (0)

// KNARR_ASSIGN(auto x, expr): declares x from a Result, or returns its error.
#define KNARR_ASSIGN(declaration, expr) KNARR_ASSIGN_(KNARR_CONCAT(knarr_result_, __LINE__), declaration, expr)
#define KNARR_ASSIGN_(tmp, declaration, expr)       \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return std::move(tmp).status();    \
  declaration = std::move(tmp).value()
