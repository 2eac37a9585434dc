// The selectors that a question about access may have: what is wrong with them, and what of them counts. Private to the module.
#pragma once

#include <string>
#include <vector>

#include "knarr/base/status.h"
#include "knarr/codec/json.h"

namespace knarr::apiserver {

// Errors in resourceAttributes' fieldSelector and labelSelector.
std::vector<Cause> selector_causes(const json::Value& attributes);

struct AskedSelectors {
  std::string fields;  // as a list would send them
  std::string error;   // what of them cannot be read, as the answer's evaluationError tells it; "": nothing
};
AskedSelectors asked_selectors(const json::Value& attributes);

}  // namespace knarr::apiserver
