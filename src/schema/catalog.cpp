#include "knarr/schema/catalog.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "knarr/schema/custom.h"

namespace knarr::schema {

namespace {

size_t hash_of(std::string_view group, std::string_view version, std::string_view name) {
  const std::hash<std::string_view> hash;
  return hash(name) * 31 + hash(group) * 7 + hash(version);
}

using Index = std::unordered_multimap<size_t, const Resource*>;

Index make_index(std::string_view Resource::*name) {
  Index index;
  for (const Resource& r : resources()) index.emplace(hash_of(r.group, r.version, r.*name), &r);
  return index;
}

const Resource* find_in(const Index& index, std::string_view Resource::*name, std::string_view group, std::string_view version,
                        std::string_view wanted) {
  const auto [begin, end] = index.equal_range(hash_of(group, version, wanted));
  for (auto it = begin; it != end; ++it) {
    const Resource& r = *it->second;
    if (r.*name == wanted && r.group == group && r.version == version) return &r;
  }
  return nullptr;
}

// v1beta2 → {1, kBeta, 2}; nothing for a name that is none of the usual ones.
struct ParsedVersion {
  enum Level { kAlpha, kBeta, kStable } level;
  int64_t major, minor;
};
std::optional<ParsedVersion> parse_version(std::string_view text) {
  const auto number = [&](int64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    const bool good = error == std::errc() && out > 0 && text.front() != '0' && text.front() != '-';
    if (good) text.remove_prefix(static_cast<size_t>(end - text.data()));
    return good;
  };
  ParsedVersion out{ParsedVersion::kStable, 0, 0};
  if (text.empty() || text.front() != 'v') return std::nullopt;
  text.remove_prefix(1);
  if (text.empty() || !number(out.major)) return std::nullopt;
  if (text.empty()) return out;
  if (text.starts_with("alpha")) {
    out.level = ParsedVersion::kAlpha;
    text.remove_prefix(5);
  } else if (text.starts_with("beta")) {
    out.level = ParsedVersion::kBeta;
    text.remove_prefix(4);
  } else {
    return std::nullopt;
  }
  if (text.empty() || !number(out.minor) || !text.empty()) return std::nullopt;
  return out;
}

}  // namespace

const Resource* find_resource(std::string_view group, std::string_view version, std::string_view plural) {
  static const Index index = make_index(&Resource::plural);
  return find_in(index, &Resource::plural, group, version, plural);
}

const Resource* find_kind(std::string_view group, std::string_view version, std::string_view kind) {
  static const Index index = make_index(&Resource::kind);
  return find_in(index, &Resource::kind, group, version, kind);
}

Catalog::Catalog(MadeResources made, uint64_t number) : made_(std::move(made)), number_(number) {
  std::stable_sort(made_.begin(), made_.end(), [](const auto& a, const auto& b) { return a->group < b->group; });
}

uint64_t Catalog::number_of(std::string_view group, std::string_view version) const {
  uint64_t number = 0;
  for (const auto& r : made_) {
    if (r->group == group && r->version == version) number = number * 31 + r->custom->number();
  }
  return number;
}

std::vector<ResourceRef> Catalog::resources() const {
  std::vector<ResourceRef> out;
  for (const Resource& r : schema::resources()) out.emplace_back(&r);
  for (const auto& r : made_) out.emplace_back(r);
  return out;
}

ResourceRef Catalog::find(std::string_view group, std::string_view version, std::string_view plural) const {
  if (const Resource* builtin = find_resource(group, version, plural)) return builtin;
  for (auto it = std::lower_bound(made_.begin(), made_.end(), group, [](const auto& r, std::string_view g) { return r->group < g; });
       it != made_.end() && (*it)->group == group; ++it) {
    if ((*it)->plural == plural && (*it)->version == version) return *it;
  }
  return nullptr;
}

ResourceRef Catalog::find_kind(std::string_view group, std::string_view version, std::string_view kind) const {
  if (const Resource* builtin = schema::find_kind(group, version, kind)) return builtin;
  for (const auto& r : made_) {
    if (r->kind == kind && r->group == group && r->version == version) return r;
  }
  return nullptr;
}

CatalogPtr Registry::catalog() const {
  Lock lock(mutex_);
  return current_;
}

void Registry::publish(MadeResources made) {
  Lock lock(mutex_);
  current_ = std::make_shared<const Catalog>(std::move(made), current_->number() + 1);
}

ResourceRef Registry::find(std::string_view group, std::string_view version, std::string_view plural) const {
  if (const Resource* builtin = find_resource(group, version, plural)) return builtin;
  return catalog()->find(group, version, plural);
}

bool version_before(std::string_view a, std::string_view b) {
  const auto x = parse_version(a), y = parse_version(b);
  if (!x && !y) return a < b;
  if (!x || !y) return x.has_value();
  if (x->level != y->level) return x->level > y->level;
  if (x->major != y->major) return x->major > y->major;
  return x->minor > y->minor;
}

}  // namespace knarr::schema
