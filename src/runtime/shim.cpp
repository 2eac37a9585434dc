#include "runtime/shim.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sched.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "knarr/base/log.h"
#include "knarr/linux/mount.h"
#include "knarr/linux/namespace.h"
#include "knarr/linux/process.h"
#include "knarr/linux/tree.h"
#include "runtime/limits.h"
#include "runtime/sysctl.h"

namespace knarr::runtime {

namespace {

// Replaces a file in one step but without a flush: it has to survive this process, not the machine, and pods do not either.
Status publish(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".new";
  const linux::UniqueFd file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return errno_status(errno, fmt::format("open {}", temporary));
  KNARR_RETURN_IF_ERROR(linux::write_all(file.get(), content, temporary));
  if (rename(temporary.c_str(), path.c_str()) != 0) return errno_status(errno, fmt::format("rename {} to {}", temporary, path));
  return {};
}

template <typename T>
json::Document result_of(const T& members) {
  json::Document document(rapidjson::kObjectType);
  json::set(document, "result", to_json(members, document.GetAllocator()), document.GetAllocator());
  return document;
}

json::Document empty_result() {
  json::Document document(rapidjson::kObjectType);
  json::set(document, "result", json::Value(rapidjson::kObjectType), document.GetAllocator());
  return document;
}

Status redirect_standard_streams(const std::string& log_path) {
  const linux::UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const linux::UniqueFd log(open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!null || !log || dup2(null.get(), 0) < 0 || dup2(null.get(), 1) < 0 || dup2(log.get(), 2) < 0) return errno_status(errno, fmt::format("open {}", log_path));
  return {};
}

}  // namespace

int Shim::run(const SandboxRequest& request, linux::UniqueFd first) {
  Shim shim(request);
  Status status = shim.set_up();
  if (shim.loop_ == nullptr) return 1;
  Client& client = shim.add_client(std::move(first));
  if (!status.ok()) {
    client.channel->send(make_error(0, status));
    client.channel->flush_blocking();
    return 1;
  }
  shim.reply(client, 0, result_of(shim.state()));
  malloc_trim(0);
  shim.loop_->run();
  return 0;
}

Status Shim::set_up() {
  KNARR_ASSIGN(loop_, linux::EventLoop::create());
  const std::string& directory = request_.directory;
  KNARR_RETURN_IF_ERROR(redirect_standard_streams(directory + "/shim.log"));
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &children, nullptr) != 0) return errno_status(errno, "block SIGCHLD");
  // It ends when a client says so. A signal sent to everything at the machine's shutdown must not take the pod away before
  // its containers had their own.
  for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) std::signal(number, SIG_IGN);
  signals_.reset(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return errno_status(errno, "make a signalfd");
  KNARR_RETURN_IF_ERROR(loop_->add(signals_.get(), EPOLLIN, [this](uint32_t) { on_children(); }));
  (void)set_oom_score(-998);  // the kernel takes a container before its shim

  KNARR_RETURN_IF_ERROR(make_namespaces());
  KNARR_RETURN_IF_ERROR(make_pod_shm());
  KNARR_RETURN_IF_ERROR(make_cgroup());
  if (request_.spec.share_process_namespace && !request_.spec.host_pid) {
    KNARR_ASSIGN(reaper_, start_reaper());
  }
  KNARR_RETURN_IF_ERROR(listen());
  KNARR_RETURN_IF_ERROR(publish(directory + "/shim.pid", fmt::format("{}\n", getpid())));
  return write_state();
}

Status Shim::make_namespaces() {
  const PodSandboxSpec& pod = request_.spec;
  int flags = 0;
  if (!pod.host_network) flags |= CLONE_NEWNET | CLONE_NEWUTS;
  if (!pod.host_ipc) flags |= CLONE_NEWIPC;
  if (flags != 0) KNARR_RETURN_IF_ERROR(linux::unshare_namespaces(flags));
  if (!pod.host_network) {
    if (!pod.hostname.empty()) KNARR_RETURN_IF_ERROR(linux::set_host_name(pod.hostname));
    KNARR_RETURN_IF_ERROR(linux::bring_up_loopback());
  }
  return set_sysctls(pod);
}

