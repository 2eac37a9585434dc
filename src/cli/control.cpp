#include "cli/control.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "knarr/base/log.h"

namespace knarr::cli {

namespace {

constexpr size_t kMaxLine = 4096;
constexpr int kClientPatienceMs = 5000;  // for its one line

std::string control_path(const Instance& instance) { return instance.data_dir + "/control.sock"; }

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return bad_request(fmt::format("{}: the name of a socket may have at most {} characters; choose a shorter --data-dir", path, sizeof address.sun_path - 1));
  }
  path.copy(address.sun_path, path.size());
  return address;
}

// Up to and without the line's end; what there is when the other side ends or says nothing for too long.
std::string read_line(int fd, int patience_ms) {
  std::string line;
  char c;
  pollfd wait{fd, POLLIN, 0};
  while (line.size() < kMaxLine && poll(&wait, 1, patience_ms) == 1 && read(fd, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

void write_line(int fd, std::string line) {
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  line += '\n';
  (void)!send(fd, line.data(), line.size(), MSG_NOSIGNAL);
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::start(const Instance& instance, std::map<std::string, Action> actions) {
  const std::string path = control_path(instance);
  KNARR_ASSIGN(const sockaddr_un address, address_of(path));
  linux::UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  unlink(path.c_str());  // of a server that was killed: the lock says that there is no other
  // The mode that a socket has when it is bound becomes its file's: nobody else can ever connect.
  if (!listener || fchmod(listener.get(), 0600) != 0 || bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener.get(), 4) != 0) {
    return errno_status(errno, "listen on " + path);
  }
  linux::UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop) return errno_status(errno, "make an event descriptor");
  return std::unique_ptr<ControlServer>(new ControlServer(path, std::move(listener), std::move(stop), std::move(actions)));
}

ControlServer::ControlServer(std::string path, linux::UniqueFd listener, linux::UniqueFd stop, std::map<std::string, Action> actions)
    : path_(std::move(path)), listener_(std::move(listener)), stop_(std::move(stop)), actions_(std::move(actions)) {
  thread_ = std::thread([this] { loop(); });
}

ControlServer::~ControlServer() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
  unlink(path_.c_str());
}

void ControlServer::loop() {
  pollfd waits[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  for (;;) {
    if (poll(waits, 2, -1) < 0 && errno != EINTR) return log::error("server", "the control socket failed", {{"error", errno_status(errno, "poll")}});
    if (waits[1].revents) return;
    if (!waits[0].revents) continue;
    linux::UniqueFd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection) answer(connection.get());
  }
}

void ControlServer::answer(int connection) const {
  const std::string command = read_line(connection, kClientPatienceMs);
  const auto action = actions_.find(command);
  if (action == actions_.end()) return write_line(connection, fmt::format("error this server does not know \"{}\"; is it of another version?", command));
  log::info("server", "asked by a command", {{"command", command}});
  const auto result = action->second();
  write_line(connection, result.ok() ? "ok " + *result : fmt::format("error {}", result.status().message()));
}

Result<std::string> ask_server(const Instance& instance, const std::string& command) {
  const std::string path = control_path(instance);
  KNARR_ASSIGN(const sockaddr_un address, address_of(path));
  linux::UniqueFd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection || connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (error == ENOENT || error == ECONNREFUSED) {
      return not_found(fmt::format("no server runs with the data directory {}; start it first (--data-dir chooses another)", instance.data_dir));
    }
    return errno_status(error, "connect to " + path);
  }
  write_line(connection.get(), command);
  const std::string line = read_line(connection.get(), -1);
  if (line.starts_with("ok ")) return line.substr(3);
  if (line.starts_with("error ")) return internal_error(line.substr(6));
  return internal_error("the server ended before it answered; its log says more");
}

}  // namespace knarr::cli
