#include "schema/apply_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "schema/apply_text.h"

namespace knarr::schema {

namespace {

using json::Allocator;
using json::Value;
using Kind = PathElement::Kind;
using Node = FieldSet::Node;

constexpr int kMaxSetDepth = 200;  // deeper than any object may be, far from the stack's end

// Go's encoder writes < > & and the line separators as escapes, and keys are compared as they are written.
void append_escaped(std::string& out, std::string_view text) {
  const size_t from = out.size();
  json::append_quoted(out, text);
  if (text.find_first_of("<>&\xe2") == std::string_view::npos) return;
  std::string escaped;
  for (size_t i = from; i < out.size(); ++i) {
    const std::string_view rest = std::string_view(out).substr(i);
    if (out[i] == '<' || out[i] == '>' || out[i] == '&') {
      escaped += fmt::format("\\u{:04x}", static_cast<unsigned>(out[i]));
    } else if (rest.starts_with("\xe2\x80\xa8") || rest.starts_with("\xe2\x80\xa9")) {
      escaped += rest[2] == '\xa8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else {
      escaped += out[i];
    }
  }
  out.resize(from);
  out += escaped;
}

int rank(const Value& value) {
  if (value.IsNumber()) return 0;
  if (value.IsString()) return 1;
  if (value.IsBool()) return 2;
  if (value.IsArray()) return 3;
  return value.IsObject() ? 4 : 5;
}

template <typename T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int compare_values(const Value& a, const Value& b) {
  if (const int order = three_way(rank(a), rank(b)); order != 0) return order;
  if (a.IsInt64() && b.IsInt64()) return three_way(a.GetInt64(), b.GetInt64());
  if (a.IsNumber()) return three_way(a.GetDouble(), b.GetDouble());
  if (a.IsString()) return three_way(json::view(a), json::view(b));
  if (a.IsBool()) return three_way(a.GetBool(), b.GetBool());
  return three_way(json::dump(a), json::dump(b));
}

int compare_keys(const Value& a, const Value& b) {
  auto left = a.MemberBegin(), right = b.MemberBegin();
  for (;; ++left, ++right) {
    // The shorter of two keys of which one begins with the other comes first.
    if (left == a.MemberEnd() || right == b.MemberEnd())
      return three_way(left != a.MemberEnd(), right != b.MemberEnd());
    if (const int order = three_way(json::view(left->name), json::view(right->name)); order != 0) return order;
    if (const int order = compare_values(left->value, right->value); order != 0) return order;
  }
}

// {"name":"c"} with a plain text as value, by far the most frequent key: where that text begins; 0 for other keys.
size_t plain_key(std::string_view text) {
  const size_t colon = text.find("\":\"");
  if (colon == std::string_view::npos || !text.ends_with("\"}")) return 0;
  const size_t begin = colon + 3;
  const std::string_view value = text.substr(begin, text.size() - 2 - begin);
  return value.find_first_of("\"\\") == std::string_view::npos ? begin : 0;
}

int compare_texts(Kind kind, std::string_view a, std::string_view b) {
  if (kind == Kind::kKey) {
    const size_t from = plain_key(a);
    if (from != 0 && plain_key(b) == from && a.substr(0, from) == b.substr(0, from))
      return three_way(a.substr(from, a.size() - 2 - from), b.substr(from, b.size() - 2 - from));
  }
  const auto left = json::parse(a), right = json::parse(b);
  if (!left.ok() || !right.ok()) return three_way(a, b);
  if (kind == Kind::kKey && left->IsObject() && right->IsObject()) return compare_keys(*left, *right);
  return compare_values(*left, *right);
}

bool before(const Node& a, const Node& b) { return compare(a.element, b.element) < 0; }

// Walks two sorted sets side by side: `visit(a, b)` with null where there is no such node.
template <typename Visit>
void side_by_side(const FieldSet& a, const FieldSet& b, Visit&& visit) {
  auto left = a.nodes.begin(), right = b.nodes.begin();
  while (left != a.nodes.end() || right != b.nodes.end()) {
    const int order = left == a.nodes.end()    ? 1
                      : right == b.nodes.end() ? -1
                                               : compare(left->element, right->element);
    if (order < 0) {
      visit(&*left++, static_cast<const Node*>(nullptr));
    } else if (order > 0) {
      visit(static_cast<const Node*>(nullptr), &*right++);
    } else {
      visit(&*left++, &*right++);
    }
  }
}

void add(FieldSet& out, const PathElement& element, bool member, FieldSet children) {
  if (member || !children.empty()) out.nodes.push_back({element, member, std::move(children)});
}

std::string_view keep(std::string_view text, Allocator& alloc) {
  if (text.empty()) return {};
  char* copy = static_cast<char*>(alloc.Malloc(text.size()));
  std::copy_n(text.data(), text.size(), copy);
  return {copy, text.size()};
}

Status bad_element(std::string_view text, std::string_view why) {
  return bad_request(fmt::format("error decoding set: parsing key as path element: {}: {}", text, why));
}

// False: of a kind that is not known. Keys and values are put into the form that equality is decided on.
Result<bool> read_element(std::string_view text, PathElement& out, Allocator& alloc) {
  if (text.size() < 2) return bad_element(text, "key must be 2 characters long:");
  if (text[1] != ':') return bad_element(text, "missing colon");
  const std::string_view rest = text.substr(2);
  switch (text[0]) {
    case 'f':
      out = field_element(rest);
      return true;
    case 'i': {
      const bool number = !rest.empty() && rest.find_first_not_of("0123456789", rest[0] == '-') == std::string_view::npos;
      if (!number) return bad_element(text, "invalid index");
      out = {Kind::kIndex, rest};
      return true;
    }
    case 'v': {
      auto value = json::parse(rest);
      if (!value.ok()) return bad_element(text, value.status().message());
      const std::string canonical = scalar_text(*value);
      out = {Kind::kValue, canonical == rest ? rest : keep(canonical.empty() ? json::dump(*value) : canonical, alloc)};
      return true;
    }
    case 'k': {
      if (plain_key(rest) != 0) {
        out = {Kind::kKey, rest};
        return true;
      }
      auto value = json::parse(rest);
      if (!value.ok() || !value->IsObject()) return bad_element(text, value.ok() ? "no object" : value.status().message());
      std::vector<std::pair<std::string_view, const Value*>> fields;
      for (const auto& member : value->GetObject()) fields.emplace_back(json::view(member.name), &member.value);
      const std::string canonical = key_text(fields);
      out = {Kind::kKey, canonical == rest ? rest : keep(canonical, alloc)};
      return true;
    }
    default:
      return false;
  }
}

Status read_set(const Value& fields, Allocator& alloc, int depth, FieldSet& out, bool& member) {
  if (!fields.IsObject()) return bad_request("error decoding set: a set of fields is a JSON object");
  if (depth > kMaxSetDepth) return bad_request("error decoding set: it is nested too deep");
  out.nodes.reserve(fields.MemberCount());
  member = false;
  for (const auto& [name, value] : fields.GetObject()) {
    if (json::view(name) == ".") {
      member = true;
      continue;
    }
    Node node;
    KNARR_ASSIGN(const bool known, read_element(json::view(name), node.element, alloc));
    if (!known) continue;
    KNARR_RETURN_IF_ERROR(read_set(value, alloc, depth + 1, node.children, node.member));
    out.nodes.push_back(std::move(node));
  }
  out.sort();
  if (out.empty()) member = true;
  return Status::OK();
}

void write_set(const FieldSet& set, bool member, Value& out, Allocator& alloc) {
  out.SetObject();
  if (member && !set.empty()) out.AddMember(".", Value(rapidjson::kObjectType), alloc);
  std::string name;
  for (const Node& node : set.nodes) {
    name = "fkvi"[static_cast<int>(node.element.kind)];
    name.append(":").append(node.element.text);
    Value children;
    write_set(node.children, node.member, children, alloc);
    out.AddMember(json::string(name, alloc), children, alloc);
  }
}

}  // namespace

std::string scalar_text(const Value& value) {
  if (value.IsObject() || value.IsArray()) return {};
  std::string out;
  if (value.IsString()) {
    append_escaped(out, json::view(value));
  } else if (value.IsNumber() && !value.IsInt64() && !value.IsUint64()) {
    const double number = value.GetDouble();
    constexpr double kExact = 9007199254740992;  // whole numbers up to here are what they seem
    out = std::floor(number) == number && std::fabs(number) <= kExact ? fmt::format("{}", static_cast<int64_t>(number))
                                                                     : json::dump(value);
  } else {
    json::append(out, value);
  }
  return out;
}

std::string key_text(std::vector<std::pair<std::string_view, const Value*>>& fields) {
  std::sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string out = "{";
  for (const auto& [name, value] : fields) {
    if (out.size() > 1) out += ',';
    append_escaped(out, name);
    out += ':';
    const std::string text = scalar_text(*value);
    out += text.empty() ? json::dump(*value) : text;
  }
  return out += '}';
}

void append_go_json(const Value& value, std::string& out) {
  if (value.IsArray()) {
    out += '[';
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
      if (i > 0) out += ',';
      append_go_json(value[i], out);
    }
    out += ']';
  } else if (value.IsObject()) {
    std::vector<std::pair<std::string_view, const Value*>> members;
    for (const auto& member : value.GetObject()) members.emplace_back(json::view(member.name), &member.value);
    std::sort(members.begin(), members.end());
    out += '{';
    for (const auto& [name, item] : members) {
      if (out.back() != '{') out += ',';
      append_escaped(out, name);
      out += ':';
      append_go_json(*item, out);
    }
    out += '}';
  } else {
    out += scalar_text(value);
  }
}

