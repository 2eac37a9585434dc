#include "image/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "image/registry_client.h"
#include "knarr/base/log.h"

namespace knarr::image {

namespace {

constexpr int kAttempts = 5;  // of one blob; each continues where the last one broke off
constexpr size_t kParallelLayers = 3;
constexpr int64_t kProgressStep = 1 << 20;
constexpr std::string_view kAcceptManifests =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

class Pull {
 public:
  Pull(const Reference& reference, const Platform& host, const PullOptions& options, RegistryClient& registry,
       ContentStore& store)
      : reference_(reference), host_(host), options_(options), registry_(registry), store_(store) {}

  Result<PulledImage> run() {
    PulledImage pulled;
    KNARR_ASSIGN(std::string text, fetch_manifest(reference_.digest.empty() ? reference_.tag : reference_.digest));
    pulled.digest = pulled.manifest = digest_of(text);
    KNARR_ASSIGN(Document document, parse_document(text));
    if (document.index) {
      KNARR_ASSIGN(const Descriptor chosen, choose(*document.index, host_));
      pulled.manifest = chosen.digest;
      KNARR_ASSIGN(text, fetch_manifest(chosen.digest));
      KNARR_ASSIGN(document, parse_document(text));
      if (!document.manifest) return bad_request("an index of images that points to another index");
    }
    const Manifest& manifest = *document.manifest;
    KNARR_ASSIGN(const std::string config_text, fetch_document(manifest.config));
    KNARR_ASSIGN(const Config config, parse_config(config_text));
    if (config.diff_ids.size() != manifest.layers.size()) {
      return bad_request(
          fmt::format("the manifest has {} layers, the config {}", manifest.layers.size(), config.diff_ids.size()));
    }
    KNARR_RETURN_IF_ERROR(fetch_layers(manifest.layers, config.diff_ids));
    KNARR_RETURN_IF_ERROR(store_.write_blob(manifest.config.digest, config_text));
    KNARR_RETURN_IF_ERROR(store_.write_blob(pulled.manifest, text));
    return pulled;
  }

 private:
  Result<std::string> fetch_manifest(const std::string& tag_or_digest) {
    KNARR_ASSIGN(std::string text, registry_.get_document("manifests", tag_or_digest, kAcceptManifests));
    if (valid_digest(tag_or_digest) && digest_of(text) != tag_or_digest) {
      return bad_request(
          fmt::format("the registry's manifest {} has the digest {}: it was damaged or changed on its way",
                      tag_or_digest, digest_of(text)));
    }
    return text;
  }

  Result<std::string> fetch_document(const Descriptor& descriptor) {
    if (store_.has_blob(descriptor.digest)) {
      if (auto there = store_.read_blob(descriptor.digest); there.ok()) return there;
      KNARR_RETURN_IF_ERROR(store_.remove_blob(descriptor.digest));
    }
    KNARR_ASSIGN(std::string text, registry_.get_document("blobs", descriptor.digest, "*/*"));
    if (digest_of(text) == descriptor.digest) return text;
    return bad_request(fmt::format("the registry's blob {} has the digest {}: it was damaged or changed on its way",
                                   descriptor.digest, digest_of(text)));
  }

  Status fetch_layers(const std::vector<Descriptor>& layers, const std::vector<std::string>& diff_ids) {
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    Mutex mutex;
    Status first;
    auto work = [&] {
      for (size_t i; !failed && (i = next++) < layers.size();) {
        Status status = fetch_layer(layers[i], diff_ids[i]);
        if (status.ok()) continue;
        Lock lock(mutex);
        if (!failed.exchange(true)) first = std::move(status);
      }
    };
    std::vector<std::thread> helpers;
    for (size_t i = 1; i < std::min(kParallelLayers, layers.size()); ++i) helpers.emplace_back(work);
    work();
    for (auto& helper : helpers) helper.join();
    return first;
  }

  Status fetch_layer(const Descriptor& layer, const std::string& diff_id) {
    if (store_.has_layer(diff_id)) return {};
    if (!store_.has_blob(layer.digest))
      KNARR_RETURN_IF_ERROR(download(layer).with_context(fmt::format("layer {}", layer.digest)));
    KNARR_ASSIGN(linux::UniqueFd fd, store_.open_blob(layer.digest));
    FileSource source(std::move(fd), layer.digest);
    Status status = store_.add_layer(source, layer.digest, diff_id);
    (void)store_.remove_blob(layer.digest);  // unpacked it is of no more use, and damaged it must go
    return status;
  }

  Status download(const Descriptor& layer) {
    KNARR_ASSIGN(BlobWriter writer, store_.start_blob());
    for (int attempt = 1;; ++attempt) {
      Status status = registry_.get_blob(layer.digest, layer.size, writer, [&, last = int64_t{0}]() mutable {
        if (!options_.progress || (writer.size() - last < kProgressStep && writer.size() != layer.size)) return;
        last = writer.size();
        Lock lock(progress_mutex_);
        options_.progress(layer.digest, last, layer.size);
      });
      if (status.ok()) return store_.finish_blob(std::move(writer), layer.digest);
      const bool passing = status.is(reason::kServiceUnavailable) || status.is(reason::kTimeout);
      if (!passing || attempt == kAttempts) return status;
      log::info(
          "image", "a download broke off and is continued",
          {{"image", reference_.to_string()}, {"blob", layer.digest}, {"bytes", writer.size()}, {"error", status}});
      std::this_thread::sleep_for(milliseconds(100 << attempt));
    }
  }

  const Reference& reference_;
  const Platform& host_;
  const PullOptions& options_;
  RegistryClient& registry_;
  ContentStore& store_;
  Mutex progress_mutex_;
};

}  // namespace

Result<PulledImage> pull_image(const Reference& reference, const Platform& host, const PullOptions& options,
                               const std::vector<std::string>& insecure_registries, ContentStore& store) {
  const bool insecure = std::find(insecure_registries.begin(), insecure_registries.end(), reference.registry) !=
                        insecure_registries.end();
  RegistryClient registry(reference, options, insecure);
  auto pulled = Pull(reference, host, options, registry, store).run();
  if (!pulled.ok()) return std::move(pulled).status().with_context(fmt::format("pull {}", reference.to_string()));
  return pulled;
}

}  // namespace knarr::image
