// Kubernetes' protobuf form of objects, as JSON documents: what Go clients send by default. Driven by the tables
// (pb_number). Pure functions; thread-safe; nothing that they read makes them fail other than by a Status.
#pragma once

#include <string_view>

#include "knarr/base/result.h"
#include "knarr/codec/json.h"

namespace knarr::schema {

// One message with its envelope ("k8s\0" and a runtime.Unknown), with kind and apiVersion set from the envelope. Error:
// BadRequest where the bytes are none, or are of a kind that has no table.
Result<json::Document> decode_protobuf(std::string_view bytes);

}  // namespace knarr::schema
