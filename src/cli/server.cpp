// `knarr server`: puts the control plane together, supervises the agent, and takes both down in order.
#include "knarr/apiserver/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "cli/access.h"
#include "cli/account_key.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/instance.h"
#include "cli/join.h"
#include "cli/notify.h"
#include "cli/supervised.h"
#include "knarr/admission/chain.h"
#include "knarr/admission/access.h"
#include "knarr/apiserver/extract.h"
#include "knarr/auth/encryption.h"
#include "knarr/auth/pki.h"
#include "knarr/auth/remote.h"
#include "knarr/base/log.h"
#include "knarr/client/inprocess.h"
#include "knarr/codec/json.h"
#include "knarr/codec/names.h"
#include "knarr/codec/time.h"
#include "knarr/controllers/controllers.h"
#include "knarr/http/server.h"
#include "knarr/network/network.h"
#include "knarr/scheduler/scheduler.h"
#include "knarr/store/journal.h"
#include "knarr/store/sealer.h"
#include "knarr/store/store.h"

namespace knarr::cli {

namespace {

// Pod addresses to try when none are asked for: the first that nothing on this machine uses yet.
const std::vector<std::string> kClusterCidrs = {"10.42.0.0/16", "10.44.0.0/16",  "10.46.0.0/16",    "10.48.0.0/16",
                                                "10.50.0.0/16", "172.28.0.0/16", "192.168.192.0/18"};

constexpr int kNodeFollowed = SIGUSR1;  // to the thread that supervises: a node has another certificate authority

constexpr int kWebhookThreads = 2 * auth::kWebhookWaiters + 8;  // two kinds of them, and all that needs none

struct Names {
  ListenAddress listen;
  std::string node_name, node_ip, cluster_cidr, service_cidr;
  std::string url;  // as this machine reaches the API
  milliseconds node_monitor_grace{};
  std::chrono::nanoseconds event_ttl{};
};

Result<std::chrono::nanoseconds> duration_of(const Options& options, std::string_view name, std::string_view example) {
  const std::string text(options.text(name));
  auto duration = parse_duration(text);
  if (duration.ok() && *duration > std::chrono::nanoseconds::zero()) return *duration;
  return bad_request(fmt::format("--{}: \"{}\": want a duration above zero, like {}", name, text, example));
}

// Requests that may be worked on at once.
Result<int> request_seats(const Options& options) {
  constexpr int64_t kMost = 1'000'000;
  KNARR_ASSIGN(const int64_t reading, options.count("max-requests-inflight"));
  KNARR_ASSIGN(const int64_t changing, options.count("max-mutating-requests-inflight"));
  if (reading <= kMost && changing <= kMost && reading + changing > 0) return static_cast<int>(reading + changing);
  return bad_request(
      fmt::format("--max-requests-inflight {} and --max-mutating-requests-inflight {}: want up to {} each, and one above 0", reading, changing, kMost));
}

Result<Names> settle_names(const Options& options, const Instance& instance) {
  Names names;
  KNARR_ASSIGN(names.listen, parse_listen(options.text("listen")));
  names.node_name = options.text("node-name").empty() ? host_name() : options.text("node-name");
  names.node_ip = options.text("node-ip").empty() ? network::primary_address() : options.text("node-ip");
  names.service_cidr = options.text("service-cidr");
  KNARR_ASSIGN(const auto grace, duration_of(options, "node-monitor-grace-period", "50s"));
  names.node_monitor_grace = std::chrono::ceil<milliseconds>(grace);
  KNARR_ASSIGN(names.event_ttl, duration_of(options, "event-ttl", "1h"));
  if (options.is_set("cluster-cidr")) {
    names.cluster_cidr = options.text("cluster-cidr");
  } else {
    KNARR_ASSIGN(names.cluster_cidr, keep_in_file(instance.data_dir + "/cluster-cidr", 0644,
                                                  [] { return network::first_free_cidr(kClusterCidrs); }));
  }
  return names;
}

std::string first_address(const std::string& cidr) {
  auto slash = cidr.find('/');
  std::string base = cidr.substr(0, slash);
  auto dot = base.rfind('.');
  return dot == std::string::npos ? base
                                  : base.substr(0, dot + 1) + std::to_string(std::atoi(base.c_str() + dot + 1) + 1);
}

auth::CertificateSpec serving_spec(const Options& options, const Names& names) {
  auth::CertificateSpec spec{
      .common_name = "knarr-server", .organizations = {}, .dns_names = {}, .ip_addresses = {}, .server = true};
  spec.dns_names = {"localhost",
                    "kubernetes",
                    "kubernetes.default",
                    "kubernetes.default.svc",
                    "kubernetes.default.svc.cluster.local",
                    names.node_name};
  spec.ip_addresses = own_addresses();
  for (const std::string& address :
       {std::string("127.0.0.1"), std::string("::1"), names.node_ip, first_address(names.service_cidr)}) {
    spec.ip_addresses.push_back(address);
  }
  for (const std::string& name : split_list(options.text("tls-san"))) {
    unsigned char binary[16];
    bool address = inet_pton(AF_INET, name.c_str(), binary) == 1 || inet_pton(AF_INET6, name.c_str(), binary) == 1;
    (address ? spec.ip_addresses : spec.dns_names).push_back(name);
  }
  for (auto* list : {&spec.dns_names, &spec.ip_addresses}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  return spec;
}

// Everything that runs inside the server, in the order in which it starts; members are destroyed in the reverse order.
class ControlPlane {
 public:
  ControlPlane(const Options& options, Instance instance) : options_(options), instance_(std::move(instance)) {}

  Status start() {
    KNARR_ASSIGN(names_, settle_names(options_, instance_));
    KNARR_RETURN_IF_ERROR(make_certificates().status());
    KNARR_RETURN_IF_ERROR(open_store());
    KNARR_RETURN_IF_ERROR(serve());
    auto transport = client::make_inprocess_transport(*rest_, auth::internal_user("controllers"));
    const auto own = client::make_inprocess_transport(*rest_, auth::internal_user("apiserver"));
    KNARR_RETURN_IF_ERROR(controllers::bootstrap(*own));
    KNARR_RETURN_IF_ERROR(controllers::reconcile_default_rbac(*own));
    KNARR_RETURN_IF_ERROR(controllers::publish_api(*own, {.service_cidr = names_.service_cidr,
                                                                .service_address = first_address(names_.service_cidr),
                                                                .address = names_.node_ip,
                                                                .port = names_.listen.port}));
    KNARR_RETURN_IF_ERROR(write_kubeconfig());  // last, since whoever waits for the server waits for this file
    controllers_ = controllers::start({.transport = transport,
                                       .rest = rest_.get(),
                                       .trusted_ca = [this] { return ca_->trusted_pem(); },
                                       .ca = &*ca_,
                                       .node_followed = [] { kill(getpid(), kNodeFollowed); },
                                       .authorizer = access_.authorizer,
                                       .service_accounts = access_.service_accounts,
                                       .cluster_cidr = names_.cluster_cidr,
                                       .node_monitor_grace = names_.node_monitor_grace});
    scheduler_ =
        scheduler::start({.transport = client::make_inprocess_transport(*rest_, auth::internal_user("scheduler"))});
    return start_control();
  }

  void stop() {
    control_.reset();
    scheduler_.reset();
    controllers_.reset();
    if (http_) {
      api_->detach();
      http_->stop();
    }
    http_.reset();
    api_.reset();
    rest_.reset();
    access_ = {};
    store_.reset();
  }

  // Makes what is missing, expiring or no longer true; answers whether the API's own certificate is new.
  Result<bool> make_certificates() {
    if (!ca_) {
      KNARR_ASSIGN(ca_, auth::CertificateAuthority::load_or_create(instance_.pki(), "knarr-ca"));
    }
    KNARR_RETURN_IF_ERROR(ca_->ensure("admin", {.common_name = "admin",
                                                .organizations = {"system:masters"},
                                                .dns_names = {},
                                                .ip_addresses = {},
                                                .client = true})
                              .status());
    KNARR_RETURN_IF_ERROR(ca_->ensure("node-client", {.common_name = "knarr-server",
                                                      .organizations = {"system:masters"},
                                                      .dns_names = {},
                                                      .ip_addresses = {},
                                                      .client = true,
                                                      .by_older = true})  // for nodes that may not know the newer yet
                              .status());
    if (!options_.flag("disable-agent")) {
      KNARR_RETURN_IF_ERROR(
          write_agent_credentials(*ca_, instance_.agent(), names_.node_name, {names_.node_ip, "127.0.0.1"}));
    }
    return ca_->ensure("server", serving_spec(options_, names_));
  }

  // What `knarr secrets` and `knarr cert` ask of a running server; on the control socket's thread.
  Status start_control() {
    std::map<std::string, ControlServer::Action> actions;
    actions["secrets rotate"] = [this]() -> Result<std::string> {
      KNARR_RETURN_IF_ERROR(keys_->rotate());
      KNARR_RETURN_IF_ERROR(encrypt_secrets_again());
      return fmt::format("{} secrets are encrypted with the new key {}; older keys stay in {}/encryption-keys.json until nothing needs them",
                         store_->count(store_->resource("secrets")), keys_->current_id(), instance_.pki());
    };
    actions["cert renew"] = [this]() -> Result<std::string> {
      Lock lock(certificates_);
      for (const char* name : {"server", "admin", "node-client"}) {
        for (const char* suffix : {".crt", ".key"}) std::remove(fmt::format("{}/{}{}", instance_.pki(), name, suffix).c_str());
      }
      KNARR_RETURN_IF_ERROR(use_certificates());
      return fmt::format("the API serves a new certificate, and {} has new credentials", kubeconfig_path());
    };
    actions["cert rotate-ca"] = [this]() -> Result<std::string> {
      KNARR_RETURN_IF_ERROR(change_authority([this] { return ca_->rotate(); }));
      return fmt::format("a new certificate authority signs from now on, and the old one is still trusted. {} has new "
                         "credentials; hand out new kubeconfigs and join commands, and when knarr cert ls shows that all "
                         "nodes have followed: knarr cert rotate-ca --finish", kubeconfig_path());
    };
    actions["cert rotate-ca abort"] = [this]() -> Result<std::string> {
      KNARR_RETURN_IF_ERROR(change_authority([this] { return ca_->turn_back(); }));
      KNARR_ASSIGN(const bool ended, end_turning_back());
      return fmt::format("the old certificate authority signs again, and {} has new credentials. {}: kubeconfigs and join commands "
                         "that were made meanwhile have to be made again",
                         kubeconfig_path(),
                         ended ? "The other one is trusted no more"
                               : fmt::format("The other one is trusted no more as soon as these nodes have followed: {}", nodes_behind()));
    };
    for (const bool force : {false, true}) {
      actions[force ? "cert rotate-ca finish force" : "cert rotate-ca finish"] = [this, force]() -> Result<std::string> {
        const std::string behind = nodes_behind();
        if (!behind.empty() && !force && ca_->rotating()) {
          return Status(409, reason::kConflict,
                        fmt::format("these nodes do not have the {} certificate authority yet: {}; wait for them, or "
                                    "--force, after which they must join again", ca_->turning_back() ? "old" : "new", behind));
        }
        const bool back = ca_->turning_back();
        KNARR_RETURN_IF_ERROR(change_authority([this] { return ca_->finish(); }));
        return fmt::format("only the {} certificate authority is trusted from now on", back ? "old" : "new");
      };
    }
    actions["cert followers"] = [this]() -> Result<std::string> { return nodes_behind(); };
    actions["cert rotate-service-account-key"] = [this]() -> Result<std::string> {
      const auto files = service_account_key_files(options_, instance_);
      return change_account_key([files] { return auth::rotate_service_account_key(files); },
                                "ServiceAccount tokens are signed with a new key from now on, and those of the old one still hold. Token "
                                "Secrets have new tokens; pods get theirs within the hour: then knarr cert rotate-service-account-key --finish");
    };
    for (const bool force : {false, true}) {
      actions[force ? "cert rotate-service-account-key finish force" : "cert rotate-service-account-key finish"] =
          [this, force]() -> Result<std::string> {
        if (!force) KNARR_RETURN_IF_ERROR(check_account_key_unused(*store_, *access_.service_accounts, instance_.pki(), Clock::system()));
        return change_account_key([this] { return auth::forget_service_account_key(instance_.pki()); },
                                  "ServiceAccount tokens of the old key are refused from now on");
      };
    }
    KNARR_ASSIGN(control_, ControlServer::start(instance_, std::move(actions)));
    return {};
  }

  // Forgets the authority that is turned back, once no node needs it any more: true when it did.
  Result<bool> end_turning_back() {
    if (!ca_->turning_back() || !nodes_behind().empty()) return false;
    KNARR_RETURN_IF_ERROR(change_authority([this] { return ca_->finish(); }));
    return true;
  }

  Status reload_certificates() {
    Lock lock(certificates_);  // the daily check and a command may meet
    return use_certificates();
  }

  std::vector<std::string> agent_arguments() const {
    std::vector<std::string> arguments = {"knarr", "agent"};
    auto add = [&](std::string_view name, const std::string& value) {
      arguments.push_back(fmt::format("--{}={}", name, value));
    };
    if (options_.is_set("config")) add("config", options_.text("config"));
    add("data-dir", instance_.data_dir);
    add("server", names_.url);
    add("node-name", names_.node_name);
    if (options_.is_set("node-ip")) add("node-ip", names_.node_ip);
    add("cluster-cidr", names_.cluster_cidr);
    for (std::string_view name : {"node-port", "pod-max-pids", "insecure-registry", "keep-pods", "log-level", "log-format"})
      add(name, options_.text(name));
    return arguments;
  }

  const Names& names() const { return names_; }
  std::string kubeconfig_path() const {
    return options_.text("kubeconfig").empty() ? instance_.data_dir + "/kubeconfig" : options_.text("kubeconfig");
  }

 private:
  Status open_store() {
    std::string path = instance_.database();
    KNARR_RETURN_IF_ERROR(linux::make_directories(path.substr(0, path.rfind('/')), 0700));
    KNARR_ASSIGN(keys_, auth::EncryptionKeys::load_or_create(instance_.pki() + "/encryption-keys.json"));
    KNARR_ASSIGN(auto journal, store::open_sqlite_journal({.path = path}));
    store::Store::Options options;
    options.extract = apiserver::extract_object;
    KNARR_ASSIGN(store_, store::Store::open(store::make_sealed_journal(std::move(journal), keys_), std::move(options)));
    if (keys_->outdated()) KNARR_RETURN_IF_ERROR(encrypt_secrets_again());
    return keys_->forget_unused();
  }

  Status encrypt_secrets_again() {
    const auto secrets = store_->resource("secrets");
    KNARR_RETURN_IF_ERROR(store_->rewrite(secrets));
    log::info("server", "every Secret was encrypted with the current key", {{"secrets", store_->count(secrets)}, {"key", keys_->current_id()}});
    return {};
  }

  Status serve() {
    KNARR_ASSIGN(std::string token, join_token(instance_, *ca_, options_.text("token")));
    KNARR_ASSIGN(access_, make_access_control(options_, instance_, *store_));
    auto chain = admission::default_chain(*store_);
    admission::add_access_plugins(chain, *store_, {.rbac = access_.rbac,
                                                  .authorizer = access_.authorizer,
                                                  .catalog = [this] { return rest_->registry().catalog(); }});
    rest_ = std::make_unique<apiserver::Rest>(apiserver::RestOptions{
        .store = store_.get(),
        .admission = std::move(chain),
        .event_ttl = names_.event_ttl,
        .service_cidr = names_.service_cidr,
        .service_accounts = access_.service_accounts});
    apiserver::ApiServerOptions api;
    api.rest = rest_.get();
    api.authenticator = access_.authenticator;
    api.tokens = access_.tokens;
    api.service_accounts = access_.service_accounts;
    api.authorizer = access_.authorizer;
    api.anonymous = options_.flag("anonymous-auth");
    api.audit = access_.audit;
    node_proxy_ = apiserver::make_direct_node_proxy({.ca_file = ca_->trusted_file(),
                                                     .certificate_file = instance_.pki() + "/node-client.crt",
                                                     .key_file = instance_.pki() + "/node-client.key"});
    api.node_proxy = node_proxy_;
    api.version_suffix = fmt::format("knarr.{}", version());
    api.external_address = fmt::format("{}:{}", names_.node_ip, names_.listen.port);
    KNARR_ASSIGN(api.seats, request_seats(options_));
    api.foreign_prefix = kJoinPrefix;
    api_ = apiserver::ApiServer::make(std::move(api));
    api_->add_check("store", true, [this] { return store_->health(); });

    http::ServerOptions server;
    server.address = names_.listen.address;
    server.port = names_.listen.port;
    server.tls =
        http::TlsOptions{instance_.pki() + "/server.crt", instance_.pki() + "/server.key", ca_->trusted_file()};
    if (asks_webhooks(options_)) server.workers = server.writers = kWebhookThreads;
    server.error_body = apiserver::ApiServer::error_body;
    server.gate = &api_->gate();
    auto started = http::Server::start(std::move(server), with_join(api_->handler(),
                                                   {.ca = *ca_,
                                                    .token = token,
                                                    .bootstrap = auth::make_bootstrap_tokens(*store_, Clock::system()),
                                                    .store = store_.get()}));
    if (!started.ok()) return std::move(started).status();
    http_ = std::move(started).value();
    names_.listen.port = http_->port();
    std::string host = names_.listen.address;
    if (host == "0.0.0.0") host = "127.0.0.1";
    if (host == "::") host = "::1";
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    names_.url = fmt::format("https://{}:{}", host, names_.listen.port);
    api_->attach(http_->pump());
    return {};
  }

  // Makes what has to be made, and has everything that runs use it.
  Status use_certificates() KNARR_REQUIRES(certificates_) {
    KNARR_ASSIGN(const bool renewed, make_certificates());
    if (renewed) log::info("server", "the API's certificate was renewed");
    KNARR_RETURN_IF_ERROR(http_->reload_tls());
    KNARR_RETURN_IF_ERROR(node_proxy_->reload_tls());
    return write_kubeconfig();
  }

  // `step` is what makes the change last; after a crash behind it the next start does the rest.
  Status change_authority(const std::function<Status()>& step) {
    Lock lock(certificates_);
    KNARR_RETURN_IF_ERROR(step());
    log::info("server", "the certificate authority is another one", {{"authority", auth::authority_id(ca_->trusted_pem())}});
    KNARR_RETURN_IF_ERROR(use_certificates());
    KNARR_RETURN_IF_ERROR(join_token(instance_, *ca_, "").status());
    controllers_->authority_changed();
    return {};
  }

  Result<std::string> change_account_key(const std::function<Status()>& step, std::string_view told) {
    Lock lock(certificates_);
    KNARR_RETURN_IF_ERROR(step());
    KNARR_ASSIGN(auth::ServiceAccountKeys keys, auth::load_service_account_keys(service_account_key_files(options_, instance_)));
    log::info("server", "the keys of ServiceAccount tokens are others", {{"signs", keys.keys.front().id()}});
    access_.service_accounts->use_keys(std::move(keys));
    controllers_->authority_changed();
    return std::string(told);
  }

  // Nodes of ours that do not have the authorities that hold now, separated by commas.
  std::string nodes_behind() {
    const std::string wanted = auth::authority_id(ca_->trusted_pem());
    std::vector<std::string> behind;
    const auto nodes = store_->list(store_->resource("nodes"), {});
    for (const store::ObjectPtr& object : nodes.ok() ? nodes->objects : std::vector<store::ObjectPtr>()) {
      const auto node = json::parse(object->value);
      if (!node.ok()) continue;
      const auto held = json::get_string(*node, {"metadata", "annotations", auth::kAuthorityHeld});
      if (!held.empty() && held != wanted) behind.emplace_back(object->key);
    }
    return fmt::format("{}", fmt::join(behind, ", "));
  }

  Status write_kubeconfig() {
    auth::KeyPair admin;
    KNARR_ASSIGN(admin.certificate_pem, linux::read_file(instance_.pki() + "/admin.crt"));
    KNARR_ASSIGN(admin.key_pem, linux::read_file(instance_.pki() + "/admin.key"));
    int mode = static_cast<int>(std::strtol(options_.text("kubeconfig-mode").c_str(), nullptr, 8));
    std::string text = auth::kubeconfig("knarr", names_.url, ca_->trusted_pem(), "admin", admin);
    std::string path = kubeconfig_path();
    if (auto slash = path.rfind('/'); slash != std::string::npos && slash > 0) {
      KNARR_RETURN_IF_ERROR(linux::make_directories(path.substr(0, slash), 0755));
    }
    return linux::replace_file(path, text, mode).with_context("write the admin's kubeconfig");
  }

  const Options& options_;
  Instance instance_;
  Names names_;
  std::optional<auth::CertificateAuthority> ca_;
  Mutex certificates_;
  std::shared_ptr<auth::EncryptionKeys> keys_;
  std::unique_ptr<store::Store> store_;
  AccessControl access_;
  std::unique_ptr<apiserver::Rest> rest_;
  std::shared_ptr<apiserver::NodeProxy> node_proxy_;
  std::unique_ptr<apiserver::ApiServer> api_;
  std::unique_ptr<http::Server> http_;
  std::unique_ptr<controllers::Controllers> controllers_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<ControlServer> control_;
};

sigset_t supervised_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGCHLD, kMachineGoesDown, kNodeFollowed}) sigaddset(&signals, signal);
  return signals;
}

