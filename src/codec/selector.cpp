#include "knarr/codec/selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "knarr/codec/names.h"

namespace knarr::selector {

namespace {

std::optional<int64_t> to_integer(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::string join(const names::Problems& problems) { return fmt::format("{}", fmt::join(problems, "; ")); }

// What upstream's field.Invalid prints of a value.
std::string invalid(std::string_view field, std::string_view value, std::string_view detail) {
  return fmt::format("{}: Invalid value: \"{}\": {}", field, value, detail);
}

// The errors of a requirement's parts, as an aggregate is printed: one as it is, several in brackets.
std::string check(const Requirement& requirement) {
  std::vector<std::string> errors;
  if (auto problems = names::qualified_name(requirement.key); !problems.empty()) {
    errors.push_back(invalid("key", requirement.key, join(problems)));
  }
  const auto list = [&] {
    std::string out = "[";
    for (const auto& value : requirement.values) {
      if (out.size() > 1) out += ',';
      json::append_quoted(out, value);
    }
    return out + "]";
  };
  const auto values = [&](std::string_view detail) {
    errors.push_back(fmt::format("values: Invalid value: {}: {}", list(), detail));
  };
  switch (requirement.op) {
    case Operator::kIn:
    case Operator::kNotIn:
      if (requirement.values.empty()) values("for 'in', 'notin' operators, values set can't be empty");
      break;
    case Operator::kEquals:
    case Operator::kNotEquals:
      if (requirement.values.size() != 1) values("exact-match compatibility requires one single value");
      break;
    case Operator::kExists:
    case Operator::kDoesNotExist:
      if (!requirement.values.empty()) values("values set must be empty for exists and does not exist");
      break;
    case Operator::kGreaterThan:
    case Operator::kLessThan:
      if (requirement.values.size() != 1) values("for 'Gt', 'Lt' operators, exactly one value is required");
      for (size_t i = 0; i < requirement.values.size(); ++i) {
        if (!to_integer(requirement.values[i])) {
          errors.push_back(invalid(fmt::format("values[{}]", i), requirement.values[i],
                                   "for 'Gt', 'Lt' operators, the value must be an integer"));
        }
      }
      break;
  }
  for (size_t i = 0; i < requirement.values.size(); ++i) {
    if (auto problems = names::label_value(requirement.values[i]); !problems.empty()) {
      errors.push_back(
          invalid(fmt::format("values[{}][{}]", i, requirement.key), requirement.values[i], join(problems)));
    }
  }
  if (errors.empty()) return {};
  return errors.size() == 1 ? errors.front() : fmt::format("[{}]", fmt::join(errors, ", "));
}

void sort_values(Requirement& requirement) {
  std::sort(requirement.values.begin(), requirement.values.end());
  requirement.values.erase(std::unique(requirement.values.begin(), requirement.values.end()), requirement.values.end());
}

void sort_by_key(std::vector<Requirement>& requirements) {
  std::stable_sort(requirements.begin(), requirements.end(), [](auto& a, auto& b) { return a.key < b.key; });
}

enum class Kind {
  kEnd,
  kWord,
  kIn,
  kNotIn,
  kComma,
  kOpen,
  kClose,
  kNot,
  kEquals,
  kDoubleEquals,
  kNotEquals,
  kGreater,
  kLess,

};

struct Token {
  Kind kind;
  std::string text;
};

constexpr std::pair<std::string_view, Kind> kSymbols[] = {
    {")", Kind::kClose},         {",", Kind::kComma},      {"!", Kind::kNot},
    {"==", Kind::kDoubleEquals}, {"=", Kind::kEquals},     {">", Kind::kGreater},
    {"<", Kind::kLess},          {"!=", Kind::kNotEquals}, {"(", Kind::kOpen}};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_symbol(char c) { return std::string_view("=!(),><").find(c) != std::string_view::npos; }

std::vector<Token> tokenize(std::string_view text) {
  std::vector<Token> tokens;
  size_t at = 0;
  while (at < text.size()) {
    if (is_space(text[at])) {
      ++at;
    } else if (is_symbol(text[at])) {
      Token token{Kind::kEnd, {}};
      for (auto [symbol, kind] : kSymbols) {
        if (text.substr(at).starts_with(symbol) && symbol.size() > token.text.size())
          token = {kind, std::string(symbol)};
      }
      at += token.text.size();
      tokens.push_back(std::move(token));
    } else {
      const size_t start = at;
      while (at < text.size() && !is_space(text[at]) && !is_symbol(text[at])) ++at;
      const std::string_view word = text.substr(start, at - start);
      tokens.push_back({word == "in" ? Kind::kIn : word == "notin" ? Kind::kNotIn : Kind::kWord, std::string(word)});
    }
  }
  tokens.push_back({Kind::kEnd, {}});
  return tokens;
}

// `in` and `notin` are words where a key or a value stands.
class Parser {
 public:
  explicit Parser(std::string_view text) : tokens_(tokenize(text)) {}

  Result<std::vector<Requirement>> parse() {
    std::vector<Requirement> out;
    while (peek() != Kind::kEnd) {
      if (peek() != Kind::kWord && peek() != Kind::kNot) return found("!, identifier, or 'end of string'");
      auto requirement = parse_requirement();
      if (!requirement.ok()) return requirement.status().with_context("unable to parse requirement");
      out.push_back(std::move(*requirement));
      if (peek() == Kind::kEnd) break;
      if (peek() != Kind::kComma) return found("',' or 'end of string'");
      ++at_;
      if (peek() != Kind::kWord && peek() != Kind::kNot) return found("identifier after ','");
    }
    sort_by_key(out);
    return out;
  }

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;

  Kind peek() const {
    const Kind kind = tokens_[at_].kind;
    return kind == Kind::kIn || kind == Kind::kNotIn ? Kind::kWord : kind;
  }
  Status found(std::string_view expected) const {
    return bad_request(fmt::format("found '{}', expected: {}", tokens_[at_].text, expected));
  }

  Result<Requirement> parse_requirement() {
    Requirement out;
    const bool negated = peek() == Kind::kNot;
    if (negated) ++at_;
    if (peek() != Kind::kWord) return found("identifier");
    out.key = tokens_[at_].text;
    if (auto problems = names::qualified_name(out.key); !problems.empty()) {
      return bad_request(invalid("<nil>", out.key, join(problems)));
    }
    ++at_;
    if (negated || peek() == Kind::kEnd || peek() == Kind::kComma) {
      out.op = negated ? Operator::kDoesNotExist : Operator::kExists;
      return out;
    }
    KNARR_RETURN_IF_ERROR(parse_operator(out));
    const bool set = out.op == Operator::kIn || out.op == Operator::kNotIn;
    KNARR_RETURN_IF_ERROR(set ? parse_values(out) : parse_value(out));
    sort_values(out);
    if (std::string error = check(out); !error.empty()) return bad_request(std::move(error));
    return out;
  }

  Status parse_operator(Requirement& out) {
    switch (tokens_[at_].kind) {
      case Kind::kIn:
        out.op = Operator::kIn;
        break;
      case Kind::kNotIn:
        out.op = Operator::kNotIn;
        break;
      case Kind::kEquals:
        out.op = Operator::kEquals;
        break;
      case Kind::kDoubleEquals:
        out.op = Operator::kEquals;
        out.double_equals = true;
        break;
      case Kind::kNotEquals:
        out.op = Operator::kNotEquals;
        break;
      case Kind::kGreater:
        out.op = Operator::kGreaterThan;
        break;
      case Kind::kLess:
        out.op = Operator::kLessThan;
        break;
      default:
        return found("in, notin, =, ==, !=, gt, lt");
    }
    ++at_;
    return Status::OK();
  }

  Status parse_value(Requirement& out) {
    if (peek() == Kind::kEnd || peek() == Kind::kComma) {
      out.values.push_back("");
      return Status::OK();
    }
    if (peek() != Kind::kWord) return found("identifier");
    out.values.push_back(tokens_[at_++].text);
    return Status::OK();
  }

  // (a,b), where a value may be empty: "()", "(,a)".
  Status parse_values(Requirement& out) {
    if (peek() != Kind::kOpen) return bad_request(fmt::format("found '{}' expected: '('", tokens_[at_].text));
    ++at_;
    for (;;) {
      if (peek() == Kind::kWord) {
        out.values.push_back(tokens_[at_++].text);
      } else if (peek() == Kind::kComma || peek() == Kind::kClose) {
        out.values.push_back("");
      } else {
        return found("',', ')' or identifier");
      }
      if (peek() == Kind::kClose) {
        ++at_;
        return Status::OK();
      }
      if (peek() != Kind::kComma) return found("',' or ')'");
      ++at_;
    }
  }
};

const std::string* find_pair(Pairs pairs, std::string_view key) {
  const auto at =
      std::lower_bound(pairs.begin(), pairs.end(), key, [](auto& pair, std::string_view k) { return pair.first < k; });
  return at != pairs.end() && at->first == key ? &at->second : nullptr;
}

std::string to_text(const Requirement& r) {
  const std::string values = fmt::format("{}", fmt::join(r.values, ","));
  switch (r.op) {
    case Operator::kEquals:
      return r.key + (r.double_equals ? "==" : "=") + values;
    case Operator::kNotEquals:
      return r.key + "!=" + values;
    case Operator::kIn:
      return r.key + " in (" + values + ")";
    case Operator::kNotIn:
      return r.key + " notin (" + values + ")";
    case Operator::kExists:
      return r.key;
    case Operator::kDoesNotExist:
      return "!" + r.key;
    case Operator::kGreaterThan:
      return r.key + ">" + values;
    case Operator::kLessThan:
      return r.key + "<" + values;
  }
  return {};
}

std::optional<Operator> expression_operator(std::string_view name) {
  if (name == "In") return Operator::kIn;
  if (name == "NotIn") return Operator::kNotIn;
  if (name == "Exists") return Operator::kExists;
  if (name == "DoesNotExist") return Operator::kDoesNotExist;
  return std::nullopt;
}

Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',' || text[i] == '=') {
      return bad_request(
          fmt::format("invalid field selector: unescaped character in value: {}", static_cast<int>(text[i])));
    }
    if (text[i] == '\\') {
      ++i;
      if (i == text.size() || std::string_view("\\,=").find(text[i]) == std::string_view::npos) {
        return bad_request(fmt::format("invalid field selector: invalid escape sequence: {}", text.substr(i - 1, 2)));
      }
    }
    out += text[i];
  }
  return out;
}

}  // namespace

