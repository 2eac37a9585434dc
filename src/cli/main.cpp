#include "knarr/cli/main.h"

#include <cstdio>
#include <cstdlib>

#include "cli/commands.h"
#include "cli/init.h"
#include "knarr/base/log.h"
#include "knarr/runtime/runtime.h"

namespace knarr::cli {

namespace {

constexpr Command kCommands[] = {
    {"server", "[options]", "run the control plane, and the agent of this machine", kUseServer, run_server,
     "Serves the Kubernetes API, keeps everything in --data-dir and runs pods on this machine.\n"
     "The admin's kubeconfig is written to <data-dir>/kubeconfig: kubectl --kubeconfig FILE get nodes\n"},
    {"agent", "--server URL --token TOKEN [options]", "run pods on this machine for a server elsewhere", kUseAgent,
     run_agent,
     "Joins the cluster of --server with its --token (<data-dir>/token there) and runs the pods that it assigns.\n"},
    {"image", "import FILE... | ls | rm NAME... | pull NAME...", "the images of this node", kUseImage, run_image,
     "  import FILE...   add the images of OCI or docker archives (docker save, skopeo copy ... oci-archive:FILE)\n"
     "  ls               list them\n"
     "  rm NAME...       remove names; what no name leads to any more is deleted\n"
     "  pull NAME...     fetch from a registry\n"},
    {"status", "[options]", "is the server well, and what does it hold", kUseStatus, run_status, ""},
    {"kubeconfig", "--user NAME [--group NAMES] [--days COUNT]", "credentials for another user, on standard output", kUseKubeconfig,
     run_kubeconfig,
     "Signs a client certificate and prints a kubeconfig with it: what this user may do is for RBAC's roles to say.\n"
     "  knarr kubeconfig --user ada --group dev >ada.kubeconfig\n"},
    {"cert", "ls | renew | rotate-ca [--finish | --abort] | rotate-service-account-key [--finish]", "the certificates of this machine", kUseCert, run_cert,
     "  ls         list them, who signed them and when they expire (a running server or agent renews its own in time)\n"
     "  renew      make the server's certificates anew, now\n"
     "  rotate-ca  make a new certificate authority, while everything runs:\n"
     "    rotate-ca            everything is signed by a new authority from now on, and the old one is still trusted.\n"
     "                         Nodes and kube-root-ca.crt follow by themselves; hand out new kubeconfigs to people.\n"
     "    rotate-ca --finish   once all have followed: the old authority is trusted no more\n"
     "    rotate-ca --abort    before that: the old authority signs again, and once all nodes have certificates of it, the new\n"
     "                         one is trusted no more: kubeconfigs and join commands made meanwhile have to be made again\n"
     "  rotate-service-account-key  make a new key for ServiceAccount tokens, while everything runs:\n"
     "    rotate-service-account-key            it signs from now on, and tokens of the old one still hold. Token Secrets\n"
     "                                          get new tokens at once, pods within the hour.\n"
     "    rotate-service-account-key --finish   once they have: tokens of the old key are refused (also those of\n"
     "                                          kubectl create token; --force does not wait)\n"},
    {"token", "create [TOKEN] | ls | rm ID...", "tokens with which machines join, for a while", kUseToken, run_token,
     "  create  make one and print it, as knarr agent --token takes it (--print-join-command: the whole command)\n"
     "  ls      list them\n"
     "  rm ID   take them back\n"
     "They are kubeadm's bootstrap tokens: Secrets of kube-system, removed when they expire.\n"},
    {"secrets", "rotate", "the keys that Secrets are encrypted with on disk", kUseKeys, run_secrets,
     "  rotate  make a new key and encrypt every Secret with it, while the server runs\n"},
    {"uninstall", "--data-dir DIR", "end all pods and remove everything knarr made on this machine", kUseUninstall,
     run_uninstall,
     "Stops at once when a server or agent still runs with this data directory. Removes pods, mounts, links, rules and "
     "the directory.\n"},
    {"version", "", "print the versions", kUseAll, run_version, ""},
};

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

void print_help() {
  fmt::print("knarr: Kubernetes in one binary\n\nUsage: knarr COMMAND [options]\n\nCommands:\n");
  for (const Command& command : kCommands) fmt::print("  {:<11} {}\n", command.name, command.help);
  fmt::print("\nknarr COMMAND --help shows a command's options. To begin: sudo knarr server\n");
}

void print_help(const Command& command) {
  fmt::print("Usage: knarr {} {}\n\n{}{}\nOptions:\n{}", command.name, command.usage,
             command.details.empty() ? command.help : command.details, command.details.empty() ? "\n" : "",
             options_help(command.use));
}

Status configure_log(const Options& options) {
  KNARR_ASSIGN(auto level, log::parse_level(options.text("log-level")));
  KNARR_ASSIGN(auto format, log::parse_format(options.text("log-format")));
  log::configure(level, format);
  return {};
}

}  // namespace

std::span<const Command> command_table() { return kCommands; }

int fail(std::string_view command, const Status& status) {
  fmt::print(stderr, "knarr {}: {}\n", command, status.message());
  return 1;
}

int fail_usage(std::string_view command, std::string_view message) {
  fmt::print(stderr, "knarr {0}: {1}\nknarr {0} --help shows how\n", command, message);
  return 2;
}

std::string_view version() { return KNARR_VERSION; }
std::string_view kubernetes_version() { return "v1.36.3"; }

int run_version(const Options&) {
  fmt::print("knarr {} (Kubernetes {})\n", version(), kubernetes_version());
  return 0;
}

int run(int argc, char** argv) {
  // The shim first: it runs once for each pod and should touch as little of this program as it can.
  if (argc > 1 && std::string_view(argv[1]) == "shim") return runtime::shim_main(argc - 1, argv + 1);
  if (is_init(argc, argv)) return run_init(argc, argv);

  std::string_view name = argc > 1 ? argv[1] : "help";
  if (name == "help" || name == "--help" || name == "-h") {
    const Command* command = argc > 2 ? find_command(argv[2]) : nullptr;
    command ? print_help(*command) : print_help();
    return 0;
  }
  if (name == "--version") name = "version";
  const Command* command = find_command(name);
  if (!command) {
    fmt::print(stderr, "knarr: there is no command \"{}\"\nknarr --help lists them\n", name);
    return 2;
  }
  std::vector<std::string> arguments(argv + 2, argv + argc);
  auto options = Options::parse(command->use, arguments,
                                [](const char* variable) -> const char* { return std::getenv(variable); });
  if (!options.ok()) return fail_usage(name, options.status().message());
  if (options->help()) {
    print_help(*command);
    return 0;
  }
  if (auto status = configure_log(*options); !status.ok()) return fail_usage(name, status.message());
  return command->run(*options);
}

}  // namespace knarr::cli
