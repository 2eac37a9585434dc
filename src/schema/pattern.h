// Regular expressions as Go's, which are those of RE2: no backtracking, so that no pattern of a client can hold the server up;
// private to the module.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace knarr::schema {

// Compiled when it is first matched. Thread-safe.
class Pattern {
 public:
  explicit Pattern(std::string text);
  ~Pattern();

  const std::string& text() const { return text_; }
  bool found_in(std::string_view text) const;  // false for a pattern that does not compile

  // What is wrong with the pattern in Go's words; "" when it is good.
  static std::string problem(const std::string& pattern);

 private:
  struct Compiled;
  const std::string text_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<Compiled> compiled_;
};

}  // namespace knarr::schema
