#include "knarr/codec/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <unordered_map>

namespace knarr::yaml {

namespace {

using json::Value;

constexpr size_t kMaxExpanded = 4 << 20;  // what all aliases of a text may add, in values and bytes of strings

constexpr std::string_view kTrue[] = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
constexpr std::string_view kFalse[] = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
constexpr std::string_view kNull[] = {"", "~", "null", "Null", "NULL"};
constexpr std::string_view kNotFinite[] = {".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",  ".INF",
                                           "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"};
constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

template <size_t N>
bool is_one_of(std::string_view text, const std::string_view (&list)[N]) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Go's strconv.ParseInt(text, 0, 64) and ParseUint: a sign, a base prefix, digits.
std::optional<Value> to_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char c = static_cast<char>(text[1] | 0x20);
    base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
    text.remove_prefix(base == 8 && c != 'o' ? 1 : 2);
  }
  uint64_t magnitude = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!negative) return Value(magnitude);
  if (magnitude > uint64_t{1} << 63) return std::nullopt;
  return Value(static_cast<int64_t>(0 - magnitude));
}

std::optional<Value> to_float(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const size_t first = text.starts_with('-') ? 1 : 0;
  if (first >= text.size() || (!is_digit(text[first]) && text[first] != '.')) return std::nullopt;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Value(number);
}

// What a plain scalar is, if it is not a string.
std::optional<Value> resolve(std::string_view text) {
  if (is_one_of(text, kNull)) return Value();
  if (is_one_of(text, kTrue)) return Value(true);
  if (is_one_of(text, kFalse)) return Value(false);
  if (is_one_of(text, kNotFinite)) return Value(std::numeric_limits<double>::quiet_NaN());
  const char c = text.front();
  if (!is_digit(c) && c != '-' && c != '+' && c != '.') return std::nullopt;
  std::string plain(text);
  std::erase(plain, '_');
  if (auto number = to_integer(plain)) return number;
  return to_float(plain);
}

size_t weight_of(const Value& value) {
  size_t sum = 1;
  if (value.IsString()) sum += value.GetStringLength();
  if (value.IsObject()) {
    for (const auto& member : value.GetObject()) sum += member.name.GetStringLength() + weight_of(member.value);
  }
  if (value.IsArray()) {
    for (const auto& element : value.GetArray()) sum += weight_of(element);
  }
  return sum;
}

// Builds one document from the parser's events.
class Builder : public YAML::EventHandler {
 public:
  json::Document document;

  int start = -1;  // where the document begins, in bytes
  std::vector<std::string>* duplicates = nullptr;  // is told of keys that are there already

