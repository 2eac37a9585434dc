// `knarr image`: works on the content store in the data directory, beside a running agent.
#include "knarr/image/image.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/instance.h"

namespace knarr::cli {

namespace {

std::string human_size(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  double size = static_cast<double>(bytes);
  size_t unit = 0;
  while (size >= 1000 && unit + 1 < std::size(kUnits)) {
    size /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", size, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string short_id(std::string_view id) {
  if (id.starts_with("sha256:")) id.remove_prefix(7);
  return std::string(id.substr(0, 12));
}

void print_image(const image::Image& image) {
  for (const auto& name : image.names)
    fmt::print("{:<50} {:<13} {}\n", name, short_id(image.id), human_size(image.size_bytes));
  if (image.names.empty()) fmt::print("{:<50} {:<13} {}\n", "<none>", short_id(image.id), human_size(image.size_bytes));
}

}  // namespace

int run_image(const Options& options) {
  const auto& words = options.positional();
  if (words.empty()) return fail_usage("image", "what to do? import, ls, rm or pull");
  const std::string& verb = words[0];
  if (verb != "ls" && words.size() < 2) return fail_usage("image", fmt::format("{} needs a name or a file", verb));

  if (access(options.text("data-dir").c_str(), F_OK) != 0 && (verb == "ls" || verb == "rm")) {
    return fail("image", not_found(fmt::format("there is no data directory {} (--data-dir chooses another)",
                                               options.text("data-dir"))));
  }
  auto instance = Instance::open(options);
  if (!instance.ok()) return fail("image", instance.status());
  auto store = image::ImageStore::open(
      {.directory = instance->images(), .insecure_registries = split_list(options.text("insecure-registry"))});
  if (!store.ok()) return fail("image", store.status());

  if (verb == "ls") {
    fmt::print("{:<50} {:<13} {}\n", "NAME", "ID", "SIZE");
    for (const auto& image : (*store)->list()) print_image(image);
    return 0;
  }
  int code = 0;
  for (size_t i = 1; i < words.size(); ++i) {
    Status status;
    if (verb == "import") {
      auto images = (*store)->import(words[i]);
      status = images.status();
      if (images.ok()) {
        for (const auto& image : *images) print_image(image);
      }
    } else if (verb == "rm") {
      status = (*store)->remove(words[i]);
    } else if (verb == "pull") {
      auto image = (*store)->pull(words[i], {});
      status = image.status();
      if (image.ok()) print_image(*image);
    } else {
      return fail_usage("image", fmt::format("there is no \"image {}\"; want import, ls, rm or pull", verb));
    }
    if (!status.ok()) code = fail("image", status);
  }
  return code;
}

}  // namespace knarr::cli
