// Volumes of a pod: exactly one source each, and what each source needs.
#include <fmt/format.h>

#include <set>

#include "schema/validate_volume_sources.h"

namespace knarr::schema::validation {
namespace {

using validation::check;  // and more below

constexpr std::string_view kMode = "must be a number between 0 and 0777 (octal), both inclusive";

void file_mode(const std::optional<int32_t>& mode, const Path& path, FieldErrors& errors) {
  if (mode && (*mode < 0 || *mode > 0777)) errors.invalid(path, *mode, kMode);
}

void key_to_path(const core::KeyToPath& item, const Path& path, FieldErrors& errors) {
  if (item.key.empty()) errors.required(path.child("key"));
  if (item.path.empty()) errors.required(path.child("path"));
  local_non_reserved(item.path, path.child("path"), errors);
  file_mode(item.mode, path.child("mode"), errors);
}

void items(const std::vector<core::KeyToPath>& items, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < items.size(); ++i) key_to_path(items[i], path.index(i), errors);
}

void downward_file(const core::DownwardAPIVolumeFile& file, const Path& path, FieldErrors& errors) {
  if (file.path.empty()) errors.required(path.child("path"));
  local_non_reserved(file.path, path.child("path"), errors);
  if (file.fieldRef) {
    field_selector(*file.fieldRef, true, path.child("fieldRef"), errors);
    if (file.resourceFieldRef) errors.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
  } else if (file.resourceFieldRef) {
    resource_field_selector(*file.resourceFieldRef, true, path.child("resourceFieldRef"), errors);
  } else {
    errors.required(path, "one of fieldRef and resourceFieldRef is required");
  }
  file_mode(file.mode, path.child("mode"), errors);
}

void check(const core::EmptyDirVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.sizeLimit && Quantity::parse_or_zero(*source.sizeLimit).sign() < 0)
    errors.forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity");
}

void check(const core::SecretVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.secretName.empty()) errors.required(path.child("secretName"));
  file_mode(source.defaultMode, path.child("defaultMode"), errors);
  items(source.items, path.child("items"), errors);
}

void check(const core::ConfigMapVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.name.empty()) errors.required(path.child("name"));
  file_mode(source.defaultMode, path.child("defaultMode"), errors);
  items(source.items, path.child("items"), errors);
}

void check(const core::DownwardAPIVolumeSource& source, const Path& path, FieldErrors& errors) {
  file_mode(source.defaultMode, path.child("defaultMode"), errors);
  for (const core::DownwardAPIVolumeFile& file : source.items) downward_file(file, path, errors);
}

void check(const core::PersistentVolumeClaimVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.claimName.empty()) errors.required(path.child("claimName"));
}

void check(const core::CSIVolumeSource& source, const Path& path, FieldErrors& errors) {
  csi_driver_name(source.driver, path.child("driver"), errors);
  if (!source.nodePublishSecretRef) return;
  const std::string& secret = source.nodePublishSecretRef->name;
  if (secret.empty()) return errors.required(path.child("nodePublishSecretRef", "name"));
  errors.invalid(path.child("name"), secret, names::dns1123_subdomain(secret));
}

void check(const core::EphemeralVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (!source.volumeClaimTemplate) return errors.required(path.child("volumeClaimTemplate"));
  const Path at = path.child("volumeClaimTemplate");
  claim_template_meta(source.volumeClaimTemplate->metadata, at.child("metadata"), errors);
  claim_spec(source.volumeClaimTemplate->spec, nullptr, at.child("spec"), errors);
}

void check(const core::ImageVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.reference.empty()) errors.required(path.child("reference"));
  errors.one_of(path.child("pullPolicy"), source.pullPolicy, {"Always", "IfNotPresent", "Never"});
}

