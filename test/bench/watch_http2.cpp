// Many watchers on each connection, with the settings of client-go's transport: windows so wide that none of them needs
// an update.
//
// While an event is under way the sockets are only asked how much they hold (FIONREAD), and told to acknowledge it:
// nobody reads, and a server that sends many small packets would wait for acknowledgements that the kernel delays until
// somebody does. The clock stops at the last growth that was seen before every socket held as much as the largest event
// so far, or before nothing grew for a while; then everything is read, and when a stream turns out to lack the event (a
// server may cut frames and records as it likes), waiting goes on.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <thread>

#include "bench/watch_crowd.h"

namespace knarr::bench {

namespace {

constexpr int kReceiveBuffer = 2 << 20;  // an event of all streams of a connection, several times
constexpr double kQuietMs = 50;

// client-go's (golang.org/x/net/http2 of its version).
constexpr nghttp2_settings_entry kSettings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                                {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4 << 20},
                                                {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 16384},
                                                {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 10 << 20}};
constexpr int kConnectionWindow = 1 << 30;

struct Stream {
  Watch watch;
  bool headed = false;
};

class Connection {
 public:
  explicit Connection(const Dialer& dialer) : wire_(dialer.open("h2", kReceiveBuffer)) {
    fcntl(wire_.fd, F_SETFL, O_NONBLOCK);
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, kSettings, std::size(kSettings));
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
    flush();
    for (auto begun = Clock::system().mono(); !settled_; std::this_thread::sleep_for(kAsk)) {
      read();
      if (ms_since(begun) > kPatienceMs) fail("the server's SETTINGS did not come");
    }
  }
  ~Connection() { nghttp2_session_del(session_); }
  Connection(const Connection&) = delete;

  int capacity() const {
    return static_cast<int>(std::min<uint32_t>(
        nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 1 << 20));
  }

  void open(int streams) {
    const auto field = [](std::string_view name, const std::string& value) {
      return nghttp2_nv{reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                        reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                        NGHTTP2_NV_FLAG_NONE};
    };
    const std::string path = fmt::format("{}{}", kWatchPath, kWatchQuery);
    const std::string method = "GET", scheme = "https", authority = "127.0.0.1", accept = "application/json",
                      agent = "bench_watch";
    const nghttp2_nv fields[] = {field(":method", method), field(":scheme", scheme), field(":authority", authority),
                                 field(":path", path),     field("accept", accept),  field("user-agent", agent)};
    streams_ = std::vector<Stream>(static_cast<size_t>(streams));
    for (Stream& stream : streams_) {
      if (nghttp2_submit_request(session_, nullptr, fields, std::size(fields), nullptr, &stream) < 0)
        fail("cannot submit a request");
    }
    flush();
  }

