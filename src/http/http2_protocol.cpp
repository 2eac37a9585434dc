#include "http/http2_protocol.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

#include "knarr/base/log.h"

namespace knarr::http {

namespace {

// A stream's window and frames are as large as upstream's, which has found most objects to be smaller.
constexpr uint32_t kStreamWindow = 256 << 10, kMaxFrame = 256 << 10;
constexpr int32_t kConnectionWindow = kStreamWindow * Http2Protocol::kMaxStreams;
constexpr uint32_t kSmallestFrame = 16 << 10;  // that a client may split its headers into
constexpr size_t kDataFrame = (16 << 10) - 9;  // with its header it fills a TLS record
constexpr size_t kMaxFields = 2000;            // as on HTTP/1.1
constexpr size_t kFieldOverhead = 4;           // what stands around name and value on HTTP/1.1
constexpr size_t kBomb = 16;                   // times the limit of headers: a client that unpacks into more is cut off
constexpr size_t kMaxBodies = 16;  // times the limit of a body: what requests that are not whole may hold together
constexpr uint64_t kResetBurst = 1000, kResetsPerSecond = 50;

std::string_view text(const uint8_t* bytes, size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }

nghttp2_nv field(std::string_view name, std::string_view value, uint8_t flags = NGHTTP2_NV_FLAG_NONE) {
  const auto* n = reinterpret_cast<const uint8_t*>(name.data());
  const auto* v = reinterpret_cast<const uint8_t*>(value.data());
  return {const_cast<uint8_t*>(n), const_cast<uint8_t*>(v), name.size(), value.size(), flags};
}

}  // namespace

struct Http2Protocol::Incoming {
  RequestHead head;
  std::string body;
  size_t header_size = 0;  // as sent
  size_t held = 0;         // bytes that count in incoming_bytes_
  int64_t begun = 0;
  bool has_host = false;
  ParseError error;  // known before the headers end
};

// libnghttp2 calls these from within feed() and produce().
struct Http2Protocol::Callbacks {
  static Http2Protocol& self(void* data) { return *static_cast<Http2Protocol*>(data); }

  static bool is_request(const nghttp2_frame* frame) {
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
  }

  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
    if (!is_request(frame)) return 0;
    Http2Protocol& me = self(data);
    auto stream = std::make_unique<Stream>();
    stream->id = frame->hd.stream_id;
    stream->incoming = std::make_unique<Incoming>();
    stream->incoming->begun = stream->progress = me.now_;
    nghttp2_session_set_stream_user_data(session, stream->id, stream.get());
    me.streams_[stream->id] = std::move(stream);
    return 0;
  }

