#include "http/message.h"

#include <catch2/catch.hpp>

#include "http/client_connection.h"

namespace knarr::http {
namespace {

TEST_CASE("a request's head is taken apart") {
  RequestHead head;
  const auto error = parse_request_head(
      "POST /api/v1/pods?watch=1 HTTP/1.1\r\nHost: a:1\r\nX-Two:  b \r\nx-two:c\r\nContent-Length: 12\r\n\r\n", head);
  REQUIRE(error.code == 0);
  CHECK(head.method == "POST");
  CHECK(head.target == "/api/v1/pods?watch=1");
  CHECK(head.framing == Framing::kLength);
  CHECK(head.content_length == 12);
  CHECK(head.keep_alive);
  CHECK(head.headers == Headers{{"Host", "a:1"}, {"X-Two", "b"}, {"x-two", "c"}, {"Content-Length", "12"}});
  CHECK(find_header(head.headers, "x-TWO") == "b");
}

TEST_CASE("heads that are no HTTP/1.1 are refused") {
  struct Case {
    const char* head;
    int code;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
      {"GET / HTTP/1.0\r\n\r\n", 0},
      {"PRI * HTTP/2.0\r\n\r\n", 505},
      {"GET /\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 0},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 0},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
  };
  for (const Case& c : cases) {
    INFO(c.head);
    RequestHead head;
    CHECK(parse_request_head(c.head, head).code == c.code);
  }
}

TEST_CASE("the number of headers is limited") {
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 2000; ++i) head += "a: b\r\n";
  RequestHead parsed;
  CHECK(parse_request_head(head + "\r\n", parsed).code == 431);
}

TEST_CASE("a connection persists as its version and headers say") {
  struct Case {
    const char* head;
    bool keep_alive;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, Close\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", true},
  };
  for (const Case& c : cases) {
    INFO(c.head);
    RequestHead head;
    REQUIRE(parse_request_head(c.head, head).code == 0);
    CHECK(head.keep_alive == c.keep_alive);
  }
}

TEST_CASE("a target becomes path and query") {
  struct Case {
    std::string target, path;
    Query query;
    int code;
  };
  const Case cases[] = {
      {"/a%2Fb%20c+d?x=1&y=a%26b+c&x=1&z", "/a/b c+d", {{"x", "1"}, {"y", "a&b c"}, {"x", "1"}, {"z", ""}}, 0},
      {"/exec?command=echo&command=a&command=a", "/exec", {{"command", "echo"}, {"command", "a"}, {"command", "a"}}, 0},
      {"/a?x=%zz&y=1", "/a", {{"y", "1"}}, 0},
      {"/a%z", "", {}, 400},
      {"http://host:1/p?q=1", "/p", {{"q", "1"}}, 0},
      {"http://host", "/", {}, 0},
      {"host:443", "", {}, 400},
      {"*", "*", {}, 0},
  };
  for (const Case& c : cases) {
    INFO(c.target);
    RequestHead head;
    head.target = c.target;
    Request request;
    CHECK(fill_request(head, request).code == c.code);
    if (c.code) continue;
    CHECK(request.path == c.path);
    CHECK(request.query == c.query);
  }
}

TEST_CASE("header values are given as they were sent") {
  RequestHead head;
  REQUIRE(parse_request_head("GET / HTTP/1.1\r\nHost: a\r\nImpersonate-User: a%2Fb\r\n\r\n", head).code == 0);
  CHECK(find_header(head.headers, "impersonate-user") == "a%2Fb");
}

TEST_CASE("chunked bodies come apart however they are cut") {
  const std::string body = "4\r\nWiki\r\n6;x=\"y\"\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nTrailer: x\r\n\r\nnext";
  for (size_t step = 1; step <= body.size(); ++step) {
    ChunkDecoder decoder;
    std::string out, rest;
    auto state = ChunkDecoder::State::kMore;
    size_t at = 0;
    while (state == ChunkDecoder::State::kMore && at < body.size()) {
      const size_t size = std::min(step, body.size() - at);
      std::string_view in = std::string_view(body).substr(at, size);
      state = decoder.feed(in, out, 100);
      at += size - in.size();
    }
    INFO(step);
    CHECK(state == ChunkDecoder::State::kDone);
    CHECK(out == "Wikipedia in \r\n\r\nchunks.");
    CHECK(body.substr(at) == "next");
  }
}

TEST_CASE("malformed and too large chunks are refused") {
  struct Case {
    const char* body;
    ChunkDecoder::State state;
  };
  const Case cases[] = {
      {"x\r\n", ChunkDecoder::State::kBad},
      {"\r\n", ChunkDecoder::State::kBad},
      {"2\r\nabc", ChunkDecoder::State::kBad},
      {"2\nab", ChunkDecoder::State::kBad},
      {"-1\r\n", ChunkDecoder::State::kBad},
      {"0000000000000001\r\n", ChunkDecoder::State::kBad},
      {"5\r\nabcde\r\n", ChunkDecoder::State::kTooLarge},
      {"0\r\nA: b\n\r\n", ChunkDecoder::State::kBad},
  };
  for (const Case& c : cases) {
    INFO(c.body);
    ChunkDecoder decoder;
    std::string_view in = c.body;
    std::string out;
    CHECK(decoder.feed(in, out, 4) == c.state);
  }
}

TEST_CASE("the framing of a response") {
  struct Case {
    const char* head;
    const char* method;
    Framing framing;
    bool keep_alive;
  };
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", Framing::kLength, true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", Framing::kNone, true},
      {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", Framing::kChunked, true},
      {"HTTP/1.1 200 OK\r\n\r\n", "GET", Framing::kUntilClose, false},
      {"HTTP/1.1 204 No Content\r\n\r\n", "DELETE", Framing::kNone, true},
      {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", Framing::kLength, false},
  };
  for (const Case& c : cases) {
    INFO(c.head);
    ResponseHead head;
    REQUIRE(parse_response_head(c.head, c.method, head).code == 0);
    CHECK(head.framing == c.framing);
    CHECK(head.keep_alive == c.keep_alive);
  }
  for (const char* bad :
       {"HTTP/2 200\r\n\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "ICY 200 OK\r\n\r\n"}) {
    INFO(bad);
    ResponseHead head;
    CHECK(parse_response_head(bad, "GET", head).code != 0);
  }
}

TEST_CASE("line breaks do not get into a written header") {
  std::string out;
  append_header(out, "X", "a\r\nSet-Cookie: b");
  CHECK(out == "X: a  Set-Cookie: b\r\n");
}

TEST_CASE("URLs") {
  struct Case {
    const char* text;
    const char* host;
    const char* port;
    const char* prefix;
    const char* authority;
  };
  const Case cases[] = {
      {"https://127.0.0.1:6443", "127.0.0.1", "6443", "", "127.0.0.1:6443"},
      {"https://[::1]:6443/k8s/", "::1", "6443", "/k8s", "[::1]:6443"},
      {"http://registry", "registry", "80", "", "registry"},
      {"https://registry/v2", "registry", "443", "/v2", "registry"},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    auto url = parse_url(c.text);
    REQUIRE(url.ok());
    CHECK(url->host == c.host);
    CHECK(url->port == c.port);
    CHECK(url->prefix == c.prefix);
    CHECK(url->authority() == c.authority);
  }
  for (const char* bad : {"", "ftp://a", "https://", "https://a:b", "https://[::1", "https://a b", "https://u@h"}) {
    INFO(bad);
    CHECK_FALSE(parse_url(bad).ok());
  }
}

}  // namespace
}  // namespace knarr::http
