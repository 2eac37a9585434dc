// A transport whose answers a test sets, and whose watches it feeds.
#pragma once

#include <condition_variable>
#include <deque>
#include <string>
#include <vector>

#include "knarr/base/sync.h"
#include "knarr/client/client.h"

namespace knarr::client {

class FakeTransport : public Transport {
 public:
  struct Call {
    std::string verb, plural, subresource, ns, name, body;
  };

  // Lists answer these in turn, the last one again and again.
  std::deque<Result<std::string>> lists;
  // Answers each get and write; by default the body, or NotFound for a get.
  std::function<Result<std::string>(const Call&)> answer;

  std::vector<Call> calls() {
    Lock lock(mutex_);
    return calls_;
  }
  // Makes wait_for look again.
  void notify() {
    Lock lock(mutex_);
    changed_.notify_all();
  }
  bool wait_for(const std::function<bool(const std::vector<Call>&)>& condition) {
    Lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return condition(calls_); });
  }
  // Waits until `n` watches have been asked for, then answers the callbacks of the last.
  void wait_watches(size_t n) {
    Lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return watches_ >= n; });
  }
  void send(WatchEvent::Type type, std::string_view object) {
    auto callback = current_event();
    if (callback) callback({type, object});
  }
  void end(Status why) {
    std::function<void(Status)> callback;
    {
      Lock lock(mutex_);
      callback = std::move(on_end_);
    }
    if (callback) callback(std::move(why));
  }

  Result<std::string> get(const ResourceRef& r, std::string_view ns, std::string_view name) override {
    return record({"get", std::string(r.plural), std::string(r.subresource), std::string(ns), std::string(name), ""});
  }
  Result<std::string> list(const ResourceRef& r, const ListOptions& options) override {
    (void)record({"list", std::string(r.plural), "", options.namespace_, "", options.field_selector});
    Lock lock(mutex_);
    if (lists.empty()) return unavailable("no list");
    auto list = lists.front();
    if (lists.size() > 1) lists.pop_front();
    return list;
  }
  Result<std::string> create(const ResourceRef& r, std::string_view ns, std::string_view name,
                             std::string_view body) override {
    return record({"create", std::string(r.plural), std::string(r.subresource), std::string(ns), std::string(name),
                   std::string(body)});
  }
  Result<std::string> update(const ResourceRef& r, std::string_view ns, std::string_view name,
                             std::string_view body) override {
    return record({"update", std::string(r.plural), std::string(r.subresource), std::string(ns), std::string(name),
                   std::string(body)});
  }
  Result<std::string> patch(const ResourceRef& r, std::string_view ns, std::string_view name, std::string_view,
                            std::string_view body) override {
    return record({"patch", std::string(r.plural), std::string(r.subresource), std::string(ns), std::string(name),
                   std::string(body)});
  }
  Result<std::string> remove(const ResourceRef& r, std::string_view ns, std::string_view name,
                             const DeleteOptions&) override {
    return record({"remove", std::string(r.plural), "", std::string(ns), std::string(name), "{}"});
  }
  Result<std::unique_ptr<WatchHandle>> watch(const ResourceRef& r, const ListOptions& options,
                                             std::function<void(const WatchEvent&)> on_event,
                                             std::function<void(Status)> on_end) override {
    Lock lock(mutex_);
    calls_.push_back({"watch", std::string(r.plural), "", options.namespace_, "", options.resource_version});
    on_event_ = std::move(on_event);
    on_end_ = std::move(on_end);
    ++watches_;
    changed_.notify_all();
    return std::unique_ptr<WatchHandle>(std::make_unique<Handle>());
  }

 private:
  class Handle : public WatchHandle {};

  Result<std::string> record(Call call) {
    std::function<Result<std::string>(const Call&)> answer_now;
    {
      Lock lock(mutex_);
      calls_.push_back(call);
      changed_.notify_all();
      answer_now = answer;
    }
    if (answer_now) return answer_now(call);
    if (call.body.empty()) return not_found("nothing here");
    return call.body;
  }
  std::function<void(const WatchEvent&)> current_event() {
    Lock lock(mutex_);
    return on_event_;
  }

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Call> calls_;
  size_t watches_ = 0;
  std::function<void(const WatchEvent&)> on_event_;
  std::function<void(Status)> on_end_;
};

}  // namespace knarr::client
