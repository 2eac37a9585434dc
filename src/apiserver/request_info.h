// What a request is about, read from its method, path and query as upstream reads it.
#pragma once

#include <string>
#include <string_view>

#include "knarr/http/server.h"

namespace knarr::apiserver {

struct RequestInfo {
  bool resource_request = false;  // /api/<version>/... or /apis/<group>/<version>/... with a resource
  std::string verb;               // get, list, watch, create, ...; "" for unknown methods; the lower-case method for other paths
  std::string group, version, ns, resource, subresource, name;
  bool in_namespace = false;      // the path is /namespaces/<ns>/<resource>...
  bool old_watch = false;         // the path is /watch/...
  bool broken = false;            // nothing follows /watch or /proxy: upstream answers 500
  std::string rest;  // what follows the subresource: nodes/x/proxy/<rest>
};

RequestInfo read_request_info(const http::Request& request);

}  // namespace knarr::apiserver
