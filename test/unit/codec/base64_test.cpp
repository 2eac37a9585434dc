#include "knarr/codec/base64.h"

#include <catch2/catch.hpp>

namespace base64 = knarr::base64;

TEST_CASE("base64: both alphabets, all remainders", "[base64]") {
  const std::tuple<std::string, const char*, const char*> cases[] = {{"", "", ""},
                                                                     {"f", "Zg==", "Zg"},
                                                                     {"fo", "Zm8=", "Zm8"},
                                                                     {"foo", "Zm9v", "Zm9v"},
                                                                     {"foob", "Zm9vYg==", "Zm9vYg"},
                                                                     {"\xfb\xff\xfe", "+//+", "-__-"},
                                                                     {std::string(1, '\0'), "AA==", "AA"}};
  for (const auto& [bytes, standard, url] : cases) {
    CHECK(base64::encode(bytes) == standard);
    CHECK(base64::encode_url(bytes) == url);
    CHECK(*base64::decode(standard) == bytes);
    CHECK(*base64::decode_url(url) == bytes);
  }
  CHECK(*base64::decode("Zm9v\nYg==\n") == "foob");
}

TEST_CASE("base64: what is refused", "[base64]") {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "Zm9v=", "Z=g=", "Zm 9", "-__-", "Zg==Zg=="}) {
    INFO(text);
    CHECK_FALSE(base64::decode(text).ok());
  }
  for (const char* text : {"Z", "Zg==", "+//+"}) CHECK_FALSE(base64::decode_url(text).ok());
}
