// Puts the agent together: what it runs pods with, what it tells the server, and what the server may ask of it.
#include "knarr/agent/agent.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/credentials.h"
#include "agent/node_api.h"
#include "agent/node_status.h"
#include "agent/pod_resources.h"
#include "agent/pods.h"
#include "knarr/base/log.h"
#include "knarr/client/https.h"
#include "knarr/linux/tree.h"

namespace knarr::agent {

namespace {

constexpr milliseconds kRequestLimit{10'000};  // of one call to the server
constexpr seconds kDrainLimit{30};
constexpr size_t kImagesTold = 50;              // upstream's nodeStatusMaxImages
constexpr seconds kImagesAge{300};              // of the list in the Node's status
constexpr std::chrono::hours kCollectEvery{6};  // unused images, when the disk is filling
constexpr int64_t kCollectBelowPercent = 15;    // of the disk free

// Where pods reach the server: as this agent does, but for its own machine's loopback, which is not theirs.
std::pair<std::string, std::string> api_address(std::string_view url, const std::string& node_ip) {
  if (const size_t scheme = url.find("://"); scheme != url.npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find('/'));
  std::string_view host = url, port = "443";
  if (const size_t colon = url.rfind(':'); colon != url.npos && url.find(']', colon) == url.npos) {
    host = url.substr(0, colon);
    port = url.substr(colon + 1);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const bool loopback = host.starts_with("127.") || host == "::1" || host == "localhost";
  return {loopback ? node_ip : std::string(host), std::string(port)};
}

class AgentImpl : public Agent {
 public:
  explicit AgentImpl(AgentOptions options) : options_(std::move(options)) {
    node_ip_ = options_.node_ip.empty() ? network::primary_address() : options_.node_ip;
  }
  ~AgentImpl() override { stop(StopMode::kKeepPods); }

  Status open() {
    for (const char* name : {"/agent", "/pods", "/log/pods", "/network"}) {
      KNARR_RETURN_IF_ERROR(linux::make_directories(options_.data_dir + name, 0755));
    }
    KNARR_ASSIGN(client_, http::Client::make(client_options()));
    transport_ = client::make_https_transport(client_);
    KNARR_ASSIGN(images_, image::ImageStore::open({.directory = options_.data_dir + "/images",
                                                   .insecure_registries = options_.insecure_registries}));
    KNARR_ASSIGN(runtime_,
                 runtime::Runtime::open({.state_directory = options_.data_dir + "/run",
                                         .self_executable = options_.self_executable,
                                         .on_change =
                                             [this](const std::string& pod, const runtime::ContainerStatus& status) {
                                               if (pods_) pods_->on_container(pod, status);
                                             },
                                         .on_sandbox_lost =
                                             [this](const std::string& pod) {
                                               if (pods_) pods_->on_sandbox_lost(pod);
                                             }}));
    for (const auto& missing : runtime_->capabilities().missing) {
      log::warn("agent", "the kernel gives less than Kubernetes asks for", {{"what", missing}});
    }
    limit_groups();
    events_ = client::EventRecorder::make(transport_, {.component = "kubelet", .host = options_.node_name});
    sources_ = std::make_unique<ApiSources>(transport_, Clock::system());
    handlers_ = make_handlers(*runtime_);
    pods_ = std::make_unique<Pods>(services());
    KNARR_ASSIGN(auto found, runtime_->recover());
    if (!found.empty()) log::info("agent", "found pods of an earlier run", {{"pods", found.size()}});
    pods_->adopt(std::move(found));

    KNARR_ASSIGN(api_, NodeApi::start({.address = options_.listen_address,
                                       .port = options_.node_port,
                                       .certificate_file = options_.serving_certificate_file,
                                       .key_file = options_.serving_key_file,
                                       .client_ca_file = options_.ca_file},
                                      *pods_, *runtime_));
    if (options_.renew_credentials) {
      KNARR_ASSIGN(credentials_, Credentials::open({.ca_file = options_.ca_file,
                                                    .renew = options_.renew_credentials,
                                                    .use = [this] { return reload_tls(); },
                                                    .on_authority = [this] { node_->report_soon(); }}));
    }
    node_ = std::make_unique<NodeStatus>(transport_, node_options());
    // The CIDR of the last run, so that pods can be run while the server is away.
    std::string cidr = linux::read_file(cidr_file(), 100).value_or(options_.pod_cidr);
    if (!cidr.empty()) open_network(cidr);
    return {};
  }

  void begin() {
    if (credentials_) credentials_->start();
    node_->start();
    client::ListOptions mine{.field_selector = "spec.nodeName=" + options_.node_name};
    auto informer = std::make_shared<client::Informer<core::Pod>>(transport_, mine);
    pods_->start(informer);
    cleaner_ = std::thread([this, informer] {
      while (!informer->wait_synced(std::chrono::hours(1))) {
        if (stopping()) return;
      }
      pods_->remove_unknown();
      while (!wait_stop(kCollectEvery)) collect();
    });
    informer_ = informer;
    log::info("agent", "started", {{"node", options_.node_name}, {"ip", node_ip()}, {"port", api_->port()}});
  }

  void stop(StopMode mode) override {
    {
      Lock lock(mutex_);
      if (std::exchange(stopped_, true)) return;
      stop_.notify_all();
    }
    if (informer_) informer_->stop();
    if (cleaner_.joinable()) cleaner_.join();
    if (credentials_) credentials_->stop();
    api_.reset();
    if (node_) node_->stop();
    if (mode == StopMode::kGraceful && pods_ && informer_) pods_->drain(kDrainLimit);
    if (pods_ && !pods_->stop()) {
      // A hook or a pull that takes its time. The process is about to end: what they use stays, rather than we with
      // them.
      log::info("agent", "stopped, while hooks or pulls were running");
      (void)runtime_.release();
      (void)pods_.release();
      (void)images_.release();
      (void)handlers_.release();
      (void)sources_.release();
      (void)timers_.release();
      return;
    }
    runtime_.reset();  // its event thread may still call pods_
    pods_.reset();
    node_.reset();
    events_.reset();
    log::info("agent", "stopped");
  }

  int node_port() const override { return api_ ? api_->port() : 0; }

 private:
  http::ClientOptions client_options() const {
    http::ClientOptions client;
    client.url = options_.server_url;
    client.ca_file = options_.ca_file;
    client.certificate_file = options_.client_certificate_file;
    client.key_file = options_.client_key_file;
    client.user_agent = "knarr-agent/" + options_.version;
    client.request_timeout = kRequestLimit;
    return client;
  }

  Status reload_tls() {
    KNARR_RETURN_IF_ERROR(client_->reload_tls());
    return api_->reload_tls();
  }

  void limit_groups() {
    if (!runtime_->capabilities().cgroup_v2) return;
    const runtime::Resources pods = node_resources(read_machine(), read_usage(options_.data_dir));
    runtime::Resources least;
    least.cpu_shares = cpu_shares_of_milli(0);
    for (const auto& [group, resources] : {std::pair(kPodsGroup, pods), std::pair(kBestEffortGroup, least), std::pair(kBurstableGroup, least)}) {
      Status status = runtime_->limit_group(group, resources);
      if (status.ok() || status.is(reason::kNotFound)) continue;
      log::warn("agent", "pods together are not limited", {{"group", group}, {"error", status}});
    }
    if (runtime_->capabilities().memory_limits) {
      log::info("agent", "resource limits are enforced", {{"group", kPodsGroup}, {"memory", pods.memory_limit_bytes}, {"pids", pods.pids_limit}});
    }
  }

  PodServices services() {
    PodServices services;
    services.data_dir = options_.data_dir;
    services.node_name = options_.node_name;
    services.node_ip = [this] { return node_ip(); };
    std::tie(services.api_host, services.api_port) = api_address(options_.server_url, node_ip());
    services.runtime = runtime_.get();
    services.images = images_.get();
    services.handlers = handlers_.get();
    services.sources = sources_.get();
    services.transport = transport_;
    services.events = events_;
    services.timers = timers_.get();
    services.network = [this]() -> network::PodNetwork* {
      Lock lock(mutex_);
      return network_.get();
    };
    services.node_allocatable = [this] { return node_ ? node_->allocatable() : std::map<std::string, std::string>(); };
    services.node_memory_bytes = read_machine().memory_bytes;
    services.pod_max_pids = options_.pod_max_pids;
    return services;
  }

  NodeStatusOptions node_options() {
    NodeStatusOptions node;
    node.node_name = options_.node_name;
    node.node_ip = [this] { return node_ip(); };
    node.data_dir = options_.data_dir;
    node.version = options_.version;
    node.api_port = api_->port();
    node.missing = runtime_->capabilities().missing;
    node.images = [this] { return images_for_status(); };
    node.ready = [this] {
      Lock lock(mutex_);
      return network_error_;
    };
    if (credentials_) {
      node.authority = [this] { return credentials_->authority(); };
      node.on_authority = [this](const std::string& wanted) { credentials_->want(wanted); };
    }
    node.on_round = [this] {
      follow_address();
      pods_->rotate_logs();
    };
    node.on_pod_cidr = [this](const std::string& cidr) { open_network(cidr); };
    return node;
  }

  std::string node_ip() {
    Lock lock(mutex_);
    return node_ip_;
  }

  // A machine may get another address while it runs. One without any, for the moment, keeps its last.
  void follow_address() {
    if (!options_.node_ip.empty()) return;
    const std::string now = network::primary_address();
    {
      Lock lock(mutex_);
      if (now == node_ip_ || now == network::kNoAddress) return;
      log::info("agent", "the node has another address", {{"was", node_ip_}, {"is", now}});
      node_ip_ = now;
    }
    pods_->node_moved();
  }

  std::string cidr_file() const { return options_.data_dir + "/agent/pod-cidr"; }

  // Once; a node keeps its CIDR. A failure is the reason why the node is not ready.
  void open_network(const std::string& cidr) {
    {
      Lock lock(mutex_);
      if (network_) {
        if (cidr != cidr_)
          log::warn("agent", "another pod CIDR takes effect when the agent starts again",
                    {{"now", cidr_}, {"new", cidr}});
        return;
      }
    }
    auto network =
        network::PodNetwork::open({.instance = options_.instance,
                                   .pod_cidr = cidr,
                                   .cluster_cidr = options_.cluster_cidr.empty() ? cidr : options_.cluster_cidr,
                                   .state_directory = options_.data_dir + "/network"});
    {
      Lock lock(mutex_);
      if (network_) return;
      if (network.ok()) {
        network_ = std::move(*network);
        cidr_ = cidr;
        network_error_ = {};
      } else {
        network_error_ = network.status();
        network_error_.with_context("container runtime network not ready");
        log::error("agent", "cannot open the pod network", {{"cidr", cidr}, {"error", network_error_}});
      }
    }
    if (network.ok()) {
      (void)linux::replace_file(cidr_file(), cidr, 0644);
      log::info("agent", "pod network is up", {{"cidr", cidr}});
    }
    if (node_) node_->report_soon();
    if (pods_) pods_->retry_all();
  }

  std::vector<core::ContainerImage> images_for_status() {
    MonoTime now = Clock::system().mono();
    if (now - images_listed_ < kImagesAge && images_listed_ != MonoTime{}) return image_list_;
    images_listed_ = now;
    image_list_.clear();
    for (const auto& image : images_->list()) {
      core::ContainerImage told;
      told.names = image.repo_digests;
      told.names.insert(told.names.end(), image.names.begin(), image.names.end());
      told.sizeBytes = image.size_bytes;
      if (!told.names.empty()) image_list_.push_back(std::move(told));
    }
    std::sort(image_list_.begin(), image_list_.end(),
              [](const auto& a, const auto& b) { return a.sizeBytes > b.sizeBytes; });
    if (image_list_.size() > kImagesTold) image_list_.resize(kImagesTold);
    return image_list_;
  }

  void collect() {
    Usage usage = read_usage(options_.data_dir);
    if (usage.disk_bytes == 0 || usage.disk_available > usage.disk_bytes / 100 * kCollectBelowPercent) return;
    auto freed = images_->collect(pods_->images_in_use());
    if (!freed.ok()) {
      log::warn("agent", "cannot collect unused images", {{"error", freed.status()}});
    } else if (*freed > 0) {
      log::info("agent", "unused images removed", {{"bytes", *freed}});
    }
  }

  bool stopping() {
    Lock lock(mutex_);
    return stopped_;
  }
  bool wait_stop(std::chrono::hours time) {
    Lock lock(mutex_);
    return stop_.wait_for(lock, time, [&]() KNARR_REQUIRES(mutex_) { return stopped_; });
  }

  const AgentOptions options_;
  std::shared_ptr<http::Client> client_;
  std::shared_ptr<client::Transport> transport_;
  std::unique_ptr<image::ImageStore> images_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::shared_ptr<client::EventRecorder> events_;
  std::unique_ptr<ApiSources> sources_;
  std::unique_ptr<Handlers> handlers_;
  // The pods' own: the shared ones may wait for the server.
  std::unique_ptr<client::Timers> timers_ = std::make_unique<client::Timers>();
  std::unique_ptr<Pods> pods_;
  std::unique_ptr<NodeApi> api_;
  std::unique_ptr<Credentials> credentials_;
  std::unique_ptr<NodeStatus> node_;
  std::shared_ptr<client::Informer<core::Pod>> informer_;
  std::thread cleaner_;

  MonoTime images_listed_{};  // these two are the node status thread's
  std::vector<core::ContainerImage> image_list_;

  Mutex mutex_;
  std::condition_variable_any stop_;
  bool stopped_ KNARR_GUARDED_BY(mutex_) = false;
  std::unique_ptr<network::PodNetwork> network_ KNARR_GUARDED_BY(mutex_);  // set once, then constant
  std::string cidr_ KNARR_GUARDED_BY(mutex_);
  std::string node_ip_ KNARR_GUARDED_BY(mutex_);
  Status network_error_ KNARR_GUARDED_BY(mutex_) =
      unavailable("container runtime network not ready: this node has no pod CIDR yet");
};

}  // namespace

Result<std::unique_ptr<Agent>> Agent::start(AgentOptions options) {
  auto agent = std::make_unique<AgentImpl>(std::move(options));
  KNARR_RETURN_IF_ERROR(agent->open());
  agent->begin();
  return std::unique_ptr<Agent>(std::move(agent));
}

}  // namespace knarr::agent
