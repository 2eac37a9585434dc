// Tar archives and images for tests, honest and hostile ones, byte by byte.
#pragma once

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/digest.h"
#include "unit/temp_directory.h"

namespace knarr::image::testing {

struct TarEntry {
  std::string name;
  char type = '0';  // 0 file, 1 hard link, 2 symbolic link, 3 character device, 5 directory, 6 fifo
  std::string content = {};
  std::string link = {};
  int mode = 0644;
  int uid = 0, gid = 0;
  int64_t claimed_size = -1;                                  // -1: the content's
  std::vector<std::pair<std::string, std::string>> pax = {};  // records of a pax header in front
};

inline void append_block(std::string& tar, const std::string& data) {
  tar += data;
  tar.resize((tar.size() + 511) / 512 * 512, '\0');
}

inline std::string header_of(const TarEntry& entry, char type, int64_t size) {
  std::string block(512, '\0');
  auto put = [&](size_t at, size_t length, const std::string& text) {
    memcpy(block.data() + at, text.data(), std::min(length, text.size()));
  };
  auto octal = [&](size_t at, size_t length, uint64_t value) {
    put(at, length, fmt::format("{:0{}o}", value, length - 1));
  };
  put(0, 100, entry.name);
  octal(100, 8, static_cast<uint64_t>(entry.mode));
  octal(108, 8, static_cast<uint64_t>(entry.uid));
  octal(116, 8, static_cast<uint64_t>(entry.gid));
  if (size >> 33 == 0) {
    octal(124, 12, static_cast<uint64_t>(size));
  } else {  // base 256
    block[124] = '\x80';
    for (int i = 0; i < 8; ++i) block[static_cast<size_t>(135 - i)] = static_cast<char>(size >> (8 * i));
  }
  octal(136, 12, 1'600'000'000);
  block[156] = type;
  put(157, 100, entry.link);
  put(257, 8, std::string("ustar\00000", 8));
  octal(329, 8, 0);
  octal(337, 8, 0);
  memset(block.data() + 148, ' ', 8);
  unsigned sum = 0;
  for (const unsigned char c : block) sum += c;
  put(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return block;
}

inline std::string make_tar(const std::vector<TarEntry>& entries, bool closed = true) {
  std::string tar;
  for (const auto& entry : entries) {
    if (!entry.pax.empty()) {
      std::string records;
      for (const auto& [key, value] : entry.pax) {
        size_t length = key.size() + value.size() + 3;
        while (length != std::to_string(length).size() + key.size() + value.size() + 3)
          length = std::to_string(length).size() + key.size() + value.size() + 3;
        records += fmt::format("{} {}={}\n", length, key, value);
      }
      tar += header_of({.name = "pax"}, 'x', static_cast<int64_t>(records.size()));
      append_block(tar, records);
    }
    tar += header_of(entry, entry.type,
                     entry.claimed_size >= 0 ? entry.claimed_size : static_cast<int64_t>(entry.content.size()));
    append_block(tar, entry.content);
  }
  if (closed) tar.append(1024, '\0');
  return tar;
}

inline std::string gzip(std::string_view bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string zstd(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

using TempDir = knarr::test::TempDirectory;

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void spill(const std::string& path, std::string_view content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

// An image in memory: blobs by digest, as a registry or a layout holds them.
struct TestImage {
  std::map<std::string, std::string> blobs;
  std::vector<std::string> diff_ids;
  std::string config, config_digest, manifest, manifest_digest;

  // Each layer is a tar; `pack` makes of it what is stored.
  static TestImage make(const std::vector<std::string>& tars, const std::string& suffix,
                        std::string (*pack)(std::string_view), const std::string& architecture = "amd64") {
    TestImage image;
    std::string layers, diff_ids;
    for (const auto& tar : tars) {
      const std::string stored = pack(tar);
      image.diff_ids.push_back(digest_of(tar));
      diff_ids += fmt::format("{}\"{}\"", diff_ids.empty() ? "" : ",", digest_of(tar));
      layers += fmt::format(R"({}{{"mediaType":"application/vnd.oci.image.layer.v1.tar{}","digest":"{}","size":{}}})",
                            layers.empty() ? "" : ",", suffix, digest_of(stored), stored.size());
      image.blobs[digest_of(stored)] = stored;
    }
    image.config = fmt::format(
        R"({{"architecture":"{}","os":"linux","config":{{"Entrypoint":["/bin/app"],"Cmd":["serve"],"Env":["PATH=/bin","A=b"],"User":"nobody",)"
        R"("WorkingDir":"/srv","StopSignal":"SIGINT","Volumes":{{"/data":{{}}}}}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
        architecture, diff_ids);
    image.config_digest = digest_of(image.config);
    image.blobs[image.config_digest] = image.config;
    image.manifest = fmt::format(
        R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",)"
        R"("digest":"{}","size":{}}},"layers":[{}]}})",
        image.config_digest, image.config.size(), layers);
    image.manifest_digest = digest_of(image.manifest);
    image.blobs[image.manifest_digest] = image.manifest;
    return image;
  }

  std::string descriptor(const std::string& extra = "") const {
    return fmt::format(R"({{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{}{}}})",
                       manifest_digest, manifest.size(), extra);
  }
};

inline std::string annotation(const std::string& key, const std::string& value) {
  return fmt::format(R"(,"annotations":{{"{}":"{}"}})", key, value);
}

inline std::string make_index(const std::vector<std::string>& descriptors) {
  return fmt::format(R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}})",
                     fmt::join(descriptors, ","));
}

inline void write_layout(const std::string& directory, const std::string& index,
                         const std::map<std::string, std::string>& blobs) {
  spill(directory + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  spill(directory + "/index.json", index);
  for (const auto& [digest, content] : blobs)
    spill(fmt::format("{}/blobs/sha256/{}", directory, hex_of(digest)), content);
}

inline std::string make_archive(const std::string& index, const std::map<std::string, std::string>& blobs) {
  std::vector<TarEntry> entries{{.name = "oci-layout", .content = R"({"imageLayoutVersion":"1.0.0"})"},
                                {.name = "index.json", .content = index}};
  for (const auto& [digest, content] : blobs)
    entries.push_back({.name = fmt::format("blobs/sha256/{}", hex_of(digest)), .content = content});
  return make_tar(entries);
}

inline std::string plain(std::string_view bytes) { return std::string(bytes); }

}  // namespace knarr::image::testing
