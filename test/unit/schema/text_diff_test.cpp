#include "schema/text_diff.h"

#include <catch2/catch.hpp>

using knarr::schema::text_diff;

TEST_CASE("text_diff shows what changed with three lines around") {
  CHECK(text_diff("a\nb", "a\nb").empty());
  CHECK(text_diff("a\nb\nc", "a\nx\nc") == "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
  CHECK(text_diff("a", "b") == "@@ -1 +1 @@\n-a\n+b\n");
  CHECK(text_diff("1\n2\n3\n4\n5", "1\n2\n3\n4\n5\n6") == "@@ -3,3 +3,4 @@\n 3\n 4\n 5\n+6\n");
}

TEST_CASE("text_diff joins changes with up to six lines between them") {
  const std::string before = "a\n1\n2\n3\n4\n5\n6\nb";
  CHECK(text_diff(before, "x\n1\n2\n3\n4\n5\n6\ny") == "@@ -1,8 +1,8 @@\n-a\n+x\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+y\n");
  const std::string apart = "a\n1\n2\n3\n4\n5\n6\n7\nb";
  CHECK(text_diff(apart, "x\n1\n2\n3\n4\n5\n6\n7\ny") ==
        "@@ -1,4 +1,4 @@\n-a\n+x\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+y\n");
}
