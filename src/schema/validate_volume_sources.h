// Sources that volumes of pods and PersistentVolumes share or have both in a form of their own; private to the module. Each has a
// `check`.
#pragma once

#include "schema/validate.h"

namespace knarr::schema::validation {

constexpr std::string_view kLongPortal =
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";

void check(const core::AWSElasticBlockStoreVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::AzureDiskVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::AzureFilePersistentVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::AzureFileVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::CephFSPersistentVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::CephFSVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::CinderPersistentVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::CinderVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::FCVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::FlexPersistentVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::FlexVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::FlockerVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::GCEPersistentDiskVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::GitRepoVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::GlusterfsPersistentVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::GlusterfsVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::HostPathVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::ISCSIPersistentVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::ISCSIVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::NFSVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::PhotonPersistentDiskVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::PortworxVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::QuobyteVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::RBDPersistentVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::RBDVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::ScaleIOPersistentVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::ScaleIOVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::StorageOSPersistentVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::StorageOSVolumeSource& source, const Path& path, FieldErrors& errors);
void check(const core::VsphereVirtualDiskVolumeSource& source, const Path& path, FieldErrors& errors);

}  // namespace knarr::schema::validation