PathElement kept_element(Kind kind, std::string_view text, Allocator& alloc) { return {kind, keep(text, alloc)}; }

std::string PathElement::to_string() const {
  if (kind == Kind::kField) return fmt::format(".{}", text);
  if (kind == Kind::kIndex) return fmt::format("[{}]", text);
  const auto value = json::parse(text);
  const auto shown = [](const Value& scalar) {
    return scalar.IsString() ? go_quoted(json::view(scalar)) : scalar_text(scalar);
  };
  if (kind == Kind::kValue) return fmt::format("[={}]", value.ok() ? shown(*value) : std::string(text));
  std::string out = "[";
  if (value.ok() && value->IsObject()) {
    for (const auto& member : value->GetObject()) {
      if (out.size() > 1) out += ',';
      out += fmt::format("{}={}", json::view(member.name), shown(member.value));
    }
  }
  return out += ']';
}

int compare(const PathElement& a, const PathElement& b) {
  if (a.kind != b.kind) return three_way(a.kind, b.kind);
  if (a.text == b.text) return 0;
  return a.kind == Kind::kField ? three_way(a.text, b.text) : compare_texts(a.kind, a.text, b.text);
}

std::string path_text(const std::vector<PathElement>& path) {
  std::string out;
  for (const PathElement& element : path) out += element.to_string();
  return out;
}

