// A runtime, images, network and API server that a test drives.
#pragma once

#include <catch2/catch.hpp>

#include "agent/pods.h"
#include "knarr/codec/json.h"
#include "knarr/linux/tree.h"
#include "unit/client/fake_transport.h"
#include "unit/temp_directory.h"

namespace knarr::agent {

class FakeRuntime : public runtime::Runtime {
 public:
  std::function<void(const std::string&, const runtime::ContainerStatus&)> on_change;

  // From now on these containers' processes cannot be exec'd.
  void fail_starts(std::set<std::string> containers) {
    Lock lock(mutex_);
    failing_ = std::move(containers);
  }

  // Waits until `what` was called, as "start u1 c #0", "signal u1 c 15", "remove u1".
  bool wait_for(const std::string& what, size_t times = 1) {
    Lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), [&] { return count(what) >= times; });
  }
  size_t calls(const std::string& what) {
    Lock lock(mutex_);
    return count(what);
  }
  // Ends the latest run of the container.
  void exit(const std::string& pod, const std::string& container, int code) {
    runtime::ContainerStatus status;
    {
      Lock lock(mutex_);
      status = running_.at(pod + " " + container);
    }
    status.state = runtime::ContainerState::kExited;
    status.exit_code = code;
    status.finished_at = Clock::system().wall();
    status.reason = code == 0 ? "Completed" : "Error";
    on_change(pod, status);
  }
  runtime::ContainerSpec spec(const std::string& pod, const std::string& container) {
    Lock lock(mutex_);
    return specs_.at(pod + " " + container);
  }

  const runtime::Capabilities& capabilities() const override { return capabilities_; }
  Status limit_group(const std::string& group, const runtime::Resources& resources) override {
    say(fmt::format("limit {} shares {}", group, resources.cpu_shares));
    return {};
  }
  Result<runtime::PodSandboxStatus> run_sandbox(const runtime::PodSandboxSpec& spec) override {
    say("sandbox " + spec.id);
    return runtime::PodSandboxStatus{spec, 1, {}};
  }
  Result<std::string> network_namespace(const std::string&) override { return std::string("/proc/1/ns/net"); }
  Result<runtime::ContainerStatus> start_container(const std::string& pod,
                                                   const runtime::ContainerSpec& spec) override {
    runtime::ContainerStatus status;
    status.id = spec.id;
    status.name = spec.name;
    status.attempt = spec.attempt;
    status.state = runtime::ContainerState::kRunning;
    status.pid = 100;
    status.started_at = Clock::system().wall();
    bool fails;
    {
      Lock lock(mutex_);
      fails = failing_.contains(spec.name);
      running_[pod + " " + spec.name] = status;
      specs_[pod + " " + spec.name] = spec;
    }
    say(fmt::format("start {} {} #{}", pod, spec.name, spec.attempt));
    if (fails) return internal_error("exec /nothing: No such file or directory");
    return status;
  }
  Status signal_container(const std::string& pod, const std::string& id, int signal) override {
    std::string name;
    {
      Lock lock(mutex_);
      for (auto& [key, status] : running_) {
        if (status.id == id) name = status.name;
      }
    }
    say(fmt::format("signal {} {} {}", pod, name, signal));
    return {};
  }
  Status remove_container(const std::string&, const std::string&) override { return {}; }
  Result<runtime::PodSandboxStatus> status(const std::string&) override { return not_found("none"); }
  std::vector<runtime::PodSandboxStatus> list() override { return {}; }
  Status reopen_log(const std::string&, const std::string&) override { return {}; }
  Result<std::unique_ptr<runtime::ExecSession>> exec(const std::string&, const std::string&,
                                                     const runtime::ExecOptions&) override {
    return unavailable("no exec here");
  }
  Result<std::unique_ptr<runtime::ExecSession>> attach(const std::string&, const std::string&,
                                                       const runtime::ExecOptions&) override {
    return unavailable("no attach here");
  }
  Status remove_sandbox(const std::string& pod) override {
    say("remove " + pod);
    return {};
  }
  Result<std::vector<runtime::PodSandboxStatus>> recover() override { return std::vector<runtime::PodSandboxStatus>(); }

 private:
  void say(std::string what) {
    Lock lock(mutex_);
    said_.push_back(std::move(what));
    changed_.notify_all();
  }
  size_t count(const std::string& what) const {
    return static_cast<size_t>(std::count(said_.begin(), said_.end(), what));
  }

  runtime::Capabilities capabilities_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::string> said_;
  std::set<std::string> failing_;
  std::map<std::string, runtime::ContainerStatus> running_;
  std::map<std::string, runtime::ContainerSpec> specs_;
};

