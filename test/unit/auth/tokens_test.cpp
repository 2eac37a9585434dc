#include <catch2/catch.hpp>

#include "knarr/auth/bootstrap.h"
#include "knarr/auth/jwt.h"
#include "knarr/auth/service_account.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/time.h"
#include "knarr/linux/tree.h"
#include "knarr/store/journal.h"
#include "unit/temp_directory.h"

using namespace knarr;
using namespace knarr::auth;

namespace {

// RFC 7515, appendix A.2 and A.3: the keys, and tokens signed with them.
constexpr std::string_view kRsaJwk =
    R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})";
constexpr std::string_view kRsaToken =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7"
    "t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jz"
    "DwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe7"
    "7Rw";
constexpr std::string_view kEcJwk =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
constexpr std::string_view kEcToken =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

Key key_of(std::string_view jwk) {
  const auto document = json::parse(jwk);
  REQUIRE(document.ok());
  auto key = Key::from_jwk(*document);
  REQUIRE(key.ok());
  return std::move(*key);
}

struct Accounts {
  ManualClock clock{WallTime(seconds(1'800'000'000))};
  std::unique_ptr<store::Store> store = std::move(*store::Store::open(store::make_memory_journal(), {}));
  Key key = *Key::generate();
  ServiceAccountTokens tokens{{.store = store.get(),
                               .clock = &clock,
                               .issuer = "https://me",
                               .api_audiences = {"api", "https://me"},
                               .keys = {{key}, ""}}};

  void put(const std::string& resource, const std::string& object_key, const std::string& uid,
           const std::string& metadata = "") {
    store::Write write;
    write.resource = store->resource(resource);
    write.key = object_key;
    write.value = R"({"rv":"","metadata":{"uid":")" + uid + "\"" + metadata + "}}";
    write.rev_pos = 7;  // the store writes the revision there
    REQUIRE(store->commit({&write, 1}).ok());
  }
  void remove(const std::string& resource, const std::string& object_key) {
    store::Write write;
    write.op = store::Write::Op::kDelete;
    write.resource = store->resource(resource);
    write.key = object_key;
    REQUIRE(store->commit({&write, 1}).ok());
  }
  std::string issue(TokenClaims claims = {}) {
    claims.id = "id";
    claims.ns = "n";
    claims.account = "robot";
    claims.account_uid = "u1";
    if (claims.audiences.empty()) claims.audiences = {"api"};
    return *tokens.issue(claims);
  }
  // Why the token is refused; "" when it is good, "nothing" when it is not known.
  std::string refusal(const std::string& token, std::vector<std::string> audiences = {}) {
    const auto found = tokens.lookup(token, audiences);
    if (!found.ok()) return found.status().message();
    return *found ? "" : "nothing";
  }
};

}  // namespace

TEST_CASE("Tokens of the standard verify, changed ones do not", "[jwt]") {
  for (const auto& [jwk, token] : {std::pair(kRsaJwk, kRsaToken), std::pair(kEcJwk, kEcToken)}) {
    const Key key = key_of(jwk);
    const auto jwt = parse_jwt(token);
    REQUIRE(jwt.ok());
    CHECK(json::get_string(jwt->claims, "iss") == "joe");
    CHECK(key.verifies(jwt->algorithm, jwt->signing_input, jwt->signature));
    CHECK_FALSE(key.verifies(jwt->algorithm, jwt->signing_input + "x", jwt->signature));
    CHECK_FALSE(key.verifies("none", jwt->signing_input, jwt->signature));
    CHECK_FALSE(key.verifies("HS256", jwt->signing_input, jwt->signature));
    CHECK_FALSE(key.verifies(jwt->algorithm, jwt->signing_input, ""));
    CHECK_FALSE(key.verifies(jwt->algorithm == "RS256" ? "ES256" : "RS256", jwt->signing_input, jwt->signature));
  }
}

TEST_CASE("What is no token is refused", "[jwt]") {
  const std::string ok = base64::encode_url(R"({"alg":"ES256"})"), empty = base64::encode_url("{}");
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("a.b"), std::string("a.b.c"), ok + "." + empty, ok + "..x",
        ok + "." + empty + ".*", ok + "." + empty + ".AA.AA", empty + "." + empty + ".AA",
        base64::encode_url("[]") + "." + empty + ".AA", ok + "." + base64::encode_url("5") + ".AA",
        base64::encode_url(R"({"alg":"ES256","crit":["x"]})") + "." + empty + ".AA", std::string(100'000, '.')}) {
    INFO(text.substr(0, 100));
    CHECK_FALSE(parse_jwt(text).ok());
  }
}

TEST_CASE("Keys go through PEM and JSON", "[jwt]") {
  const Key key = *Key::generate();
  const Key again = *Key::from_pem(key.private_pem());
  CHECK(again.id() == key.id());
  CHECK(key.id().size() == 43);
  const Key open = key_of(key.public_jwk());
  CHECK(open.id() == key.id());
  CHECK(open.private_pem().empty());
  CHECK_FALSE(open.sign("x").ok());
  const auto jwt = parse_jwt(*sign_jwt(again, R"({"a":1})"));
  REQUIRE(jwt.ok());
  CHECK(jwt->key_id == key.id());
  CHECK(open.verifies("ES256", jwt->signing_input, jwt->signature));
  CHECK_FALSE(Key::from_pem("nonsense").ok());
  for (const char* text : {"{}", R"({"kty":"oct","k":"AA"})", R"({"kty":"EC","crv":"P-1","x":"AA","y":"AA"})",
                           R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})", R"({"kty":"RSA","n":"AQ","e":"AQAB"})"}) {
    INFO(text);
    CHECK_FALSE(Key::from_jwk(*json::parse(text)).ok());
  }
}

