#include "component_statuses.h"

#include <fmt/format.h>

namespace knarr::apiserver {

const std::vector<store::ObjectPtr>& component_statuses() {
  static const std::vector<store::ObjectPtr> all = [] {
    std::vector<store::ObjectPtr> out;
    for (const std::string_view name : {"controller-manager", "etcd-0", "scheduler"}) {
      auto object = std::make_shared<store::Object>();
      object->key = name;
      object->value = fmt::format(R"({{"kind":"ComponentStatus","apiVersion":"v1","metadata":{{"name":"{}"}},)"
                                  R"("conditions":[{{"type":"Healthy","status":"True","message":"ok"}}]}})",
                                  name);
      out.push_back(std::move(object));
    }
    return out;
  }();
  return all;
}

}  // namespace knarr::apiserver
