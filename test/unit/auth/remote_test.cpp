#include "knarr/auth/remote.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "knarr/auth/jwt.h"
#include "knarr/auth/pki.h"
#include "knarr/base/sync.h"
#include "knarr/codec/base64.h"
#include "knarr/http/server.h"
#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;
using namespace knarr::auth;

namespace {

// An HTTPS server of ours with a certificate of its own authority.
class Site {
 public:
  explicit Site(http::Handler handler) {
    auto authority = CertificateAuthority::load_or_create(directory_.path, "test");
    REQUIRE(authority.ok());
    ca_pem = authority->certificate_pem();
    REQUIRE(authority->ensure("server", {.common_name = "x", .ip_addresses = {"127.0.0.1"}, .server = true}).ok());
    http::ServerOptions options;
    options.tls =
        http::TlsOptions{directory_.file("server.crt"), directory_.file("server.key"), ""};
    auto started = http::Server::start(std::move(options), std::move(handler));
    REQUIRE(started.ok());
    server_ = std::move(*started);
    url = "https://127.0.0.1:" + std::to_string(server_->port());
  }
  ~Site() {
    server_->stop();
  }
  std::string ca_pem, url;

  std::string kubeconfig() const {
    return R"({"current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"clusters":[{"name":"c",)"
           R"("cluster":{"server":")" +
           url + R"(/review?x=1","certificate-authority-data":")" + base64::encode(ca_pem) +
           R"("}}],"users":[{"name":"u","user":{"token":"me"}}]})";
  }

 private:
  const test::TempDirectory directory_;
  std::unique_ptr<http::Server> server_;
};

// An OpenID Connect issuer.
struct Issuer {
  Mutex mutex;
  Key key KNARR_GUARDED_BY(mutex) = *Key::generate();
  std::string url;
  Site site{[this](const http::Request& request, http::Response& response) {
    Lock lock(mutex);
    response.body = request.path == "/keys" ? "{\"keys\":[{\"kty\":\"oct\"}," + key.public_jwk() + "]}"
                                            : R"({"issuer":")" + url + R"(","jwks_uri":")" + url + "/keys\"}";
  }};
  Issuer() {
    Lock lock(mutex);
    url = site.url;
  }
  void rotate() {
    Lock lock(mutex);
    key = *Key::generate();
  }
  std::string token(const std::string& claims) {
    Lock lock(mutex);
    return *sign_jwt(key, R"({"iss":")" + url + R"(","aud":["me"],"exp":1800000100,"sub":"al",)" + claims + "}");
  }
};

}  // namespace

