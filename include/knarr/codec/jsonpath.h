// JSONPath as Kubernetes' own dialect has it, for the columns of custom resources: .spec.replicas,
// .status.conditions[?(@.type=="Ready")].status, .items[0], ['a.b'], [*], ..name. Pure; thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/codec/json.h"

namespace knarr {

class JsonPath {
 public:
  // `text` without braces. Error: BadRequest saying what was not understood.
  static Result<JsonPath> parse(std::string_view text);

  // What the path leads to, in the document's order; empty where it leads nowhere. Values belong to `root`.
  std::vector<const json::Value*> find(const json::Value& root) const;

  struct Step;

 private:
  std::vector<std::shared_ptr<const Step>> steps_;
};

}  // namespace knarr
