#include "knarr/http/spdy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <thread>

#include "http/message.h"
#include "http/spdy_frames.h"
#include "knarr/base/log.h"
#include "knarr/base/sync.h"

namespace knarr::http {

namespace {

constexpr size_t kReadSize = 32 << 10;
constexpr size_t kMaxPiece = 32 << 10;  // of one data frame
constexpr seconds kClosePatience{2};    // for the client to take what was sent and to go

// A stream as session and user share it. Guarded by the session's mutex, but for what is constant.
struct StreamState {
  uint32_t id = 0;
  Headers headers;
  std::string received;
  bool remote_ended = false, local_ended = false, reset = false;
};

// What a session and its streams share: the connection and the table of streams.
class Core {
 public:
  Core(std::unique_ptr<Stream> stream, SpdySession::Options options) : options(options), stream_(std::move(stream)) {}

  Status send(std::string_view bytes, std::optional<MonoTime> deadline = {}) {
    Lock lock(write_mutex_);
    return stream_ ? stream_->write(bytes, deadline) : unavailable("write to a stream: its connection ended");
  }
  // Data frames of a long write may have others' frames between them.
  Status send_data(uint32_t id, std::string_view bytes, bool fin, std::optional<MonoTime> deadline) {
    do {
      const std::string_view piece = bytes.substr(0, kMaxPiece);
      bytes.remove_prefix(piece.size());
      std::string frame;
      frame.reserve(8 + piece.size());
      spdy::append_data_head(frame, id, fin && bytes.empty() ? spdy::kFin : 0, piece.size());
      frame += piece;
      KNARR_RETURN_IF_ERROR(send(frame, deadline));
    } while (!bytes.empty());
    return {};
  }
  Status send_reset(uint32_t id, spdy::Reset why) {
    std::string payload, frame;
    spdy::append_u32(payload, id);
    spdy::append_u32(payload, why);
    spdy::append_control(frame, spdy::kRstStream, 0, payload);
    return send(frame);
  }
  // Compressed blocks go out in the order in which they were compressed.
  Status send_reply(uint32_t id, const Headers& headers) {
    Lock lock(write_mutex_);
    std::string payload, frame;
    spdy::append_u32(payload, id);
    payload += deflater_.write(headers);
    spdy::append_control(frame, spdy::kSynReply, 0, payload);
    return stream_->write(frame);
  }
  // The connection, for the session, which ends with disconnect(): streams that outlive it must not keep it open.
  Stream& stream() KNARR_NO_TSA { return *stream_; }
  void disconnect() {
    Lock lock(write_mutex_);
    stream_.reset();
  }

  const SpdySession::Options options;
  Mutex mutex;
  std::condition_variable_any changed;
  std::map<uint32_t, std::shared_ptr<StreamState>> streams KNARR_GUARDED_BY(mutex);
  bool ended KNARR_GUARDED_BY(mutex) = false;    // nothing more will be read
  bool closing KNARR_GUARDED_BY(mutex) = false;  // what is read is dropped

 private:
  Mutex write_mutex_;
  std::unique_ptr<Stream> stream_ KNARR_GUARDED_BY(write_mutex_);
  spdy::Deflater deflater_ KNARR_GUARDED_BY(write_mutex_);
};

class SpdyStreamImpl final : public SpdyStream {
 public:
  SpdyStreamImpl(std::shared_ptr<Core> core, std::shared_ptr<StreamState> state)
      : core_(std::move(core)), state_(std::move(state)) {}
  ~SpdyStreamImpl() override { reset(); }

  uint32_t id() const override { return state_->id; }
  const Headers& headers() const override { return state_->headers; }

  Result<size_t> read(char* buffer, size_t size, std::optional<MonoTime> deadline) override {
    Lock lock(core_->mutex);
    while (state_->received.empty()) {
      if (state_->remote_ended || state_->reset) return size_t{0};
      if (core_->ended || core_->closing) return unavailable("read from a stream: its connection ended");
      if (!deadline) {
        core_->changed.wait(lock);
      } else if (core_->changed.wait_until(lock, *deadline) == std::cv_status::timeout && state_->received.empty() &&
                 !state_->remote_ended) {
        return timeout_error("read from a stream: nothing came in time");
      }
    }
    const size_t got = state_->received.copy(buffer, size);
    state_->received.erase(0, got);
    core_->changed.notify_all();  // the session may wait for room
    return got;
  }

