#include "agent/grpc_health.h"

#include <catch2/catch.hpp>

using namespace knarr;
using namespace knarr::agent;

namespace {

std::string frame(int type, int flags, int stream, const std::string& payload) {
  const char head[9] = {0, static_cast<char>(payload.size() >> 8), static_cast<char>(payload.size()), static_cast<char>(type), static_cast<char>(flags),
                        0, 0, 0, static_cast<char>(stream)};
  return std::string(head, sizeof head) + payload;
}

// A gRPC message.
std::string message(const std::string& body) { return std::string("\0\0\0\0", 4) + static_cast<char>(body.size()) + body; }

const std::string kSettings = frame(4, 0, 0, ""), kHead = frame(1, 4, 1, "\x88");
const std::string kServing = kSettings + kHead + frame(0, 0, 1, message("\x08\x01"));

}  // namespace

TEST_CASE("gRPC health: the call", "[grpc]") {
  const std::string request = grpc::health_request("10.0.0.1:5000", "s");
  CHECK(request.starts_with("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  CHECK(request.find("/grpc.health.v1.Health/Check") != std::string::npos);
  CHECK(request.ends_with(frame(0, 1, 1, message("\x0a\x01s"))));
  CHECK(grpc::health_request("h:1", "").ends_with(frame(0, 1, 1, message(""))));
}

TEST_CASE("gRPC health: what the server answers", "[grpc]") {
  struct Case {
    std::string bytes;
    bool complete;
    std::optional<int> status;
  };
  const Case cases[] = {
      {kServing, true, 1},
      {kSettings + kHead + frame(0, 0, 1, message("\x08\x02")), true, 2},
      {kSettings + kHead + frame(0, 0, 1, message("")), true, 0},
      {kSettings + kHead + frame(0, 8, 1, std::string("\x02", 1) + message("\x08\x01") + "xx"), true, 1},  // padded
      {kSettings + frame(1, 5, 1, "\x88"), true, {}},                                                      // only trailers
      {kSettings + kHead, false, {}},
      {kSettings + frame(0, 0, 3, message("\x08\x01")), false, {}},  // of another stream
  };
  for (const auto& c : cases) {
    grpc::HealthAnswer at_once, bytewise;
    REQUIRE(at_once.feed(c.bytes).ok());
    std::string reply;
    for (char byte : c.bytes) reply += bytewise.feed(std::string_view(&byte, 1)).value_or("failed");
    CHECK(reply == frame(4, 1, 0, ""));  // the settings are acknowledged, once
    for (const auto* answer : {&at_once, &bytewise}) {
      CHECK(answer->complete() == c.complete);
      CHECK(answer->status() == c.status);
    }
  }
}

TEST_CASE("gRPC health: servers that do not do their part", "[grpc]") {
  CHECK_FALSE(grpc::HealthAnswer().feed("HTTP/1.1 400 Bad Request\r\n\r\n").ok());
  CHECK_FALSE(grpc::HealthAnswer().feed(kSettings + frame(3, 0, 1, "\0\0\0\1")).ok());
  CHECK_FALSE(grpc::HealthAnswer().feed(kSettings + frame(7, 0, 0, "bye")).ok());
  CHECK(grpc::HealthAnswer().feed(frame(6, 0, 0, "12345678")).value_or("") == frame(6, 1, 0, "12345678"));
  HandlerResult refused = check_grpc_health("127.0.0.1", 1, "", milliseconds(1000));
  CHECK_FALSE(refused.success);
  CHECK(refused.output.starts_with("error: failed to connect service at \"127.0.0.1:1\""));
}
