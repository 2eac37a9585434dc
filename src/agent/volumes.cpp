#include "agent/volumes.h"

#include <fmt/format.h>

#include "knarr/codec/quantity.h"

namespace knarr::agent {

namespace {

using Keys = std::vector<core::KeyToPath>;

class ContentBuilder {
 public:
  ContentBuilder(const PodFacts& facts, Sources& sources, seconds age) : facts_(facts), sources_(sources), age_(age) {
    const auto& security = facts.pod.spec.securityContext;
    if (security) content_.fs_group = security->fsGroup;
  }

  Status add_config_map(const std::string& name, const Keys& keys, bool optional) {
    auto map = sources_.config_map(facts_.pod.metadata.namespace_, name, age_);
    if (!map.ok()) return missing(std::move(map).status(), optional);
    std::map<std::string, std::string> data = (*map)->data;
    data.insert((*map)->binaryData.begin(), (*map)->binaryData.end());
    return add(data, keys, optional, fmt::format("configmap references non-existent config key: "));
  }

  Status add_secret(const std::string& name, const Keys& keys, bool optional) {
    has_secret_ = true;
    auto secret = sources_.secret(facts_.pod.metadata.namespace_, name, age_);
    if (!secret.ok()) return missing(std::move(secret).status(), optional);
    return add((*secret)->data, keys, optional, "references non-existent secret key: ");
  }

  Status add_downward(const std::vector<core::DownwardAPIVolumeFile>& files) {
    for (const auto& file : files) {
      std::string text;
      if (file.fieldRef) {
        KNARR_ASSIGN(text, field_text(facts_, file.fieldRef->fieldPath, true));
      } else if (file.resourceFieldRef) {
        KNARR_ASSIGN(text, resource_text(facts_, *file.resourceFieldRef, ""));
      }
      put(file.path, std::move(text), file.mode);
    }
    return {};
  }

  // The token's file is the pod's alone: readable by its user, or by its group.
  Status add_token(const core::ServiceAccountTokenProjection& source, int default_mode) {
    const auto& meta = facts_.pod.metadata;
    KNARR_ASSIGN(std::string token, sources_.token({.ns = meta.namespace_,
                                                    .account = facts_.pod.spec.serviceAccountName,
                                                    .pod = meta.name,
                                                    .pod_uid = meta.uid,
                                                    .audience = source.audience,
                                                    .seconds = source.expirationSeconds.value_or(3600)}));
    has_secret_ = true;
    const auto user = common_user(facts_.pod.spec);
    const int mode = user || content_.fs_group ? 0600 : default_mode;
    put(source.path, std::move(token), mode);
    content_.files.back().owner = user;
    return {};
  }

  volume::Content finish(std::optional<int32_t> default_mode) {
    if (default_mode) content_.default_mode = *default_mode;
    return std::move(content_);
  }
  bool has_secret() const { return has_secret_; }

 private:
  // The user that all containers run as, when the spec says so.
  static std::optional<int64_t> common_user(const core::PodSpec& spec) {
    std::optional<int64_t> user;
    for (const auto* list : {&spec.initContainers, &spec.containers}) {
      for (const auto& container : *list) {
        std::optional<int64_t> own;
        if (spec.securityContext) own = spec.securityContext->runAsUser;
        if (container.securityContext && container.securityContext->runAsUser)
          own = container.securityContext->runAsUser;
        if (!own || (user && *user != *own)) return {};
        user = own;
      }
    }
    return user;
  }

  static Status missing(Status status, bool optional) {
    if (status.is(reason::kNotFound) && optional) return {};
    return status;
  }

  Status add(const std::map<std::string, std::string>& data, const Keys& keys, bool optional,
             std::string_view complaint) {
    if (keys.empty()) {
      for (const auto& [key, value] : data) put(key, value, {});
      return {};
    }
    for (const auto& key : keys) {
      auto it = data.find(key.key);
      if (it != data.end()) {
        put(key.path, it->second, key.mode);
      } else if (!optional) {
        return not_found(fmt::format("{}{}", complaint, key.key));
      }
    }
    return {};
  }

  void put(std::string path, std::string content, std::optional<int32_t> mode) {
    volume::File file;
    file.path = std::move(path);
    file.content = std::move(content);
    if (mode) file.mode = *mode;
    // A later source of a projected volume replaces an earlier one's file of the same name.
    std::erase_if(content_.files, [&](const volume::File& known) { return known.path == file.path; });
    content_.files.push_back(std::move(file));
  }

