// A client of HTTP/2 for tests: one connection over TLS, used by the test's thread.
#pragma once

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include <map>

#include "support.h"

namespace knarr::http::test {

class Http2Client {
 public:
  struct Options {
    uint32_t window = 0;      // of each stream; 0: as by default
    bool keep_window = false; // what was read makes no room: see make_room()
    int receive_buffer = 0;
  };
  struct Answer {
    int status = 0;
    std::map<std::string, std::string> headers;
    std::string body;
    size_t frames = 0;  // of DATA
    bool ended = false, closed = false;
    uint32_t error = 0;  // of RST_STREAM
  };
  using Fields = std::vector<std::pair<std::string, std::string>>;

  Http2Client(int port, const Pki& pki, Options options) : raw_(port, options.receive_buffer) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_certificate_chain_file(context_, pki.client_crt.c_str());
    SSL_CTX_use_PrivateKey_file(context_, pki.client_key.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_set_alpn_protos(context_, reinterpret_cast<const unsigned char*>("\x02h2"), 3);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, raw_.fd());
    insist(SSL_connect(ssl_) == 1, "the TLS handshake failed");
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    insist(std::string(reinterpret_cast<const char*>(name), size) == "h2", "HTTP/2 was not chosen");
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, options.keep_window);
    nghttp2_session_client_new2(&session_, callbacks, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry window{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.window};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &window, options.window ? 1 : 0);
    flush();
  }
  Http2Client(int port, const Pki& pki) : Http2Client(port, pki, Options()) {}
  ~Http2Client() {
    nghttp2_session_del(session_);
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  // `body` is sent as far as the server gives room; what is left, while others are waited for.
  int32_t send(const std::string& method, const std::string& path, std::string body = {}, const Fields& more = {}) {
    return submit(method, path, std::move(body), more, true);
  }
  // The body does not end.
  int32_t begin(const std::string& method, const std::string& path, std::string body) {
    return submit(method, path, std::move(body), {}, false);
  }
  int32_t get(const std::string& path) { return send("GET", path); }

  Answer& answer(int32_t stream) { return answers_[stream]; }
  // Reads until then, at most five seconds of silence.
  bool until(const std::function<bool()>& condition) {
    while (!condition())
      if (!read_some(5000)) return condition();
    return true;
  }
  Answer& wait(int32_t stream) {
    Answer& found = answers_[stream];
    insist(until([&] { return found.closed; }), "the stream did not end");
    return found;
  }
  // Reads what comes within that time.
  void listen(int ms) {
    while (read_some(ms)) {
    }
  }
  void cancel(int32_t stream) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    flush();
  }
  void make_room(int32_t stream, size_t size) {
    nghttp2_session_consume_stream(session_, stream, size);
    nghttp2_session_consume_connection(session_, size);
    flush();
  }
  bool goaway() const { return goaway_; }
  uint32_t goaway_error() const { return goaway_error_; }
  bool ended() const { return ended_; }
  uint32_t max_streams() const {
    return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  }
  void flush() {
    for (;;) {
      const uint8_t* bytes = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
      if (size <= 0) return;
      if (SSL_write(ssl_, bytes, static_cast<int>(size)) <= 0) ended_ = true;
    }
  }

 private:
  struct Upload {
    std::string body;
    bool whole = true;
    size_t sent = 0;
  };
  int32_t submit(const std::string& method, const std::string& path, std::string body, const Fields& more, bool whole) {
    Fields fields = {{":method", method}, {":scheme", "https"}, {":authority", "the.host"}, {":path", path}};
    fields.insert(fields.end(), more.begin(), more.end());
    std::vector<nghttp2_nv> list;
    for (auto& [name, value] : fields)
      list.push_back({reinterpret_cast<uint8_t*>(name.data()), reinterpret_cast<uint8_t*>(value.data()), name.size(),
                      value.size(), NGHTTP2_NV_FLAG_NONE});
    const bool with_body = !body.empty();
    Upload& upload = *uploads_.emplace_back(new Upload{std::move(body), whole});
    nghttp2_data_provider provider{{.ptr = &upload}, read_upload};
    const int32_t id = nghttp2_submit_request(session_, nullptr, list.data(), list.size(), with_body ? &provider : nullptr, nullptr);
    insist(id > 0, "no stream is left");
    flush();
    return id;
  }
  static Http2Client& me(void* data) { return *static_cast<Http2Client*>(data); }
  static ssize_t read_upload(nghttp2_session*, int32_t, uint8_t* out, size_t room, uint32_t* flags,
                             nghttp2_data_source* source, void*) {
    auto& upload = *static_cast<Upload*>(source->ptr);
    const size_t size = std::min(room, upload.body.size() - upload.sent);
    if (size == 0 && !upload.whole) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(out, upload.body.data() + upload.sent, size);
    upload.sent += size;
    if (upload.whole && upload.sent == upload.body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* data) {
    Answer& answer = me(data).answers_[frame->hd.stream_id];
    const std::string key(reinterpret_cast<const char*>(name), name_size), text(reinterpret_cast<const char*>(value), value_size);
    if (key == ":status") {
      answer.status = std::stoi(text);
    } else {
      answer.headers[key] = text;
    }
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* bytes, size_t size, void* data) {
    me(data).answers_[stream].body.append(reinterpret_cast<const char*>(bytes), size);
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* data) {
    Answer& answer = me(data).answers_[frame->hd.stream_id];
    if (frame->hd.type == NGHTTP2_DATA) ++answer.frames;
    if (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)
      answer.ended = answer.ended || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      me(data).goaway_ = true;
      me(data).goaway_error_ = frame->goaway.error_code;
    }
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t stream, uint32_t error, void* data) {
    me(data).answers_[stream].closed = true;
    me(data).answers_[stream].error = error;
    return 0;
  }
  bool read_some(int ms) {
    if (ended_) return false;
    pollfd entry{raw_.fd(), POLLIN, 0};
    if (!SSL_pending(ssl_) && ::poll(&entry, 1, ms) <= 0) return false;
    uint8_t buffer[16384];
    const int n = SSL_read(ssl_, buffer, sizeof buffer);
    ended_ = n <= 0 || nghttp2_session_mem_recv(session_, buffer, static_cast<size_t>(n)) < 0;
    if (!ended_) flush();
    return !ended_;
  }

  Raw raw_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Upload>> uploads_;
  std::map<int32_t, Answer> answers_;
  bool goaway_ = false, ended_ = false;
  uint32_t goaway_error_ = 0;
};

}  // namespace knarr::http::test
