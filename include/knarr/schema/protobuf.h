// Kubernetes' protobuf form of objects, from and to JSON documents: what Go clients speak by default. Driven by the tables
// (pb_number). Pure functions; thread-safe; nothing that they read makes them fail other than by a Status.
#pragma once

#include <string>
#include <string_view>

#include "knarr/base/result.h"
#include "knarr/codec/json.h"
#include "knarr/schema/type.h"

namespace knarr::schema {

// One message with its envelope ("k8s\0" and a runtime.Unknown), with kind and apiVersion set from the envelope. Error:
// BadRequest where the bytes are none, or are of a kind that has no table.
Result<json::Document> decode_protobuf(std::string_view bytes);

// An object with its envelope. Error: BadRequest where its kind has no table.
Result<std::string> encode_protobuf(const json::Value& object);

// Its parts, for those who put messages together themselves: the fields of an object, without kind and apiVersion; one field of bytes
// or of a message; and the envelope around a message.
void append_protobuf_message(std::string& out, const Type& type, const json::Value& object);
void append_protobuf_field(std::string& out, uint32_t number, std::string_view bytes);
void append_protobuf_envelope(std::string& out, std::string_view api_version, std::string_view kind, std::string_view message);

// The type of a kind, as "apps/v1" and "Deployment" name it; null: none.
const Type* find_kind_type(std::string_view api_version, std::string_view kind);

}  // namespace knarr::schema
