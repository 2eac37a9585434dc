#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <future>
#include <map>
#include <set>

#include "image/content_store.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/registry.h"
#include "knarr/base/log.h"
#include "knarr/base/sync.h"
#include "knarr/image/image.h"
#include "knarr/linux/tree.h"

namespace knarr::image {

namespace {

constexpr size_t kShortestId = 6;  // of an id's hexadecimal digits, when it is cut

class DiskImageStore : public ImageStore {
 public:
  DiskImageStore(Options options, ContentStore content) : options_(std::move(options)), content_(std::move(content)) {}

  std::optional<Image> find(std::string_view text) override {
    const auto names = content_.names();
    const std::string manifest = resolve(text, names);
    return manifest.empty() ? std::nullopt : describe(manifest, names);
  }

  std::vector<Image> list() override {
    const auto names = content_.names();
    std::set<std::string> manifests;
    for (const auto& record : names) manifests.insert(record.manifest);
    for (const std::string& digest : content_.blobs()) {
      if (!manifests.contains(digest) && is_manifest(digest)) manifests.insert(digest);  // images that lost their names
    }
    std::vector<Image> images;
    for (const std::string& manifest : manifests) {
      if (auto image = describe(manifest, names)) images.push_back(std::move(*image));
    }
    std::sort(images.begin(), images.end(), [](const Image& a, const Image& b) { return a.names < b.names; });
    return images;
  }

  Result<Image> pull(std::string_view text, const PullOptions& options) override {
    KNARR_ASSIGN(const Reference reference, Reference::parse(text));
    const std::string key = reference.to_string();
    std::promise<Result<Image>> promise;
    std::shared_future<Result<Image>> running;
    {
      Lock lock(mutex_);
      if (auto found = pulls_.find(key); found != pulls_.end()) {
        running = found->second;
      } else {
        pulls_.emplace(key, promise.get_future().share());
      }
    }
    if (running.valid()) return running.get();
    Result<Image> result = pull_now(reference, options);
    promise.set_value(result);
    Lock lock(mutex_);
    pulls_.erase(key);
    return result;
  }

  Result<std::vector<Image>> import(const std::string& path, std::optional<std::string> name) override {
    auto images = import_now(path, name);
    if (!images.ok()) return std::move(images).status().with_context(fmt::format("import {}", path));
    return images;
  }

  Status remove(std::string_view text) override {
    const auto names = content_.names();
    const std::string manifest = resolve(text, names);
    if (manifest.empty()) return not_found(fmt::format("there is no image {}", text));
    const auto reference = Reference::parse(text);
    const std::string canonical = reference.ok() ? reference->to_string() : "";
    if (std::any_of(names.begin(), names.end(), [&](const auto& record) { return record.name == canonical; }))
      return content_.remove_name(canonical);
    for (const auto& record : names) {  // by id: under all its names
      if (record.manifest == manifest) KNARR_RETURN_IF_ERROR(content_.remove_name(record.name));
    }
    return {};
  }

  Result<int64_t> collect(const std::vector<std::string>& in_use) override {
    KNARR_ASSIGN(const linux::UniqueFd alone, content_.hold_alone());
    const std::set<std::string> held(in_use.begin(), in_use.end());
    std::set<std::string> named, blobs, layers;
    for (const auto& record : content_.names()) named.insert(record.manifest);
    for (const std::string& digest : content_.blobs()) {
      auto image = describe(digest, {});
      if (!image || (!named.contains(digest) && !held.contains(image->id))) continue;
      blobs.insert({digest, image->id});
      layers.insert(image->layer_directories.begin(), image->layer_directories.end());
    }
    {
      Lock lock(mutex_);
      described_.clear();
    }
    return content_.sweep(
        [&](const std::string& digest) { return blobs.contains(digest); },
        [&](const std::string& diff_id) { return layers.contains(content_.layer_directory(diff_id)); });
  }

 private:
  // The manifest that a reference, a digest or the beginning of an id leads to; "" when none does.
  std::string resolve(std::string_view text, const std::vector<NameRecord>& names) {
    if (auto reference = Reference::parse(text); reference.ok()) {
      const std::string canonical = reference->to_string();
      const std::string by_digest = reference->digest.empty() ? ""
                                                              : fmt::format("{}/{}@{}", reference->registry,
                                                                            reference->repository, reference->digest);
      for (const auto& record : names) {
        if (record.name == canonical || (!by_digest.empty() && record.repo_digest == by_digest)) return record.manifest;
      }
    }
    const std::string_view hex = text.starts_with("sha256:") ? hex_of(text) : text;
    if (hex.size() < kShortestId || hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) return "";
    std::set<std::string> found;
    for (const std::string& digest : content_.blobs()) {
      auto image = describe(digest, {});
      if (image && (hex_of(image->id).starts_with(hex) || hex_of(digest).starts_with(hex))) found.insert(digest);
    }
    return found.size() == 1 ? *found.begin() : "";
  }

  bool is_manifest(const std::string& digest) { return describe(digest, {}).has_value(); }

