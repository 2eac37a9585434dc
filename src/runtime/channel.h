// Messages between agent and shim over a unix stream socket: a header of two 32-bit numbers (bytes of text, descriptors), the
// JSON text, and the descriptors with its first byte. Used on an event loop's thread only; never blocks.
//
//   request   {"id": 7, "method": "start", "params": {...}}
//   answer    {"id": 7, "result": {...}}  or  {"id": 7, "error": {"code": 404, "reason": "NotFound", "message": "..."}}
//   event     {"event": "status", "params": {...}}
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "knarr/codec/json.h"
#include "knarr/linux/event_loop.h"
#include "knarr/linux/fd.h"

namespace knarr::runtime {

struct Message {
  json::Document body;
  std::vector<linux::UniqueFd> fds;
};

class Channel {
 public:
  // `on_message` may destroy the channel. `on_close` is called once, when the other side closed or spoke nonsense; not when the
  // channel is destroyed.
  Channel(linux::EventLoop& loop, linux::UniqueFd socket, std::function<void(Message)> on_message, std::function<void()> on_close);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  Status start();
  void send(const json::Value& body, std::vector<linux::UniqueFd> fds = {});
  bool flushed() const { return pending_.empty(); }
  void flush_blocking();  // before the process ends
  int fd() const { return socket_.get(); }

 private:
  struct Outgoing {
    std::string bytes;
    size_t sent = 0;
    std::vector<linux::UniqueFd> fds;
  };

  void on_event(uint32_t events);
  void receive();
  bool deliver();  // false: this channel is gone
  bool flush();    // false: broken
  void close();

  linux::EventLoop& loop_;
  linux::UniqueFd socket_;
  std::function<void(Message)> on_message_;
  std::function<void()> on_close_;
  std::string input_;
  std::deque<linux::UniqueFd> input_fds_;
  std::deque<Outgoing> pending_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Sends one message on a blocking socket.
Status send_message(int socket, const json::Value& body, std::span<const int> fds);

// The parts of a message.
json::Document make_error(int64_t id, const Status& status);
Status read_error(const json::Value& body);  // OK when it carries none

}  // namespace knarr::runtime
