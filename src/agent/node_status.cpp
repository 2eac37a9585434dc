#include "agent/node_status.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "knarr/auth/pki.h"
#include "knarr/base/log.h"
#include "knarr/codec/json.h"

namespace knarr::agent {

namespace {

using api::coordination::v1::Lease;

constexpr std::string_view kLeaseNamespace = "kube-node-lease";
constexpr std::string_view kKubernetes = "v1.36.3";
constexpr int kLeaseSeconds = 40;
constexpr seconds kRound{10};    // lease renewal, and a look at what changed
constexpr seconds kReport{300};  // the status is told at least this often
constexpr milliseconds kFirstRetry{200}, kLongestRetry{7'000};

core::NodeCondition ready_condition(const Status& ready) {
  core::NodeCondition c;
  c.type = "Ready";
  c.status = ready.ok() ? "True" : "False";
  c.reason = ready.ok() ? "KubeletReady" : "KubeletNotReady";
  c.message = ready.ok() ? "kubelet is posting ready status" : ready.message();
  return c;
}

core::NodeCondition limits_condition(const std::vector<std::string>& missing) {
  core::NodeCondition c;
  c.type = "KnarrLimitsEnforced";
  c.status = missing.empty() ? "True" : "False";
  c.reason = missing.empty() ? "AllAvailable" : "KernelGivesLess";
  c.message =
      missing.empty() ? "resource limits and isolation are enforced" : fmt::format("{}", fmt::join(missing, "; "));
  return c;
}

void set_condition(core::NodeStatus& status, core::NodeCondition fresh, WallTime now) {
  fresh.lastHeartbeatTime = fresh.lastTransitionTime = now;
  for (auto& known : status.conditions) {
    if (known.type != fresh.type) continue;
    if (known.status == fresh.status && known.lastTransitionTime) fresh.lastTransitionTime = known.lastTransitionTime;
    known = std::move(fresh);
    return;
  }
  status.conditions.push_back(std::move(fresh));
}

std::string json_map(const std::map<std::string, std::string>& map) {
  std::string out = "{";
  for (const auto& [key, value] : map) {
    if (out.size() > 1) out += ',';
    json::append_quoted(out, key);
    out += ':';
    json::append_quoted(out, value);
  }
  return out += '}';
}

// Equal but for the times of heartbeats.
bool same_status(core::NodeStatus a, const core::NodeStatus& b) {
  if (a.conditions.size() != b.conditions.size()) return false;
  for (size_t i = 0; i < a.conditions.size(); ++i)
    a.conditions[i].lastHeartbeatTime = b.conditions[i].lastHeartbeatTime;
  return a == b;
}

}  // namespace

core::Node make_node(const NodeStatusOptions& options, const Machine& machine, const Usage& usage,
                     const core::Node* known, const Status& ready, std::vector<core::ContainerImage> images,
                     WallTime now) {
  core::Node node;
  if (known) node = *known;
  now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::floor<seconds>(now));
  node.metadata.name = options.node_name;
  auto& labels = node.metadata.labels;
  labels["kubernetes.io/hostname"] = options.node_name;
  labels["kubernetes.io/os"] = labels["beta.kubernetes.io/os"] = "linux";
  labels["kubernetes.io/arch"] = labels["beta.kubernetes.io/arch"] = machine.architecture;

  if (options.authority) node.metadata.annotations[std::string(auth::kAuthorityHeld)] = options.authority();

