// Lists that are sets or maps: which element is which. Private to server-side apply.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "schema/apply_typed.h"

namespace knarr::schema {

// The path element of a list's item. Error: why it has none, as upstream tells it.
Result<PathElement> item_element(const View& list, const json::Value& item, json::Allocator& alloc);

// A list's items by their path elements, in the order in which these occur first.
class ListItems {
 public:
  struct Group {
    PathElement element;
    std::vector<const json::Value*> values;
  };

  struct Item {
    PathElement element;
    const json::Value* value;
  };

  ListItems(const View& view, const json::Value& list, json::Allocator& alloc);
  const Status& failure() const { return failure_; }  // of the first item without a path element; such are left out
  const std::vector<Group>& groups() const { return groups_; }
  const std::vector<const json::Value*>& find(const PathElement& element) const;  // empty: none
  const std::vector<Item>& order() const { return order_; }

 private:
  std::vector<Group> groups_;
  std::vector<Item> order_;
  std::unordered_map<std::string_view, size_t> index_;
  Status failure_;
};

json::Value merge_items(const View& view, const json::Value& live, const json::Value& config, json::Allocator& alloc);
void remove_items(const View& view, json::Value& list, const FieldSet& gone, json::Allocator& alloc);

}  // namespace knarr::schema
