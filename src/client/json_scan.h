// Walks over a JSON text that its sender made, without building a document: a list of thousands of objects is cut into
// theirs. It finds where values end and trusts the rest; each value is parsed properly by whoever reads it.
#pragma once

#include <string>
#include <string_view>

namespace knarr::client {

class JsonScan {
 public:
  explicit JsonScan(std::string_view text) : text_(text) {}

  // Calls member(key) for each member of the object that stands here; it must consume the member's value and answer
  // true to go on. False when this is no object or a call answered false. Keys with escapes come as they are written.
  template <typename F>
  bool object(F member) {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      std::string_view key = value();
      if (key.size() < 2 || key.front() != '"' || !take(':')) return false;
      if (!member(key.substr(1, key.size() - 2))) return false;
    } while (take(','));
    return take('}');
  }

  template <typename F>
  bool array(F element) {
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      if (!element()) return false;
    } while (take(','));
    return take(']');
  }

  bool null() {
    space();
    if (!text_.substr(at_).starts_with("null")) return false;
    at_ += 4;
    return true;
  }

  // Consumes one value and answers its text; "" when there is none.
  std::string_view value();

 private:
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  bool take(char c) {
    space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool skip_string();

  std::string_view text_;
  size_t at_ = 0;
};

// The resourceVersion in the text of a metadata object, "" when it has none.
std::string scan_resource_version(std::string_view metadata);

}  // namespace knarr::client
