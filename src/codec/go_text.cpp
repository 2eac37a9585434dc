#include "knarr/codec/go_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace knarr::json {

namespace {

void append_go(std::string& out, const Value& value) {
  if (value.IsObject()) {
    std::vector<const Value::Member*> members;
    for (const auto& member : value.GetObject()) members.push_back(&member);
    std::stable_sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return view(a->name) < view(b->name); });
    out += "map[";
    for (size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out += ' ';
      out.append(view(members[i]->name)).append(":");
      append_go(out, members[i]->value);
    }
    out += ']';
  } else if (value.IsArray()) {
    out += '[';
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
      if (i > 0) out += ' ';
      append_go(out, value[i]);
    }
    out += ']';
  } else if (value.IsString()) {
    out += view(value);
  } else if (value.IsNull()) {
    out += "<nil>";
  } else if (value.IsDouble()) {
    const double number = value.GetDouble(), size = std::fabs(number);
    // Shortest, with an exponent from 1e21 on, as %v has it; fmt has one from 1e16 on.
    out += size >= 1e16 && size < 1e21 ? fmt::format("{:.0f}", number) : fmt::format("{}", number);
  } else {
    out += dump(value);
  }
}

// A character as strconv.Quote shows it, in single quotes; a byte of a longer character counts as one.
std::string shown(std::string_view text, size_t at) {
  const auto code = static_cast<unsigned char>(text[at]);
  constexpr std::string_view kSpecial = "\'\"\\\a\b\f\n\r\t\v", kNames = "\'\"\\abfnrtv";
  if (const size_t special = kSpecial.find(text[at]); special != std::string_view::npos)
    return fmt::format("'{}{}'", text[at] == '"' ? "" : "\\", kNames[special]);
  if (code < 0x20 || code == 0x7f) return fmt::format(R"('\x{:02x}')", code);
  if (code < 0x80) return fmt::format("'{}'", text[at]);
  if (code <= 0xa0 || code == 0xad) return fmt::format(R"('\u{:04x}')", code);
  return fmt::format("'{}{}'", static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f)));
}

// Reads JSON by Go's grammar and stops where Go would.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::string run() {
    if (!value("looking for beginning of value")) return error_;
    space();
    return at_ < text_.size() ? (fail("after top-level value"), error_) : "";
  }

 private:
  static constexpr int kMaxDepth = 10'000;
  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  std::string error_;

  bool fail(std::string_view where) {
    error_ = at_ >= text_.size() ? "unexpected end of JSON input" : fmt::format("invalid character {} {}", shown(text_, at_), where);
    return false;
  }
  void space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }

  bool value(std::string_view where) {
    space();
    if (at_ >= text_.size()) return fail(where);
    const char c = text_[at_];
    if (c == '{' || c == '[') {
      if (++depth_ > kMaxDepth) {
        error_ = "exceeded max depth";
        return false;
      }
      ++at_;
      const bool good = c == '{' ? members() : elements();
      --depth_;
      return good;
    }
    if (c == '"') return string();
    if (c == 't') return word("true");
    if (c == 'f') return word("false");
    if (c == 'n') return word("null");
    return c == '-' || digit() ? number() : fail(where);
  }

  bool members() {
    space();
    if (take('}')) return true;
    for (std::string_view where = "looking for beginning of object key string";;) {
      space();
      if (at_ >= text_.size() || text_[at_] != '"') return fail(where);
      if (!string()) return false;
      space();
      if (!take(':')) return fail("after object key");
      if (!value("looking for beginning of value")) return false;
      space();
      if (take('}')) return true;
      if (!take(',')) return fail("after object key:value pair");
    }
  }

  bool elements() {
    space();
    if (take(']')) return true;
    for (;;) {
      if (!value("looking for beginning of value")) return false;
      space();
      if (take(']')) return true;
      if (!take(',')) return fail("after array element");
    }
  }

  bool string() {
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') return ++at_, true;
      if (static_cast<unsigned char>(c) < 0x20) return fail("in string literal");
      ++at_;
      if (c != '\\') continue;
      if (at_ >= text_.size()) return fail("");
      if (take('u')) {
        for (int i = 0; i < 4; ++i, ++at_)
          if (at_ >= text_.size() || !std::isxdigit(static_cast<unsigned char>(text_[at_]))) return fail("in \\u hexadecimal character escape");
      } else if (std::string_view("\"\\/bfnrt").find(text_[at_]) == std::string_view::npos) {
        return fail("in string escape code");
      } else {
        ++at_;
      }
    }
    return fail("in string literal");
  }

  bool word(std::string_view wanted) {
    for (size_t i = 0; i < wanted.size(); ++i, ++at_)
      if (at_ >= text_.size() || text_[at_] != wanted[i]) return fail(fmt::format("in literal {} (expecting '{}')", wanted, wanted[i]));
    return true;
  }

  bool number() {
    take('-');
    if (!digit()) return fail("in numeric literal");
    if (!take('0'))
      while (digit()) ++at_;
    if (take('.')) {
      if (!digit()) return fail("after decimal point in numeric literal");
      while (digit()) ++at_;
    }
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!digit()) return fail("in exponent of numeric literal");
      while (digit()) ++at_;
    }
    return true;
  }
};

}  // namespace

std::string go_text(const Value& value) {
  std::string out;
  append_go(out, value);
  return out;
}

std::string go_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '\r': out += "\\r"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
          out += c;
        }
    }
  }
  return out += '"';
}

std::string_view go_kind(const Value& value) {
  if (value.IsObject()) return "map";
  if (value.IsArray()) return "slice";
  if (value.IsString()) return "string";
  if (value.IsBool()) return "bool";
  if (value.IsNull()) return "nil";
  return value.IsDouble() ? "float64" : "int64";
}

std::string_view go_json_kind(const Value& value) {
  if (value.IsObject()) return "object";
  if (value.IsArray()) return "array";
  if (value.IsString()) return "string";
  if (value.IsBool()) return "bool";
  return value.IsNull() ? "null" : "number";
}

std::string go_syntax_error(std::string_view text) { return Scanner(text).run(); }

}  // namespace knarr::json