class FakeImages : public image::ImageStore {
 public:
  std::optional<image::Image> find(std::string_view name) override {
    if (name != "here") return {};
    image::Image image;
    image.id = "sha256:here";
    image.config.cmd = {"/run"};
    image.config.stop_signal = "SIGQUIT";
    return image;
  }
  std::vector<image::Image> list() override { return {}; }
  Result<image::Image> pull(std::string_view name, const image::PullOptions&) override {
    return unavailable("the registry of " + std::string(name) + " is away");
  }
  Result<std::vector<image::Image>> import(const std::string&, std::optional<std::string>) override {
    return unavailable("no");
  }
  Status remove(std::string_view) override { return {}; }
  Result<int64_t> collect(const std::vector<std::string>&) override { return int64_t(0); }
};

class FakeNetwork : public network::PodNetwork {
 public:
  Result<network::PodAddress> attach(const std::string&, const std::string&) override {
    return network::PodAddress{"10.42.0.9", 24, "10.42.0.1", ""};
  }
  Status detach(const std::string&) override {
    ++detached;
    return {};
  }
  std::vector<std::pair<std::string, network::PodAddress>> list() override { return {}; }
  Status keep_only(const std::vector<std::string>& pods) override {
    kept = pods;
    return {};
  }
  Status remove() override { return {}; }
  std::atomic<int> detached{0};
  std::vector<std::string> kept;
};

class FakeHandlers : public Handlers {
 public:
  std::function<HandlerResult()> result = [] { return HandlerResult{true, ""}; };
  HandlerResult exec(const HandlerTarget&, const std::vector<std::string>&, milliseconds) override { return result(); }
  HandlerResult http(const HandlerTarget&, const core::HTTPGetAction&, const core::Container&, milliseconds) override {
    return result();
  }
  HandlerResult tcp(const HandlerTarget&, const core::TCPSocketAction&, const core::Container&, milliseconds) override {
    return result();
  }
  HandlerResult grpc(const HandlerTarget&, const core::GRPCAction&, milliseconds) override { return result(); }
};

class FakeEvents : public client::EventRecorder {
 public:
  void event(const client::EventRef&, std::string_view, std::string_view reason, std::string_view) override {
    Lock lock(mutex_);
    reasons_.insert(std::string(reason));
  }
  bool has(const std::string& reason) {
    Lock lock(mutex_);
    return reasons_.contains(reason);
  }

 private:
  Mutex mutex_;
  std::set<std::string> reasons_;
};

// The API of pods: keeps one object for each, takes status patches (lists are replaced) and deletions, and tells
// watches.
class FakeApi {
 public:
  FakeApi() {
    transport->lists.push_back(std::string(R"({"metadata":{"resourceVersion":"1"},"items":[]})"));
    transport->answer = [this](const client::FakeTransport::Call& call) { return answer(call); };
  }

  void put(const std::string& name, const std::string& uid, const std::string& spec, const std::string& metadata = "",
           const std::string& status = "{}") {
    std::string text = fmt::format(
        R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{0}","namespace":"default","uid":"{1}","generation":1,"resourceVersion":"{2}"{3}}},"spec":{4},"status":{5}}})",
        name, uid, next(), metadata.empty() ? "" : "," + metadata, spec, status);
    bool fresh;
    {
      Lock lock(mutex_);
      fresh = pods_.insert_or_assign(name, text).second;
    }
    transport->send(fresh ? client::WatchEvent::Type::kAdded : client::WatchEvent::Type::kModified, text);
  }
  // As `kubectl delete` does.
  void mark_deleted(const std::string& name, int grace) {
    std::string text;
    {
      Lock lock(mutex_);
      auto pod = *json::parse(pods_.at(name));
      auto& alloc = pod.GetAllocator();
      json::Value& metadata = *json::find(pod, "metadata");
      json::set(metadata, "deletionTimestamp", "2026-11-21T12:00:00Z", alloc);
      json::set(metadata, "deletionGracePeriodSeconds", json::Value(grace), alloc);
      json::set(metadata, "resourceVersion", std::to_string(++version_), alloc);
      text = pods_[name] = json::dump(pod);
    }
    transport->send(client::WatchEvent::Type::kModified, text);
  }
  core::Pod pod(const std::string& name) {
    Lock lock(mutex_);
    return api::decode_as<core::Pod>(pods_.at(name)).value_or({});
  }
  bool wait(const std::function<bool(FakeApi&)>& condition) {
    return transport->wait_for([&](const auto&) { return condition(*this); });
  }
  bool wait_phase(const std::string& name, const std::string& phase) {
    return wait([&](FakeApi& api) { return api.pod(name).status.phase == phase; });
  }
  bool wait_gone(const std::string& name) {
    return wait([&](FakeApi& api) {
      Lock lock(api.mutex_);
      return !api.pods_.contains(name);
    });
  }

