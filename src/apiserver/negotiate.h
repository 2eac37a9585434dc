// Which form of an answer a client asked for, and which form a body has.
#pragma once

#include <string>
#include <string_view>

#include "knarr/base/result.h"
#include "knarr/http/server.h"

namespace knarr::apiserver {

enum class Shape { kObject, kTable, kPartial, kPartialList };

struct Output {
  Shape shape = Shape::kObject;
  bool yaml = false;
  bool protobuf = false;
  bool pretty = false;
  bool discovery = false;                   // as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2
  std::string meta_version = "v1";          // of meta.k8s.io, for tables and partial objects
  std::string include_object = "Metadata";  // of a table's rows: None, Metadata, Object

  // Objects as they are stored.
  bool plain_json() const { return shape == Shape::kObject && !yaml && !protobuf && !pretty; }
  std::string_view content_type() const {
    return protobuf ? "application/vnd.kubernetes.protobuf" : yaml ? "application/yaml" : "application/json";
  }
};

// Which transformed forms a path has besides the plain one.
enum class Forms {
  kPlain,
  kMeta,       // tables and metadata only: resources
  kCustom,     // the same, of custom resources: their own objects have no protobuf form
  kStream,     // as kMeta, for a watch: a form in which objects can follow each other
  kCustomStream,
  kDiscovery,  // aggregated: /api and /apis
};

bool takes_gzip(const http::Request& request);

// What a path's route says that it can answer with, which is asked before anything else looks at Accept. Those of
// custom resources say nothing.
enum class Route { kObject, kCollection, kJson, kKeys };
Status check_route_accepts(const http::Request& request, Route route);

// From Accept, in the client's order of preference; 406 when it accepts nothing that the path can answer.
Result<Output> negotiate_output(const http::Request& request, Forms forms);

// A body as JSON text, from JSON, YAML or Kubernetes' protobuf (what Go clients send); 415 for other content types.
// `kind` is what is expected, as errors of texts that are none name it; "" where nothing is.
Result<std::string> body_as_json(const http::Request& request, std::string_view kind = {});

// The beginning of a text that is no object, as upstream shows it in an error.
std::string text_summary(std::string_view text);

// Errors as the client wants them: a Status that stands in the answer as JSON is put into another form where that is asked for.
void fit_status(const http::Request& request, http::Response& response);

// The media type of a header without its parameters, in lower case.
std::string media_type(std::string_view header);

}  // namespace knarr::apiserver
