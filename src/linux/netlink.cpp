#include "knarr/linux/netlink.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cassert>
#include <cerrno>
#include <cstring>

#include "knarr/linux/namespace.h"

namespace knarr::linux {

namespace {

constexpr size_t kReceiveBuffer = 64 << 10;  // the kernel fills dumps up to 32 kB
constexpr timeval kDeadline{10, 0};

// What an answer of type NLMSG_ERROR says: a negative errno and perhaps a sentence.
Status error_of(const nlmsghdr& header, std::string_view what) {
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) {
    return internal_error(fmt::format("{}: short netlink answer", what));
  }
  const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(&header));
  if (error->error == 0) return {};
  std::string explanation;
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
    // With NETLINK_CAP_ACK only the header of our message stands before the attributes.
    size_t offset = sizeof(nlmsgerr);
    if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) offset += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(nlmsghdr);
    if (NLMSG_LENGTH(offset) < header.nlmsg_len) {
      const char* attributes = reinterpret_cast<const char*>(error) + offset;
      explanation = NetlinkAttributes(attributes, header.nlmsg_len - NLMSG_LENGTH(offset)).text(NLMSGERR_ATTR_MSG);
    }
  }
  Status status =
      errno_status(-error->error, explanation.empty() ? std::string(what) : fmt::format("{} ({})", what, explanation));
  return error->error == -ENODEV ? not_found(status.message()) : status;
}

}  // namespace

NetlinkMessage::NetlinkMessage(uint16_t type, uint16_t flags, std::string what) : what_(std::move(what)) {
  nlmsghdr header{};
  header.nlmsg_len = sizeof header;
  header.nlmsg_type = type;
  header.nlmsg_flags = NLM_F_REQUEST | flags;
  append(&header, sizeof header);
}

// Everything goes through here, so the header's length is always that of the bytes.
void NetlinkMessage::append(const void* data, size_t size) {
  if (size > 0) bytes_.append(static_cast<const char*>(data), size);
  bytes_.resize(NLMSG_ALIGN(bytes_.size()), '\0');
  const auto length = static_cast<uint32_t>(bytes_.size());
  memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
}

NetlinkMessage& NetlinkMessage::attribute(uint16_t type, const void* data, size_t size) {
  nlattr header{};
  header.nla_len = static_cast<uint16_t>(sizeof header + size);
  header.nla_type = type;
  append(&header, sizeof header);
  if (size > 0) append(data, size);
  return *this;
}

NetlinkMessage& NetlinkMessage::text(uint16_t type, std::string_view value) {
  const std::string terminated(value);
  return attribute(type, terminated.c_str(), terminated.size() + 1);
}

NetlinkMessage& NetlinkMessage::be32(uint16_t type, uint32_t value) { return u32(type, htonl(value)); }

NetlinkMessage& NetlinkMessage::be64(uint16_t type, uint64_t value) {
  const uint32_t halves[] = {htonl(static_cast<uint32_t>(value >> 32)), htonl(static_cast<uint32_t>(value))};
  return attribute(type, halves, sizeof halves);
}

size_t NetlinkMessage::begin(uint16_t type) {
  const size_t token = bytes_.size();
  attribute(type | NLA_F_NESTED, nullptr, 0);
  return token;
}

NetlinkMessage& NetlinkMessage::end(size_t token) {
  assert(bytes_.size() - token <= UINT16_MAX);
  const auto length = static_cast<uint16_t>(bytes_.size() - token);
  memcpy(bytes_.data() + token + offsetof(nlattr, nla_len), &length, sizeof length);
  return *this;
}

uint16_t NetlinkMessage::flags() const {
  uint16_t flags;
  memcpy(&flags, bytes_.data() + offsetof(nlmsghdr, nlmsg_flags), sizeof flags);
  return flags;
}

void NetlinkMessage::set_sequence(uint32_t sequence) {
  memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
}

NetlinkAttributes::NetlinkAttributes(const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size >= sizeof(nlattr)) {
    nlattr header;
    memcpy(&header, at, sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > size) return;
    attributes_.emplace_back(header.nla_type & NLA_TYPE_MASK,
                             std::string_view(at + sizeof header, header.nla_len - sizeof header));
    const size_t step = NLA_ALIGN(header.nla_len);
    if (step >= size) return;
    at += step;
    size -= step;
  }
}

std::optional<std::string_view> NetlinkAttributes::find(uint16_t type) const {
  for (const auto& [found, value] : attributes_) {
    if (found == type) return value;
  }
  return {};
}

