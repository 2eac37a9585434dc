// References as Docker reads them: what looks like a host is one, what does not lives on Docker Hub.
#include <fmt/format.h>

#include <algorithm>

#include "image/digest.h"
#include "knarr/image/image.h"

namespace knarr::image {

namespace {

constexpr size_t kMaxName = 255, kMaxTag = 128;

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool letter_or_digit(char c) { return lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

// [a-z0-9]+ ((. | _ | __ | -+) [a-z0-9]+)*
bool valid_path_component(std::string_view text) {
  if (text.empty() || !lower_or_digit(text.front()) || !lower_or_digit(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    const size_t end = static_cast<size_t>(
        std::find_if(text.begin() + static_cast<ptrdiff_t>(i), text.end(), lower_or_digit) - text.begin());
    const std::string_view separator = text.substr(i, end - i);
    const bool dashes = separator.find_first_not_of('-') == std::string_view::npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__") return false;
    i = end;
    while (i < text.size() && lower_or_digit(text[i])) ++i;
  }
  return true;
}

bool valid_registry(std::string_view text) {
  std::string_view host = text;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    const std::string_view address = text.substr(1, close - 1);
    if (address.find_first_not_of("0123456789abcdefABCDEF:") != std::string_view::npos) return false;
    if (close + 1 == text.size()) return true;
    if (text[close + 1] != ':') return false;
    host = "v6";
    text = text.substr(close + 1);
  } else {
    host = text.substr(0, text.find(':'));
    text.remove_prefix(host.size());
  }
  if (!text.empty()) {
    const std::string_view port = text.substr(1);
    if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  }
  while (true) {
    const std::string_view label = host.substr(0, host.find('.'));
    if (label.empty() || !letter_or_digit(label.front()) || !letter_or_digit(label.back())) return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return letter_or_digit(c) || c == '-'; })) return false;
    if (label.size() == host.size()) return true;
    host.remove_prefix(label.size() + 1);
  }
}

bool valid_tag(std::string_view text) {
  if (text.empty() || text.size() > kMaxTag || text.front() == '.' || text.front() == '-') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return letter_or_digit(c) || c == '_' || c == '.' || c == '-'; });
}

bool looks_like_registry(std::string_view first) {
  return first.find_first_of(".:") != std::string_view::npos || first == "localhost" ||
         std::any_of(first.begin(), first.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

Status refuse(std::string_view text, std::string_view why) {
  constexpr size_t kShown = 300;
  return bad_request(fmt::format("\"{}\" is no image reference: {}", text.substr(0, kShown), why));
}

}  // namespace

std::string Reference::to_string() const {
  std::string text = registry + "/" + repository;
  if (!tag.empty()) text += ":" + tag;
  if (!digest.empty()) text += "@" + digest;
  return text;
}

Result<Reference> Reference::parse(std::string_view text) {
  Reference result;
  std::string_view rest = text;
  if (rest.empty()) return refuse(text, "it is empty");

  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    result.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!valid_digest(result.digest)) return refuse(text, "want sha256: and 64 hexadecimal digits behind the @");
  }
  const size_t slash = rest.rfind('/');
  const size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    result.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!valid_tag(result.tag))
      return refuse(text, "a tag has 1 to 128 letters, digits, _, . and -, and begins with no . or -");
  }

  const size_t first = rest.find('/');
  if (first != std::string_view::npos && looks_like_registry(rest.substr(0, first))) {
    result.registry = rest.substr(0, first);
    result.repository = rest.substr(first + 1);
    if (!valid_registry(result.registry))
      return refuse(text, fmt::format("\"{}\" is no registry's host", result.registry));
  } else {
    result.registry = "docker.io";
    result.repository = rest;
    if (valid_digest(fmt::format("sha256:{}", rest)))
      return refuse(text, "64 hexadecimal digits are an id, not a name");
  }
  if (result.registry == "index.docker.io") result.registry = "docker.io";
  if (result.registry == "docker.io" && result.repository.find('/') == std::string::npos)
    result.repository = "library/" + result.repository;

  std::string_view path = result.repository;
  while (true) {
    const std::string_view component = path.substr(0, path.find('/'));
    if (!valid_path_component(component)) {
      const bool upper = std::any_of(component.begin(), component.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
      return refuse(text, upper
                              ? "a repository's name must be lower case"
                              : "a repository's name has lower case letters and digits, with . _ __ or - between them");
    }
    if (component.size() == path.size()) break;
    path.remove_prefix(component.size() + 1);
  }
  if (result.registry.size() + 1 + result.repository.size() > kMaxName)
    return refuse(text, fmt::format("its name is longer than {} characters", kMaxName));
  if (result.tag.empty() && result.digest.empty()) result.tag = "latest";
  return result;
}

}  // namespace knarr::image
