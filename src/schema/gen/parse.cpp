#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <stdexcept>

#include "model.h"

namespace knarr::schemagen {
namespace {

const std::set<std::string> kScalars = {"string", "int32",    "int64",    "bool",        "double", "bytes", "time",
                                        "microTime", "duration", "quantity", "intOrString", "any",    "raw",   "fieldsV1"};

class Parser {
 public:
  Parser(std::string path, Model& model) : path_(std::move(path)), model_(model) {}

  void run() {
    std::ifstream in(path_);
    if (!in) throw std::runtime_error(path_ + ": cannot be read");
    for (std::string line; std::getline(in, line);) {
      ++number_;
      size_t start = line.find_first_not_of(' ');
      if (start == std::string::npos || line[start] == '#') continue;
      std::string doc;
      if (size_t dashes = line.find(" -- "); dashes != std::string::npos) {
        doc = line.substr(dashes + 4);
        line.resize(dashes);
      }
      auto words = split(line);
      if (start == 0) {
        top(words, doc);
      } else if (block_ == Block::kType) {
        field(words, doc);
      } else if (block_ == Block::kResource) {
        resource_line(words, doc);
      } else {
        fail("an indented line belongs to a type, kind or resource");
      }
    }
  }

 private:
  enum class Block { kNone, kType, kResource };
  using Words = std::vector<std::string>;

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(path_ + ":" + std::to_string(number_) + ": " + what);
  }

  // Words, where parentheses keep what they hold together.
  static Words split(const std::string& line) {
    Words words;
    std::string word;
    int depth = 0;
    for (char c : line) {
      if (c == '(') ++depth;
      if (c == ')') --depth;
      if (c == ' ' && depth == 0) {
        if (!word.empty()) words.push_back(std::move(word));
        word.clear();
      } else {
        word += c;
      }
    }
    if (!word.empty()) words.push_back(std::move(word));
    return words;
  }

  // The words inside name(...).
  static Words arguments(const std::string& word) {
    size_t open = word.find('(');
    return split(word.substr(open + 1, word.size() - open - 2));
  }

  std::string file() const { return std::filesystem::path(path_).stem().string(); }

  std::string qualified(const std::string& name) const {
    return name.find('.') == std::string::npos ? package_ + "." + name : name;
  }

  void top(const Words& words, const std::string& doc) {
    if (words[0] == "group" && (words.size() == 3 || words.size() == 4)) {
      package_ = words[1];
      group_ = words[2] == "\"\"" ? "" : words[2];
      if (std::find(model_.packages.begin(), model_.packages.end(), package_) == model_.packages.end())
        model_.packages.push_back(package_);
      model_.files.emplace_back(package_, file());
      if (words.size() == 4) model_.priorities[group_] = std::stoi(words[3]);
      block_ = Block::kNone;
      return;
    }
    if (package_.empty()) fail("a group line comes first");
    if (words.size() < 2) fail("a name is missing");
    if (words[0] == "type" || words[0] == "kind") {
      Type type;
      type.package = package_;
      type.file = file();
      type.name = words[1];
      type.doc = doc;
      type.is_kind = words[0] == "kind";
      type.group = group_;
      type.version = package_.substr(package_.find('/') + 1);
      for (size_t i = 2; i < words.size(); ++i) {
        if (words[i] == "atomic") {
          type.atomic = true;
        } else if (words[i] == "of" && i + 1 < words.size()) {
          type.group = words[++i];
        } else {
          fail("unknown word " + words[i]);
        }
      }
      model_.types.push_back(std::move(type));
      block_ = Block::kType;
    } else if (words[0] == "resource" && words.size() >= 3) {
      Resource resource;
      resource.plural = words[1];
      resource.type = qualified(words[2]);
      resource.doc = doc;
      resource.namespaced = words.size() > 3 && words[3] == "namespaced";
      resource.verbs = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
      model_.resources.push_back(std::move(resource));
      block_ = Block::kResource;
    } else {
      fail("unknown statement " + words[0]);
    }
  }

  TypeRef type_ref(const std::string& word) const {
    TypeRef ref;
    if (word.size() > 2 && (word[0] == '[' || word[0] == '{')) {
      if (word.back() != (word[0] == '[' ? ']' : '}')) fail("unbalanced type " + word);
      ref.form = word[0] == '[' ? TypeRef::kList : TypeRef::kMap;
      ref.element = std::make_shared<TypeRef>(type_ref(word.substr(1, word.size() - 2)));
    } else {
      size_t bar = word.find('|');
      if (bar != std::string::npos) ref.alternative = word.substr(bar + 1);
      std::string name = word.substr(0, bar);
      ref.name = is_scalar(name) ? name : qualified(name);
    }
    return ref;
  }

