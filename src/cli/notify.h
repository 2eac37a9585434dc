// Tells a service manager how this service is (sd_notify(3): systemd's Type=notify, and others that speak it).
#pragma once

#include <string>
#include <string_view>

namespace knarr::cli {

class Notifier {
 public:
  // Takes NOTIFY_SOCKET out of the environment, so that no child speaks for us; call it before threads are made.
  static Notifier from_environment();
  void send(std::string_view state) const;  // "READY=1"; nothing happens without a manager

 private:
  std::string socket_;
};

}  // namespace knarr::cli
