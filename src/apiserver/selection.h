// Which objects of a resource a list or watch shows: namespace, label selector and field selector, matched on a stored
// object's key and Extract without parsing it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "knarr/apiserver/rest.h"
#include "knarr/codec/selector.h"

namespace knarr::apiserver {

class Selection {
 public:
  // Error: BadRequest for a selector that does not parse or names a field that the resource has no selector for.
  static Result<Selection> make(const Target& target, const ListParams& params);

  bool matches(const store::Object& object) const;
  bool everything() const { return labels_.is_everything() && fields_.empty(); }  // within the namespace
  // What keys begin with: "namespace/", further narrowed where the field selector names one object.
  const std::string& prefix() const { return prefix_; }
  // Labels with the one value that they must have: what matches has all of them.
  std::vector<std::pair<std::string, std::string>> exact_labels() const;

 private:
  std::string prefix_;
  schema::ResourceRef custom_;  // whose fields are read from the object itself; else they are in its Extract
  selector::Labels labels_;
  selector::Fields fields_;
};

}  // namespace knarr::apiserver