  void field(const Words& words, const std::string& doc) {
    if (words.size() < 2) fail("a field needs a name and a type");
    Field f;
    f.name = words[0];
    f.doc = doc;
    while (f.name.back() == '?' || f.name.back() == '!') {
      (f.name.back() == '?' ? f.omit_empty : f.required) = true;
      f.name.pop_back();
    }
    f.pointer = words[1][0] == '*';
    f.type = type_ref(words[1].substr(f.pointer ? 1 : 0));
    for (size_t i = 2; i < words.size(); ++i) {
      const std::string& w = words[i];
      if (w[0] == '#') {
        // #2.1: field 1 of the message that is field 2, and so on; one byte for each message around it, the outermost first.
        size_t begin = 1;
        for (unsigned shift = 0;; shift += 8) {
          const size_t dot = w.find('.', begin);
          const auto number = std::stoul(w.substr(begin, dot - begin));
          if (dot == std::string::npos) {
            f.pb_number = number;
            break;
          }
          f.pb_outer |= number << shift;
          begin = dot + 1;
        }
      } else if (w == "set") {
        f.set = true;
      } else if (w == "atomic") {
        f.atomic = true;
      } else if (w == "granular") {
        f.granular = true;
      } else if (w == "omitzero") {
        f.omit_zero = true;
      } else if (w == "merge") {
        f.merge = true;
      } else if (w == "retainKeys") {
        f.retain_keys = true;
      } else if (w == "replace") {
        f.replace = true;
      } else if (w == "default" && i + 1 < words.size()) {
        f.default_json = words[++i];
      } else if (w == "sets" && i + 1 < words.size()) {
        f.sets_json = words[++i];
      } else if (w.starts_with("merge(")) {
        f.merge = true;
        f.merge_key = arguments(w).at(0);
      } else if (w.starts_with("map(")) {
        f.list_keys = arguments(w);
      } else if (w.starts_with("enum(")) {
        f.enum_values = arguments(w);
        std::replace(f.enum_values.begin(), f.enum_values.end(), std::string("\"\""), std::string());
        for (std::string& value : f.enum_values) std::replace(value.begin(), value.end(), '_', ' ');
      } else {
        fail("unknown flag " + w);
      }
    }
    model_.types.back().fields.push_back(std::move(f));
  }

  void resource_line(const Words& words, const std::string& doc) {
    Resource& r = model_.resources.back();
    Words rest(words.begin() + 1, words.end());
    if (rest.empty()) fail(words[0] + " needs a value");
    if (words[0] == "singular") {
      r.singular = rest[0];
    } else if (words[0] == "short") {
      r.short_names = rest;
    } else if (words[0] == "categories") {
      r.categories = rest;
    } else if (words[0] == "verbs") {
      r.verbs = rest;
    } else if (words[0] == "fields") {
      r.field_selectors.insert(r.field_selectors.end(), rest.begin(), rest.end());
    } else if (words[0] == "hash") {
      r.hash = rest[0];
    } else if (words[0] == "stored") {
      r.stored = rest[0];
    } else if (words[0] == "subresource" && rest.size() >= 3) {
      r.subresources.push_back({rest[0], qualified(rest[1]), Words(rest.begin() + 2, rest.end())});
    } else if (words[0] == "column" && rest.size() >= 2) {
      Column c;
      c.name = rest[0];
      std::replace(c.name.begin(), c.name.end(), '_', ' ');
      size_t slash = rest[1].find('/');
      c.type = rest[1].substr(0, slash);
      if (slash != std::string::npos) c.format = rest[1].substr(slash + 1);
      c.priority = rest.size() > 2 && rest[2] == "wide" ? 1 : 0;
      c.doc = doc;
      r.columns.push_back(std::move(c));
    } else {
      fail("unknown line " + words[0]);
    }
  }

  std::string path_;
  Model& model_;
  int number_ = 0;
  std::string package_, group_;
  Block block_ = Block::kNone;
};

void check_ref(const Model& model, const Type& type, const Field& field, const TypeRef& ref) {
  if (ref.form != TypeRef::kNamed) return check_ref(model, type, field, *ref.element);
  if (!is_scalar(ref.name) && !model.find(ref.name))
    throw std::runtime_error(type.full_name() + "." + field.name + ": there is no type " + ref.name);
}

}  // namespace

bool is_scalar(const std::string& word) { return kScalars.count(word) > 0; }

std::string file_stem(const std::string& package) {
  std::string stem = package;
  std::replace(stem.begin(), stem.end(), '/', '_');
  return stem;
}

void parse_file(const std::string& path, Model& model) { Parser(path, model).run(); }

void finish(Model& model) {
  std::sort(model.types.begin(), model.types.end(), [](const Type& a, const Type& b) { return a.full_name() < b.full_name(); });
  for (size_t i = 0; i < model.types.size(); ++i) {
    if (!model.index.emplace(model.types[i].full_name(), i).second)
      throw std::runtime_error(model.types[i].full_name() + " is there twice");
  }
  for (const Type& type : model.types) {
    for (const Field& field : type.fields) check_ref(model, type, field, field.type);
  }
  for (Resource& resource : model.resources) {
    const Type* type = model.find(resource.type);
    if (!type || !type->is_kind) throw std::runtime_error("resource " + resource.plural + ": " + resource.type + " is no kind");
    for (const Subresource& sub : resource.subresources) {
      if (!model.find(sub.type)) throw std::runtime_error("resource " + resource.plural + "/" + sub.name + ": there is no " + sub.type);
    }
    if (resource.singular.empty()) {
      resource.singular = type->name;
      for (char& c : resource.singular) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
  }
  // Discovery's order: the core group first, then by the groups' priorities; within one by name.
  const auto rank = [&](const Type& type) { return type.group.empty() ? std::numeric_limits<int>::min() : -model.priorities[type.group]; };
  std::sort(model.resources.begin(), model.resources.end(), [&](const Resource& a, const Resource& b) {
    const Type *ta = model.find(a.type), *tb = model.find(b.type);
    return std::make_tuple(rank(*ta), ta->group, ta->version, a.plural) < std::make_tuple(rank(*tb), tb->group, tb->version, b.plural);
  });
}

}  // namespace knarr::schemagen