std::optional<uint32_t> NetlinkAttributes::u32(uint16_t type) const {
  auto value = find(type);
  if (!value || value->size() < sizeof(uint32_t)) return {};
  uint32_t number;
  memcpy(&number, value->data(), sizeof number);
  return number;
}

std::optional<uint32_t> NetlinkAttributes::be32(uint16_t type) const {
  auto number = u32(type);
  if (number) *number = ntohl(*number);
  return number;
}

std::string NetlinkAttributes::text(uint16_t type) const {
  auto value = find(type).value_or(std::string_view());
  return std::string(value.substr(0, value.find('\0')));
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return errno_status(errno, fmt::format("open a netlink socket of protocol {}", protocol));
  // Explanations and short answers are a comfort that old kernels lack; the deadline is not.
  const int on = 1;
  (void)setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kDeadline, sizeof kDeadline) != 0) {
    return errno_status(errno, "set the deadline of a netlink socket");
  }
  return NetlinkSocket(std::move(fd));
}

Result<NetlinkSocket> NetlinkSocket::open_in(int protocol, int netns_fd) {
  UniqueFd fd;
  KNARR_RETURN_IF_ERROR(in_network_namespace(netns_fd, [&]() -> Status {
    KNARR_ASSIGN(NetlinkSocket socket, open(protocol));
    fd = std::move(socket.fd_);
    return {};
  }));
  return NetlinkSocket(std::move(fd));
}

Status NetlinkSocket::send(std::string& bytes, std::string_view what) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (bytes.size() > 128 << 10) {
    const int size = static_cast<int>(bytes.size() * 2);
    (void)setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);  // without it send says EMSGSIZE
  }
  for (;;) {
    const auto sent =
        sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
    if (sent >= 0) return {};
    if (errno != EINTR) return errno_status(errno, fmt::format("{}: send to the kernel", what));
  }
}

Status NetlinkSocket::receive(std::string& buffer, std::string_view what) {
  buffer.resize(kReceiveBuffer);
  for (;;) {
    const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return timeout_error(fmt::format("{}: the kernel did not answer in 10 s", what));
    if (size < 0) return errno_status(errno, fmt::format("{}: read the kernel's answer", what));
    if (static_cast<size_t>(size) > buffer.size()) {
      return internal_error(fmt::format("{}: the kernel's answer of {} bytes does not fit", what, size));
    }
    buffer.resize(static_cast<size_t>(size));
    return {};
  }
}

Status NetlinkSocket::transact(std::span<NetlinkMessage> messages) {
  if (messages.empty()) return {};
  std::string bytes;
  const uint32_t first = sequence_ + 1;
  size_t waiting = 0;
  for (NetlinkMessage& message : messages) {
    message.set_sequence(++sequence_);
    if ((message.flags() & NLM_F_ACK) != 0) ++waiting;
    bytes += message.bytes();
  }
  KNARR_RETURN_IF_ERROR(send(bytes, messages.front().what()));

  Status result;
  while (waiting > 0) {
    KNARR_RETURN_IF_ERROR(receive(bytes, messages.front().what()));
    auto left = static_cast<uint32_t>(bytes.size());
    for (auto* header = reinterpret_cast<nlmsghdr*>(bytes.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_seq < first || header->nlmsg_seq > sequence_) continue;
      const NetlinkMessage& message = messages[header->nlmsg_seq - first];
      Status status = error_of(*header, message.what());
      // A batch that is refused as a whole is answered at its first message, which asked for no answer.
      if ((message.flags() & NLM_F_ACK) == 0 && !status.ok()) return result.ok() ? status : result;
      if (result.ok()) result = std::move(status);
      if ((message.flags() & NLM_F_ACK) != 0) --waiting;
    }
  }
  return result;
}

Status NetlinkSocket::query(NetlinkMessage message, const std::function<void(const nlmsghdr&)>& each) {
  message.set_sequence(++sequence_);
  std::string bytes(message.bytes());
  KNARR_RETURN_IF_ERROR(send(bytes, message.what()));
  for (;;) {
    KNARR_RETURN_IF_ERROR(receive(bytes, message.what()));
    auto left = static_cast<uint32_t>(bytes.size());
    for (auto* header = reinterpret_cast<nlmsghdr*>(bytes.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_seq != sequence_) continue;  // of an answer that came too late
      if (header->nlmsg_type == NLMSG_DONE) return {};
      if (header->nlmsg_type == NLMSG_ERROR) return error_of(*header, message.what());
      each(*header);
      if ((header->nlmsg_flags & NLM_F_MULTI) == 0) return {};
    }
  }
}

}  // namespace knarr::linux
