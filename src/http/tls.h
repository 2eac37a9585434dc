// OpenSSL as this module uses it: contexts for servers and clients, who the other side is. TLS 1.2 and 1.3,
// forward-secret AEAD ciphers.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>

#include "knarr/http/client.h"
#include "knarr/http/server.h"

namespace knarr::http {

struct SslDeleter {
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;
using SslContextPtr = std::unique_ptr<SSL_CTX, SslDeleter>;

Result<SslContextPtr> make_server_context(const TlsOptions& options);
Result<SslContextPtr> make_client_context(const ClientOptions& options);

// An SSL on a connected socket, which stays the caller's. Writes never raise SIGPIPE.
Result<SslPtr> make_server_ssl(SSL_CTX* context, int fd);
// `name` (a host name or an IP address) is verified unless the context does not verify at all; names are sent as SNI.
Result<SslPtr> make_client_ssl(SSL_CTX* context, int fd, const std::string& name);

// The certificate that the other side showed. After the handshake.
std::optional<PeerCertificate> shown_certificate(SSL* ssl);

// Whether both sides agreed on HTTP/2 (ALPN). After the handshake.
bool chose_http2(SSL* ssl);

// What OpenSSL's error queue says, and empties it.
std::string take_tls_errors();

}  // namespace knarr::http
