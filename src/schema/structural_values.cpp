// The values of custom resources against their schema, with the errors that upstream's validator of OpenAPI schemas finds, in
// its words and its choice: of alternatives that all fail, the one that fulfils the most is told.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "schema/field_errors.h"
#include "schema/structural.h"

namespace knarr::schema {

namespace {

using json::Value;

struct Problem {
  std::string text;  // of the validator; the same is told once
  Cause cause;
};

struct Outcome {
  std::vector<Problem> problems;
  int matches = 0;  // how many checks were made: which of several failures is the nearest

  bool valid() const { return problems.empty(); }
  void add(Problem problem) {
    const bool known = std::any_of(problems.begin(), problems.end(), [&](const Problem& p) { return p.text == problem.text; });
    if (!known) problems.push_back(std::move(problem));
  }
  void merge(Outcome other) {
    for (Problem& problem : other.problems) add(std::move(problem));
    matches += other.matches;
  }
};

size_t code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// 3.0 counts as an integer, as in upstream's helper.
bool is_whole(double value) {
  if (std::isnan(value) || std::isinf(value) || std::fabs(value) > 9007199254740991.0) return false;
  const double off = std::fabs(value - std::trunc(value));
  return off < 1e-9 || off > 1 - 1e-9 || value == std::trunc(value);
}

std::string_view json_type(const Value& value) {
  if (value.IsNull()) return "null";
  if (value.IsBool()) return "boolean";
  if (value.IsString()) return "string";
  if (value.IsInt64()) return "integer";
  if (value.IsNumber()) return "number";
  return value.IsArray() ? "array" : "object";
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

std::string shown(const Value& value) { return value.IsDouble() ? go_number(value.GetDouble()) : json::dump(value); }

// How Go prints an element of a list with %v.
std::string go_text(const Value& value) {
  if (value.IsString()) return std::string(json::view(value));
  return value.IsNull() ? "<nil>" : shown(value);
}

class Validator {
 public:
  // `field` is what the value's path stands behind in the causes: "" or "status".
  explicit Validator(std::string field) : field_(std::move(field)) {}

  // A part of the object, forgiven what was wrong before where it did not change.
  Outcome part(const Value& value, const Value* old, const Structural& schema, const std::string& path) {
    Outcome out = whole(value, old, schema, path);
    if (!out.valid() && old != nullptr && json::equal(value, *old)) out.problems.clear();
    return out;
  }

 private:
  Outcome whole(const Value& value, const Value* old, const Structural& schema, const std::string& path) {
    Outcome out;
    const ValueRules* rules = schema.rules.get();
    if (value.IsNull()) {
      out.merge(check_type(value, schema, path));
      if (rules != nullptr && rules->allowed) out.merge(check_enum(value, *rules, path));
      return out;
    }
    const auto step = [&](Outcome result) {
      out.merge(std::move(result));
      ++out.matches;
    };
    static const ValueRules kNone;
    const ValueRules& r = rules != nullptr ? *rules : kNone;
    if (schema.type != Structural::Type::kNone || schema.int_or_string || !r.format.empty()) step(check_type(value, schema, path));
    step(check_alternatives(value, old, r, path));
    if (value.IsString()) {
      step(check_string(value, r, path));
      if (!r.format.empty() && is_string_format(r.format)) step(check_format(value, r, path));
    }
    if (value.IsNumber()) step(check_number(value, schema, r, path));
    if (value.IsArray()) step(check_list(value, old, schema, r, path));
    step(check_enum(value, r, path));
    if (value.IsObject()) step(check_object(value, old, schema, r, path));
    ++out.matches;
    return out;
  }

  static bool is_string_format(std::string_view format) {
    return format != "int32" && format != "int64" && format != "float" && format != "double";
  }

  Path field_of(const std::string& path) const {
    std::string_view rest = path;
    if (rest.starts_with(".")) rest.remove_prefix(1);
    if (rest.empty()) return Path(field_.empty() ? "<nil>" : field_);
    if (field_.empty()) return Path(rest);
    return Path(fmt::format("{}.{}", field_, rest));
  }
  static Problem one(std::string text, FieldErrors errors) { return {std::move(text), errors.take().front()}; }
  Problem invalid(const std::string& path, const std::string& value, std::string text) const {
    FieldErrors errors;
    errors.invalid_json(field_of(path), value, text);
    return one(std::move(text), std::move(errors));
  }
  // An error that upstream tells of the whole object.
  Problem general(std::string text) const { return invalid("", "\"\"", std::move(text)); }

  static Outcome failed(Problem problem) {
    Outcome out;
    out.problems.push_back(std::move(problem));
    return out;
  }
  static Outcome passed(int matches = 1) {
    Outcome out;
    out.matches = matches;
    return out;
  }

  Problem wrong_type(const std::string& path, std::string_view wanted, std::string_view actual) const {
    Problem problem = invalid(path, quoted(actual), fmt::format("{} in body must be of type {}: {}", path, wanted, quoted(actual)));
    problem.cause.reason = "FieldValueTypeInvalid";
    return problem;
  }

  Outcome check_type(const Value& value, const Structural& schema, const std::string& path) const {
    using Type = Structural::Type;
    const std::string wanted = schema.int_or_string ? "integer,string" : schema.type_name;
    const bool any = wanted.empty();
    if (value.IsNull()) return any || schema.nullable ? passed() : failed(wrong_type(path, wanted, "null"));
    const std::string_view actual = json_type(value);
    const bool wants_integer = schema.int_or_string || schema.type == Type::kInteger, wants_number = schema.type == Type::kNumber;
    const bool whole_float = actual == "number" && wants_integer && is_whole(value.GetDouble());
    const bool fits = (schema.int_or_string ? actual == "integer" || actual == "string" : actual == wanted) || whole_float ||
                      (actual == "integer" && wants_number);
    const std::string_view format = schema.rules ? std::string_view(schema.rules->format) : std::string_view();
    const bool text_like = value.IsString() || value.IsArray();
    if (!format.empty() && !text_like && !fits) {
      const std::string_view own = actual == "integer" ? "int64" : actual == "number" ? "float64" : "";
      if (own != format) return failed(wrong_type(path, format, own));
    }
    if (!wants_integer && !wants_number && !format.empty() && text_like) return passed();
    return fits ? passed() : failed(wrong_type(path, wanted, actual));
  }

  Outcome check_string(const Value& value, const ValueRules& rules, const std::string& path) const {
    const std::string_view text = json::view(value);
    if (rules.max_length || rules.min_length) {
      const auto length = static_cast<int64_t>(code_points(text));
      if (rules.max_length && length > *rules.max_length) {
        FieldErrors errors;
        errors.too_long(field_of(path), static_cast<size_t>(*rules.max_length));
        return failed(one(fmt::format("{} in body should be at most {} chars long", path, *rules.max_length), std::move(errors)));
      }
      if (rules.min_length && length < *rules.min_length)
        return failed(invalid(path, quoted(text), fmt::format("{} in body should be at least {} chars long", path, *rules.min_length)));
    }
    if (rules.pattern && !rules.pattern->found_in(text))
      return failed(invalid(path, quoted(text), fmt::format("{} in body should match '{}'", path, rules.pattern->text())));
    return passed(0);
  }

  Outcome check_format(const Value& value, const ValueRules& rules, const std::string& path) const {
    std::string format = rules.format;
    std::erase(format, '-');  // formats are known without their dashes
    return fits_format(format, json::view(value)) ? passed(0) : failed(wrong_type(path, rules.format, json::view(value)));
  }

  Outcome check_number(const Value& value, const Structural& schema, const ValueRules& rules, const std::string& path) const {
    Outcome out = passed();
    const bool is_int = value.IsInt64();
    const double number = value.GetDouble();
    const std::string text = shown(value);
    const auto out_of_range = [&](double n, bool whole, std::string_view prefix) {
      std::string_view type, format;
      if (!schema.int_or_string && schema.type == Structural::Type::kInteger) type = "integer";
      if (!schema.int_or_string && schema.type == Structural::Type::kNumber) type = "number";
      if (!type.empty()) format = rules.format;
      bool bad = false;
      if (type == "integer") {
        const bool fits_int = whole || (is_whole(n) && std::fabs(n) < 9.2233720368547758e18);
        bad = !fits_int || (format == "int32" && (n > std::numeric_limits<int32_t>::max() || n < std::numeric_limits<int32_t>::min()));
      } else if (format == "float") {
        bad = std::fabs(n) > static_cast<double>(std::numeric_limits<float>::max());
      }
      if (!bad) return false;
      out.add(general(format.empty() ? fmt::format("{} value must be of type {} (default format) in {}", prefix, type, path)
                                     : fmt::format("{} value must be of type {} with format {} in {}", prefix, type, format, path)));
      return true;
    };
    out_of_range(number, is_int, "Checked");
    if (rules.multiple_of) {
      const double factor = *rules.multiple_of;
      const bool as_int = !out_of_range(factor, false, "MultipleOf") && is_int;
      const bool bad = as_int && factor >= 1 ? value.GetInt64() % static_cast<int64_t>(factor) != 0
                                             : !is_whole(factor < 1 ? 1 / factor * number : number / factor);
      if (factor <= 0)
        out.add(general(fmt::format("factor MultipleOf declared for {} must be positive: {}", path, go_number(factor))));
      else if (bad)
        out.add(invalid(path, text, fmt::format("{} in body should be a multiple of {}", path, go_number(factor))));
    }
    // Bounds of integers are integers.
    const auto bound = [&](double limit, bool as_int) { return as_int ? std::trunc(limit) : limit; };
    if (rules.minimum) {
      const bool as_int = !out_of_range(*rules.minimum, false, "Minimum boundary") && is_int;
      const double limit = bound(*rules.minimum, as_int);
      if (number < limit || (rules.exclusive_minimum && number == limit))
        out.add(invalid(path, text, fmt::format("{} in body should be greater than {}{}", path,
                                                rules.exclusive_minimum ? "" : "or equal to ", go_bound(limit, as_int))));
    }
    if (rules.maximum) {
      const bool as_int = !out_of_range(*rules.maximum, false, "Maximum boundary") && is_int;
      const double limit = bound(*rules.maximum, as_int);
      if (number > limit || (rules.exclusive_maximum && number == limit))
        out.add(invalid(path, text, fmt::format("{} in body should be less than {}{}", path,
                                                rules.exclusive_maximum ? "" : "or equal to ", go_bound(limit, as_int))));
    }
    return out;
  }
  static std::string go_bound(double limit, bool as_int) {
    return as_int ? std::to_string(static_cast<int64_t>(limit)) : go_number(limit);
  }

  Outcome check_enum(const Value& value, const ValueRules& rules, const std::string& path) const {
    if (!rules.allowed) return passed(0);
    std::string all, words;
    for (const Value& allowed : rules.allowed->GetArray()) {
      if (!value.IsNull() && json::equal(value, allowed)) return passed(0);
      all.append(all.empty() ? "" : " ").append(go_text(allowed));
      words.append(words.empty() ? "" : ", ").append(quoted(allowed.IsString() ? json::view(allowed) : json::dump(allowed)));
    }
    const std::string text = fmt::format("{} in body should be one of [{}]", path, all);
    return failed({text,
                   {"FieldValueNotSupported", fmt::format("Unsupported value: {}: supported values: {}", shown(value), words),
                    field_of(path).text()}});
  }

  Outcome check_list(const Value& value, const Value* old, const Structural& schema, const ValueRules& rules, const std::string& path) {
    Outcome out;
    const auto size = static_cast<int64_t>(value.Size());
    if (schema.items) {
      for (rapidjson::SizeType i = 0; i < value.Size(); ++i)
        out.merge(part(value[i], correlated(value[i], old, schema), *schema.items, fmt::format("{}[{}]", path, i)));
    }
    if (rules.min_items && size < *rules.min_items)
      out.add(invalid(path, std::to_string(size), fmt::format("{} in body should have at least {} items", path, *rules.min_items)));
    if (rules.max_items && size > *rules.max_items) out.add(too_many(path, size, *rules.max_items, "items"));
    ++out.matches;
    return out;
  }

  Problem too_many(const std::string& path, int64_t actual, int64_t max, std::string_view what) const {
    FieldErrors errors;
    errors.too_many(field_of(path), static_cast<size_t>(actual), static_cast<size_t>(max));
    return one(fmt::format("{} in body should have at most {} {}", path, max, what), std::move(errors));
  }

  // The element of the old list with the same keys, where the list is a map.
  static const Value* correlated(const Value& item, const Value* old, const Structural& schema) {
    if (old == nullptr || !old->IsArray() || schema.list != Structural::List::kMap || !item.IsObject()) return nullptr;
    for (const Value& before : old->GetArray()) {
      const bool same = std::all_of(schema.list_keys.begin(), schema.list_keys.end(), [&](const std::string& key) {
        const Value *a = json::find(item, key), *b = json::find(before, key);
        return a != nullptr && b != nullptr ? json::equal(*a, *b) : a == b;
      });
      if (same) return &before;
    }
    return nullptr;
  }

  Outcome check_object(const Value& value, const Value* old, const Structural& schema, const ValueRules& rules, const std::string& path) {
    Outcome out;
    const auto size = static_cast<int64_t>(value.MemberCount());
    if (rules.min_properties && size < *rules.min_properties)
      out.add(invalid(path, std::to_string(size), fmt::format("{} in body should have at least {} properties", path, *rules.min_properties)));
    if (rules.max_properties && size > *rules.max_properties) out.add(too_many(path, size, *rules.max_properties, "properties"));
    const auto before = [&](std::string_view name) -> const Value* {
      const bool type_meta = path.empty() && field_.empty() && (name == "kind" || name == "apiVersion");
      return old != nullptr && !schema.map_atomic && !type_meta ? json::find(*old, name) : nullptr;
    };
    for (const auto& member : value.GetObject()) {
      const std::string_view name = json::view(member.name);
      if (schema.find(name) != nullptr) continue;
      if (schema.has_additional && !schema.additional_allowed) {
        out.add(invalid(path, quoted(name), fmt::format("{}.{} in body is a forbidden property", path, name)));
      } else if (schema.additional) {
        out.merge(part(member.value, before(name), *schema.additional, fmt::format("{}.{}", path, name)));
      }
    }
    for (const auto& [name, property] : schema.properties) {
      const Value* member = json::find(value, name);
      if (member != nullptr) out.merge(part(*member, before(name), property, path.empty() ? name : fmt::format("{}.{}", path, name)));
    }
    for (const std::string& name : rules.required) {
      if (json::find(value, name) != nullptr) continue;
      const std::string missing = fmt::format("{}.{}", path, name);
      FieldErrors errors;
      errors.required(field_of(missing));
      out.add(one(fmt::format("{} in body is required", missing), std::move(errors)));
    }
    return out;
  }

  Outcome check_alternatives(const Value& value, const Value* old, const ValueRules& rules, const std::string& path) {
    Outcome out;
    if (!rules.any_of.empty()) {
      std::optional<Outcome> best;
      bool valid = false;
      for (const Structural& schema : rules.any_of) {
        Outcome result = whole(value, old, schema, path);
        valid = result.valid();
        if (valid || !best || result.matches > best->matches) best = std::move(result);
        if (valid) break;
      }
      if (!valid) out.add(general(fmt::format("{} must validate at least one schema (anyOf)", quoted(path))));
      out.merge(std::move(*best));
    }
    if (!rules.one_of.empty()) {
      std::optional<Outcome> best, first;
      int valid = 0;
      for (const Structural& schema : rules.one_of) {
        Outcome result = whole(value, old, schema, path);
        if (result.valid()) {
          ++valid;
          best.reset();
          if (!first) first = std::move(result);
        } else if (valid == 0 && (!best || result.matches > best->matches)) {
          best = std::move(result);
        }
      }
      if (valid != 1) {
        const std::string found = valid == 0 ? "Found none valid" : fmt::format("Found {} valid alternatives", valid);
        out.add(general(fmt::format("{} must validate one and only one schema (oneOf). {}", quoted(path), found)));
        if (best) out.merge(std::move(*best));
      } else {
        out.merge(std::move(*first));
      }
    }
    if (!rules.all_of.empty()) {
      size_t valid = 0;
      for (const Structural& schema : rules.all_of) {
        Outcome result = whole(value, old, schema, path);
        if (result.valid()) ++valid;
        out.merge(std::move(result));
      }
      if (valid != rules.all_of.size())
        out.add(general(fmt::format("{} must validate all the schemas (allOf){}", quoted(path), valid == 0 ? ". None validated" : "")));
    }
    if (rules.none_of && whole(value, old, *rules.none_of, path).valid())
      out.add(general(fmt::format("{} must not validate the schema (not)", quoted(path))));
    ++out.matches;
    return out;
  }

  const std::string field_;
};

std::string child_path(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

// Indexes of elements that are there a second time, each once.
std::vector<rapidjson::SizeType> repeated(const std::vector<std::string>& keys) {
  std::vector<rapidjson::SizeType> out;
  std::map<std::string_view, int> seen;
  for (rapidjson::SizeType i = 0; i < keys.size(); ++i) {
    if (++seen[keys[i]] == 2) out.push_back(i);
  }
  return out;
}

void validate_map_list(const Value& list, const Structural& schema, const std::string& path, FieldErrors& errors) {
  std::vector<std::string> keys;
  for (rapidjson::SizeType i = 0; i < list.Size(); ++i) {
    const Value& item = list[i];
    if (!item.IsObject() && !item.IsNull())
      return errors.invalid_json(Path(path).index(i), shown(item), "must be an object for an array of list-type map");
    std::string key = "{";
    for (const std::string& name : schema.list_keys) {
      const Value* value = json::find(item, name);
      if (value != nullptr) key.append(key.size() > 1 ? "," : "").append(quoted(name)).append(":").append(json::dump(*value));
    }
    keys.push_back(key + "}");
  }
  for (const auto i : repeated(keys)) errors.duplicate_json(Path(path).index(i), keys[i]);
}

}  // namespace

std::string go_number(double value) {
  if (value == std::trunc(value) && std::fabs(value) < 1e21) return fmt::format("{:.0f}", value);
  char text[32];
  const bool plain = std::fabs(value) >= 1e-4 && std::fabs(value) < 1e21;
  const auto end = std::to_chars(text, text + sizeof text, value, plain ? std::chars_format::fixed : std::chars_format::scientific);
  return std::string(text, end.ptr);
}

namespace structural {

void validate_values(const Value& value, const Value* old, const Structural& schema, const std::string& path,
                     std::vector<Cause>& causes) {
  for (Problem& problem : Validator(path).part(value, old, schema, "").problems) causes.push_back(std::move(problem.cause));
}

void validate_lists(const Value& value, const Structural* schema, const std::string& path, std::vector<Cause>& causes) {
  if (schema == nullptr) return;
  if (value.IsObject()) {
    for (const auto& member : value.GetObject()) {
      const std::string_view name = json::view(member.name);
      if (schema->additional) validate_lists(member.value, schema->additional.get(), fmt::format("{}[{}]", path, name), causes);
      if (const Structural* property = schema->find(name)) validate_lists(member.value, property, child_path(path, name), causes);
    }
  } else if (value.IsArray()) {
    FieldErrors errors;
    if (schema->list == Structural::List::kSet) {
      std::vector<std::string> keys;
      for (const Value& item : value.GetArray()) keys.push_back(shown(item));
      for (const auto i : repeated(keys)) errors.duplicate_json(Path(path).index(i), keys[i]);
    } else if (schema->list == Structural::List::kMap) {
      validate_map_list(value, *schema, path, errors);
    }
    for (Cause& cause : errors.take()) causes.push_back(std::move(cause));
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i)
      validate_lists(value[i], schema->items.get(), fmt::format("{}[{}]", path, i), causes);
  }
}

}  // namespace structural
}  // namespace knarr::schema