TEST_CASE("An OpenID Connect issuer's tokens", "[oidc]") {
  Issuer issuer;
  ManualClock clock{WallTime(seconds(1'800'000'000))};
  OidcOptions options{.issuer_url = issuer.url, .client_id = "me", .groups_claim = "groups", .groups_prefix = "oidc:"};
  options.required_claims = {{"tenant", "a"}};
  options.ca_pem = issuer.site.ca_pem;
  options.signing_algorithms = {"ES256"};
  options.clock = &clock;
  const auto tokens = make_oidc_tokens(options);
  REQUIRE(tokens.ok());
  const auto refusal = [&](const std::string& claims) {
    const auto found = (*tokens)->lookup(issuer.token(claims), {});
    return found.ok() ? std::string(*found ? "" : "nothing") : found.status().message();
  };
  const auto found = (*tokens)->lookup(issuer.token(R"("tenant":"a","groups":["x","y"],"jti":"1")"), {});
  REQUIRE(found.ok());
  REQUIRE(*found);
  CHECK((*found)->user.name == issuer.url + "#al");
  CHECK((*found)->user.groups == std::vector<std::string>{"oidc:x", "oidc:y"});
  CHECK(refusal(R"("tenant":"b")") == "oidc: required claim tenant value does not match. Got = b, want = a");
  CHECK(refusal(R"("x":"b")") == "oidc: required claim tenant not present in ID token");
  CHECK(refusal(R"("tenant":"a","nbf":1800000400)") == "oidc: current time is before the nbf (not before) time");
  CHECK(refusal(R"("tenant":"a","groups":"one")") == "");
  CHECK(refusal(R"("tenant":"a","groups":[5])") == "oidc: parse groups claim \"groups\": want text");
  issuer.rotate();
  CHECK(refusal(R"("tenant":"a")") == "");  // the new key is fetched
  clock.advance(seconds(101));
  CHECK(refusal(R"("tenant":"a")") == "oidc: token is expired");
  CHECK_FALSE(*(*tokens)->lookup(*sign_jwt(*Key::generate(), R"({"iss":"https://other"})"), {}));
  CHECK_FALSE(*(*tokens)->lookup("nonsense", {}));
}

TEST_CASE("The names of OpenID Connect users", "[oidc]") {
  Issuer issuer;
  ManualClock clock{WallTime(seconds(1'800'000'000))};
  const auto name = [&](const std::string& claim, std::optional<std::string> prefix, const std::string& claims) {
    OidcOptions options{.issuer_url = issuer.url, .client_id = "me", .username_claim = claim};
    options.username_prefix = std::move(prefix);
    options.ca_pem = issuer.site.ca_pem;
    options.signing_algorithms = {"ES256"};
    options.clock = &clock;
    const auto tokens = make_oidc_tokens(options);
    REQUIRE(tokens.ok());
    const auto found = (*tokens)->lookup(issuer.token(claims), {});
    return found.ok() ? (*found)->user.name : found.status().message();
  };
  CHECK(name("sub", {}, R"("x":1)") == issuer.url + "#al");
  CHECK(name("sub", "-", R"("x":1)") == "al");
  CHECK(name("sub", "o:", R"("x":1)") == "o:al");
  CHECK(name("email", {}, R"("email":"a@b")") == "a@b");
  CHECK(name("email", {}, R"("email":"a@b","email_verified":false)") == "oidc: email not verified");
  CHECK(name("nick", {}, R"("x":1)") == "oidc: parse username claims \"nick\": claim not present");
}

TEST_CASE("An issuer that cannot work is told at once", "[oidc]") {
  CHECK_FALSE(make_oidc_tokens({.issuer_url = "http://x", .client_id = "me"}).ok());
  CHECK_FALSE(make_oidc_tokens({.issuer_url = "https://x"}).ok());
  OidcOptions options{.issuer_url = "https://x", .client_id = "me"};
  options.signing_algorithms = {"HS256"};
  CHECK_FALSE(make_oidc_tokens(options).ok());
}

TEST_CASE("Webhooks are asked once and remembered for a while", "[webhook]") {
  std::atomic<int> asked{0};
  std::string answer = R"({"status":{"allowed":true,"reason":"because"}})";
  Site site([&](const http::Request& request, http::Response& response) {
    ++asked;
    CHECK(request.target == "/review?x=1");
    CHECK(request.header("Authorization") == "Bearer me");
    response.body = answer;
  });
  ManualClock clock;
  auto authorizer = make_webhook_authorizer({.kubeconfig = site.kubeconfig(), .clock = &clock});
  REQUIRE(authorizer.ok());
  UserInfo user;
  user.name = "al";
  Attributes a;
  a.user = &user;
  a.verb = "get";
  a.path = "/x";
  CHECK((*authorizer)->authorize(a).decision == Decision::kAllow);
  CHECK((*authorizer)->authorize(a).reason == "because");
  CHECK(asked == 1);
  clock.advance(std::chrono::minutes(6));
  answer = R"({"status":{"allowed":false,"denied":true}})";
  CHECK((*authorizer)->authorize(a).decision == Decision::kDeny);
  CHECK(asked == 2);

  answer = R"({"status":{"authenticated":true,"user":{"username":"al","groups":["g"],"extra":{"a":["1"]}}}})";
  auto tokens = make_webhook_tokens({.kubeconfig = site.kubeconfig(), .clock = &clock});
  REQUIRE(tokens.ok());
  const auto found = (*tokens)->lookup("t", {});
  REQUIRE((found.ok() && *found));
  CHECK((*found)->user.name == "al");
  CHECK((*found)->user.extra.at("a") == std::vector<std::string>{"1"});
  answer = R"({"status":{"authenticated":false}})";
  CHECK(*(*tokens)->lookup("t", {}));
  CHECK_FALSE(*(*tokens)->lookup("u", {}));
}

TEST_CASE("A webhook that fails is left alone for a while, and says so", "[webhook]") {
  std::atomic<int> asked = 0, status = 500;
  Site site([&](const http::Request&, http::Response& response) {
    ++asked;
    response.status = status;
    response.body = R"({"status":{"allowed":true}})";
  });
  ManualClock clock;
  auto authorizer = make_webhook_authorizer({.kubeconfig = site.kubeconfig(), .clock = &clock});
  REQUIRE(authorizer.ok());
  Attributes a;
  a.verb = "get";
  a.path = "/x";
  for (int i = 0; i < 5; ++i) {
    const Authorization answer = (*authorizer)->authorize(a);
    CHECK(answer.decision == Decision::kNoOpinion);
    CHECK(answer.error == "the webhook answered with HTTP status 500");
  }
  CHECK(asked == 3);
  CHECK(make_union_authorizer({*authorizer, make_group_authorizer({})})->authorize(a).error.find("500") != std::string::npos);
  status = 200;
  clock.advance(seconds(2));
  CHECK((*authorizer)->authorize(a).decision == Decision::kAllow);
  CHECK(asked == 4);
}

TEST_CASE("ABAC policies", "[abac]") {
  const std::string head = R"({"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":)";
  const auto abac = make_abac_authorizer(
      "# comment\n\n" + head + R"({"user":"al","namespace":"n","resource":"pods","apiGroup":"*","readonly":true}})" +
      "\n" + head + R"({"group":"devs","namespace":"*","resource":"*","apiGroup":"*"}})" + "\n" + head +
      R"({"user":"*","nonResourcePath":"/api*"}})" + "\n" + head + R"({"resource":"*"}})");
  REQUIRE(abac.ok());
  struct {
    const char *user, *group, *verb, *ns, *resource, *path;
    bool allowed;
  } const cases[] = {{"al", "", "get", "n", "pods", "", true},  {"al", "", "create", "n", "pods", "", false},
                     {"al", "", "get", "m", "pods", "", false}, {"bo", "devs", "delete", "m", "nodes", "", true},
                     {"bo", "", "get", "", "", "/apis", true},  {"bo", "", "get", "", "", "/x", false},
                     {"bo", "", "get", "n", "pods", "", false}};
  for (const auto& c : cases) {
    INFO(c.user << " " << c.verb << " " << c.resource << c.path);
    UserInfo user;
    user.name = c.user;
    if (*c.group) user.groups = {c.group};
    Attributes a;
    a.user = &user;
    a.verb = c.verb;
    a.resource_request = *c.resource != 0;
    a.ns = c.ns;
    a.resource = c.resource;
    a.path = c.path;
    CHECK(((*abac)->authorize(a).decision == Decision::kAllow) == c.allowed);
  }
  CHECK_FALSE(make_abac_authorizer("{}").ok());
}
