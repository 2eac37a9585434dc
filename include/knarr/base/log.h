// Structured logging to standard error, one line a record, as text or as JSON.
//
//   log::info("agent", "pod started", {{"pod", key}, {"ms", elapsed}});
//
// text: 2026-11-21T12:00:00.123Z INFO agent: pod started pod=default/web ms=12
// Thread-safe. Secrets never go in here: log names, never values.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "knarr/base/result.h"

namespace knarr::log {

enum class Level { kDebug, kInfo, kWarn, kError };
enum class Format { kText, kJson };

struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const Status& s) : key(k), value(s.to_string()) {}
  template <typename T>
  Field(std::string_view k, const T& v) : key(k), value(fmt::to_string(v)) {}
};

// Set once at start, from the options; the defaults are info and text.
void configure(Level level, Format format);
bool enabled(Level level);
Result<Level> parse_level(std::string_view text);    // debug|info|warn|error
Result<Format> parse_format(std::string_view text);  // text|json

void write(Level level, std::string_view component, std::string_view message, std::initializer_list<Field> fields);

inline void debug(std::string_view c, std::string_view m, std::initializer_list<Field> f = {}) {
  if (enabled(Level::kDebug)) write(Level::kDebug, c, m, f);
}
inline void info(std::string_view c, std::string_view m, std::initializer_list<Field> f = {}) {
  if (enabled(Level::kInfo)) write(Level::kInfo, c, m, f);
}
inline void warn(std::string_view c, std::string_view m, std::initializer_list<Field> f = {}) { write(Level::kWarn, c, m, f); }
inline void error(std::string_view c, std::string_view m, std::initializer_list<Field> f = {}) { write(Level::kError, c, m, f); }

}  // namespace knarr::log