  const PodFacts& facts_;
  Sources& sources_;
  const seconds age_;
  volume::Content content_;
  bool has_secret_ = false;
};

Result<std::string> make_volume(const core::Volume& v, const PodFacts& facts, volume::PodVolumes& directory,
                                Sources& sources, seconds age) {
  if (v.emptyDir) {
    std::optional<int64_t> group;
    if (facts.pod.spec.securityContext) group = facts.pod.spec.securityContext->fsGroup;
    int64_t limit = v.emptyDir->sizeLimit ? Quantity::parse_or_zero(*v.emptyDir->sizeLimit).value() : 0;
    return directory.empty_dir(v.name, v.emptyDir->medium == "Memory", limit, group);
  }
  if (v.hostPath) return volume::PodVolumes::host_path(v.hostPath->path, v.hostPath->type.value_or(""));

  ContentBuilder content(facts, sources, age);
  std::optional<int32_t> mode;
  std::string kind;
  if (v.configMap) {
    kind = "configmap";
    mode = v.configMap->defaultMode;
    KNARR_RETURN_IF_ERROR(
        content.add_config_map(v.configMap->name, v.configMap->items, v.configMap->optional.value_or(false)));
  } else if (v.secret) {
    kind = "secret";
    mode = v.secret->defaultMode;
    KNARR_RETURN_IF_ERROR(
        content.add_secret(v.secret->secretName, v.secret->items, v.secret->optional.value_or(false)));
  } else if (v.downwardAPI) {
    kind = "downward-api";
    mode = v.downwardAPI->defaultMode;
    KNARR_RETURN_IF_ERROR(content.add_downward(v.downwardAPI->items));
  } else if (v.projected) {
    kind = "projected";
    mode = v.projected->defaultMode;
    for (const auto& source : v.projected->sources) {
      if (source.configMap) {
        const auto& s = *source.configMap;
        KNARR_RETURN_IF_ERROR(content.add_config_map(s.name, s.items, s.optional.value_or(false)));
      } else if (source.secret) {
        const auto& s = *source.secret;
        KNARR_RETURN_IF_ERROR(content.add_secret(s.name, s.items, s.optional.value_or(false)));
      } else if (source.downwardAPI) {
        KNARR_RETURN_IF_ERROR(content.add_downward(source.downwardAPI->items));
      } else if (source.serviceAccountToken) {
        KNARR_RETURN_IF_ERROR(content.add_token(*source.serviceAccountToken, mode.value_or(0644)));
      }
    }
  } else {
    return bad_request("volumes of this type are not supported by this node");
  }
  bool memory = content.has_secret();
  return directory.content(kind, v.name, content.finish(mode), memory);
}

}  // namespace

Result<VolumePaths> make_volumes(const PodFacts& facts, volume::PodVolumes& directory, Sources& sources, seconds age) {
  VolumePaths paths;
  for (const auto& v : facts.pod.spec.volumes) {
    auto path = make_volume(v, facts, directory, sources, age);
    if (!path.ok()) {
      Status status = std::move(path).status();
      return Status(status.code(), status.reason(),
                    fmt::format("MountVolume.SetUp failed for volume \"{}\" : {}", v.name, status.message()));
    }
    paths.emplace(v.name, std::move(*path));
  }
  return paths;
}

bool has_content_volumes(const core::Pod& pod) {
  for (const auto& v : pod.spec.volumes) {
    if (v.configMap || v.secret || v.projected || v.downwardAPI) return true;
  }
  return false;
}

Result<std::vector<runtime::Mount>> make_mounts(const core::Container& container, const VolumePaths& paths,
                                                const Variables& environment) {
  std::vector<runtime::Mount> mounts;
  for (const auto& wanted : container.volumeMounts) {
    auto path = paths.find(wanted.name);
    if (path == paths.end()) {
      return bad_request(
          fmt::format("cannot find volume \"{}\" to mount into container \"{}\"", wanted.name, container.name));
    }
    runtime::Mount mount;
    mount.source = path->second;
    mount.destination = wanted.mountPath;
    if (!mount.destination.starts_with('/')) mount.destination = "/" + mount.destination;
    mount.read_only = wanted.readOnly;
    std::string propagation = wanted.mountPropagation.value_or("None");
    if (propagation == "HostToContainer") mount.propagation = "rslave";
    if (propagation == "Bidirectional") mount.propagation = "rshared";
    std::string sub_path = wanted.subPath;
    if (!wanted.subPathExpr.empty()) {
      sub_path = expand(wanted.subPathExpr, [&](std::string_view name) { return find_variable(environment, name); });
    }
    if (!sub_path.empty()) {
      auto resolved = volume::PodVolumes::sub_path(path->second, sub_path);
      if (!resolved.ok()) {
        return std::move(resolved).status().with_context(fmt::format(
            "failed to prepare subPath for volumeMount \"{}\" of container \"{}\"", wanted.name, container.name));
      }
      mount.source = std::move(*resolved);
    }
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

}  // namespace knarr::agent
