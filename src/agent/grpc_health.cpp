#include "agent/grpc_health.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "agent/dial.h"

namespace knarr::agent {

namespace grpc {

namespace {

enum FrameType : int { kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7 };
constexpr int kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8;
constexpr uint32_t kStream = 1;
constexpr size_t kFrameHead = 9, kMaxFrame = 1 << 14, kMaxMessage = 1 << 14;

void append_frame(std::string& out, FrameType type, int flags, uint32_t stream, std::string_view payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  for (int shift : {16, 8, 0}) out += static_cast<char>(size >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  out += payload;
}

// A string of HPACK, as it is; up to 126 bytes, and then in a second and third one, have their length in front.
void append_string(std::string& out, std::string_view text) {
  size_t size = text.size();
  if (size < 127) {
    out += static_cast<char>(size);
  } else {
    out += static_cast<char>(127);
    for (size -= 127; size >= 128; size /= 128) out += static_cast<char>(size % 128 + 128);
    out += static_cast<char>(size);
  }
  out += text;
}

// A header that is not remembered, whose name is one of the static table's first fifteen, or further behind.
void append_header(std::string& out, int name_index, std::string_view value) {
  if (name_index < 15) {
    out += static_cast<char>(name_index);
  } else {
    out += static_cast<char>(15);
    out += static_cast<char>(name_index - 15);
  }
  append_string(out, value);
}

std::string_view view_of(std::string_view text, size_t from, size_t count) { return text.substr(std::min(from, text.size()), count); }

}  // namespace

std::string health_request(const std::string& authority, const std::string& service) {
  constexpr int kAuthority = 1, kPath = 4, kContentType = 31, kUserAgent = 58;
  std::string headers;
  headers += static_cast<char>(0x80 | 3);  // :method POST
  headers += static_cast<char>(0x80 | 6);  // :scheme http
  append_header(headers, kPath, "/grpc.health.v1.Health/Check");
  append_header(headers, kAuthority, authority);
  append_header(headers, kContentType, "application/grpc");
  append_header(headers, kUserAgent, "kube-probe/1.36");
  headers += '\0';  // a name of its own
  append_string(headers, "te");
  append_string(headers, "trailers");

  std::string message;  // HealthCheckRequest: field 1, the service
  if (!service.empty()) {
    message += '\x0a';
    size_t size = service.size();
    for (; size >= 128; size /= 128) message += static_cast<char>(size % 128 + 128);
    message += static_cast<char>(size);
    message += service;
  }
  std::string data(1, '\0');  // not compressed
  for (int shift : {24, 16, 8, 0}) data += static_cast<char>(message.size() >> shift);
  data += message;

  std::string out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  append_frame(out, kSettings, 0, 0, "");
  append_frame(out, kHeaders, kEndHeaders, kStream, headers);
  append_frame(out, kData, kEndStream, kStream, data);
  return out;
}

Result<std::string> HealthAnswer::feed(std::string_view bytes) {
  pending_ += bytes;
  std::string reply;
  while (pending_.size() >= kFrameHead && !complete()) {
    const auto byte = [this](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(pending_[i])); };
    const size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (size > kMaxFrame) return bad_request("the server does not speak HTTP/2");
    if (pending_.size() < kFrameHead + size) break;
    const uint32_t stream = (byte(5) & 0x7f) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
    const std::string payload = pending_.substr(kFrameHead, size);
    const auto type = static_cast<int>(byte(3)), flags = static_cast<int>(byte(4));
    pending_.erase(0, kFrameHead + size);
    KNARR_RETURN_IF_ERROR(take_frame(type, flags, stream, payload, reply));
  }
  return reply;
}

Status HealthAnswer::take_frame(int type, int flags, uint32_t stream, std::string_view payload, std::string& reply) {
  if (type == kSettings && !(flags & kAck)) append_frame(reply, kSettings, kAck, 0, "");
  if (type == kPing && !(flags & kAck)) append_frame(reply, kPing, kAck, 0, payload);
  if (type == kGoAway) return unavailable("the server closed the connection");
  if (stream != kStream) return {};
  if (type == kReset) return unavailable("the server cancelled the call");
  if (type == kData) {
    if (flags & kPadded && !payload.empty()) {
      const size_t padding = static_cast<unsigned char>(payload[0]);
      payload.remove_prefix(1);
      payload.remove_suffix(std::min(padding, payload.size()));
    }
    if (message_.size() + payload.size() > kMaxMessage) return bad_request("the answer is too long");
    message_ += payload;
    read_message();
  }
  if ((type == kData || type == kHeaders) && flags & kEndStream) ended_ = true;
  return {};
}

// HealthCheckResponse: field 1 is the status; without it, 0 (UNKNOWN).
void HealthAnswer::read_message() {
  constexpr size_t kPrefix = 5;
  if (message_.size() < kPrefix) return;
  size_t size = 0;
  for (size_t i = 1; i < kPrefix; ++i) size = size << 8 | static_cast<unsigned char>(message_[i]);
  if (message_.size() < kPrefix + size) return;
  const std::string_view body = view_of(message_, kPrefix, size);
  status_ = body.size() >= 2 && body[0] == 8 ? static_cast<unsigned char>(body[1]) : 0;
}

}  // namespace grpc

namespace {

std::string_view status_name(int status) {
  constexpr std::array<std::string_view, 4> kNames = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  return status >= 0 && status < static_cast<int>(kNames.size()) ? kNames[static_cast<size_t>(status)] : "UNKNOWN";
}

Status write_all(int fd, std::string_view data, MonoTime deadline) {
  while (!data.empty()) {
    const ssize_t n = write(fd, data.data(), data.size());
    if (n > 0) {
      data.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return errno_status(errno, "write");
    pollfd wait{fd, POLLOUT, 0};
    if (poll(&wait, 1, remaining_ms(deadline)) == 0) return timeout_error("i/o timeout");
  }
  return {};
}

Result<grpc::HealthAnswer> call(int fd, std::string_view request, MonoTime deadline) {
  KNARR_RETURN_IF_ERROR(write_all(fd, request, deadline));
  grpc::HealthAnswer answer;
  std::array<char, 4096> buffer;
  while (!answer.complete()) {
    pollfd wait{fd, POLLIN, 0};
    const int ready = poll(&wait, 1, remaining_ms(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return timeout_error("i/o timeout");
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return errno_status(errno, "read");
    if (n == 0) return unavailable("the server closed the connection");
    KNARR_ASSIGN(const std::string reply, answer.feed({buffer.data(), static_cast<size_t>(n)}));
    KNARR_RETURN_IF_ERROR(write_all(fd, reply, deadline));
  }
  return answer;
}

}  // namespace

HandlerResult check_grpc_health(const std::string& host, int port, const std::string& service, milliseconds limit) {
  const MonoTime deadline = Clock::system().mono() + limit;
  const std::string address = host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
  const auto fd = connect_tcp(host, port, deadline);
  if (!fd.ok() && fd.status().is(reason::kTimeout))
    return {false, fmt::format("timeout: failed to connect service \"{}\" within {}ms: {}", address, limit.count(), fd.status().message())};
  if (!fd.ok()) return {false, fmt::format("error: failed to connect service at \"{}\": {}", address, fd.status().message())};
  const auto answer = call(fd->get(), grpc::health_request(address, service), deadline);
  if (!answer.ok() && answer.status().is(reason::kTimeout))
    return {false, fmt::format("timeout: health rpc did not complete within {}ms", limit.count())};
  if (!answer.ok()) return {false, fmt::format("error: health rpc probe failed: {}", answer.status().message())};
  if (!answer->status())
    return {false, "error: health rpc probe failed: the server did not answer the call; does it implement grpc.health.v1.Health and know the service?"};
  if (*answer->status() == 1) return {true, "service healthy"};
  return {false, fmt::format("service unhealthy (responded with \"{}\")", status_name(*answer->status()))};
}

}  // namespace knarr::agent
