// A directory of a test's own, gone with its owner.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

namespace knarr::test {

class TempDirectory {
 public:
  explicit TempDirectory(const std::filesystem::path& parent = "/tmp") : path((parent / "knarr-test-XXXXXX").string()) {
    if (!mkdtemp(path.data())) throw std::system_error(errno, std::generic_category(), "mkdtemp " + path);
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  std::string file(std::string_view name) const { return path + "/" + std::string(name); }

  std::string path;
};

}  // namespace knarr::test
