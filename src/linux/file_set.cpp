#include "knarr/linux/file_set.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <vector>

#include "knarr/linux/tree.h"

namespace knarr::linux {

namespace {

std::string journal_of(const std::string& directory) { return directory + "/.changes"; }

// "NAME MODE SIZE\n" and the content; SIZE is "-" for what goes.
std::string written_down(std::span<const FileChange> changes) {
  std::string text;
  for (const FileChange& change : changes) {
    text += fmt::format("{} {:o} {}\n", change.name, change.mode,
                        change.content ? fmt::to_string(change.content->size()) : "-");
    if (change.content) text += *change.content;
  }
  return text;
}

template <typename T>
bool read_number(std::string_view text, int base, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<std::vector<FileChange>> read_back(std::string_view text) {
  std::vector<FileChange> changes;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const size_t first = line.find(' '), second = line.rfind(' ');
    if (line.size() == text.size() || first == line.npos || first == second) return {};
    FileChange& change = changes.emplace_back();
    change.name = line.substr(0, first);
    if (change.name.empty() || change.name.find('/') != change.name.npos) return {};
    if (!read_number(line.substr(first + 1, second - first - 1), 8, change.mode)) return {};
    text.remove_prefix(line.size() + 1);
    if (line.substr(second + 1) == "-") continue;
    size_t size = 0;
    if (!read_number(line.substr(second + 1), 10, size) || size > text.size()) return {};
    change.content = text.substr(0, size);
    text.remove_prefix(size);
  }
  return changes;
}

Status remove_file(const std::string& path) {
  return unlink(path.c_str()) == 0 || errno == ENOENT ? Status() : errno_status(errno, "remove " + path);
}

Status carry_out(const std::string& directory, std::span<const FileChange> changes) {
  for (const FileChange& change : changes) {
    const std::string path = fmt::format("{}/{}", directory, change.name);
    KNARR_RETURN_IF_ERROR(change.content ? replace_file(path, *change.content, change.mode) : remove_file(path));
  }
  KNARR_RETURN_IF_ERROR(remove_file(journal_of(directory)));
  return sync_directory(directory);
}

}  // namespace

Status replace_files(const std::string& directory, std::span<const FileChange> changes) {
  KNARR_RETURN_IF_ERROR(replace_file(journal_of(directory), written_down(changes), 0600));
  return carry_out(directory, changes);
}

Status finish_replacing(const std::string& directory) {
  const std::string path = journal_of(directory);
  const auto text = read_file(path);
  if (!text.ok()) return text.status().is(reason::kNotFound) ? Status() : text.status();
  const auto changes = read_back(*text);
  if (!changes) {
    return internal_error(fmt::format(
        "{}: this is not what knarr writes down before it changes several files; restore it from a backup or remove it",
        path));
  }
  return carry_out(directory, *changes);
}

}  // namespace knarr::linux