// Waits for signals and timers; returns when asked to stop, with the signal for the agent.
int supervise(ControlPlane& plane, SupervisedProcess* agent) {
  const auto kCertificateCheck = std::chrono::hours(24);
  sigset_t signals = supervised_signals();
  MonoTime next_check = Clock::system().mono() + kCertificateCheck;
  bool look_at_nodes = true;
  for (;;) {
    if (std::exchange(look_at_nodes, false)) {
      if (const auto ended = plane.end_turning_back(); !ended.ok())
        log::error("server", "the certificate authority cannot be turned back", {{"error", ended.status()}});
    }
    MonoTime due = next_check;
    if (agent && agent->restart_at()) due = std::min(due, *agent->restart_at());
    auto wait = std::max(due - Clock::system().mono(), MonoTime::duration::zero());
    timespec timeout{std::chrono::duration_cast<seconds>(wait).count(),
                     std::chrono::duration_cast<std::chrono::nanoseconds>(wait % seconds(1)).count()};
    int signal = sigtimedwait(&signals, nullptr, &timeout);
    if (signal == SIGTERM || signal == SIGINT || signal == kMachineGoesDown) {
      // A service manager may say both at once, and the kernel hands out the lower number first.
      sigset_t pending;
      sigpending(&pending);
      return signal == kMachineGoesDown || sigismember(&pending, kMachineGoesDown) == 1 ? kMachineGoesDown : SIGTERM;
    }
    if (signal == SIGCHLD && agent) agent->reap();
    look_at_nodes = signal == kNodeFollowed;
    auto now = Clock::system().mono();
    if (agent && agent->restart_at() && *agent->restart_at() <= now) {
      if (auto status = agent->start(); !status.ok()) {
        log::error("server", "the agent could not be started", {{"error", status}});
      }
    }
    if (now >= next_check) {
      next_check = now + kCertificateCheck;
      if (auto status = plane.reload_certificates(); !status.ok()) {
        log::error("server", "certificates could not be renewed", {{"error", status}});
      }
    }
  }
}

