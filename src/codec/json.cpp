#include "knarr/codec/json.h"

#include <fmt/format.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <set>

#include "codec/plain_text.h"

namespace knarr::json {

namespace {

// Strings stay where they stand in a copy of the text that the document owns: one allocation instead of one for each.
// Numbers come as text: the reader's own conversion is slow where it is exact, and does not know 0e54.
constexpr unsigned kParseFlags = rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag;
constexpr size_t kFewMembers = 16;  // up to this many, comparing all pairs is faster than sorting

// Passes the events on, with numbers converted, and stops at kMaxDepth: that bounds the reader's recursion, and that of
// everything that walks the document later.
template <typename Handler>
class Filter {
 public:
  explicit Filter(Handler& to) : to_(to) {}

  bool Null() { return to_.Null(); }
  bool Bool(bool b) { return to_.Bool(b); }
  bool Int(int i) { return to_.Int(i); }
  bool Uint(unsigned i) { return to_.Uint(i); }
  bool Int64(int64_t i) { return to_.Int64(i); }
  bool Uint64(uint64_t i) { return to_.Uint64(i); }
  bool Double(double d) { return to_.Double(d); }
  bool RawNumber(const char* s, rapidjson::SizeType n, bool) { return number({s, n}); }
  bool String(const char* s, rapidjson::SizeType n, bool c) { return replace_surrogates(s, n), to_.String(s, n, c); }
  bool Key(const char* s, rapidjson::SizeType n, bool c) { return replace_surrogates(s, n), to_.Key(s, n, c); }
  bool StartObject() { return ++depth_ <= kMaxDepth && to_.StartObject(); }
  bool EndObject(rapidjson::SizeType n) { return --depth_, to_.EndObject(n); }
  bool StartArray() { return ++depth_ <= kMaxDepth && to_.StartArray(); }
  bool EndArray(rapidjson::SizeType n) { return --depth_, to_.EndArray(n); }

 private:
  Handler& to_;
  int depth_ = 0;

  // The reader writes the second half of a pair of surrogates that stands alone ("\ude00") as if it were a character, which is no
  // UTF-8; Go takes U+FFFD for it, which has as many bytes. The string stands in our own copy of the text.
  static void replace_surrogates(const char* s, rapidjson::SizeType n) {
    const char* const end = s + n;
    for (const char* at = s; (at = static_cast<const char*>(std::memchr(at, 0xed, static_cast<size_t>(end - at)))); ++at) {
      if (end - at >= 3 && static_cast<unsigned char>(at[1]) >= 0xa0) std::memcpy(const_cast<char*>(at), "\xef\xbf\xbd", 3);
    }
  }

  // A whole number that fits 64 bits is one; any other is the nearest double. False: there is none.
  bool number(std::string_view text) {
    const char* const end = text.data() + text.size();
    if (text.find_first_of(".eE") == std::string_view::npos) {
      int64_t whole = 0;
      if (std::from_chars(text.data(), end, whole).ec == std::errc()) return to_.Int64(whole);
      uint64_t large = 0;
      if (std::from_chars(text.data(), end, large).ec == std::errc()) return to_.Uint64(large);
    }
    double real = 0;
    if (std::from_chars(text.data(), end, real).ec == std::errc()) return to_.Double(real);
    real = std::strtod(std::string(text).c_str(), nullptr);  // too small is zero, too large is refused
    return std::isfinite(real) && to_.Double(real);
  }
};

// What Document::Populate calls to be filled.
struct Generator {
  std::string_view text;
  rapidjson::ParseResult result;

  bool operator()(Document& document) {
    char* const buffer = static_cast<char*>(document.GetAllocator().Malloc(text.size() + 1));
    if (!text.empty()) std::memcpy(buffer, text.data(), text.size());
    buffer[text.size()] = '\0';
    rapidjson::InsituStringStream stream(buffer);
    rapidjson::Reader reader;
    Filter filter(document);
    result = reader.Parse<kParseFlags>(stream, filter);
    if (!result.IsError() && stream.Tell() != text.size()) {  // a null byte within the text is no end
      result.Set(rapidjson::kParseErrorDocumentRootNotSingular, stream.Tell());
    }
    return !result.IsError();
  }
};

// Fills a Document with a deep copy. Going through a Document's events makes containers of the exact size (adding
// members one by one allocates for sixteen); strings are copied even where the source only refers to them.
struct Copier {
  const Value& from;

