// Admission: what looks at a write after authorisation and may change or refuse it. An ordered list of plugins.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/auth/authn.h"
#include "knarr/base/status.h"
#include "knarr/codec/json.h"
#include "knarr/schema/type.h"
#include "knarr/store/store.h"

namespace knarr::apiserver {

enum class Operation { kCreate, kUpdate, kDelete, kConnect };

struct AdmissionRequest {
  Operation operation;
  const schema::Resource* resource;
  std::string_view subresource, ns, name;  // name may be empty on create (generateName)
  json::Document* object;                  // the new object, may be changed by admit(); null on delete and connect
  const json::Value* old;                  // the stored object on update; else null
  const auth::UserInfo* user;
  bool dry_run = false;
  std::vector<std::string>* warnings;
  std::map<std::string, std::string>* audit = nullptr;  // annotations for the audit log; null: nobody reads them
};

// Thread-safe; sees many requests at once.
class AdmissionPlugin {
 public:
  virtual ~AdmissionPlugin() = default;
  virtual std::string_view name() const = 0;
  // May change the object. Called before validation, in the order of the list.
  virtual Status admit(AdmissionRequest&) { return Status::OK(); }
  // May only refuse. Called on the complete, valid object.
  virtual Status validate(const AdmissionRequest&) { return Status::OK(); }
};

using AdmissionChain = std::vector<std::unique_ptr<AdmissionPlugin>>;

}  // namespace knarr::apiserver