// One /dev/shm for all containers of the pod. Best is a mount that hangs nowhere; a kernel before 6.15 cannot copy such a one, so
// there it is mounted in the pod's directory, and remove_sandbox takes it off.
Status Shim::make_pod_shm() {
  if (request_.spec.host_ipc) return {};
  KNARR_ASSIGN(shm_, linux::make_filesystem("tmpfs", "shm", {{"mode", "1777"}, {"size", "65536k"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!request_.old_mount_ways && linux::clone_mount(shm_.get(), false, "shm").ok()) return {};
  shm_path_ = request_.directory + "/shm";
  KNARR_RETURN_IF_ERROR(linux::make_directories(shm_path_));
  KNARR_RETURN_IF_ERROR(linux::attach_mount(shm_.get(), shm_path_));
  shm_.reset();
  return {};
}

Status Shim::make_cgroup() {
  if (request_.cgroup_root.empty()) return {};
  const std::string parent = request_.spec.cgroup_parent.empty() ? kPodsGroup : request_.spec.cgroup_parent;
  KNARR_ASSIGN(cgroup_, linux::CgroupHierarchy::at(request_.cgroup_root).create(fmt::format("{}/pod{}/.", parent, request_.spec.id)));
  Status status = cgroup_.set(group_limits(request_.spec.resources));
  return status.is(reason::kNotFound) ? Status::OK() : status;  // which the agent tells in a node condition
}

Status Shim::listen() {
  KNARR_ASSIGN(listener_, linux::listen_unix(request_.directory + "/shim.sock"));
  return loop_->add(listener_.get(), EPOLLIN, [this](uint32_t) {
    linux::UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) add_client(std::move(socket));
  });
}

PodState Shim::state() const {
  PodState state;
  state.spec = request_.spec;
  state.shim_pid = getpid();
  state.cgroup = cgroup_.directory();
  for (const auto& [id, container] : containers_) state.containers.push_back(container->record());
  return state;
}

Status Shim::write_state() {
  json::Document document(rapidjson::kObjectType);
  const PodState now = state();
  FieldWriter writer(document, document.GetAllocator());
  fields(writer, const_cast<PodState&>(now));
  return publish(request_.directory + "/state.json", json::dump(document));
}

Shim::Client& Shim::add_client(linux::UniqueFd socket) {
  Client& client = clients_.emplace_back();
  client.channel = std::make_unique<Channel>(
      *loop_, std::move(socket), [this, &client](Message message) { on_message(client, std::move(message)); }, [this, &client] { drop_client(&client); });
  if (Status status = client.channel->start(); !status.ok()) log::error("shim", "cannot serve a client", {{"error", status}});
  return client;
}

void Shim::drop_client(Client* client) {
  for (auto& [id, container] : containers_) container->detach_all(client);
  for (auto& [id, starting] : starting_) {
    if (starting.first == client) starting.first = nullptr;
  }
  for (Exec& exec : execs_) {
    if (exec.client != client) continue;
    exec.client = nullptr;
    (void)linux::signal_pidfd(exec.process.pidfd.get(), SIGKILL);  // nobody reads what it says any more
  }
  if (stopper_ == client) stopper_ = nullptr;
  // Not at once: it may be this client's own channel that calls.
  loop_->post([this, client] { clients_.remove_if([client](const Client& c) { return &c == client; }); });
}

void Shim::on_message(Client& client, Message message) {
  const int64_t call = json::get_int(message.body, "id");
  const std::string_view method = json::get_string(message.body, "method");
  static const json::Value kNone(rapidjson::kObjectType);
  const json::Value* given = json::find(message.body, "params");
  const json::Value& params = given != nullptr && given->IsObject() ? *given : kNone;

  // What answers by itself, and what answers when it is done.
  if (method == "hello") return reply(client, call, result_of(state()));
  if (method == "shutdown") return shut_down(client, call);
  Status status;
  bool later = false;
  if (method == "start") {
    status = start_container(client, call, params), later = true;
  } else if (method == "exec") {
    status = exec(client, call, params), later = true;
  } else if (method == "attach") {
    status = attach(client, call, params), later = true;
  } else if (method == "signal") {
    status = signal_container(params);
  } else if (method == "remove") {
    status = remove_container(params);
  } else if (method == "reopen") {
    status = reopen_log(params);
  } else if (method == "close") {
    status = close_session(client, params);
  } else if (method == "closeStdin") {
    status = close_stdin(client, params);
  } else {
    status = bad_request(fmt::format("the shim knows no method \"{}\"", method));
  }
  if (!status.ok()) return reply_error(client, call, status);
  if (!later) reply(client, call, empty_result());
}

void Shim::reply(Client& client, int64_t call, json::Document result, std::vector<linux::UniqueFd> fds) {
  json::set(result, "id", json::Value(call), result.GetAllocator());
  client.channel->send(result, std::move(fds));
}

void Shim::reply_error(Client& client, int64_t call, const Status& status) { client.channel->send(make_error(call, status)); }

void Shim::broadcast(json::Document event) {
  for (Client& client : clients_) client.channel->send(event);
}

Result<Container*> Shim::find(const json::Value& params) {
  const std::string id(json::get_string(params, "container"));
  const auto it = containers_.find(id);
  if (it == containers_.end()) return not_found(fmt::format("pod {} has no container {}", request_.spec.id, id));
  return it->second.get();
}

Status Shim::start_container(Client& client, int64_t call, const json::Value& params) {
  if (stopping_) return unavailable("the pod is being removed");
  auto request = from_json<ContainerRequest>(params);
  const std::string id = request.spec.id;
  if (containers_.count(id) != 0) return errno_status(EEXIST, fmt::format("start container {}", id));
  int pid_namespace = reaper_.pidfd.get();
  if (const std::string& of = request.spec.process_namespace_of; !of.empty() && pid_namespace < 0 && !request_.spec.host_pid) {
    const auto target = containers_.find(of);
    if (target == containers_.end() || !target->second->alive())
      return unavailable(fmt::format("container {}, whose processes container {} is to see, does not run", of, id));
    pid_namespace = target->second->pidfd();
  }
  auto& container = containers_[id];
  container = std::make_unique<Container>(*loop_, std::move(request), [this](Container& c) { on_container_change(c); });
  starting_[id] = {&client, call};
  ContainerEnvironment environment{request_.spec, request_.directory, shm_path_, shm_.get(), pid_namespace, cgroup_, request_.cgroup_root, request_.device_filter,
                                   request_.old_mount_ways};
  // Where it cannot even be cloned, on_container_change has answered with the status that says why.
  (void)container->start(environment);
  return {};
}

void Shim::on_container_change(Container& container) {
  if (Status status = write_state(); !status.ok()) log::error("shim", "could not write the pod's state", {{"error", status}});
  const ContainerStatus& status = container.record().status;
  json::Document event(rapidjson::kObjectType);
  auto& alloc = event.GetAllocator();
  json::set(event, "event", "status", alloc);
  json::set(event, "params", to_json(status, alloc), alloc);
  broadcast(std::move(event));
  if (const auto waiting = starting_.find(container.spec().id); waiting != starting_.end()) {
    const auto [client, call] = waiting->second;
    starting_.erase(waiting);
    if (client != nullptr) reply(*client, call, result_of(status));
  }
  if (status.state != ContainerState::kExited) return;
  for (const auto& [session, owner] : container.sessions()) {
    for (Client& client : clients_) {
      if (&client == owner) send_session_end(client, session, status.exit_code);
    }
  }
  malloc_trim(0);
}

Status Shim::signal_container(const json::Value& params) {
  KNARR_ASSIGN(Container* const container, find(params));
  return container->signal(static_cast<int>(json::get_int(params, "signal")));
}

Status Shim::remove_container(const json::Value& params) {
  KNARR_ASSIGN(Container* const container, find(params));
  if (container->alive()) return Status(409, reason::kConflict, fmt::format("container {} is still running", container->spec().id));
  for (const Exec& exec : execs_) {
    if (exec.request.container == container->spec().id) (void)linux::signal_pidfd(exec.process.pidfd.get(), SIGKILL);
  }
  if (container->cgroup().valid()) (void)container->cgroup().remove();
  containers_.erase(container->spec().id);
  return write_state();
}

Status Shim::reopen_log(const json::Value& params) {
  KNARR_ASSIGN(Container* const container, find(params));
  return container->reopen_log();
}

Status Shim::exec(Client& client, int64_t call, const json::Value& params) {
  KNARR_ASSIGN(Container* const container, find(params));
  if (!container->running()) return bad_request(fmt::format("container {} is not running", container->spec().name));
  Exec exec;
  exec.request = from_json<ExecRequest>(params);
  exec.client = &client;
  exec.call = call;
  ProcessPlan plan(request_.spec, container->request(), exec.request.args, exec.request.terminal);
  plan.join_pidfd = container->pidfd();
  plan.device_filter = request_.device_filter;
  if (!request_.spec.host_pid) plan.pid_namespace = reaper_.pidfd ? reaper_.pidfd.get() : container->pidfd();
  plan.cgroup = &container->cgroup();
  if (!exec.request.terminal) {
    const auto add_pipe = [&](bool wanted, linux::UniqueFd& childs, bool input) -> Status {
      if (!wanted) return {};
      KNARR_ASSIGN(linux::Pipe pipe, linux::make_pipe());
      childs = std::move(input ? pipe.read : pipe.write);
      exec.client_ends.push_back(std::move(input ? pipe.write : pipe.read));
      return {};
    };
    KNARR_RETURN_IF_ERROR(add_pipe(exec.request.stdin_open, plan.streams.in, true));
    KNARR_RETURN_IF_ERROR(add_pipe(exec.request.stdout_open, plan.streams.out, false));
    KNARR_RETURN_IF_ERROR(add_pipe(exec.request.stderr_open, plan.streams.err, false));
  }
  KNARR_ASSIGN(exec.process, start_process(std::move(plan)));
  execs_.push_back(std::move(exec));
  const auto it = std::prev(execs_.end());
  return loop_->add(it->process.handshake.get(), EPOLLIN, [this, it](uint32_t) { on_exec_handshake(it); });
}

void Shim::on_exec_handshake(std::list<Exec>::iterator exec) {
  read_handshake(exec->process.handshake.get(), exec->handshake);
  if (!exec->handshake.ended) return;
  loop_->remove(exec->process.handshake.get());
  exec->process.handshake.reset();
  exec->started = exec->handshake.ready && exec->handshake.error.empty();
  if (!exec->started || exec->client == nullptr) return;  // one that failed is reaped in a moment, end_exec tells it then
  if (exec->handshake.terminal) exec->client_ends.push_back(std::move(exec->handshake.terminal));
  reply(*exec->client, exec->call, empty_result(), std::move(exec->client_ends));
}

void Shim::end_exec(std::list<Exec>::iterator exec, int code) {
  if (exec->process.handshake) {
    on_exec_handshake(exec);
    if (exec->process.handshake) loop_->remove(exec->process.handshake.get());
  }
  if (exec->client != nullptr) {
    if (exec->started) {
      send_session_end(*exec->client, exec->request.session, code);
    } else {
      const std::string& why = exec->handshake.error;
      reply_error(*exec->client, exec->call,
                  internal_error(fmt::format("unable to start container process: {}", why.empty() ? "it ended before its program was executed" : why)));
    }
  }
  execs_.erase(exec);
}

void Shim::send_session_end(Client& client, const std::string& session, int code) {
  json::Document event(rapidjson::kObjectType);
  auto& alloc = event.GetAllocator();
  json::set(event, "event", "sessionEnd", alloc);
  json::Value& params = json::set(event, "params", json::Value(rapidjson::kObjectType), alloc);
  json::set(params, "session", session, alloc);
  json::set(params, "exitCode", json::Value(code), alloc);
  client.channel->send(event);
}

Status Shim::attach(Client& client, int64_t call, const json::Value& params) {
  KNARR_ASSIGN(Container* const container, find(params));
  KNARR_ASSIGN(auto ends, container->attach(from_json<ExecRequest>(params), &client));
  reply(client, call, empty_result(), std::move(ends));
  return {};
}

Status Shim::close_session(Client& client, const json::Value& params) {
  const std::string session(json::get_string(params, "session"));
  for (Exec& exec : execs_) {
    if (exec.client == &client && exec.request.session == session) (void)linux::signal_pidfd(exec.process.pidfd.get(), SIGKILL);
  }
  for (auto& [id, container] : containers_) container->detach(session, &client);
  return {};
}

Status Shim::close_stdin(Client& client, const json::Value& params) {
  const std::string session(json::get_string(params, "session"));
  for (auto& [id, container] : containers_) container->close_stdin_once(session, &client);
  return {};
}

void Shim::on_children() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info) continue;
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == reaper_.pid) {
      reaper_.pid = 0;
      continue;
    }
    bool found = false;
    for (auto& [id, container] : containers_) {
      if (container->pid() != pid) continue;
      container->on_exit(status);
      found = true;
      break;
    }
    if (found) continue;
    for (auto exec = execs_.begin(); exec != execs_.end(); ++exec) {
      if (exec->process.pid != pid) continue;
      end_exec(exec, linux::decode_wait_status(status).shell_code());
      break;
    }
  }
  finish_if_empty();
}

void Shim::shut_down(Client& client, int64_t call) {
  stopping_ = true;
  stopper_ = &client;
  stop_call_ = call;
  for (auto& [id, container] : containers_) container->kill();
  for (Exec& exec : execs_) (void)linux::signal_pidfd(exec.process.pidfd.get(), SIGKILL);
  if (reaper_.pid > 0) (void)linux::signal_pidfd(reaper_.pidfd.get(), SIGKILL);
  if (cgroup_.valid()) (void)cgroup_.kill();
  finish_if_empty();
}

void Shim::finish_if_empty() {
  if (!stopping_ || !execs_.empty() || reaper_.pid > 0) return;
  for (const auto& [id, container] : containers_) {
    if (container->alive()) return;
  }
  if (cgroup_.valid()) {
    if (Status status = cgroup_.remove(); !status.ok()) log::warn("shim", "a cgroup is left", {{"error", status}});
  }
  if (!shm_path_.empty()) (void)linux::unmount(shm_path_);
  if (stopper_ != nullptr) {
    reply(*stopper_, stop_call_, empty_result());
    stopper_->channel->flush_blocking();
  }
  loop_->stop();
}

}  // namespace knarr::runtime