  Status write(std::string_view bytes, std::optional<MonoTime> deadline) override {
    {
      Lock lock(core_->mutex);
      if (state_->local_ended || state_->reset || core_->ended) return unavailable("write to a stream: it was closed");
    }
    return bytes.empty() ? Status() : core_->send_data(state_->id, bytes, false, deadline);
  }

  Status close_write() override {
    {
      Lock lock(core_->mutex);
      if (state_->local_ended || state_->reset) return {};
      state_->local_ended = true;
      if (state_->remote_ended) core_->streams.erase(state_->id);
      if (core_->ended) return unavailable("close a stream: its connection ended");
    }
    return core_->send_data(state_->id, {}, true, {});
  }

  void reset() override {
    {
      Lock lock(core_->mutex);
      const bool open = !state_->reset && !(state_->local_ended && state_->remote_ended);
      core_->streams.erase(state_->id);
      state_->reset = true;
      core_->changed.notify_all();
      if (!open || core_->ended || core_->closing) return;
    }
    [[maybe_unused]] Status told = core_->send_reset(state_->id, spdy::kCancel);
  }

 private:
  const std::shared_ptr<Core> core_;
  const std::shared_ptr<StreamState> state_;
};

class SpdySessionImpl final : public SpdySession {
 public:
  SpdySessionImpl(std::unique_ptr<Stream> stream, std::string early, OnStream on_stream, Options options)
      : core_(std::make_shared<Core>(std::move(stream), options)),
        on_stream_(std::move(on_stream)),
        in_(std::move(early)) {
    thread_ = std::thread([this] { run(); });
  }
  ~SpdySessionImpl() override {
    close();
    if (!wait_end(std::chrono::steady_clock::now() + kClosePatience)) core_->stream().abort();
    thread_.join();
    core_->disconnect();
  }

  bool wait_end(std::optional<MonoTime> deadline) override {
    Lock lock(core_->mutex);
    while (!core_->ended) {
      if (!deadline) {
        core_->changed.wait(lock);
      } else if (core_->changed.wait_until(lock, *deadline) == std::cv_status::timeout) {
        return core_->ended;
      }
    }
    return true;
  }

  // The client's end of the connection is awaited before it is closed: a reset would overtake what it has not read yet.
  void close() override {
    {
      Lock lock(core_->mutex);
      if (std::exchange(core_->closing, true) || core_->ended) return;
      core_->changed.notify_all();
    }
    std::string payload, frame;
    spdy::append_u32(payload, last_id_);
    spdy::append_u32(payload, 0);
    spdy::append_control(frame, spdy::kGoAway, 0, payload);
    [[maybe_unused]] Status told = core_->send(frame, std::chrono::steady_clock::now() + kClosePatience);
    core_->stream().shutdown_write();
  }

 private:
  void run() {
    Status status;
    try {
      status = read_frames();
    } catch (const std::exception& error) {
      status = internal_error(error.what());
      core_->stream().abort();
    }
    if (!status.ok()) log::debug("http", "a SPDY connection ended", {{"error", status}});
    Lock lock(core_->mutex);
    core_->ended = true;
    core_->changed.notify_all();
  }

  Status read_frames() {
    std::array<char, kReadSize> buffer;
    for (;;) {
      spdy::Frame frame;
      switch (parser_.next(in_, frame)) {
        case spdy::Parser::State::kFrame:
          if (frame.type == spdy::kGoAway) return {};
          KNARR_RETURN_IF_ERROR(handle(std::move(frame)));
          continue;
        case spdy::Parser::State::kError:
          core_->stream().abort();
          return bad_request(fmt::format("SPDY: {}", parser_.error()));
        case spdy::Parser::State::kMore:
          break;
      }
      KNARR_ASSIGN(const size_t got, core_->stream().read(buffer.data(), buffer.size()));
      if (got == 0) return {};
      in_.append(buffer.data(), got);
    }
  }

