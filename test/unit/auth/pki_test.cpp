#include "knarr/auth/pki.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;
using auth::CertificateAuthority;

namespace {

using test::TempDirectory;

const auth::CertificateSpec kServer{.common_name = "knarr",
                                    .organizations = {"a", "b"},
                                    .dns_names = {"localhost", "kubernetes.default.svc"},
                                    .ip_addresses = {"127.0.0.1", "::1"},
                                    .server = true};

}  // namespace

TEST_CASE("an authority is made once and found again") {
  TempDirectory dir;
  auto first = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  REQUIRE(first.ok());
  auto second = CertificateAuthority::load_or_create(dir.path, "ignored");
  REQUIRE(second.ok());
  CHECK(first->certificate_pem() == second->certificate_pem());
  struct stat info {};
  REQUIRE(stat((dir.path + "/ca.key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(auth::read_certificate(first->certificate_pem())->common_name == "knarr-ca");
}

TEST_CASE("a lost key is reported, a lost certificate is made again from the key") {
  TempDirectory dir;
  REQUIRE(CertificateAuthority::load_or_create(dir.path, "knarr-ca").ok());
  REQUIRE(unlink((dir.path + "/ca.crt").c_str()) == 0);
  CHECK(CertificateAuthority::load_or_create(dir.path, "knarr-ca").ok());
  REQUIRE(unlink((dir.path + "/ca.key").c_str()) == 0);
  auto broken = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  REQUIRE_FALSE(broken.ok());
  CHECK(broken.status().message().find("ca.key is not") != std::string::npos);
}

TEST_CASE("an issued certificate says what was asked for") {
  TempDirectory dir;
  auto authority = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  auto pair = authority->issue(kServer);
  REQUIRE(pair.ok());
  auto info = auth::read_certificate(pair->certificate_pem);
  REQUIRE(info.ok());
  CHECK(info->common_name == "knarr");
  CHECK(info->organizations == kServer.organizations);
  CHECK(info->dns_names == kServer.dns_names);
  CHECK(info->ip_addresses == kServer.ip_addresses);
}

TEST_CASE("a clock of 1970 still gives a certificate that is valid in the year of the build") {
  TempDirectory dir;
  auto authority = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  ManualClock stopped;
  auto info = auth::read_certificate(authority->issue(kServer, stopped)->certificate_pem);
  CHECK(info->not_before == WallTime{});
  CHECK(info->not_after > Clock::system().wall());
}

TEST_CASE("ensure makes a certificate anew only for a reason") {
  TempDirectory dir;
  auto authority = CertificateAuthority::load_or_create(dir.path, "knarr-ca");
  CHECK(authority->ensure("server", kServer).value());
  CHECK_FALSE(authority->ensure("server", kServer).value());

  auto moved = kServer;
  moved.ip_addresses.push_back("10.0.0.9");
  CHECK(authority->ensure("server", moved).value());

  ManualClock late(Clock::system().wall() + std::chrono::hours(24 * 300));  // 65 of 365 days left
  CHECK(authority->ensure("server", moved, late).value());

  TempDirectory other_dir;
  auto other = CertificateAuthority::load_or_create(other_dir.path, "knarr-ca");
  (void)linux::replace_file(dir.path + "/server.crt", other->issue(moved)->certificate_pem, 0644);
  CHECK(authority->ensure("server", moved).value());  // signed by somebody else
}