  // The image behind a manifest; nothing when the blob is no manifest or a part of the image is missing.
  std::optional<Image> describe(const std::string& manifest, const std::vector<NameRecord>& names) {
    std::optional<Image> image;
    {
      Lock lock(mutex_);
      if (auto found = described_.find(manifest); found != described_.end()) image = found->second;
    }
    if (!image) {
      auto loaded = load(manifest);
      if (!loaded.ok()) return {};
      image = std::move(loaded).value();
      Lock lock(mutex_);
      described_.emplace(manifest, *image);
    }
    for (const std::string& layer : image->layer_directories) {
      struct stat info {};
      if (stat(layer.c_str(), &info) == 0) continue;
      log::warn("image", "an image lacks a layer: pull or import it again", {{"manifest", manifest}, {"layer", layer}});
      return {};
    }
    for (const auto& record : names) {
      if (record.manifest != manifest) continue;
      image->names.push_back(record.name);
      if (!record.repo_digest.empty()) image->repo_digests.push_back(record.repo_digest);
    }
    std::sort(image->names.begin(), image->names.end());
    std::sort(image->repo_digests.begin(), image->repo_digests.end());
    image->repo_digests.erase(std::unique(image->repo_digests.begin(), image->repo_digests.end()),
                              image->repo_digests.end());
    return image;
  }

  Result<Image> load(const std::string& digest) {
    KNARR_ASSIGN(const std::string text, content_.read_blob(digest));
    KNARR_ASSIGN(const Document document, parse_document(text));
    if (!document.manifest) return bad_request("an index, not a manifest");
    KNARR_ASSIGN(const std::string config_text, content_.read_blob(document.manifest->config.digest));
    KNARR_ASSIGN(Config config, parse_config(config_text));
    Image image;
    image.id = document.manifest->config.digest;
    image.digest = digest;
    image.config = std::move(config.config);
    image.size_bytes = document.manifest->config.size;
    for (const auto& layer : document.manifest->layers) image.size_bytes += layer.size;
    for (const auto& diff_id : config.diff_ids) image.layer_directories.push_back(content_.layer_directory(diff_id));
    return image;
  }

  Result<Image> name_it(const std::string& manifest, const std::vector<NameRecord>& records) {
    for (const auto& record : records) KNARR_RETURN_IF_ERROR(content_.put_name(record));
    auto image = describe(manifest, content_.names());
    if (!image)
      return internal_error(fmt::format("the image {} is not complete although everything was stored", manifest));
    return *image;
  }

  Result<Image> pull_now(const Reference& reference, const PullOptions& options) {
    KNARR_ASSIGN(const linux::UniqueFd held, content_.hold());
    KNARR_ASSIGN(const PulledImage pulled,
                 pull_image(reference, Platform::host(), options, options_.insecure_registries, content_));
    const std::string repo_digest = fmt::format("{}/{}@{}", reference.registry, reference.repository, pulled.digest);
    return name_it(pulled.manifest, {{reference.to_string(), pulled.manifest, repo_digest}});
  }

  Result<std::vector<Image>> import_now(const std::string& path, const std::optional<std::string>& name) {
    KNARR_ASSIGN(const linux::UniqueFd held, content_.hold());
    std::vector<ImportedImage> imported;
    linux::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (!file || fstat(file.get(), &info) != 0) return errno_status(errno, fmt::format("open {}", path));
    if (S_ISDIR(info.st_mode)) {
      KNARR_ASSIGN(imported, import_layout(path, Platform::host(), content_));
    } else {
      KNARR_ASSIGN(const std::string temporary, content_.make_temporary_directory());
      auto result = import_archive(std::move(file), path, temporary);
      (void)linux::remove_tree(temporary);
      KNARR_ASSIGN(imported, std::move(result));
    }
    if (name) {
      if (imported.size() != 1)
        return bad_request(fmt::format("it holds {} images: one name does not fit them", imported.size()));
      imported.front().names = {*name};
    }
    std::vector<Image> images;
    for (const auto& one : imported) {
      if (one.names.empty()) return bad_request("it holds an image without a name: say under which name to import it");
      std::vector<NameRecord> records;
      for (const std::string& said : one.names) {
        KNARR_ASSIGN(const Reference reference, Reference::parse(said));
        records.push_back({reference.to_string(), one.manifest, ""});
      }
      KNARR_ASSIGN(Image image, name_it(one.manifest, records));
      images.push_back(std::move(image));
    }
    return images;
  }

  Result<std::vector<ImportedImage>> import_archive(linux::UniqueFd file, const std::string& path,
                                                    const std::string& temporary) {
    FileSource source(std::move(file), path);
    KNARR_ASSIGN(const auto plain, decompress(source));
    KNARR_RETURN_IF_ERROR(unpack_tar(*plain, temporary, {.layer = false}).status());
    return import_layout(temporary, Platform::host(), content_);
  }

  const Options options_;
  ContentStore content_;

  Mutex mutex_;
  std::map<std::string, Image> described_ KNARR_GUARDED_BY(mutex_);  // by manifest, without names: what never changes
  std::map<std::string, std::shared_future<Result<Image>>> pulls_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<ImageStore>> ImageStore::open(Options options) {
  KNARR_ASSIGN(ContentStore content, ContentStore::open(options.directory));
  return std::unique_ptr<ImageStore>(std::make_unique<DiskImageStore>(std::move(options), std::move(content)));
}

}  // namespace knarr::image
