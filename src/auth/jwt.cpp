#include "knarr/auth/jwt.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "knarr/codec/base64.h"
#include "openssl.h"

namespace knarr::auth {

namespace {

constexpr size_t kMaxToken = 64 << 10;  // no header carries more
constexpr int kMinRsaBits = 1024;

using ContextPtr = std::unique_ptr<EVP_MD_CTX, OpensslDeleter<EVP_MD_CTX_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, OpensslDeleter<EVP_PKEY_CTX_free>>;
using BuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, OpensslDeleter<OSSL_PARAM_BLD_free>>;
using ParametersPtr = std::unique_ptr<OSSL_PARAM, OpensslDeleter<OSSL_PARAM_free>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, OpensslDeleter<ECDSA_SIG_free>>;

Status unauthorized(std::string message) { return Status(401, reason::kUnauthorized, std::move(message)); }

struct Curve {
  std::string_view jwk, openssl, algorithm;
  size_t bytes;  // of a coordinate
};
constexpr Curve kCurves[] = {
    {"P-256", "prime256v1", "ES256", 32}, {"P-384", "secp384r1", "ES384", 48}, {"P-521", "secp521r1", "ES512", 66}};

const Curve* curve_of(EVP_PKEY* key) {
  char name[64] = "";
  size_t size = 0;
  if (!EVP_PKEY_get_group_name(key, name, sizeof name, &size)) return nullptr;
  for (const Curve& curve : kCurves)
    if (curve.openssl == name || curve.jwk == name) return &curve;
  return nullptr;
}

const EVP_MD* digest_of(std::string_view algorithm) {
  if (algorithm.size() != 5) return nullptr;
  const std::string_view bits = algorithm.substr(2);
  if (bits == "256") return EVP_sha256();
  if (bits == "384") return EVP_sha384();
  if (bits == "512") return EVP_sha512();
  return nullptr;
}

std::string bytes_of(const BIGNUM* number, size_t size) {
  std::string out(size, '\0');
  return BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size)) < 0 ? "" : out;
}

BignumPtr number_of(std::string_view bytes) {
  return BignumPtr(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
}

BignumPtr parameter(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key, name, &number);
  return BignumPtr(number);
}

// JOSE writes the two numbers of an ECDSA signature side by side, OpenSSL as ASN.1.
std::string ecdsa_to_asn1(std::string_view raw, size_t coordinate) {
  if (raw.size() != 2 * coordinate) return {};
  SignaturePtr signature(ECDSA_SIG_new());
  BignumPtr r = number_of(raw.substr(0, coordinate)), s = number_of(raw.substr(coordinate));
  if (!signature || !ECDSA_SIG_set0(signature.get(), r.get(), s.get())) return {};
  (void)r.release();
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

std::string ecdsa_from_asn1(std::string_view der, size_t coordinate) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  SignaturePtr signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!signature) return {};
  return bytes_of(ECDSA_SIG_get0_r(signature.get()), coordinate) +
         bytes_of(ECDSA_SIG_get0_s(signature.get()), coordinate);
}

// The public key's SubjectPublicKeyInfo, hashed: upstream's key id.
std::string hashed_id(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return {};
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_size = 0;
  EVP_Digest(der, static_cast<size_t>(size), digest, &digest_size, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  return base64::encode_url({reinterpret_cast<char*>(digest), digest_size});
}

Result<std::shared_ptr<EVP_PKEY>> key_from_parameters(const char* type, OSSL_PARAM_BLD* builder) {
  ParametersPtr parameters(OSSL_PARAM_BLD_to_param(builder));
  KeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return openssl_error("read a JSON web key");
  return std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free);
}

Result<std::string> decoded_member(const json::Value& object, std::string_view name) {
  const std::string_view text = json::get_string(object, name);
  if (text.empty()) return bad_request(fmt::format("JSON web key: \"{}\" is missing", name));
  return base64::decode_url(text);
}

Result<json::Document> part(std::string_view text) {
  auto bytes = base64::decode_url(text);
  if (!bytes.ok()) return unauthorized("token: a part is not base64url");
  auto document = json::parse(*bytes);
  if (!document.ok() || !document->IsObject()) return unauthorized("token: a part is not a JSON object");
  return document;
}

}  // namespace