TEST_CASE("A service account's token says who it is", "[tokens]") {
  Accounts a;
  a.put("serviceaccounts", "n/robot", "u1");
  a.put("pods", "n/p", "u2");
  const std::string token = a.issue({.pod = ObjectRef{"p", "u2"}, .node = ObjectRef{"m", "u3"}});
  const auto found = a.tokens.lookup(token, {});
  REQUIRE(found.ok());
  REQUIRE(*found);
  const UserInfo& user = (*found)->user;
  CHECK(user.name == "system:serviceaccount:n:robot");
  CHECK(user.uid == "u1");
  CHECK(user.groups == std::vector<std::string>{"system:serviceaccounts", "system:serviceaccounts:n"});
  CHECK(user.extra.at("authentication.kubernetes.io/pod-name") == std::vector<std::string>{"p"});
  CHECK(user.extra.at("authentication.kubernetes.io/node-uid") == std::vector<std::string>{"u3"});
  CHECK(user.extra.at("authentication.kubernetes.io/credential-id") == std::vector<std::string>{"JTI=id"});
  CHECK((*found)->audiences == std::vector<std::string>{"api"});
}

TEST_CASE("A token is for whom it names", "[tokens]") {
  Accounts a;
  a.put("serviceaccounts", "n/robot", "u1");
  const std::string token = a.issue({.audiences = {"vault", "b"}});
  CHECK(a.refusal(token, {"b", "c"}) == "");
  CHECK(a.refusal(token) ==
        R"(token audiences ["vault" "b"] is invalid for the target audiences ["api" "https://me"])");
  CHECK(a.refusal(a.issue(), {"https://me"}) != "");
}

TEST_CASE("A token holds for its time", "[tokens]") {
  Accounts a;
  a.put("serviceaccounts", "n/robot", "u1");
  const std::string token = a.issue({.lifetime = seconds(600)});
  CHECK(a.refusal(token) == "");
  a.clock.advance(seconds(600));
  CHECK(a.refusal(token) == "");  // clocks may differ by a minute
  a.clock.advance(seconds(61));
  CHECK(a.refusal(token) == "service account token has expired");
  ManualClock early{WallTime(seconds(1'700'000'000))};
  ServiceAccountTokens before{
      {.store = a.store.get(), .clock = &early, .issuer = "https://me", .api_audiences = {"api"}, .keys = {{a.key}, ""}}};
  CHECK(before.lookup(token, {}).status().message() == "service account token is not valid yet");
}

TEST_CASE("A token ends with what it is bound to", "[tokens]") {
  Accounts a;
  a.put("serviceaccounts", "n/robot", "u1");
  a.put("pods", "n/p", "u2");
  a.put("nodes", "m", "u3");
  a.put("secrets", "n/s", "u4");
  const std::string pod = a.issue({.pod = ObjectRef{"p", "u2"}}), node = a.issue({.node = ObjectRef{"m", "u3"}}),
                    secret = a.issue({.secret = ObjectRef{"s", "u4"}});
  for (const std::string& token : {pod, node, secret}) CHECK(a.refusal(token) == "");

  a.put("pods", "n/p", "u9");
  CHECK(a.refusal(pod) == "pod UID (u9) does not match service account pod ref claim (u2)");
  a.remove("pods", "n/p");
  CHECK(a.refusal(pod) == "service account token has been invalidated");
  a.put("nodes", "m", "u3", R"(,"deletionTimestamp":")" + format_time(a.clock.wall()) + "\"");
  CHECK(a.refusal(node) == "");
  a.clock.advance(seconds(61));
  CHECK(a.refusal(node) == "service account token has been invalidated");
  a.remove("secrets", "n/s");
  CHECK(a.refusal(secret) == "service account token has been invalidated");
  a.put("serviceaccounts", "n/robot", "u8");
  CHECK(a.refusal(a.issue()) == "service account UID (u8) does not match claim (u1)");
  a.remove("serviceaccounts", "n/robot");
  CHECK(a.refusal(a.issue()) == "serviceaccounts \"robot\" not found");
}

TEST_CASE("Tokens of others are no business of ours, forged ones are refused", "[tokens]") {
  Accounts a;
  a.put("serviceaccounts", "n/robot", "u1");
  CHECK(a.refusal("nonsense") == "nothing");
  CHECK(a.refusal(std::string(kRsaToken)) == "nothing");
  CHECK(a.refusal(*sign_jwt(*Key::generate(), R"({"iss":"https://me","sub":"system:serviceaccount:n:robot"})")) ==
        "invalid signature, no keys found");
  std::string token = a.issue();
  token.back() = token.back() == 'A' ? 'Q' : 'A';
  CHECK(a.refusal(token) == "go-jose/go-jose: error in cryptographic primitive");
  CHECK(a.refusal(*sign_jwt(a.key, R"({"iss":"https://me","sub":"system:serviceaccount:n:other","kubernetes.io":)"
                                   R"({"namespace":"n","serviceaccount":{"name":"robot","uid":"u1"}}})")) != "");
}

TEST_CASE("Tokens that live in secrets", "[tokens]") {
  Accounts a;
  a.put("serviceaccounts", "n/robot", "u1");
  a.put("secrets", "n/s", "u4");
  TokenClaims claims;
  claims.ns = "n";
  claims.account = "robot";
  claims.account_uid = "u1";
  claims.secret = ObjectRef{"s", ""};
  const std::string token = *a.tokens.issue_for_secret(claims);
  CHECK(a.refusal(token) == "");
  a.clock.advance(std::chrono::hours(100'000));
  CHECK(a.refusal(token) == "");
  a.remove("secrets", "n/s");
  CHECK(a.refusal(token) == "service account token has been invalidated");
}

TEST_CASE("The key is replaced, and then forgotten", "[tokens]") {
  test::TempDirectory dir;
  const ServiceAccountKeyFiles files{.directory = dir.path};
  Accounts a;
  a.put("serviceaccounts", "n/robot", "u1");
  const auto use = [&] { a.tokens.use_keys(*load_service_account_keys(files)); };
  use();
  CHECK_FALSE(service_account_key_replaced_at(dir.path));
  CHECK(forget_service_account_key(dir.path).code() == 409);
  const std::string old = a.issue();
  CHECK(a.refusal(old).empty());

  REQUIRE(rotate_service_account_key(files).ok());
  CHECK(rotate_service_account_key(files).code() == 409);
  CHECK(service_account_key_replaced_at(dir.path));
  use();
  const std::string now = a.issue();
  CHECK(parse_jwt(old)->key_id != parse_jwt(now)->key_id);
  CHECK(a.refusal(old).empty());
  CHECK(a.refusal(now).empty());
  CHECK(a.tokens.is_by_replaced_key(old));
  CHECK_FALSE(a.tokens.is_by_replaced_key(now));
  CHECK(json::find(*json::parse(a.tokens.jwks_json()), "keys")->Size() == 2);
  // What is kept of the old one cannot sign.
  CHECK(linux::read_file(dir.path + "/sa-replaced.pub").value_or("").find("PRIVATE") == std::string::npos);

  REQUIRE(forget_service_account_key(dir.path).ok());
  use();
  CHECK(a.refusal(old) == "invalid signature, no keys found");
  CHECK(a.refusal(now).empty());
  CHECK(json::find(*json::parse(a.tokens.jwks_json()), "keys")->Size() == 1);

  const std::string other = dir.path + "/other.key";
  REQUIRE(linux::replace_file(other, Key::generate()->private_pem()).ok());
  CHECK(rotate_service_account_key({.directory = dir.path, .signing_file = other}).code() == 409);
}

TEST_CASE("Bootstrap tokens", "[tokens]") {
  ManualClock clock{WallTime(seconds(1'800'000'000))};
  const auto store = std::move(*store::Store::open(store::make_memory_journal(), {}));
  const auto tokens = make_bootstrap_tokens(*store, clock);
  const auto put = [&](const std::string& type, std::map<std::string, std::string> data, const std::string& more = "") {
    store::Write write;
    write.resource = store->resource("secrets");
    write.key = "kube-system/bootstrap-token-abcdef";
    write.rev_pos = 7;
    write.value = R"({"rv":"","type":")" + type + R"(","metadata":{"name":"x")" + more + R"(},"data":{)";
    bool first = true;
    for (const auto& [key, value] : data)
      write.value += (std::exchange(first, false) ? "\"" : ",\"") + key + "\":\"" + base64::encode(value) + "\"";
    write.value += "}}";
    REQUIRE(store->commit({&write, 1}).ok());
  };
  const std::string token = "abcdef.0123456789abcdef", type = "bootstrap.kubernetes.io/token";
  const auto knows = [&](const std::string& text) {
    const auto found = tokens->lookup(text, {});
    return found.ok() && *found;
  };
  const std::map<std::string, std::string> good = {
      {"token-id", "abcdef"}, {"token-secret", "0123456789abcdef"}, {"usage-bootstrap-authentication", "true"}};
  const auto with = [&](const std::string& key, const std::string& value) {
    auto data = good;
    data[key] = value;
    return data;
  };
  CHECK_FALSE(knows(token));
  put(type, good);
  const auto found = tokens->lookup(token, {});
  REQUIRE((found.ok() && *found));
  CHECK((*found)->user.name == "system:bootstrap:abcdef");
  CHECK((*found)->user.groups == std::vector<std::string>{"system:bootstrappers"});
  for (const char* other : {"abcdef.0123456789abcdee", "abcdef.", "abcdef", "ABCDEF.0123456789abcdef", "x.y"})
    CHECK_FALSE(knows(other));
  put("Opaque", good);
  CHECK_FALSE(knows(token));
  put(type, with("usage-bootstrap-authentication", "false"));
  CHECK_FALSE(knows(token));
  put(type, with("token-id", "abcdee"));
  CHECK_FALSE(knows(token));
  put(type, good, R"(,"deletionTimestamp":"2026-01-01T00:00:00Z")");
  CHECK_FALSE(knows(token));
  put(type, with("expiration", format_time(clock.wall() + seconds(10))));
  CHECK(knows(token));
  clock.advance(seconds(11));
  CHECK_FALSE(knows(token));
  put(type, with("auth-extra-groups", "system:bootstrappers:a,system:bootstrappers:b"));
  CHECK((*tokens->lookup(token, {}))->user.groups.size() == 3);
  put(type, with("auth-extra-groups", "system:masters"));
  CHECK_FALSE(knows(token));
}

TEST_CASE("Sources of tokens in turn, and for whom they are", "[tokens]") {
  UserInfo fixed;
  fixed.name = "fixed";
  const auto all = make_token_union({make_static_tokens({{"secret", fixed}})}, {"api"});
  const std::vector<std::string> api = {"other", "api"}, other = {"other"};
  CHECK((*all->lookup("secret", {}))->user.name == "fixed");
  CHECK((*all->lookup("secret", api))->audiences == std::vector<std::string>{"api"});
  CHECK_FALSE(*all->lookup("secret", other));
  CHECK_FALSE(*all->lookup("wrong", {}));
  http::Request request;
  for (const auto& [header, token] : std::map<std::string, std::string>{
           {"Bearer a", "a"}, {"bearer  a", "a"}, {"Basic a", ""}, {"Bearer", ""}, {"Bearer ", ""}}) {
    request.headers = {{"Authorization", header}};
    CHECK(bearer_token(request) == token);
  }
}

TEST_CASE("What a bootstrap token looks like", "[tokens]") {
  for (const std::string_view text : {"abcdef.0123456789abcdef", "00ff.abcdef.0123456789abcdef", "a.b.abcdef.0123456789abcdef"}) {
    CAPTURE(text);
    const auto token = auth::BootstrapToken::parse(text);
    REQUIRE(token.ok());
    CHECK(token->id == "abcdef");
    CHECK(token->text() == "abcdef.0123456789abcdef");
  }
  for (const std::string_view text : {"", "abcdef", "abcde.0123456789abcdef", "abcdef.0123456789abcde", "Abcdef.0123456789abcdef", "."})
    CHECK_FALSE(auth::BootstrapToken::parse(text).ok());
  const auto one = auth::BootstrapToken::random(), other = auth::BootstrapToken::random();
  CHECK(auth::BootstrapToken::parse(one.text()).ok());
  CHECK(one.secret != other.secret);
  CHECK(auth::is_bootstrap_group("system:bootstrappers:a"));
  for (const std::string_view group : {"system:bootstrappers:", "system:masters", "system:bootstrappers:A", "system:bootstrappers:a-"})
    CHECK_FALSE(auth::is_bootstrap_group(group));
}
