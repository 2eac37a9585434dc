// The agent's connection to one shim: calls with answers, and what the shim tells by itself.
#pragma once

#include <condition_variable>
#include <future>
#include <map>
#include <memory>

#include "knarr/base/sync.h"
#include "runtime/channel.h"
#include "runtime/fields.h"

namespace knarr::runtime {

inline constexpr seconds kCallTimeout{10};

// How an exec or an attach ended; filled by the loop's thread, waited for by the session's.
class SessionEnd {
 public:
  void set(Result<int> code);
  Result<int> wait();
  bool ended();

 private:
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Result<int>> code_ KNARR_GUARDED_BY(mutex_);
};

// Thread-safe. The channel itself lives on the loop's thread.
class ShimLink : public std::enable_shared_from_this<ShimLink> {
 public:
  struct Handlers {  // called on the loop's thread
    std::function<void(const ContainerStatus&)> on_status;
    std::function<void()> on_lost;
  };
  ShimLink(linux::EventLoop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}

  // Begins to serve the socket. The answer to call 0 is the shim's word that the pod is there.
  void start(linux::UniqueFd socket);
  void close();  // no handler is called afterwards but one that runs already

  bool closed();

  using Answer = std::future<Result<Message>>;
  Answer expect(int64_t call);
  Result<Message> wait(int64_t call, Answer answer, MonoTime deadline, std::string_view what);
  // Params are handed over; an empty document stands for none.
  Result<Message> call(const std::string& method, json::Document params);
  void notify(const std::string& method, json::Document params);  // nobody waits for the answer

  std::string add_session(std::shared_ptr<SessionEnd> end);
  void remove_session(const std::string& session);

 private:
  void send(int64_t call, std::string method, json::Document params);
  void on_message(Message message);
  void on_close();
  void fail_all(const Status& status);

  linux::EventLoop& loop_;
  std::unique_ptr<Channel> channel_;  // the loop's thread

  Mutex mutex_;
  Handlers handlers_ KNARR_GUARDED_BY(mutex_);
  bool closed_ KNARR_GUARDED_BY(mutex_) = false;
  int64_t next_call_ KNARR_GUARDED_BY(mutex_) = 1;
  std::map<int64_t, std::promise<Result<Message>>> pending_ KNARR_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<SessionEnd>> sessions_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::runtime
