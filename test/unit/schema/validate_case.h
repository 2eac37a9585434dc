// Cases of validation: an object, what it was before, and what upstream 1.36 answers.
#pragma once

#include <string>
#include <vector>

namespace knarr::schema::test {

struct Case {
  const char* title;
  const char* object;
  const char* old;  // "" on create
  std::vector<std::string> expected;  // "field: message", the first line of it
};

void check(const Case& c);

}  // namespace knarr::schema::test