bool Requirement::matches(const std::string_view* value) const {
  const auto among = [&] { return std::find(values.begin(), values.end(), *value) != values.end(); };
  switch (op) {
    case Operator::kEquals:
    case Operator::kIn:
      return value && among();
    case Operator::kNotEquals:
    case Operator::kNotIn:
      return !value || !among();
    case Operator::kExists:
      return value;
    case Operator::kDoesNotExist:
      return !value;
    case Operator::kGreaterThan:
    case Operator::kLessThan: {
      if (!value || values.size() != 1) return false;
      const auto have = to_integer(*value), want = to_integer(values.front());
      return have && want && (op == Operator::kGreaterThan ? *have > *want : *have < *want);
    }
  }
  return false;
}

Labels Labels::nothing() {
  Labels out;
  out.nothing_ = true;
  return out;
}

Result<Labels> Labels::parse(std::string_view text) {
  Labels out;
  KNARR_ASSIGN(out.requirements_, Parser(text).parse());
  return out;
}

Result<Labels> Labels::from_label_selector(const json::Value* label_selector) {
  if (!label_selector || !label_selector->IsObject()) return nothing();
  Labels out = from_map(json::find(*label_selector, "matchLabels"));
  for (const Requirement& requirement : out.requirements_) {
    if (std::string error = check(requirement); !error.empty()) return bad_request(std::move(error));
  }
  const json::Value* expressions = json::find(*label_selector, "matchExpressions");
  if (expressions && expressions->IsArray()) {
    for (const json::Value& expression : expressions->GetArray()) {
      Requirement requirement;
      requirement.key = json::get_string(expression, "key");
      const std::string_view name = json::get_string(expression, "operator");
      const auto op = expression_operator(name);
      if (!op) return bad_request(fmt::format("\"{}\" is not a valid label selector operator", name));
      requirement.op = *op;
      const json::Value* values = json::find(expression, "values");
      if (values && values->IsArray()) {
        for (const json::Value& value : values->GetArray()) {
          if (value.IsString()) requirement.values.emplace_back(json::view(value));
        }
      }
      sort_values(requirement);
      if (std::string error = check(requirement); !error.empty()) return bad_request(std::move(error));
      out.requirements_.push_back(std::move(requirement));
    }
  }
  sort_by_key(out.requirements_);
  return out;
}

