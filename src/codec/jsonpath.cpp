#include "knarr/codec/jsonpath.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace knarr {

using json::Value;

struct JsonPath::Step {
  enum class Kind { kField, kAny, kIndexes, kSlice, kFilter, kDescend } kind = Kind::kField;
  std::vector<std::string> names;  // kField: several in ['a','b']
  std::vector<int64_t> indexes;    // kIndexes
  std::optional<int64_t> from, to;  // kSlice
  // kFilter: what the left path leads to, compared with the right one's or with a literal; "" asks whether there is something.
  std::vector<std::shared_ptr<const Step>> left, right;
  std::string op;
  std::optional<json::Document> literal;
};

namespace {

using Step = JsonPath::Step;
using Steps = std::vector<std::shared_ptr<const Step>>;
constexpr size_t kMaxSteps = 100;
constexpr size_t kMaxFound = 10000;

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  // Up to the end, or to what cannot go on a path (inside of a filter).
  Result<Steps> path(bool inner) {
    Steps steps;
    if (take('$') || take('@')) {
    }
    while (!rest_.empty()) {
      if (steps.size() > kMaxSteps) return bad_request("a JSONPath has too many steps");
      if (rest_.starts_with("..")) {
        rest_.remove_prefix(2);
        auto step = std::make_shared<Step>();
        step->kind = Step::Kind::kDescend;
        step->names.push_back(name());
        if (step->names[0].empty()) return error("a name after ..");
        steps.push_back(std::move(step));
      } else if (take('.')) {
        if (rest_.empty() || rest_.front() == '[') continue;  // a lone dot is the object itself
        auto step = std::make_shared<Step>();
        if (take('*')) {
          step->kind = Step::Kind::kAny;
        } else {
          step->names.push_back(name());
          if (step->names[0].empty()) return error("a name");
        }
        steps.push_back(std::move(step));
      } else if (take('[')) {
        KNARR_ASSIGN(auto step, bracket());
        steps.push_back(std::move(step));
      } else if (inner) {
        return steps;
      } else {
        return error(". or [");
      }
    }
    return steps;
  }

 private:
  Status error(std::string_view wanted) const { return bad_request(fmt::format("JSONPath: {} is expected at \"{}\"", wanted, rest_)); }

  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void spaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }

  // Until . or [ or what ends a path; a backslash takes the next character as it is.
  std::string name() {
    std::string out;
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '\\' && rest_.size() > 1) {
        out += rest_[1];
        rest_.remove_prefix(2);
        continue;
      }
      if (std::string_view(".[])|=!<> ,").find(c) != std::string_view::npos) break;
      out += c;
      rest_.remove_prefix(1);
    }
    return out;
  }

  std::optional<std::string> quoted() {
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return std::nullopt;
    const char quote = rest_.front();
    rest_.remove_prefix(1);
    std::string out;
    while (!rest_.empty() && rest_.front() != quote) {
      if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
      out += rest_.front();
      rest_.remove_prefix(1);
    }
    if (!take(quote)) return std::nullopt;
    return out;
  }

  std::optional<int64_t> number() {
    int64_t value = 0;
    const auto [end, failed] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (failed != std::errc()) return std::nullopt;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }

  Result<std::shared_ptr<const Step>> bracket() {
    auto step = std::make_shared<Step>();
    spaces();
    if (take('*')) {
      step->kind = Step::Kind::kAny;
    } else if (rest_.starts_with("?(")) {
      rest_.remove_prefix(2);
      KNARR_RETURN_IF_ERROR(filter(*step));
    } else if (!rest_.empty() && (rest_.front() == '\'' || rest_.front() == '"')) {
      do {
        spaces();
        auto text = quoted();
        if (!text) return error("a quoted name");
        step->names.push_back(std::move(*text));
        spaces();
      } while (take(','));
    } else {
      KNARR_RETURN_IF_ERROR(numbers(*step));
    }
    spaces();
    if (!take(']')) return error("]");
    return std::shared_ptr<const Step>(std::move(step));
  }

  Status numbers(Step& step) {
    step.from = number();
    if (take(':')) {
      step.kind = Step::Kind::kSlice;
      step.to = number();
      return {};
    }
    if (!step.from) return error("an index, a name or a filter");
    step.kind = Step::Kind::kIndexes;
    step.indexes.push_back(*step.from);
    while (take(',')) {
      const auto next = number();
      if (!next) return error("an index");
      step.indexes.push_back(*next);
    }
    return {};
  }

  Status filter(Step& step) {
    step.kind = Step::Kind::kFilter;
    spaces();
    KNARR_ASSIGN(step.left, path(true));
    spaces();
    for (std::string_view op : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (!rest_.starts_with(op)) continue;
      step.op = op;
      rest_.remove_prefix(op.size());
      spaces();
      KNARR_RETURN_IF_ERROR(right_side(step));
      break;
    }
    spaces();
    return take(')') ? Status() : error(")");
  }

  Status right_side(Step& step) {
    if (!rest_.empty() && (rest_.front() == '@' || rest_.front() == '$')) {
      KNARR_ASSIGN(step.right, path(true));
      return {};
    }
    step.literal.emplace();
    if (auto text = quoted()) {
      step.literal->CopyFrom(json::string(*text, step.literal->GetAllocator()), step.literal->GetAllocator());
      return {};
    }
    const size_t size = std::min(rest_.find_first_of(") "), rest_.size());
    auto parsed = json::parse(rest_.substr(0, size));
    if (!parsed.ok()) return error("a literal");
    rest_.remove_prefix(size);
    step.literal = std::move(*parsed);
    return {};
  }

  std::string_view rest_;
};

