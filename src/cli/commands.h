// The commands that a person types, as one table, each in a file of its own.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "knarr/cli/options.h"

namespace knarr::cli {

struct Command {
  std::string_view name;
  std::string_view usage;  // what follows the name: "[options]", "import FILE..."
  std::string_view help;   // one line
  OptionUse use;
  int (*run)(const Options& options);  // the exit code
  std::string_view details;            // further lines of --help; may be empty
};
std::span<const Command> command_table();

int run_server(const Options& options);
int run_agent(const Options& options);
int run_cert(const Options& options);
int run_kubeconfig(const Options& options);
int run_secrets(const Options& options);
int run_image(const Options& options);
int run_token(const Options& options);
int run_status(const Options& options);
int run_uninstall(const Options& options);
int run_version(const Options& options);

// Prints "knarr COMMAND: what went wrong" to standard error; answers 1, or 2 for wrong usage.
int fail(std::string_view command, const Status& status);
int fail_usage(std::string_view command, std::string_view message);

// 0.1.0, and the Kubernetes version that is spoken.
std::string_view version();
std::string_view kubernetes_version();

}  // namespace knarr::cli
