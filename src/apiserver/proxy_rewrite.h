// What the proxy to pods, services and nodes changes in answers, so that links stay behind the API server. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace knarr::apiserver {

// Where an answer comes from, and under which path the client sees it.
struct ProxyPlace {
  std::string prefix;       // /api/v1/namespaces/default/pods/web/proxy
  std::string target_host;  // 10.244.0.7:80
  std::string client_host;  // the Host header of the client's request
};

// A link as the client must follow it. What leads elsewhere, and what is relative, stays.
std::string rewrite_url(std::string_view url, const ProxyPlace& place);

// A page with its links rewritten; everything else stays byte by byte.
std::string rewrite_html(std::string_view page, const ProxyPlace& place);

// Joins two paths with one slash between them; the result ends in one where the second does.
std::string join_paths(std::string_view a, std::string_view b);

}  // namespace knarr::apiserver
