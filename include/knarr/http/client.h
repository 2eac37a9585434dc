// An HTTP/1.1 client over plain or TLS connections that are kept and reused. Blocking; thread-safe: many threads may
// share one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "knarr/base/result.h"
#include "knarr/http/server.h"

namespace knarr::http {

struct ClientOptions {
  std::string url;              // https://127.0.0.1:6443 (scheme, host, port; a path is a prefix of every request's)
  std::string ca_file, ca_pem;  // trust only this; both empty: the system's
  std::string certificate_file, key_file;  // a client certificate
  std::string certificate_pem, key_pem;    // the same, in memory
  std::string bearer_token;
  bool insecure_skip_verify = false;
  std::string server_name;  // verify (and SNI) this name instead of the URL's host
  std::string user_agent = "knarr";
  milliseconds connect_timeout{5000};
  milliseconds request_timeout{30000};  // for do(); streams have none
  size_t max_idle_connections = 8;
};

struct ClientRequest {
  std::string method = "GET";
  std::string target;  // path and query, encoded
  Headers headers;
  std::string body;
  std::optional<milliseconds> timeout;
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
  std::string_view header(std::string_view name) const;
};

class Client {
 public:
  static Result<std::shared_ptr<Client>> make(ClientOptions options);
  virtual ~Client() = default;

  // Any HTTP status is a response; errors are of the transport (ServiceUnavailable: could not connect; Timeout).
  virtual Result<ClientResponse> send(const ClientRequest& request) = 0;

  // Body in pieces as they arrive. `on_head` sees status and headers first; either callback answers false to stop.
  // Returns OK at the end of the body and when stopped. `cancel` (optional) may be aborted from another thread to end
  // the wait.
  class Cancel {
   public:
    virtual ~Cancel() = default;
    virtual void cancel() = 0;
    virtual bool cancelled() const = 0;
  };
  static std::shared_ptr<Cancel> make_cancel();
  virtual Status stream(const ClientRequest& request, const std::function<bool(const ClientResponse& head)>& on_head,
                        const std::function<bool(std::string_view)>& on_data,
                        std::shared_ptr<Cancel> cancel = nullptr) = 0;

  // Sends the request with its headers as they are (Connection: Upgrade, ...) on a connection of its own. Answers the
  // head; with 101 also the stream that follows (with any other status the body is in the response and stream is null).
  struct Upgraded {
    ClientResponse response;
    std::unique_ptr<Stream> stream;
    std::string early;  // bytes that came behind the head
  };
  virtual Result<Upgraded> upgrade(const ClientRequest& request) = 0;

  // Reads the files of the options again, for new connections; idle ones are closed, others end as they would. On an
  // error (files that cannot be read or do not belong together) everything stays as it was.
  virtual Status reload_tls() = 0;
};

// Copies bytes both ways until both sides ended or one failed. Blocks.
void relay(Stream& a, std::string_view early_from_a, Stream& b, std::string_view early_from_b);

}  // namespace knarr::http
