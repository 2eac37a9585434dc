// What the plugins share: how one is made, and the questions that several of them ask. One file a plugin; the table is
// in chain.cpp.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string_view>

#include "knarr/apiserver/admission.h"
#include "knarr/apiserver/document.h"
#include "knarr/apiserver/errors.h"
#include "knarr/codec/json.h"
#include "knarr/store/store.h"

namespace knarr::admission {

using apiserver::AdmissionPlugin;
using apiserver::AdmissionRequest;
using apiserver::forbidden_error;
using apiserver::meta_string;
using apiserver::object_key;
using apiserver::Operation;
using json::Document;
using json::Value;

using PluginPtr = std::unique_ptr<AdmissionPlugin>;

PluginPtr make_namespace_lifecycle(store::Store& store);
PluginPtr make_service_account(store::Store& store);
PluginPtr make_priority(store::Store& store);
PluginPtr make_default_toleration_seconds(store::Store& store);

// The request is about the resource itself (no subresource of it).
inline bool is_about(const AdmissionRequest& request, std::string_view storage_name) {
  return request.subresource.empty() && request.resource->storage_name == storage_name;
}
inline bool creates(const AdmissionRequest& request, std::string_view storage_name) {
  return request.operation == Operation::kCreate && request.object && is_about(request, storage_name);
}

}  // namespace knarr::admission