  Status handle(spdy::Frame frame) {
    switch (frame.type) {
      case spdy::kSynStream:
        return open(std::move(frame));
      case spdy::kData:
        return deliver(std::move(frame));
      case spdy::kRstStream: {
        Lock lock(core_->mutex);
        if (auto found = core_->streams.find(frame.stream); found != core_->streams.end()) {
          found->second->reset = true;
          core_->streams.erase(found);
          core_->changed.notify_all();
        }
        return {};
      }
      case spdy::kPing: {
        if (frame.stream % 2 == 0) return {};  // an answer to one of ours
        std::string payload, answer;
        spdy::append_u32(payload, frame.stream);
        spdy::append_control(answer, spdy::kPing, 0, payload);
        return core_->send(answer);
      }
      case spdy::kHeaders: {
        Lock lock(core_->mutex);
        if (frame.fin()) end_remote(frame.stream);
        return {};
      }
      case spdy::kSynReply:
      case spdy::kGoAway:
        break;
    }
    return {};
  }

  Status open(spdy::Frame frame) {
    auto state = std::make_shared<StreamState>();
    state->id = frame.stream;
    state->headers = std::move(frame.headers);
    state->remote_ended = frame.fin();
    state->local_ended = frame.flags & spdy::kUnidirectional;
    if (frame.stream % 2 == 0 || frame.stream <= last_id_) return core_->send_reset(frame.stream, spdy::kProtocolError);
    last_id_ = frame.stream;
    bool refused = false;
    {
      Lock lock(core_->mutex);
      if (core_->closing) return {};
      state->reset = core_->streams.size() >= core_->options.max_streams;
      if (!state->reset) core_->streams.emplace(state->id, state);
      refused = state->reset;
    }
    if (refused) return core_->send_reset(frame.stream, spdy::kRefused);
    KNARR_RETURN_IF_ERROR(core_->send_reply(state->id, {}));
    on_stream_(std::make_shared<SpdyStreamImpl>(core_, state));
    return {};
  }

  // Waits while the stream's reader is behind; then nothing of the connection is read.
  Status deliver(spdy::Frame frame) {
    Lock lock(core_->mutex);
    auto found = core_->streams.find(frame.stream);
    if (found == core_->streams.end() || core_->closing)
      return {};  // closed or reset by us, and not yet known to the client
    const std::shared_ptr<StreamState> state = found->second;
    while (!state->reset && !core_->closing && state->received.size() >= core_->options.max_buffered)
      core_->changed.wait(lock);
    if (state->reset || core_->closing || state->remote_ended) return {};
    state->received += frame.data;
    if (frame.fin()) end_remote(frame.stream);
    core_->changed.notify_all();
    return {};
  }

  void end_remote(uint32_t id) KNARR_REQUIRES(core_->mutex) {
    auto found = core_->streams.find(id);
    if (found == core_->streams.end()) return;
    found->second->remote_ended = true;
    if (found->second->local_ended) core_->streams.erase(found);
    core_->changed.notify_all();
  }

  const std::shared_ptr<Core> core_;
  const OnStream on_stream_;
  // The reading thread's.
  spdy::Parser parser_;
  std::string in_;
  std::atomic<uint32_t> last_id_{0};  // of the streams that the client opened
  std::thread thread_;
};

}  // namespace

bool is_spdy_upgrade(const Request& request) {
  return header_has_token(request.headers, "Connection", "upgrade") &&
         header_has_token(request.headers, "Upgrade", "SPDY/3.1");
}

std::string spdy_handshake(std::string_view protocol) {
  Headers headers = {{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}};
  if (!protocol.empty()) headers.emplace_back("X-Stream-Protocol-Version", protocol);
  std::string answer;
  append_response_head(answer, 101, headers);
  answer += "\r\n";
  return answer;
}

std::string_view SpdyStream::header(std::string_view name) const { return find_header(headers(), name); }

std::unique_ptr<SpdySession> SpdySession::make(std::unique_ptr<Stream> stream, std::string early, OnStream on_stream,
                                               Options options) {
  return std::make_unique<SpdySessionImpl>(std::move(stream), std::move(early), std::move(on_stream), options);
}

}  // namespace knarr::http
