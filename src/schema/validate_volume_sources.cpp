// Sources of volumes that knarr mounts and that others do (upstream: pkg/apis/core/validation).
#include "schema/validate_volume_sources.h"

#include <fmt/format.h>

#include <algorithm>

#include "schema/pattern.h"

namespace knarr::schema::validation {

namespace {

constexpr std::string_view kPartition = "must be between 1 and 255, inclusive", kLun = "must be between 0 and 255, inclusive";

void needed(const std::string& text, const Path& path, FieldErrors& errors) {
  if (text.empty()) errors.required(path);
}

void disk(const std::string& id, std::string_view id_name, int32_t partition, const Path& path, FieldErrors& errors) {
  needed(id, path.child(id_name), errors);
  if (partition < 0 || partition > 255) errors.invalid(path.child("partition"), partition, kPartition);
}

// The name of an initiator or a target: of one of three kinds, each with a form of its own.
void iscsi_name(const std::string& name, std::string_view no_kind, const Path& path, FieldErrors& errors) {
  static const Pattern iqn(R"(iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$)"), eui("^eui.[[:alnum:]]{16}$"), naa("^naa.[[:alnum:]]{32}$");
  const Pattern* form = name.starts_with("iqn") ? &iqn : name.starts_with("eui") ? &eui : name.starts_with("naa") ? &naa : nullptr;
  if (!form) {
    errors.invalid(path, name, no_kind);
  } else if (!form->found_in(name)) {
    errors.invalid(path, name, "must be valid format");
  }
}

template <typename Source>
void iscsi(const Source& source, std::string_view no_kind, bool named_secret, const Path& path, FieldErrors& errors) {
  needed(source.targetPortal, path.child("targetPortal"), errors);
  if (source.iqn.empty()) {
    errors.required(path.child("iqn"));
  } else {
    iscsi_name(source.iqn, no_kind, path.child("iqn"), errors);
  }
  if (source.lun < 0 || source.lun > 255) errors.invalid(path.child("lun"), source.lun, kLun);
  if ((source.chapAuthDiscovery || source.chapAuthSession) && !source.secretRef) errors.required(path.child("secretRef"));
  if (named_secret && source.secretRef) needed(source.secretRef->name, path.child("secretRef", "name"), errors);
  if (source.initiatorName) iscsi_name(*source.initiatorName, no_kind, path.child("initiatorname"), errors);
}

template <typename Source>
void flex(const Source& source, const Path& path, FieldErrors& errors) {
  needed(source.driver, path.child("driver"), errors);
  for (const auto& [key, value] : source.options) {
    std::string domain = "." + key.substr(0, key.find('/'));
    std::transform(domain.begin(), domain.end(), domain.begin(), [](unsigned char c) { return std::tolower(c); });
    if (domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io"))
      errors.invalid(path.child("options").key(key), key, "kubernetes.io and k8s.io namespaces are reserved");
  }
}

template <typename Source>
void rbd(const Source& source, const Path& path, FieldErrors& errors) {
  if (source.monitors.empty()) errors.required(path.child("monitors"));
  needed(source.image, path.child("image"), errors);
}

template <typename Source>
void scale_io(const Source& source, const Path& path, FieldErrors& errors) {
  needed(source.gateway, path.child("gateway"), errors);
  needed(source.system, path.child("system"), errors);
  needed(source.volumeName, path.child("volumeName"), errors);
}

template <typename Source>
void storage_os(const Source& source, const Path& path, FieldErrors& errors) {
  const Path name = path.child("volumeName");
  if (source.volumeName.empty()) {
    errors.required(name);
  } else {
    errors.invalid(name, source.volumeName, names::dns1123_label(source.volumeName));
  }
  if (!source.volumeNamespace.empty()) errors.invalid(path.child("volumeNamespace"), source.volumeNamespace, names::dns1123_label(source.volumeNamespace));
  if (source.secretRef) needed(source.secretRef->name, path.child("secretRef", "name"), errors);
}

template <typename Source>
void azure_file(const Source& source, const Path& path, FieldErrors& errors) {
  needed(source.secretName, path.child("secretName"), errors);
  needed(source.shareName, path.child("shareName"), errors);
}

template <typename Source>
void glusterfs(const Source& source, const Path& path, FieldErrors& errors) {
  needed(source.endpoints, path.child("endpoints"), errors);
  needed(source.path, path.child("path"), errors);
}

// One address, of any form that Go's SplitHostPort takes.
bool is_host_and_port(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) return host.find(']') == host.size() - 1 && host.rfind('[') == 0;
  return host.find_first_of(":[]") == std::string_view::npos && text.substr(colon).find_first_of("[]") == std::string_view::npos;
}

}  // namespace

void check(const core::AWSElasticBlockStoreVolumeSource& source, const Path& path, FieldErrors& errors) {
  disk(source.volumeID, "volumeID", source.partition, path, errors);
}

void check(const core::AzureDiskVolumeSource& source, const Path& path, FieldErrors& errors) {
  const Path uri = path.child("diskURI");
  needed(source.diskName, path.child("diskName"), errors);
  needed(source.diskURI, uri, errors);
  if (source.cachingMode) errors.one_of(path.child("cachingMode"), *source.cachingMode, {"None", "ReadOnly", "ReadWrite"});
  if (!source.kind) return;
  errors.one_of(path.child("kind"), *source.kind, {"Dedicated", "Managed", "Shared"});
  if (*source.kind == "Managed" && !source.diskURI.starts_with("/subscriptions/"))
    errors.unsupported(uri, source.diskURI, {"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"});
  if (*source.kind != "Managed" && !source.diskURI.starts_with("https://"))
    errors.unsupported(uri, source.diskURI, {"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"});
}

void check(const core::AzureFilePersistentVolumeSource& source, const Path& path, FieldErrors& errors) {
  azure_file(source, path, errors);
  if (source.secretNamespace) needed(*source.secretNamespace, path.child("secretNamespace"), errors);
}
void check(const core::AzureFileVolumeSource& source, const Path& path, FieldErrors& errors) { azure_file(source, path, errors); }

void check(const core::CephFSPersistentVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.monitors.empty()) errors.required(path.child("monitors"));
}
void check(const core::CephFSVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.monitors.empty()) errors.required(path.child("monitors"));
}

