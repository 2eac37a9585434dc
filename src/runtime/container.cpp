#include "runtime/container.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "knarr/base/log.h"
#include "knarr/linux/devices.h"
#include "knarr/linux/process.h"
#include "knarr/linux/tree.h"
#include "runtime/limits.h"

namespace knarr::runtime {

namespace {

constexpr size_t kMaxPendingOutput = 1 << 20;
constexpr int kStartFailed = 128;  // the exit code that Kubernetes shows for a container that could not start

// null, zero, full, random, urandom; tty, console, ptmx and the terminals behind it; tun, which needs CAP_NET_ADMIN anyway.
constexpr linux::CharacterDevice kDevices[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}, {136, std::nullopt}, {10, 200}};

WallTime now() { return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()); }

}  // namespace

OutputSink::~OutputSink() { close(); }

void OutputSink::close() {
  if (watched_) loop_.remove(pipe_.get());
  watched_ = false;
  pipe_.reset();
  pending_.clear();
}

void OutputSink::write(std::string_view bytes) {
  if (!pipe_) return;
  if (pending_.size() + bytes.size() > kMaxPendingOutput) return close();
  pending_ += bytes;
  flush();
}

void OutputSink::flush() {
  size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t n = ::write(pipe_.get(), pending_.data() + done, pending_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return close();
    if (n < 0) break;
    done += static_cast<size_t>(n);
  }
  pending_.erase(0, done);
  if (pending_.empty() == !watched_) return;
  if (pending_.empty()) {
    loop_.remove(pipe_.get());
    watched_ = false;
  } else {
    watched_ = loop_.add(pipe_.get(), EPOLLOUT, [this](uint32_t) { flush(); }).ok();
    if (!watched_) close();
  }
}

Container::Container(linux::EventLoop& loop, ContainerRequest request, std::function<void(Container&)> on_change)
    : loop_(loop), request_(std::move(request)), on_change_(std::move(on_change)) {
  record_.status.id = spec().id;
  record_.status.name = spec().name;
  record_.status.attempt = spec().attempt;
  outputs_[0].stream = Stream::kStdout;
  outputs_[1].stream = Stream::kStderr;
}

Container::~Container() { drop_streams(); }

void Container::drop_streams() {
  if (process_.handshake) loop_.remove(process_.handshake.get());
  process_.handshake.reset();
  for (Output& output : outputs_) {
    if (output.fd) loop_.remove(output.fd.get());
    output.fd.reset();
  }
}

Status Container::start(const ContainerEnvironment& environment) {
  Status status = start_process(environment);
  if (!status.ok()) {
    drop_streams();
    fail(status.message());
  }
  return status;
}