  core::NodeStatus& status = node.status;
  status.capacity = node_capacity(machine, usage);
  status.allocatable = node_allocatable(machine, usage);
  status.addresses = {{"InternalIP", options.node_ip()}, {"Hostname", options.node_name}};
  status.daemonEndpoints.kubeletEndpoint.Port = options.api_port;
  status.images = std::move(images);
  core::NodeSystemInfo& info = status.nodeInfo;
  info.machineID = machine.machine_id;
  info.systemUUID = machine.system_uuid;
  info.bootID = machine.boot_id;
  info.kernelVersion = machine.kernel_version;
  info.osImage = machine.os_image;
  info.containerRuntimeVersion = "knarr://" + options.version;
  info.kubeletVersion = fmt::format("{}+knarr.{}", kKubernetes, options.version);
  info.operatingSystem = "linux";
  info.architecture = machine.architecture;
  if (machine.swap_bytes > 0) info.swap.ensure().capacity = machine.swap_bytes;
  for (auto& condition : pressure_conditions(usage)) set_condition(status, std::move(condition), now);
  set_condition(status, ready_condition(ready), now);
  set_condition(status, limits_condition(options.missing), now);
  return node;
}

NodeStatus::NodeStatus(std::shared_ptr<client::Transport> transport, NodeStatusOptions options)
    : options_(std::move(options)),
      machine_(read_machine()),
      nodes_(transport),
      leases_(transport),
      informer_(transport, client::ListOptions{.field_selector = "metadata.name=" + options_.node_name}),
      usage_(read_usage(options_.data_dir)) {
  auto look = [this](const std::shared_ptr<const core::Node>& node) {
    if (const auto& annotations = node->metadata.annotations; options_.on_authority) {
      const auto wanted = annotations.find(std::string(auth::kAuthorityWanted));
      if (wanted != annotations.end()) options_.on_authority(wanted->second);
    }
    {
      Lock lock(mutex_);
      if (node->spec.podCIDR.empty() || node->spec.podCIDR == pod_cidr_) return;
      pod_cidr_ = node->spec.podCIDR;
    }
    options_.on_pod_cidr(node->spec.podCIDR);
  };
  informer_.add_handlers({.add = look,
                          .update = [look](const auto&, const auto& node) { look(node); },
                          .remove = [this](const auto&) {  // somebody deleted it while we live: register anew
                            log::warn("agent", "the Node object was deleted; registering again");
                            report_soon();
                          }});
}

void NodeStatus::start() {
  informer_.start();
  thread_ = std::thread([this] { loop(); });
}

void NodeStatus::stop() {
  {
    Lock lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  informer_.stop();
}

void NodeStatus::report_soon() {
  Lock lock(mutex_);
  soon_ = true;
  wake_.notify_all();
}

std::map<std::string, std::string> NodeStatus::allocatable() {
  Lock lock(mutex_);
  return node_allocatable(machine_, usage_);
}

void NodeStatus::loop() {
  client::Backoff backoff(kFirstRetry, kLongestRetry);
  MonoTime next_lease{};
  while (true) {
    bool lease_due = Clock::system().mono() >= next_lease;
    if (lease_due && options_.on_round) options_.on_round();
    Status status = report(Clock::system().mono() - reported_at_ >= kReport);
    if (status.ok() && lease_due) {
      status = renew_lease();
      if (status.ok()) next_lease = Clock::system().mono() + kRound;
    }
    milliseconds pause;
    if (status.ok()) {
      if (away_) log::info("agent", "the node is registered and its lease renewed", {{"node", options_.node_name}});
      away_ = false;
      backoff.reset();
      pause = std::chrono::ceil<milliseconds>(next_lease - Clock::system().mono());
    } else {
      if (!away_) log::warn("agent", "cannot tell the server of this node, trying again", {{"error", status}});
      away_ = true;
      pause = backoff.next();
    }
    Lock lock(mutex_);
    wake_.wait_for(lock, std::max(pause, milliseconds(0)), [&]() KNARR_REQUIRES(mutex_) { return stop_ || soon_; });
    if (stop_) return;
    soon_ = false;
  }
}

Status NodeStatus::report(bool due) {
  Usage usage = read_usage(options_.data_dir);
  {
    Lock lock(mutex_);
    usage_ = usage;
  }
  auto known = informer_.get(options_.node_name);
  std::optional<core::Node> fetched;
  if (!known && !reported_) {  // the watch may not have come that far yet
    auto node = nodes_.get("", options_.node_name);
    if (node.ok()) {
      fetched = std::move(*node);
      if (!fetched->spec.podCIDR.empty()) {
        bool fresh;
        {
          Lock lock(mutex_);
          fresh = pod_cidr_ != fetched->spec.podCIDR;
          pod_cidr_ = fetched->spec.podCIDR;
        }
        if (fresh) options_.on_pod_cidr(fetched->spec.podCIDR);
      }
    } else if (!node.status().is(reason::kNotFound)) {
      return std::move(node).status();
    }
  }
  bool gone = reported_ && !known && informer_.has_synced();
  if (gone) reported_.reset();
  const core::Node* base = known ? known.get() : fetched ? &*fetched : nullptr;
  core::Node node =
      make_node(options_, machine_, usage, base, options_.ready(), options_.images(), options_.clock->wall());
  if (!due && reported_ && base && base->metadata.annotations == node.metadata.annotations &&
      same_status(base->status, node.status))
    return {};
  if (reported_ && !base) return {};  // told already; what the server made of it has not come back yet
  KNARR_RETURN_IF_ERROR(write(node, base));
  reported_ = node.status;
  reported_at_ = Clock::system().mono();
  return {};
}

Status NodeStatus::write(const core::Node& node, const core::Node* known) {
  if (!known) {
    auto created = nodes_.create(node);
    if (!created.ok() && !created.status().is(reason::kAlreadyExists)) return std::move(created).status();
    log::info("agent", "node registered", {{"node", options_.node_name}});
  } else if (known->metadata.labels != node.metadata.labels || known->metadata.annotations != node.metadata.annotations) {
    std::map<std::string, std::string> ours;  // the other annotations are others' business
    if (options_.authority) ours.emplace(auth::kAuthorityHeld, node.metadata.annotations.at(std::string(auth::kAuthorityHeld)));
    const std::string body = fmt::format(R"({{"metadata":{{"labels":{},"annotations":{}}}}})",
                                         json_map(node.metadata.labels), json_map(ours));
    KNARR_RETURN_IF_ERROR(nodes_.patch("", options_.node_name, client::kMergePatch, body).status());
  }
  std::string body = R"({"status":)" + api::encode(node.status) + "}";
  return nodes_.patch("", options_.node_name, client::kMergePatch, body, "status").status();
}

Status NodeStatus::renew_lease() {
  WallTime now = options_.clock->wall();
  if (!lease_) {
    auto found = leases_.get(kLeaseNamespace, options_.node_name);
    if (found.ok()) {
      lease_ = std::move(*found);
    } else if (!found.status().is(reason::kNotFound)) {
      return std::move(found).status();
    }
  }
  Lease lease;
  if (lease_) lease = *lease_;
  lease.metadata.name = options_.node_name;
  lease.metadata.namespace_ = kLeaseNamespace;
  lease.spec.holderIdentity = options_.node_name;
  lease.spec.leaseDurationSeconds = kLeaseSeconds;
  lease.spec.renewTime = now;
  if (auto node = informer_.get(options_.node_name); node && lease.metadata.ownerReferences.empty()) {
    api::meta::v1::OwnerReference owner;
    owner.apiVersion = "v1";
    owner.kind = "Node";
    owner.name = node->metadata.name;
    owner.uid = node->metadata.uid;
    lease.metadata.ownerReferences.push_back(std::move(owner));
  }
  auto written = lease_ ? leases_.update(lease) : leases_.create(lease);
  if (!written.ok()) {
    lease_.reset();  // look again what is there
    return std::move(written).status().with_context("renew the node's lease");
  }
  lease_ = std::move(*written);
  return {};
}

}  // namespace knarr::agent
