// Label and field selectors: parsing, matching, printing. Immutable values; thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/codec/json.h"

namespace knarr::selector {

using Pairs = std::span<const std::pair<std::string, std::string>>;  // sorted by key (store::Extract)

enum class Operator { kEquals, kNotEquals, kIn, kNotIn, kExists, kDoesNotExist, kGreaterThan, kLessThan };

struct Requirement {
  std::string key;
  Operator op = Operator::kEquals;
  std::vector<std::string> values;  // sorted
  bool double_equals = false;       // written with ==; printed again that way

  bool matches(const std::string_view* value) const;  // null: the label is not there
};

// A label selector: all requirements hold. Default: everything.
class Labels {
 public:
  Labels() = default;
  static Labels nothing();
  // "a=b,c!=d,e in (f,g),!h". Error: BadRequest, worded as upstream's.
  static Result<Labels> parse(std::string_view text);
  // A meta/v1.LabelSelector ({matchLabels, matchExpressions}): null selects nothing, an empty one everything.
  static Result<Labels> from_label_selector(const json::Value* label_selector);
  // A map of labels, as in Service.spec.selector; null or empty selects everything.
  static Labels from_map(const json::Value* map);

  bool matches(Pairs labels) const;
  bool matches(const json::Value* labels) const;  // a JSON object or null
  // Each requirement asks `find` for its label's value; null: not there.
  bool matches(const std::function<const std::string_view*(std::string_view key)>& find) const;

  bool is_everything() const { return !nothing_ && requirements_.empty(); }
  bool is_nothing() const { return nothing_; }
  std::optional<std::string_view> exact(std::string_view key) const;  // the one value that `key` must have
  const std::vector<Requirement>& requirements() const { return requirements_; }
  std::string to_string() const;

 private:
  bool nothing_ = false;
  std::vector<Requirement> requirements_;  // sorted by key
};

// A field selector: "metadata.name=a,spec.nodeName!=b", with \ before , = and \ in values.
class Fields {
 public:
  struct Term {
    std::string field, value;
    bool equals = true;
  };

  Fields() = default;  // everything
  static Result<Fields> parse(std::string_view text);

  bool matches(Pairs fields) const;  // a field that is not there is ""
  bool empty() const { return terms_.empty(); }
  std::optional<std::string_view> exact(std::string_view field) const;
  const std::vector<Term>& terms() const { return terms_; }
  std::string to_string() const;

 private:
  std::vector<Term> terms_;
};

}  // namespace knarr::selector
