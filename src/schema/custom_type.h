// A schema::Type made at run time from a custom resource's schema, so that server-side apply treats it as any other; private to
// the module.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "knarr/schema/type.h"
#include "schema/structural.h"

namespace knarr::schema {

// The type of custom resources whose schema nobody asked for: kind, apiVersion, metadata, and whatever else there is.
const Type& untyped_custom();

class CustomType {
 public:
  CustomType(const Structural& schema, const std::string& kind);
  const Type& root() const { return *root_; }

 private:
  struct Made {  // a Type and what it points to
    Type type;
    std::string name;
    std::vector<Field> fields;
    std::vector<uint16_t> order;
  };
  const Type* make(const Structural& schema, std::string name, bool root);
  Shape element(const Structural* schema, const std::string& path, const Type*& type);
  Field field(const Structural& schema, std::string_view name, const std::string& owner);
  // The shape of a value; of an object also its type.
  Shape shape_of(const Structural& schema, const std::string& name, const Type*& type);
  std::string_view keep(std::string_view text) { return texts_.emplace_back(text); }

  std::deque<Made> made_;
  std::deque<std::string> texts_;
  std::deque<std::vector<std::string_view>> lists_;
  const Type* root_;
};

}  // namespace knarr::schema
