// Test certificates, raw connections and waiting with a limit.
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>

#include "knarr/http/client.h"
#include "knarr/http/server.h"
#include "knarr/linux/fd.h"

namespace knarr::http::test {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "knarr-http-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct KeyPair {
  X509* certificate = nullptr;
  EVP_PKEY* key = nullptr;
  KeyPair() = default;
  KeyPair(KeyPair&& other) noexcept
      : certificate(std::exchange(other.certificate, nullptr)), key(std::exchange(other.key, nullptr)) {}
  KeyPair(const KeyPair&) = delete;
  KeyPair& operator=(const KeyPair&) = delete;
  ~KeyPair() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }

  void write(const std::string& certificate_file, const std::string& key_file) const {
    FILE* out = std::fopen(certificate_file.c_str(), "w");
    PEM_write_X509(out, certificate);
    std::fclose(out);
    out = std::fopen(key_file.c_str(), "w");
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
  }
};

inline void add_extension(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// A certificate signed by `issuer`, or by itself as an authority.
inline KeyPair make_certificate(const std::string& common_name, const std::vector<std::string>& organizations,
                                const KeyPair* issuer) {
  static std::atomic<long> serial{1};
  KeyPair pair;
  pair.key = EVP_EC_gen("P-256");
  pair.certificate = X509_new();
  X509* c = pair.certificate;
  X509_set_version(c, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
  X509_gmtime_adj(X509_getm_notBefore(c), -3600);
  X509_gmtime_adj(X509_getm_notAfter(c), 86400);
  X509_set_pubkey(c, pair.key);
  X509_NAME* name = X509_get_subject_name(c);
  const auto add = [&](const char* field, const std::string& text) {
    X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1,
                               0);
  };
  for (const auto& organization : organizations) add("O", organization);
  add("CN", common_name);
  X509_set_issuer_name(c, X509_get_subject_name(issuer ? issuer->certificate : c));
  if (issuer) {
    add_extension(c, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1");
  } else {
    add_extension(c, NID_basic_constraints, "critical,CA:TRUE");
  }
  X509_sign(c, issuer ? issuer->key : pair.key, EVP_sha256());
  return pair;
}

// An authority, the server's certificate, a client's, and one of a client whose authority nobody trusts. Made once.
struct Pki {
  TempDir dir;
  std::string ca = dir.file("ca.crt"), server_crt = dir.file("server.crt"), server_key = dir.file("server.key");
  std::string client_crt = dir.file("client.crt"), client_key = dir.file("client.key");
  std::string stranger_crt = dir.file("stranger.crt"), stranger_key = dir.file("stranger.key");

  Pki() {
    KeyPair authority = make_certificate("test-ca", {}, nullptr);
    authority.write(ca, dir.file("ca.key"));
    make_certificate("server", {}, &authority).write(server_crt, server_key);
    make_certificate("alice", {"builders", "system:masters"}, &authority).write(client_crt, client_key);
    KeyPair other = make_certificate("other-ca", {}, nullptr);
    make_certificate("mallory", {"system:masters"}, &other).write(stranger_crt, stranger_key);
  }
  void renew_server() {
    KeyPair authority = make_certificate("second-ca", {}, nullptr);
    authority.write(dir.file("ca2.crt"), dir.file("ca2.key"));
    make_certificate("server", {}, &authority).write(server_crt, server_key);
  }
  TlsOptions tls() const { return {server_crt, server_key, ca}; }
};

inline std::string slurp(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A plain TCP connection that sends what a well-behaved client would not.
class Raw {
 public:
  explicit Raw(int port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer) ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  // Reads until the text is there, the end, or five seconds of silence.
  std::string read_until(std::string_view text) {
    while (seen_.find(text) == std::string::npos && more()) {
    }
    return seen_;
  }
  std::string read_all() {
    while (more()) {
    }
    return seen_;
  }
  bool closed_within(int ms) {
    for (;;) {
      pollfd entry{fd_.get(), POLLIN, 0};
      if (::poll(&entry, 1, ms) <= 0) return false;
      if (!more()) return true;
    }
  }
  void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  std::string& seen() { return seen_; }
  int fd() const { return fd_.get(); }

 private:
  bool more() {
    pollfd entry{fd_.get(), POLLIN, 0};
    if (::poll(&entry, 1, 5000) <= 0) return false;
    char buffer[16384];
    ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    seen_.append(buffer, static_cast<size_t>(n));
    return true;
  }
  linux::UniqueFd fd_;
  std::string seen_;
};

// Waits for what another thread brings about, at most ten seconds.
inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return false;
}

inline size_t count(std::string_view text, std::string_view what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

// Catch's own macros are for the test's thread only; these are for every thread: what they throw ends the test or its
// handler.
inline void insist(bool good, const std::string& why = "not as expected") {
  if (!good) throw std::runtime_error(why);
}

template <typename T>
T must(Result<T> result) {
  insist(result.ok(), result.status().to_string());
  return std::move(result).value();
}

}  // namespace knarr::http::test
