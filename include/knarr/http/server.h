// The HTTPS server: accept, TLS, HTTP/1.1 and HTTP/2 for many connections on few threads.
//
// A few workers (about as many as cores) share one epoll: whichever is woken accepts, does a TLS step, or reads a
// request without blocking and, once it is whole, runs the handler and writes the answer; an idle connection costs
// neither a thread nor a buffer. Methods that change something (all but GET, HEAD and OPTIONS) run on a second pool,
// since they wait for the disk. A handler may take the connection over (watch, upgrade): afterwards the connection is
// the taker's. Sources: RFC 9110, RFC 9112.
//
// Over TLS a client may choose HTTP/2 (ALPN): many requests at a time share its connection, each with an answer or a watch
// of its own, and none of them holds up another one's. Sources: RFC 9113, RFC 7541, RFC 7301.
//
// While every worker is busy, what arrives is still read, and shown to the Gate, before the next handler runs: so that
// the requests that wait for a thread are all known and take turns by their lanes, and nobody's request stands behind all
// of those that another one sent before.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::http {

using Headers = std::vector<std::pair<std::string, std::string>>;  // names compare without case
using Query = std::vector<std::pair<std::string, std::string>>;    // decoded, in order

// The certificate that a client showed.
struct PeerCertificate {
  std::string common_name;
  std::vector<std::string> organizations;
  std::string sha256;   // hex, of the DER
  WallTime not_after{};
  std::string refusal;  // why it is not believed; "" when it was verified
};

struct Request {
  std::string method;  // upper case
  std::string target;  // as sent: /api/v1/pods?watch=1
  std::string path;    // decoded, without query
  Query query;
  Headers headers;
  std::string body;
  std::string remote_address;  // 10.0.0.7:51234
  std::optional<PeerCertificate> peer;  // verified, and still valid
  std::string peer_refusal;             // why the certificate that the client showed is not believed; "": it is, or there is none
  std::shared_ptr<void> context;  // what a Gate found out for the handler
  uint32_t lane = 0;              // set by a Gate: lanes take turns at being handled; 0 goes before all others

  std::string_view header(std::string_view name) const;                // "" when absent
  std::optional<std::string_view> param(std::string_view name) const;  // first value
  std::vector<std::string_view> params(std::string_view name) const;   // all values
  bool flag(std::string_view name) const;                              // present and not 0/false
};

// A byte stream that was taken over: a TCP connection, TLS or not. One thread may read while another writes.
class Stream {
 public:
  virtual ~Stream() = default;  // closes (TLS close_notify is tried, never waited for)
  // Blocking, with a deadline. read: bytes read, 0 at the end of the stream. write: all or an error.
  virtual Result<size_t> read(char* buffer, size_t size, std::optional<MonoTime> deadline = {}) = 0;
  virtual Status write(std::string_view bytes, std::optional<MonoTime> deadline = {}) = 0;
  // Half-close and abort. `abort` may be called from another thread: it makes blocked reads and writes fail.
  virtual void shutdown_write() = 0;
  virtual void abort() = 0;
  // Without blocking: bytes taken (0: would block, wait for fd() to become writable / readable).
  virtual Result<size_t> try_write(std::string_view bytes) = 0;
  virtual Result<size_t> try_read(char* buffer, size_t size, bool& end) = 0;
  virtual int fd() const = 0;
};

// Calls `gone` when the other side of a connection went away, from a thread that ends with it.
class HangupWatch {
 public:
  HangupWatch(int fd, std::function<void()> gone);
  ~HangupWatch();
  HangupWatch(const HangupWatch&) = delete;
  HangupWatch& operator=(const HangupWatch&) = delete;

 private:
  linux::UniqueFd stop_;
  std::thread thread_;
};

// A response whose body comes in chunks over time, sent by the server's pump thread without a thread of its own:
// watches. `Source::next` is called on a pump thread when the source was woken (and at first), until it answers kIdle.
class PumpSource {
 public:
  enum class More { kIdle, kAgain, kEnd };
  virtual ~PumpSource() = default;
  // Appends what is there to send to `out`, at most about `budget` bytes. kIdle: wait for wake(). kAgain: call again
  // when the socket took this. kEnd: send this and the last chunk, then close the stream.
  virtual More next(std::string& out, size_t budget) = 0;
  // When next() should be called at the latest, for time-outs and bookmarks.
  virtual std::optional<MonoTime> deadline() const { return {}; }
};

// Wakes sources cheaply: one call may wake thousands. Thread-safe; outlives the sources that hold it.
class Pump {
 public:
  virtual ~Pump() = default;
  // Wakes every source that was attached with this topic (for the API: the ResourceId). Never blocks.
  virtual void wake(uint32_t topic) = 0;
  virtual size_t size() const = 0;  // attached sources
};

