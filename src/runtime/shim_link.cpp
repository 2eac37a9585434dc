#include "runtime/shim_link.h"

#include <fmt/format.h>

namespace knarr::runtime {

namespace {
Status gone() { return unavailable("the pod's shim is gone"); }
}  // namespace

void SessionEnd::set(Result<int> code) {
  Lock lock(mutex_);
  if (!code_) code_ = std::move(code);
  changed_.notify_all();
}

Result<int> SessionEnd::wait() {
  Lock lock(mutex_);
  while (!code_) changed_.wait(lock);
  return *code_;
}

bool SessionEnd::ended() {
  Lock lock(mutex_);
  return code_.has_value();
}

void ShimLink::start(linux::UniqueFd socket) {
  loop_.post([self = shared_from_this(), fd = std::make_shared<linux::UniqueFd>(std::move(socket))] {
    {
      Lock lock(self->mutex_);
      if (self->closed_) return;
    }
    ShimLink* const link = self.get();
    self->channel_ = std::make_unique<Channel>(
        self->loop_, std::move(*fd), [link](Message message) { link->on_message(std::move(message)); }, [link] { link->on_close(); });
    if (Status status = self->channel_->start(); !status.ok()) self->on_close();
  });
}

void ShimLink::close() {
  {
    Lock lock(mutex_);
    closed_ = true;
    handlers_ = {};
  }
  fail_all(gone());
  loop_.post([self = shared_from_this()] { self->channel_.reset(); });
}

bool ShimLink::closed() {
  Lock lock(mutex_);
  return closed_;
}

ShimLink::Answer ShimLink::expect(int64_t call) {
  Lock lock(mutex_);
  auto& promise = pending_[call];
  if (closed_) {
    Answer answer = promise.get_future();
    promise.set_value(gone());
    pending_.erase(call);
    return answer;
  }
  return promise.get_future();
}

Result<Message> ShimLink::wait(int64_t call, Answer answer, MonoTime deadline, std::string_view what) {
  if (answer.wait_until(deadline) == std::future_status::ready) return answer.get();
  Lock lock(mutex_);
  pending_.erase(call);
  return timeout_error(fmt::format("{}: the pod's shim did not answer in time", what));
}

Result<Message> ShimLink::call(const std::string& method, json::Document params) {
  int64_t call;
  {
    Lock lock(mutex_);
    call = next_call_++;
  }
  Answer answer = expect(call);
  send(call, method, std::move(params));
  return wait(call, std::move(answer), std::chrono::steady_clock::now() + kCallTimeout, method);
}

void ShimLink::notify(const std::string& method, json::Document params) {
  int64_t call;
  {
    Lock lock(mutex_);
    call = next_call_++;
  }
  send(call, method, std::move(params));
}

void ShimLink::send(int64_t call, std::string method, json::Document params) {
  auto body = std::make_shared<json::Document>(rapidjson::kObjectType);
  auto& alloc = body->GetAllocator();
  json::set(*body, "id", json::Value(call), alloc);
  json::set(*body, "method", method, alloc);
  if (params.IsObject()) json::set(*body, "params", json::copy(params, alloc), alloc);
  loop_.post([self = shared_from_this(), body] {
    if (self->channel_) self->channel_->send(*body);
  });
}

std::string ShimLink::add_session(std::shared_ptr<SessionEnd> end) {
  Lock lock(mutex_);
  std::string session = fmt::format("s{}", next_call_++);
  if (closed_) end->set(gone());
  sessions_[session] = std::move(end);
  return session;
}

void ShimLink::remove_session(const std::string& session) {
  Lock lock(mutex_);
  sessions_.erase(session);
}

void ShimLink::on_message(Message message) {
  const json::Value* params = json::find(message.body, "params");
  const std::string_view event = json::get_string(message.body, "event");
  if (event == "status" && params != nullptr) {
    std::function<void(const ContainerStatus&)> handler;
    {
      Lock lock(mutex_);
      handler = handlers_.on_status;
    }
    if (handler) handler(from_json<ContainerStatus>(*params));
  } else if (event == "sessionEnd" && params != nullptr) {
    Lock lock(mutex_);
    const auto session = sessions_.find(std::string(json::get_string(*params, "session")));
    if (session != sessions_.end()) session->second->set(static_cast<int>(json::get_int(*params, "exitCode")));
  } else if (event.empty()) {
    Lock lock(mutex_);
    const auto waiting = pending_.find(json::get_int(message.body, "id", -1));
    if (waiting == pending_.end()) return;
    Status error = read_error(message.body);
    waiting->second.set_value(error.ok() ? Result<Message>(std::move(message)) : Result<Message>(std::move(error)));
    pending_.erase(waiting);
  }
}

void ShimLink::on_close() {
  std::function<void()> handler;
  {
    Lock lock(mutex_);
    closed_ = true;
    handler = handlers_.on_lost;
    handlers_ = {};
  }
  fail_all(gone());
  if (handler) handler();
}

void ShimLink::fail_all(const Status& status) {
  Lock lock(mutex_);
  for (auto& [call, promise] : pending_) promise.set_value(status);
  pending_.clear();
  for (auto& [name, session] : sessions_) session->set(status);
}

}  // namespace knarr::runtime
