// One repository of one registry: documents and blobs by GET, with authentication, redirects and a deadline for
// silence. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "image/content_store.h"
#include "image/registry.h"
#include "knarr/base/result.h"
#include "knarr/base/sync.h"
#include "knarr/http/client.h"
#include "knarr/image/image.h"

namespace knarr::image {

class RegistryClient {
 public:
  RegistryClient(const Reference& reference, const PullOptions& options, bool insecure);

  // kind: manifests | blobs. At most kMaxDocument bytes.
  Result<std::string> get_document(std::string_view kind, const std::string& name, std::string_view accept);
  // Appends what `writer` does not have yet. Unavailable and Timeout: trying again may help, from where it broke off.
  Status get_blob(const std::string& digest, int64_t size, BlobWriter& writer, const std::function<void()>& advanced);

 private:
  // Gets the head first, and of a 200 or 206 every piece of the body; either may refuse.
  struct Sink {
    std::function<Status(const http::ClientResponse& head)> head;
    std::function<Status(std::string_view)> data;
  };
  Status get(const std::string& path, http::Headers headers, const Sink& sink);
  Status get_once(const Url& url, http::Headers headers, const Sink& sink, http::ClientResponse& response);
  Status authenticate(const http::ClientResponse& refusal);
  Result<std::string> fetch_token(const Challenge& challenge);
  Result<std::string> basic_credentials() const;
  Status refusal(const http::ClientResponse& response) const;
  Result<std::shared_ptr<http::Client>> client_for(const std::string& base);
  std::string base() const KNARR_EXCLUDES(mutex_);

  const Reference reference_;
  const std::optional<RegistryAuth> auth_;
  const bool insecure_;
  std::string host_;  // where docker.io really is

  mutable Mutex mutex_;
  std::string base_ KNARR_GUARDED_BY(mutex_);
  std::string authorization_ KNARR_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<http::Client>> clients_ KNARR_GUARDED_BY(mutex_);
};

}  // namespace knarr::image
