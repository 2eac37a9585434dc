// Paths of fields and the errors that validation collects, worded as upstream words them; private to the module.
#pragma once

#include <charconv>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/status.h"

namespace knarr::schema {

class Path {
 public:
  Path() = default;
  explicit Path(std::string_view root) : text_(root) {}

  Path child(std::string_view name) const {
    Path p;
    p.text_.reserve(text_.size() + 1 + name.size());
    if (!text_.empty()) p.text_.append(text_).push_back('.');
    p.text_.append(name);
    return p;
  }
  Path child(std::string_view a, std::string_view b) const { return child(a).child(b); }
  Path index(size_t i) const { return key(std::to_string(i)); }
  Path key(std::string_view k) const {
    Path p;
    p.text_.reserve(text_.size() + 2 + k.size());
    p.text_.append(text_).append("[").append(k).append("]");
    return p;
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class FieldErrors {
 public:
  using Problems = std::vector<std::string>;
  using Words = std::initializer_list<std::string_view>;

  void required(const Path& path, std::string_view detail = "");
  void forbidden(const Path& path, std::string_view detail);
  void not_found(const Path& path, std::string_view value, std::string_view detail = "");
  void duplicate(const Path& path, std::string_view value, std::string_view detail = "");
  void duplicate_json(const Path& path, std::string_view json, std::string_view detail = "");
  void too_long(const Path& path, size_t max_bytes);
  void too_many(const Path& path, size_t actual, size_t max);
  void unsupported(const Path& path, std::string_view value, Words supported);
  void unsupported_json(const Path& path, std::string_view json, Words supported);

  void invalid(const Path& path, std::string_view value, std::string_view detail);
  void invalid(const Path& path, const char* value, std::string_view detail) { invalid(path, std::string_view(value), detail); }
  void invalid(const Path& path, int64_t value, std::string_view detail);
  void invalid(const Path& path, int32_t value, std::string_view detail) { invalid(path, int64_t{value}, detail); }
  void invalid(const Path& path, bool value, std::string_view detail);
  void invalid_json(const Path& path, std::string_view json, std::string_view detail);
  // Without showing the value.
  struct NoValue {};
  static constexpr NoValue kNoValue{};
  void invalid(const Path& path, NoValue, std::string_view detail);
  // One error for each of the problems.
  void invalid(const Path& path, std::string_view value, const Problems& problems);
  void invalid(const Path& path, int64_t value, const Problems& problems);

  void non_negative(const Path& path, int64_t value);
  // True when it is one of the words; else the error.
  bool one_of(const Path& path, std::string_view value, Words supported);

  void append(std::vector<Cause> causes) {
    for (Cause& cause : causes) causes_.push_back(std::move(cause));
  }
  size_t count() const { return causes_.size(); }
  std::vector<Cause> take() { return std::move(causes_); }

 private:
  void add(std::string_view reason, const Path& path, std::string message, std::string_view detail);

  std::vector<Cause> causes_;
};

}  // namespace knarr::schema
