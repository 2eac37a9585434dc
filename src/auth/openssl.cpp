#include "openssl.h"

#include <fmt/format.h>

namespace knarr::auth {

Status openssl_error(std::string_view what) {
  char text[256] = "no detail";
  if (auto code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return internal_error(fmt::format("{}: {}", what, text));
}

std::string bio_text(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace knarr::auth
