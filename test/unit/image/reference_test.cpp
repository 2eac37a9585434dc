#include <catch2/catch.hpp>

#include "image/manifest.h"
#include "image/registry.h"
#include "knarr/image/image.h"

using namespace knarr;
using namespace knarr::image;

namespace {
const std::string kDigest = "sha256:" + std::string(64, 'a');
}

TEST_CASE("references are completed as Docker does") {
  struct Case {
    std::string text, canonical;
  };
  const Case cases[] = {
      {"busybox", "docker.io/library/busybox:latest"},
      {"busybox:1.36", "docker.io/library/busybox:1.36"},
      {"library/busybox", "docker.io/library/busybox:latest"},
      {"user/app", "docker.io/user/app:latest"},
      {"docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/busybox", "docker.io/library/busybox:latest"},
      {"localhost/app", "localhost/app:latest"},
      {"localhost:5000/app:v1", "localhost:5000/app:v1"},
      {"127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest"},
      {"registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"},
      {"Registry/app", "Registry/app:latest"},  // upper case makes it a host
      {"[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app:latest"},
      {"busybox@" + kDigest, "docker.io/library/busybox@" + kDigest},
      {"quay.io/a/b:tag@" + kDigest, "quay.io/a/b:tag@" + kDigest},
      {"a__b/c-d---e.f_g", "docker.io/a__b/c-d---e.f_g:latest"},
      {"x:" + std::string(128, 't'), "docker.io/library/x:" + std::string(128, 't')},
      {"x:_under.Score-9", "docker.io/library/x:_under.Score-9"},
  };
  for (const auto& test : cases) {
    INFO(test.text);
    auto reference = Reference::parse(test.text);
    REQUIRE(reference.ok());
    CHECK(reference->to_string() == test.canonical);
    auto again = Reference::parse(reference->to_string());
    REQUIRE(again.ok());
    CHECK(again->to_string() == test.canonical);
  }
}

TEST_CASE("what is no reference is refused, and why") {
  struct Case {
    std::string text, why;
  };
  const Case cases[] = {
      {"", "it is empty"},
      {"Busybox", "must be lower case"},
      {"docker.io/App", "must be lower case"},
      {"-x", "a repository's name has"},
      {"a..b", "a repository's name has"},
      {"a___b", "a repository's name has"},
      {"a/", "a repository's name has"},
      {"/a", "a repository's name has"},
      {"a//b", "a repository's name has"},
      {"https://docker.io/a", "is no registry's host"},
      {"a b", "a repository's name has"},
      {"x:", "a tag has"},
      {"x:.dot", "a tag has"},
      {"x:a b", "a tag has"},
      {"x:" + std::string(129, 't'), "a tag has"},
      {"x@sha256:abc", "64 hexadecimal digits behind"},
      {"x@md5:" + std::string(64, 'a'), "64 hexadecimal digits behind"},
      {"x@" + kDigest + "0", "64 hexadecimal digits behind"},
      {"x@sha256:" + std::string(64, 'A'), "64 hexadecimal digits behind"},
      {std::string(64, 'a'), "are an id, not a name"},
      {std::string(256, 'a'), "longer than 255"},
      {"host:123456/x", "is no registry's host"},
      {"bad_host.io/x", "is no registry's host"},
      {"-bad.io/x", "is no registry's host"},
      {"[::zz]/x", "is no registry's host"},
  };
  for (const auto& test : cases) {
    INFO(test.text);
    auto reference = Reference::parse(test.text);
    CHECK(reference.status().is(reason::kBadRequest));
    CHECK(reference.status().message().find(test.why) != std::string::npos);
  }
}

TEST_CASE("of an index the manifest for this platform is chosen") {
  auto descriptor = [](const std::string& digit, std::optional<Platform> platform) {
    return Descriptor{
        .media_type = "", .digest = "sha256:" + std::string(64, digit[0]), .size = 1, .platform = std::move(platform)};
  };
  const std::vector<Descriptor> index{
      descriptor("0", Platform{"unknown", "unknown", ""}), descriptor("1", Platform{"linux", "arm64", "v8"}),
      descriptor("2", Platform{"linux", "amd64", ""}),     descriptor("3", Platform{"windows", "amd64", ""}),
      descriptor("5", Platform{"linux", "arm", "v5"}),     descriptor("7", Platform{"linux", "arm", "v7"})};
  auto chosen = [&](const Platform& host) {
    auto result = choose(index, host);
    return result.ok() ? result->digest.substr(7, 1) : result.status().message();
  };
  CHECK(chosen({"linux", "amd64", ""}) == "2");
  CHECK(chosen({"linux", "arm64", "v8"}) == "1");
  CHECK(chosen({"linux", "arm", "v7"}) == "7");
  CHECK(chosen({"linux", "arm", "v6"}) == "5");
  CHECK(chosen({"linux", "s390x", ""}) ==
        "there is no image for linux/s390x in it, only for linux/arm64/v8, linux/amd64, windows/amd64, linux/arm/v5, "
        "linux/arm/v7");
  CHECK(choose({descriptor("9", {})}, {"linux", "amd64", ""}).ok());
  CHECK(choose({}, {"linux", "amd64", ""}).status().is(reason::kNotFound));
}

TEST_CASE("manifests and configs that are none are refused") {
  for (const char* bad : {"", "[]", "{}", R"({"layers":[]})", R"({"config":{},"layers":[]})",
                          R"({"manifests":[{"digest":"sha256:x","size":1}]})", R"({"manifests":[],"layers":[]})",
                          R"({"schemaVersion":1,"fsLayers":[]})"}) {
    INFO(bad);
    CHECK(parse_document(bad).status().is(reason::kBadRequest));
  }
  CHECK(parse_config("[]").status().is(reason::kBadRequest));
  CHECK(parse_config(R"({"rootfs":{"diff_ids":["md5:x"]}})").status().is(reason::kBadRequest));
  CHECK(parse_config("{}").ok());
}

TEST_CASE("challenges and URLs of registries") {
  auto challenge = parse_challenge(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error=invalid_token)");
  CHECK(challenge.scheme == "bearer");
  CHECK(challenge.parameters["realm"] == "https://auth.docker.io/token");
  CHECK(challenge.parameters["scope"] == "repository:a/b:pull,push");
  CHECK(challenge.parameters["error"] == "invalid_token");
  CHECK(parse_challenge(R"(Basic realm="a \"b\" c")").parameters["realm"] == "a \"b\" c");
  CHECK(parse_challenge("Negotiate").scheme == "negotiate");
  CHECK(parse_challenge("Bearer realm=\"open").parameters["realm"] == "open");
  CHECK(parse_challenge("").scheme.empty());

  CHECK(parse_url("https://cdn.example:8443/a/b?c=d#e")->base == "https://cdn.example:8443");
  CHECK(parse_url("https://cdn.example:8443/a/b?c=d#e")->target == "/a/b?c=d");
  CHECK(parse_url("http://h")->target == "/");
  CHECK(parse_url("http://h?x")->target == "/?x");
  for (const char* bad : {"", "ftp://x", "//host/x", "https://", "https://user:secret@host/"})
    CHECK(!parse_url(bad).ok());
}