const Node* FieldSet::find(const PathElement& element) const {
  const auto found = std::lower_bound(nodes.begin(), nodes.end(), element,
                                      [](const Node& node, const PathElement& e) { return compare(node.element, e) < 0; });
  return found != nodes.end() && compare(found->element, element) == 0 ? &*found : nullptr;
}

bool FieldSet::has(const PathElement& element) const {
  const Node* node = find(element);
  return node && node->member;
}

const FieldSet& FieldSet::below(const PathElement& element) const {
  static const FieldSet none;
  const Node* node = find(element);
  return node ? node->children : none;
}

bool FieldSet::has_path(const std::vector<PathElement>& path) const {
  const FieldSet* set = this;
  const Node* node = nullptr;
  for (const PathElement& element : path) {
    node = set->find(element);
    if (!node) return false;
    set = &node->children;
  }
  return node && node->member;
}

void FieldSet::insert(const std::vector<PathElement>& path) {
  FieldSet chain;
  for (auto element = path.rbegin(); element != path.rend(); ++element) {
    FieldSet outer;
    outer.nodes.push_back({*element, element == path.rbegin(), std::move(chain)});
    chain = std::move(outer);
  }
  *this = unite(*this, chain);
}

void FieldSet::append(const PathElement& element, bool member, FieldSet children) {
  add(*this, element, member, std::move(children));
}

