// The options of the commands: one table, and three ways to say each of them. `--data-dir X` on the command line goes
// before KNARR_DATA_DIR=X in the environment, which goes before `data-dir: X` in the configuration file, which goes
// before the default.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/base/result.h"

namespace knarr::cli {

enum OptionUse : unsigned {
  kUseServer = 1,
  kUseAgent = 2,
  kUseImage = 4,
  kUseStatus = 8,
  kUseUninstall = 16,
  kUseKeys = 32,  // secrets
  kUseKubeconfig = 64,
  kUseCert = 128,
  kUseToken = 256,
  kUseAll = 511
};

struct Option {
  std::string_view name;          // data-dir
  std::string_view value;         // what the value is, for --help; "" for a switch (true or false)
  std::string_view default_text;  // "" none
  unsigned use = 0;               // OptionUse bits
  std::string_view help;
};
std::span<const Option> option_table();

class Options {
 public:
  // `arguments` without the program's and the command's name. Stops reading options at "--". Errors (usage): an unknown
  // option, one that this command does not take, a missing value, a broken or unreadable configuration file, an unknown
  // key in it.
  using Environment = std::function<const char*(const char* name)>;
  static Result<Options> parse(OptionUse use, std::span<const std::string> arguments, const Environment& environment);

  const std::string& text(std::string_view name) const;  // "" when unset
  bool flag(std::string_view name) const;
  Result<int64_t> count(std::string_view name) const;  // 0 or more; an error (usage) for what is none
  bool is_set(std::string_view name) const;  // by anything but the default
  const std::vector<std::string>& positional() const { return positional_; }
  bool help() const { return help_; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
  std::map<std::string, bool, std::less<>> set_;
  std::vector<std::string> positional_;
  bool help_ = false;
};

// The options of a command as --help shows them.
std::string options_help(OptionUse use);

// The parts of a value that is a list separated by commas; empty ones are left out.
std::vector<std::string> split_list(std::string_view text);

// address:port, [v6]:port, :port or port.
struct ListenAddress {
  std::string address;
  int port = 0;
};
Result<ListenAddress> parse_listen(std::string_view text);

}  // namespace knarr::cli
