// What the generated structs of the API (knarr/schema/api.h) are made of, and how they are read from and written to JSON.
//
//   KNARR_ASSIGN(auto pod, api::decode_as<api::core::v1::Pod>(bytes));
//   if (pod.spec.nodeName.empty()) ...
//   std::string bytes = api::encode(pod);
//
// A struct is plain data: it is copied, compared and destroyed as one value. Fields have their JSON names; one that is a C++
// keyword has an underscore behind it (namespace_). A scalar that may be absent is a std::optional, an object that may be absent
// a Box, a time a std::optional<WallTime>, a quantity its text, bytes are decoded, any JSON is its text.
// Thread-compatible, as the standard containers are.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/codec/intorstring.h"
#include "knarr/codec/json.h"

namespace knarr::api {

struct Layout;  // where the fields of a struct lie; private to the schema module

// A std::optional that holds its value on the heap, so that the many things a volume or a container may have cost eight bytes
// while they are absent. Copies are deep.
template <typename T>
class Box {
 public:
  Box() = default;
  Box(std::nullopt_t) {}                                                  // NOLINT: implicit like std::optional
  Box(T value) : value_(std::make_unique<T>(std::move(value))) {}         // NOLINT
  Box(const Box& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Box(Box&&) noexcept = default;
  Box& operator=(const Box& other) {
    if (this != &other) value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
    return *this;
  }
  Box& operator=(Box&&) noexcept = default;

  bool has_value() const { return value_ != nullptr; }
  explicit operator bool() const { return has_value(); }

  // Only when has_value().
  T& value() { return *value_; }
  const T& value() const { return *value_; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }

  T& emplace() {
    value_ = std::make_unique<T>();
    return *value_;
  }
  T& ensure() { return value_ ? *value_ : emplace(); }  // the value, made when absent
  void reset() { value_.reset(); }

  friend bool operator==(const Box& a, const Box& b) { return a && b ? *a == *b : a.has_value() == b.has_value(); }

 private:
  std::unique_ptr<T> value_;
};

namespace detail {
void decode(const json::Value& value, const Layout& layout, void* object);
Status decode_text(std::string_view text, const Layout& layout, void* object);
void encode(const Layout& layout, const void* object, std::string& out);
bool same(const Layout& layout, const void* a, const void* b);
}  // namespace detail

template <typename T>
concept Struct = requires { T::kLayout; };

// Lenient: what does not fit a field leaves it empty, unknown fields are ignored. `object` is replaced.
template <Struct T>
void decode(const json::Value& value, T& object) {
  object = T();
  detail::decode(value, T::kLayout, &object);
}

// Error: BadRequest when the text is no JSON object.
template <Struct T>
Result<T> decode_as(std::string_view text) {
  T object;
  KNARR_RETURN_IF_ERROR(detail::decode_text(text, T::kLayout, &object));
  return object;
}

// Appends canonical JSON: fields in upstream's order, empty ones left out as upstream does; a kind has kind and apiVersion.
template <Struct T>
void encode(const T& object, std::string& out) {
  detail::encode(T::kLayout, &object, out);
}
template <Struct T>
std::string encode(const T& object) {
  std::string out;
  detail::encode(T::kLayout, &object, out);
  return out;
}

}  // namespace knarr::api
