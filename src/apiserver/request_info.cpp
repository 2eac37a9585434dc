#include "request_info.h"

#include <algorithm>
#include <vector>

#include "knarr/codec/names.h"
#include "knarr/codec/selector.h"

namespace knarr::apiserver {

namespace {

// Without slashes around it; those within separate parts that may be empty.
std::vector<std::string_view> split_path(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, slash));
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
std::string name_of_selector(std::string_view text) {
  if (text.empty()) return {};
  const auto selector = selector::Fields::parse(text);
  const auto name = selector.ok() ? selector->exact("metadata.name") : std::nullopt;
  if (!name || !names::path_segment_name(*name).empty()) return {};
  return std::string(*name);
}

// What a request does by its method; a path may say otherwise.
std::string_view verb_of(std::string_view method) {
  if (method == "POST") return "create";
  if (method == "GET" || method == "HEAD") return "get";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  return "";
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

  if (parts[at] == "watch" || parts[at] == "proxy") {  // /api/v1/watch/pods, an old way to say ?watch=1
    info.verb = parts[at++];
    info.old_watch = info.verb == "watch";
    info.broken = at == parts.size();
    if (info.broken) return info;
  } else {
    info.verb = verb_of(request.method);
  }
  if (parts[at] == "namespaces" && at + 1 < parts.size()) {
    info.ns = parts[at + 1];
    const bool of_namespace = at + 2 >= parts.size() || parts[at + 2] == "status" || parts[at + 2] == "finalize";
    info.in_namespace = !of_namespace;
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
