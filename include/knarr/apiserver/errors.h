// The API's errors in upstream's words. `resource` names appear as "deployments.apps", kinds as "Deployment.apps".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/status.h"
#include "knarr/schema/type.h"

namespace knarr::apiserver {

std::string group_resource(const schema::Resource& resource);
std::string group_kind(const schema::Resource& resource);
std::string group_version(const schema::Resource& resource);  // "v1", "apps/v1"
std::string internal_kind(const schema::Resource& resource);  // "core.Pod": how upstream's errors name its own types

Status not_found_error(const schema::Resource& resource, std::string_view name);
Status already_exists_error(const schema::Resource& resource, std::string_view name);
Status generate_name_error(const schema::Resource& resource, std::string_view name);
Status conflict_error(const schema::Resource& resource, std::string_view name, std::string_view why);
Status modified_error(const schema::Resource& resource, std::string_view name);  // the conflict of optimistic locking
Status forbidden_error(const schema::Resource& resource, std::string_view name, std::string_view why);
Status invalid_error(std::string_view group, std::string_view kind, std::string_view name, std::vector<Cause> causes);
Status invalid_error(const schema::Resource& resource, std::string_view name, std::vector<Cause> causes);
Status not_supported_error(const schema::Resource& resource, std::string_view action);  // 405
Status expired_error(std::string_view message);
// `cached`: of a resource that upstream answers from its cache, which may be there in a second.
Status too_large_revision_error(uint64_t wanted, uint64_t current, bool cached);
Status unsupported_media_type_error(std::string_view supported);
Status not_acceptable_error(std::string_view supported);
Status path_not_found_error();
Status method_not_allowed_error();
// Why Go's strconv.ParseInt or ParseUint takes no `text` that our own reading refused: "strconv.ParseInt: parsing ..."
std::string go_number_error(std::string_view function, std::string_view text);
// Where upstream keeps an object, which it tells in errors; `key` is the object's in the store.
std::string registry_key(const schema::Resource& resource, std::string_view key);
// Why an object of a kind that is not known is refused.
std::string unregistered_kind(std::string_view kind, std::string_view version);

Cause cause_invalid(std::string_view field, std::string_view value, std::string_view detail);
Cause cause_forbidden(std::string_view field, std::string_view detail);
Cause cause_required(std::string_view field, std::string_view detail);
Cause cause_unsupported(std::string_view field, std::string_view value, std::string_view supported);

// A status that speaks of success: {"kind":"Status",...,"status":"Success","details":{...}}. `uid` may be empty.
std::string success_json(const schema::Resource& resource, std::string_view name, std::string_view uid);
// As status_json() of rest.h, with metadata.continue.
std::string status_json(const Status& status, std::string_view continue_token);

}  // namespace knarr::apiserver
