#include "knarr/schema/taints.h"

#include <algorithm>

namespace knarr::schema {

using api::core::v1::Taint;
using api::core::v1::Toleration;

bool tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.operator_ == "Exists") return true;
  // Lt and Gt belong to an alpha feature: they tolerate nothing.
  return (toleration.operator_.empty() || toleration.operator_ == "Equal") && toleration.value == taint.value;
}

const Toleration* find_toleration(std::span<const Toleration> tolerations, const Taint& taint) {
  auto it = std::find_if(tolerations.begin(), tolerations.end(), [&](const auto& t) { return tolerates(t, taint); });
  return it == tolerations.end() ? nullptr : &*it;
}

}  // namespace knarr::schema
