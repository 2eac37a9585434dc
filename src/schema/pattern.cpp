#include "schema/pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

namespace knarr::schema {

namespace {

constexpr int64_t kMaxMemory = 1 << 20;  // of one pattern's automata

re2::RE2::Options options() {
  re2::RE2::Options out;
  out.set_log_errors(false);
  out.set_max_mem(kMaxMemory);
  return out;
}

std::string_view words_of(re2::RE2::ErrorCode code) {
  using re2::RE2;
  switch (code) {
    case RE2::ErrorBadEscape:
      return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
      return "invalid character class";
    case RE2::ErrorBadCharRange:
      return "invalid character class range";
    case RE2::ErrorMissingBracket:
      return "missing closing ]";
    case RE2::ErrorMissingParen:
      return "missing closing )";
    case RE2::ErrorUnexpectedParen:
      return "unexpected )";
    case RE2::ErrorTrailingBackslash:
      return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
      return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
      return "invalid repeat count";
    case RE2::ErrorRepeatOp:
      return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
      return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
      return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
      return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
      return "expression too large";
    default:
      return "regexp/syntax: internal error";
  }
}

}  // namespace

struct Pattern::Compiled {
  re2::RE2 expression;
  explicit Compiled(const std::string& text) : expression(text, options()) {}
};

Pattern::Pattern(std::string text) : text_(std::move(text)) {}
Pattern::~Pattern() = default;

bool Pattern::found_in(std::string_view text) const {
  std::call_once(once_, [this] { compiled_ = std::make_unique<Compiled>(text_); });
  return compiled_->expression.ok() &&
         re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), compiled_->expression);
}

std::string Pattern::problem(const std::string& pattern) {
  const Compiled compiled(pattern);
  const re2::RE2& e = compiled.expression;
  if (e.ok()) return "";
  return fmt::format("error parsing regexp: {}: `{}`", words_of(e.error_code()), e.error_arg());
}

}  // namespace knarr::schema
