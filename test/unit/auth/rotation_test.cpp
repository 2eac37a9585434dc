// The authority's phases: who trusts whom in each of them, and what a power cut leaves.
#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "knarr/auth/pki.h"
#include "knarr/http/client.h"
#include "knarr/http/server.h"
#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;
using auth::CertificateAuthority;

namespace {

using test::TempDirectory;

const auth::CertificateSpec kServer{.common_name = "server",
                                    .organizations = {},
                                    .dns_names = {},
                                    .ip_addresses = {"127.0.0.1"},
                                    .server = true};
const auth::CertificateSpec kClient{
    .common_name = "ada", .organizations = {}, .dns_names = {}, .ip_addresses = {}, .client = true};

// A server with the authority's certificate, which says who came.
struct Site {
  explicit Site(const CertificateAuthority& authority, const TempDirectory& dir) : dir(dir) {
    REQUIRE(authority.ensure("server", kServer).ok());
    http::ServerOptions options;
    options.tls = http::TlsOptions{dir.path + "/server.crt", dir.path + "/server.key", authority.trusted_file()};
    auto started = http::Server::start(std::move(options), [](const http::Request& request, http::Response& response) {
      response.body = request.peer ? request.peer->common_name : "nobody";
    });
    REQUIRE(started.ok());
    server = std::move(*started);
  }

  // "" when the client does not trust the server.
  std::string visit(const std::string& trusted, const auth::KeyPair& who) const {
    auto client = http::Client::make({.url = fmt::format("https://127.0.0.1:{}", server->port()),
                                      .ca_pem = trusted,
                                      .certificate_pem = who.certificate_pem,
                                      .key_pem = who.key_pem});
    REQUIRE(client.ok());
    auto answer = (*client)->send({.target = "/"});
    return answer.ok() ? answer->body : "";
  }

  const TempDirectory& dir;
  std::unique_ptr<http::Server> server;
};

std::string name_of(const std::string& pem) { return auth::read_certificate(pem)->common_name; }

}  // namespace

TEST_CASE("nobody is lost while an authority is replaced, and the old one is nobody afterwards") {
  TempDirectory dir;
  auto authority = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  const std::string old_ca = authority->trusted_pem();
  const auth::KeyPair old_ada = *authority->issue(kClient);

  REQUIRE(authority->rotate().ok());
  CHECK(authority->rotating());
  const std::string both = authority->trusted_pem(), new_ca = authority->certificate_pem();
  CHECK(auth::split_certificates(both) == std::vector<std::string>{new_ca, old_ca});
  CHECK(name_of(new_ca).starts_with("knarr-ca@"));
  CHECK(authority->rotate().code() == 409);
  const auth::KeyPair new_ada = *authority->issue(kClient);
  {
    const Site site(*authority, dir);
    for (const std::string& trusted : {old_ca, both, new_ca})
      for (const auth::KeyPair& ada : {old_ada, new_ada}) CHECK(site.visit(trusted, ada) == "ada");
  }

  SECTION("finished") {
    REQUIRE(authority->finish().ok());
    CHECK(authority->trusted_pem() == new_ca);
    CHECK_FALSE(authority->rotating());
    const Site site(*authority, dir);  // its certificate is made anew, without the chain
    CHECK(site.visit(old_ca, new_ada).empty());
    CHECK(site.visit(new_ca, old_ada) == "nobody");
    CHECK(site.visit(new_ca, new_ada) == "ada");
    CHECK(site.visit(both, new_ada) == "ada");
    CHECK(authority->finish().code() == 409);
    CHECK(authority->turn_back().code() == 409);
    CHECK(authority->rotate().ok());  // another one, under another name
    CHECK(name_of(authority->certificate_pem()) != name_of(new_ca));
  }
  SECTION("turned back") {
    REQUIRE(authority->turn_back().ok());
    CHECK(authority->certificate_pem() == old_ca);
    {
      const Site site(*authority, dir);
      for (const std::string& trusted : {old_ca, both})
        for (const auth::KeyPair& ada : {old_ada, new_ada}) CHECK(site.visit(trusted, ada) == "ada");
    }
    CHECK(authority->turning_back());
    CHECK(authority->turn_back().code() == 409);
    REQUIRE(authority->finish().ok());
    CHECK_FALSE(authority->turning_back());
    const Site site(*authority, dir);
    CHECK(site.visit(old_ca, old_ada) == "ada");
    CHECK(site.visit(both, new_ada) == "nobody");  // whether or not it shows what the old one said for the new one
    const std::string bare = auth::split_certificates(new_ada.certificate_pem)[0];
    CHECK(site.visit(both, {bare, new_ada.key_pem}) == "nobody");
  }
}

