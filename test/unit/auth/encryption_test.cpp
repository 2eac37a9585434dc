#include "knarr/auth/encryption.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "knarr/linux/tree.h"
#include "unit/temp_directory.h"

using namespace knarr;
using auth::EncryptionKeys;

namespace {

struct Directory : test::TempDirectory {
  std::string file() const { return path + "/keys"; }
};

}  // namespace

TEST_CASE("what is sealed opens in its own context only, and tells nothing") {
  Directory directory;
  auto keys = EncryptionKeys::load_or_create(directory.file()).value();
  const std::string value(1000, 's');
  const std::string sealed = keys->seal("secrets\x1f""a/b", value).value();
  CHECK(keys->is_sealed(sealed));
  CHECK_FALSE(keys->is_sealed(R"({"kind":"Secret"})"));
  CHECK(sealed.find("sss") == std::string::npos);
  CHECK(keys->seal("secrets\x1f""a/b", value).value() != sealed);  // another nonce each time
  CHECK(keys->open("secrets\x1f""a/b", sealed).value() == value);
  CHECK_FALSE(keys->open("secrets\x1f""a/c", sealed).ok());
  CHECK(keys->open("c", keys->seal("c", "").value()).value().empty());
  for (size_t at : {size_t{8}, size_t{20}, size_t{40}, sealed.size() - 1}) {
    std::string changed = sealed;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    CHECK_FALSE(keys->open("secrets\x1f""a/b", changed).ok());
  }
  CHECK_FALSE(keys->open("c", sealed.substr(0, 20)).ok());
}

TEST_CASE("the file is the owner's alone, and read again") {
  Directory directory;
  const std::string sealed = EncryptionKeys::load_or_create(directory.file()).value()->seal("c", "value").value();
  struct stat status;
  REQUIRE(stat(directory.file().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  auto again = EncryptionKeys::load_or_create(directory.file()).value();
  CHECK(again->open("c", sealed).value() == "value");
  CHECK_FALSE(again->outdated());
}

TEST_CASE("a new key seals, the old one opens until nothing needs it") {
  Directory directory;
  std::string sealed;
  {
    auto keys = EncryptionKeys::load_or_create(directory.file()).value();
    sealed = keys->seal("c", "value").value();
    const std::string first = keys->current_id();
    REQUIRE(keys->rotate().ok());
    CHECK(keys->current_id() != first);
    CHECK(keys->open("c", sealed).value() == "value");
    CHECK(keys->outdated());
  }
  {
    auto keys = EncryptionKeys::load_or_create(directory.file()).value();
    CHECK(keys->count() == 2);
    CHECK(keys->open("c", sealed).ok());
    REQUIRE(keys->forget_unused().ok());
    CHECK(keys->count() == 2);  // it has opened something
    sealed = keys->seal("c", "value").value();
  }
  auto keys = EncryptionKeys::load_or_create(directory.file()).value();
  CHECK(keys->open("c", sealed).value() == "value");
  CHECK_FALSE(keys->outdated());
  REQUIRE(keys->forget_unused().ok());
  CHECK(EncryptionKeys::load_or_create(directory.file()).value()->count() == 1);
}

TEST_CASE("a file of keys that cannot be right is an error that names it") {
  Directory directory;
  for (const char* text : {"", "{}", R"({"keys":[]})", R"({"keys":[{"id":"12345678","secret":"c2hvcnQ="}]})", R"({"keys":[{"id":"1","secret":"?"}]})"}) {
    REQUIRE(linux::replace_file(directory.file(), text).ok());
    const auto keys = EncryptionKeys::load_or_create(directory.file());
    REQUIRE_FALSE(keys.ok());
    CHECK_THAT(keys.status().message(), Catch::Contains(directory.file()));
  }
  // The keys are gone, what they sealed is not.
  auto lost = EncryptionKeys::load_or_create(directory.path + "/other").value()->seal("c", "v").value();
  auto keys = EncryptionKeys::load_or_create(directory.path + "/new").value();
  CHECK_THAT(keys->open("c", lost).status().message(), Catch::Contains("put that file back"));
}