  // Reads what the socket holds.
  void read() {
    char buffer[65536];
    BIO* bio = SSL_get_rbio(wire_.ssl);
    const uint64_t before = BIO_number_read(bio);
    int got;
    while ((got = SSL_read(wire_.ssl, buffer, sizeof buffer)) > 0) {
      const auto taken =
          nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(buffer), static_cast<size_t>(got));
      if (taken < 0) fail(fmt::format("cannot understand the server: {}", nghttp2_strerror(static_cast<int>(taken))));
    }
    if (SSL_get_error(wire_.ssl, got) != SSL_ERROR_WANT_READ) fail("the server closed a connection");
    brought_ += static_cast<int>(BIO_number_read(bio) - before);
    flush();
  }

  bool headed() const {
    return std::all_of(streams_.begin(), streams_.end(), [](const Stream& s) { return s.headed; });
  }
  bool seen(int event) const {
    return std::all_of(streams_.begin(), streams_.end(), [event](const Stream& s) { return s.watch.seen() >= event; });
  }
  size_t streams() const { return streams_.size(); }

  // Asks the socket; answers whether more has come of the event that is under way, and then acknowledges it.
  bool grown() {
    int held = 0;
    if (ioctl(wire_.fd, FIONREAD, &held) != 0) fail("cannot ask a socket how much it holds");
    if (std::exchange(arrived_, brought_ + held) == brought_ + held) return false;
    const int yes = 1;
    setsockopt(wire_.fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);
    return true;
  }
  bool whole() const { return arrived_ >= expected_; }
  // A stream lacks the event although the connection was whole.
  void expect_more() { expected_ = std::max(expected_, arrived_ + 1); }
  // Everything of an event was read. The first one has another type than those that follow.
  void event_read(int event) {
    const int size = std::exchange(brought_, 0);
    expected_ = event <= 1 ? size : std::max(expected_, size);
    arrived_ = 0;
  }
  // What came until now belongs to no event.
  void forget() { brought_ = 0; }

 private:
  static Stream* stream_of(nghttp2_session* session, int32_t id) {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void*) {
    if (std::string_view(reinterpret_cast<const char*>(name), name_size) != ":status") return 0;
    const std::string_view status(reinterpret_cast<const char*>(value), value_size);
    if (status != "200") fail(fmt::format("a watch was refused with {}", status));
    stream_of(session, frame->hd.stream_id)->headed = true;
    return 0;
  }
  static int on_data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size, void*) {
    stream_of(session, id)->watch.take(std::string_view(reinterpret_cast<const char*>(data), size));
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    if (frame->hd.type == NGHTTP2_SETTINGS) static_cast<Connection*>(self)->settled_ = true;
    if (frame->hd.type == NGHTTP2_GOAWAY)
      fail(fmt::format("the server went away with error {}", frame->goaway.error_code));
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void*) {
    fail(fmt::format("the server ended stream {} with error {}", id, error));
  }

  // Sends what nghttp2 wants to say: requests and acknowledgements, which a socket's buffer takes.
  void flush() {
    const uint8_t* data = nullptr;
    for (ssize_t size; (size = nghttp2_session_mem_send(session_, &data)) > 0;) {
      for (auto begun = Clock::system().mono(); SSL_write(wire_.ssl, data, static_cast<int>(size)) <= 0;
           std::this_thread::sleep_for(kAsk)) {
        if (ms_since(begun) > kPatienceMs) fail("the server does not take requests");
      }
    }
  }

  Wire wire_;
  nghttp2_session* session_ = nullptr;
  std::vector<Stream> streams_;
  bool settled_ = false;
  int brought_ = 0;   // bytes read since the last event
  int arrived_ = 0;   // those, and what the socket held when it was asked last
  int expected_ = 0;  // bytes of the largest event
};

class Http2Crowd final : public Crowd {
 public:
  Http2Crowd(const Dialer& dialer, int size, int most_streams) : size_(size) {
    for (int left = size; left > 0;) {
      Connection& connection = *connections_.emplace_back(std::make_unique<Connection>(dialer));
      const int streams = std::min({connection.capacity(), most_streams, left});
      connection.open(streams);
      left -= streams;
    }
    read_until([](const Connection& c) { return c.headed(); }, "were opened");
    for (auto& connection : connections_) connection->forget();
  }

  MonoTime wait_arrived(int event) override {
    const auto begun = Clock::system().mono();
    auto grown = begun, checked = begun;  // the last time that anything had come, and that everything was read
    for (; ms_since(begun) < kPatienceMs; std::this_thread::sleep_for(kAsk)) {
      bool any = false, whole = true;
      for (auto& connection : connections_) {
        if (connection->whole()) continue;
        any = connection->grown() || any;
        whole = whole && connection->whole();
      }
      if (any) grown = Clock::system().mono();
      if (!whole && ms_since(std::max(grown, checked)) < kQuietMs) continue;
      for (auto& connection : connections_) connection->read();
      checked = Clock::system().mono();
      bool seen = true;
      for (auto& connection : connections_) {
        if (connection->seen(event)) continue;
        connection->expect_more();
        seen = false;
      }
      if (seen) return grown;
    }
    fail(fmt::format("event {} did not come to all of {} watchers", event, size_));
  }

  void read_event(int event) override {
    read_until([event](const Connection& c) { return c.seen(event); }, "read an event");
    for (auto& connection : connections_) connection->event_read(event);
  }

  size_t connections() const override { return connections_.size(); }

 private:
  template <typename Done>
  void read_until(const Done& done, const char* what) {
    for (auto begun = Clock::system().mono();; std::this_thread::sleep_for(milliseconds(1))) {
      size_t missing = 0;
      for (auto& connection : connections_) {
        if (!done(*connection)) connection->read();
        missing += !done(*connection);
      }
      if (missing == 0) return;
      if (ms_since(begun) > kPatienceMs)
        fail(fmt::format("not all watches of {} of {} connections {}", missing, connections_.size(), what));
    }
  }

  const int size_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace

std::unique_ptr<Crowd> http2_crowd(const Dialer& dialer, int size, int streams) {
  return std::make_unique<Http2Crowd>(dialer, size, streams);
}

}  // namespace knarr::bench
