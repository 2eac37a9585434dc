// JSON Web Tokens: reading, checking and signing, and the keys for it. ServiceAccount tokens and OpenID Connect are
// built on it. Sources: RFC 7515 (compact form), RFC 7517 (keys), RFC 7518 (RS*, PS* and ES* algorithms).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/clock.h"
#include "knarr/base/result.h"
#include "knarr/codec/json.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace knarr::auth {

// A token as it was sent: nothing of it is to be believed before a key verified it.
struct Jwt {
  std::string algorithm, key_id;
  json::Document claims;      // an object
  std::string signing_input;  // what the signature is over
  std::string signature;
};
// Error (Unauthorized): no three parts, no base64url, no JSON objects, no algorithm.
Result<Jwt> parse_jwt(std::string_view token);

// A key pair, or a public key alone. Immutable, cheap to copy, thread-safe.
class Key {
 public:
  // A private key, a public key or a certificate, as PEM. RSA of at least 1024 bits, or EC on P-256, P-384 or P-521.
  static Result<Key> from_pem(std::string_view pem);
  // Each key of a PEM text with one block after the other.
  static Result<std::vector<Key>> all_from_pem(std::string_view pem);
  static Result<Key> from_jwk(const json::Value& jwk);  // a public key of a JSON Web Key Set
  static Result<Key> generate();                        // ECDSA on P-256

  const std::string& id() const { return id_; }  // of a JWK its kid; else the hash of the public key, as upstream
  std::string_view algorithm() const { return algorithm_; }  // RS256, ES256, ES384, ES512
  std::string private_pem() const;                           // "" of a public key
  std::string public_pem() const;

  // Whether `signature` over `input` is by this key with `algorithm`, which must fit the kind of key.
  bool verifies(std::string_view algorithm, std::string_view input, std::string_view signature) const;
  Result<std::string> sign(std::string_view input) const;  // with algorithm()
  std::string public_jwk() const;                          // a JSON object

 private:
  Key(std::shared_ptr<evp_pkey_st> key, std::string id);
  static Result<Key> make(std::shared_ptr<evp_pkey_st> key, std::string id);

  std::shared_ptr<evp_pkey_st> key_;
  std::string id_;
  std::string_view algorithm_;
  bool private_ = false;
};

// The compact form of a token with these claims (a JSON object's text).
Result<std::string> sign_jwt(const Key& key, std::string_view claims);

}  // namespace knarr::auth
