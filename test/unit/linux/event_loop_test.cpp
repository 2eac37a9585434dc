#include "knarr/linux/event_loop.h"

#include <unistd.h>

#include <catch2/catch.hpp>

using namespace knarr;
using linux::EventLoop;

TEST_CASE("the event loop runs timers in their order, and not those that were cancelled") {
  auto loop = *EventLoop::create();
  std::vector<int> fired;
  loop->add_timer(milliseconds(120), [&] { fired.push_back(3); });
  loop->add_timer(milliseconds(20), [&] { fired.push_back(1); });
  const auto cancelled = loop->add_timer(milliseconds(70), [&] { fired.push_back(2); });
  loop->add_timer(milliseconds(170), [&] { loop->stop(); });
  loop->cancel_timer(cancelled);
  loop->run();
  CHECK(fired == std::vector<int>{1, 3});
}

TEST_CASE("a timer never fires before its time") {
  auto loop = *EventLoop::create();
  const auto when = std::chrono::steady_clock::now() + std::chrono::microseconds(1500);
  MonoTime fired;
  loop->add_timer(when, [&] {
    fired = std::chrono::steady_clock::now();
    loop->stop();
  });
  loop->run();
  CHECK(fired >= when);
}

TEST_CASE("a handler may remove itself and others of the same batch") {
  auto loop = *EventLoop::create();
  auto a = *linux::make_pipe(), b = *linux::make_pipe();
  int calls = 0;
  const auto handler = [&](uint32_t) {
    ++calls;
    loop->remove(a.read.get());
    loop->remove(b.read.get());
    loop->post([&] { loop->stop(); });
  };
  REQUIRE(loop->add(a.read.get(), EPOLLIN, handler).ok());
  REQUIRE(loop->add(b.read.get(), EPOLLIN, handler).ok());
  REQUIRE(write(a.write.get(), "x", 1) == 1);
  REQUIRE(write(b.write.get(), "x", 1) == 1);
  loop->run();
  CHECK(calls == 1);
}

TEST_CASE("tasks of other threads run on the loop's thread, in their order") {
  auto loop = *EventLoop::create();
  std::vector<int> order;
  bool on_loop = true;
  std::thread poster([&] {
    for (int i = 0; i < 100; ++i) {
      loop->post([&, i] {
        on_loop &= loop->in_loop();
        order.push_back(i);
      });
    }
    loop->post([&] { loop->stop(); });
  });
  loop->run();
  poster.join();
  REQUIRE(order.size() == 100);
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(on_loop);
  CHECK_FALSE(loop->in_loop());
}