Labels Labels::from_map(const json::Value* map) {
  Labels out;
  if (!map || !map->IsObject()) return out;
  for (const auto& member : map->GetObject()) {
    Requirement requirement;
    requirement.key = json::view(member.name);
    requirement.values.emplace_back(member.value.IsString() ? json::view(member.value) : std::string_view());
    out.requirements_.push_back(std::move(requirement));
  }
  sort_by_key(out.requirements_);
  return out;
}

bool Labels::matches(const std::function<const std::string_view*(std::string_view key)>& find) const {
  return !nothing_ &&
         std::all_of(requirements_.begin(), requirements_.end(), [&](auto& r) { return r.matches(find(r.key)); });
}

bool Labels::matches(Pairs labels) const {
  if (nothing_) return false;
  for (const Requirement& requirement : requirements_) {
    const std::string* value = find_pair(labels, requirement.key);
    const std::string_view view = value ? std::string_view(*value) : std::string_view();
    if (!requirement.matches(value ? &view : nullptr)) return false;
  }
  return true;
}

bool Labels::matches(const json::Value* labels) const {
  if (nothing_) return false;
  for (const Requirement& requirement : requirements_) {
    const json::Value* value = labels ? json::find(*labels, requirement.key) : nullptr;
    const std::string_view view = value && value->IsString() ? json::view(*value) : std::string_view();
    if (!requirement.matches(value ? &view : nullptr)) return false;
  }
  return true;
}

