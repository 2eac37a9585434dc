// A main() for the fuzz targets where libFuzzer is not at hand: runs every file of a directory through the target, then mutations of
// them, in an order that is always the same, until the time is up. What fails is left in a file.
//
//   fuzz_NAME CORPUS-DIRECTORY SECONDS
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

std::string input, finding;

// Called when the process is about to die of an input: nothing is safe any more, and nothing but this file matters.
void keep_input() {
  if (FILE* file = std::fopen(finding.c_str(), "w")) {
    std::fwrite(input.data(), 1, input.size(), file);
    std::fclose(file);
    std::fprintf(stderr, "fuzz: the input that failed is in %s\n", finding.c_str());
  }
}

void on_abort(int) {
  keep_input();
  _Exit(1);
}

void run(std::string text) {
  input = std::move(text);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::string mutate(std::string text, const std::vector<std::string>& seeds, std::mt19937& random) {
  auto below = [&](size_t limit) { return limit ? random() % limit : 0; };
  for (size_t changes = 1 + below(4); changes > 0; --changes) {
    const size_t at = below(text.size() + 1), length = std::min(below(16), text.size() - at);
    switch (below(6)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 1:
        text.insert(at, 1, static_cast<char>(random()));
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(below(text.size() + 1), text.substr(at, length));
        break;
      case 4:
        text.resize(at);
        break;
      default: {  // goes on as another seed does
        const std::string& other = seeds[below(seeds.size())];
        text = text.substr(0, at) + other.substr(below(other.size() + 1));
      }
    }
  }
  if (text.size() > 16384) text.resize(16384);
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s CORPUS-DIRECTORY SECONDS\n", argv[0]);
    return 2;
  }
  finding = std::string(argv[0]) + ".finding";
  std::signal(SIGABRT, on_abort);
  if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(keep_input);
  std::vector<std::filesystem::path> files;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], absent)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> seeds;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    run(seeds.back());
  }
  if (seeds.empty()) seeds.emplace_back();  // a target without seeds begins with nothing
  std::mt19937 random(1);
  size_t runs = seeds.size();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[2]));
  for (; std::chrono::steady_clock::now() < end; ++runs) run(mutate(seeds[random() % seeds.size()], seeds, random));
  std::printf("fuzz: %zu inputs\n", runs);
}
