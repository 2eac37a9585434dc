#include <atomic>
#include <condition_variable>

#include "http/lanes.h"
#include "knarr/http/server.h"
#include "support.h"

namespace knarr::http::test {
namespace {

// Lets in, makes wait or refuses by the path.
class TestGate : public Gate {
 public:
  Verdict admit(Request& request, Response& response, std::function<void()> resume) override {
    request.context = std::make_shared<std::string>("seen " + request.path);
    if (request.path == "/throw") throw std::runtime_error("as asked");
    if (request.path == "/refused") {
      response.status = 429;
      response.body = "later";
      return Verdict::kAnswered;
    }
    if (request.path == "/pass") return Verdict::kPass;
    std::lock_guard lock(mutex_);
    if (open_) return Verdict::kPass;
    waiting_.push_back(std::move(resume));
    arrived_.notify_all();
    return Verdict::kWait;
  }
  void open() override {
    std::lock_guard lock(mutex_);
    open_ = true;
    for (const auto& resume : waiting_) resume();
    waiting_.clear();
  }

  void wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    REQUIRE(arrived_.wait_for(lock, std::chrono::seconds(10), [&] { return waiting_.size() >= count; }));
  }
  void resume_all() {
    std::lock_guard lock(mutex_);
    for (const auto& resume : waiting_) resume();
    waiting_.clear();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::function<void()>> waiting_;
  bool open_ = false;
};

struct Gated {
  TestGate gate;
  std::atomic<int> handled{0};
  std::unique_ptr<Server> server;

  Gated() {
    ServerOptions options;
    options.workers = 2;
    options.gate = &gate;
    server = must(Server::start(std::move(options), [this](const Request& request, Response& response) {
      ++handled;
      response.body = *std::static_pointer_cast<std::string>(request.context);
    }));
  }
};

std::string request_of(const std::string& method, const std::string& path) {
  return method + " " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
}

TEST_CASE("lanes take turns") {
  struct Case {
    std::vector<std::pair<uint32_t, int>> pushed;
    std::vector<int> popped;
  };
  const Case cases[] = {
      {{{1, 10}, {1, 11}, {1, 12}}, {10, 11, 12}},
      {{{1, 10}, {1, 11}, {1, 12}, {2, 20}, {3, 30}, {3, 31}}, {10, 20, 30, 11, 31, 12}},
      {{{1, 10}, {1, 11}, {0, 1}, {2, 20}, {0, 2}}, {1, 2, 10, 20, 11}},
  };
  for (const Case& c : cases) {
    Lanes<int> lanes;
    for (const auto& [lane, item] : c.pushed) lanes.push(lane, item);
    std::vector<int> popped;
    while (!lanes.empty()) popped.push_back(lanes.pop());
    CHECK(popped == c.popped);
    CHECK(lanes.size() == 0);
  }
}

TEST_CASE("a gate answers, lets pass, or fails") {
  Gated g;
  const std::tuple<const char*, const char*, const char*, int> cases[] = {{"GET", "/refused", "HTTP/1.1 429 ", 0},
                                                                          {"POST", "/refused", "\r\n\r\nlater", 0},
                                                                          {"GET", "/pass", "\r\n\r\nseen /pass", 1},
                                                                          {"POST", "/pass", "\r\n\r\nseen /pass", 1},
                                                                          {"GET", "/throw", "HTTP/1.1 500 ", 0}};
  for (const auto& [method, path, text, handled] : cases) {
    INFO(method << " " << path);
    g.handled = 0;
    Raw raw(g.server->port());
    raw.send(request_of(method, path));
    CHECK(raw.read_all().find(text) != std::string::npos);
    CHECK(g.handled == handled);
  }
}

TEST_CASE("requests that wait hold no thread") {
  Gated g;
  std::vector<std::unique_ptr<Raw>> waiting;
  for (int i = 0; i < 60; ++i) {
    waiting.push_back(std::make_unique<Raw>(g.server->port()));
    waiting.back()->send(request_of(i % 2 ? "GET" : "POST", "/wait"));
  }
  g.gate.wait_for(waiting.size());
  for (const char* method : {"GET", "POST"}) {
    Raw other(g.server->port());
    other.send(request_of(method, "/pass"));
    CHECK(other.read_all().find("seen /pass") != std::string::npos);
  }
  CHECK(g.handled == 2);
  g.gate.resume_all();
  for (auto& raw : waiting) CHECK(raw->read_all().find("seen /wait") != std::string::npos);
}

TEST_CASE("who hung up while it waited is not handled") {
  Gated g;
  {
    Raw raw(g.server->port());
    raw.send(request_of("GET", "/wait"));
    g.gate.wait_for(1);
  }
  Raw patient(g.server->port());
  patient.send(request_of("GET", "/wait"));
  g.gate.wait_for(2);
  g.gate.resume_all();
  CHECK(patient.read_all().find("seen /wait") != std::string::npos);
  CHECK(g.handled == 1);
}

TEST_CASE("a server that stops lets in who waits") {
  Gated g;
  Raw raw(g.server->port());
  raw.send(request_of("POST", "/wait"));
  g.gate.wait_for(1);
  g.server->stop();
  CHECK(raw.read_all().find("seen /wait") != std::string::npos);
}

}  // namespace
}  // namespace knarr::http::test
