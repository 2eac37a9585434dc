#include "knarr/base/log.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <atomic>

#include "knarr/base/clock.h"

namespace knarr::log {

namespace {

std::atomic<Level> g_level{Level::kInfo};
std::atomic<Format> g_format{Format::kText};

constexpr std::string_view kNames[] = {"DEBUG", "INFO", "WARN", "ERROR"};

std::string timestamp() {
  auto now = Clock::system().wall();
  auto whole = std::chrono::floor<seconds>(now);
  auto millis = std::chrono::duration_cast<milliseconds>(now - whole).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(whole)), millis);
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
}

// A text value is quoted only where it would be read wrongly without.
void append_text_value(std::string& out, std::string_view text) {
  bool plain = !text.empty() && text.find_first_of(" \t\r\n\"=") == std::string_view::npos;
  if (plain) {
    out += text;
  } else {
    append_json_string(out, text);
  }
}

}  // namespace

void configure(Level level, Format format) {
  g_level = level;
  g_format = format;
}

bool enabled(Level level) { return level >= g_level.load(std::memory_order_relaxed); }

Result<Level> parse_level(std::string_view text) {
  if (text == "debug") return Level::kDebug;
  if (text == "info") return Level::kInfo;
  if (text == "warn") return Level::kWarn;
  if (text == "error") return Level::kError;
  return bad_request(fmt::format("log level \"{}\": want debug, info, warn or error", text));
}

Result<Format> parse_format(std::string_view text) {
  if (text == "text") return Format::kText;
  if (text == "json") return Format::kJson;
  return bad_request(fmt::format("log format \"{}\": want text or json", text));
}

void write(Level level, std::string_view component, std::string_view message, std::initializer_list<Field> fields) {
  if (!enabled(level)) return;
  std::string line;
  line.reserve(160);
  auto name = kNames[static_cast<int>(level)];
  if (g_format.load(std::memory_order_relaxed) == Format::kJson) {
    line += fmt::format(R"({{"ts":"{}","level":"{}","component":"{}","msg":)", timestamp(), name, component);
    append_json_string(line, message);
    for (const auto& field : fields) {
      line += ',';
      append_json_string(line, field.key);
      line += ':';
      append_json_string(line, field.value);
    }
    line += "}\n";
  } else {
    line += fmt::format("{} {} {}: {}", timestamp(), name, component, message);
    for (const auto& field : fields) {
      line += ' ';
      line += field.key;
      line += '=';
      append_text_value(line, field.value);
    }
    line += '\n';
  }
  // One write(2) a line: lines of several threads and processes do not mix. A log that cannot be written is no reason to stop.
  [[maybe_unused]] auto n = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace knarr::log
