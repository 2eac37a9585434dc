// What the plugins share: how one is made, and the questions that several of them ask. One file a plugin; the table is
// in chain.cpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/apiserver/admission.h"
#include "knarr/apiserver/document.h"
#include "knarr/apiserver/errors.h"
#include "knarr/auth/authz.h"
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
PluginPtr make_limit_ranger(store::Store& store);
PluginPtr make_service_account(store::Store& store);
PluginPtr make_taint_nodes_by_condition(store::Store& store);
PluginPtr make_pod_security(store::Store& store);
PluginPtr make_priority(store::Store& store);
PluginPtr make_default_toleration_seconds(store::Store& store);
PluginPtr make_default_storage_class(store::Store& store);
PluginPtr make_storage_object_in_use_protection(store::Store& store);
PluginPtr make_persistent_volume_claim_resize(store::Store& store);
PluginPtr make_runtime_class(store::Store& store);
PluginPtr make_certificate_approval(std::shared_ptr<auth::Authorizer> authorizer);
PluginPtr make_certificate_signing(std::shared_ptr<auth::Authorizer> authorizer);
PluginPtr make_certificate_subject_restriction(store::Store& store);
PluginPtr make_default_ingress_class(store::Store& store);
PluginPtr make_device_access(store::Store& store);
PluginPtr make_resource_quota(store::Store& store);

// Forbidden, in upstream's words: `pods "web" is forbidden: why`. Names what is created by its generateName.
Status refuse(const AdmissionRequest& request, std::string_view why);
std::string name_of(const AdmissionRequest& request);
// Several problems as one text: the only one as it is, more as "[a, b]".
std::string aggregate(const std::vector<std::string>& problems);

// A stored object, parsed; nothing when there is none.
std::optional<Document> load(const store::Store& store, store::ResourceId resource, std::string_view key);

// The request is about the resource itself (no subresource of it).
inline bool is_about(const AdmissionRequest& request, std::string_view storage_name) {
  return request.subresource.empty() && request.resource->storage_name == storage_name;
}
inline bool creates(const AdmissionRequest& request, std::string_view storage_name) {
  return request.operation == Operation::kCreate && request.object && is_about(request, storage_name);
}

}  // namespace knarr::admission