// A body that is made while it is sent: a large one never stands in memory as a whole. Used by one thread at a time.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual size_t left() const = 0;  // bytes to come, exactly
  // The next bytes, as many as there is room for; fewer only at the end.
  virtual size_t read(char* out, size_t room) = 0;
};

// An answer that a thread of its handler's makes while time passes, status and headers included: what comes from somewhere
// else and is passed on. Used by one thread.
class Reply {
 public:
  virtual ~Reply() = default;
  // Once, before anything else. Headers that frame a message are left out, but for Content-Length; without one the body
  // is as long as it will be.
  virtual Status begin(int status, const Headers& headers) = 0;
  virtual Status write(std::string_view bytes) = 0;  // waits until the client takes it; to HEAD nothing is sent
  virtual void end() = 0;                            // that was all; without it the client sees that something is missing
  // `gone` is called, from some other thread and at most once, when the client goes away while this lives. Once.
  virtual void on_gone(std::function<void()> gone) = 0;
};

class Response {
 public:
  int status = 200;
  Headers headers;
  std::string body;
  std::shared_ptr<BodySource> source;  // instead of a body
  size_t body_size() const { return source ? source->left() : body.size(); }
  void make_body();  // of the source

  void set_header(std::string_view name, std::string_view value);  // replaces
  void add_header(std::string_view name, std::string_view value);

  // Instead of a body (each at most once, and then nothing else of this Response but status and headers counts):
  // Sends status and headers with chunked transfer encoding, then what the source gives, on the pump.
  void pump(uint32_t topic, std::unique_ptr<PumpSource> source);
  // Sends status and headers with chunked encoding, then runs `run` on a thread of its own; write() frames chunks.
  using Writer = std::function<Status(std::string_view chunk)>;
  void stream(std::function<void(const Writer& write, const std::function<bool()>& gone)> run);
  // Runs `run` on a thread of its own, which says status and headers, too.
  void reply(std::function<void(Reply&)> run);
  // Only on HTTP/1.1, where a client may ask for an upgrade; others get 400. Hands over the raw connection on a thread of
  // its own; nothing was written to it. `early`: bytes that the client sent after its request head.
  void take_over(std::function<void(std::unique_ptr<Stream> stream, std::string early)> run);

  // After stream() or take_over(): kept until what they run has ended.
  void hold(std::shared_ptr<const void> what);

  struct Takeover;
  std::shared_ptr<Takeover> takeover;  // set by the four above; the server's business
};

using Handler = std::function<void(const Request&, Response&)>;

// Says when a request that was read may be handled.
class Gate {
 public:
  virtual ~Gate() = default;
  enum class Verdict {
    kPass,      // the handler is called as soon as there is a thread for it
    kWait,      // it is called after `resume`; until then the request costs its memory and its connection, no thread
    kAnswered,  // it is not called: `response` is the answer
  };
  // On a polling thread, which it must not hold up. `resume` is called exactly once after kWait, from any thread, perhaps
  // before admit() has returned. Request and Response stay where they are until the handler is done with them.
  virtual Verdict admit(Request& request, Response& response, std::function<void()> resume) = 0;
  // The server stops: all who wait are let in, and from now on everybody at once.
  virtual void open() = 0;
};

struct TlsOptions {
  std::string certificate_file, key_file;  // PEM, with chain
  // Certificates are asked for and, when shown, must be signed by one of its authorities; "": not asked for.
  std::string client_ca_file;
};

struct ServerOptions {
  std::string address = "127.0.0.1";  // or "::", "0.0.0.0"
  int port = 0;                       // 0: one that is free
  std::optional<TlsOptions> tls;      // none: plain HTTP
  int workers = 0;                    // 0: cores, at least 2
  int writers = 0;                    // most threads for methods that change something; 0: 16
  size_t max_body = 3 << 20;          // larger requests get 413 (Kubernetes' limit)
  size_t max_header = 1 << 20;        // 431
  size_t max_connections = 16384;     // further ones wait in the backlog
  seconds idle_timeout{90};           // a connection without a request
  seconds header_timeout{15};         // from the first byte of a request to its last
  Gate* gate = nullptr;               // optional; outlives the server
  // Answers when the handler threw, the request was malformed or too large, as body of the given HTTP code.
  std::function<void(int code, std::string_view message, Response&)> error_body;
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler handler);
  virtual ~Server() = default;  // stop()

  virtual int port() const = 0;
  virtual Pump& pump() = 0;
  // New certificate files for new connections, for renewal while running.
  virtual Status reload_tls() = 0;
  // Stops accepting, lets running requests end until the deadline, closes everything.
  virtual void stop(milliseconds grace = milliseconds(2000)) = 0;

  struct Stats {
    size_t connections = 0, requests = 0, in_flight = 0, pumped = 0;
  };
  virtual Stats stats() const = 0;
};

}  // namespace knarr::http