TEST_CASE("servers that have not heard of the new authority know who has a certificate of the older") {
  TempDirectory dir, behind;
  auto authority = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  auth::CertificateSpec spec = kClient;
  spec.by_older = true;
  const std::string old_ca = authority->trusted_pem();
  CHECK(*authority->ensure("known", spec));
  REQUIRE(linux::replace_file(behind.path + "/ca.crt", old_ca).ok());
  REQUIRE(authority->ensure_in(behind.path, "server", kServer).ok());
  http::ServerOptions options;
  options.tls = http::TlsOptions{behind.path + "/server.crt", behind.path + "/server.key", behind.path + "/ca.crt"};
  auto server = http::Server::start(std::move(options), [](const http::Request& request, http::Response& response) {
    response.body = request.peer ? request.peer->common_name : "nobody";
  });
  REQUIRE(server.ok());
  const auto visit = [&](const auth::KeyPair& who) {
    auto client = http::Client::make({.url = fmt::format("https://127.0.0.1:{}", (*server)->port()),
                                      .ca_pem = old_ca,
                                      .certificate_pem = who.certificate_pem,
                                      .key_pem = who.key_pem});
    return (*client)->send({.target = "/"})->body;
  };
  REQUIRE(authority->rotate().ok());
  CHECK_FALSE(*authority->ensure("known", spec));  // it is good still
  CHECK(visit(*authority->issue(spec)) == "ada");
  CHECK(visit(*authority->issue(kClient)) == "nobody");
  SECTION("finished") {
    REQUIRE(authority->finish().ok());
    CHECK(*authority->ensure("known", spec));
  }
  SECTION("turned back") {
    REQUIRE(authority->turn_back().ok());
    CHECK_FALSE(*authority->ensure("known", spec));
    REQUIRE(authority->finish().ok());
    CHECK_FALSE(*authority->ensure("known", spec));
  }
}

TEST_CASE("copies of an authority are the same one, and another process reads what is on disk") {
  TempDirectory dir;
  auto authority = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  const CertificateAuthority copy = *authority;
  REQUIRE(authority->rotate().ok());
  CHECK(copy.trusted_pem() == authority->trusted_pem());
  auto other = CertificateAuthority::load(dir.path);
  REQUIRE(other.ok());
  CHECK(other->trusted_pem() == authority->trusted_pem());
  CHECK(other->issue(kClient)->certificate_pem.size() == authority->issue(kClient)->certificate_pem.size());
  REQUIRE(other->finish().ok());
  TempDirectory empty;
  CHECK(CertificateAuthority::load(empty.path).status().is(reason::kNotFound));
}

TEST_CASE("a power cut in the middle of a step leaves what is before it or what is behind it") {
  TempDirectory dir;
  auto authority = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  const std::string before = authority->trusted_pem(), key = linux::read_file(dir.path + "/ca.key").value_or("");
  REQUIRE(authority->rotate().ok());
  const std::string behind = authority->trusted_pem();
  // The step's notes, as they were while it was carried out, and files of which some are still the old ones.
  std::string notes;
  for (const char* name : {"ca.key", "ca-other.key", "ca-chain.crt", "ca.crt"}) {
    const std::string text = linux::read_file(fmt::format("{}/{}", dir.path, name)).value_or("");
    notes += fmt::format("{} 600 {}\n{}", name, text.size(), text);
  }
  REQUIRE(linux::replace_file(dir.path + "/.changes", notes, 0600).ok());
  REQUIRE(linux::replace_file(dir.path + "/ca.crt", before).ok());
  REQUIRE(unlink((dir.path + "/ca-chain.crt").c_str()) == 0);
  CHECK_FALSE(CertificateAuthority::load(dir.path).ok());  // who only reads says so
  auto again = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  REQUIRE(again.ok());
  CHECK(again->trusted_pem() == behind);
  CHECK(again->rotating());
  REQUIRE(again->turn_back().ok());
  REQUIRE(again->finish().ok());
  CHECK(linux::read_file(dir.path + "/ca.key").value_or("") == key);
}

TEST_CASE("a certificate whose key is another one's is made anew") {
  TempDirectory dir;
  auto authority = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  REQUIRE(authority->ensure("server", kServer).value());
  const std::string key = authority->issue(kServer)->key_pem;
  REQUIRE(linux::replace_file(dir.path + "/server.key", key, 0600).ok());
  CHECK(authority->ensure("server", kServer).value());
  CHECK_FALSE(authority->ensure("server", kServer).value());
}