Result<Jwt> parse_jwt(std::string_view token) {
  const size_t first = token.find('.'), second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (token.size() > kMaxToken || second == token.npos || token.find('.', second + 1) != token.npos)
    return unauthorized("token: not three parts with dots between them");
  KNARR_ASSIGN(const json::Document header, part(token.substr(0, first)));
  Jwt jwt;
  KNARR_ASSIGN(jwt.claims, part(token.substr(first + 1, second - first - 1)));
  jwt.algorithm = json::get_string(header, "alg");
  jwt.key_id = json::get_string(header, "kid");
  if (jwt.algorithm.empty()) return unauthorized("token: the header names no algorithm");
  if (json::find(header, "crit")) return unauthorized("token: the header has critical extensions");
  auto signature = base64::decode_url(token.substr(second + 1));
  if (!signature.ok()) return unauthorized("token: the signature is not base64url");
  jwt.signature = std::move(*signature);
  jwt.signing_input = token.substr(0, second);
  return jwt;
}

Key::Key(std::shared_ptr<evp_pkey_st> key, std::string id) : key_(std::move(key)), id_(std::move(id)) {}

Result<Key> Key::make(std::shared_ptr<evp_pkey_st> pkey, std::string id) {
  if (id.empty()) id = hashed_id(pkey.get());
  Key key(std::move(pkey), std::move(id));
  if (EVP_PKEY_is_a(key.key_.get(), "RSA")) {
    if (EVP_PKEY_get_bits(key.key_.get()) < kMinRsaBits)
      return bad_request(fmt::format("RSA key of {} bits is too short", EVP_PKEY_get_bits(key.key_.get())));
    key.algorithm_ = "RS256";
    return key;
  }
  const Curve* curve = EVP_PKEY_is_a(key.key_.get(), "EC") ? curve_of(key.key_.get()) : nullptr;
  ERR_clear_error();
  if (!curve) return bad_request("a key must be RSA, or EC on P-256, P-384 or P-521");
  key.algorithm_ = curve->algorithm;
  return key;
}

Result<std::vector<Key>> Key::all_from_pem(std::string_view pem) {
  std::vector<Key> keys;
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  char *name = nullptr, *header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  while (PEM_read_bio(bio.get(), &name, &header, &data, &size) == 1) {
    const std::string type(name);
    BioPtr block(BIO_new(BIO_s_mem()));
    PEM_write_bio(block.get(), name, header, data, size);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    std::shared_ptr<EVP_PKEY> pkey;
    bool is_private = false;
    if (type == "CERTIFICATE") {
      X509Ptr certificate(PEM_read_bio_X509(block.get(), nullptr, nullptr, nullptr));
      if (certificate) pkey.reset(X509_get_pubkey(certificate.get()), EVP_PKEY_free);
    } else if (type.ends_with("PRIVATE KEY")) {
      pkey.reset(PEM_read_bio_PrivateKey(block.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
      is_private = true;
    } else if (type.ends_with("PUBLIC KEY")) {
      pkey.reset(PEM_read_bio_PUBKEY(block.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
    } else {
      continue;  // EC PARAMETERS
    }
    if (!pkey) return openssl_error(fmt::format("read a key from PEM ({})", type));
    KNARR_ASSIGN(Key key, make(std::move(pkey), {}));
    key.private_ = is_private;
    keys.push_back(std::move(key));
  }
  ERR_clear_error();
  if (keys.empty()) return bad_request("read a key from PEM: there is none");
  return keys;
}

Result<Key> Key::from_pem(std::string_view pem) {
  KNARR_ASSIGN(std::vector<Key> keys, all_from_pem(pem));
  return std::move(keys.front());
}

Result<Key> Key::generate() {
  std::shared_ptr<EVP_PKEY> pkey(EVP_EC_gen("P-256"), EVP_PKEY_free);
  if (!pkey) return openssl_error("make a key");
  KNARR_ASSIGN(Key key, make(std::move(pkey), {}));
  key.private_ = true;
  return key;
}

Result<Key> Key::from_jwk(const json::Value& jwk) {
  const std::string_view type = json::get_string(jwk, "kty");
  const std::string id(json::get_string(jwk, "kid"));
  BuilderPtr builder(OSSL_PARAM_BLD_new());
  if (type == "RSA") {
    KNARR_ASSIGN(const std::string n, decoded_member(jwk, "n"));
    KNARR_ASSIGN(const std::string e, decoded_member(jwk, "e"));
    const BignumPtr modulus = number_of(n), exponent = number_of(e);
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
    KNARR_ASSIGN(auto key, key_from_parameters("RSA", builder.get()));
    return make(std::move(key), id);
  }
  if (type == "EC") {
    const Curve* curve = nullptr;
    for (const Curve& known : kCurves)
      if (known.jwk == json::get_string(jwk, "crv")) curve = &known;
    if (!curve) return bad_request("JSON web key: \"crv\" is none of P-256, P-384, P-521");
    KNARR_ASSIGN(const std::string x, decoded_member(jwk, "x"));
    KNARR_ASSIGN(const std::string y, decoded_member(jwk, "y"));
    if (x.size() != curve->bytes || y.size() != curve->bytes)
      return bad_request("JSON web key: a coordinate has the wrong size");
    const std::string point = "\x04" + x + y;  // uncompressed
    OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->openssl.data(), 0);
    OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
    KNARR_ASSIGN(auto key, key_from_parameters("EC", builder.get()));
    return make(std::move(key), id);
  }
  return bad_request(fmt::format("JSON web key: type \"{}\" is neither RSA nor EC", type));
}

std::string Key::private_pem() const {
  if (!private_) return {};
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr)) return {};
  return bio_text(bio.get());
}

std::string Key::public_pem() const {
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!PEM_write_bio_PUBKEY(bio.get(), key_.get())) return {};
  return bio_text(bio.get());
}