Status Container::start_process(const ContainerEnvironment& environment) {
  const std::string directory = fmt::format("{}/containers/{}", environment.pod_directory, spec().id);
  for (const char* part : {"/upper", "/work", "/root"}) KNARR_RETURN_IF_ERROR(linux::make_directories(directory + part, 0755));
  if (!environment.pod.log_directory.empty()) {
    KNARR_ASSIGN(log_, LogWriter::open(fmt::format("{}/{}/{}.log", environment.pod.log_directory, spec().name, spec().attempt)));
  }
  if (!spec().termination_log.empty()) {
    const linux::UniqueFd file(open(spec().termination_log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!file || fchmod(file.get(), 0666) != 0) return errno_status(errno, fmt::format("make {}", spec().termination_log));
  }
  if (environment.pod_cgroup.valid()) {
    cgroup_ = linux::Cgroup(environment.pod_cgroup.directory() + "/" + spec().id);
    if (mkdir(cgroup_.directory().c_str(), 0755) != 0 && errno != EEXIST) return errno_status(errno, fmt::format("make cgroup {}", cgroup_.directory()));
    // A limit whose controller is missing here was told by the agent in a node condition; the others must hold.
    if (Status status = cgroup_.set(container_limits(spec().resources)); !status.ok() && !status.is(reason::kNotFound)) return status;
    if (environment.device_filter && !spec().security.privileged) KNARR_RETURN_IF_ERROR(linux::allow_only_devices(cgroup_, kDevices));
  }

  ProcessPlan plan(environment.pod, request_, spec().args, spec().terminal);
  plan.directory = directory;
  plan.pod_shm = environment.pod.host_ipc ? std::string() : environment.shm_path;
  plan.pod_shm_fd = environment.pod.host_ipc ? -1 : environment.shm_fd;
  plan.cgroup_v2 = !environment.cgroup_root.empty();
  plan.pid_namespace = environment.pid_namespace;
  shared_pid_namespace_ = environment.pod.host_pid || environment.pid_namespace >= 0;
  plan.new_pid_namespace = !shared_pid_namespace_;
  plan.cgroup = &cgroup_;
  plan.device_filter = environment.device_filter;
  plan.old_mount_ways = environment.old_mount_ways;
  if (!spec().terminal) {
    KNARR_ASSIGN(linux::Pipe out, linux::make_pipe());
    KNARR_ASSIGN(linux::Pipe err, linux::make_pipe());
    outputs_[0].fd = std::move(out.read);
    outputs_[1].fd = std::move(err.read);
    for (Output& output : outputs_) KNARR_RETURN_IF_ERROR(watch(output));
    plan.streams.out = std::move(out.write);
    plan.streams.err = std::move(err.write);
    if (spec().stdin_open) {
      KNARR_ASSIGN(linux::Pipe in, linux::make_pipe());
      plan.streams.in = std::move(in.read);
      stdin_ = std::move(in.write);
    }
  }
  KNARR_ASSIGN(process_, runtime::start_process(std::move(plan)));
  record_.status.pid = process_.pid;
  return loop_.add(process_.handshake.get(), EPOLLIN, [this](uint32_t) { on_handshake(); });
}

Status Container::watch(Output& output) {
  KNARR_RETURN_IF_ERROR(linux::set_nonblocking(output.fd.get()));
  return loop_.add(output.fd.get(), EPOLLIN, [this, &output](uint32_t) {
    // A few reads a turn: a container that floods its log must not keep the others waiting.
    for (int i = 0; i < 4 && output.fd && read_output(output); ++i) continue;
  });
}

void Container::on_handshake() {
  read_handshake(process_.handshake.get(), handshake_);
  if (!handshake_.ended) return;
  loop_.remove(process_.handshake.get());
  process_.handshake.reset();
  if (handshake_.ready && handshake_.error.empty()) on_started();
  // A child that failed is reaped in a moment; on_exit tells it then.
}

void Container::on_started() {
  if (handshake_.terminal) {
    auto copy = linux::duplicate(handshake_.terminal.get());
    terminal_ = std::move(handshake_.terminal);
    if (copy.ok()) outputs_[0].fd = std::move(*copy);
    if (!copy.ok() || !watch(outputs_[0]).ok()) log::error("shim", "a terminal's output is lost", {{"container", spec().name}});
  }
  record_.status.state = ContainerState::kRunning;
  record_.status.started_at = now();
  record_.start_time = linux::process_start_time(process_.pid).value_or(0);
  on_change_(*this);
}

void Container::fail(const std::string& message) {
  ContainerStatus& status = record_.status;
  status.state = ContainerState::kExited;
  status.pid = 0;
  status.exit_code = kStartFailed;
  status.reason = "StartError";
  status.message = "unable to start container process: " + message;
  status.started_at = status.finished_at = now();
  stdin_.reset();
  on_change_(*this);
}

void Container::on_exit(int wait_status) {
  if (process_.handshake) {  // it ended before its handshake was looked at
    on_handshake();
    if (process_.handshake) loop_.remove(process_.handshake.get());
    process_.handshake.reset();
  }
  process_.pid = 0;
  process_.pidfd.reset();
  const linux::ExitStatus exit = linux::decode_wait_status(wait_status);
  if (!running()) {
    drop_streams();
    std::string message = handshake_.error;
    if (message.empty()) message = fmt::format("it ended before its program was executed (signal {}, exit code {})", exit.signal, exit.code);
    return fail(message);
  }
  // What else ran in it has no reason to stay: with a pid namespace of its own the kernel has killed it already.
  if (shared_pid_namespace_ && cgroup_.valid()) (void)cgroup_.kill();
  for (Output& output : outputs_) {
    while (output.fd && read_output(output)) continue;
    // Somebody may hold the other end still (a shared pid namespace); what ends now is this container's log.
    if (output.fd) close_output(output);
  }
  stdin_.reset();
  terminal_.reset();

  ContainerStatus& status = record_.status;
  status.state = ContainerState::kExited;
  status.pid = 0;
  status.finished_at = now();
  status.exit_code = exit.shell_code();
  status.signal = exit.signal;
  status.oom_killed = cgroup_.valid() && cgroup_.oom_kills() > 0;
  status.reason = status.oom_killed ? "OOMKilled" : status.exit_code == 0 ? "Completed" : "Error";
  log_.reset();
  on_change_(*this);
  attachments_.clear();  // after it: whoever is attached is told first
}

bool Container::read_output(Output& output) {
  char buffer[32 * 1024];
  const ssize_t n = read(output.fd.get(), buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {  // the end, which a terminal tells as EIO
    close_output(output);
    return false;
  }
  const std::string_view bytes(buffer, static_cast<size_t>(n));
  if (log_) log_->write(output.stream, bytes);
  for (Attachment& attachment : attachments_) {
    auto& sink = output.stream == Stream::kStdout ? attachment.out : attachment.err;
    if (sink) sink->write(bytes);
  }
  return true;
}

void Container::close_output(Output& output) {
  loop_.remove(output.fd.get());
  output.fd.reset();
  if (log_) log_->finish(output.stream);
  for (Attachment& attachment : attachments_) (output.stream == Stream::kStdout ? attachment.out : attachment.err).reset();
}

Status Container::signal(int number) {
  if (!alive()) return {};
  Status status = linux::signal_pidfd(process_.pidfd.get(), number);
  return status.is(reason::kNotFound) ? Status::OK() : status;
}

void Container::kill() {
  if (alive()) (void)signal(SIGKILL);
  if (cgroup_.valid()) (void)cgroup_.kill();
}

Status Container::reopen_log() { return log_ ? log_->reopen() : Status::OK(); }

Result<std::vector<linux::UniqueFd>> Container::attach(const ExecRequest& request, const void* client) {
  if (!running()) return bad_request(fmt::format("container {} is not running", spec().name));
  std::vector<linux::UniqueFd> ends;
  Attachment attachment{request.session, client, false, nullptr, nullptr};
  if (request.stdin_open) {
    const linux::UniqueFd& source = terminal_ ? terminal_ : stdin_;
    if (!source) return bad_request(fmt::format("container {} has no stdin to attach to", spec().name));
    KNARR_ASSIGN(linux::UniqueFd copy, linux::duplicate(source.get()));
    ends.push_back(std::move(copy));
    attachment.with_stdin = true;
  }
  const auto add_sink = [&](std::unique_ptr<OutputSink>& sink) -> Status {
    KNARR_ASSIGN(linux::Pipe pipe, linux::make_pipe());
    KNARR_RETURN_IF_ERROR(linux::set_nonblocking(pipe.write.get()));
    sink = std::make_unique<OutputSink>(loop_, std::move(pipe.write));
    ends.push_back(std::move(pipe.read));
    return {};
  };
  if (request.stdout_open) KNARR_RETURN_IF_ERROR(add_sink(attachment.out));
  if (request.stderr_open && !terminal_) KNARR_RETURN_IF_ERROR(add_sink(attachment.err));
  if (terminal_) {  // by which the client sets the window's size
    KNARR_ASSIGN(linux::UniqueFd copy, linux::duplicate(terminal_.get()));
    ends.push_back(std::move(copy));
  }
  attachments_.push_back(std::move(attachment));
  return ends;
}

void Container::close_stdin_once(const std::string& session, const void* client) {
  for (const Attachment& attachment : attachments_) {
    if (attachment.session == session && attachment.client == client && attachment.with_stdin && spec().stdin_once) stdin_.reset();
  }
}

void Container::detach(const std::string& session, const void* client) {
  close_stdin_once(session, client);
  attachments_.remove_if([&](const Attachment& a) { return a.session == session && a.client == client; });
}

void Container::detach_all(const void* client) {
  for (const auto& [session, owner] : sessions()) {
    if (owner == client) detach(session, client);
  }
}

std::vector<std::pair<std::string, const void*>> Container::sessions() const {
  std::vector<std::pair<std::string, const void*>> result;
  for (const Attachment& attachment : attachments_) result.emplace_back(attachment.session, attachment.client);
  return result;
}

}  // namespace knarr::runtime
