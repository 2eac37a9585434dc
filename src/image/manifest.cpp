#include "image/manifest.h"

#include <fmt/format.h>

#include "image/digest.h"
#include "knarr/codec/json.h"

namespace knarr::image {

namespace {

std::vector<std::string> strings_of(const json::Value& object, std::string_view key) {
  std::vector<std::string> out;
  const json::Value* list = json::find(object, key);
  if (list == nullptr || !list->IsArray()) return out;
  for (const auto& item : list->GetArray()) {
    if (item.IsString()) out.emplace_back(json::view(item));
  }
  return out;
}

std::string normal_architecture(std::string_view architecture) {
  if (architecture == "x86_64" || architecture == "x86-64") return "amd64";
  if (architecture == "aarch64") return "arm64";
  if (architecture == "armhf" || architecture == "armel") return "arm";
  if (architecture == "i386") return "386";
  return std::string(architecture);
}

Platform parse_platform(const json::Value& object) {
  return {std::string(json::get_string(object, "os")), normal_architecture(json::get_string(object, "architecture")),
          std::string(json::get_string(object, "variant"))};
}

Result<Descriptor> parse_descriptor(const json::Value& object, std::string_view what) {
  Descriptor descriptor;
  descriptor.media_type = json::get_string(object, "mediaType");
  descriptor.digest = json::get_string(object, "digest");
  descriptor.size = json::get_int(object, "size", -1);
  if (!valid_digest(descriptor.digest))
    return bad_request(fmt::format("the digest \"{}\" of {} is none of sha256", descriptor.digest, what));
  if (descriptor.size < 0) return bad_request(fmt::format("{} has no size", what));
  if (const auto* platform = json::find(object, "platform"); platform != nullptr && platform->IsObject()) {
    descriptor.platform = parse_platform(*platform);
  }
  if (const auto* annotations = json::find(object, "annotations"); annotations != nullptr && annotations->IsObject()) {
    for (const auto& member : annotations->GetObject()) {
      if (member.value.IsString()) descriptor.annotations.emplace(json::view(member.name), json::view(member.value));
    }
  }
  return descriptor;
}

int variant_number(std::string_view variant) {
  return variant.size() == 2 && variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' ? variant[1] - '0' : 0;
}

json::Value write_descriptor(const Descriptor& descriptor, json::Allocator& alloc) {
  json::Value object(rapidjson::kObjectType);
  json::set(object, "mediaType", descriptor.media_type, alloc);
  json::set(object, "digest", descriptor.digest, alloc);
  json::set(object, "size", json::Value(descriptor.size), alloc);
  return object;
}

}  // namespace

std::string Platform::to_string() const {
  return fmt::format("{}/{}{}{}", os.empty() ? "?" : os, architecture.empty() ? "?" : architecture,
                     variant.empty() ? "" : "/", variant);
}

Platform Platform::host() {
#if defined(__x86_64__)
  return {"linux", "amd64", ""};
#elif defined(__aarch64__)
  return {"linux", "arm64", "v8"};
#elif defined(__arm__)
  return {"linux", "arm", fmt::format("v{}", __ARM_ARCH)};
#elif defined(__riscv)
  return {"linux", "riscv64", ""};
#elif defined(__powerpc64__)
  return {"linux", "ppc64le", ""};
#elif defined(__s390x__)
  return {"linux", "s390x", ""};
#elif defined(__i386__)
  return {"linux", "386", ""};
#else
#error "name this architecture as Go does"
#endif
}

Result<Document> parse_document(std::string_view text) {
  KNARR_ASSIGN(const json::Document parsed, json::parse(text));
  if (!parsed.IsObject()) return bad_request("a manifest must be a JSON object");
  if (json::find(parsed, "manifests") != nullptr && json::find(parsed, "layers") != nullptr) {
    return bad_request("a document that is both a manifest and an index of images is neither");
  }
  Document document;
  if (const auto* manifests = json::find(parsed, "manifests"); manifests != nullptr && manifests->IsArray()) {
    auto& index = document.index.emplace();
    for (const auto& item : manifests->GetArray()) {
      KNARR_ASSIGN(Descriptor descriptor, parse_descriptor(item, "a manifest in the index"));
      index.push_back(std::move(descriptor));
    }
    return document;
  }
  const auto* config = json::find(parsed, "config");
  const auto* layers = json::find(parsed, "layers");
  if (config == nullptr || !config->IsObject() || layers == nullptr || !layers->IsArray()) {
    if (json::get_int(parsed, "schemaVersion") == 1) {
      return bad_request(
          "the image has a manifest of schema version 1, which is no longer supported: build and push it anew");
    }
    return bad_request(fmt::format("neither a manifest nor an index of images (media type \"{}\")",
                                   json::get_string(parsed, "mediaType")));
  }
  auto& manifest = document.manifest.emplace();
  KNARR_ASSIGN(manifest.config, parse_descriptor(*config, "the config"));
  for (const auto& item : layers->GetArray()) {
    KNARR_ASSIGN(Descriptor layer, parse_descriptor(item, "a layer"));
    manifest.layers.push_back(std::move(layer));
  }
  return document;
}

Result<Config> parse_config(std::string_view text) {
  KNARR_ASSIGN(const json::Document parsed, json::parse(text));
  if (!parsed.IsObject()) return bad_request("an image's config must be a JSON object");
  Config config;
  config.platform = parse_platform(parsed);
  if (const auto* rootfs = json::find(parsed, "rootfs")) config.diff_ids = strings_of(*rootfs, "diff_ids");
  for (const std::string& diff_id : config.diff_ids) {
    if (!valid_digest(diff_id))
      return bad_request(fmt::format("the diff id \"{}\" of a layer is none of sha256", diff_id));
  }
  const auto* settings = json::find(parsed, "config");
  if (settings == nullptr || !settings->IsObject()) return config;
  config.config.entrypoint = strings_of(*settings, "Entrypoint");
  config.config.cmd = strings_of(*settings, "Cmd");
  config.config.env = strings_of(*settings, "Env");
  config.config.user = json::get_string(*settings, "User");
  config.config.working_directory = json::get_string(*settings, "WorkingDir");
  config.config.stop_signal = json::get_string(*settings, "StopSignal");
  if (const auto* volumes = json::find(*settings, "Volumes"); volumes != nullptr && volumes->IsObject()) {
    for (const auto& member : volumes->GetObject()) config.config.volumes.emplace_back(json::view(member.name));
  }
  return config;
}

Result<Descriptor> choose(const std::vector<Descriptor>& index, const Platform& host) {
  const Descriptor* best = nullptr;
  int best_variant = -1;
  std::vector<std::string> offered;
  for (const auto& descriptor : index) {
    if (!descriptor.platform) {
      if (best == nullptr) best = &descriptor;
      continue;
    }
    const Platform& platform = *descriptor.platform;
    if (platform.os == "unknown") continue;  // attestations and the like
    offered.push_back(platform.to_string());
    if (platform.os != host.os || platform.architecture != host.architecture) continue;
    const int variant = variant_number(platform.variant);
    if (variant > variant_number(host.variant) && !host.variant.empty()) continue;
    if (variant > best_variant) {
      best = &descriptor;
      best_variant = variant;
    }
  }
  if (best != nullptr) return *best;
  return not_found(fmt::format("there is no image for {} in it, only for {}", host.to_string(),
                               offered.empty() ? "no platform at all" : fmt::format("{}", fmt::join(offered, ", "))));
}

std::string write_manifest(const Descriptor& config, const std::vector<Descriptor>& layers) {
  json::Document document(rapidjson::kObjectType);
  auto& alloc = document.GetAllocator();
  json::set(document, "schemaVersion", json::Value(2), alloc);
  json::set(document, "mediaType", kOciManifest, alloc);
  json::set(document, "config", write_descriptor(config, alloc), alloc);
  json::Value list(rapidjson::kArrayType);
  for (const auto& layer : layers) list.PushBack(write_descriptor(layer, alloc), alloc);
  json::set(document, "layers", std::move(list), alloc);
  return json::dump(document);
}

}  // namespace knarr::image
