// `knarr agent`: the node part, for a server on this machine (which starts it) or elsewhere (joined with a token).
#include "knarr/agent/agent.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>

#include "cli/commands.h"
#include "cli/instance.h"
#include "cli/join.h"
#include "cli/notify.h"
#include "cli/supervised.h"
#include "knarr/base/log.h"
#include "knarr/client/reflector.h"
#include "knarr/linux/file_set.h"
#include "knarr/network/network.h"

namespace knarr::cli {

namespace {

// The server's own agent ends with its server, whatever ended that. It is told so by a signal of its own: a crash is no
// wish to end the pods, whatever --keep-pods says.
constexpr int kServerGone = SIGHUP;

void follow_parent() {
  prctl(PR_SET_PDEATHSIG, kServerGone);
  if (getppid() == 1) raise(kServerGone);  // it went before we could say so
}

std::vector<std::string> node_addresses(const Options& options) {
  return {options.text("node-ip").empty() ? network::primary_address() : options.text("node-ip"), "127.0.0.1"};
}

// A machine may be up before its server is: asks again until that answers. Nothing when a signal came meanwhile.
std::optional<Status> join_patiently(const Options& options, const std::string& node_name, const std::string& directory,
                                     const sigset_t& signals) {
  client::Backoff backoff(milliseconds(500), milliseconds(10'000));
  for (bool first = true;; first = false) {
    Status status =
        join(options.text("server"), options.text("token"), node_name, node_addresses(options), directory);
    if (status.ok() || status.code() < 500) return status;
    if (first) log::warn("agent", "cannot join yet, trying again", {{"error", status}});
    const milliseconds pause = backoff.next();
    const timespec wait{pause.count() / 1000, pause.count() % 1000 * 1'000'000};
    if (sigtimedwait(&signals, nullptr, &wait) > 0) return {};
  }
}

}  // namespace

int run_agent(const Options& options) {
  if (!options.positional().empty())
    return fail_usage("agent", fmt::format("unexpected argument \"{}\"", options.positional()[0]));
  if (options.text("server").empty())
    return fail_usage("agent", "--server is missing: which API server to join (https://HOST:PORT)");
  bool supervised = std::getenv(kSupervisedVariable) != nullptr;
  const Notifier notifier = Notifier::from_environment();

  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, kServerGone, kMachineGoesDown}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  if (supervised) follow_parent();

  auto instance = Instance::open(options);
  if (!instance.ok()) return fail("agent", instance.status());
  // An earlier agent of the same server may still be on its way out: wait for it rather than fail.
  auto lock = lock_instance(*instance, "agent", supervised);
  if (!lock.ok()) return fail("agent", lock.status());

  agent::AgentOptions agent_options;
  agent_options.data_dir = instance->data_dir;
  agent_options.instance = instance->id;
  agent_options.server_url = options.text("server");
  agent_options.node_name = options.text("node-name").empty() ? host_name() : options.text("node-name");
  agent_options.node_ip = options.text("node-ip");
  agent_options.cluster_cidr = options.text("cluster-cidr");
  agent_options.node_port = std::atoi(options.text("node-port").c_str());
  auto max_pids = options.count("pod-max-pids");
  if (!max_pids.ok()) return fail_usage("agent", max_pids.status().message());
  agent_options.pod_max_pids = *max_pids;
  agent_options.insecure_registries = split_list(options.text("insecure-registry"));
  agent_options.version = std::string(version());

  std::string directory = instance->agent();
  if (auto status = linux::finish_replacing(directory); !status.ok()) return fail("agent", status);
  if (access((directory + "/client.crt").c_str(), F_OK) != 0) {
    if (options.text("token").empty())
      return fail_usage("agent",
                        "this machine has not joined yet: --token is missing (see <data-dir>/token on the server)");
    auto status = join_patiently(options, agent_options.node_name, directory, signals);
    if (!status) return 0;
    if (!status->ok()) return fail("agent", *status);
    log::info("agent", "joined", {{"server", options.text("server")}, {"node", agent_options.node_name}});
  } else if (!supervised && !options.text("token").empty()) {
    // A node that was left behind by another certificate authority is joined anew with a token of that one.
    const std::string known = linux::read_file(directory + "/ca.crt").value_or("");
    if (authority_of(options.text("token"), known).empty()) {
      const Status status = join(options.text("server"), options.text("token"), agent_options.node_name,
                                 node_addresses(options), directory);
      log::info("agent", status.ok() ? "joined anew" : "not joined anew: going on with the certificates that are here",
                {{"server", options.text("server")}, {"why", status}});
    }
  }
  agent_options.ca_file = directory + "/ca.crt";
  agent_options.client_certificate_file = directory + "/client.crt";
  agent_options.client_key_file = directory + "/client.key";
  agent_options.serving_certificate_file = directory + "/serving.crt";
  agent_options.serving_key_file = directory + "/serving.key";

  // The server writes its own agent's files.
  agent_options.renew_credentials = [&options, supervised, directory, node = agent_options.node_name](bool wanted) {
    if (supervised) return Status();
    const std::string &server = options.text("server"), &token = options.text("token");
    Status status = renew_credentials(server, node, node_addresses(options), directory, wanted);
    // A machine that was off for so long that its certificate has ended.
    if (status.code() == 401 && !token.empty()) status = join(server, token, node, node_addresses(options), directory);
    return status;
  };

  auto agent = agent::Agent::start(std::move(agent_options));
  if (!agent.ok()) return fail("agent", agent.status());
  notifier.send("READY=1");
  int signal = 0;
  sigwait(&signals, &signal);
  notifier.send("STOPPING=1");
  // Both at once, and the lower number comes first.
  sigset_t pending;
  sigpending(&pending);
  bool machine_down = signal == kMachineGoesDown || sigismember(&pending, kMachineGoesDown) == 1;
  bool keep = !machine_down && (options.flag("keep-pods") || signal == kServerGone);
  (*agent)->stop(keep ? agent::StopMode::kKeepPods : agent::StopMode::kGraceful);
  return 0;
}

}  // namespace knarr::cli
