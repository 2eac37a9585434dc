#include "image/content_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <memory>

#include "image/manifest.h"
#include "knarr/base/log.h"
#include "knarr/codec/json.h"
#include "knarr/linux/tree.h"

namespace knarr::image {

namespace {

// The tar of a layer beside its files: headers and padding.
constexpr uint64_t kMaxLayerTar = UnpackLimits{}.bytes + (UnpackLimits{}.bytes >> 2);

std::string name_file(const std::string& name) { return fmt::format("{}.json", hex_of(digest_of(name)).substr(0, 32)); }

int64_t file_size(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 ? info.st_size : 0;
}

}  // namespace

BlobWriter::~BlobWriter() {
  if (!path_.empty()) unlink(path_.c_str());
}

Status BlobWriter::write(std::string_view bytes) {
  KNARR_RETURN_IF_ERROR(linux::write_all(fd_.get(), bytes, path_));
  hash_.update(bytes);
  size_ += static_cast<int64_t>(bytes.size());
  return {};
}

Status BlobWriter::restart() {
  if (ftruncate(fd_.get(), 0) != 0 || lseek(fd_.get(), 0, SEEK_SET) != 0)
    return errno_status(errno, fmt::format("truncate {}", path_));
  hash_ = Sha256();
  size_ = 0;
  return {};
}

Result<ContentStore> ContentStore::open(const std::string& directory) {
  for (const char* part : {"", "/blobs/sha256", "/layers", "/names", "/tmp"})
    KNARR_RETURN_IF_ERROR(linux::make_directories(directory + part, 0700));
  // Layers are mounted by processes that stand elsewhere.
  const std::unique_ptr<char, decltype(&free)> absolute(realpath(directory.c_str(), nullptr), &free);
  if (!absolute) return errno_status(errno, fmt::format("resolve {}", directory));
  ContentStore store(absolute.get());
  if (auto alone = store.hold_alone(); alone.ok()) {
    KNARR_ASSIGN(const auto left, linux::list_directory(store.directory_ + "/tmp"));
    for (const std::string& name : left) KNARR_RETURN_IF_ERROR(linux::remove_tree(store.directory_ + "/tmp/" + name));
  }
  return store;
}

Result<linux::UniqueFd> ContentStore::lock(int operation) const {
  const std::string path = directory_ + "/lock";
  linux::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return errno_status(errno, fmt::format("open {}", path));
  while (flock(fd.get(), operation) != 0) {
    if (errno == EWOULDBLOCK)
      return unavailable("images are being added to the store just now: try again when that is done");
    if (errno != EINTR) return errno_status(errno, fmt::format("lock {}", path));
  }
  return fd;
}

Result<linux::UniqueFd> ContentStore::hold() const { return lock(LOCK_SH); }
Result<linux::UniqueFd> ContentStore::hold_alone() const { return lock(LOCK_EX | LOCK_NB); }

std::string ContentStore::blob_path(const std::string& digest) const {
  return fmt::format("{}/blobs/sha256/{}", directory_, hex_of(digest));
}

bool ContentStore::has_blob(const std::string& digest) const { return access(blob_path(digest).c_str(), F_OK) == 0; }

Result<std::string> ContentStore::read_blob(const std::string& digest) const {
  KNARR_ASSIGN(std::string content, linux::read_file(blob_path(digest), kMaxDocument));
  if (digest_of(content) != digest) {
    return internal_error(
        fmt::format("{} is damaged: its content is not {}; remove the image and pull or import it again",
                    blob_path(digest), digest));
  }
  return content;
}

Result<linux::UniqueFd> ContentStore::open_blob(const std::string& digest) const {
  linux::UniqueFd fd(::open(blob_path(digest).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_status(errno, fmt::format("open {}", blob_path(digest)));
  return fd;
}

Status ContentStore::write_blob(const std::string& digest, std::string_view content) {
  if (has_blob(digest)) return {};
  KNARR_ASSIGN(BlobWriter writer, start_blob());
  KNARR_RETURN_IF_ERROR(writer.write(content));
  return finish_blob(std::move(writer), digest);
}

Result<BlobWriter> ContentStore::start_blob() {
  std::string path = directory_ + "/tmp/blob.XXXXXX";
  linux::UniqueFd fd(mkostemp(path.data(), O_CLOEXEC));
  if (!fd) return errno_status(errno, fmt::format("make a file in {}/tmp", directory_));
  return BlobWriter(std::move(fd), std::move(path));
}

Status ContentStore::finish_blob(BlobWriter writer, const std::string& digest) {
  if (const std::string actual = writer.hash_.digest(); actual != digest) {
    return bad_request(
        fmt::format("its content has the digest {}, not {}: it was damaged or changed on its way", actual, digest));
  }
  if (fsync(writer.fd_.get()) != 0) return errno_status(errno, fmt::format("fsync {}", writer.path_));
  if (rename(writer.path_.c_str(), blob_path(digest).c_str()) != 0)
    return errno_status(errno, fmt::format("rename {} to {}", writer.path_, blob_path(digest)));
  writer.path_.clear();
  return linux::sync_directory(directory_ + "/blobs/sha256");
}

Status ContentStore::remove_blob(const std::string& digest) {
  if (unlink(blob_path(digest).c_str()) == 0 || errno == ENOENT) return {};
  return errno_status(errno, fmt::format("delete {}", blob_path(digest)));
}

std::string ContentStore::layer_directory(const std::string& diff_id) const {
  return fmt::format("{}/layers/{}/fs", directory_, hex_of(diff_id));
}

bool ContentStore::has_layer(const std::string& diff_id) const {
  return access(layer_directory(diff_id).c_str(), F_OK) == 0;
}

Status ContentStore::add_layer(ByteSource& stored, const std::string& digest, const std::string& diff_id) {
  if (has_layer(diff_id)) return {};
  KNARR_ASSIGN(const std::string temporary, make_temporary_directory());
  auto make = [&]() -> Status {
    const std::string files = temporary + "/fs";
    KNARR_RETURN_IF_ERROR(linux::make_directories(files));
    HashingSource outer(stored, kMaxLayerTar);
    KNARR_ASSIGN(const auto plain, decompress(outer));
    HashingSource inner(*plain, kMaxLayerTar);
    auto unpacked = unpack_tar(inner, files);
    if (unpacked.ok()) KNARR_RETURN_IF_ERROR(inner.drain());  // padding behind the last entry
    // Whatever was wrong with it: that it is not what was asked for says more.
    if ((unpacked.ok() || unpacked.status().is(reason::kBadRequest)) && !digest.empty()) {
      KNARR_RETURN_IF_ERROR(outer.drain());
      const std::string actual = outer.digest();
      if (actual != digest)
        return bad_request(fmt::format("its content has the digest {}: it was damaged or changed on its way", actual));
    }
    KNARR_RETURN_IF_ERROR(unpacked.status());
    if (const std::string actual = inner.digest(); actual != diff_id) {
      return bad_request(fmt::format("unpacked it has the digest {}, but the image's config says {}", actual, diff_id));
    }
    KNARR_RETURN_IF_ERROR(linux::replace_file_unsynced(temporary + "/size", std::to_string(unpacked->bytes)));
    linux::UniqueFd fd(::open(files.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || syncfs(fd.get()) != 0) return errno_status(errno, fmt::format("flush {}", files));
    const std::string place = fmt::format("{}/layers/{}", directory_, hex_of(diff_id));
    // Somebody else may have been faster: then theirs is as good.
    if (rename(temporary.c_str(), place.c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST)
      return errno_status(errno, fmt::format("rename {} to {}", temporary, place));
    return linux::sync_directory(directory_ + "/layers");
  };
  Status status = make();
  (void)linux::remove_tree(temporary);
  return status.with_context(fmt::format("layer {}", digest.empty() ? diff_id : digest));
}

std::vector<NameRecord> ContentStore::names() const {
  std::vector<NameRecord> records;
  auto files = linux::list_directory(directory_ + "/names");
  if (!files.ok()) return records;
  for (const std::string& file : *files) {
    if (!file.ends_with(".json")) continue;
    auto text = linux::read_file(directory_ + "/names/" + file, 64 << 10);
    if (!text.ok()) continue;  // removed in between
    auto document = json::parse(*text);
    NameRecord record;
    if (document.ok()) {
      record.name = json::get_string(*document, "name");
      record.manifest = json::get_string(*document, "manifest");
      record.repo_digest = json::get_string(*document, "repoDigest");
    }
    if (record.name.empty() || !valid_digest(record.manifest)) {
      log::warn("image", "a damaged record of an image's name is ignored", {{"file", directory_ + "/names/" + file}});
      continue;
    }
    records.push_back(std::move(record));
  }
  return records;
}

Status ContentStore::put_name(const NameRecord& record) {
  json::Document document(rapidjson::kObjectType);
  auto& alloc = document.GetAllocator();
  json::set(document, "name", record.name, alloc);
  json::set(document, "manifest", record.manifest, alloc);
  if (!record.repo_digest.empty()) json::set(document, "repoDigest", record.repo_digest, alloc);
  return linux::replace_file(fmt::format("{}/names/{}", directory_, name_file(record.name)), json::dump(document),
                             0600);
}

Status ContentStore::remove_name(const std::string& name) {
  const std::string path = fmt::format("{}/names/{}", directory_, name_file(name));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return errno_status(errno, fmt::format("delete {}", path));
  return linux::sync_directory(directory_ + "/names");
}

Result<std::string> ContentStore::make_temporary_directory() const {
  std::string path = directory_ + "/tmp/dir.XXXXXX";
  if (mkdtemp(path.data()) == nullptr)
    return errno_status(errno, fmt::format("make a directory in {}/tmp", directory_));
  return path;
}

std::vector<std::string> ContentStore::blobs() const {
  std::vector<std::string> digests;
  auto names = linux::list_directory(directory_ + "/blobs/sha256");
  if (!names.ok()) return digests;
  for (const std::string& name : *names) digests.push_back("sha256:" + name);
  return digests;
}

Result<int64_t> ContentStore::sweep(const std::function<bool(const std::string&)>& keep_blob,
                                    const std::function<bool(const std::string&)>& keep_layer) {
  int64_t freed = 0;
  for (const std::string& digest : blobs()) {
    if (keep_blob(digest)) continue;
    freed += file_size(blob_path(digest));
    KNARR_RETURN_IF_ERROR(remove_blob(digest));
  }
  KNARR_ASSIGN(const auto layers, linux::list_directory(directory_ + "/layers"));
  for (const std::string& hex : layers) {
    if (keep_layer("sha256:" + hex)) continue;
    const std::string place = fmt::format("{}/layers/{}", directory_, hex);
    int64_t size = 0;
    if (auto text = linux::read_file(place + "/size", 64); text.ok())
      std::from_chars(text->data(), text->data() + text->size(), size);
    // Out of its place in one step: a half-deleted layer is none.
    KNARR_ASSIGN(const std::string temporary, make_temporary_directory());
    if (rename(place.c_str(), (temporary + "/layer").c_str()) != 0)
      return errno_status(errno, fmt::format("move {} away", place));
    KNARR_RETURN_IF_ERROR(linux::remove_tree(temporary));
    freed += size;
  }
  return freed;
}

}  // namespace knarr::image