// What cannot be right, before anything is made.
Status check_options(const Options& options) {
  KNARR_RETURN_IF_ERROR(parse_listen(options.text("listen")).status());
  KNARR_RETURN_IF_ERROR(options.count("pod-max-pids").status());
  for (std::string_view name : {"cluster-cidr", "service-cidr"}) {
    const std::string& cidr = options.text(name);
    if (auto problems = names::cidr(cidr); !cidr.empty() && !problems.empty()) {
      return bad_request(fmt::format("--{} \"{}\": {}", name, cidr, problems[0]));
    }
  }
  if (const std::string& ip = options.text("node-ip"); !ip.empty() && !names::ip(ip).empty()) {
    return bad_request(fmt::format("--node-ip \"{}\": {}", ip, names::ip(ip)[0]));
  }
  if (const std::string& name = options.text("node-name"); !name.empty() && !names::dns1123_subdomain(name).empty()) {
    return bad_request(fmt::format("--node-name \"{}\": {}", name, names::dns1123_subdomain(name)[0]));
  }
  const std::string& mode = options.text("kubeconfig-mode");
  if (mode.empty() || mode.size() > 4 || mode.find_first_not_of("01234567") != std::string::npos) {
    return bad_request(fmt::format("--kubeconfig-mode \"{}\": want permissions in octal, for example 0640", mode));
  }
  return {};
}

}  // namespace

