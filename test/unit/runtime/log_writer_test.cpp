#include "runtime/log_writer.h"

#include <catch2/catch.hpp>

using namespace knarr::runtime;

TEST_CASE("log times have nine digits of fraction") {
  CHECK(format_log_time(0) == "1970-01-01T00:00:00.000000000Z");
  CHECK(format_log_time(1795262400'000000042) == "2026-11-21T12:00:00.000000042Z");
}

TEST_CASE("bytes become records, whatever pieces they come in") {
  const std::string start = "1970-01-01T00:00:00.000000000Z stdout ";
  struct Case {
    std::vector<std::string> pieces;
    std::string records, partial;
  };
  const std::string full(kMaxLogLine, 'a');
  for (const Case& c : std::vector<Case>{{{"a\nb\n"}, "F a\nF b\n", ""},
                                         {{"a", "b", "\n"}, "F ab\n", ""},
                                         {{"\n\n"}, "F \nF \n", ""},
                                         {{"rest"}, "", "rest"},
                                         {{full + "\n"}, "F " + full + "\n", ""},
                                         {{full + "b\n"}, "P " + full + "\nF b\n", ""},
                                         {{full, "b", "c\n"}, "P " + full + "\nF bc\n", ""},
                                         {{full + full + "c"}, "P " + full + "\nP " + full + "\n", "c"}}) {
    std::string out, partial, expected;
    for (const std::string& piece : c.pieces) append_log_records(out, partial, Stream::kStdout, piece, 0);
    for (size_t at = 0; at < c.records.size();) {
      const size_t end = c.records.find('\n', at) + 1;
      expected += start + c.records.substr(at, end - at);
      at = end;
    }
    CHECK((out == expected));
    CHECK(partial == c.partial);
  }
}
