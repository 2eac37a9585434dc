// One client's connection between its requests, and the request that is being read. Owned by one thread at a time:
// whoever epoll (armed for one event) gave it to, until it is armed again.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "http/channel.h"
#include "http/message.h"
#include "knarr/base/sync.h"

namespace knarr::http {

// The limits of a request.
struct RequestLimits {
  size_t max_header, max_body;
};

// Cuts requests out of the bytes that arrive. Keeps nothing between requests.
class RequestReader {
 public:
  enum class State {
    kMore,     // give more bytes
    kRequest,  // take() has a request
    kError,    // error() says what to answer; the connection is of no more use
  };
  explicit RequestReader(RequestLimits limits) : limits_(limits) {}

  // Takes from the front of `in`; what follows the request stays.
  State feed(std::string& in);
  // After kMore: the client waits for "100 Continue". Says so once.
  bool wants_continue();
  bool between_requests() const { return !current_; }

  struct Taken {
    RequestHead head;  // its method, target and headers were moved to `request`
    Request request;
  };
  Taken take() { return std::move(*std::exchange(taken_, nullptr)); }
  const ParseError& error() const { return error_; }

 private:
  struct Current {
    RequestHead head;
    std::string body;
    ChunkDecoder chunks;
    bool continued = false;
  };
  State fail(ParseError error);
  State read_head(std::string& in);
  State read_body(std::string& in);

  RequestLimits limits_;
  size_t scanned_ = 0;
  std::unique_ptr<Current> current_;
  std::unique_ptr<Taken> taken_;
  ParseError error_;
};

// Says in a request whose certificate came with its connection. One may end while the connection goes on.
void identify(Request& request, const PeerCertificate* peer);

constexpr seconds kStallLimit{120};  // a client that watches and reads nothing for so long is cut off
constexpr seconds kLingerTime{5};
// Reads over what a client still sends after the last that we had to say; closing at once would reset the connection and
// lose that. false: it has ended, or was too much.
bool discard_input(int fd, size_t& discarded);

struct Connection {
  enum class State : uint8_t { kHandshake, kReading, kWriting, kLingering };

  Connection(Channel c, RequestLimits limits) : channel(std::move(c)), reader(limits) {}

  Channel channel;
  RequestReader reader;
  std::string in;       // received, not yet taken by the reader
  std::string out;      // of a response that the socket did not take at once
  size_t out_sent = 0;  // of `out`
  std::shared_ptr<BodySource> source;  // what follows `out`
  std::string remote_address;
  std::shared_ptr<const PeerCertificate> peer;
  State state = State::kReading;
  bool close_after_write = false, linger = false;
  bool timed = false;    // the deadline of the request that is being read is set
  size_t discarded = 0;  // while lingering

  // Held while the connection is armed. Whom epoll wakes takes it first, and so begins after the other has let go.
  Mutex hand_over;

  // Read by the thread that looks after deadlines, too.
  std::atomic<int64_t> deadline{INT64_MAX};  // nanoseconds of the monotonic clock; then the socket is shut down
  std::atomic<bool> idle{false};             // waits for a request
  size_t index = 0;                          // in the registry
};

}  // namespace knarr::http
