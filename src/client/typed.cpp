#include "knarr/client/typed.h"

#include <fmt/format.h>

#include "client/json_scan.h"

namespace knarr::client {

std::string make_key(std::string_view ns, std::string_view name) {
  if (ns.empty()) return std::string(name);
  return fmt::format("{}/{}", ns, name);
}

std::pair<std::string, std::string> split_key(std::string_view key) {
  auto slash = key.find('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

Result<ListText> split_list(std::string_view list) {
  ListText parts;
  bool has_items = false;
  JsonScan scan(list);
  bool good = scan.object([&](std::string_view key) {
    if (key == "items") {
      has_items = true;
      if (scan.null()) return true;
      return scan.array([&] {
        std::string_view item = scan.value();
        if (!item.empty()) parts.items.push_back(item);
        return !item.empty();
      });
    }
    std::string_view value = scan.value();
    if (key == "metadata") parts.resource_version = scan_resource_version(value);
    return !value.empty();
  });
  if (!good || !has_items) return bad_request("read a list: the text is no Kubernetes List object");
  return parts;
}

}  // namespace knarr::client
