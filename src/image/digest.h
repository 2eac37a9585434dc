// Digests: "sha256:" and 64 lower-case hexadecimal digits.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "knarr/base/result.h"

struct evp_md_ctx_st;

namespace knarr::image {

class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  std::string digest();  // once, in the end

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string digest_of(std::string_view bytes);
bool valid_digest(std::string_view text);
inline std::string_view hex_of(std::string_view digest) { return digest.substr(digest.find(':') + 1); }

}  // namespace knarr::image