bool Key::verifies(std::string_view algorithm, std::string_view input, std::string_view signature) const {
  const EVP_MD* digest = digest_of(algorithm);
  const bool rsa = algorithm_.starts_with("RS");
  if (!digest || (rsa ? !algorithm.starts_with("RS") && !algorithm.starts_with("PS") : algorithm != algorithm_))
    return false;
  std::string converted;
  if (!rsa) {
    const Curve* curve = curve_of(key_.get());
    converted = curve ? ecdsa_to_asn1(signature, curve->bytes) : "";
    if (converted.empty()) return false;
    signature = converted;
  }
  ContextPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;
  bool good = context && EVP_DigestVerifyInit(context.get(), &options, digest, nullptr, key_.get()) == 1;
  if (good && algorithm.starts_with("PS"))
    good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
  good = good &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                          reinterpret_cast<const unsigned char*>(input.data()), input.size()) == 1;
  ERR_clear_error();
  return good;
}

Result<std::string> Key::sign(std::string_view input) const {
  if (!private_) return internal_error("sign a token: this key is a public one");
  ContextPtr context(EVP_MD_CTX_new());
  const auto* bytes = reinterpret_cast<const unsigned char*>(input.data());
  size_t size = 0;
  std::string out;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, digest_of(algorithm_), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes, input.size()) != 1)
    return openssl_error("sign a token");
  out.resize(size);
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes, input.size()) != 1)
    return openssl_error("sign a token");
  out.resize(size);
  if (algorithm_.starts_with("RS")) return out;
  return ecdsa_from_asn1(out, curve_of(key_.get())->bytes);
}

std::string Key::public_jwk() const {
  std::string out = R"({"use":"sig","kty":)";
  const auto member = [&](std::string_view name, std::string_view value) {
    out += fmt::format(",\"{}\":", name);
    json::append_quoted(out, value);
  };
  if (algorithm_.starts_with("RS")) {
    out += "\"RSA\"";
    member("kid", id_);
    member("alg", algorithm_);
    for (auto [name, from] : {std::pair("n", OSSL_PKEY_PARAM_RSA_N), std::pair("e", OSSL_PKEY_PARAM_RSA_E)}) {
      const BignumPtr number = parameter(key_.get(), from);
      member(name, base64::encode_url(bytes_of(number.get(), static_cast<size_t>(BN_num_bytes(number.get())))));
    }
  } else {
    const Curve* curve = curve_of(key_.get());
    out += "\"EC\"";
    member("kid", id_);
    member("crv", curve->jwk);
    member("alg", algorithm_);
    for (auto [name, from] : {std::pair("x", OSSL_PKEY_PARAM_EC_PUB_X), std::pair("y", OSSL_PKEY_PARAM_EC_PUB_Y)}) {
      const BignumPtr number = parameter(key_.get(), from);
      member(name, base64::encode_url(bytes_of(number.get(), curve->bytes)));
    }
  }
  return out += '}';
}

Result<std::string> sign_jwt(const Key& key, std::string_view claims) {
  std::string header = fmt::format(R"({{"alg":"{}","kid":)", key.algorithm());
  json::append_quoted(header, key.id());
  header += '}';
  std::string token = base64::encode_url(header) + "." + base64::encode_url(claims);
  KNARR_ASSIGN(const std::string signature, key.sign(token));
  return token + "." + base64::encode_url(signature);
}

}  // namespace knarr::auth
