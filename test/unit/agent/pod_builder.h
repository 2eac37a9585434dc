// Pods and views for the agent's tests, short enough to read in a table.
#pragma once

#include <catch2/catch.hpp>

#include "agent/pod_view.h"

namespace knarr::agent {

inline core::Pod pod_of(const std::string& spec, const std::string& status = "{}", const std::string& metadata = "") {
  std::string text =
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"default","uid":"u1","generation":1)" +
      (metadata.empty() ? "" : "," + metadata) + R"(},"spec":)" + spec + R"(,"status":)" + status + "}";
  auto pod = api::decode_as<core::Pod>(text);
  REQUIRE(pod.ok());
  return *pod;
}

inline WallTime at(int64_t second) { return WallTime(seconds(1'700'000'000 + second)); }

inline ContainerView running(int64_t since = 0) {
  ContainerView view;
  view.state = ContainerView::State::kRunning;
  view.id = "c1";
  view.in_sandbox = view.started = view.ready = true;
  view.started_at = at(since);
  return view;
}

inline ContainerView exited(int code, int64_t when = 0, milliseconds delay = milliseconds(0)) {
  ContainerView view;
  view.state = ContainerView::State::kExited;
  view.id = "c1";
  view.in_sandbox = true;
  view.exit_code = code;
  view.started_at = at(when - 1);
  view.finished_at = at(when);
  view.restart_delay = delay;
  return view;
}

inline PodView view_of(std::map<std::string, ContainerView> containers, bool sandbox = true) {
  PodView view;
  view.has_sandbox = sandbox;
  view.containers = std::move(containers);
  view.start_time = at(-100);
  view.host_ip = "192.0.2.1";
  if (sandbox) view.pod_ips = {"10.42.0.7"};
  return view;
}

}  // namespace knarr::agent