  void OnDocumentStart(const YAML::Mark& mark) override { start = mark.pos; }
  void OnDocumentEnd() override { json::drop_duplicates(document); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // The last line of a block without its colon is a key without a value for yaml-cpp, which then tells the key's
    // place.
    if (!frames_.empty() && frames_.back().block && !frames_.back().key.IsNull() &&
        mark.pos == frames_.back().key_pos) {
      throw YAML::ParserException(mark, "could not find expected ':'");
    }
    put(mark, Value(), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) throw YAML::ParserException(mark, "an anchor's value contains itself");
    expanded_ += weight_of(known->second);
    if (expanded_ > kMaxExpanded) throw YAML::ParserException(mark, "document contains excessive aliasing");
    if (!json::within_depth(known->second, json::kMaxDepth - static_cast<int>(frames_.size()))) {
      throw YAML::ParserException(mark, "aliases are nested too deeply");
    }
    put(mark, json::copy(known->second, alloc()), 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const bool plain = tag == "?" || tag.empty();
    if (plain && text == "<<" && expects_key()) {
      frames_.back().merging = true;
      return;
    }
    Value value = json::string(text, alloc());
    const std::string_view kind =
        std::string_view(tag).starts_with(kTagPrefix) ? std::string_view(tag).substr(kTagPrefix.size()) : "";
    if (plain || kind == "int" || kind == "float" || kind == "bool" || kind == "null") {
      if (auto resolved = resolve(text)) value = std::move(*resolved);
      const bool fits = plain || (kind == "int" && (value.IsInt64() || value.IsUint64())) ||
                        (kind == "float" && value.IsNumber()) || (kind == "bool" && value.IsBool()) ||
                        (kind == "null" && value.IsNull());
      if (!fits) throw YAML::ParserException(mark, fmt::format("cannot decode `{}` as a !!{}", text, kind));
      if (value.IsDouble() && !std::isfinite(value.GetDouble())) {
        throw YAML::ParserException(mark, fmt::format("JSON has no number for `{}`", text));
      }
    }
    put(mark, std::move(value), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    open(mark, rapidjson::kArrayType, anchor, style);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    open(mark, rapidjson::kObjectType, anchor, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Value value;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    bool block;
    Value key = {};  // null: the next value is a key
    int key_pos = -1;
    bool merging = false;
    std::vector<Value> merged = {};  // of <<, the one that counts least first
  };
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, Value> anchors_;
  size_t expanded_ = 0;

  json::Allocator& alloc() { return document.GetAllocator(); }
  bool expects_key() const {
    return !frames_.empty() && frames_.back().value.IsObject() && frames_.back().key.IsNull() &&
           !frames_.back().merging;
  }

  void open(const YAML::Mark& mark, rapidjson::Type type, YAML::anchor_t anchor, YAML::EmitterStyle::value style) {
    if (expects_key()) throw YAML::ParserException(mark, "a list or map cannot be a key");
    frames_.push_back({Value(type), anchor, mark, style == YAML::EmitterStyle::Block});
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (!frame.merged.empty()) {
      Value whole(rapidjson::kObjectType);  // its own members come last and win
      frame.merged.push_back(std::move(frame.value));
      for (Value& part : frame.merged) {
        for (auto& member : part.GetObject()) whole.AddMember(member.name, member.value, alloc());
      }
      frame.value = std::move(whole);
    }
    put(frame.mark, std::move(frame.value), frame.anchor);
  }

  void put(const YAML::Mark& mark, Value value, YAML::anchor_t anchor) {
    if (anchor) anchors_[anchor] = json::copy(value, alloc());
    if (frames_.empty()) {
      static_cast<Value&>(document) = std::move(value);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.value.IsArray()) {
      frame.value.PushBack(std::move(value), alloc());
    } else if (frame.merging) {
      frame.merging = false;
      add_merged(mark, frame, std::move(value));
    } else if (frame.key.IsNull()) {
      frame.key = to_key(mark, std::move(value));
      frame.key_pos = mark.pos;
    } else {
      if (duplicates && json::find(frame.value, json::view(frame.key))) {
        std::string key;
        json::append_quoted(key, json::view(frame.key));
        duplicates->push_back(fmt::format("line {}: key {} already set in map", mark.line + 1, key));
      }
      frame.value.AddMember(frame.key, value, alloc());
      frame.key.SetNull();
    }
  }

  Value to_key(const YAML::Mark& mark, Value value) {
    if (value.IsString()) return value;
    if (value.IsNull() || value.IsObject() || value.IsArray())
      throw YAML::ParserException(mark, "a map's key must be a string");
    return json::string(json::dump(value), alloc());
  }

  void add_merged(const YAML::Mark& mark, Frame& frame, Value value) {
    const auto refuse = [&] {
      throw YAML::ParserException(mark, "map merge requires map or sequence of maps as the value");
    };
    std::vector<Value> maps;
    if (value.IsArray()) {
      for (auto& element : value.GetArray()) maps.push_back(std::move(element));
      std::reverse(maps.begin(), maps.end());  // the first of the list counts most
    } else {
      maps.push_back(std::move(value));
    }
    for (Value& map : maps) {
      if (!map.IsObject()) refuse();
      frame.merged.push_back(std::move(map));
    }
  }
};

Status yaml_error(std::string_view why) {
  return bad_request(fmt::format("error converting YAML to JSON: yaml: {}", why));
}

// One document; false: there is none left.
Result<bool> next_document(YAML::Parser& parser, Builder& builder) {
  try {
    return parser.HandleNextDocument(builder);
  } catch (const YAML::Exception& e) {
    return yaml_error(fmt::format("line {}: {}", e.mark.line + 1, e.msg));
  } catch (const std::exception& e) {
    return yaml_error(e.what());
  }
}

// The documents of a text, or the first.
Result<std::vector<json::Document>> read(std::string_view text, bool only_first,
                                         std::vector<std::string>* duplicates = nullptr) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf", kStart = "---";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (!json::is_utf8(text)) return yaml_error("invalid UTF-8");
  // Besides, yaml-cpp takes a text with null bytes for UTF-16 or UTF-32.
  const auto control = [](char c) { return (c >= 0 && c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), control)) return yaml_error("control characters are not allowed");

  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  std::vector<json::Document> all;
  for (;;) {
    Builder builder;
    builder.duplicates = duplicates;
    const Result<bool> found = next_document(parser, builder);
    // yaml-cpp begins another document wherever one ends, even in front of what it cannot read and will not pass.
    if (!all.empty() && builder.start >= 0 && !text.substr(static_cast<size_t>(builder.start)).starts_with(kStart)) {
      return yaml_error("did not find expected <document start>");
    }
    if (!all.empty() && only_first) return all;
    if (!found.ok()) return found.status();
    if (!*found) return all;
    all.push_back(std::move(builder.document));
  }
}

bool looks_like_json(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

bool can_be_plain(std::string_view text) {
  const auto alnum = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || (!alnum(text.front()) && text.front() != '/' && text.front() != '_') || resolve(text))
    return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i], next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (c == ' '   ? next == '\0' || next == ' '
        : c == ':' ? next == '\0' || next == ' '
                   : !alnum(c) && !std::strchr("_-./@+=,", c))
      return false;
  }
  // Other readers see times and sexagesimal numbers where a digit comes first.
  return !is_digit(text.front()) || (text.find(':') == std::string_view::npos && !(text.size() > 4 && text[4] == '-'));
}

