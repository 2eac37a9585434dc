#include "http/spdy_frames.h"

#include <algorithm>

namespace knarr::http::spdy {

namespace {

constexpr uint16_t kVersion = 3;
constexpr size_t kMaxControl = 1 << 20;
constexpr size_t kMaxHeaders = 256 << 10, kMaxHeaderCount = 1000;
constexpr uint32_t kId = 0x7fffffff;  // the bits of a stream's id

// The dictionary that both sides' compression begins with, as the protocol's draft gives it: words with their length in
// four bytes in front, then text.
const std::string& dictionary() {
  static const std::string text = [] {
    std::string d;
    for (std::string_view word : {"options",
                                  "head",
                                  "post",
                                  "put",
                                  "delete",
                                  "trace",
                                  "accept",
                                  "accept-charset",
                                  "accept-encoding",
                                  "accept-language",
                                  "accept-ranges",
                                  "age",
                                  "allow",
                                  "authorization",
                                  "cache-control",
                                  "connection",
                                  "content-base",
                                  "content-encoding",
                                  "content-language",
                                  "content-length",
                                  "content-location",
                                  "content-md5",
                                  "content-range",
                                  "content-type",
                                  "date",
                                  "etag",
                                  "expect",
                                  "expires",
                                  "from",
                                  "host",
                                  "if-match",
                                  "if-modified-since",
                                  "if-none-match",
                                  "if-range",
                                  "if-unmodified-since",
                                  "last-modified",
                                  "location",
                                  "max-forwards",
                                  "pragma",
                                  "proxy-authenticate",
                                  "proxy-authorization",
                                  "range",
                                  "referer",
                                  "retry-after",
                                  "server",
                                  "te",
                                  "trailer",
                                  "transfer-encoding",
                                  "upgrade",
                                  "user-agent",
                                  "vary",
                                  "via",
                                  "warning",
                                  "www-authenticate",
                                  "method",
                                  "get",
                                  "status",
                                  "200 OK",
                                  "version",
                                  "HTTP/1.1",
                                  "url",
                                  "public",
                                  "set-cookie",
                                  "keep-alive",
                                  "origin"}) {
      append_u32(d, static_cast<uint32_t>(word.size()));
      d += word;
    }
    d += "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
         "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
         "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
         "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
         "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
         "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";
    return d;
  }();
  return text;
}

const Bytef* bytes_of(std::string_view text) { return reinterpret_cast<const Bytef*>(text.data()); }

uint32_t read_u32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

bool take_u32(std::string_view& bytes, uint32_t& out) {
  if (bytes.size() < 4) return false;
  out = read_u32(bytes, 0);
  bytes.remove_prefix(4);
  return true;
}

bool take_text(std::string_view& bytes, std::string& out) {
  uint32_t size = 0;
  if (!take_u32(bytes, size) || size > bytes.size()) return false;
  out = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

}  // namespace

Inflater::Inflater() { inflateInit(&stream_); }
Inflater::~Inflater() { inflateEnd(&stream_); }

bool Inflater::inflate_block(std::string_view block, std::string& out) {
  stream_.next_in = const_cast<Bytef*>(bytes_of(block));
  stream_.avail_in = static_cast<uInt>(block.size());
  char buffer[8192];
  do {
    stream_.next_out = reinterpret_cast<Bytef*>(buffer);
    stream_.avail_out = sizeof buffer;
    int result = inflate(&stream_, Z_SYNC_FLUSH);
    if (result == Z_NEED_DICT)
      result = inflateSetDictionary(&stream_, bytes_of(dictionary()), static_cast<uInt>(dictionary().size()));
    if (result != Z_OK && result != Z_BUF_ERROR) return false;
    const size_t got = sizeof buffer - stream_.avail_out;
    out.append(buffer, got);
    if (out.size() > kMaxHeaders) return false;
    if (got == 0 && result == Z_BUF_ERROR) break;  // nothing more comes of this block
  } while (stream_.avail_in > 0 || stream_.avail_out == 0);
  return stream_.avail_in == 0;
}

bool Inflater::read(std::string_view block, Headers& out) {
  std::string text;
  if (!inflate_block(block, text)) return false;
  std::string_view rest = text;
  uint32_t count = 0;
  if (!take_u32(rest, count) || count > kMaxHeaderCount) return false;
  for (uint32_t i = 0; i < count; ++i) {
    std::string name, values;
    if (!take_text(rest, name) || name.empty() || !take_text(rest, values)) return false;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    for (size_t begin = 0;
         begin <= values.size();) {  // several values of a name stand behind each other with NUL between them
      const size_t end = std::min(values.find('\0', begin), values.size());
      out.emplace_back(name, values.substr(begin, end - begin));
      if (out.size() > kMaxHeaderCount) return false;
      begin = end + 1;
    }
  }
  return rest.empty();
}

Deflater::Deflater() {
  deflateInit(&stream_, Z_BEST_COMPRESSION);
  deflateSetDictionary(&stream_, bytes_of(dictionary()), static_cast<uInt>(dictionary().size()));
}
Deflater::~Deflater() { deflateEnd(&stream_); }

std::string Deflater::write(const Headers& headers) {
  std::string text;
  append_u32(text, static_cast<uint32_t>(headers.size()));
  for (const auto& [name, value] : headers) {
    for (const std::string& part : {name, value}) {
      append_u32(text, static_cast<uint32_t>(part.size()));
      text += part;
    }
  }
  std::string out;
  stream_.next_in = const_cast<Bytef*>(bytes_of(text));
  stream_.avail_in = static_cast<uInt>(text.size());
  char buffer[4096];
  do {
    stream_.next_out = reinterpret_cast<Bytef*>(buffer);
    stream_.avail_out = sizeof buffer;
    deflate(&stream_, Z_SYNC_FLUSH);
    out.append(buffer, sizeof buffer - stream_.avail_out);
  } while (stream_.avail_out == 0);
  return out;
}

void append_u32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

void append_data_head(std::string& out, uint32_t stream, uint8_t flags, size_t size) {
  append_u32(out, stream & kId);
  append_u32(out, static_cast<uint32_t>(flags) << 24 | static_cast<uint32_t>(size));
}

void append_control(std::string& out, FrameType type, uint8_t flags, std::string_view payload) {
  append_u32(out, 0x80000000u | static_cast<uint32_t>(kVersion) << 16 | type);
  append_u32(out, static_cast<uint32_t>(flags) << 24 | static_cast<uint32_t>(payload.size()));
  out += payload;
}

Parser::State Parser::fail(std::string_view why) {
  error_ = why;
  return State::kError;
}

Parser::State Parser::next(std::string& in, Frame& out) {
  for (;;) {
    if (in_data_) return read_data(in, out);
    if (in.size() < 8) return State::kMore;
    const uint32_t first = read_u32(in, 0), second = read_u32(in, 4);
    const auto flags = static_cast<uint8_t>(second >> 24);
    const uint32_t size = second & 0xffffff;
    if (!(first & 0x80000000u)) {
      in.erase(0, 8);
      in_data_ = true;
      data_stream_ = first;
      data_left_ = size;
      data_fin_ = flags & kFin;
      continue;
    }
    if ((first >> 16 & 0x7fff) != kVersion) return fail("a frame is not of SPDY/3");
    if (size > kMaxControl) return fail("a control frame is too large");
    if (in.size() < 8 + size) return State::kMore;
    const std::string payload = in.substr(8, size);
    in.erase(0, 8 + size);
    const State state = read_control(static_cast<uint16_t>(first & 0xffff), flags, payload, out);
    if (state != State::kMore) return state;  // kMore: a frame that is of no interest
  }
}

Parser::State Parser::read_data(std::string& in, Frame& out) {
  if (in.empty() && data_left_ > 0) return State::kMore;
  const size_t take = std::min<size_t>(data_left_, in.size());
  out = Frame();
  out.stream = data_stream_;
  out.data = in.substr(0, take);
  in.erase(0, take);
  data_left_ -= static_cast<uint32_t>(take);
  if (data_left_ == 0) {
    in_data_ = false;
    if (data_fin_) out.flags = kFin;
  }
  return State::kFrame;
}

Parser::State Parser::read_control(uint16_t type, uint8_t flags, std::string_view payload, Frame& out) {
  out = Frame();
  out.type = static_cast<FrameType>(type);
  out.flags = flags;
  switch (type) {
    case kSynStream:
    case kSynReply:
    case kHeaders:
      // SYN_STREAM has six bytes more: the associated stream, priority and slot.
      if (!take_u32(payload, out.stream) || (type == kSynStream && payload.size() < 6))
        return fail("a frame is too short");
      if (type == kSynStream) payload.remove_prefix(6);
      if (!inflater_.read(payload, out.headers)) return fail("a header block is malformed or too large");
      break;
    case kRstStream:
      if (!take_u32(payload, out.stream) || !take_u32(payload, out.value)) return fail("a frame is too short");
      break;
    case kPing:
    case kGoAway:
      if (!take_u32(payload, out.stream)) return fail("a frame is too short");
      break;
    default:
      return State::kMore;  // SETTINGS, WINDOW_UPDATE and what nobody knows
  }
  if (type != kPing) out.stream &= kId;
  return State::kFrame;
}

}  // namespace knarr::http::spdy
