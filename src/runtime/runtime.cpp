#include "knarr/runtime/runtime.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include "knarr/base/log.h"
#include "knarr/linux/process.h"
#include "knarr/linux/tree.h"
#include "runtime/capabilities.h"
#include "runtime/factory.h"
#include "runtime/limits.h"
#include "runtime/probe.h"
#include "runtime/remains.h"
#include "runtime/seccomp.h"
#include "runtime/session.h"
#include "runtime/shim_link.h"

namespace knarr::runtime {

namespace {

constexpr const char* kSeccompDirectory = "seccomp";  // beside the pods' directories in the state directory

template <typename T>
json::Document params_of(const T& members) {
  json::Document document(rapidjson::kObjectType);
  FieldWriter writer(document, document.GetAllocator());
  fields(writer, const_cast<T&>(members));
  return document;
}

json::Document params_of_container(const std::string& id) {
  json::Document document(rapidjson::kObjectType);
  json::set(document, "container", id, document.GetAllocator());
  return document;
}

bool valid_id(const std::string& id) {
  if (id.empty() || id.size() > 200 || id == kSeccompDirectory) return false;
  return id.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

// The groups above those of pods, as far as no pod of whichever instance is in them. Groups of pods are left to their shims.
void remove_empty_groups(const std::string& root) {
  const std::string pods = fmt::format("{}/{}", root, kPodsGroup);
  for (const std::string& name : linux::list_directory(pods).value_or({})) {
    if (!name.starts_with("pod")) rmdir((pods + "/" + name).c_str());  // ENOTDIR for the group's files
  }
  rmdir(pods.c_str());
  rmdir(fmt::format("{}/{}", root, kShimsGroup).c_str());
}

class RuntimeImpl : public Runtime {
 public:
  RuntimeImpl(Options options, std::unique_ptr<linux::EventLoop> loop)
      : options_(std::move(options)), probe_(probe_kernel()), seccomp_(options_.state_directory + "/" + kSeccompDirectory), loop_(std::move(loop)) {
    thread_ = std::thread([this] { loop_->run(); });
  }

  ~RuntimeImpl() override {
    loop_->stop();
    thread_.join();
    // The loop runs no more: what hangs on it can go in any order now.
    pods_.clear();
    factory_channel_.reset();
    if (factory_.valid()) (void)factory_.wait();  // it ended when its channel did
    if (!probe_.cgroup_root.empty()) remove_empty_groups(probe_.cgroup_root);
  }

  const Capabilities& capabilities() const override { return probe_.capabilities; }
  Status limit_group(const std::string& group, const Resources& resources) override;
  Result<PodSandboxStatus> run_sandbox(const PodSandboxSpec& spec) override;
  Result<std::string> network_namespace(const std::string& pod_id) override;
  Result<ContainerStatus> start_container(const std::string& pod_id, const ContainerSpec& spec) override;
  Status signal_container(const std::string& pod_id, const std::string& container_id, int signal) override;
  Status remove_container(const std::string& pod_id, const std::string& container_id) override;
  Result<PodSandboxStatus> status(const std::string& pod_id) override;
  std::vector<PodSandboxStatus> list() override;
  Status reopen_log(const std::string& pod_id, const std::string& container_id) override;
  Result<std::unique_ptr<ExecSession>> exec(const std::string& pod_id, const std::string& container_id, const ExecOptions& options) override {
    return open_session("exec", pod_id, container_id, options);
  }
  Result<std::unique_ptr<ExecSession>> attach(const std::string& pod_id, const std::string& container_id, const ExecOptions& options) override {
    return open_session("attach", pod_id, container_id, options);
  }
  Status remove_sandbox(const std::string& pod_id) override;
  Result<std::vector<PodSandboxStatus>> recover() override;

 private:
  struct Pod {
    PodSandboxSpec spec;
    int shim_pid = 0;
    std::vector<ContainerStatus> containers;
    std::shared_ptr<ShimLink> link;
    bool lost = false, removing = false;
  };

  std::string directory(const std::string& pod_id) const { return options_.state_directory + "/" + pod_id; }
  Result<std::shared_ptr<ShimLink>> link_of(const std::string& pod_id);
  Status call_for_container(const char* method, const std::string& pod_id, json::Document params);
  Result<std::unique_ptr<ExecSession>> open_session(const char* method, const std::string& pod_id, const std::string& container_id,
                                                    const ExecOptions& options);
  std::shared_ptr<ShimLink> make_link(const std::string& pod_id);
  Status ask_factory(const SandboxRequest& request, linux::UniqueFd socket);
  Status ensure_factory() KNARR_REQUIRES(factory_mutex_);
  Result<PodSandboxStatus> adopt(const std::string& pod_id);
  Result<PodSandboxStatus> connect(const std::string& pod_id);
  PodSandboxStatus add_pod(const PodState& state, std::shared_ptr<ShimLink> link);
  static PodSandboxStatus status_of(const Pod& pod) { return {pod.spec, pod.shim_pid, pod.containers}; }
  static void update(Pod& pod, const ContainerStatus& status);
  void on_status(const std::string& pod_id, const ContainerStatus& status);
  void on_lost(const std::string& pod_id);

  const Options options_;
  const Probe probe_;
  SeccompCache seccomp_;
  const std::unique_ptr<linux::EventLoop> loop_;
  std::thread thread_;

  Mutex factory_mutex_;
  linux::Process factory_ KNARR_GUARDED_BY(factory_mutex_);
  linux::UniqueFd factory_channel_ KNARR_GUARDED_BY(factory_mutex_);

  Mutex mutex_;
  std::map<std::string, Pod> pods_ KNARR_GUARDED_BY(mutex_);
};

void RuntimeImpl::update(Pod& pod, const ContainerStatus& status) {
  for (ContainerStatus& known : pod.containers) {
    if (known.id == status.id) {
      known = status;
      return;
    }
  }
  pod.containers.push_back(status);
}

void RuntimeImpl::on_status(const std::string& pod_id, const ContainerStatus& status) {
  {
    Lock lock(mutex_);
    const auto pod = pods_.find(pod_id);
    if (pod == pods_.end()) return;
    update(pod->second, status);
  }
  if (options_.on_change) options_.on_change(pod_id, status);
}

void RuntimeImpl::on_lost(const std::string& pod_id) {
  std::vector<ContainerStatus> ended;
  {
    Lock lock(mutex_);
    const auto pod = pods_.find(pod_id);
    // Without a link it never came up; run_sandbox tells why.
    if (pod == pods_.end() || pod->second.removing || pod->second.lost || pod->second.link == nullptr) return;
    pod->second.lost = true;
    for (ContainerStatus& container : pod->second.containers) {
      if (container.state == ContainerState::kExited) continue;
      container.state = ContainerState::kExited;
      container.pid = 0;
      container.exit_code = 128 + SIGKILL;
      container.signal = SIGKILL;
      container.finished_at = Clock::system().wall();
      container.reason = "Error";
      container.message = "the pod's shim ended, and its containers with it";
      ended.push_back(container);
    }
  }
  log::error("runtime", "a pod's shim ended", {{"pod", pod_id}});
  kill_remains(directory(pod_id));
  if (options_.on_change) {
    for (const ContainerStatus& status : ended) options_.on_change(pod_id, status);
  }
  if (options_.on_sandbox_lost) options_.on_sandbox_lost(pod_id);
}

std::shared_ptr<ShimLink> RuntimeImpl::make_link(const std::string& pod_id) {
  return std::make_shared<ShimLink>(*loop_, ShimLink::Handlers{[this, pod_id](const ContainerStatus& status) { on_status(pod_id, status); },
                                                               [this, pod_id] { on_lost(pod_id); }});
}

Status RuntimeImpl::ensure_factory() {
  if (factory_.valid()) {
    const auto ended = factory_.try_wait();
    if (ended.ok() && !ended->has_value()) return {};
    log::warn("runtime", "the factory of shims ended, another is started");
    factory_ = linux::Process();
  }
  KNARR_ASSIGN(linux::SocketPair channel, linux::make_socketpair());
  linux::SpawnOptions spawn;
  spawn.executable = options_.self_executable.empty() ? "/proc/self/exe" : options_.self_executable;
  spawn.arguments = {"knarr", "shim", title_placeholder()};
  spawn.environment.emplace();  // nothing of ours is a container's business
  spawn.working_directory = "/";
  spawn.fds = {{channel.second.get(), kControlFd}};
  spawn.new_session = true;
  KNARR_ASSIGN(factory_, linux::Process::spawn(spawn));
  factory_channel_ = std::move(channel.first);
  return {};
}

Status RuntimeImpl::limit_group(const std::string& group, const Resources& resources) {
  if (probe_.cgroup_root.empty()) return not_found("this machine has no cgroup v2 hierarchy that can be written");
  if (("/" + group + "/").find("/../") != std::string::npos) return bad_request(fmt::format("\"{}\" is no cgroup", group));
  KNARR_ASSIGN(const linux::Cgroup made, linux::CgroupHierarchy::at(probe_.cgroup_root).create(group + "/."));
  return made.set(group_limits(resources));
}

Status RuntimeImpl::ask_factory(const SandboxRequest& request, linux::UniqueFd socket) {
  json::Document message(rapidjson::kObjectType);
  json::set(message, "params", to_json(request, message.GetAllocator()), message.GetAllocator());
  Lock lock(factory_mutex_);
  KNARR_RETURN_IF_ERROR(ensure_factory());
  const int fds[] = {socket.get()};
  Status status = send_message(factory_channel_.get(), message, fds);
  if (!status.ok()) factory_.kill_and_wait();
  return status;
}

Result<PodSandboxStatus> RuntimeImpl::run_sandbox(const PodSandboxSpec& spec) {
  if (!valid_id(spec.id)) return bad_request(fmt::format("\"{}\" is no pod id", spec.id));
  if (("/" + spec.cgroup_parent + "/").find("/../") != std::string::npos) return bad_request(fmt::format("\"{}\" is no cgroup", spec.cgroup_parent));
  {
    Lock lock(mutex_);
    // Taken at once: two calls for one pod must not both make a shim.
    if (!pods_.try_emplace(spec.id, Pod{spec, 0, {}, nullptr, false, false}).second) {
      return errno_status(EEXIST, fmt::format("run the sandbox of pod {}", spec.id));
    }
  }
  const std::string path = directory(spec.id);
  const auto make = [&]() -> Result<PodSandboxStatus> {
    KNARR_RETURN_IF_ERROR(clear_remains(path));
    KNARR_RETURN_IF_ERROR(linux::make_directories(path, 0700));
    KNARR_ASSIGN(linux::SocketPair socket, linux::make_socketpair());
    const auto link = make_link(spec.id);
    auto answer = link->expect(0);
    link->start(std::move(socket.first));
    const auto deadline = std::chrono::steady_clock::now() + kCallTimeout;
    Status status = ask_factory({spec, path, probe_.cgroup_root, probe_.capabilities.device_filter, options_.old_mount_ways}, std::move(socket.second));
    auto message = status.ok() ? link->wait(0, std::move(answer), deadline, "run sandbox") : Result<Message>(status);
    if (!message.ok()) {
      link->close();
      return message.status();
    }
    static const json::Value kNone(rapidjson::kObjectType);
    const json::Value* result = json::find(message->body, "result");
    return add_pod(from_json<PodState>(result != nullptr ? *result : kNone), link);
  };
  auto made = make();
  if (!made.ok()) {
    (void)clear_remains(path);
    Lock lock(mutex_);
    pods_.erase(spec.id);
    return std::move(made).status().with_context(fmt::format("start the sandbox of pod {}/{}", spec.namespace_, spec.name));
  }
  return made;
}

PodSandboxStatus RuntimeImpl::add_pod(const PodState& state, std::shared_ptr<ShimLink> link) {
  PodSandboxStatus status;
  {
    Lock lock(mutex_);
    Pod& pod = pods_[state.spec.id];
    pod.spec = state.spec;
    pod.shim_pid = state.shim_pid;
    pod.link = link;
    // What the shim told by itself since this state was written is newer.
    for (const ContainerRecord& record : state.containers) {
      const auto told = [&](const ContainerStatus& c) { return c.id == record.status.id; };
      if (std::none_of(pod.containers.begin(), pod.containers.end(), told)) pod.containers.push_back(record.status);
    }
    status = status_of(pod);
  }
  // It may have ended between its answer and this line.
  if (link->closed()) loop_->post([this, id = state.spec.id] { on_lost(id); });
  return status;
}

Result<std::shared_ptr<ShimLink>> RuntimeImpl::link_of(const std::string& pod_id) {
  Lock lock(mutex_);
  const auto pod = pods_.find(pod_id);
  if (pod == pods_.end() || pod->second.link == nullptr) return not_found(fmt::format("there is no sandbox of pod {}", pod_id));
  if (pod->second.lost) return unavailable(fmt::format("the shim of pod {} is gone", pod_id));
  return pod->second.link;
}

Result<std::string> RuntimeImpl::network_namespace(const std::string& pod_id) {
  Lock lock(mutex_);
  const auto pod = pods_.find(pod_id);
  if (pod == pods_.end() || pod->second.link == nullptr) return not_found(fmt::format("there is no sandbox of pod {}", pod_id));
  if (pod->second.spec.host_network) return std::string();
  if (pod->second.lost) return unavailable(fmt::format("the shim of pod {} is gone", pod_id));
  return fmt::format("/proc/{}/ns/net", pod->second.shim_pid);
}

Result<ContainerStatus> RuntimeImpl::start_container(const std::string& pod_id, const ContainerSpec& spec) {
  if (!valid_id(spec.id)) return bad_request(fmt::format("\"{}\" is no container id", spec.id));
  if (spec.lower_directories.empty()) return bad_request(fmt::format("container {} has no root file system", spec.name));
  if (spec.args.empty()) return bad_request(fmt::format("container {}: no command specified", spec.name));
  KNARR_ASSIGN(const auto link, link_of(pod_id));
  ContainerRequest request{spec, {}};
  if (!spec.security.privileged && probe_.capabilities.seccomp) {
    KNARR_ASSIGN(const auto available, linux::permitted_capabilities());
    KNARR_ASSIGN(const auto capabilities, container_capabilities(spec.security, available));
    KNARR_ASSIGN(request.seccomp_filter, seccomp_.filter(spec.security.seccomp, capabilities));
  }
  KNARR_ASSIGN(const Message answer, link->call("start", params_of(request)));
  const json::Value* result = json::find(answer.body, "result");
  if (result == nullptr) return internal_error(fmt::format("start container {}: the shim's answer has no status", spec.name));
  return from_json<ContainerStatus>(*result);
}

Status RuntimeImpl::call_for_container(const char* method, const std::string& pod_id, json::Document params) {
  KNARR_ASSIGN(const auto link, link_of(pod_id));
  return link->call(method, std::move(params)).status();
}

Status RuntimeImpl::signal_container(const std::string& pod_id, const std::string& container_id, int signal) {
  json::Document params = params_of_container(container_id);
  json::set(params, "signal", json::Value(signal), params.GetAllocator());
  return call_for_container("signal", pod_id, std::move(params));
}

Status RuntimeImpl::remove_container(const std::string& pod_id, const std::string& container_id) {
  if (!valid_id(container_id)) return bad_request(fmt::format("\"{}\" is no container id", container_id));
  const Status status = call_for_container("remove", pod_id, params_of_container(container_id));
  if (!status.ok() && !status.is(reason::kNotFound)) return status;
  {
    Lock lock(mutex_);
    if (const auto pod = pods_.find(pod_id); pod != pods_.end()) {
      std::erase_if(pod->second.containers, [&](const ContainerStatus& c) { return c.id == container_id; });
    }
  }
  // Here and not in the shim: a large upper takes time, which the pod's other containers should not wait for.
  return linux::remove_tree(fmt::format("{}/containers/{}", directory(pod_id), container_id));
}

Result<PodSandboxStatus> RuntimeImpl::status(const std::string& pod_id) {
  Lock lock(mutex_);
  const auto pod = pods_.find(pod_id);
  if (pod == pods_.end() || pod->second.link == nullptr) return not_found(fmt::format("there is no sandbox of pod {}", pod_id));
  return status_of(pod->second);
}

std::vector<PodSandboxStatus> RuntimeImpl::list() {
  Lock lock(mutex_);
  std::vector<PodSandboxStatus> result;
  for (const auto& [id, pod] : pods_) {
    if (pod.link != nullptr) result.push_back(status_of(pod));
  }
  return result;
}

Status RuntimeImpl::reopen_log(const std::string& pod_id, const std::string& container_id) {
  return call_for_container("reopen", pod_id, params_of_container(container_id));
}

Result<std::unique_ptr<ExecSession>> RuntimeImpl::open_session(const char* method, const std::string& pod_id, const std::string& container_id,
                                                               const ExecOptions& options) {
  const bool attach = std::string_view(method) == "attach";
  if (!attach && options.args.empty()) return bad_request("exec: no command specified");
  KNARR_ASSIGN(const auto link, link_of(pod_id));
  const auto end = std::make_shared<SessionEnd>();
  ExecRequest request{link->add_session(end), container_id, options.args, options.stdin_open, options.stdout_open, options.stderr_open, options.terminal};
  auto answer = link->call(method, params_of(request));
  if (!answer.ok()) {
    link->remove_session(request.session);
    return answer.status();
  }
  return std::unique_ptr<ExecSession>(new Session(link, request.session, end, options, attach, std::move(answer->fds)));
}

Status RuntimeImpl::remove_sandbox(const std::string& pod_id) {
  if (!valid_id(pod_id)) return bad_request(fmt::format("\"{}\" is no pod id", pod_id));
  bool known;
  {
    Lock lock(mutex_);
    known = pods_.count(pod_id) != 0;
  }
  // A pod of an earlier run that nobody has asked recover() for.
  if (!known && access(directory(pod_id).c_str(), F_OK) == 0) (void)adopt(pod_id);
  std::shared_ptr<ShimLink> link;
  int shim_pid = 0;
  bool lost = true;
  {
    Lock lock(mutex_);
    if (const auto pod = pods_.find(pod_id); pod != pods_.end()) {
      pod->second.removing = true;
      link = pod->second.link;
      shim_pid = pod->second.shim_pid;
      lost = pod->second.lost;
    }
  }
  if (link != nullptr && !lost) {
    // Opened while the shim is there for sure, so that what is killed below is it.
    const auto pidfd = linux::open_pidfd(shim_pid);
    const auto answer = link->call("shutdown", json::Document());
    if (!answer.ok() && pidfd.ok()) {
      log::warn("runtime", "a shim does not end by itself, it is killed", {{"pod", pod_id}, {"error", answer.status()}});
      (void)linux::signal_pidfd(pidfd->get(), SIGKILL);
    }
  }
  if (link != nullptr) link->close();
  Status status = clear_remains(directory(pod_id));
  Lock lock(mutex_);
  const auto pod = pods_.find(pod_id);
  if (pod == pods_.end()) return status;
  if (status.ok()) {
    pods_.erase(pod);
  } else {
    pod->second.lost = true;  // its shim is gone; what is left can be tried again
    pod->second.removing = false;
  }
  return status;
}

Result<PodSandboxStatus> RuntimeImpl::adopt(const std::string& pod_id) {
  {
    // It has its place before the shim can tell of it, so that no change falls between its first answer and its entry.
    Lock lock(mutex_);
    if (!pods_.try_emplace(pod_id).second) return errno_status(EEXIST, fmt::format("adopt pod {}", pod_id));
  }
  auto adopted = connect(pod_id);
  if (!adopted.ok()) {
    Lock lock(mutex_);
    pods_.erase(pod_id);
  }
  return adopted;
}

Result<PodSandboxStatus> RuntimeImpl::connect(const std::string& pod_id) {
  KNARR_ASSIGN(linux::UniqueFd socket, linux::connect_unix(directory(pod_id) + "/shim.sock"));
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return errno_status(errno, "ask who a socket's other end is");
  const auto link = make_link(pod_id);
  link->start(std::move(socket));
  auto answer = link->call("hello", json::Document());
  if (!answer.ok()) {
    link->close();
    // It is there but does not speak: it cannot be left with a pod that is cleaned up under it.
    if (const auto shim = linux::open_pidfd(peer.pid); shim.ok()) (void)linux::signal_pidfd(shim->get(), SIGKILL);
    return answer.status();
  }
  const json::Value* result = json::find(answer->body, "result");
  PodState state = result != nullptr ? from_json<PodState>(*result) : PodState();
  state.spec.id = pod_id;
  state.shim_pid = peer.pid;  // as this pid namespace counts, not as the shim's did
  return add_pod(state, link);
}

Result<std::vector<PodSandboxStatus>> RuntimeImpl::recover() {
  std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(options_.state_directory.c_str()), closedir);
  if (!entries) return errno_status(errno, fmt::format("open {}", options_.state_directory));
  std::vector<PodSandboxStatus> found;
  std::vector<std::string> lost;
  while (const dirent* entry = readdir(entries.get())) {
    const std::string pod_id = entry->d_name;
    if (!valid_id(pod_id)) continue;
    {
      Lock lock(mutex_);
      if (const auto pod = pods_.find(pod_id); pod != pods_.end()) {
        if (pod->second.link != nullptr) found.push_back(status_of(pod->second));
        continue;
      }
    }
    auto adopted = adopt(pod_id);
    if (adopted.ok()) {
      found.push_back(std::move(*adopted));
      continue;
    }
    if (adopted.status().is(reason::kAlreadyExists)) continue;
    log::warn("runtime", "a pod of an earlier run has no shim any more, what it left is removed", {{"pod", pod_id}, {"error", adopted.status()}});
    if (Status status = clear_remains(directory(pod_id)); !status.ok()) log::error("runtime", "could not remove it", {{"pod", pod_id}, {"error", status}});
    lost.push_back(pod_id);
  }
  if (options_.on_sandbox_lost && !lost.empty()) {
    loop_->post([this, lost] {
      for (const std::string& pod_id : lost) options_.on_sandbox_lost(pod_id);
    });
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<Runtime>> Runtime::open(Options options) {
  if (options.state_directory.empty() || options.state_directory.front() != '/') return bad_request("the runtime's state directory must be an absolute path");
  KNARR_RETURN_IF_ERROR(linux::make_directories(options.state_directory, 0700));
  KNARR_RETURN_IF_ERROR(forget_earlier_boots(options.state_directory));
  KNARR_ASSIGN(auto loop, linux::EventLoop::create());
  return std::unique_ptr<Runtime>(new RuntimeImpl(std::move(options), std::move(loop)));
}

}  // namespace knarr::runtime