  struct CopyStrings {
    Document& to;
    bool Null() { return to.Null(); }
    bool Bool(bool b) { return to.Bool(b); }
    bool Int(int i) { return to.Int(i); }
    bool Uint(unsigned i) { return to.Uint(i); }
    bool Int64(int64_t i) { return to.Int64(i); }
    bool Uint64(uint64_t i) { return to.Uint64(i); }
    bool Double(double d) { return to.Double(d); }
    bool RawNumber(const char* s, rapidjson::SizeType n, bool) { return to.RawNumber(s, n, true); }
    bool String(const char* s, rapidjson::SizeType n, bool) { return to.String(s, n, true); }
    bool Key(const char* s, rapidjson::SizeType n, bool) { return to.Key(s, n, true); }
    bool StartObject() { return to.StartObject(); }
    bool EndObject(rapidjson::SizeType n) { return to.EndObject(n); }
    bool StartArray() { return to.StartArray(); }
    bool EndArray(rapidjson::SizeType n) { return to.EndArray(n); }
  };

  bool operator()(Document& document) {
    CopyStrings handler{document};
    return from.Accept(handler);
  }
};

void drop_duplicates_sorted(Value& object) {
  std::vector<rapidjson::SizeType> order(object.MemberCount());
  for (rapidjson::SizeType i = 0; i < order.size(); ++i) order[i] = i;
  const auto members = object.MemberBegin();
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return view(members[a].name) < view(members[b].name); });
  std::vector<bool> drop(order.size());
  bool any = false;
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    if (view(members[order[i]].name) != view(members[order[i + 1]].name)) continue;
    drop[order[i]] = any = true;
  }
  if (!any) return;
  rapidjson::SizeType to = 0;
  for (rapidjson::SizeType from = 0; from < drop.size(); ++from) {
    if (drop[from]) continue;
    if (to != from) {
      members[to].name = std::move(members[from].name);
      members[to].value = std::move(members[from].value);
    }
    ++to;
  }
  object.EraseMember(members + to, object.MemberEnd());
}

// Whether an object of a text that parses may have the same key twice: two with the same hash, or one that is escaped.
// Nearly always not, and then a walk over the bytes is all.
bool may_have_duplicates(std::string_view text) {
  constexpr size_t kList = SIZE_MAX;
  std::vector<size_t> hashes, starts;  // of the keys of all objects that are open; where each object's begin, or kList
  bool expects_key = false;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '"': {
        size_t end = i + 1;
        bool escaped = false;
        for (;; ++end) {
          end += plain_prefix(text.substr(std::min(end, text.size())));
          if (end >= text.size() || text[end] == '"') break;
          if (text[end] == '\\') escaped = true, ++end;
        }
        if (expects_key && escaped) return true;
        if (expects_key) hashes.push_back(std::hash<std::string_view>()(text.substr(i + 1, end - i - 1)));
        expects_key = false;
        i = end;
        break;
      }
      case ',':
        expects_key = !starts.empty() && starts.back() != kList;
        break;
      case '[':
        starts.push_back(kList);
        break;
      case '{':
        starts.push_back(hashes.size());
        expects_key = true;
        break;
      case ']':
      case '}': {
        expects_key = false;
        if (starts.empty()) return true;  // no JSON
        const size_t start = starts.back();
        starts.pop_back();
        if (start == kList) break;
        const auto begin = hashes.begin() + static_cast<ptrdiff_t>(start);
        if (hashes.size() - start > kFewMembers) {
          std::sort(begin, hashes.end());
          if (std::adjacent_find(begin, hashes.end()) != hashes.end()) return true;
        } else {
          for (auto hash = begin; hash != hashes.end(); ++hash) {
            if (std::find(begin, hash, *hash) != hash) return true;
          }
        }
        hashes.erase(begin, hashes.end());
        break;
      }
      default:
        break;
    }
  }
  return false;
}

// Follows the text's structure and remembers the keys of the objects that are open.
class DuplicateFinder {
 public:
  std::vector<std::string> found;

  bool Null() { return scalar(); }
  bool Bool(bool) { return scalar(); }
  bool Int(int) { return scalar(); }
  bool Uint(unsigned) { return scalar(); }
  bool Int64(int64_t) { return scalar(); }
  bool Uint64(uint64_t) { return scalar(); }
  bool Double(double) { return scalar(); }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return scalar(); }
  bool String(const char*, rapidjson::SizeType, bool) { return scalar(); }
  bool Key(const char* s, rapidjson::SizeType n, bool) {
    Frame& frame = frames_.back();
    frame.key.assign(s, n);
    if (!frame.keys.insert(frame.key).second) report();
    return true;
  }
  bool StartObject() { return frames_.push_back({}), true; }
  bool StartArray() {
    frames_.push_back({});
    frames_.back().index = 0;
    return true;
  }
  bool EndObject(rapidjson::SizeType) { return frames_.pop_back(), scalar(); }
  bool EndArray(rapidjson::SizeType) { return frames_.pop_back(), scalar(); }

 private:
  static constexpr size_t kMaxReported = 100;  // as upstream
  struct Frame {
    int64_t index = -1;  // >= 0: an array
    std::string key;
    std::set<std::string, std::less<>> keys;
  };
  std::vector<Frame> frames_;
  std::set<std::string> reported_;

  bool scalar() {
    if (!frames_.empty() && frames_.back().index >= 0) ++frames_.back().index;
    return true;
  }
  void report() {
    if (found.size() >= kMaxReported) return;
    std::string path;
    for (const Frame& frame : frames_) {
      if (frame.index >= 0) {
        path += fmt::format("[{}]", frame.index);
      } else {
        if (!path.empty()) path += '.';
        path += frame.key;
      }
    }
    if (reported_.insert(path).second) found.push_back(std::move(path));
  }
};

