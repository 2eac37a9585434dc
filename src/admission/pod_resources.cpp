#include "admission/pod_resources.h"

#include <algorithm>

namespace knarr::admission {

namespace {

using json::Value;

const Value* find_status(const Value& pod, std::string_view list, std::string_view container) {
  const Value* statuses = json::find(pod, {"status", list});
  if (!statuses || !statuses->IsArray()) return nullptr;
  for (const Value& status : statuses->GetArray())
    if (json::get_string(status, "name") == container) return &status;
  return nullptr;
}

bool resize_is_infeasible(const Value& pod) {
  const Value* conditions = json::find(pod, {"status", "conditions"});
  if (!conditions || !conditions->IsArray()) return false;
  for (const Value& condition : conditions->GetArray())
    if (json::get_string(condition, "type") == "PodResizePending")
      return json::get_string(condition, "reason") == "Infeasible";
  return false;
}

// What the container asks for; while it is being resized, the most of what is asked for, granted and in effect.
Amounts container_amounts(const Value& pod, const Value& container, std::string_view statuses, std::string_view side,
                          const PodResourceOptions& options) {
  Amounts amounts = amounts_of(json::find(container, {"resources", side}));
  if (!options.status_too) return amounts;
  const Value* status = find_status(pod, statuses, json::get_string(container, "name"));
  const Value* actual = status ? json::find(*status, "resources") : nullptr;
  if (!actual) return amounts;
  if (resize_is_infeasible(pod)) amounts.clear();
  raise(amounts, amounts_of(json::find(*actual, side)));
  if (side == "requests") raise(amounts, amounts_of(json::find(*status, "allocatedResources")));
  return amounts;
}

bool pod_level(std::string_view name) { return name == "cpu" || name == "memory" || name.starts_with("hugepages-"); }

}  // namespace

Amounts amounts_of(const Value* list) {
  Amounts out;
  if (!list || !list->IsObject()) return out;
  for (const auto& entry : list->GetObject())
    if (entry.value.IsString()) out.emplace(json::view(entry.name), Quantity::parse_or_zero(json::view(entry.value)));
  return out;
}

void add(Amounts& to, const Amounts& amounts) {
  for (const auto& [name, amount] : amounts) {
    const auto [it, fresh] = to.emplace(name, amount);
    if (!fresh) it->second += amount;
  }
}

void raise(Amounts& to, const Amounts& amounts) {
  for (const auto& [name, amount] : amounts) {
    const auto [it, fresh] = to.emplace(name, amount);
    if (!fresh && amount > it->second) it->second = amount;
  }
}

json::Value to_json(const Amounts& amounts, json::Allocator& alloc) {
  Value out(rapidjson::kObjectType);
  for (const auto& [name, amount] : amounts) json::set(out, name, amount.to_string(), alloc);
  return out;
}

Amounts pod_amounts(const Value& pod, std::string_view side, PodResourceOptions options) {
  Amounts total, sidecars, starting;
  if (const Value* containers = json::find(pod, {"spec", "containers"}); containers && containers->IsArray())
    for (const Value& container : containers->GetArray())
      add(total, container_amounts(pod, container, "containerStatuses", side, options));
  if (const Value* containers = json::find(pod, {"spec", "initContainers"}); containers && containers->IsArray()) {
    for (const Value& container : containers->GetArray()) {
      const bool stays = json::get_string(container, "restartPolicy") == "Always";
      Amounts amounts = container_amounts(pod, container, "initContainerStatuses", side,
                                          {.overhead = options.overhead, .status_too = options.status_too && stays});
      if (stays) {
        add(total, amounts);
        add(sidecars, amounts);
        amounts = sidecars;
      } else {
        add(amounts, sidecars);
      }
      raise(starting, amounts);
    }
  }
  raise(total, starting);
  for (const auto& [name, amount] : amounts_of(json::find(pod, {"spec", "resources", side})))
    if (pod_level(name)) total.insert_or_assign(name, amount);
  if (options.overhead) {
    for (const auto& [name, amount] : amounts_of(json::find(pod, {"spec", "overhead"}))) {
      const auto it = total.find(name);
      // A limit that is not there is none: the overhead does not make one.
      if (it != total.end()) {
        if (side == "requests" || !it->second.is_zero()) it->second += amount;
      } else if (side == "requests") {
        total.emplace(name, amount);
      }
    }
  }
  return total;
}

}  // namespace knarr::admission
