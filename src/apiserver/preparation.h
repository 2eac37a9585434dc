// What the kinds' objects are given, or lose, on their way in, whatever a client sends: hooks of the strategies' table.
#pragma once

#include <string_view>

#include "knarr/auth/authn.h"
#include "knarr/base/clock.h"
#include "knarr/codec/json.h"

namespace knarr::apiserver {

struct Preparation {
  WallTime now;
  const auth::UserInfo& user;  // who sends the request
};

using PrepareCreate = void (*)(json::Value& object, const Preparation& preparation, json::Allocator& alloc);
// `subresource` is "" or that which is written.
using PrepareUpdate = void (*)(json::Value& object, const json::Value& old, std::string_view subresource,
                               const Preparation& preparation, json::Allocator& alloc);

namespace prepare {

void new_pod(json::Value& pod, const Preparation& preparation, json::Allocator& alloc);
void new_namespace(json::Value& ns, const Preparation& preparation, json::Allocator& alloc);
void new_volume(json::Value& volume, const Preparation& preparation, json::Allocator& alloc);
void new_claim(json::Value& claim, const Preparation& preparation, json::Allocator& alloc);
void new_daemon_set(json::Value& set, const Preparation& preparation, json::Allocator& alloc);
void new_stateful_set(json::Value& set, const Preparation& preparation, json::Allocator& alloc);
void new_job(json::Value& job, const Preparation& preparation, json::Allocator& alloc);
void new_limit_range(json::Value& range, const Preparation& preparation, json::Allocator& alloc);
void new_account(json::Value& account, const Preparation& preparation, json::Allocator& alloc);
void new_lease(json::Value& lease, const Preparation& preparation, json::Allocator& alloc);
void new_endpoint_slice(json::Value& slice, const Preparation& preparation, json::Allocator& alloc);
void new_node(json::Value& node, const Preparation& preparation, json::Allocator& alloc);
void new_csi_driver(json::Value& driver, const Preparation& preparation, json::Allocator& alloc);
void new_resource_slice(json::Value& slice, const Preparation& preparation, json::Allocator& alloc);
void new_signing_request(json::Value& request, const Preparation& preparation, json::Allocator& alloc);

void volume(json::Value& volume, const json::Value& old, std::string_view subresource, const Preparation& preparation,
            json::Allocator& alloc);
void claim(json::Value& claim, const json::Value& old, std::string_view subresource, const Preparation& preparation,
           json::Allocator& alloc);
void account(json::Value& account, const json::Value& old, std::string_view subresource, const Preparation& preparation,
             json::Allocator& alloc);
void lease(json::Value& lease, const json::Value& old, std::string_view subresource, const Preparation& preparation,
           json::Allocator& alloc);
void endpoint_slice(json::Value& slice, const json::Value& old, std::string_view subresource, const Preparation& preparation,
                    json::Allocator& alloc);
void node(json::Value& node, const json::Value& old, std::string_view subresource, const Preparation& preparation,
          json::Allocator& alloc);
void csi_driver(json::Value& driver, const json::Value& old, std::string_view subresource, const Preparation& preparation,
                json::Allocator& alloc);
void daemon_set(json::Value& set, const json::Value& old, std::string_view subresource, const Preparation& preparation,
                json::Allocator& alloc);
void stateful_set(json::Value& set, const json::Value& old, std::string_view subresource,
                  const Preparation& preparation, json::Allocator& alloc);
void service(json::Value& service, const json::Value& old, std::string_view subresource, const Preparation& preparation,
             json::Allocator& alloc);
void resource_slice(json::Value& slice, const json::Value& old, std::string_view subresource,
                    const Preparation& preparation, json::Allocator& alloc);
void resource_claim(json::Value& claim, const json::Value& old, std::string_view subresource,
                    const Preparation& preparation, json::Allocator& alloc);
void signing_request(json::Value& request, const json::Value& old, std::string_view subresource,
                     const Preparation& preparation, json::Allocator& alloc);

// The class of service that a pod's resources make: Guaranteed, Burstable, BestEffort.
std::string_view qos_class_of(const json::Value& pod);

}  // namespace prepare
}  // namespace knarr::apiserver
