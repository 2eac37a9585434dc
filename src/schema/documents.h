// Small helpers for code that looks at objects as JSON documents; private to the module.
#pragma once

#include "knarr/codec/json.h"

namespace knarr::schema {

inline const json::Value& empty_array() {
  static const json::Value none(rapidjson::kArrayType);
  return none;
}
inline const json::Value& empty_object() {
  static const json::Value none(rapidjson::kObjectType);
  return none;
}

// The list of that name to iterate over; empty when absent.
inline json::Value::ConstArray items(const json::Value& object, std::string_view key) {
  const json::Value* list = json::find(object, key);
  return list != nullptr && list->IsArray() ? list->GetArray() : empty_array().GetArray();
}

// The object of that name; an empty one when absent.
inline const json::Value& child(const json::Value& object, std::string_view key) {
  const json::Value* value = json::find(object, key);
  return value != nullptr && value->IsObject() ? *value : empty_object();
}

}  // namespace knarr::schema
