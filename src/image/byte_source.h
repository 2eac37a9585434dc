// Streams of bytes, one in the other: file → hash of what is stored → decompression → hash of what was packed.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "image/digest.h"
#include "knarr/base/result.h"
#include "knarr/linux/fd.h"

namespace knarr::image {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual Result<size_t> read(char* buffer, size_t size) = 0;  // 0: the end
};

class FileSource : public ByteSource {
 public:
  FileSource(linux::UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  Result<size_t> read(char* buffer, size_t size) override;

 private:
  linux::UniqueFd fd_;
  std::string name_;
};

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : bytes_(bytes) {}
  Result<size_t> read(char* buffer, size_t size) override;

 private:
  std::string_view bytes_;
};

// Hashes and counts what passes; refuses more than `limit` bytes. Does not own its source.
class HashingSource : public ByteSource {
 public:
  HashingSource(ByteSource& source, uint64_t limit) : source_(source), limit_(limit) {}
  Result<size_t> read(char* buffer, size_t size) override;
  Status drain();                                  // reads the rest
  std::string digest() { return hash_.digest(); }  // once, at the end
  uint64_t count() const { return count_; }

 private:
  ByteSource& source_;
  uint64_t limit_;
  uint64_t count_ = 0;
  Sha256 hash_;
};

// gzip and zstd by their first bytes; anything else passes as it is. Does not own its source.
Result<std::unique_ptr<ByteSource>> decompress(ByteSource& source);

}  // namespace knarr::image