std::vector<const Value*> walk(const Steps& steps, const Value& root);

bool compare(const Value& a, std::string_view op, const Value& b) {
  if (op == "==") return json::equal(a, b);
  if (op == "!=") return !json::equal(a, b);
  int order = 0;
  if (a.IsNumber() && b.IsNumber()) {
    order = a.GetDouble() < b.GetDouble() ? -1 : a.GetDouble() > b.GetDouble();
  } else if (a.IsString() && b.IsString()) {
    order = json::view(a).compare(json::view(b));
  } else {
    return false;
  }
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

bool passes(const Step& step, const Value& item) {
  const auto left = walk(step.left, item);
  if (left.empty()) return false;
  if (step.op.empty()) return true;
  if (step.literal) return compare(*left.front(), step.op, *step.literal);
  const auto right = walk(step.right, item);
  return !right.empty() && compare(*left.front(), step.op, *right.front());
}

void descend(const Value& value, const std::string& name, std::vector<const Value*>& out, int depth) {
  if (depth > 100 || out.size() > kMaxFound) return;
  if (value.IsObject()) {
    if (const Value* found = json::find(value, name)) out.push_back(found);
    for (const auto& member : value.GetObject()) descend(member.value, name, out, depth + 1);
  } else if (value.IsArray()) {
    for (const Value& item : value.GetArray()) descend(item, name, out, depth + 1);
  }
}

void apply(const Step& step, const Value& value, std::vector<const Value*>& out) {
  const auto all = [&](auto wanted) {
    if (value.IsArray()) {
      for (const Value& item : value.GetArray())
        if (wanted(item)) out.push_back(&item);
    } else if (value.IsObject()) {
      for (const auto& member : value.GetObject())
        if (wanted(member.value)) out.push_back(&member.value);
    }
  };
  const auto at = [&](int64_t index) {
    const auto size = static_cast<int64_t>(value.Size());
    if (index < 0) index += size;
    if (index >= 0 && index < size) out.push_back(&value[static_cast<rapidjson::SizeType>(index)]);
  };
  switch (step.kind) {
    case Step::Kind::kField:
      for (const std::string& name : step.names)
        if (const Value* found = json::find(value, name)) out.push_back(found);
      break;
    case Step::Kind::kAny:
      all([](const Value&) { return true; });
      break;
    case Step::Kind::kFilter:
      all([&](const Value& item) { return passes(step, item); });
      break;
    case Step::Kind::kDescend:
      descend(value, step.names[0], out, 0);
      break;
    case Step::Kind::kIndexes:
      if (value.IsArray())
        for (const int64_t index : step.indexes) at(index);
      break;
    case Step::Kind::kSlice: {
      if (!value.IsArray()) break;
      const auto size = static_cast<int64_t>(value.Size());
      int64_t from = step.from.value_or(0), to = step.to.value_or(size);
      if (from < 0) from += size;
      if (to < 0) to += size;
      for (int64_t i = std::max<int64_t>(from, 0); i < std::min(to, size); ++i) at(i);
      break;
    }
  }
}

std::vector<const Value*> walk(const Steps& steps, const Value& root) {
  std::vector<const Value*> values = {&root};
  for (const auto& step : steps) {
    std::vector<const Value*> next;
    for (const Value* value : values) apply(*step, *value, next);
    if (next.size() > kMaxFound) next.resize(kMaxFound);
    values = std::move(next);
  }
  return values;
}

}  // namespace

Result<JsonPath> JsonPath::parse(std::string_view text) {
  JsonPath out;
  KNARR_ASSIGN(out.steps_, Parser(text).path(false));
  return out;
}

std::vector<const Value*> JsonPath::find(const Value& root) const { return walk(steps_, root); }

}  // namespace knarr
