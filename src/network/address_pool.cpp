#include "network/address_pool.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "knarr/base/log.h"
#include "knarr/linux/tree.h"

namespace knarr::network {

namespace {

// Pod ids become file names; temporary files have a dot, and so are no pods.
bool valid_pod_id(const std::string& pod) {
  return !pod.empty() && pod.size() <= 200 &&
         std::all_of(pod.begin(), pod.end(), [](unsigned char c) { return isalnum(c) || c == '-' || c == '_'; });
}

}  // namespace

Result<AddressPool> AddressPool::open(std::string directory, Cidr network) {
  KNARR_RETURN_IF_ERROR(linux::make_directories(directory, 0700));
  AddressPool pool(std::move(directory), network);
  KNARR_ASSIGN(const std::vector<std::string> names, linux::list_directory(pool.directory_));
  std::tuple<time_t, long> newest{};
  for (const std::string& name : names) {
    const std::string path = pool.directory_ + "/" + name;
    struct stat info {};
    auto content = linux::read_file(path, 64);
    auto address = parse_address(content.ok() ? content->substr(0, content->find('\n')) : "");
    if (!valid_pod_id(name) || !address.ok() || !pool.assignable(*address) || stat(path.c_str(), &info) != 0) {
      log::warn("network", "removing a file that gives no pod an address of this network",
                {{"file", path}, {"network", network.to_string()}});
      (void)linux::remove_tree(path);
      continue;
    }
    pool.by_pod_[name] = *address;
    pool.taken_.insert(*address);
    const std::tuple<time_t, long> written{info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
    if (written >= newest) {
      newest = written;
      pool.last_ = *address;
    }
  }
  return pool;
}

bool AddressPool::assignable(uint32_t address) const {
  return network_.contains(address) && address > network_.gateway() && address < network_.last() &&
         !taken_.contains(address);
}

std::optional<uint32_t> AddressPool::find(const std::string& pod) const {
  auto found = by_pod_.find(pod);
  return found == by_pod_.end() ? std::nullopt : std::optional(found->second);
}

Result<uint32_t> AddressPool::assign(const std::string& pod) {
  if (auto known = find(pod)) return *known;
  if (!valid_pod_id(pod))
    return bad_request(fmt::format("\"{}\" cannot be a pod's id: want letters, digits, - and _", pod));
  const uint32_t first = network_.gateway() + 1, end = network_.last();
  if (taken_.size() >= end - first) {
    return unavailable(
        fmt::format("no free pod address in {}: all {} are taken; delete pods or give the node a larger network",
                    network_.to_string(), taken_.size()));
  }
  uint32_t address = last_;
  do {
    address = address + 1 < end ? address + 1 : first;
  } while (taken_.contains(address));
  // Not durable: a power cut takes the pods along, and their files are of no use then.
  KNARR_RETURN_IF_ERROR(linux::replace_file_unsynced(directory_ + "/" + pod, format_address(address) + "\n", 0600));
  last_ = address;
  taken_.insert(address);
  by_pod_[pod] = address;
  return address;
}

Status AddressPool::release(const std::string& pod) {
  auto found = by_pod_.find(pod);
  if (found == by_pod_.end()) return {};
  const std::string path = directory_ + "/" + pod;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return errno_status(errno, fmt::format("delete {}", path));
  taken_.erase(found->second);
  by_pod_.erase(found);
  return {};
}

}  // namespace knarr::network
