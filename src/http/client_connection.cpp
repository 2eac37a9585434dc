#include "http/client_connection.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "http/stream.h"

namespace knarr::http {

namespace {

constexpr size_t kMaxHead = 1 << 20;
constexpr size_t kReadSize = 32 << 10;

void set_option(int fd, int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); }

void set_up_socket(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // A server that is gone without a word, or our own address that is, is noticed within 45 seconds, idle or not.
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 45'000);
}

Status connect_one(int fd, const addrinfo& address, MonoTime deadline) {
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return {};
  if (errno != EINPROGRESS && errno != EINTR) return unavailable(std::generic_category().message(errno));
  KNARR_RETURN_IF_ERROR(wait_fd(fd, POLLOUT, deadline));
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error ? unavailable(std::generic_category().message(error)) : Status();
}

}  // namespace

std::string Url::authority() const {
  std::string name = host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
  return port == (tls ? "443" : "80") ? name : fmt::format("{}:{}", name, port);
}

Result<Url> parse_url(std::string_view text) {
  const auto bad = [&](std::string_view why) { return bad_request(fmt::format("the URL \"{}\" {}", text, why)); };
  Url url;
  std::string_view rest = text;
  if (rest.substr(0, 8) == "https://") {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.substr(0, 7) == "http://") {
    rest.remove_prefix(7);
  } else {
    return bad("must begin with https:// or http://");
  }
  size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) url.prefix = rest.substr(slash);
  while (!url.prefix.empty() && url.prefix.back() == '/') url.prefix.pop_back();
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    size_t end = authority.find(']');
    if (end == std::string_view::npos) return bad("has an IPv6 address without its closing bracket");
    url.host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
    if (!authority.empty() && authority.front() != ':')
      return bad("has something other than a port behind its address");
    if (!authority.empty()) port = authority.substr(1);
  } else {
    size_t colon = authority.find(':');
    url.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
  }
  const auto valid = [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '@' && c != '?' && c != '#';
  };
  if (url.host.empty() || !std::all_of(url.host.begin(), url.host.end(), valid)) return bad("has no valid host");
  if (port.size() > 5 || !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return bad("has no valid port");
  url.port = port.empty() ? (url.tls ? "443" : "80") : std::string(port);
  return url;
}