  static int header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                    const uint8_t* value, size_t value_size, uint8_t, void* data) {
    if (!is_request(frame)) return 0;  // trailers are read over
    Http2Protocol& me = self(data);
    auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    if (!stream || !stream->incoming) return 0;
    Incoming& incoming = *stream->incoming;
    const size_t size = name_size + value_size + kFieldOverhead;
    incoming.header_size += size;
    if (incoming.header_size > kBomb * me.limits_.max_header) return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (incoming.header_size > me.limits_.max_header)
      incoming.error = {431, "the request's headers are larger than this server takes"};
    if (incoming.head.headers.size() >= kMaxFields) incoming.error = {431, "the message has too many headers"};
    if (incoming.error.code) return 0;
    me.hold(incoming, size);
    take_field(incoming, text(name, name_size), text(value, value_size));
    return 0;
  }

  static void take_field(Incoming& incoming, std::string_view name, std::string_view value) {
    RequestHead& head = incoming.head;
    if (name.front() == ':') {
      if (name == ":method") head.method = value;
      if (name == ":path") head.target = value;
      if (name == ":authority" && !std::exchange(incoming.has_host, true)) head.headers.emplace_back("Host", value);
      return;
    }
    if (name == "host" && std::exchange(incoming.has_host, true)) return;
    if (name == "cookie") {  // may come in pieces
      for (auto& [key, cookies] : head.headers) {
        if (key != name) continue;
        cookies.append("; ").append(value);
        return;
      }
    }
    head.headers.emplace_back(name, value);
  }

  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Http2Protocol& me = self(data);
    auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    if (!stream || !stream->incoming) return 0;
    const bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (is_request(frame)) me.check_head(*stream, ends);
    if (ends && stream->incoming) me.complete(*stream);
    return 0;
  }

  static int data_received(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes, size_t size,
                           void* data) {
    Http2Protocol& me = self(data);
    auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
    if (!stream || !stream->incoming) return 0;  // refused already
    Incoming& incoming = *stream->incoming;
    if (incoming.body.size() + size > me.limits_.max_body) {
      me.fail(*stream, {413, "the request's body is larger than this server takes"});
      return 0;
    }
    me.hold(incoming, size);
    if (me.incoming_bytes_ > kMaxBodies * me.limits_.max_body + me.limits_.max_header) {
      me.drop_incoming(*stream);
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
      return 0;
    }
    incoming.body.append(text(bytes, size));
    return 0;
  }

  // An answer that ended before its request did: the rest of that is not wanted.
  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    const bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
  }

  static int stream_closed(nghttp2_session*, int32_t id, uint32_t, void* data) {
    Http2Protocol& me = self(data);
    const auto found = me.streams_.find(id);
    if (found == me.streams_.end()) return 0;
    me.drop_incoming(*found->second);
    if (found->second->watch) me.gone_.push_back(found->second->watch);
    me.streams_.erase(found);
    return 0;
  }

  static ssize_t data_length(nghttp2_session*, uint8_t, int32_t, int32_t, int32_t, uint32_t largest, void*) {
    return static_cast<ssize_t>(std::min<size_t>(largest, kDataFrame));
  }

  static ssize_t read_body(nghttp2_session*, int32_t, uint8_t* out, size_t room, uint32_t* flags,
                           nghttp2_data_source* source, void* data) {
    Http2Protocol& me = self(data);
    Stream& stream = *static_cast<Stream*>(source->ptr);
    size_t size = 0;
    if (stream.source) {
      try {
        size = stream.source->read(reinterpret_cast<char*>(out), room);
      } catch (const std::exception& error) {
        log::error("http", "a response was cut off because its body could not be made", {{"error", error.what()}});
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
      }
      const bool whole = stream.source->left() == 0;
      if (size == 0 && !whole) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
      if (whole) stream.source.reset();
    } else {
      size = std::min(room, stream.out.size() - stream.sent);
      if (size > 0) std::memcpy(out, stream.out.data() + stream.sent, size);
      stream.sent += size;
      if (stream.sent == stream.out.size()) {
        stream.out = std::string();
        stream.sent = 0;
        if (std::exchange(stream.wants_room, false)) me.roomy_.push_back(stream.watch);
      }
    }
    stream.progress = me.now_;
    if (!stream.has_unsent() && !stream.open_ended) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (size == 0) {
      stream.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(size);
  }

  static nghttp2_session_callbacks* table() {
    static nghttp2_session_callbacks* const made = [] {
      nghttp2_session_callbacks* c = nullptr;
      if (nghttp2_session_callbacks_new(&c) != 0) throw std::bad_alloc();
      nghttp2_session_callbacks_set_on_begin_headers_callback(c, begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(c, header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(c, frame_received);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, data_received);
      nghttp2_session_callbacks_set_on_frame_send_callback(c, frame_sent);
      nghttp2_session_callbacks_set_on_stream_close_callback(c, stream_closed);
      nghttp2_session_callbacks_set_data_source_read_length_callback(c, data_length);
      return c;
    }();
    return made;
  }

  static nghttp2_option* options(const RequestLimits& limits) {
    nghttp2_option* o = nullptr;
    if (nghttp2_option_new(&o) != 0) throw std::bad_alloc();
    nghttp2_option_set_max_continuations(o, limits.max_header / kSmallestFrame + 1);
    nghttp2_option_set_stream_reset_rate_limit(o, kResetBurst, kResetsPerSecond);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_send_header_block_length(o, limits.max_header);
    return o;
  }
};

Http2Protocol::Http2Protocol(RequestLimits limits) : limits_(limits) {
  const std::unique_ptr<nghttp2_option, void (*)(nghttp2_option*)> options(Callbacks::options(limits),
                                                                           nghttp2_option_del);
  if (nghttp2_session_server_new2(&session_, Callbacks::table(), this, options.get()) != 0) throw std::bad_alloc();
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, kMaxFrame},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits.max_header)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