  const std::shared_ptr<client::FakeTransport> transport = std::make_shared<client::FakeTransport>();

 private:
  int next() {
    Lock lock(mutex_);
    return ++version_;
  }

  Result<std::string> answer(const client::FakeTransport::Call& call) {
    if (call.plural != "pods") return not_found(call.plural + " \"" + call.name + "\" not found");
    std::string text;
    auto type = client::WatchEvent::Type::kModified;
    {
      Lock lock(mutex_);
      auto it = pods_.find(call.name);
      if (it == pods_.end()) return not_found("no such pod");
      if (call.verb == "remove") {
        text = it->second;
        pods_.erase(it);
        type = client::WatchEvent::Type::kDeleted;
      } else if (call.verb == "patch") {
        auto pod = *json::parse(it->second);
        auto patch = *json::parse(call.body);
        auto& alloc = pod.GetAllocator();
        json::Value& status = *json::find(pod, "status");
        for (auto& member : json::find(patch, "status")->GetObject()) {
          if (json::view(member.name) == "conditions")
            continue;  // merged by type in earnest; no test here looks at them
          json::set(status, json::view(member.name), json::copy(member.value, alloc), alloc);
        }
        json::set(*json::find(pod, "metadata"), "resourceVersion", std::to_string(++version_), alloc);
        text = it->second = json::dump(pod);
      } else {
        return it->second;
      }
    }
    transport->send(type, text);
    transport->notify();
    return text;
  }

  Mutex mutex_;
  int version_ = 1;
  std::map<std::string, std::string> pods_;
};

// The fake API hands what it tells of pods to whoever watches: nobody else may.
class SourcesWithoutServices : public ApiSources {
 public:
  using ApiSources::ApiSources;
  std::vector<std::shared_ptr<const core::Service>> services(const std::string&) override { return {}; }
};

// Pods on all of these, in a temporary directory.
class FakeNode {
 public:
  FakeNode() {
    PodServices services;
    services.data_dir = directory_.path;
    services.node_name = "n1";
    services.node_ip = [] { return "192.0.2.1"; };
    services.runtime = &runtime;
    services.images = &images;
    services.handlers = &handlers;
    services.sources = &sources;
    services.transport = api.transport;
    services.events = events;
    services.network = [this] { return &network; };
    services.node_allocatable = [] { return std::map<std::string, std::string>(); };
    services.timers = &timers;
    pods = std::make_unique<Pods>(std::move(services));
    runtime.on_change = [this](const std::string& pod, const runtime::ContainerStatus& status) {
      pods->on_container(pod, status);
    };
  }
  ~FakeNode() {
    (void)pods->stop();
    pods.reset();
  }

  void start() {
    client::Reflector::Options options;
    options.timers = &timers;
    informer = std::make_shared<client::Informer<core::Pod>>(api.transport, options);
    pods->start(informer);
    api.transport->wait_watches(1);
  }

  FakeApi api;
  FakeRuntime runtime;
  FakeImages images;
  FakeNetwork network;
  FakeHandlers handlers;
  std::shared_ptr<FakeEvents> events = std::make_shared<FakeEvents>();
  client::Timers timers;
  SourcesWithoutServices sources{api.transport, Clock::system()};
  std::shared_ptr<client::Informer<core::Pod>> informer;
  std::unique_ptr<Pods> pods;

 private:
  const knarr::test::TempDirectory directory_;
};

}  // namespace knarr::agent
