// Printers of rows, one for each kind that tells more than name and age; private to the module. They look at objects as
// JSON: the cells need a handful of members each.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "knarr/base/clock.h"
#include "knarr/codec/json.h"
#include "knarr/schema/type.h"

namespace knarr::schema::printing {

using OptionalTime = std::optional<WallTime>;
using Path = std::initializer_list<std::string_view>;

// The cells of one row, with the moment that ages are counted to.
class Row {
 public:
  Row(WallTime now, json::Value& cells, json::Allocator& alloc) : now_(now), cells_(cells), alloc_(alloc) {}

  void text(std::string_view value) { cells_.PushBack(json::string(value, alloc_), alloc_); }
  void text(std::string_view value, std::string_view when_empty) { text(value.empty() ? when_empty : value); }
  void number(int64_t value) { cells_.PushBack(json::Value(value), alloc_); }
  void boolean(bool value) { cells_.PushBack(json::Value(value), alloc_); }
  void age(const OptionalTime& since) { text(age_text(since)); }

  // Of members of the object.
  void name(const json::Value& object) { text(json::get_string(object, {"metadata", "name"})); }
  void age(const json::Value& object);
  void containers(const json::Value& pod_template);  // names, images

  std::string age_text(const OptionalTime& since) const;
  WallTime now() const { return now_; }

 private:
  WallTime now_;
  json::Value& cells_;
  json::Allocator& alloc_;
};

OptionalTime time_at(const json::Value& object, Path path);
int64_t int_at(const json::Value& object, Path path, int64_t otherwise = 0);

std::string labels_text(const json::Value* labels);                             // a=b,c=d; <none>
std::string selector_text(const json::Value* selector);                         // of a LabelSelector, likewise
std::string joined(const json::Value& list, std::string_view separator = ",");  // strings of a list
// The first `max` of many, and how many more there are.
std::string first_of(const std::vector<std::string>& list, size_t max, size_t count, std::string_view separator = ",");

using Printer = void (*)(const json::Value& object, Row& row);
using Printers = std::map<std::string_view, Printer>;  // by type

void add_workload_printers(Printers& printers);
void add_network_printers(Printers& printers);
void add_other_printers(Printers& printers);

}  // namespace knarr::schema::printing
