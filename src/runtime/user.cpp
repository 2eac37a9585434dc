#include "runtime/user.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "knarr/linux/fd.h"

namespace knarr::runtime {

namespace {

constexpr size_t kMaxAccountFile = 4 << 20;

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view next_field(std::string_view& rest, char separator) {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return field;
}

struct PasswdEntry {
  std::string_view name, home;
  uint32_t uid, gid;
};

template <typename Match>
std::optional<PasswdEntry> find_user(std::string_view passwd, Match match) {
  while (!passwd.empty()) {
    std::string_view line = next_field(passwd, '\n');
    PasswdEntry entry{};
    entry.name = next_field(line, ':');
    next_field(line, ':');
    const auto uid = number(next_field(line, ':')), gid = number(next_field(line, ':'));
    next_field(line, ':');
    entry.home = next_field(line, ':');
    if (!uid || !gid) continue;
    entry.uid = *uid;
    entry.gid = *gid;
    if (match(entry)) return entry;
  }
  return std::nullopt;
}

// Calls `each` with name, id and members of every group.
template <typename Each>
void for_each_group(std::string_view group, Each each) {
  while (!group.empty()) {
    std::string_view line = next_field(group, '\n');
    const std::string_view name = next_field(line, ':');
    next_field(line, ':');
    const auto gid = number(next_field(line, ':'));
    if (gid) each(name, *gid, next_field(line, ':'));
  }
}

bool has_member(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    if (next_field(members, ',') == name) return true;
  }
  return false;
}

Result<uint32_t> group_id(std::string_view text, std::string_view group) {
  std::optional<uint32_t> found = number(text);
  if (!found) {
    for_each_group(group, [&](std::string_view name, uint32_t gid, std::string_view) {
      if (!found && name == text) found = gid;
    });
  }
  if (!found) return bad_request(fmt::format("unable to find group {}: no matching entries in group file", text));
  return *found;
}

}  // namespace

Result<User> resolve_user(const ContainerSpec& spec, std::string_view passwd, std::string_view group) {
  std::string_view group_text = spec.run_as_user ? std::string_view() : std::string_view(spec.user);
  const std::string_view user_text = next_field(group_text, ':');

  User user;
  std::optional<PasswdEntry> entry;
  if (spec.run_as_user || user_text.empty() || number(user_text)) {
    user.uid = spec.run_as_user ? static_cast<uint32_t>(*spec.run_as_user) : number(user_text).value_or(static_cast<uint32_t>(spec.security.uid));
    entry = find_user(passwd, [&](const PasswdEntry& e) { return e.uid == user.uid; });
  } else {
    entry = find_user(passwd, [&](const PasswdEntry& e) { return e.name == user_text; });
    if (!entry) return bad_request(fmt::format("unable to find user {}: no matching entries in passwd file", user_text));
    user.uid = entry->uid;
  }

  user.gid = entry ? entry->gid : static_cast<uint32_t>(spec.security.gid);
  if (spec.run_as_group) {
    user.gid = static_cast<uint32_t>(*spec.run_as_group);
  } else if (!group_text.empty()) {
    KNARR_ASSIGN(user.gid, group_id(group_text, group));
  }

  user.groups.push_back(user.gid);
  if (entry) {
    if (!entry->home.empty()) user.home = entry->home;
    for_each_group(group, [&](std::string_view, uint32_t gid, std::string_view members) {
      if (has_member(members, entry->name)) user.groups.push_back(gid);
    });
  }
  for (const int64_t gid : spec.security.additional_gids) user.groups.push_back(static_cast<uint32_t>(gid));
  // Once each, in their order.
  std::vector<uint32_t> unique;
  for (const uint32_t gid : user.groups) {
    if (std::find(unique.begin(), unique.end(), gid) == unique.end()) unique.push_back(gid);
  }
  user.groups = std::move(unique);
  return user;
}

std::string read_account_file(const char* path) {
  linux::UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  std::string text(std::min(static_cast<size_t>(info.st_size), kMaxAccountFile), '\0');
  size_t have = 0;
  for (ssize_t n; have < text.size() && (n = read(fd.get(), text.data() + have, text.size() - have)) > 0;) have += static_cast<size_t>(n);
  text.resize(have);
  return text;
}

}  // namespace knarr::runtime
