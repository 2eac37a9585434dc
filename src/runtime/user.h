// Whom a container's process runs as: the image's or the pod's words against the container's own /etc/passwd and /etc/group.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"
#include "knarr/runtime/runtime.h"

namespace knarr::runtime {

struct User {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;  // supplementary; the primary one is among them
  std::string home = "/";
};

// `passwd` and `group` are the contents of the files, "" where there is none. Numbers need not stand in them; names must.
Result<User> resolve_user(const ContainerSpec& spec, std::string_view passwd, std::string_view group);

// The file's text when it is a regular file of a sensible size, else "". Never blocks, whatever the image put there.
std::string read_account_file(const char* path);

}  // namespace knarr::runtime
