// HTTP/1.1 messages as bytes: heads parsed and written, bodies framed. Pure functions over memory; nobody here knows a
// socket. Strict where leniency is how requests are smuggled: line ends are CRLF, a length is digits, a message has one
// framing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "knarr/http/server.h"

namespace knarr::http {

bool equal_fold(std::string_view a, std::string_view b);  // ASCII, without case
std::string_view find_header(const Headers& headers, std::string_view name);
// Whether a comma-separated header (Connection, Upgrade, Sec-WebSocket-Protocol) names `token`, over all lines of that
// name.
bool header_has_token(const Headers& headers, std::string_view name, std::string_view token);

bool percent_decode(std::string_view text, bool plus_is_space, std::string& out);  // false: a broken escape
Query parse_query(std::string_view text);  // pairs with broken escapes are left out, as Go does

enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };

// Where a message's head ends: the offset behind its empty line, or npos. `from` is where an earlier search stopped.
size_t find_head_end(std::string_view bytes, size_t& from);

struct ParseError {
  int code = 0;  // 0: none
  std::string_view message;
};

struct RequestHead {
  std::string method, target;
  int minor_version = 1;
  Headers headers;
  Framing framing = Framing::kNone;
  uint64_t content_length = 0;
  bool keep_alive = true, expects_continue = false;
};
// `bytes` is a whole head with its empty line.
ParseError parse_request_head(std::string_view bytes, RequestHead& out);
// Moves method, target and headers over, and sets path and query. An error: the target is no path.
ParseError fill_request(RequestHead& head, Request& out);

struct ResponseHead {
  int status = 0;
  int minor_version = 1;
  Headers headers;
  Framing framing = Framing::kNone;  // for a response to `method`
  uint64_t content_length = 0;
  bool keep_alive = true;
};
ParseError parse_response_head(std::string_view bytes, std::string_view method, ResponseHead& out);

// Takes chunked transfer encoding apart as it comes in.
class ChunkDecoder {
 public:
  enum class State { kMore, kDone, kBad, kTooLarge };
  // Takes from the front of `in` (shortens it), appends what was framed to `out`; stops at the end of the body.
  // kTooLarge: `out` would grow beyond `limit`.
  State feed(std::string_view& in, std::string& out, size_t limit);

 private:
  enum class Step { kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailer, kTrailerLf, kEnd };
  Step step_ = Step::kSize;
  uint64_t left_ = 0;
  int digits_ = 0;
  size_t line_ = 0;  // length of an extension or of the trailer
  bool empty_line_ = true;
};

std::string_view reason_phrase(int status);
bool may_have_body(int status);
// Whether a header is about the connection or how a body is framed: our business, whatever a handler that passes on a
// response says.
bool frames_message(std::string_view name);
// Content-Length of a response; one to HEAD may tell it without having the body.
std::string body_length(const Response& response, bool is_head);
std::string_view http_date();  // of now
// "HTTP/1.1 200 OK", the headers, Date; the caller adds what frames the body and the empty line. Values lose line
// breaks.
void append_response_head(std::string& out, int status, const Headers& headers);
void append_header(std::string& out, std::string_view name, std::string_view value);
// The size line in front of a chunk.
void append_chunk_size(std::string& out, size_t size);
constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace knarr::http
