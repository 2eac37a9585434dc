// Tokens that strangers send, and the keys of an issuer.
#include "knarr/auth/jwt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr;
  static const auth::Key key = *auth::Key::generate();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto jwt = auth::parse_jwt(text); jwt.ok())
    (void)key.verifies(jwt->algorithm, jwt->signing_input, jwt->signature);
  if (const auto jwk = json::parse(text); jwk.ok() && jwk->IsObject()) (void)auth::Key::from_jwk(*jwk);
  (void)auth::Key::all_from_pem(text);
  return 0;
}
