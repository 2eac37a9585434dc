#include "knarr/schema/protobuf.h"

#include <fmt/format.h>

#include <cstring>
#include <map>
#include <optional>

#include "knarr/codec/base64.h"
#include "knarr/codec/time.h"
#include "knarr/schema/type.h"

namespace knarr::schema {

namespace {

using json::Allocator;
using json::Document;
using json::Value;

constexpr std::string_view kMagic("k8s\0", 4);
constexpr int kMaxMessageDepth = 100;

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field of a message on the wire.
struct Entry {
  uint32_t number = 0, wire = 0;
  uint64_t varint = 0;     // of kVarint, kFixed64 and kFixed32
  std::string_view bytes;  // of kBytes
};

Status malformed(std::string_view why) {
  return bad_request(fmt::format("the protobuf message is malformed: {}", why));
}

// Reads a message entry by entry.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  // False at the end.
  Result<bool> next(Entry& entry) {
    if (rest_.empty()) return false;
    KNARR_ASSIGN(const uint64_t tag, varint());
    entry.number = static_cast<uint32_t>(tag >> 3);
    entry.wire = static_cast<uint32_t>(tag & 7);
    if (entry.number == 0) return malformed("a field has the number 0");
    switch (entry.wire) {
      case kVarint: {
        KNARR_ASSIGN(entry.varint, varint());
        return true;
      }
      case kFixed64:
        return fixed(8, entry);
      case kFixed32:
        return fixed(4, entry);
      case kBytes: {
        KNARR_ASSIGN(const uint64_t size, varint());
        if (size > rest_.size()) return malformed("a field reaches beyond the end");
        entry.bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
      }
      default:
        return malformed("a field has an unknown wire type");
    }
  }

  Result<uint64_t> varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return malformed("it ends inside a number");
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return malformed("a number is too long");
  }
  bool empty() const { return rest_.empty(); }

 private:
  Result<bool> fixed(size_t size, Entry& entry) {
    if (size > rest_.size()) return malformed("it ends inside a number");
    entry.varint = 0;
    for (size_t i = 0; i < size; ++i) entry.varint |= uint64_t(static_cast<uint8_t>(rest_[i])) << (8 * i);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
};

// The entries of a small message by number; the last of several counts.
Result<std::map<uint32_t, Entry>> small_message(std::string_view bytes) {
  std::map<uint32_t, Entry> out;
  Reader reader(bytes);
  Entry entry;
  while (true) {
    KNARR_ASSIGN(const bool more, reader.next(entry));
    if (!more) return out;
    out[entry.number] = entry;
  }
}

class Decoder {
 public:
  explicit Decoder(Allocator& alloc) : alloc_(alloc) {}

  // Fields of `bytes`, a message of `type` (or, with `outer`, the part of it that JSON does not show, `depth_of_outer` messages
  // below), into `object`.
  Status message(const Type& type, uint32_t outer, std::string_view bytes, Value& object, int depth, unsigned depth_of_outer = 0) {
    if (depth > kMaxMessageDepth) return malformed("it is nested too deep");
    Reader reader(bytes);
    Entry entry;
    while (true) {
      KNARR_ASSIGN(const bool more, reader.next(entry));
      if (!more) return Status::OK();
      const Field* field = nullptr;
      bool contains = false;  // the entry is a message of whose fields some are ours
      for (const Field& candidate : type.fields) {
        if (candidate.pb_number == entry.number && candidate.pb_outer == outer && candidate.pb_number != 0)
          field = &candidate;
        const uint32_t around = (uint32_t{1} << 8 * depth_of_outer) - 1;
        const uint32_t below = candidate.pb_outer >> 8 * depth_of_outer;
        if ((candidate.pb_outer & around) == outer && below != 0 && (below & 0xff) == entry.number) contains = true;
      }
      if (field) {
        KNARR_RETURN_IF_ERROR(add(*field, entry, object, depth));
      } else if (contains && entry.wire == kBytes) {
        KNARR_RETURN_IF_ERROR(message(type, outer | entry.number << 8 * depth_of_outer, entry.bytes, object, depth + 1, depth_of_outer + 1));
      }
    }
  }

