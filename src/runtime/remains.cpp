#include "runtime/remains.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>

#include "knarr/base/log.h"
#include "knarr/linux/cgroup.h"
#include "knarr/linux/mount.h"
#include "knarr/linux/process.h"
#include "knarr/linux/tree.h"

namespace knarr::runtime {

namespace {

void kill_process(int pid, uint64_t start_time) {
  if (pid <= 0) return;
  const auto pidfd = linux::open_pidfd(pid);
  // The descriptor first, then the question whose it is: a number can be taken again in between, a descriptor cannot.
  if (!pidfd.ok() || linux::process_start_time(pid).value_or(0) != start_time) return;
  (void)linux::signal_pidfd(pidfd->get(), SIGKILL);
  pollfd ended{pidfd->get(), POLLIN, 0};
  poll(&ended, 1, 5000);
}

}  // namespace

std::optional<PodState> read_pod_state(const std::string& directory) {
  const auto text = linux::read_file(directory + "/state.json");
  if (!text.ok()) return std::nullopt;
  const auto document = json::parse(*text);
  if (!document.ok() || !document->IsObject()) return std::nullopt;
  return from_json<PodState>(*document);
}

Status forget_earlier_boots(const std::string& state_directory) {
  const std::string path = state_directory + "/.boot-id";
  KNARR_ASSIGN(const std::string now, linux::read_file("/proc/sys/kernel/random/boot_id"));
  if (linux::read_file(path).value_or("") == now) return {};
  if (access(path.c_str(), F_OK) == 0) {
    KNARR_ASSIGN(const auto pods, linux::list_directory(state_directory));
    for (const std::string& pod : pods) unlink((state_directory + "/" + pod + "/state.json").c_str());
  }
  return linux::replace_file_unsynced(path, now);
}

void kill_remains(const std::string& directory) {
  const auto state = read_pod_state(directory);
  if (!state) return;
  const linux::Cgroup cgroup(state->cgroup);
  if (cgroup.valid()) (void)cgroup.kill();
  for (const ContainerRecord& record : state->containers) kill_process(record.status.pid, record.start_time);
  if (!cgroup.valid()) return;
  if (Status status = cgroup.remove(); !status.ok()) log::warn("runtime", "a cgroup is left", {{"error", status}});
}

Status clear_remains(const std::string& directory) {
  kill_remains(directory);
  if (access((directory + "/shm").c_str(), F_OK) == 0) KNARR_RETURN_IF_ERROR(linux::unmount_tree(directory));
  return linux::remove_tree(directory);
}

}  // namespace knarr::runtime