void check(const core::CinderPersistentVolumeSource& source, const Path& path, FieldErrors& errors) {
  needed(source.volumeID, path.child("volumeID"), errors);
  if (!source.secretRef) return;
  needed(source.secretRef->name, path.child("secretRef", "name"), errors);
  needed(source.secretRef->namespace_, path.child("secretRef", "namespace"), errors);
}
void check(const core::CinderVolumeSource& source, const Path& path, FieldErrors& errors) {
  needed(source.volumeID, path.child("volumeID"), errors);
  if (source.secretRef) needed(source.secretRef->name, path.child("secretRef", "name"), errors);
}

void check(const core::FCVolumeSource& source, const Path& path, FieldErrors& errors) {
  const Path targets = path.child("targetWWNs"), lun = path.child("lun");
  if (source.targetWWNs.empty() && source.wwids.empty()) errors.required(targets, "must specify either targetWWNs or wwids, but not both");
  if (source.targetWWNs.empty()) return;
  if (!source.wwids.empty()) errors.invalid_json(targets, list_json(source.targetWWNs), "targetWWNs and wwids can not be specified simultaneously");
  if (!source.lun) {
    errors.required(lun, "lun is required if targetWWNs is specified");
  } else if (*source.lun < 0 || *source.lun > 255) {
    errors.invalid(lun, *source.lun, kLun);
  }
}

void check(const core::FlexPersistentVolumeSource& source, const Path& path, FieldErrors& errors) { flex(source, path, errors); }
void check(const core::FlexVolumeSource& source, const Path& path, FieldErrors& errors) { flex(source, path, errors); }

void check(const core::FlockerVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.datasetName.empty() && source.datasetUUID.empty()) errors.required(path, "one of datasetName and datasetUUID is required");
  if (!source.datasetName.empty() && !source.datasetUUID.empty())
    errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
  if (source.datasetName.find('/') != std::string::npos) errors.invalid(path.child("datasetName"), source.datasetName, "must not contain '/'");
}

