// What bench_watch's crowds of watchers share, over HTTP/1.1 and over HTTP/2.
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "bench/support.h"

namespace knarr::bench {

constexpr const char* kWatchPath = "/api/v1/namespaces/bench-watch/configmaps";
constexpr const char* kWatchQuery = "?watch=1&timeoutSeconds=600&fieldSelector=metadata.name%3Dwatched";
constexpr std::chrono::microseconds kAsk{200};  // how often the sockets are looked at while an event is under way
constexpr double kPatienceMs = 60'000;

// Ends the program.
[[noreturn]] void fail(const std::string& why);

// The stream of one watch, as its bytes come.
class Watch {
 public:
  // Takes what came; ends the program when an event was left out or came twice. Lines without an event, as the sizes of
  // chunks, are passed over.
  void take(std::string_view bytes);
  int seen() const { return seen_; }  // the last event, from 0

 private:
  std::string rest_;  // the beginning of a line
  int seen_ = -1;
};

// A connected socket and its TLS; moves, and closes itself.
struct Wire {
  int fd = -1;
  SSL* ssl = nullptr;

  Wire() = default;
  Wire(Wire&& other) noexcept : fd(std::exchange(other.fd, -1)), ssl(std::exchange(other.ssl, nullptr)) {}
  ~Wire();
};

// Opens connections to the server of --url with the certificate of --cert.
class Dialer {
 public:
  explicit Dialer(const Arguments& arguments);
  ~Dialer() { SSL_CTX_free(context_); }
  Dialer(const Dialer&) = delete;

  // `protocol`: what ALPN must agree on; "": it is not asked for. `receive_buffer`: of the socket; 0: as the kernel
  // likes. The handshake is over; the socket blocks.
  Wire open(std::string_view protocol = "", int receive_buffer = 0) const;

 private:
  sockaddr_in address_{};
  SSL_CTX* context_;
};

// Watchers of one object.
class Crowd {
 public:
  virtual ~Crowd() = default;
  // Waits until every watcher's socket holds the event; answers when the last one did.
  virtual MonoTime wait_arrived(int event) = 0;
  // Reads the event everywhere, and remembers how many bytes it had.
  virtual void read_event(int event) = 0;
  virtual size_t connections() const = 0;
};

// A connection for each watcher.
std::unique_ptr<Crowd> http1_crowd(const Dialer& dialer, int size);
// As many watchers on a connection as the server takes streams, at most `streams`.
std::unique_ptr<Crowd> http2_crowd(const Dialer& dialer, int size, int streams);

}  // namespace knarr::bench