Http2Protocol::~Http2Protocol() { nghttp2_session_del(session_); }

bool Http2Protocol::feed(std::string_view bytes) {
  const ssize_t took = nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (took >= 0) return true;
  terminate(took == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? Reason::kOtherProtocol : Reason::kFlood);
  return false;
}

bool Http2Protocol::produce(std::string& out, size_t enough) {
  while (out.size() < enough) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) return false;
    if (size == 0) break;
    out.append(text(bytes, static_cast<size_t>(size)));
  }
  return true;
}

bool Http2Protocol::over() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

Http2Protocol::Stream* Http2Protocol::find(int32_t id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

void Http2Protocol::drop_incoming(Stream& stream) {
  if (!stream.incoming) return;
  incoming_bytes_ -= stream.incoming->held;
  stream.incoming.reset();
}

void Http2Protocol::hold(Incoming& incoming, size_t size) {
  incoming.held += size;
  incoming_bytes_ += size;
}

// The headers are there.
void Http2Protocol::check_head(Stream& stream, bool whole) {
  Incoming& incoming = *stream.incoming;
  if (incoming.error.code) return fail(stream, incoming.error);
  const std::string_view length = find_header(incoming.head.headers, "content-length");
  uint64_t size = 0;
  std::from_chars(length.data(), length.data() + length.size(), size);
  if (size > limits_.max_body) return fail(stream, {413, "the request's body is larger than this server takes"});
  if (whole || !header_has_token(incoming.head.headers, "expect", "100-continue")) return;
  const nghttp2_nv go_on = field(":status", "100");
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, &go_on, 1, nullptr);
}

void Http2Protocol::fail(Stream& stream, ParseError error) {
  drop_incoming(stream);
  arrivals_.push_back({stream.id, {}, error});
}

void Http2Protocol::complete(Stream& stream) {
  Arrival arrival;
  arrival.stream = stream.id;
  RequestHead head = std::move(stream.incoming->head);
  std::string body = std::move(stream.incoming->body);
  drop_incoming(stream);
  if (head.target.empty()) return fail(stream, {400, "the request has no path"});  // CONNECT
  arrival.error = fill_request(head, arrival.request);
  arrival.request.body = std::move(body);
  arrivals_.push_back(std::move(arrival));
}

// false: it cannot be sent.
bool Http2Protocol::submit_head(Stream& stream, const Response& response, std::string_view length, bool body) {
  std::vector<nghttp2_nv> fields;
  fields.reserve(response.headers.size() + 3);
  const std::string status = std::to_string(response.status);
  fields.push_back(field(":status", status));
  std::vector<std::string> cleaned;
  cleaned.reserve(response.headers.size());
  bool dated = false;
  for (const auto& [name, value] : response.headers) {
    if (frames_message(name) || equal_fold(name, "Upgrade") || equal_fold(name, "Proxy-Connection")) continue;
    dated = dated || equal_fold(name, "Date");
    std::string_view clean = value;
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      std::string& copy = cleaned.emplace_back(value);
      for (char& c : copy)
        if (c == '\r' || c == '\n' || c == '\0') c = ' ';
      clean = copy;
    }
    // What is never the same twice is not worth a place in the table of headers.
    fields.push_back(
        field(name, clean, equal_fold(name, "Audit-Id") ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE));
  }
  if (!length.empty()) fields.push_back(field("content-length", length));
  if (!dated) fields.push_back(field("date", http_date()));
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = Callbacks::read_body;
  stream.progress = now_;
  return nghttp2_submit_response(session_, stream.id, fields.data(), fields.size(), body ? &provider : nullptr) == 0;
}

