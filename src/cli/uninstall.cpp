// `knarr uninstall`: ends what still runs of this data directory and removes everything that knarr made on this
// machine.
#include <fmt/format.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/instance.h"
#include "knarr/linux/mount.h"
#include "knarr/network/network.h"
#include "knarr/runtime/runtime.h"

namespace knarr::cli {

int run_uninstall(const Options& options) {
  const std::string& data_dir = options.text("data-dir");
  if (access(data_dir.c_str(), F_OK) != 0)
    return fail("uninstall", not_found(fmt::format("there is no data directory {}", data_dir)));
  if (access((data_dir + "/instance").c_str(), F_OK) != 0) {
    return fail("uninstall",
                bad_request(fmt::format(
                    "{} is no data directory of knarr (it has no file \"instance\"); nothing was removed", data_dir)));
  }
  auto instance = Instance::open(options);
  if (!instance.ok()) return fail("uninstall", instance.status());
  auto server = lock_instance(*instance, "server", false);
  if (!server.ok()) return fail("uninstall", server.status());
  auto agent = lock_instance(*instance, "agent", false);
  if (!agent.ok()) return fail("uninstall", agent.status());

  size_t pods = 0;
  auto runtime = runtime::Runtime::open({.state_directory = instance->run()});
  if (!runtime.ok()) return fail("uninstall", runtime.status());
  if (auto found = (*runtime)->recover(); found.ok()) {
    for (const auto& pod : *found) {
      if (auto status = (*runtime)->remove_sandbox(pod.spec.id); !status.ok()) return fail("uninstall", status);
      ++pods;
    }
  }
  runtime->reset();
  if (auto status = network::remove_instance(instance->id, instance->network()); !status.ok())
    return fail("uninstall", status);
  if (auto status = linux::unmount_tree(instance->data_dir); !status.ok()) return fail("uninstall", status);
  if (auto status = linux::remove_tree(instance->data_dir); !status.ok()) return fail("uninstall", status);
  fmt::print("removed {} with {} running pod{}\n", instance->data_dir, pods, pods == 1 ? "" : "s");
  return 0;
}

}  // namespace knarr::cli
