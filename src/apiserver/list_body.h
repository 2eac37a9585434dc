// A list as JSON, {"kind":"PodList",...}: the stored bytes side by side, without kind and apiVersion in the items, as upstream.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "knarr/apiserver/rest.h"
#include "knarr/http/server.h"

namespace knarr::apiserver {

class ListBody final : public http::BodySource {
 public:
  explicit ListBody(std::shared_ptr<const ListAnswer> list);

  size_t left() const override { return left_; }
  size_t read(char* out, size_t room) override;

 private:
  bool stripped(std::string_view value) const { return !prefix_.empty() && value.starts_with(prefix_); }
  bool next_piece();

  const std::shared_ptr<const ListAnswer> list_;
  const std::string head_;
  std::string prefix_;             // what items begin with and lists leave out; empty: nothing
  std::string_view lead_, rest_;   // of the piece that is being read
  size_t next_ = 0;                // item
  bool tail_ = false;              // reached
  size_t left_;
};

}  // namespace knarr::apiserver
