// One connection of a client: connected, verified, then one exchange after the other. Blocking, with deadlines; one
// thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "http/channel.h"
#include "http/message.h"
#include "knarr/base/sync.h"
#include "knarr/http/client.h"

namespace knarr::http {

struct Url {
  bool tls = false;
  std::string host, port, prefix;  // host without brackets; prefix without a slash at its end
  std::string authority() const;   // for the Host header
};
Result<Url> parse_url(std::string_view text);

// Lets another thread end what a stream waits for: the socket in use is shut down.
class CancelImpl final : public Client::Cancel {
 public:
  void cancel() override;
  bool cancelled() const override;
  void attach(int fd);
  void detach();

 private:
  mutable Mutex mutex_;
  bool cancelled_ KNARR_GUARDED_BY(mutex_) = false;
  int fd_ KNARR_GUARDED_BY(mutex_) = -1;
};

class ClientConnection {
 public:
  using Deadline = std::optional<MonoTime>;
  // `tls` may be null (plain). `cancel` may be null; it is attached to this connection as long as it lives.
  static Result<std::unique_ptr<ClientConnection>> connect(const Url& url, SSL_CTX* tls, const std::string& server_name,
                                                           MonoTime deadline, std::shared_ptr<CancelImpl> cancel);
  ~ClientConnection();

  void set_cancel(std::shared_ptr<CancelImpl> cancel);
  bool still_open() const;  // of an idle one: the server neither closed it nor sent anything

  Status write(std::string_view bytes, Deadline deadline);
  // The head of the final answer (or of 101); interim answers are read over.
  Result<ResponseHead> read_head(std::string_view method, Deadline deadline);
  // The body in pieces, until its end or until `take` answers false (`stopped` is then true).
  Status read_body(const ResponseHead& head, Deadline deadline, const std::function<bool(std::string_view)>& take,
                   bool& stopped);
  bool received_any() const { return received_any_; }  // since begin_exchange()
  void begin_exchange() { received_any_ = false; }
  bool clean() const { return buffer_.empty(); }  // nothing follows the last answer

  // Gives the connection away, with the bytes that came behind the last head.
  std::unique_ptr<Stream> release(std::string& early);

  MonoTime idle_since{};

 private:
  ClientConnection(Channel channel, std::string peer);
  Status shake_hands(MonoTime deadline);
  Result<bool> fill(Deadline deadline);  // false: the end

  Channel channel_;
  const std::string peer_;  // for errors: https://host:port
  std::string buffer_;      // received, not yet taken
  bool received_any_ = false;
  std::shared_ptr<CancelImpl> cancel_;
};

}  // namespace knarr::http
