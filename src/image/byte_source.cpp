#include "image/byte_source.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace knarr::image {

namespace {

constexpr size_t kChunk = 64 << 10;

// What a decompressor reads from: the source, with the bytes given back that told its kind.
class Input {
 public:
  Input(ByteSource& source, std::string head) : source_(source), buffer_(std::move(head)) {}

  // The bytes that are not consumed yet; reads more when there are none. Empty at the end.
  Result<std::string_view> peek() {
    if (at_ == buffer_.size() && !ended_) {
      buffer_.resize(kChunk);
      KNARR_ASSIGN(const size_t n, source_.read(buffer_.data(), buffer_.size()));
      buffer_.resize(n);
      at_ = 0;
      ended_ = n == 0;
    }
    return std::string_view(buffer_).substr(at_);
  }
  void consume(size_t n) { at_ += n; }

 private:
  ByteSource& source_;
  std::string buffer_;
  size_t at_ = 0;
  bool ended_ = false;
};

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(Input input) : input_(std::move(input)) {}
  Result<size_t> read(char* buffer, size_t size) override {
    KNARR_ASSIGN(const std::string_view bytes, input_.peek());
    const size_t n = std::min(size, bytes.size());
    memcpy(buffer, bytes.data(), n);
    input_.consume(n);
    return n;
  }

 private:
  Input input_;
};

class GzipSource : public ByteSource {
 public:
  explicit GzipSource(Input input) : input_(std::move(input)) {}
  ~GzipSource() override {
    if (started_) inflateEnd(&stream_);
  }
  Status start() {
    if (inflateInit2(&stream_, 15 + 16) != Z_OK)
      return internal_error("start zlib: out of memory");  // 15 + 16: gzip only
    started_ = true;
    return {};
  }

  Result<size_t> read(char* buffer, size_t size) override {
    stream_.next_out = reinterpret_cast<Bytef*>(buffer);
    stream_.avail_out = static_cast<uInt>(size);
    while (stream_.avail_out == size) {
      KNARR_ASSIGN(const std::string_view bytes, input_.peek());
      if (bytes.empty() && !in_member_) return size_t{0};
      if (!in_member_) {  // a gzip file may hold several members, one behind the other
        inflateReset(&stream_);
        in_member_ = true;
      }
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream_.avail_in = static_cast<uInt>(bytes.size());
      const int code = inflate(&stream_, Z_NO_FLUSH);
      input_.consume(bytes.size() - stream_.avail_in);
      if (bytes.empty() && stream_.avail_out == size && code != Z_STREAM_END)
        return bad_request("the gzip stream is cut off");
      if (code == Z_STREAM_END) {
        in_member_ = false;
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        return bad_request(
            fmt::format("the gzip stream is damaged: {}", stream_.msg != nullptr ? stream_.msg : "zlib error"));
      }
    }
    return size - stream_.avail_out;
  }

 private:
  Input input_;
  z_stream stream_{};
  bool started_ = false, in_member_ = true;
};

class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(Input input) : input_(std::move(input)), stream_(ZSTD_createDStream()) {
    // A frame may ask for a window of gigabytes; 128 MB is what every encoder stays within by default.
    if (stream_) ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, 27);
  }
  bool valid() const { return stream_ != nullptr; }

  Result<size_t> read(char* buffer, size_t size) override {
    ZSTD_outBuffer out{buffer, size, 0};
    while (out.pos == 0) {
      KNARR_ASSIGN(const std::string_view bytes, input_.peek());
      if (bytes.empty() && !in_frame_) return size_t{0};
      ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
      const size_t code = ZSTD_decompressStream(stream_.get(), &out, &in);
      if (ZSTD_isError(code) != 0)
        return bad_request(fmt::format("the zstd stream is damaged: {}", ZSTD_getErrorName(code)));
      input_.consume(in.pos);
      in_frame_ = code != 0;
      if (bytes.empty() && out.pos == 0 && in_frame_) return bad_request("the zstd stream is cut off");
    }
    return out.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  Input input_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  bool in_frame_ = true;
};

}  // namespace

Result<size_t> FileSource::read(char* buffer, size_t size) {
  for (;;) {
    const ssize_t n = ::read(fd_.get(), buffer, size);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return errno_status(errno, fmt::format("read {}", name_));
  }
}

Result<size_t> MemorySource::read(char* buffer, size_t size) {
  const size_t n = std::min(size, bytes_.size());
  memcpy(buffer, bytes_.data(), n);
  bytes_.remove_prefix(n);
  return n;
}

Result<size_t> HashingSource::read(char* buffer, size_t size) {
  KNARR_ASSIGN(const size_t n, source_.read(buffer, size));
  count_ += n;
  if (count_ > limit_) return bad_request(fmt::format("it is larger than the {} bytes allowed", limit_));
  hash_.update({buffer, n});
  return n;
}

Status HashingSource::drain() {
  std::vector<char> buffer(kChunk);
  for (;;) {
    KNARR_ASSIGN(const size_t n, read(buffer.data(), buffer.size()));
    if (n == 0) return {};
  }
}

Result<std::unique_ptr<ByteSource>> decompress(ByteSource& source) {
  constexpr std::string_view kGzip = "\x1f\x8b", kZstd = "\x28\xb5\x2f\xfd";
  std::string head(kZstd.size(), '\0');
  size_t have = 0;
  while (have < head.size()) {
    KNARR_ASSIGN(const size_t n, source.read(head.data() + have, head.size() - have));
    if (n == 0) break;
    have += n;
  }
  head.resize(have);
  if (head.starts_with(kGzip)) {
    auto gzip = std::make_unique<GzipSource>(Input(source, std::move(head)));
    KNARR_RETURN_IF_ERROR(gzip->start());
    return std::unique_ptr<ByteSource>(std::move(gzip));
  }
  if (head == kZstd) {
    auto zstd = std::make_unique<ZstdSource>(Input(source, std::move(head)));
    if (!zstd->valid()) return internal_error("start zstd: out of memory");
    return std::unique_ptr<ByteSource>(std::move(zstd));
  }
  return std::unique_ptr<ByteSource>(std::make_unique<PlainSource>(Input(source, std::move(head))));
}

}  // namespace knarr::image
