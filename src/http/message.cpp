#include "http/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace knarr::http {

namespace {

constexpr size_t kMaxFields = 2000;  // header lines
constexpr size_t kMaxLine = 4096;    // of a chunk's extension and of a trailer

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_token_char(unsigned char c) {
  static const auto table = [] {
    std::array<bool, 256> t{};
    for (unsigned char d : std::string_view("!#$%&'*+-.^_`|~0123456789"
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
      t[d] = true;
    return t;
  }();
  return table[c];
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return is_token_char(c); });
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The next line of a head, without its CRLF.
bool take_line(std::string_view& bytes, std::string_view& line) {
  size_t end = bytes.find("\r\n");
  if (end == std::string_view::npos) return false;
  line = bytes.substr(0, end);
  bytes.remove_prefix(end + 2);
  return true;
}

bool valid_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

ParseError parse_fields(std::string_view bytes, Headers& out) {
  std::string_view line;
  while (take_line(bytes, line)) {
    if (line.empty()) return {};
    if (out.size() >= kMaxFields) return {431, "the message has too many headers"};
    size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
      return {400, "a header line has no valid name"};
    std::string_view value = trim(line.substr(colon + 1));
    if (!valid_value(value)) return {400, "a header has control characters in its value"};
    out.emplace_back(line.substr(0, colon), value);
  }
  return {400, "the head of the message does not end"};
}

bool parse_length(std::string_view text, uint64_t& out) {
  if (text.empty() || text.size() > 18 || !std::all_of(text.begin(), text.end(), is_digit)) return false;
  out = 0;
  for (char c : text) out = out * 10 + static_cast<uint64_t>(c - '0');
  return true;
}

// What Content-Length and Transfer-Encoding say of a message. kNone: neither is there.
ParseError parse_framing(const Headers& headers, int minor_version, Framing& framing, uint64_t& length) {
  bool has_length = false;
  framing = Framing::kNone;
  for (const auto& [name, value] : headers) {
    if (equal_fold(name, "Content-Length")) {
      uint64_t parsed = 0;
      if (!parse_length(value, parsed)) return {400, "Content-Length is not a number"};
      if (has_length && parsed != length) return {400, "Content-Length stands there twice, with different values"};
      has_length = true;
      length = parsed;
    } else if (equal_fold(name, "Transfer-Encoding")) {
      if (framing == Framing::kChunked) return {400, "Transfer-Encoding stands there twice"};
      if (!equal_fold(value, "chunked")) return {501, "only the transfer encoding \"chunked\" is supported"};
      if (minor_version == 0) return {400, "HTTP/1.0 has no Transfer-Encoding"};
      framing = Framing::kChunked;
    }
  }
  if (has_length && framing == Framing::kChunked) return {400, "both Content-Length and Transfer-Encoding are there"};
  if (has_length) framing = Framing::kLength;
  return {};
}

bool parse_version(std::string_view text, int& minor) {
  if (text.size() != 8 || text.substr(0, 7) != "HTTP/1." || !is_digit(text[7])) return false;
  minor = text[7] == '0' ? 0 : 1;
  return true;
}

bool connection_persists(const Headers& headers, int minor_version) {
  if (header_has_token(headers, "Connection", "close")) return false;
  return minor_version > 0 || header_has_token(headers, "Connection", "keep-alive");
}

}  // namespace

// Made once a second for each thread.
std::string_view http_date() {
  thread_local time_t made = 0;
  thread_local char text[40];
  thread_local size_t size = 0;
  time_t now = ::time(nullptr);
  if (now != made) {
    tm parts{};
    ::gmtime_r(&now, &parts);
    size = ::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    made = now;
  }
  return {text, size};
}

bool equal_fold(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view find_header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (equal_fold(key, name)) return value;
  return {};
}

bool header_has_token(const Headers& headers, std::string_view name, std::string_view token) {
  for (const auto& [key, value] : headers) {
    if (!equal_fold(key, name)) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      size_t comma = rest.find(',');
      if (equal_fold(trim(rest.substr(0, comma)), token)) return true;
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  return false;
}

bool percent_decode(std::string_view text, bool plus_is_space, std::string& out) {
  out.clear();
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return false;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return true;
}

Query parse_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    size_t end = text.find('&');
    std::string_view pair = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (pair.empty()) continue;
    size_t equals = pair.find('=');
    std::string name, value;
    if (!percent_decode(pair.substr(0, equals), true, name)) continue;
    if (equals != std::string_view::npos && !percent_decode(pair.substr(equals + 1), true, value)) continue;
    query.emplace_back(std::move(name), std::move(value));
  }
  return query;
}

