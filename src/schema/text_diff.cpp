#include "schema/text_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace knarr::schema {

namespace {

constexpr size_t kContext = 3;

struct Line {
  char mark;  // ' ', '-' or '+'
  std::string_view text;
  size_t before, after;  // how many lines of either text came earlier
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// Along a longest common subsequence; what is removed stands before what is added.
std::vector<Line> script(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  std::vector<std::vector<size_t>> common(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) common[i][j] = a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
  }
  std::vector<Line> out;
  for (size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      out.push_back({' ', a[i], i, j});
      ++i, ++j;
    } else if (i < a.size() && (j == b.size() || common[i + 1][j] >= common[i][j + 1])) {
      out.push_back({'-', a[i], i, j});
      ++i;
    } else {
      out.push_back({'+', b[j], i, j});
      ++j;
    }
  }
  return out;
}

std::string range(size_t start, size_t count) {
  if (count == 1) return std::to_string(start + 1);
  return fmt::format("{},{}", count == 0 ? start : start + 1, count);
}

}  // namespace

std::string text_diff(std::string_view before, std::string_view after) {
  const std::vector<Line> lines = script(lines_of(before), lines_of(after));
  std::string out;
  for (size_t at = 0; at < lines.size();) {
    if (lines[at].mark == ' ') {
      ++at;
      continue;
    }
    const size_t first = at - std::min(at, kContext);
    size_t end = at;  // behind the last change of this part
    for (size_t i = at; i < lines.size() && i <= end + 2 * kContext; ++i) {
      if (lines[i].mark != ' ') end = i + 1;
    }
    const size_t last = std::min(end + kContext, lines.size());
    const auto part = std::pair(lines.begin() + static_cast<long>(first), lines.begin() + static_cast<long>(last));
    const auto count = [&](char other) { return static_cast<size_t>(std::count_if(part.first, part.second, [&](const Line& l) { return l.mark != other; })); };
    out += fmt::format("@@ -{} +{} @@\n", range(lines[first].before, count('+')), range(lines[first].after, count('-')));
    for (auto line = part.first; line != part.second; ++line) out.append(1, line->mark).append(line->text).append("\n");
    at = last;
  }
  return out;
}

}  // namespace knarr::schema
