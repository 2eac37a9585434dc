// What slices of devices and claims for devices lose or are given on their way in.
#include <set>
#include <string>

#include "knarr/codec/time.h"
#include "preparation.h"

namespace knarr::apiserver::prepare {

using json::Allocator;
using json::Value;

namespace {

template <typename Use>
void for_each_item(Value& object, std::initializer_list<std::string_view> path, const Use& use) {
  Value* list = json::find(object, path);
  if (!list || !list->IsArray()) return;
  for (Value& item : list->GetArray()) use(item);
}

// Which share of which device an entry of a claim's status is about.
std::string share_of(const Value& entry) {
  std::string out;
  for (std::string_view key : {"driver", "pool", "device", "shareID"}) out.append(json::get_string(entry, key)).push_back('/');
  return out;
}

std::set<std::string> allocated_shares(const Value& claim) {
  std::set<std::string> out;
  const Value* results = json::find(claim, {"status", "allocation", "devices", "results"});
  if (results && results->IsArray())
    for (const Value& result : results->GetArray()) out.insert(share_of(result));
  return out;
}

}  // namespace

void new_resource_slice(Value& slice, const Preparation& preparation, Allocator& alloc) {
  for_each_item(slice, {"spec", "devices"}, [&](Value& device) {
    json::remove(device, "nodeAllocatableResourceMappings");  // of a feature that is off
    if (Value* attributes = json::find(device, "attributes"); attributes && attributes->IsObject())
      for (auto& attribute : attributes->GetObject())
        for (std::string_view list : {"ints", "bools", "strings", "versions"}) json::remove(attribute.value, list);
    for_each_item(device, {"taints"}, [&](Value& taint) {
      if (!json::find(taint, "timeAdded")) json::set(taint, "timeAdded", format_time(preparation.now), alloc);
    });
  });
}

void resource_slice(Value& slice, const Value&, std::string_view, const Preparation& preparation, Allocator& alloc) {
  new_resource_slice(slice, preparation, alloc);
}

void resource_claim(Value& claim, const Value& old, std::string_view subresource, const Preparation&, Allocator&) {
  if (subresource != "status") return;
  // What is said of devices goes with their allocation.
  std::set<std::string> gone = allocated_shares(old);
  for (const std::string& share : allocated_shares(claim)) gone.erase(share);
  Value* devices = json::find(claim, {"status", "devices"});
  if (!devices || !devices->IsArray()) return;
  for (auto* entry = devices->Begin(); entry != devices->End();) entry = gone.count(share_of(*entry)) != 0 ? devices->Erase(entry) : entry + 1;
  if (devices->Empty()) json::remove(*json::find(claim, "status"), "devices");
}

}  // namespace knarr::apiserver::prepare
