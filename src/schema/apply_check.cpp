// Whether a configuration that is applied fits its type: told before anything is merged.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "schema/apply_items.h"
#include "schema/apply_text.h"

namespace knarr::schema {

namespace {

using json::Allocator;
using json::Value;
using Kind = PathElement::Kind;

// Go's %v of a decoded JSON value.
std::string go_plain(const Value& value) {
  if (value.IsNull()) return "<nil>";
  if (value.IsString()) return std::string(json::view(value));
  std::string out;
  if (value.IsArray()) {
    for (const Value& item : value.GetArray()) out += (out.empty() ? "" : " ") + go_plain(item);
    return "[" + out + "]";
  }
  if (value.IsObject()) {
    std::vector<std::pair<std::string_view, const Value*>> members;
    for (const auto& member : value.GetObject()) members.emplace_back(json::view(member.name), &member.value);
    std::sort(members.begin(), members.end());
    for (const auto& [name, item] : members)
      out += fmt::format("{}{}:{}", out.empty() ? "" : " ", name, go_plain(*item));
    return "map[" + out + "]";
  }
  return scalar_text(value);
}

// And %#v.
std::string go_syntax(const Value& value) {
  if (value.IsNull()) return "interface {}(nil)";
  if (value.IsString()) return go_quoted(json::view(value));
  std::string out;
  if (value.IsArray()) {
    for (const Value& item : value.GetArray()) out += (out.empty() ? "" : ", ") + go_syntax(item);
    return "[]interface {}{" + out + "}";
  }
  if (value.IsObject()) {
    std::vector<std::pair<std::string_view, const Value*>> members;
    for (const auto& member : value.GetObject()) members.emplace_back(json::view(member.name), &member.value);
    std::sort(members.begin(), members.end());
    for (const auto& [name, item] : members)
      out += fmt::format("{}{}:{}", out.empty() ? "" : ", ", go_quoted(name), go_syntax(*item));
    return "map[string]interface {}{" + out + "}";
  }
  return scalar_text(value);
}

std::string_view go_type(const Value& value) {
  if (value.IsString()) return "string";
  if (value.IsBool()) return "bool";
  if (value.IsArray()) return "[]interface {}";
  if (value.IsObject()) return "map[string]interface {}";
  return "float64";
}

class Checker {
 public:
  explicit Checker(Allocator& alloc) : alloc_(alloc) {}
  std::vector<std::string> errors;

  void value(const View& view, const Value& value, const std::string& path) {
    if (value.IsNull()) return;
    switch (view.form) {
      case View::Form::kScalar:
        if (std::string why = scalar(view.shape, value); !why.empty()) add(path, std::move(why));
        return;
      case View::Form::kList:
        if (!value.IsArray()) return add(path, fmt::format("expected list, got &{{{}}}", go_plain(value)));
        return list(view, value, path);
      case View::Form::kStruct:
      case View::Form::kMap:
        if (!value.IsObject()) return add(path, fmt::format("expected map, got &{{{}}}", go_plain(value)));
        for (const auto& [key, item] : value.GetObject()) {
          const std::string_view name = json::view(key);
          if (view.form == View::Form::kStruct && !view.type->open && !view.struct_field(name))
            return add(fmt::format("{}.{}", path, name), "field not declared in schema");
          this->value(view.member(name), item, fmt::format("{}.{}", path, name));
        }
        return;
      case View::Form::kDeduced:
        return;
    }
  }

 private:
  Allocator& alloc_;

  void add(const std::string& path, std::string why) {
    errors.push_back(path.empty() ? std::move(why) : fmt::format("{}: {}", path, why));
  }

  static std::string scalar(Shape shape, const Value& value) {
    switch (shape) {
      case Shape::kInt32:
      case Shape::kInt64:
      case Shape::kDouble:
        return value.IsNumber() ? "" : fmt::format("expected numeric (int or float), got {}", go_type(value));
      case Shape::kBool:
        return value.IsBool() ? "" : fmt::format("expected boolean, got &{{{}}}", go_plain(value));
      case Shape::kQuantity:
      case Shape::kIntOrString:
        return !value.IsArray() && !value.IsObject() ? "" : fmt::format("expected any scalar, got &{{{}}}", go_plain(value));
      default:
        return value.IsString() ? ""
                                : fmt::format("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(value));
    }
  }

  void list(const View& view, const Value& list, const std::string& path) {
    std::unordered_set<std::string_view> seen;
    for (rapidjson::SizeType i = 0; i < list.Size(); ++i) {
      std::string name = fmt::format("[{}]", i);
      if (!view.atomic) {
        const auto element = item_element(view, list[i], alloc_);
        if (!element.ok()) return add(path, fmt::format("element {}: {}", i, element.status().message()));
        name = element->to_string();
        if (!seen.insert(element->text).second) add(path, fmt::format("duplicate entries for key {}", name));
      }
      value(view.element(), list[i], path + name);
    }
  }
};

}  // namespace

std::string misfits(const View& view, const Value& config, Allocator& alloc) {
  Checker checker(alloc);
  checker.value(view, config, "");
  if (checker.errors.size() <= 1) return checker.errors.empty() ? "" : checker.errors[0];
  return fmt::format("errors:\n  {}", fmt::join(checker.errors, "\n  "));
}

}  // namespace knarr::schema
