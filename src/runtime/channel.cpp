#include "runtime/channel.h"

#include <unistd.h>

#include <cstring>

#include "knarr/base/log.h"

namespace knarr::runtime {

namespace {

constexpr size_t kHeader = 8;
constexpr uint32_t kMaxText = 16 << 20;
constexpr uint32_t kMaxFds = 8;

std::string frame(const json::Value& body, size_t fds) {
  std::string bytes(kHeader, '\0');
  json::append(bytes, body);
  const uint32_t header[2] = {static_cast<uint32_t>(bytes.size() - kHeader), static_cast<uint32_t>(fds)};
  std::memcpy(bytes.data(), header, sizeof header);
  return bytes;
}

uint32_t read_number(const char* at) {
  uint32_t number;
  std::memcpy(&number, at, sizeof number);
  return number;
}

}  // namespace

Channel::Channel(linux::EventLoop& loop, linux::UniqueFd socket, std::function<void(Message)> on_message, std::function<void()> on_close)
    : loop_(loop), socket_(std::move(socket)), on_message_(std::move(on_message)), on_close_(std::move(on_close)) {}

Channel::~Channel() {
  *alive_ = false;
  if (socket_) loop_.remove(socket_.get());
}

Status Channel::start() {
  KNARR_RETURN_IF_ERROR(linux::set_nonblocking(socket_.get()));
  return loop_.add(socket_.get(), EPOLLIN, [this](uint32_t events) { on_event(events); });
}

void Channel::send(const json::Value& body, std::vector<linux::UniqueFd> fds) {
  if (!socket_) return;
  std::string bytes = frame(body, fds.size());
  pending_.push_back({std::move(bytes), 0, std::move(fds)});
  // A broken socket is noticed by the loop, which then calls on_close; not in here, under the caller's feet.
  if (pending_.size() == 1 && flush() && !pending_.empty()) (void)loop_.modify(socket_.get(), EPOLLIN | EPOLLOUT);
}

bool Channel::flush() {
  while (!pending_.empty()) {
    Outgoing& out = pending_.front();
    std::vector<int> fds;
    for (const auto& fd : out.fds) fds.push_back(fd.get());
    const auto sent = linux::send_with_fds(socket_.get(), std::string_view(out.bytes).substr(out.sent), fds);
    if (!sent.ok()) return false;
    if (*sent == 0) return true;
    out.fds.clear();
    out.sent += *sent;
    if (out.sent == out.bytes.size()) pending_.pop_front();
  }
  return true;
}

void Channel::flush_blocking() {
  if (socket_ && linux::set_nonblocking(socket_.get(), false).ok()) (void)flush();
}

void Channel::on_event(uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    if (!flush()) return close();
    if (pending_.empty()) (void)loop_.modify(socket_.get(), EPOLLIN);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
}

void Channel::receive() {
  char buffer[16384];
  for (;;) {
    auto received = linux::receive_with_fds(socket_.get(), buffer, sizeof buffer);
    if (!received.ok() || received->state == linux::Received::kEnd) return close();
    if (received->state == linux::Received::kWouldBlock) break;
    input_.append(buffer, received->bytes);
    for (auto& fd : received->fds) input_fds_.push_back(std::move(fd));
    if (!deliver()) return;
    if (received->bytes < sizeof buffer && received->fds.empty()) break;
  }
  if (input_.empty()) input_.shrink_to_fit();
}

bool Channel::deliver() {
  size_t at = 0;
  const auto alive = alive_;
  while (input_.size() - at >= kHeader) {
    const uint32_t size = read_number(input_.data() + at), fds = read_number(input_.data() + at + 4);
    if (size > kMaxText || fds > kMaxFds) {
      log::error("runtime", "a message of an impossible size, the connection is closed", {{"bytes", size}, {"descriptors", fds}});
      close();
      return false;
    }
    if (input_.size() - at - kHeader < size) break;
    auto body = json::parse(std::string_view(input_).substr(at + kHeader, size));
    at += kHeader + size;
    if (!body.ok() || input_fds_.size() < fds) {
      log::error("runtime", "a message that cannot be read, the connection is closed", {{"error", body.status()}});
      close();
      return false;
    }
    Message message{std::move(*body), {}};
    for (uint32_t i = 0; i < fds; ++i) {
      message.fds.push_back(std::move(input_fds_.front()));
      input_fds_.pop_front();
    }
    on_message_(std::move(message));
    if (!*alive || !socket_) return false;
  }
  input_.erase(0, at);
  return true;
}

void Channel::close() {
  if (!socket_) return;
  loop_.remove(socket_.get());
  socket_.reset();
  pending_.clear();
  const auto on_close = std::move(on_close_);
  if (on_close) on_close();
}

Status send_message(int socket, const json::Value& body, std::span<const int> fds) {
  const std::string bytes = frame(body, fds.size());
  for (size_t at = 0; at < bytes.size();) {
    KNARR_ASSIGN(const size_t sent, linux::send_with_fds(socket, std::string_view(bytes).substr(at), at == 0 ? fds : std::span<const int>()));
    at += sent;
  }
  return {};
}

json::Document make_error(int64_t id, const Status& status) {
  json::Document document(rapidjson::kObjectType);
  auto& alloc = document.GetAllocator();
  json::set(document, "id", json::Value(id), alloc);
  json::Value error(rapidjson::kObjectType);
  json::set(error, "code", json::Value(status.code()), alloc);
  json::set(error, "reason", status.reason(), alloc);
  json::set(error, "message", status.message(), alloc);
  json::set(document, "error", std::move(error), alloc);
  return document;
}

Status read_error(const json::Value& body) {
  const json::Value* error = json::find(body, "error");
  if (error == nullptr) return {};
  return Status(static_cast<int>(json::get_int(*error, "code", 500)), json::get_string(*error, "reason"),
                std::string(json::get_string(*error, "message")));
}

}  // namespace knarr::runtime