void FieldSet::sort() {
  if (std::is_sorted(nodes.begin(), nodes.end(),
                     [](const Node& a, const Node& b) { return compare(a.element, b.element) <= 0; }) &&
      std::adjacent_find(nodes.begin(), nodes.end(),
                         [](const Node& a, const Node& b) { return a.element == b.element; }) == nodes.end())
    return;
  std::stable_sort(nodes.begin(), nodes.end(), before);
  std::vector<Node> merged;
  merged.reserve(nodes.size());
  for (Node& node : nodes) {
    if (merged.empty() || compare(merged.back().element, node.element) != 0) {
      merged.push_back(std::move(node));
    } else {
      merged.back().member = merged.back().member || node.member;
      merged.back().children = unite(merged.back().children, node.children);
    }
  }
  nodes = std::move(merged);
}

bool FieldSet::operator==(const FieldSet& other) const { return nodes == other.nodes; }

FieldSet unite(const FieldSet& a, const FieldSet& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  FieldSet out;
  out.nodes.reserve(std::max(a.nodes.size(), b.nodes.size()));
  side_by_side(a, b, [&](const Node* left, const Node* right) {
    if (!left || !right) {
      out.nodes.push_back(left ? *left : *right);
    } else {
      add(out, left->element, left->member || right->member, unite(left->children, right->children));
    }
  });
  return out;
}

FieldSet intersect(const FieldSet& a, const FieldSet& b) {
  FieldSet out;
  if (a.empty() || b.empty()) return out;
  side_by_side(a, b, [&](const Node* left, const Node* right) {
    if (left && right)
      add(out, left->element, left->member && right->member, intersect(left->children, right->children));
  });
  return out;
}

bool overlap(const FieldSet& a, const FieldSet& b) {
  return std::any_of(b.nodes.begin(), b.nodes.end(), [&](const Node& node) {
    const Node* other = a.find(node.element);
    return other && ((other->member && node.member) || overlap(other->children, node.children));
  });
}

FieldSet subtract(const FieldSet& a, const FieldSet& b) {
  if (a.empty() || b.empty()) return a;
  FieldSet out;
  side_by_side(a, b, [&](const Node* left, const Node* right) {
    if (!left) return;
    if (!right) {
      out.nodes.push_back(*left);
    } else {
      add(out, left->element, left->member && !right->member, subtract(left->children, right->children));
    }
  });
  return out;
}

FieldSet subtract_recursively(const FieldSet& a, const FieldSet& b) {
  if (a.empty() || b.empty()) return a;
  FieldSet out;
  side_by_side(a, b, [&](const Node* left, const Node* right) {
    if (!left) return;
    if (!right) {
      out.nodes.push_back(*left);
    } else if (!right->member) {
      add(out, left->element, left->member, subtract_recursively(left->children, right->children));
    }
  });
  return out;
}

Result<FieldSet> set_from_json(const Value& fields, Allocator& alloc) {
  FieldSet out;
  bool member = false;
  KNARR_RETURN_IF_ERROR(read_set(fields, alloc, 0, out, member));
  return out;
}

Value set_to_json(const FieldSet& set, Allocator& alloc) {
  Value out;
  write_set(set, false, out, alloc);
  return out;
}

}  // namespace knarr::schema
