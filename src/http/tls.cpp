#include "http/tls.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace knarr::http {

namespace {

// AES of 128 bits first, as Go's servers have it: it costs a quarter less than that of 256, and is strong enough.
constexpr char kCiphers[] = "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL";
constexpr char kTls13Ciphers[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr unsigned char kAlpn[] = "\x08http/1.1";        // what we speak as a client
constexpr unsigned char kServerAlpn[] = "\x02h2\x08http/1.1";  // and as a server, best first
constexpr unsigned char kSessionContext[] = "knarr";

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free>>;

// A socket BIO that sends with MSG_NOSIGNAL: OpenSSL's own would raise SIGPIPE on a connection that the other side
// closed.
int bio_write(BIO* bio, const char* data, int size) {
  int fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  BIO_clear_retry_flags(bio);
  ssize_t n;
  do n = ::send(fd, data, static_cast<size_t>(size), MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

int bio_read(BIO* bio, char* data, int size) {
  int fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  BIO_clear_retry_flags(bio);
  ssize_t n;
  do n = ::recv(fd, data, static_cast<size_t>(size), 0);
  while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}

long bio_ctrl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* bio_method() {
  static BIO_METHOD* method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "knarr socket");
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_ctrl(m, bio_ctrl);
    return m;
  }();
  return method;
}

// Never blocks a program on a passphrase prompt.
int no_passphrase(char*, int, int, void*) { return -1; }

Status tls_error(std::string_view what) { return internal_error(fmt::format("{}: {}", what, take_tls_errors())); }

Result<SslContextPtr> make_context(const SSL_METHOD* method) {
  SslContextPtr context(SSL_CTX_new(method));
  if (!context || !SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) ||
      !SSL_CTX_set_cipher_list(context.get(), kCiphers) || !SSL_CTX_set_ciphersuites(context.get(), kTls13Ciphers))
    return tls_error("make a TLS context");
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
  return context;
}

Status load_files(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
    return tls_error(fmt::format("read certificate {}", certificate));
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return tls_error(fmt::format("read private key {}", key));
  if (SSL_CTX_check_private_key(context) != 1)
    return tls_error(fmt::format("private key {} does not belong to certificate {}", key, certificate));
  return {};
}

Status load_pem(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  BioPtr bio(BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size())));
  X509Ptr leaf(PEM_read_bio_X509_AUX(bio.get(), nullptr, no_passphrase, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) return tls_error("read the client certificate's PEM");
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr))
    if (SSL_CTX_add0_chain_cert(context, next) != 1) {
      X509_free(next);
      return tls_error("read the chain of the client certificate's PEM");
    }
  ERR_clear_error();  // the end of the PEM counts as an error
  BioPtr key_bio(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())));
  KeyPtr parsed(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_passphrase, nullptr));
  if (!parsed || SSL_CTX_use_PrivateKey(context, parsed.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return tls_error("read the client key's PEM");
  return {};
}

Status trust_pem(SSL_CTX* context, const std::string& pem) {
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  int count = 0;
  while (X509Ptr ca{PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)}) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get());
    ++count;
  }
  ERR_clear_error();
  if (count == 0) return internal_error("read the certificate authority's PEM: there is no certificate in it");
  return {};
}

bool readable(const char* path) { return path && ::access(path, R_OK) == 0; }

// Where OpenSSL was built to look, or what SSL_CERT_FILE and SSL_CERT_DIR say; a program that is linked statically also
// runs where other distributions keep their authorities.
Status trust_system(SSL_CTX* context) {
  const char* file = std::getenv(X509_get_default_cert_file_env());
  const char* dir = std::getenv(X509_get_default_cert_dir_env());
  if (!readable(file ? file : X509_get_default_cert_file()) && !readable(dir ? dir : X509_get_default_cert_dir())) {
    for (const char* bundle : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                               "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"})
      if (readable(bundle) && SSL_CTX_load_verify_file(context, bundle) == 1) return {};
  }
  if (SSL_CTX_set_default_verify_paths(context) != 1) return tls_error("read the system's certificate authorities");
  return {};
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                void*) {
  auto** chosen = const_cast<unsigned char**>(out);
  if (SSL_select_next_proto(chosen, out_size, kServerAlpn, sizeof kServerAlpn - 1, in, in_size) == OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_OK;
  return SSL_TLSEXT_ERR_NOACK;
}

// A client's certificate is optional, and one that does not verify is no reason to end the connection: the request then has
// no identity from it, and the handler says 401 in a way that people can read.
int accept_any(int, X509_STORE_CTX*) { return 1; }

std::string entry_text(const X509_NAME_ENTRY* entry) {
  unsigned char* utf8 = nullptr;
  int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
  if (size < 0) return {};
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

bool is_ip(const std::string& name) {
  unsigned char buffer[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, name.c_str(), buffer) == 1 || ::inet_pton(AF_INET6, name.c_str(), buffer) == 1;
}

Result<SslPtr> make_ssl(SSL_CTX* context, int fd) {
  SslPtr ssl(SSL_new(context));
  BIO* bio = ssl ? BIO_new(bio_method()) : nullptr;
  if (!bio) return tls_error("make a TLS connection");
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl.get(), bio, bio);
  return ssl;
}

}  // namespace