std::optional<std::string_view> Labels::exact(std::string_view key) const {
  for (const Requirement& requirement : requirements_) {
    if (requirement.key != key) continue;
    if ((requirement.op == Operator::kEquals || requirement.op == Operator::kIn) && requirement.values.size() == 1) {
      return requirement.values.front();
    }
    return std::nullopt;
  }
  return std::nullopt;
}

std::string Labels::to_string() const {
  std::string out;
  for (const Requirement& requirement : requirements_) {
    if (!out.empty()) out += ',';
    out += to_text(requirement);
  }
  return out;
}

Result<Fields> Fields::parse(std::string_view text) {
  // Terms end at commas that are not escaped; each splits at its first operator.
  std::vector<std::string_view> parts;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '\\') {
      ++i;
    } else if (i == text.size() || text[i] == ',') {
      parts.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  if (start < text.size()) parts.push_back(text.substr(start));  // the text ends within an escape
  std::sort(parts.begin(), parts.end());

  Fields out;
  for (std::string_view part : parts) {
    if (part.empty()) continue;
    size_t at = 0;
    while (at < part.size() && part[at] != '=' && !part.substr(at).starts_with("!=")) ++at;
    if (at == part.size()) return bad_request(fmt::format("invalid selector: '{}'; can't understand '{}'", text, part));
    Term term;
    term.field = part.substr(0, at);
    term.equals = part[at] == '=';
    const std::string_view rest = part.substr(at);
    KNARR_ASSIGN(term.value, unescape(rest.substr(rest.starts_with("!=") || rest.starts_with("==") ? 2 : 1)));
    if (!term.field.empty() || !term.value.empty()) out.terms_.push_back(std::move(term));
  }
  return out;
}

bool Fields::matches(Pairs fields) const {
  return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) {
    const std::string* value = find_pair(fields, term.field);
    return (std::string_view(value ? *value : std::string_view()) == term.value) == term.equals;
  });
}

std::optional<std::string_view> Fields::exact(std::string_view field) const {
  for (const Term& term : terms_) {
    if (term.equals && term.field == field) return term.value;
  }
  return std::nullopt;
}

std::string Fields::to_string() const {
  std::string out;
  for (const Term& term : terms_) {
    if (!out.empty()) out += ',';
    out += term.field;
    out += term.equals ? "=" : "!=";
    for (char c : term.value) {
      if (c == '\\' || c == ',' || c == '=') out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace knarr::selector