 private:
  Status add(const Field& field, const Entry& entry, Value& object, int depth) {
    if (field.shape == Shape::kList) return add_to_list(field, entry, object, depth);
    if (field.shape == Shape::kMap) return add_to_map(field, entry, object, depth);
    KNARR_ASSIGN(Value value, scalar(field, field.shape, entry, depth));
    if (!value.IsNull()) json::set(object, field.name, std::move(value), alloc_);
    return Status::OK();
  }

  Status add_to_list(const Field& field, const Entry& entry, Value& object, int depth) {
    Value* list = json::find(object, field.name);
    if (!list) list = &json::set(object, field.name, Value(rapidjson::kArrayType), alloc_);
    const bool number =
        field.element == Shape::kInt32 || field.element == Shape::kInt64 || field.element == Shape::kBool;
    if (number && entry.wire == kBytes) {  // packed
      Reader reader(entry.bytes);
      while (!reader.empty()) {
        Entry one{entry.number, kVarint, 0, {}};
        KNARR_ASSIGN(one.varint, reader.varint());
        KNARR_ASSIGN(Value value, scalar(field, field.element, one, depth));
        list->PushBack(value, alloc_);
      }
      return Status::OK();
    }
    KNARR_ASSIGN(Value value, scalar(field, field.element, entry, depth));
    list->PushBack(value, alloc_);
    return Status::OK();
  }

  Status add_to_map(const Field& field, const Entry& entry, Value& object, int depth) {
    if (entry.wire != kBytes) return malformed(fmt::format("{} is no map", field.name));
    KNARR_ASSIGN(auto pair, small_message(entry.bytes));
    Value* map = json::find(object, field.name);
    if (!map) map = &json::set(object, field.name, Value(rapidjson::kObjectType), alloc_);
    const bool of_number =
        field.element == Shape::kInt32 || field.element == Shape::kInt64 || field.element == Shape::kBool;
    Entry value_entry = pair.contains(2) ? pair[2] : Entry{2, of_number ? uint32_t(kVarint) : uint32_t(kBytes), 0, {}};
    KNARR_ASSIGN(Value value, scalar(field, field.element, value_entry, depth));
    json::set(*map, pair.contains(1) ? pair[1].bytes : std::string_view(), std::move(value), alloc_);
    return Status::OK();
  }

  // A value of `shape`; null where the message says that there is none (a zero time).
  Result<Value> scalar(const Field& field, Shape shape, const Entry& entry, int depth) {
    const bool number =
        shape == Shape::kInt32 || shape == Shape::kInt64 || shape == Shape::kBool || shape == Shape::kDouble;
    if (number != (entry.wire != kBytes)) return malformed(fmt::format("{} has another wire type", field.name));
    switch (shape) {
      case Shape::kString:
        return json::string(entry.bytes, alloc_);
      case Shape::kInt32:
        return Value(static_cast<int32_t>(entry.varint));
      case Shape::kInt64:
        return Value(static_cast<int64_t>(entry.varint));
      case Shape::kBool:
        return Value(entry.varint != 0);
      case Shape::kDouble: {
        double value = 0;
        std::memcpy(&value, &entry.varint, sizeof value);
        return Value(value);
      }
      case Shape::kBytes:
        return json::string(base64::encode(entry.bytes), alloc_);
      case Shape::kTime:
      case Shape::kMicroTime:
        return time(shape, entry.bytes);
      case Shape::kDuration: {
        KNARR_ASSIGN(auto parts, small_message(entry.bytes));
        const auto nanos = std::chrono::nanoseconds(static_cast<int64_t>(parts[1].varint));
        return json::string(format_duration(nanos), alloc_);
      }
      case Shape::kQuantity: {
        KNARR_ASSIGN(auto parts, small_message(entry.bytes));
        return json::string(parts[1].bytes.empty() ? std::string_view("0") : parts[1].bytes, alloc_);
      }
      case Shape::kIntOrString: {
        KNARR_ASSIGN(auto parts, small_message(entry.bytes));
        if (parts[1].varint == 1) return json::string(parts[3].bytes, alloc_);
        return Value(static_cast<int32_t>(parts[2].varint));
      }
      case Shape::kObject: {
        Value object(rapidjson::kObjectType);
        if (field.type) KNARR_RETURN_IF_ERROR(message(*field.type, 0, entry.bytes, object, depth + 1));
        return object;
      }
      case Shape::kList: {  // a list inside a map or list: a message with the repeated field 1
        Value list(rapidjson::kArrayType);
        Reader reader(entry.bytes);
        Entry item;
        while (true) {
          KNARR_ASSIGN(const bool more, reader.next(item));
          if (!more) return list;
          if (item.number != 1) continue;
          KNARR_ASSIGN(Value value, scalar(field, field.inner, item, depth + 1));
          list.PushBack(value, alloc_);
        }
      }
      case Shape::kAny: {
        if (field.type) return type_or_else(field, entry.bytes, depth);
        KNARR_ASSIGN(auto parts, small_message(entry.bytes));
        if (parts[1].bytes.empty()) return Value();
        KNARR_ASSIGN(const Document document, json::parse(parts[1].bytes));
        return json::copy(document, alloc_);
      }
      case Shape::kMap:
        break;
    }
    return malformed(fmt::format("{} cannot be read", field.name));
  }