void check(const core::GCEPersistentDiskVolumeSource& source, const Path& path, FieldErrors& errors) {
  disk(source.pdName, "pdName", source.partition, path, errors);
}

void check(const core::GitRepoVolumeSource& source, const Path& path, FieldErrors& errors) {
  needed(source.repository, path.child("repository"), errors);
  local_descending(source.directory, path.child("directory"), errors);
}

void check(const core::GlusterfsPersistentVolumeSource& source, const Path& path, FieldErrors& errors) {
  glusterfs(source, path, errors);
  if (!source.endpointsNamespace) return;
  const Path ns = path.child("endpointsNamespace");
  if (source.endpointsNamespace->empty()) {
    errors.invalid(ns, "", "if the endpointnamespace is set, it must be a valid namespace name");
  } else {
    errors.invalid(ns, *source.endpointsNamespace, names::dns1123_label(*source.endpointsNamespace));
  }
}
void check(const core::GlusterfsVolumeSource& source, const Path& path, FieldErrors& errors) { glusterfs(source, path, errors); }

void check(const core::HostPathVolumeSource& source, const Path& path, FieldErrors& errors) {
  if (source.path.empty()) return errors.required(path.child("path"));
  no_backsteps(source.path, path.child("path"), errors);
  if (source.type)
    errors.one_of(path.child("type"), *source.type,
                  {"", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"});
}

void check(const core::ISCSIPersistentVolumeSource& source, const Path& path, FieldErrors& errors) { iscsi(source, "must be valid format", true, path, errors); }
void check(const core::ISCSIVolumeSource& source, const Path& path, FieldErrors& errors) {
  iscsi(source, "must be valid format starting with iqn, eui, or naa", false, path, errors);
}

void check(const core::NFSVolumeSource& source, const Path& path, FieldErrors& errors) {
  needed(source.server, path.child("server"), errors);
  needed(source.path, path.child("path"), errors);
  if (!source.path.starts_with('/')) errors.invalid(path.child("path"), source.path, "must be an absolute path");
}

void check(const core::PhotonPersistentDiskVolumeSource& source, const Path& path, FieldErrors& errors) { needed(source.pdID, path.child("pdID"), errors); }
void check(const core::PortworxVolumeSource& source, const Path& path, FieldErrors& errors) { needed(source.volumeID, path.child("volumeID"), errors); }

void check(const core::QuobyteVolumeSource& source, const Path& path, FieldErrors& errors) {
  constexpr std::string_view kPairs = "must be a host:port pair or multiple pairs separated by commas";
  const Path registry = path.child("registry");
  if (source.registry.empty()) {
    errors.required(registry, kPairs);
  } else if (source.tenant.size() >= 65) {
    errors.required(path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters");
  } else {
    for (size_t begin = 0; begin <= source.registry.size();) {
      const size_t end = std::min(source.registry.find(',', begin), source.registry.size());
      if (!is_host_and_port(std::string_view(source.registry).substr(begin, end - begin))) errors.invalid(registry, source.registry, kPairs);
      begin = end + 1;
    }
  }
  needed(source.volume, path.child("volume"), errors);
}

void check(const core::RBDPersistentVolumeSource& source, const Path& path, FieldErrors& errors) { rbd(source, path, errors); }
void check(const core::RBDVolumeSource& source, const Path& path, FieldErrors& errors) { rbd(source, path, errors); }
void check(const core::ScaleIOPersistentVolumeSource& source, const Path& path, FieldErrors& errors) { scale_io(source, path, errors); }
void check(const core::ScaleIOVolumeSource& source, const Path& path, FieldErrors& errors) { scale_io(source, path, errors); }

void check(const core::StorageOSPersistentVolumeSource& source, const Path& path, FieldErrors& errors) {
  storage_os(source, path, errors);
  if (source.secretRef) needed(source.secretRef->namespace_, path.child("secretRef", "namespace"), errors);
}
void check(const core::StorageOSVolumeSource& source, const Path& path, FieldErrors& errors) { storage_os(source, path, errors); }

void check(const core::VsphereVirtualDiskVolumeSource& source, const Path& path, FieldErrors& errors) {
  needed(source.volumePath, path.child("volumePath"), errors);
}

}  // namespace knarr::schema::validation
