// Files of a pod's volume that would lie on or in one another.
#include <fmt/format.h>

#include "schema/documents.h"
#include "schema/warnings.h"

namespace knarr::schema::warning {

namespace {

using json::Value;

struct File {
  std::string path, source;  // "" where the volume has but one

  bool operator==(const File&) const = default;
  std::string shown() const { return source.empty() ? fmt::format("\"{}\"", path) : fmt::format("\"{}\" ({})", path, source); }
};

bool lies_in(const File& file, const File& folder) { return (file.path + "/").starts_with(folder.path + "/"); }

// The files of one volume, one after the other.
class Files {
 public:
  Files(std::string volume, std::string kind, Warnings& out) : volume_(std::move(volume)), kind_(std::move(kind)), out_(out) {}

  void add(std::string_view path, std::string source) {
    while (path.ends_with('/')) path.remove_suffix(1);
    File file{std::string(path), std::move(source)};
    if (!path.empty()) {
      for (const File& other : all_) {
        if (!other.path.empty() && (lies_in(other, file) || lies_in(file, other)))
          out_.push_back(fmt::format("volume \"{}\" ({}): overlapping paths: {} with {}", volume_, kind_, file.shown(), other.shown()));
      }
    }
    all_.push_back(std::move(file));
  }
  void add_items(const Value& source, const std::string& name) {
    for (const Value& item : items(source, "items")) add(json::get_string(item, "path"), name);
  }

 private:
  const std::string volume_, kind_;
  Warnings& out_;
  std::vector<File> all_;
};

std::string named(std::string_view kind, std::string_view name) { return fmt::format("{} \"{}\"", kind, name); }

void projected(const Value& volume, const std::string& name, Warnings& out) {
  Files files(name, "Projected", out);
  for (const Value& source : items(volume, "sources")) {
    if (source.IsObject() && source.ObjectEmpty()) {
      out.push_back(fmt::format("volume \"{}\" (Projected) has no sources provided", name));
      continue;
    }
    const Value &config_map = child(source, "configMap"), &secret = child(source, "secret"), &downward = child(source, "downwardAPI");
    if (json::find(config_map, "items")) {
      files.add_items(config_map, named("ConfigMap", json::get_string(config_map, "name")));
    } else if (json::find(secret, "items")) {
      files.add_items(secret, named("Secret", json::get_string(secret, "name")));
    } else if (json::find(downward, "items")) {
      files.add_items(downward, "DownwardAPI");
    } else if (const Value* token = json::find(source, "serviceAccountToken")) {
      files.add(json::get_string(*token, "path"), "ServiceAccountToken");
    } else if (const Value* bundle = json::find(source, "clusterTrustBundle")) {
      const bool by_name = json::find(*bundle, "name") != nullptr;
      files.add(json::get_string(*bundle, "path"), named("ClusterTrustBundle", json::get_string(*bundle, by_name ? "name" : "signerName")));
    } else if (const Value* certificate = json::find(source, "podCertificate")) {
      for (const auto& [field, what] : {std::pair<std::string_view, std::string_view>{"certificateChainPath", "chain"},
                                        {"keyPath", "key"},
                                        {"credentialBundlePath", "credential bundle"}}) {
        if (const auto path = json::get_string(*certificate, field); !path.empty()) files.add(path, fmt::format("PodCertificate {}", what));
      }
    }
  }
}

}  // namespace

void overlapping_paths(const Value& spec, Warnings& out) {
  for (const Value& volume : items(spec, "volumes")) {
    const std::string name(json::get_string(volume, "name"));
    if (const Value* source = json::find(volume, "configMap")) Files(name, named("ConfigMap", json::get_string(*source, "name")), out).add_items(*source, "");
    if (const Value* source = json::find(volume, "secret")) Files(name, named("Secret", json::get_string(*source, "secretName")), out).add_items(*source, "");
    if (const Value* source = json::find(volume, "downwardAPI")) Files(name, "DownwardAPI", out).add_items(*source, "");
    if (const Value* source = json::find(volume, "projected")) projected(*source, name, out);
  }
}

}  // namespace knarr::schema::warning