// Several lines without anything that a literal block could not carry.
bool can_be_block(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || text.front() == ' ' || text.front() == '\n') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < ' ' && c != '\n') return false;
    if (c == ' ' && (i + 1 == text.size() || text[i + 1] == '\n')) return false;
    if (c >= 0x7f) return false;
  }
  return true;
}

void write_text(std::string& out, std::string_view text, size_t indent) {
  if (can_be_plain(text)) {
    out += text;
  } else if (indent > 0 && can_be_block(text)) {
    out += text.ends_with("\n\n") ? "|+" : text.ends_with('\n') ? "|" : "|-";
    if (text.ends_with('\n')) text.remove_suffix(1);
    for (size_t start = 0; start <= text.size();) {
      const size_t end = std::min(text.find('\n', start), text.size());
      out += '\n';
      if (end > start) out.append(indent, ' ').append(text, start, end - start);
      start = end + 1;
    }
  } else {
    json::append_quoted(out, text);
  }
}

bool is_inline(const Value& value) {
  return value.IsObject() ? value.ObjectEmpty() : value.IsArray() ? value.Empty() : true;
}

// Writes `value` where a line has been begun at `indent`; ends without a newline.
void write(std::string& out, const Value& value, size_t indent) {
  const auto next_line = [&](bool& first) {
    if (!first) (out += '\n').append(indent, ' ');
    first = false;
  };
  bool first = true;
  if (value.IsString()) {
    write_text(out, json::view(value), indent);
  } else if (is_inline(value)) {
    json::append(out, value);
  } else if (value.IsObject()) {
    for (const auto& member : value.GetObject()) {
      next_line(first);
      const std::string_view key = json::view(member.name);
      if (can_be_plain(key)) {
        out += key;
      } else {
        json::append_quoted(out, key);
      }
      out += ':';
      if (is_inline(member.value)) {
        out += ' ';
        write(out, member.value, indent + 2);
      } else {
        const size_t below = member.value.IsArray() ? indent : indent + 2;
        (out += '\n').append(below, ' ');
        write(out, member.value, below);
      }
    }
  } else {
    for (const auto& element : value.GetArray()) {
      next_line(first);
      out += "- ";
      write(out, element, indent + 2);
    }
  }
}

}  // namespace

Result<json::Document> parse(std::string_view text) {
  if (looks_like_json(text)) {
    if (auto document = json::parse(text); document.ok()) return document;
  }
  KNARR_ASSIGN(std::vector<json::Document> documents, read(text, true));
  if (documents.empty()) return json::Document();
  return std::move(documents.front());
}

std::vector<std::string> duplicate_keys(std::string_view text) {
  std::vector<std::string> out;
  (void)read(text, true, &out);  // the caller has parsed it
  return out;
}

Result<std::vector<json::Document>> parse_all(std::string_view text) {
  std::vector<json::Document> all;
  if (looks_like_json(text)) {
    if (auto document = json::parse(text); document.ok()) {
      all.push_back(std::move(*document));
      return all;
    }
  }
  KNARR_ASSIGN(all, read(text, false));
  std::erase_if(all, [](const json::Document& document) { return document.IsNull(); });
  return all;
}

std::string dump(const Value& value) {
  std::string out;
  write(out, value, 0);
  return out += '\n';
}

}  // namespace knarr::yaml
