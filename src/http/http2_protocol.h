// One connection's HTTP/2 as bytes, by libnghttp2: what came in becomes requests, what is answered becomes frames. Knows
// neither socket nor lock nor clock; one thread at a time. Sources: RFC 9113, RFC 7541.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/connection.h"

struct nghttp2_session;

namespace knarr::http {

class Http2Protocol {
 public:
  static constexpr uint32_t kMaxStreams = 100;  // of one connection at a time, as upstream

  // A request that is whole, or what is wrong with one.
  struct Arrival {
    int32_t stream = 0;
    Request request;
    ParseError error;
  };
  // How long a stream may stand still. One that is appended to by somebody who waits for its client may for ever, as on
  // HTTP/1.1: people stop reading logs for a while.
  struct Patience {
    int64_t request, answer, watch;  // nanoseconds
  };

  explicit Http2Protocol(RequestLimits limits);
  ~Http2Protocol();
  Http2Protocol(const Http2Protocol&) = delete;
  Http2Protocol& operator=(const Http2Protocol&) = delete;

  void set_time(int64_t now) { now_ = now; }  // nanoseconds, for what follows

  // false: the connection is of no more use, once what it still has to say is sent.
  bool feed(std::string_view bytes);
  std::vector<Arrival> take_arrivals() { return std::exchange(arrivals_, {}); }

  // Appends frames to `out` until it holds `enough` or there are no more. false: as of feed().
  bool produce(std::string& out, size_t enough);
  bool over() const;  // nothing more is to be read or sent

  bool is_open(int32_t stream) const { return streams_.contains(stream); }
  size_t open_streams() const { return streams_.size(); }

  // The answers. A stream that is closed takes everything and does nothing.
  void respond(int32_t stream, Response& response, bool is_head);
  void open_body(int32_t stream, Response& response);  // status and headers; append() and end() follow
  void append(int32_t stream, std::string_view bytes);
  void end(int32_t stream);
  void reset(int32_t stream);  // tells the client that something is missing
  size_t unsent(int32_t stream) const;  // appended, not yet made into frames

  // A stream that is watched by `id`: roomy() names it when all that was appended has become frames after it asked for
  // that, gone() when it was closed.
  bool watch(int32_t stream, uint64_t id);  // false: it is closed
  void ask_for_room(int32_t stream);
  std::vector<uint64_t> take_roomy() { return std::exchange(roomy_, {}); }
  std::vector<uint64_t> take_gone() { return std::exchange(gone_, {}); }

  // GOAWAY: no new streams; those that are open may end.
  void go_away();
  // GOAWAY, and what is open is given up.
  enum class Reason { kIdle, kOtherProtocol, kFlood };
  void terminate(Reason reason);

  // The connection is gone, and with it every stream.
  void abandon();

  // Resets streams that stood still for too long. When it should be called again, or INT64_MAX.
  int64_t expire(const Patience& patience);
  // What waits for the client to take it.
  enum class Unsent { kNothing, kStreams, kAnswers };  // kStreams: only of those that were opened with open_body()
  Unsent unsent() const;
  // Whether the client gives the whole connection no room.
  bool window_closed() const;

 private:
  struct Callbacks;
  struct Incoming;
  struct Stream {
    int32_t id = 0;
    bool open_ended = false;  // end() has yet to come
    bool streamed = false;    // there was an end() to come
    bool deferred = false;    // waits for append() or end()
    bool wants_room = false;
    uint64_t watch = 0;                  // 0: none
    std::unique_ptr<Incoming> incoming;  // the request, until it is whole
    std::string out;                     // what is to be sent
    size_t sent = 0;                     // of `out`
    std::shared_ptr<BodySource> source;  // instead
    int64_t progress = 0;                // when it last took something

    bool has_unsent() const { return source || sent < out.size(); }
  };

  Stream* find(int32_t id) const;
  void check_head(Stream& stream, bool whole);
  void fail(Stream& stream, ParseError error);
  void complete(Stream& stream);
  void hold(Incoming& incoming, size_t size);
  void drop_incoming(Stream& stream);
  bool submit_head(Stream& stream, const Response& response, std::string_view length, bool body);
  void resume(Stream& stream);

  const RequestLimits limits_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, std::unique_ptr<Stream>> streams_;
  std::vector<Arrival> arrivals_;
  std::vector<uint64_t> roomy_, gone_;
  size_t incoming_bytes_ = 0;  // of requests that are not whole
  int64_t now_ = 0;
};

}  // namespace knarr::http
