#include "image/layout.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "knarr/codec/json.h"
#include "knarr/linux/tree.h"

namespace knarr::image {

namespace {

constexpr std::string_view kContainerdName = "io.containerd.image.name", kRefName = "org.opencontainers.image.ref.name";

class Layout {
 public:
  Layout(linux::UniqueFd root, const Platform& host, ContentStore& store)
      : root_(std::move(root)), host_(host), store_(store) {}

  Result<std::vector<ImportedImage>> import() {
    const bool oci = exists("index.json"), docker = exists("manifest.json");
    if (!oci && !docker) {
      return bad_request("neither an OCI layout (index.json) nor a docker archive (manifest.json)");
    }
    if (!oci) return import_docker();
    KNARR_ASSIGN(const std::string text, read("index.json"));
    auto document = parse_document(text);
    if (!document.ok() || !document->index) {
      return document.ok() ? bad_request("index.json is no index of images")
                           : std::move(document).status().with_context("index.json");
    }
    // One name may stand at several manifests, one for each platform.
    std::map<std::string, std::vector<Descriptor>> by_name;
    for (const auto& descriptor : *document->index) by_name[name_of(descriptor)].push_back(descriptor);
    // docker save writes both; its old form knows names that its index only has tags for.
    if (docker && by_name.size() == 1 && by_name.contains("")) return import_docker();
    std::vector<ImportedImage> images;
    for (const auto& [name, descriptors] : by_name) {
      auto image = import_oci(descriptors);
      if (!image.ok()) return std::move(image).status().with_context(name.empty() ? "image without a name" : name);
      if (!name.empty()) image->names.push_back(name);
      images.push_back(std::move(image).value());
    }
    return images;
  }

 private:
  bool exists(const std::string& path) const { return linux::open_in_root(root_.get(), path, O_PATH).ok(); }

  Result<linux::UniqueFd> open_file(const std::string& path, int64_t* size = nullptr) const {
    KNARR_ASSIGN(linux::UniqueFd fd, linux::open_in_root(root_.get(), path, O_RDONLY | O_NONBLOCK));
    struct stat info {};
    if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return bad_request(fmt::format("{} is no file", path));
    if (size != nullptr) *size = info.st_size;
    return fd;
  }

  Result<std::string> read(const std::string& path) const {
    KNARR_ASSIGN(linux::UniqueFd fd, open_file(path));
    return linux::read_file(linux::fd_path(fd.get()), kMaxDocument);
  }

  Result<std::string> read_blob(const Descriptor& descriptor) const {
    KNARR_ASSIGN(std::string content, read(blob_path(descriptor.digest)));
    if (digest_of(content) == descriptor.digest) return content;
    return bad_request(
        fmt::format("blob {} is damaged: its content has the digest {}", descriptor.digest, digest_of(content)));
  }

  static std::string blob_path(const std::string& digest) { return fmt::format("blobs/sha256/{}", hex_of(digest)); }

  // A tag alone ("latest"), which the specification allows, says nothing about the repository.
  static std::string name_of(const Descriptor& descriptor) {
    if (auto found = descriptor.annotations.find(std::string(kContainerdName)); found != descriptor.annotations.end())
      return found->second;
    auto found = descriptor.annotations.find(std::string(kRefName));
    if (found == descriptor.annotations.end() || found->second.find_first_of("/:") == std::string::npos) return "";
    return found->second;
  }

  Result<ImportedImage> import_oci(const std::vector<Descriptor>& candidates) {
    KNARR_ASSIGN(Descriptor chosen, choose(candidates, host_));
    KNARR_ASSIGN(std::string text, read_blob(chosen));
    KNARR_ASSIGN(Document document, parse_document(text));
    if (document.index) {
      KNARR_ASSIGN(chosen, choose(*document.index, host_));
      KNARR_ASSIGN(text, read_blob(chosen));
      KNARR_ASSIGN(document, parse_document(text));
      if (!document.manifest) return bad_request("an index of images that points to another index");
    }
    const Manifest& manifest = *document.manifest;
    KNARR_ASSIGN(const std::string config_text, read_blob(manifest.config));
    KNARR_ASSIGN(const Config config, parse_config(config_text));
    if (config.diff_ids.size() != manifest.layers.size()) {
      return bad_request(
          fmt::format("the manifest has {} layers, the config {}", manifest.layers.size(), config.diff_ids.size()));
    }
    for (size_t i = 0; i < manifest.layers.size(); ++i) {
      KNARR_RETURN_IF_ERROR(
          add_layer(blob_path(manifest.layers[i].digest), manifest.layers[i].digest, config.diff_ids[i]));
    }
    KNARR_RETURN_IF_ERROR(store_.write_blob(manifest.config.digest, config_text));
    KNARR_RETURN_IF_ERROR(store_.write_blob(chosen.digest, text));
    return ImportedImage{{}, chosen.digest};
  }

