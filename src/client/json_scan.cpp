#include "client/json_scan.h"

#include "knarr/client/reflector.h"

namespace knarr::client {

bool JsonScan::skip_string() {
  ++at_;  // the opening quote
  while (true) {
    at_ = text_.find_first_of("\"\\", at_);
    if (at_ == std::string_view::npos) return false;
    if (text_[at_] == '"') {
      ++at_;
      return true;
    }
    at_ += 2;
  }
}

std::string_view JsonScan::value() {
  space();
  size_t begin = at_;
  size_t depth = 0;
  do {
    if (at_ >= text_.size()) return {};
    char c = text_[at_];
    if (c == '"') {
      if (!skip_string()) {
        at_ = text_.size();
        return {};
      }
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at_;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return {};
      --depth;
      ++at_;
    } else if (depth == 0) {  // a number or a word
      at_ = std::min(text_.find_first_of(",]} \n\t\r", at_), text_.size());
    } else {
      at_ = std::min(text_.find_first_of("\"{}[]", at_), text_.size());
    }
  } while (depth > 0);
  return text_.substr(begin, at_ - begin);
}

std::string scan_resource_version(std::string_view metadata) {
  std::string version;
  JsonScan scan(metadata);
  scan.object([&](std::string_view key) {
    std::string_view value = scan.value();
    if (key == "resourceVersion" && value.size() > 2) version = value.substr(1, value.size() - 2);
    return !value.empty();
  });
  return version;
}

std::string resource_version_of(std::string_view object) {
  std::string version;
  JsonScan scan(object);
  scan.object([&](std::string_view key) {
    std::string_view value = scan.value();
    if (key == "metadata") version = scan_resource_version(value);
    return !value.empty();
  });
  return version;
}

}  // namespace knarr::client
