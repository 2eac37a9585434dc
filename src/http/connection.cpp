#include "http/connection.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace knarr::http {

namespace {

constexpr size_t kDiscardAtOnce = 32 << 10;
constexpr size_t kMaxDiscard = 16 << 20;

}  // namespace

void identify(Request& request, const PeerCertificate* peer) {
  if (!peer) return;
  if (!peer->refusal.empty()) {
    request.peer_refusal = peer->refusal;
  } else if (peer->not_after < Clock::system().wall()) {
    request.peer_refusal = "certificate has expired";
  } else {
    request.peer = *peer;
  }
}

bool discard_input(int fd, size_t& discarded) {
  std::array<char, kDiscardAtOnce> buffer;
  while (discarded < kMaxDiscard) {
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);  // beneath TLS
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (n <= 0) return false;
    discarded += static_cast<size_t>(n);
  }
  return false;
}

RequestReader::State RequestReader::fail(ParseError error) {
  error_ = error;
  current_.reset();
  return State::kError;
}

RequestReader::State RequestReader::feed(std::string& in) {
  if (!current_) {
    if (State state = read_head(in); state != State::kRequest) return state;
  }
  if (State state = read_body(in); state != State::kRequest) return state;
  taken_ = std::make_unique<Taken>();
  taken_->request.body = std::move(current_->body);
  taken_->head = std::move(current_->head);
  current_.reset();
  if (ParseError error = fill_request(taken_->head, taken_->request); error.code) return fail(error);
  return State::kRequest;
}

// kRequest: the head is whole and in current_.
RequestReader::State RequestReader::read_head(std::string& in) {
  if (scanned_ == 0) {  // empty lines in front of a request are old clients' custom
    size_t begin = 0;
    while (in.compare(begin, 2, "\r\n") == 0) begin += 2;
    in.erase(0, begin);
  }
  const size_t end = find_head_end(in, scanned_);
  if (std::min(end, in.size()) > limits_.max_header)
    return fail({431, "the request's headers are larger than this server takes"});
  if (end == std::string::npos) return State::kMore;
  scanned_ = 0;
  current_ = std::make_unique<Current>();
  RequestHead& head = current_->head;
  if (ParseError error = parse_request_head(std::string_view(in).substr(0, end), head); error.code) return fail(error);
  in.erase(0, end);
  if (head.framing == Framing::kLength && head.content_length > limits_.max_body)
    return fail({413, "the request's body is larger than this server takes"});
  return State::kRequest;
}

// kRequest: the body is whole.
RequestReader::State RequestReader::read_body(std::string& in) {
  Current& current = *current_;
  if (current.head.framing == Framing::kLength) {
    const size_t missing = current.head.content_length - current.body.size();
    if (current.body.empty() && in.size() == missing) {
      current.body.swap(in);
    } else {
      const size_t take = std::min(missing, in.size());
      current.body.append(in, 0, take);
      in.erase(0, take);
    }
    return current.body.size() < current.head.content_length ? State::kMore : State::kRequest;
  }
  if (current.head.framing == Framing::kChunked) {
    std::string_view rest = in;
    const auto state = current.chunks.feed(rest, current.body, limits_.max_body);
    in.erase(0, in.size() - rest.size());
    switch (state) {
      case ChunkDecoder::State::kMore:
        return State::kMore;
      case ChunkDecoder::State::kDone:
        return State::kRequest;
      case ChunkDecoder::State::kBad:
        return fail({400, "the request's chunked body is malformed"});
      case ChunkDecoder::State::kTooLarge:
        return fail({413, "the request's body is larger than this server takes"});
    }
  }
  return State::kRequest;
}

bool RequestReader::wants_continue() {
  if (!current_ || !current_->head.expects_continue || current_->continued || !current_->body.empty()) return false;
  current_->continued = true;
  return true;
}

}  // namespace knarr::http
