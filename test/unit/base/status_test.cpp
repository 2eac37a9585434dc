#include "knarr/base/status.h"

#include <catch2/catch.hpp>
#include <cerrno>

#include "knarr/base/result.h"

using namespace knarr;

namespace {
Result<int> half(int n) {
  if (n % 2) return bad_request("odd");
  return n / 2;
}
Result<int> quarter(int n) {
  KNARR_ASSIGN(int h, half(n));
  return half(h);
}
}  // namespace

TEST_CASE("a default Status is OK and carries nothing") {
  Status s;
  CHECK(s.ok());
  CHECK(s.code() == 200);
  CHECK(s.reason().empty());
  s.with_context("ignored").with_cause({"r", "m", "f"});
  CHECK(s.ok());
}

TEST_CASE("an error keeps its parts through copies and gains context") {
  Status s(422, reason::kInvalid, "bad name");
  s.with_cause({"FieldValueInvalid", "must be short", "metadata.name"}).with_context("create pod");
  Status copy = s;
  CHECK(copy.code() == 422);
  CHECK(copy.is(reason::kInvalid));
  CHECK(copy.message() == "create pod: bad name");
  CHECK(copy.causes().at(0).field == "metadata.name");
}

TEST_CASE("errno becomes the code a client would expect") {
  CHECK(errno_status(ENOENT, "open /x").code() == 404);
  CHECK(errno_status(ENOSPC, "write /x").code() == 507);
  CHECK(errno_status(EPERM, "mount").code() == 403);
  CHECK(errno_status(EIO, "read /x").message() == "read /x: Input/output error");
}

TEST_CASE("KNARR_ASSIGN passes the first error on") {
  CHECK(quarter(8).value() == 2);
  CHECK(quarter(6).status().message() == "odd");
  CHECK(quarter(5).status().is(reason::kBadRequest));
}
