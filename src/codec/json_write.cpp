// Values as text: compact, or indented as kubectl shows them.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "codec/plain_text.h"
#include "knarr/codec/json.h"

namespace knarr::json {

namespace {

// As Go prints a float64, but for zeros at the end of large ones: digits that read back, plain between 1e-6 and 1e21.
void append_double(std::string& out, double d) {
  if (!std::isfinite(d)) {  // JSON has no such number; none comes out of a parser
    out += "null";
    return;
  }
  char buffer[400];
  if (d == 0) d = 0;  // -0 would come back as a whole number, without its sign
  const double magnitude = std::fabs(d);
  const bool plain = magnitude == 0 || (magnitude >= 1e-6 && magnitude < 1e21);
  auto end =
      std::to_chars(buffer, buffer + sizeof buffer, d, plain ? std::chars_format::fixed : std::chars_format::scientific)
          .ptr;
  if (!plain && end - buffer > 4 && end[-4] == 'e' && end[-3] == '-' && end[-2] == '0') {  // 1e-07 is written 1e-7
    end[-2] = end[-1];
    --end;
  }
  out.append(buffer, end);
}

void append_number(std::string& out, const Value& value) {
  if (value.IsInt64()) {
    fmt::format_int digits(value.GetInt64());
    out.append(digits.data(), digits.size());
  } else if (value.IsUint64()) {
    fmt::format_int digits(value.GetUint64());
    out.append(digits.data(), digits.size());
  } else {
    append_double(out, value.GetDouble());
  }
}

void append_indented(std::string& out, const Value& value, size_t indent) {
  const bool object = value.IsObject();
  if ((!object && !value.IsArray()) || (object ? value.ObjectEmpty() : value.Empty())) {
    append(out, value);
    return;
  }
  const auto line = [&](size_t width) { (out += '\n').append(width, ' '); };
  out += object ? '{' : '[';
  bool first = true;
  const auto next = [&] {
    if (!first) out += ',';
    first = false;
    line(indent + 2);
  };
  if (object) {
    for (const auto& member : value.GetObject()) {
      next();
      append_quoted(out, view(member.name));
      out += ": ";
      append_indented(out, member.value, indent + 2);
    }
  } else {
    for (const Value& element : value.GetArray()) {
      next();
      append_indented(out, element, indent + 2);
    }
  }
  line(indent);
  out += object ? '}' : ']';
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (;;) {
    const size_t plain = plain_prefix(text);
    out.append(text, 0, plain);
    if (plain == text.size()) break;
    const auto c = static_cast<unsigned char>(text[plain]);
    text.remove_prefix(plain + 1);
    out += '\\';
    switch (c) {
      case '"':
      case '\\':
        out += static_cast<char>(c);
        break;
      case '\n':
        out += 'n';
        break;
      case '\t':
        out += 't';
        break;
      case '\r':
        out += 'r';
        break;
      case '\b':
        out += 'b';
        break;
      case '\f':
        out += 'f';
        break;
      default:
        out += "u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
    }
  }
  out += '"';
}

void append(std::string& out, const Value& value) {
  switch (value.GetType()) {
    case rapidjson::kNullType:
      out += "null";
      return;
    case rapidjson::kFalseType:
      out += "false";
      return;
    case rapidjson::kTrueType:
      out += "true";
      return;
    case rapidjson::kStringType:
      append_quoted(out, view(value));
      return;
    case rapidjson::kNumberType:
      append_number(out, value);
      return;
    case rapidjson::kArrayType: {
      out += '[';
      bool first = true;
      for (const Value& element : value.GetArray()) {
        if (!first) out += ',';
        first = false;
        append(out, element);
      }
      out += ']';
      return;
    }
    case rapidjson::kObjectType: {
      out += '{';
      bool first = true;
      for (const auto& member : value.GetObject()) {
        if (!first) out += ',';
        first = false;
        append_quoted(out, view(member.name));
        out += ':';
        append(out, member.value);
      }
      out += '}';
      return;
    }
  }
}

std::string dump(const Value& value) {
  std::string out;
  if (value.IsObject()) out.reserve(1024);
  append(out, value);
  return out;
}

std::string dump_pretty(const Value& value) {
  std::string out;
  append_indented(out, value, 0);
  return out;
}

}  // namespace knarr::json
