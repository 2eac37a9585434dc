// How a generated struct lies in memory: what lets one decoder and one encoder serve every type of the API.
//
// The generator writes for each struct an array of Members, one for each field of its schema::Type (but kind and apiVersion) in
// the same order. How a member is held follows from its C++ type: `held<T>` is constant data, made by the templates below.
#pragma once

#include <deque>

#include "knarr/schema/object.h"
#include "knarr/schema/type.h"

namespace knarr::api {

enum class Repr : uint8_t { kString, kInt32, kInt64, kBool, kDouble, kTime, kIntOrString, kStruct, kNullable, kList, kMap };

struct NullableOps {
  const void* (*get)(const void* holder);  // null when absent
  void* (*make)(void* holder);
};
struct ListOps {
  size_t (*size)(const void* list);
  const void* (*at)(const void* list, size_t index);
  void* (*append)(void* list);
};
struct MapOps {
  size_t (*size)(const void* map);
  void* (*insert)(void* map, std::string_view key);
  void (*each)(const void* map, void* context, void (*visit)(void* context, const std::string& key, const void* value));
};

struct Held {
  Repr repr;
  const Layout* layout = nullptr;  // kStruct
  const Held* element = nullptr;   // kNullable, kList, kMap
  union {
    const NullableOps* nullable = nullptr;
    const ListOps* list;
    const MapOps* map;
  };
};

struct Member {
  size_t offset;
  const Held* held;
};

struct Layout {
  const schema::Type* type;
  const Member* members;
};

namespace detail {

template <typename T>
struct Describe {  // a generated struct
  static constexpr Held make() { return {Repr::kStruct, &T::kLayout}; }
};
template <typename T>
inline constexpr Held held = Describe<T>::make();

template <Repr repr>
struct DescribeScalar {
  static constexpr Held make() { return {repr}; }
};
template <> struct Describe<std::string> : DescribeScalar<Repr::kString> {};
template <> struct Describe<int32_t> : DescribeScalar<Repr::kInt32> {};
template <> struct Describe<int64_t> : DescribeScalar<Repr::kInt64> {};
template <> struct Describe<bool> : DescribeScalar<Repr::kBool> {};
template <> struct Describe<double> : DescribeScalar<Repr::kDouble> {};
template <> struct Describe<WallTime> : DescribeScalar<Repr::kTime> {};
template <> struct Describe<IntOrString> : DescribeScalar<Repr::kIntOrString> {};

template <typename Holder, typename T>
struct DescribeNullable {
  static constexpr NullableOps ops = {
      [](const void* holder) -> const void* {
        const auto& h = *static_cast<const Holder*>(holder);
        return h ? &*h : nullptr;
      },
      [](void* holder) -> void* { return &static_cast<Holder*>(holder)->emplace(); },
  };
  static constexpr Held make() {
    Held h{Repr::kNullable, nullptr, &held<T>};
    h.nullable = &ops;
    return h;
  }
};
template <typename T> struct Describe<std::optional<T>> : DescribeNullable<std::optional<T>, T> {};
template <typename T> struct Describe<Box<T>> : DescribeNullable<Box<T>, T> {};

template <typename List, typename T>
struct DescribeList {
  static constexpr ListOps ops = {
      [](const void* list) { return static_cast<const List*>(list)->size(); },
      [](const void* list, size_t i) -> const void* { return &(*static_cast<const List*>(list))[i]; },
      [](void* list) -> void* { return &static_cast<List*>(list)->emplace_back(); },
  };
  static constexpr Held make() {
    Held h{Repr::kList, nullptr, &held<T>};
    h.list = &ops;
    return h;
  }
};
template <typename T> struct Describe<std::vector<T>> : DescribeList<std::vector<T>, T> {};
template <> struct Describe<std::deque<bool>> : DescribeList<std::deque<bool>, bool> {};

template <typename T>
struct Describe<std::map<std::string, T>> {
  using Map = std::map<std::string, T>;
  static constexpr MapOps ops = {
      [](const void* map) { return static_cast<const Map*>(map)->size(); },
      [](void* map, std::string_view key) -> void* { return &(*static_cast<Map*>(map))[std::string(key)]; },
      [](const void* map, void* context, void (*visit)(void*, const std::string&, const void*)) {
        for (const auto& [key, value] : *static_cast<const Map*>(map)) visit(context, key, &value);
      },
  };
  static constexpr Held make() {
    Held h{Repr::kMap, nullptr, &held<T>};
    h.map = &ops;
    return h;
  }
};

}  // namespace detail
}  // namespace knarr::api
