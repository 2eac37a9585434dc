#include "knarr/auth/csr.h"

#include <catch2/catch.hpp>

#include "knarr/auth/pki.h"
#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;

namespace {

const std::string kRequest = R"(-----BEGIN CERTIFICATE REQUEST-----
MIIBPDCB4wIBADAvMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFjAUBgNVBAMMDXN5
c3RlbTpub2RlOmEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQdp3YS/XSHdIBZ
E5Z9oo5NWO4PXal1mCzvr4fl1ogTz1fgoSJutoq2b39BFHuwnVR7+zBdXbja+8IH
yjVBJHrfoFIwUAYJKoZIhvcNAQkOMUMwQTA/BgNVHREEODA2ggdhLmxvY2FshwQK
AAABhxD9AAAAAAAAAAAAAAAAAAABgQVhQGIuY4YMc3BpZmZlOi8veC95MAoGCCqG
SM49BAMCA0gAMEUCIATGOsyJ9MO7YEC7pxybii4gPsFzOe1V70HVp9Ik9TWMAiEA
9Blz/m9LBGdfKeo9Cc9LpjLd06hspihjIoo4frx1tAg=
-----END CERTIFICATE REQUEST-----
)";

}  // namespace

TEST_CASE("a certificate request says what it asks for") {
  const auto asked = auth::read_certificate_request(kRequest);
  REQUIRE(asked.ok());
  CHECK(asked->common_name == "system:node:a");
  CHECK(asked->organizations == std::vector<std::string>{"system:nodes"});
  CHECK(asked->dns_names == std::vector<std::string>{"a.local"});
  CHECK(asked->ip_addresses == std::vector<std::string>{"10.0.0.1", "fd00::1"});
  CHECK(asked->email_addresses == std::vector<std::string>{"a@b.c"});
  CHECK(asked->uris == std::vector<std::string>{"spiffe://x/y"});
  for (const std::string text : {"", "nonsense", "-----BEGIN CERTIFICATE-----\n"})
    CHECK(auth::read_certificate_request(text).status().message() == "PEM block type must be CERTIFICATE REQUEST");
  CHECK_FALSE(auth::read_certificate_request("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE "
                                             "REQUEST-----\n")
                  .ok());
}

TEST_CASE("an authority signs requests") {
  const test::TempDirectory directory;
  const auto authority = auth::CertificateAuthority::load_or_create(directory.path, "ca");
  REQUIRE(authority.ok());
  const WallTime now{seconds(1'800'000'000)};
  struct Case {
    seconds lifetime;
    seconds end;  // from now
  };
  for (const Case& test : {Case{seconds(3600), seconds(3600)}, Case{seconds(86400), seconds(86400 - 300)}}) {
    const auto signed_pem = authority->sign(
        kRequest, {.usages = {"digital signature", "client auth"}, .lifetime = test.lifetime, .now = now});
    REQUIRE(signed_pem.ok());
    const auto certificate = auth::read_certificate(*signed_pem);
    REQUIRE(certificate.ok());
    CHECK(certificate->common_name == "system:node:a");
    CHECK(certificate->organizations == std::vector<std::string>{"system:nodes"});
    CHECK(certificate->dns_names == std::vector<std::string>{"a.local"});
    CHECK(certificate->not_before == now - seconds(300));
    CHECK(certificate->not_after == now + test.end);
  }
  CHECK(authority->sign(kRequest, {.usages = {"dancing"}, .lifetime = seconds(3600), .now = now}).status().message() ==
        "unrecognized usage values: [\"dancing\"]");
  // Somebody else's key: the signature does not fit.
  std::string forged = kRequest;
  forged.replace(forged.find("SM49BAMCA0gAMEUCIATG"), 20, "SM49BAMCA0gAMEUCIATH");
  CHECK(
      authority->sign(forged, {.usages = {"client auth"}, .lifetime = seconds(3600), .now = now}).status().message() ==
      "unable to verify certificate request signature");
}
