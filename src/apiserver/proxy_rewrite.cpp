#include "proxy_rewrite.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>
#include <vector>

namespace knarr::apiserver {

namespace {

// Elements and those of their attributes that hold a URL.
constexpr std::array<std::pair<std::string_view, std::string_view>, 35> kLinks = {{
    {"a", "href"},          {"applet", "codebase"},   {"area", "href"},       {"audio", "src"},        {"base", "href"},
    {"blockquote", "cite"}, {"body", "background"},   {"button", "formaction"}, {"command", "icon"},   {"del", "cite"},
    {"embed", "src"},       {"form", "action"},       {"frame", "longdesc"},  {"frame", "src"},        {"head", "profile"},
    {"html", "manifest"},   {"iframe", "longdesc"},   {"iframe", "src"},      {"img", "longdesc"},     {"img", "src"},
    {"img", "usemap"},      {"input", "src"},         {"input", "usemap"},    {"input", "formaction"}, {"ins", "cite"},
    {"link", "href"},       {"object", "classid"},    {"object", "codebase"}, {"object", "data"},      {"object", "usemap"},
    {"q", "cite"},          {"script", "src"},        {"source", "src"},      {"video", "poster"},     {"video", "src"},
}};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

bool holds_link(std::string_view element, std::string_view attribute) {
  return std::find(kLinks.begin(), kLinks.end(), std::pair(element, attribute)) != kLinks.end();
}

// One pass over a page, tag by tag.
class Rewriter {
 public:
  Rewriter(std::string_view page, const ProxyPlace& place) : page_(page), place_(place) {}

  std::string run() {
    out_.reserve(page_.size() + 256);
    while (at_ < page_.size()) {
      const size_t open = page_.find('<', at_);
      copy_to(open);
      if (open == std::string_view::npos) break;
      if (page_.compare(at_, 4, "<!--") == 0) {
        const size_t end = page_.find("-->", at_ + 4);
        copy_to(end == std::string_view::npos ? end : end + 3);
      } else if (at_ + 1 < page_.size() && std::isalpha(static_cast<unsigned char>(page_[at_ + 1]))) {
        tag();
      } else {
        copy_to(at_ + 1);
      }
    }
    return std::move(out_);
  }

 private:
  const std::string_view page_;
  const ProxyPlace& place_;
  std::string out_;
  size_t at_ = 0;

  void copy_to(size_t end) {
    end = std::min(end, page_.size());
    if (end > at_) out_ += page_.substr(at_, end - at_);
    at_ = std::max(at_, end);
  }
  size_t skip_while(size_t from, bool (*in)(char)) const {
    while (from < page_.size() && in(page_[from])) ++from;
    return from;
  }

  // <name attribute=value ...>; what stands in a script or style is no markup.
  void tag() {
    const size_t name_end =
        skip_while(at_ + 1, [](char c) { return !is_space(c) && c != '>' && c != '/'; });
    const std::string element = lower(page_.substr(at_ + 1, name_end - at_ - 1));
    copy_to(name_end);
    while (at_ < page_.size() && page_[at_] != '>') attribute(element);
    copy_to(at_ + 1);
    if (element != "script" && element != "style") return;
    for (size_t end = page_.find("</", at_); end != std::string_view::npos; end = page_.find("</", end + 2)) {
      if (lower(page_.substr(end + 2, element.size())) != element) continue;
      return copy_to(end);
    }
    copy_to(page_.size());
  }

  void attribute(const std::string& element) {
    const size_t begin = skip_while(at_, [](char c) { return is_space(c) || c == '/'; });
    copy_to(begin);
    const size_t name_end =
        skip_while(begin, [](char c) { return !is_space(c) && c != '=' && c != '>' && c != '/'; });
    const std::string name = lower(page_.substr(begin, name_end - begin));
    if (name_end == begin) return copy_to(begin < page_.size() && page_[begin] != '>' ? begin + 1 : begin);
    const size_t equals = skip_while(name_end, is_space);
    if (equals >= page_.size() || page_[equals] != '=') return copy_to(name_end);
    const size_t value = skip_while(equals + 1, is_space);
    copy_to(value);
    if (value >= page_.size()) return;
    const char quote = page_[value] == '"' || page_[value] == '\'' ? page_[value] : '\0';
    const size_t from = quote ? value + 1 : value;
    const size_t end = quote ? std::min(page_.find(quote, from), page_.size())
                             : skip_while(from, [](char c) { return !is_space(c) && c != '>'; });
    copy_to(from);
    if (!holds_link(element, name)) return copy_to(quote ? end + 1 : end);
    out_ += rewrite_url(page_.substr(from, end - from), place_);
    at_ = end;
    if (quote) copy_to(end + 1);
  }
};

// Without "." and ".." and doubled slashes, as Go's path.Join.
std::string cleaned(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  std::string out;
  for (const std::string_view part : parts) out.append("/").append(part);
  return out.empty() ? "/" : out;
}

}  // namespace

std::string join_paths(std::string_view a, std::string_view b) {
  std::string out = cleaned(std::string(a) + "/" + std::string(b));
  if (b.ends_with('/') && !out.ends_with('/')) out += '/';
  return out;
}

std::string rewrite_url(std::string_view url, const ProxyPlace& place) {
  std::string_view rest = url, host;
  if (const size_t colon = rest.find("://"); colon != std::string_view::npos && rest.find_first_of("/?#") > colon) {
    rest.remove_prefix(colon + 1);
  } else if (const size_t scheme = rest.find(':'); scheme != std::string_view::npos && rest.find_first_of("/?#") > scheme) {
    return std::string(url);  // mailto: and the like
  }
  if (rest.starts_with("//")) {
    const size_t end = rest.find_first_of("/?#", 2);
    host = rest.substr(2, end == std::string_view::npos ? end : end - 2);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  }
  if (!host.empty() && host != place.target_host && host != place.client_host) return std::string(url);
  const size_t path_end = std::min(rest.find_first_of("?#"), rest.size());
  const std::string_view path = rest.substr(0, path_end), tail = rest.substr(path_end);
  if (!path.starts_with('/')) return std::string(url);
  if (path.starts_with(place.prefix)) return host == place.client_host ? std::string(url) : std::string(rest);
  std::string out = host == place.client_host && !host.empty() ? std::string(url.substr(0, url.size() - rest.size())) : "";
  return out.append(join_paths(place.prefix, path)).append(tail);
}

std::string rewrite_html(std::string_view page, const ProxyPlace& place) { return Rewriter(page, place).run(); }

}  // namespace knarr::apiserver