// How many bytes from the front are UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF.
size_t utf8_prefix(std::string_view text) {
  const auto byte = [&](size_t i) -> unsigned { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  size_t i = 0;
  while (i < text.size()) {
    uint64_t eight = 0;
    if (i + sizeof eight <= text.size()) {
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if ((eight & 0x8080808080808080) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    const unsigned lead = byte(i), second = byte(i + 1);
    if (lead < 0x80) {
      i += 1;
    } else if (lead >= 0xc2 && lead <= 0xdf && follows(i + 1)) {
      i += 2;
    } else if ((lead & 0xf0) == 0xe0 && follows(i + 1) && follows(i + 2) && (lead != 0xe0 || second >= 0xa0) &&
               (lead != 0xed || second < 0xa0)) {
      i += 3;
    } else if (lead >= 0xf0 && lead <= 0xf4 && follows(i + 1) && follows(i + 2) && follows(i + 3) &&
               (lead != 0xf0 || second >= 0x90) && (lead != 0xf4 || second < 0x90)) {
      i += 4;
    } else {
      return i;
    }
  }
  return i;
}

// Member-wise equality of two objects of the same size, whatever their order.
bool equal_objects(const Value& a, const Value& b) {
  const auto count = a.MemberCount();
  const auto in_a = a.MemberBegin(), in_b = b.MemberBegin();
  rapidjson::SizeType same = 0;  // the orders mostly agree
  while (same < count && view(in_a[same].name) == view(in_b[same].name)) {
    if (!equal(in_a[same].value, in_b[same].value)) return false;
    ++same;
  }
  if (same == count) return true;
  if (count - same <= kFewMembers) {
    for (auto i = same; i < count; ++i) {
      auto j = same;
      while (j < count && view(in_a[i].name) != view(in_b[j].name)) ++j;
      if (j == count || !equal(in_a[i].value, in_b[j].value)) return false;
    }
    return true;
  }
  const auto sorted = [&](auto members) {
    std::vector<const Value::Member*> order;
    for (auto i = same; i < count; ++i) order.push_back(&members[i]);
    std::sort(order.begin(), order.end(), [](auto* x, auto* y) { return view(x->name) < view(y->name); });
    return order;
  };
  const auto order_a = sorted(in_a), order_b = sorted(in_b);
  return std::equal(order_a.begin(), order_a.end(), order_b.begin(),
                    [](auto* x, auto* y) { return view(x->name) == view(y->name) && equal(x->value, y->value); });
}

}  // namespace

Result<Document> parse(std::string_view text) {
  if (const size_t valid = utf8_prefix(text); valid != text.size()) {
    return bad_request(fmt::format("cannot parse JSON at offset {} of {} bytes: invalid UTF-8", valid, text.size()));
  }
  Document document;
  Generator generator{text, {}};
  document.Populate(generator);
  if (generator.result.IsError()) {
    const char* why = generator.result.Code() == rapidjson::kParseErrorTermination
                          ? "Nesting is too deep, or a number too large."
                          : rapidjson::GetParseError_En(generator.result.Code());
    return bad_request(
        fmt::format("cannot parse JSON at offset {} of {} bytes: {}", generator.result.Offset(), text.size(), why));
  }
  drop_duplicates(document);
  return document;
}

std::vector<std::string> duplicate_keys(std::string_view text) {
  if (!may_have_duplicates(text)) return {};
  DuplicateFinder finder;
  rapidjson::MemoryStream stream(text.data(), text.size());
  rapidjson::Reader reader;
  Filter filter(finder);
  reader.Parse<rapidjson::kParseDefaultFlags>(stream, filter);
  return std::move(finder.found);
}

const Value* find(const Value& object, std::string_view key) {
  if (!object.IsObject()) return nullptr;
  for (const auto& member : object.GetObject()) {
    if (view(member.name) == key) return &member.value;
  }
  return nullptr;
}

Value* find(Value& object, std::string_view key) { return const_cast<Value*>(find(std::as_const(object), key)); }

const Value* find(const Value& object, std::initializer_list<std::string_view> path) {
  const Value* at = &object;
  for (std::string_view step : path) {
    at = find(*at, step);
    if (!at) return nullptr;
  }
  return at;
}

Value* find(Value& object, std::initializer_list<std::string_view> path) {
  return const_cast<Value*>(find(std::as_const(object), path));
}

std::string_view get_string(const Value& object, std::string_view key) {
  const Value* value = find(object, key);
  return value && value->IsString() ? view(*value) : std::string_view();
}

std::string_view get_string(const Value& object, std::initializer_list<std::string_view> path) {
  const Value* value = find(object, path);
  return value && value->IsString() ? view(*value) : std::string_view();
}

int64_t get_int(const Value& object, std::string_view key, int64_t otherwise) {
  const Value* value = find(object, key);
  return value && value->IsInt64() ? value->GetInt64() : otherwise;
}

bool get_bool(const Value& object, std::string_view key, bool otherwise) {
  const Value* value = find(object, key);
  return value && value->IsBool() ? value->GetBool() : otherwise;
}

Value string(std::string_view text, Allocator& alloc) {
  if (text.empty()) return Value("", 0, alloc);  // a view of nothing may have no address
  return Value(text.data(), static_cast<rapidjson::SizeType>(text.size()), alloc);
}

Value copy(const Value& value, Allocator& alloc) {
  if (value.IsString()) return string(view(value), alloc);
  if (!value.IsObject() && !value.IsArray()) return Value(value, alloc);
  Document document(&alloc);
  Copier copier{value};
  document.Populate(copier);
  return std::move(static_cast<Value&>(document));
}

Document copy(const Value& value) {
  Document document;
  Copier copier{value};
  document.Populate(copier);
  return document;
}

Value& set(Value& object, std::string_view key, Value value, Allocator& alloc) {
  if (Value* present = find(object, key)) return *present = std::move(value);
  object.AddMember(string(key, alloc), std::move(value), alloc);
  return (object.MemberEnd() - 1)->value;
}

Value& set(Value& object, std::string_view key, std::string_view text, Allocator& alloc) {
  return set(object, key, string(text, alloc), alloc);
}

Value& ensure_object(Value& object, std::initializer_list<std::string_view> path, Allocator& alloc) {
  Value* at = &object;
  for (std::string_view step : path) {
    Value* next = find(*at, step);
    if (!next) {
      next = &set(*at, step, Value(rapidjson::kObjectType), alloc);
    } else if (!next->IsObject()) {
      next->SetObject();
    }
    at = next;
  }
  return *at;
}

bool remove(Value& object, std::string_view key) {
  if (!object.IsObject()) return false;
  for (auto member = object.MemberBegin(); member != object.MemberEnd(); ++member) {
    if (view(member->name) != key) continue;
    object.EraseMember(member);
    return true;
  }
  return false;
}

// As Go's decoder has it: two readers of a document never see two values.
void drop_duplicates(Value& value) {
  if (value.IsArray()) {
    for (Value& element : value.GetArray()) drop_duplicates(element);
    return;
  }
  if (!value.IsObject()) return;
  if (value.MemberCount() > kFewMembers) {
    drop_duplicates_sorted(value);
  } else {
    for (auto later = value.MemberBegin(); later != value.MemberEnd(); ++later) {
      for (auto earlier = value.MemberBegin(); earlier != later; ++earlier) {
        if (view(earlier->name) != view(later->name)) continue;
        value.EraseMember(earlier);
        --later;  // it moved down by one
        break;
      }
    }
  }
  for (auto& member : value.GetObject()) drop_duplicates(member.value);
}

bool within_depth(const json::Value& value, int depth) {
  if (value.IsObject()) {
    if (depth == 0) return false;
    for (const auto& member : value.GetObject()) {
      if (!within_depth(member.value, depth - 1)) return false;
    }
  } else if (value.IsArray()) {
    if (depth == 0) return false;
    for (const auto& element : value.GetArray()) {
      if (!within_depth(element, depth - 1)) return false;
    }
  }
  return true;
}

bool is_utf8(std::string_view text) { return utf8_prefix(text) == text.size(); }

bool equal(const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) {
    if (a.IsDouble() || b.IsDouble()) return a.GetDouble() == b.GetDouble();
    return a == b;
  }
  if (a.GetType() != b.GetType()) return false;
  switch (a.GetType()) {
    case rapidjson::kStringType:
      return view(a) == view(b);
    case rapidjson::kArrayType:
      return a.Size() == b.Size() &&
             std::equal(a.Begin(), a.End(), b.Begin(), [](const Value& x, const Value& y) { return equal(x, y); });
    case rapidjson::kObjectType:
      return a.MemberCount() == b.MemberCount() && equal_objects(a, b);
    default:
      return true;  // null, true, false
  }
}

}  // namespace knarr::json