void CancelImpl::cancel() {
  Lock lock(mutex_);
  cancelled_ = true;
  if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

bool CancelImpl::cancelled() const {
  Lock lock(mutex_);
  return cancelled_;
}

void CancelImpl::attach(int fd) {
  Lock lock(mutex_);
  fd_ = fd;
  if (cancelled_) ::shutdown(fd_, SHUT_RDWR);
}

void CancelImpl::detach() {
  Lock lock(mutex_);
  fd_ = -1;
}

std::shared_ptr<Client::Cancel> Client::make_cancel() { return std::make_shared<CancelImpl>(); }

ClientConnection::ClientConnection(Channel channel, std::string peer)
    : channel_(std::move(channel)), peer_(std::move(peer)) {}

ClientConnection::~ClientConnection() {
  set_cancel(nullptr);
  channel_.close();
}

void ClientConnection::set_cancel(std::shared_ptr<CancelImpl> cancel) {
  if (cancel_) cancel_->detach();
  cancel_ = std::move(cancel);
  if (cancel_) cancel_->attach(channel_.fd());
}

Result<std::unique_ptr<ClientConnection>> ClientConnection::connect(const Url& url, SSL_CTX* tls,
                                                                    const std::string& server_name, MonoTime deadline,
                                                                    std::shared_ptr<CancelImpl> cancel) {
  const std::string peer = fmt::format("{}://{}", url.tls ? "https" : "http", url.authority());
  const std::string what = fmt::format("connect to {}", peer);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(url.host.c_str(), url.port.c_str(), &hints, &found))
    return unavailable(fmt::format("{}: {}", what, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  Status failure = unavailable(fmt::format("{}: the name has no address", what));
  for (const addrinfo* address = found; address; address = address->ai_next) {
    linux::UniqueFd fd(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
      failure = errno_status(errno, what);
      continue;
    }
    set_up_socket(fd.get());
    std::unique_ptr<ClientConnection> connection(new ClientConnection(Channel(std::move(fd), nullptr), peer));
    connection->set_cancel(cancel);
    failure = connect_one(connection->channel_.fd(), *address, deadline);
    if (!failure.ok()) {
      failure.with_context(what);
      continue;
    }
    if (tls) {
      KNARR_ASSIGN(SslPtr ssl, make_client_ssl(tls, connection->channel_.fd(), server_name));
      connection->channel_.start_tls(std::move(ssl));
      KNARR_RETURN_IF_ERROR(connection->shake_hands(deadline).with_context(what));
    }
    return connection;
  }
  return failure;
}

Status ClientConnection::shake_hands(MonoTime deadline) {
  for (;;) {
    switch (channel_.handshake()) {
      case Io::kDone:
        return {};
      case Io::kWantRead:
        KNARR_RETURN_IF_ERROR(wait_fd(channel_.fd(), POLLIN, deadline));
        break;
      case Io::kWantWrite:
        KNARR_RETURN_IF_ERROR(wait_fd(channel_.fd(), POLLOUT, deadline));
        break;
      case Io::kEnd:
        return unavailable("TLS handshake: the connection was closed");
      case Io::kError: {
        const long verified = SSL_get_verify_result(channel_.ssl());
        if (verified != X509_V_OK)
          return unavailable(
              fmt::format("the server's certificate is not trusted: {}", X509_verify_cert_error_string(verified)));
        return unavailable(fmt::format("TLS handshake: {}", channel_.error_text()));
      }
    }
  }
}

bool ClientConnection::still_open() const {
  pollfd entry{channel_.fd(), POLLIN | POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) == 0;
}

Status ClientConnection::write(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    size_t took = 0;
    const Io io = channel_.write(bytes, took);
    bytes.remove_prefix(took);
    if (io == Io::kError || io == Io::kEnd)
      return unavailable(fmt::format("send a request to {}: {}", peer_, channel_.error_text()));
    if (io != Io::kDone)
      KNARR_RETURN_IF_ERROR(wait_fd(channel_.fd(), io == Io::kWantRead ? POLLIN : POLLOUT, deadline)
                                .with_context(fmt::format("send a request to {}", peer_)));
  }
  return {};
}

Result<bool> ClientConnection::fill(Deadline deadline) {
  std::array<char, kReadSize> buffer;
  for (;;) {
    size_t got = 0;
    const Io io = channel_.read(buffer.data(), buffer.size(), got);
    if (io == Io::kDone) {
      buffer_.append(buffer.data(), got);
      received_any_ = true;
      return true;
    }
    if (io == Io::kEnd) return false;
    if (io == Io::kError) return unavailable(fmt::format("read the answer of {}: {}", peer_, channel_.error_text()));
    KNARR_RETURN_IF_ERROR(wait_fd(channel_.fd(), io == Io::kWantWrite ? POLLOUT : POLLIN, deadline)
                              .with_context(fmt::format("read the answer of {}", peer_)));
  }
}

Result<ResponseHead> ClientConnection::read_head(std::string_view method, Deadline deadline) {
  size_t scanned = 0;
  for (;;) {
    const size_t end = find_head_end(buffer_, scanned);
    if (std::min(end, buffer_.size()) > kMaxHead)
      return internal_error(fmt::format("read the answer of {}: its headers are too large", peer_));
    if (end == std::string::npos) {
      KNARR_ASSIGN(const bool more, fill(deadline));
      if (!more)
        return unavailable(fmt::format("read the answer of {}: the connection was closed before it came", peer_));
      continue;
    }
    ResponseHead head;
    const ParseError error = parse_response_head(std::string_view(buffer_).substr(0, end), method, head);
    if (error.code) return internal_error(fmt::format("read the answer of {}: {}", peer_, error.message));
    buffer_.erase(0, end);
    scanned = 0;
    if (head.status >= 200 || head.status == 101) return head;
  }
}

Status ClientConnection::read_body(const ResponseHead& head, Deadline deadline,
                                   const std::function<bool(std::string_view)>& take, bool& stopped) {
  const auto cut = [&] {
    return unavailable(fmt::format("read the answer of {}: the connection was closed in the middle", peer_));
  };
  const auto pass = [&](std::string_view piece) {
    if (!piece.empty() && !take(piece)) stopped = true;
  };
  stopped = false;
  if (head.framing == Framing::kChunked) {
    ChunkDecoder decoder;
    std::string piece;
    for (;;) {
      std::string_view rest = buffer_;
      piece.clear();
      const auto state = decoder.feed(rest, piece, std::string::npos);
      buffer_.erase(0, buffer_.size() - rest.size());
      pass(piece);
      if (stopped || state == ChunkDecoder::State::kDone) return {};
      if (state != ChunkDecoder::State::kMore)
        return internal_error(fmt::format("read the answer of {}: its chunks are malformed", peer_));
      KNARR_ASSIGN(const bool more, fill(deadline));
      if (!more) return cut();
    }
  }
  if (head.framing == Framing::kNone) return {};
  uint64_t left = head.framing == Framing::kLength ? head.content_length : UINT64_MAX;
  while (left > 0) {
    if (buffer_.empty()) {
      KNARR_ASSIGN(const bool more, fill(deadline));
      if (!more) return head.framing == Framing::kLength ? cut() : Status();
    }
    const size_t size = static_cast<size_t>(std::min<uint64_t>(left, buffer_.size()));
    pass(std::string_view(buffer_).substr(0, size));
    buffer_.erase(0, size);
    left -= size;
    if (stopped) return {};
  }
  return {};
}

std::unique_ptr<Stream> ClientConnection::release(std::string& early) {
  set_cancel(nullptr);
  early = std::move(buffer_);
  return make_stream(std::move(channel_), nullptr);
}

}  // namespace knarr::http
