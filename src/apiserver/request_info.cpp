#include "request_info.h"

#include <algorithm>
#include <vector>

namespace knarr::apiserver {

namespace {

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) parts.push_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// A list or watch of one object by name is about that object, for authorisation.
std::string_view name_of_selector(std::string_view selector) {
  constexpr std::string_view kName = "metadata.name=";
  if (selector.substr(0, kName.size()) != kName || selector.find(',') != std::string_view::npos) return {};
  return selector.substr(kName.size());
}

}  // namespace

RequestInfo read_request_info(const http::Request& request) {
  RequestInfo info;
  info.verb = lower(request.method);
  std::vector<std::string_view> parts = split_path(request.path);
  size_t at = 0;
  if (parts.size() < 3) return info;
  if (parts[0] == "api") {
    at = 1;
  } else if (parts[0] == "apis") {
    if (parts.size() < 4) return info;
    info.group = parts[1];
    at = 2;
  } else {
    return info;
  }
  info.version = parts[at++];
  info.resource_request = true;

  const std::string& method = request.method;
  if (method == "POST") {
    info.verb = "create";
  } else if (method == "GET" || method == "HEAD") {
    info.verb = "get";
  } else if (method == "PUT") {
    info.verb = "update";
  } else if (method == "PATCH") {
    info.verb = "patch";
  } else if (method == "DELETE") {
    info.verb = "delete";
  }
  if (parts[at] == "watch" && at + 1 < parts.size()) {  // /api/v1/watch/pods, an old way to say ?watch=1
    info.verb = "watch";
    ++at;
  }
  if (parts[at] == "namespaces" && at + 1 < parts.size()) {
    info.ns = parts[at + 1];
    const bool of_namespace = at + 2 >= parts.size() || parts[at + 2] == "status" || parts[at + 2] == "finalize";
    if (!of_namespace) at += 2;
  }
  info.resource = parts[at++];
  if (at < parts.size()) info.name = parts[at++];
  if (at < parts.size()) info.subresource = parts[at++];
  for (; at < parts.size(); ++at) info.rest.append("/").append(parts[at]);

  if (info.name.empty() && info.verb == "get") {
    info.verb = request.flag("watch") ? "watch" : "list";
    info.name = name_of_selector(request.param("fieldSelector").value_or(""));
  }
  if (info.name.empty() && info.verb == "delete") info.verb = "deletecollection";
  return info;
}

}  // namespace knarr::apiserver