int run_server(const Options& options) {
  if (!options.positional().empty())
    return fail_usage("server", fmt::format("unexpected argument \"{}\"", options.positional()[0]));
  if (auto status = check_options(options); !status.ok()) return fail_usage("server", status.message());
  if (geteuid() != 0 && !options.flag("disable-agent")) {
    return fail(
        "server",
        bad_request("running pods needs root; use sudo, or --disable-agent for a control plane without pods here"));
  }
  auto begun = Clock::system().mono();
  const Notifier notifier = Notifier::from_environment();

  // Blocked in every thread from the start, so that only supervise() sees them.
  sigset_t signals = supervised_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  auto instance = Instance::open(options);
  if (!instance.ok()) return fail("server", instance.status());
  auto lock = lock_instance(*instance, "server", false);
  if (!lock.ok()) return fail("server", lock.status());

  ControlPlane plane(options, *instance);
  if (auto status = plane.start(); !status.ok()) return fail("server", status);
  auto elapsed = std::chrono::duration_cast<milliseconds>(Clock::system().mono() - begun);
  log::info("server", "ready",
            {{"url", plane.names().url},
             {"kubeconfig", plane.kubeconfig_path()},
             {"version", version()},
             {"ms", elapsed.count()}});

  notifier.send("READY=1");

  std::optional<SupervisedProcess> agent;
  if (!options.flag("disable-agent")) {
    agent.emplace("server", "agent", plane.agent_arguments(), std::vector{fmt::format("{}=1", kSupervisedVariable)});
    if (auto status = agent->start(); !status.ok()) return fail("server", status);
  }
  const int how = supervise(plane, agent ? &*agent : nullptr);

  notifier.send("STOPPING=1");
  log::info("server", "stopping", {{"keep_pods", how == kMachineGoesDown ? "false" : options.text("keep-pods")}});
  if (agent) agent->stop(how);  // before the API, which it may still need to report ended pods
  plane.stop();
  return 0;
}

}  // namespace knarr::cli