size_t find_head_end(std::string_view bytes, size_t& from) {
  size_t end = bytes.find("\r\n\r\n", from);
  if (end != std::string_view::npos) return end + 4;
  from = bytes.size() < 3 ? 0 : bytes.size() - 3;
  return std::string_view::npos;
}

ParseError parse_request_head(std::string_view bytes, RequestHead& out) {
  std::string_view line;
  if (!take_line(bytes, line)) return {400, "the request has no request line"};
  size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return {400, "the request line is not \"METHOD target HTTP/1.1\""};
  std::string_view method = line.substr(0, first), target = line.substr(first + 1, last - first - 1);
  if (!is_token(method) || method.size() > 32) return {400, "the request's method is not valid"};
  if (target.empty() ||
      std::any_of(target.begin(), target.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7f; }))
    return {400, "the request's target is not valid"};
  std::string_view version = line.substr(last + 1);
  if (!parse_version(version, out.minor_version)) {
    if (version.substr(0, 5) == "HTTP/") return {505, "only HTTP/1.1 and HTTP/1.0 are supported"};
    return {400, "the request line does not end with an HTTP version"};
  }
  out.method = method;
  out.target = target;
  if (ParseError error = parse_fields(bytes, out.headers); error.code) return error;
  if (ParseError error = parse_framing(out.headers, out.minor_version, out.framing, out.content_length); error.code)
    return error;
  int hosts = 0;
  for (const auto& [name, value] : out.headers) hosts += equal_fold(name, "Host");
  if (hosts > 1 || (hosts == 0 && out.minor_version > 0)) return {400, "the request needs one Host header"};
  out.keep_alive = connection_persists(out.headers, out.minor_version);
  out.expects_continue = out.minor_version > 0 && header_has_token(out.headers, "Expect", "100-continue");
  return {};
}

ParseError fill_request(RequestHead& head, Request& out) {
  std::string_view target = head.target;
  if (target.front() != '/' && target != "*") {  // absolute form, as proxies send it
    size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) return {400, "the request's target is neither a path nor a URL"};
    size_t path = target.find_first_of("/?", scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
    if (target.front() != '/') return {400, "the request's target has no path"};
  }
  size_t question = target.find('?');
  if (!percent_decode(target.substr(0, question), false, out.path))
    return {400, "the request's path has a broken escape"};
  out.query = question == std::string_view::npos ? Query() : parse_query(target.substr(question + 1));
  out.method = std::move(head.method);
  out.headers = std::move(head.headers);
  if (target.size() == head.target.size()) {
    out.target = std::move(head.target);
  } else {
    out.target = target;
  }
  return {};
}

ParseError parse_response_head(std::string_view bytes, std::string_view method, ResponseHead& out) {
  std::string_view line;
  if (!take_line(bytes, line)) return {502, "the answer has no status line"};
  if (line.size() < 12 || !parse_version(line.substr(0, 8), out.minor_version) || line[8] != ' ' ||
      !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) || line[9] == '0' ||
      (line.size() > 12 && line[12] != ' '))
    return {502, "the answer's status line is not HTTP/1.1's"};
  out.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (ParseError error = parse_fields(bytes, out.headers); error.code) return error;
  if (ParseError error = parse_framing(out.headers, out.minor_version, out.framing, out.content_length); error.code)
    return error;
  out.keep_alive = connection_persists(out.headers, out.minor_version);
  if (out.status < 200 || out.status == 204 || out.status == 304 || method == "HEAD") {
    out.framing = Framing::kNone;
  } else if (out.framing == Framing::kNone) {
    out.framing = Framing::kUntilClose;
    out.keep_alive = false;
  }
  return {};
}