  // A part of a JSON schema that is a schema or something else: a message with a field for each.
  Result<Value> type_or_else(const Field& field, std::string_view bytes, int depth) {
    const bool flag = field.any == AnyKind::kTypeOrBool;
    Value list(rapidjson::kArrayType), one;
    Reader reader(bytes);
    Entry entry;
    while (true) {
      KNARR_ASSIGN(const bool more, reader.next(entry));
      if (!more) break;
      if (flag && entry.number == 1 && !one.IsObject()) {
        one = Value(entry.varint != 0);
      } else if (!flag && entry.number == 2 && field.any == AnyKind::kTypeOrStrings) {
        list.PushBack(json::string(entry.bytes, alloc_), alloc_);
      } else if (entry.wire == kBytes) {
        Value object(rapidjson::kObjectType);
        KNARR_RETURN_IF_ERROR(message(*field.type, 0, entry.bytes, object, depth + 1));
        if (entry.number == (flag ? 2U : 1U)) {
          one = std::move(object);
        } else {
          list.PushBack(object, alloc_);
        }
      }
    }
    if (!one.IsNull()) return one;
    return list;
  }

  Result<Value> time(Shape shape, std::string_view bytes) {
    KNARR_ASSIGN(auto parts, small_message(bytes));
    const auto seconds = static_cast<int64_t>(parts[1].varint);
    const auto nanos = static_cast<int32_t>(parts[2].varint);
    if (parts[1].number == 0 && nanos == 0) return Value();
    constexpr int64_t kYear0 = -62167219200, kYear10000 = 253402300800;
    if (seconds < kYear0 || seconds >= kYear10000 || nanos < 0 || nanos >= 1'000'000'000)
      return malformed("a time is out of range");
    const WallTime at = WallTime(std::chrono::seconds(seconds)) + std::chrono::microseconds(nanos / 1000);
    return json::string(shape == Shape::kTime ? format_time(at) : format_micro_time(at), alloc_);
  }

  Allocator& alloc_;
};

}  // namespace

const Type* find_kind_type(std::string_view api_version, std::string_view kind) {
  static const auto by_kind = [] {
    std::map<std::string, const Type*, std::less<>> map;
    for (const Type* type : types()) {
      if (type->kind.empty()) continue;
      const std::string group_version =
          type->group.empty() ? std::string(type->version) : fmt::format("{}/{}", type->group, type->version);
      map.emplace(fmt::format("{} {}", group_version, type->kind), type);
    }
    return map;
  }();
  // Options of requests are of every group.
  if (kind == "DeleteOptions") return find_type("meta/v1.DeleteOptions");
  const auto found = by_kind.find(fmt::format("{} {}", api_version, kind));
  return found == by_kind.end() ? nullptr : found->second;
}

Result<Document> decode_protobuf(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic)
    return bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  KNARR_ASSIGN(auto envelope, small_message(bytes.substr(kMagic.size())));
  KNARR_ASSIGN(auto type_meta, small_message(envelope[1].bytes));
  const std::string_view api_version = type_meta[1].bytes, kind = type_meta[2].bytes;
  const Type* type = find_kind_type(api_version, kind);
  if (!type) return bad_request(fmt::format("no kind \"{}\" is registered for version \"{}\"", kind, api_version));
  Document document(rapidjson::kObjectType);
  auto& alloc = document.GetAllocator();
  json::set(document, "kind", kind, alloc);
  json::set(document, "apiVersion", api_version, alloc);
  KNARR_RETURN_IF_ERROR(Decoder(alloc).message(*type, 0, envelope[2].bytes, document, 0));
  return document;
}

}  // namespace knarr::schema
