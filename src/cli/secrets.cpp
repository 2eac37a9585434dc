// `knarr secrets`: the keys that Secrets are encrypted with on disk.
#include <fmt/format.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/control.h"

namespace knarr::cli {

int run_secrets(const Options& options) {
  const auto& words = options.positional();
  if (words.size() != 1 || words[0] != "rotate") return fail_usage("secrets", "want: knarr secrets rotate");
  auto instance = Instance::existing(options);
  if (!instance.ok()) return fail("secrets", instance.status());
  auto answer = ask_server(*instance, "secrets rotate");
  if (!answer.ok()) return fail("secrets rotate", answer.status());
  fmt::print("{}\n", *answer);
  return 0;
}

}  // namespace knarr::cli