void Http2Protocol::respond(int32_t id, Response& response, bool is_head) {
  Stream* stream = find(id);
  if (!stream) return;
  drop_incoming(*stream);
  const bool bodiless = !may_have_body(response.status);
  const std::string length = bodiless ? std::string() : body_length(response, is_head);
  if (!is_head && !bodiless) {
    stream->out = std::move(response.body);
    stream->source = std::move(response.source);
  }
  if (stream->source && stream->source->left() == 0) stream->source.reset();
  if (!submit_head(*stream, response, length, stream->has_unsent())) reset(id);
}

void Http2Protocol::open_body(int32_t id, Response& response) {
  Stream* stream = find(id);
  if (!stream) return;
  drop_incoming(*stream);
  stream->open_ended = stream->streamed = true;
  if (!submit_head(*stream, response, find_header(response.headers, "Content-Length"), true)) reset(id);
}

void Http2Protocol::resume(Stream& stream) {
  if (!std::exchange(stream.deferred, false)) return;
  stream.progress = now_;
  nghttp2_session_resume_data(session_, stream.id);
}

void Http2Protocol::append(int32_t id, std::string_view bytes) {
  Stream* stream = find(id);
  if (!stream || bytes.empty()) return;
  if (stream->sent > 0) {
    stream->out.erase(0, stream->sent);
    stream->sent = 0;
  }
  stream->out.append(bytes);
  resume(*stream);
}

void Http2Protocol::end(int32_t id) {
  Stream* stream = find(id);
  if (!stream || !std::exchange(stream->open_ended, false)) return;
  resume(*stream);
}

void Http2Protocol::reset(int32_t id) {
  if (find(id)) nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
}

size_t Http2Protocol::unsent(int32_t id) const {
  const Stream* stream = find(id);
  return stream ? stream->out.size() - stream->sent : 0;
}

bool Http2Protocol::watch(int32_t id, uint64_t watch) {
  Stream* stream = find(id);
  if (stream) stream->watch = watch;
  return stream;
}

void Http2Protocol::ask_for_room(int32_t id) {
  if (Stream* stream = find(id)) stream->wants_room = true;
}

void Http2Protocol::go_away() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void Http2Protocol::terminate(Reason reason) {
  const uint32_t code = reason == Reason::kIdle    ? NGHTTP2_NO_ERROR
                        : reason == Reason::kFlood ? NGHTTP2_ENHANCE_YOUR_CALM
                                                   : NGHTTP2_PROTOCOL_ERROR;
  nghttp2_session_terminate_session(session_, code);
}

void Http2Protocol::abandon() {
  for (const auto& [id, stream] : streams_)
    if (stream->watch) gone_.push_back(stream->watch);
  nghttp2_session_del(std::exchange(session_, nullptr));
  streams_.clear();
}

int64_t Http2Protocol::expire(const Patience& patience) {
  int64_t next = INT64_MAX;
  for (const auto& [id, stream] : streams_) {
    int64_t due = INT64_MAX;
    if (stream->incoming) {
      due = stream->incoming->begun + patience.request;
    } else if (stream->has_unsent() && (stream->watch || !stream->streamed)) {
      due = stream->progress + (stream->watch ? patience.watch : patience.answer);
      // The connection's room is given to one after another: who waits for that has not stood still.
      if (due <= now_ && nghttp2_session_get_stream_remote_window_size(session_, id) > 0) due = now_ + patience.answer;
    }
    if (due > now_) {
      next = std::min(next, due);
    } else {
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    }
  }
  return next;
}

Http2Protocol::Unsent Http2Protocol::unsent() const {
  Unsent unsent = Unsent::kNothing;
  for (const auto& [id, stream] : streams_) {
    if (!stream->has_unsent()) continue;
    if (!stream->streamed) return Unsent::kAnswers;
    unsent = Unsent::kStreams;
  }
  return unsent;
}

bool Http2Protocol::window_closed() const { return nghttp2_session_get_remote_window_size(session_) <= 0; }

}  // namespace knarr::http
