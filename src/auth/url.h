// A URL in the two parts that a request needs.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "knarr/base/result.h"

namespace knarr::auth {

struct Url {
  std::string origin;  // https://host:port
  std::string target;  // /path?query; "/" where there is none

  static Result<Url> parse(std::string_view text) {
    const size_t scheme = text.find("://");
    if (scheme == text.npos || (text.substr(0, scheme) != "https" && text.substr(0, scheme) != "http"))
      return bad_request("URL \"" + std::string(text) + "\": want https://HOST[:PORT][/PATH]");
    const size_t slash = std::min(text.find_first_of("/?", scheme + 3), text.size());
    if (slash == scheme + 3) return bad_request("URL \"" + std::string(text) + "\": the host is missing");
    Url url;
    url.origin = text.substr(0, slash);
    url.target = text.substr(slash);
    if (!url.target.starts_with('/')) url.target.insert(0, "/");
    return url;
  }
};

}  // namespace knarr::auth
