#include "admission/plugins.h"

#include <set>

namespace knarr::admission {

std::string name_of(const AdmissionRequest& request) {
  if (!request.name.empty()) return std::string(request.name);
  if (!request.object) return "Unknown!";
  for (std::string_view key : {"name", "generateName"})
    if (const std::string_view name = meta_string(*request.object, key); !name.empty()) return std::string(name);
  return "Unknown!";
}

Status refuse(const AdmissionRequest& request, std::string_view why) {
  return forbidden_error(*request.resource, name_of(request), why);
}

std::string aggregate(const std::vector<std::string>& problems) {
  if (problems.size() == 1) return problems.front();
  std::set<std::string_view> seen;
  std::vector<std::string_view> distinct;
  for (const std::string& problem : problems)
    if (seen.insert(problem).second) distinct.push_back(problem);
  return distinct.size() == 1 ? std::string(distinct.front()) : fmt::format("[{}]", fmt::join(distinct, ", "));
}

std::optional<Document> load(const store::Store& store, store::ResourceId resource, std::string_view key) {
  const store::ObjectPtr object = store.get(resource, key);
  if (!object) return std::nullopt;
  auto document = json::parse(object->value);
  if (!document.ok()) return std::nullopt;
  return std::move(*document);
}

}  // namespace knarr::admission