ChunkDecoder::State ChunkDecoder::feed(std::string_view& in, std::string& out, size_t limit) {
  while (!in.empty()) {
    if (step_ == Step::kEnd) return State::kDone;
    if (step_ == Step::kData) {
      size_t take = static_cast<size_t>(std::min<uint64_t>(left_, in.size()));
      if (take > limit - std::min(limit, out.size())) return State::kTooLarge;
      out.append(in.substr(0, take));
      in.remove_prefix(take);
      left_ -= take;
      if (left_ == 0) step_ = Step::kDataCr;
      continue;
    }
    const char c = in.front();
    in.remove_prefix(1);
    switch (step_) {
      case Step::kSize: {
        int value = hex_value(c);
        if (value >= 0) {
          if (++digits_ > 15) return State::kBad;
          left_ = left_ * 16 + static_cast<uint64_t>(value);
          break;
        }
        if (digits_ == 0) return State::kBad;
        if (c == '\r') {
          step_ = Step::kSizeLf;
        } else if (c == ';' || c == ' ' || c == '\t') {
          step_ = Step::kExtension;
        } else {
          return State::kBad;
        }
        break;
      }
      case Step::kExtension:
        if (c == '\r') step_ = Step::kSizeLf;
        if (c == '\n' || ++line_ > kMaxLine) return State::kBad;
        break;
      case Step::kSizeLf:
        if (c != '\n') return State::kBad;
        step_ = left_ > 0 ? Step::kData : Step::kTrailer;
        digits_ = 0;
        empty_line_ = true;
        break;
      case Step::kDataCr:
        if (c != '\r') return State::kBad;
        step_ = Step::kDataLf;
        break;
      case Step::kDataLf:
        if (c != '\n') return State::kBad;
        step_ = Step::kSize;
        break;
      case Step::kTrailer:  // trailers are read over
        if (c == '\r') {
          step_ = Step::kTrailerLf;
        } else {
          empty_line_ = false;
          if (c == '\n' || ++line_ > kMaxLine) return State::kBad;
        }
        break;
      case Step::kTrailerLf:
        if (c != '\n') return State::kBad;
        step_ = empty_line_ ? Step::kEnd : Step::kTrailer;
        empty_line_ = true;
        break;
      case Step::kData:
      case Step::kEnd:
        break;
    }
  }
  return step_ == Step::kEnd ? State::kDone : State::kMore;
}

std::string_view reason_phrase(int status) {
  static constexpr std::pair<int, std::string_view> kPhrases[] = {
      {100, "Continue"},
      {101, "Switching Protocols"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Request Entity Too Large"},
      {414, "Request URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Requested Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Entity"},
      {426, "Upgrade Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
  };
  const auto* found = std::lower_bound(std::begin(kPhrases), std::end(kPhrases), status,
                                       [](const auto& entry, int code) { return entry.first < code; });
  return found != std::end(kPhrases) && found->first == status ? found->second : "Unknown";
}

bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

bool frames_message(std::string_view name) {
  return equal_fold(name, "Content-Length") || equal_fold(name, "Transfer-Encoding") ||
         equal_fold(name, "Connection") || equal_fold(name, "Keep-Alive");
}

std::string body_length(const Response& response, bool is_head) {
  if (is_head && response.body_size() == 0) {
    if (auto given = find_header(response.headers, "Content-Length"); !given.empty()) return std::string(given);
  }
  return fmt::to_string(response.body_size());
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  const size_t begin = out.size();
  out += value;
  for (size_t i = begin; i < out.size(); ++i)
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
  out += "\r\n";
}

void append_response_head(std::string& out, int status, const Headers& headers) {
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
  for (const auto& [name, value] : headers) append_header(out, name, value);
  if (find_header(headers, "Date").empty()) append_header(out, "Date", http_date());
}

void append_chunk_size(std::string& out, size_t size) { fmt::format_to(std::back_inserter(out), "{:x}\r\n", size); }

}  // namespace knarr::http
