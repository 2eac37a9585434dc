// Gets a container its image by its pull policy, without blocking: pulls run on `tasks`, one for each image, and failed
// ones are tried again with a back-off. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "agent/sources.h"
#include "agent/tasks.h"
#include "knarr/base/sync.h"
#include "knarr/image/image.h"

namespace knarr::agent {

class ImagePuller {
 public:
  // What there is to say about a pull, for the pod's events.
  struct Note {
    std::string pod_uid, container;
    bool warning;
    std::string reason, message;
  };
  // `on_note` and `on_done(pod uid)` are called on threads of `tasks` and of ask(); they do not block. The latter says:
  // ask again.
  ImagePuller(image::ImageStore& store, Sources& sources, Tasks& tasks, const Clock& clock,
              std::function<void(const Note&)> on_note, std::function<void(const std::string& pod_uid)> on_done)
      : store_(store),
        sources_(sources),
        tasks_(tasks),
        clock_(clock),
        on_note_(std::move(on_note)),
        on_done_(std::move(on_done)) {}

  struct Answer {
    std::optional<image::Image> image;  // there: go on
    std::string reason, message;  // else why the container waits (ErrImagePull, ...); both "" while a pull is under way
    std::optional<WallTime> retry;  // when to ask again
  };
  Answer ask(const core::Pod& pod, const core::Container& container);
  // The container was started: with policy Always the next start pulls again.
  void used(const std::string& pod_uid, const std::string& container);
  void forget(const std::string& pod_uid);

 private:
  struct Attempt {  // of one container to get its image
    std::string image;
    bool pulling = false;
    std::optional<image::Image> got;
    std::string reason, message;
    milliseconds delay{0};
    WallTime retry{};
    bool told_backoff = false;
  };
  using Key = std::pair<std::string, std::string>;  // pod uid, container

  void pull(const core::Pod& pod, const Key& key, const std::string& image);
  std::vector<image::RegistryAuth> credentials(const core::Pod& pod, const std::string& image);
  void note(const Key& key, bool warning, std::string reason, std::string message) const {
    on_note_({key.first, key.second, warning, std::move(reason), std::move(message)});
  }

  image::ImageStore& store_;
  Sources& sources_;
  Tasks& tasks_;
  const Clock& clock_;
  const std::function<void(const Note&)> on_note_;
  const std::function<void(const std::string&)> on_done_;
  Mutex mutex_;
  std::map<Key, Attempt> attempts_ KNARR_GUARDED_BY(mutex_);
};

// The credentials for a registry in the text of a kubernetes.io/dockerconfigjson (or dockercfg) secret.
std::optional<image::RegistryAuth> registry_auth(std::string_view docker_config, const std::string& registry);

}  // namespace knarr::agent