  Status add_layer(const std::string& path, const std::string& digest, const std::string& diff_id) {
    if (store_.has_layer(diff_id)) return {};
    KNARR_ASSIGN(linux::UniqueFd fd, open_file(path));
    FileSource source(std::move(fd), path);
    return store_.add_layer(source, digest, diff_id);
  }

  Result<std::vector<ImportedImage>> import_docker() {
    KNARR_ASSIGN(const std::string text, read("manifest.json"));
    auto parsed = json::parse(text);
    if (!parsed.ok()) return std::move(parsed).status().with_context("manifest.json");
    if (!parsed->IsArray()) return bad_request("manifest.json: want a list of images, as `docker save` writes it");
    std::vector<ImportedImage> images;
    for (const auto& item : parsed->GetArray()) {
      auto image = import_docker_image(item);
      if (!image.ok())
        return std::move(image).status().with_context(fmt::format("image {} of manifest.json", images.size() + 1));
      images.push_back(std::move(image).value());
    }
    return images;
  }

  Result<ImportedImage> import_docker_image(const json::Value& item) {
    const std::string config_path(json::get_string(item, "Config"));
    const auto* layers = json::find(item, "Layers");
    if (config_path.empty() || layers == nullptr || !layers->IsArray())
      return bad_request("it names no config or no layers");
    KNARR_ASSIGN(const std::string config_text, read(config_path));
    KNARR_ASSIGN(const Config config, parse_config(config_text));
    if (config.diff_ids.size() != layers->Size()) {
      return bad_request(
          fmt::format("manifest.json has {} layers, the config {}", layers->Size(), config.diff_ids.size()));
    }
    std::vector<Descriptor> descriptors;
    for (size_t i = 0; i < config.diff_ids.size(); ++i) {
      const auto& path = (*layers)[static_cast<rapidjson::SizeType>(i)];
      if (!path.IsString()) return bad_request("a layer is no path");
      int64_t size = 0;
      KNARR_RETURN_IF_ERROR(open_file(std::string(json::view(path)), &size).status());
      KNARR_RETURN_IF_ERROR(add_layer(std::string(json::view(path)), "", config.diff_ids[i]));
      descriptors.push_back({.media_type = std::string(kOciLayer), .digest = config.diff_ids[i], .size = size});
    }
    const Descriptor config_descriptor{.media_type = std::string(kOciConfig),
                                       .digest = digest_of(config_text),
                                       .size = static_cast<int64_t>(config_text.size())};
    const std::string manifest = write_manifest(config_descriptor, descriptors);
    ImportedImage image{{}, digest_of(manifest)};
    KNARR_RETURN_IF_ERROR(store_.write_blob(config_descriptor.digest, config_text));
    KNARR_RETURN_IF_ERROR(store_.write_blob(image.manifest, manifest));
    if (const auto* tags = json::find(item, "RepoTags"); tags != nullptr && tags->IsArray()) {
      for (const auto& tag : tags->GetArray()) {
        if (tag.IsString()) image.names.emplace_back(json::view(tag));
      }
    }
    return image;
  }

  const linux::UniqueFd root_;
  const Platform& host_;
  ContentStore& store_;
};

}  // namespace

Result<std::vector<ImportedImage>> import_layout(const std::string& directory, const Platform& host,
                                                 ContentStore& store) {
  linux::UniqueFd root(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_status(errno, fmt::format("open {}", directory));
  return Layout(std::move(root), host, store).import();
}

}  // namespace knarr::image
