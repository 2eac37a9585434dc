#include "list_body.h"

#include <fmt/format.h>

#include <algorithm>

#include "knarr/apiserver/document.h"
#include "knarr/apiserver/errors.h"
#include "versions.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kTail = "]}";

std::string head_of(const ListAnswer& list) {
  std::string out = "{\"kind\":\"";
  out.append(list_kind(*list.resource)).append("\",\"apiVersion\":\"").append(group_version(*list.resource));
  out += fmt::format("\",\"metadata\":{{\"resourceVersion\":\"{}\"", list.revision);
  // Upstream writes lists of custom resources as any JSON: nothing is left out.
  if (!list.continue_token.empty() || list.resource->custom)
    out.append(",\"continue\":\"").append(list.continue_token).append("\"");
  if (list.remaining) out += fmt::format(",\"remainingItemCount\":{}", *list.remaining);
  return out += "},\"items\":[";
}

}  // namespace

ListBody::ListBody(std::shared_ptr<const ListAnswer> list) : list_(std::move(list)), head_(head_of(*list_)), rest_(head_) {
  if (!list_->resource->custom) prefix_ = object_prefix(*list_->resource);
  left_ = head_.size() + kTail.size();
  if (!list_->objects.empty()) left_ += list_->objects.size() - 1;  // commas
  for (const store::ObjectPtr& object : list_->objects) {
    const std::string_view value = object->value;
    left_ += stripped(value) ? value.size() - prefix_.size() + 1 : value.size();
  }
}

bool ListBody::next_piece() {
  if (next_ < list_->objects.size()) {
    rest_ = list_->objects[next_]->value;
    lead_ = stripped(rest_) ? ",{" : ",";
    if (lead_.size() > 1) rest_.remove_prefix(prefix_.size());
    if (next_ == 0) lead_.remove_prefix(1);
    ++next_;
    return true;
  }
  if (std::exchange(tail_, true)) return false;
  rest_ = kTail;
  return true;
}

size_t ListBody::read(char* out, size_t room) {
  char* const begin = out;
  const auto take = [&](std::string_view& from) {
    const size_t size = std::min(room, from.size());
    out = std::copy_n(from.data(), size, out);
    from.remove_prefix(size);
    room -= size;
  };
  while (room > 0 && (!rest_.empty() || next_piece())) {
    take(lead_);
    take(rest_);
  }
  const auto got = static_cast<size_t>(out - begin);
  left_ -= got;
  return got;
}

}  // namespace knarr::apiserver
