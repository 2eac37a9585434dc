// What images are made of, on disk:
//
//   blobs/sha256/<hex>       manifests and configs, by digest (layers only until they are unpacked)
//   layers/<hex>/fs          a layer's files, by the digest of its uncompressed tar (diff id): images share them
//   layers/<hex>/size        what they take, in bytes
//   names/<hex>.json         a name and the manifest it points to
//   tmp/                     what is being made; renamed into its place when it is complete and flushed
//   lock                     flock: shared by who adds, exclusive for who collects; several processes may use one store
//
// A crash leaves nothing but files in tmp/, which the next who opens the store alone removes. Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "image/byte_source.h"
#include "image/digest.h"
#include "image/unpack.h"
#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::image {

// A blob that comes in pieces. What is not finished goes with the writer.
class BlobWriter {
 public:
  BlobWriter(BlobWriter&& other) noexcept
      : fd_(std::move(other.fd_)),
        path_(std::exchange(other.path_, {})),
        size_(other.size_),
        hash_(std::move(other.hash_)) {}
  ~BlobWriter();

  Status write(std::string_view bytes);
  Status restart();  // throws away what is there
  int64_t size() const { return size_; }

 private:
  friend class ContentStore;
  BlobWriter(linux::UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  linux::UniqueFd fd_;
  std::string path_;  // "" when it was moved away
  int64_t size_ = 0;
  Sha256 hash_;
};

struct NameRecord {
  std::string name;         // canonical: docker.io/library/busybox:latest
  std::string manifest;     // sha256:...
  std::string repo_digest;  // docker.io/library/busybox@sha256:..., "" when it did not come from a registry
};

class ContentStore {
 public:
  static Result<ContentStore> open(const std::string& directory);

  // Held while something is added; while anyone holds it, nobody collects.
  Result<linux::UniqueFd> hold() const;
  // Unavailable while anyone adds.
  Result<linux::UniqueFd> hold_alone() const;

  bool has_blob(const std::string& digest) const;
  Result<std::string> read_blob(const std::string& digest) const;  // checked against its digest
  Status write_blob(const std::string& digest, std::string_view content);
  Result<BlobWriter> start_blob();
  Status finish_blob(BlobWriter writer, const std::string& digest);  // BadRequest when the digest is another
  Result<linux::UniqueFd> open_blob(const std::string& digest) const;
  Status remove_blob(const std::string& digest);

  bool has_layer(const std::string& diff_id) const;
  std::string layer_directory(const std::string& diff_id) const;
  // Unpacks a layer as it is stored (compressed or not). Checks it against `digest` (unless "") and against its diff
  // id. OK when it is there already.
  Status add_layer(ByteSource& stored, const std::string& digest, const std::string& diff_id);

  std::vector<NameRecord> names() const;  // damaged records are left out, and said in the log
  Status put_name(const NameRecord& record);
  Status remove_name(const std::string& name);

  Result<std::string> make_temporary_directory() const;  // the caller's to remove
  std::vector<std::string> blobs() const;                // digests
  // Removes every blob and layer that `keep_...` does not want; answers what that freed. The caller holds the store
  // alone.
  Result<int64_t> sweep(const std::function<bool(const std::string&)>& keep_blob,
                        const std::function<bool(const std::string&)>& keep_layer);

 private:
  explicit ContentStore(std::string directory) : directory_(std::move(directory)) {}
  std::string blob_path(const std::string& digest) const;
  Result<linux::UniqueFd> lock(int operation) const;

  std::string directory_;
};

}  // namespace knarr::image