void check(const core::ServiceAccountTokenProjection& token, const Path& projected, const Path& path, FieldErrors& errors) {
  int64_t seconds = token.expirationSeconds.value_or(0);
  if (seconds < 600) errors.invalid(path.child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes");
  if (seconds > int64_t{1} << 32) errors.invalid(path.child("expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds");
  if (token.path.empty()) {
    errors.required(projected.child("path"));
  } else {
    local_non_reserved(token.path, projected.child("path"), errors);
  }
}

// Files that several sources put into one directory must have different names.
class Projection {
 public:
  Projection(const Path& path, FieldErrors& errors) : path_(path), errors_(errors) {}

  void source(const core::VolumeProjection& s, const Path& at) {
    int sources = 0;
    if (s.secret) ++sources, keys(*s.secret, at.child("secret"));
    if (s.configMap) ++sources, keys(*s.configMap, at.child("configMap"));
    if (s.downwardAPI) {
      ++sources;
      for (const core::DownwardAPIVolumeFile& file : s.downwardAPI->items) {
        downward_file(file, at.child("downwardAPI"), errors_);
        unique(file.path, file.path);
      }
    }
    if (s.serviceAccountToken) ++sources, check(*s.serviceAccountToken, path_, at.child("serviceAccountToken"), errors_);
    if (s.clusterTrustBundle) {
      ++sources;
      Path bundle = at.child("clusterTrustBundle");
      if (s.clusterTrustBundle->name && s.clusterTrustBundle->signerName)
        errors_.invalid_json(bundle, api::encode(*s.clusterTrustBundle), "only one of name and signerName may be used");
      if (!s.clusterTrustBundle->name && !s.clusterTrustBundle->signerName)
        errors_.required(bundle, "either name or signerName must be specified");
      if (s.clusterTrustBundle->path.empty()) errors_.required(bundle.child("path"));
      local_non_reserved(s.clusterTrustBundle->path, bundle.child("path"), errors_);
      unique(s.clusterTrustBundle->path, s.clusterTrustBundle->path);
    }
    if (s.podCertificate) ++sources;
    if (sources > 1) errors_.forbidden(at, "may not specify more than 1 volume type per source");
  }

 private:
  template <typename Source>
  void keys(const Source& source, const Path& at) {
    if (source.name.empty()) errors_.required(at.child("name"));
    for (size_t i = 0; i < source.items.size(); ++i) {
      key_to_path(source.items[i], at.child("items").index(i), errors_);
      unique(source.items[i].path, source.name);
    }
  }

  void unique(const std::string& file, const std::string& value) {
    if (!file.empty() && !seen_.insert(file).second) errors_.invalid(path_, value, "conflicting duplicate paths");
  }

  const Path& path_;
  FieldErrors& errors_;
  std::set<std::string> seen_;
};

void check(const core::ProjectedVolumeSource& source, const Path& path, FieldErrors& errors) {
  file_mode(source.defaultMode, path.child("defaultMode"), errors);
  Projection projection(path, errors);
  for (size_t i = 0; i < source.sources.size(); ++i) projection.source(source.sources[i], path.child("sources").index(i));
}

void volume_source(const core::Volume& v, const Path& path, FieldErrors& errors) {
  int sources = 0;
  // Upstream calls some of them by two names.
  auto source = [&](const auto& s, std::string_view name, std::string_view when_too_many = "") {
    if (!s) return;
    if (sources++ > 0) return errors.forbidden(path.child(when_too_many.empty() ? name : when_too_many), "may not specify more than 1 volume type");
    check(*s, path.child(name), errors);
  };
  source(v.emptyDir, "emptyDir");
  source(v.hostPath, "hostPath");
  source(v.gitRepo, "gitRepo");
  source(v.gcePersistentDisk, "persistentDisk", "gcePersistentDisk");
  source(v.awsElasticBlockStore, "awsElasticBlockStore");
  source(v.secret, "secret");
  source(v.nfs, "nfs");
  source(v.iscsi, "iscsi");
  if (v.iscsi && v.iscsi->initiatorName && v.name.size() + 1 + v.iscsi->targetPortal.size() > 64) errors.invalid(path.child("name"), v.name, kLongPortal);
  source(v.glusterfs, "glusterfs");
  source(v.flocker, "flocker");
  source(v.persistentVolumeClaim, "persistentVolumeClaim");
  source(v.rbd, "rbd");
  source(v.cinder, "cinder");
  source(v.cephfs, "cephfs", "cephFS");
  source(v.quobyte, "quobyte");
  source(v.downwardAPI, "downwardAPI", "downwarAPI");
  source(v.fc, "fc");
  source(v.flexVolume, "flexVolume");
  source(v.configMap, "configMap");
  source(v.azureFile, "azureFile");
  source(v.vsphereVolume, "vsphereVolume");
  source(v.photonPersistentDisk, "photonPersistentDisk");
  source(v.portworxVolume, "portworxVolume");
  source(v.azureDisk, "azureDisk");
  source(v.storageos, "storageos");
  source(v.projected, "projected");
  source(v.scaleIO, "scaleIO");
  source(v.csi, "csi");
  source(v.ephemeral, "ephemeral");
  source(v.image, "image");
  if (sources == 0) errors.required(path, "must specify a volume type");
}

}  // namespace

void csi_driver_name(const std::string& name, const Path& path, FieldErrors& errors) {
  if (name.empty()) return errors.required(path);
  if (name.size() > 63) errors.too_long(path, 63);
  std::string lower = name;
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  errors.invalid(path, name, names::dns1123_subdomain(lower));
}

void no_backsteps(const std::string& target, const Path& path, FieldErrors& errors) {
  if (("/" + target + "/").find("/../") != std::string::npos) errors.invalid(path, target, "must not contain '..'");
}

void local_descending(const std::string& target, const Path& path, FieldErrors& errors) {
  if (target.starts_with('/')) errors.invalid(path, target, "must be a relative path");
  no_backsteps(target, path, errors);
}

void local_non_reserved(const std::string& target, const Path& path, FieldErrors& errors) {
  local_descending(target, path, errors);
  if (target.starts_with("..") && !target.starts_with("../")) errors.invalid(path, target, "must not start with '..'");
}

Volumes volumes(const core::PodSpec& spec, const std::string& pod_name, const Path& path, FieldErrors& errors) {
  Volumes good;
  std::set<std::string> created_claims;
  for (const core::Volume& v : spec.volumes) {
    if (v.ephemeral && !pod_name.empty()) created_claims.insert(pod_name + "-" + v.name);
  }
  for (size_t i = 0; i < spec.volumes.size(); ++i) {
    const core::Volume& v = spec.volumes[i];
    Path at = path.index(i), name = at.child("name");
    const size_t before = errors.count();
    volume_source(v, at, errors);
    if (v.ephemeral && !pod_name.empty() && !v.name.empty()) {
      std::string claim = pod_name + "-" + v.name;
      for (const std::string& problem : names::dns1123_subdomain(claim))
        errors.invalid(name, v.name, fmt::format("PVC name \"{}\": {}", claim, problem));
    }
    if (v.name.empty()) {
      errors.required(name);
    } else {
      errors.invalid(name, v.name, names::dns1123_label(v.name));
    }
    if (good.count(v.name)) errors.duplicate(name, v.name);
    if (errors.count() == before) good.emplace(v.name, &v);
    if (v.persistentVolumeClaim && created_claims.count(v.persistentVolumeClaim->claimName))
      errors.invalid(at.child("persistentVolumeClaim").child("claimName"), v.persistentVolumeClaim->claimName,
                     "must not reference a PVC that gets created for an ephemeral volume");
  }
  return good;
}

}  // namespace knarr::schema::validation
