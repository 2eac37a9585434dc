// knarr_schemagen OUT_DIR FILE.kapi...: makes the tables and structs of the API's types at build time.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "model.h"

namespace {

// Written only when it differs, so that what includes it is not compiled again without need.
void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  if (std::ifstream old(path, std::ios::binary); old) {
    if (std::string(std::istreambuf_iterator<char>(old), {}) == text) return;
  }
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error(path.string() + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace knarr::schemagen;
  if (argc < 3) {
    std::fprintf(stderr, "usage: knarr_schemagen OUT_DIR FILE.kapi...\n");
    return 2;
  }
  try {
    Model model;
    for (int i = 2; i < argc; ++i) parse_file(argv[i], model);
    finish(model);

    std::filesystem::path out = argv[1], headers = out / "include/knarr/schema";
    write(out / "tables.cpp", tables_source(model));
    std::string umbrella = "// Every type of the API. Made by knarr_schemagen.\n#pragma once\n\n";
    for (const std::string& package : model.packages) {
      std::string stem = file_stem(package);
      write(headers / "api" / (stem + ".h"), structs_header(model, package));
      umbrella += "#include \"knarr/schema/api/" + stem + ".h\"\n";
    }
    write(headers / "api.h", umbrella);
    for (const auto& [package, file] : model.files)
      write(out / (file_stem(package) + "_" + file + ".cpp"), structs_source(model, package, file));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "knarr_schemagen: %s\n", error.what());
    return 1;
  }
  return 0;
}