std::string take_tls_errors() {
  std::string text;
  while (unsigned long code = ERR_get_error()) {
    if (!text.empty()) text += "; ";
    const char* reason = ERR_reason_error_string(code);
    if (ERR_SYSTEM_ERROR(code)) {
      text += std::generic_category().message(ERR_GET_REASON(code));
    } else {
      text += reason ? reason : fmt::format("error {:x}", code);
    }
  }
  return text.empty() ? "no reason given" : text;
}

Result<SslContextPtr> make_server_context(const TlsOptions& options) {
  ERR_clear_error();
  KNARR_ASSIGN(SslContextPtr context, make_context(TLS_server_method()));
  SSL_CTX* c = context.get();
  KNARR_RETURN_IF_ERROR(load_files(c, options.certificate_file, options.key_file));
  SSL_CTX_set_options(c, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_alpn_select_cb(c, choose_alpn, nullptr);
  // Resumption by tickets, which cost the server no memory; one ticket a handshake.
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(c, kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_num_tickets(c, 1);
  if (!options.client_ca_file.empty()) {
    STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.client_ca_file.c_str());
    if (!names || SSL_CTX_load_verify_file(c, options.client_ca_file.c_str()) != 1) {
      sk_X509_NAME_pop_free(names, X509_NAME_free);
      return tls_error(fmt::format("read the clients' certificate authority {}", options.client_ca_file));
    }
    SSL_CTX_set_client_CA_list(c, names);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, accept_any);
    // By an authority of the file itself: what a client brings along for others to be believed does not count.
    SSL_CTX_set_verify_depth(c, 0);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c), X509_V_FLAG_PARTIAL_CHAIN);
  }
  return context;
}

Result<SslContextPtr> make_client_context(const ClientOptions& options) {
  ERR_clear_error();
  KNARR_ASSIGN(SslContextPtr context, make_context(TLS_client_method()));
  SSL_CTX* c = context.get();
  SSL_CTX_set_verify(c, options.insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  if (!options.ca_file.empty()) {
    if (SSL_CTX_load_verify_file(c, options.ca_file.c_str()) != 1)
      return tls_error(fmt::format("read certificate authority {}", options.ca_file));
  } else if (!options.ca_pem.empty()) {
    KNARR_RETURN_IF_ERROR(trust_pem(c, options.ca_pem));
  } else if (!options.insecure_skip_verify) {
    KNARR_RETURN_IF_ERROR(trust_system(c));
  }
  if (!options.certificate_file.empty())
    KNARR_RETURN_IF_ERROR(load_files(c, options.certificate_file, options.key_file));
  if (!options.certificate_pem.empty()) KNARR_RETURN_IF_ERROR(load_pem(c, options.certificate_pem, options.key_pem));
  if (SSL_CTX_set_alpn_protos(c, kAlpn, sizeof kAlpn - 1) != 0) return tls_error("offer http/1.1");
  return context;
}

Result<SslPtr> make_server_ssl(SSL_CTX* context, int fd) {
  KNARR_ASSIGN(SslPtr ssl, make_ssl(context, fd));
  SSL_set_accept_state(ssl.get());
  return ssl;
}

Result<SslPtr> make_client_ssl(SSL_CTX* context, int fd, const std::string& name) {
  KNARR_ASSIGN(SslPtr ssl, make_ssl(context, fd));
  bool good = true;
  if (is_ip(name)) {
    good = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str()) == 1;
  } else {
    good = SSL_set1_host(ssl.get(), name.c_str()) == 1 && SSL_set_tlsext_host_name(ssl.get(), name.c_str()) == 1;
  }
  if (!good) return tls_error(fmt::format("verify the name {}", name));
  SSL_set_connect_state(ssl.get());
  return ssl;
}

bool chose_http2(SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return size == 2 && std::memcmp(name, "h2", 2) == 0;
}

std::optional<PeerCertificate> shown_certificate(SSL* ssl) {
  X509* certificate = SSL_get0_peer_certificate(ssl);
  if (!certificate) return {};
  PeerCertificate peer;
  if (const long result = SSL_get_verify_result(ssl); result != X509_V_OK) {
    peer.refusal = X509_verify_cert_error_string(result);
    return peer;
  }
  if (tm end{}; ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1)
    peer.not_after = WallTime(std::chrono::seconds(::timegm(&end)));
  const X509_NAME* name = X509_get_subject_name(certificate);
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    const int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    if (nid == NID_commonName) peer.common_name = entry_text(entry);
    if (nid == NID_organizationName) peer.organizations.push_back(entry_text(entry));
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) == 1)
    for (unsigned i = 0; i < size; ++i) fmt::format_to(std::back_inserter(peer.sha256), "{:02x}", digest[i]);
  return peer;
}

}  // namespace knarr::http
