#include "agent/image_puller.h"

#include <fmt/format.h>

#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"

namespace knarr::agent {

namespace {

constexpr milliseconds kFirstDelay{10'000}, kLongestDelay{300'000};

// registry-1.docker.io and its other names are one registry, as for Docker.
std::string canonical_registry(std::string_view name) {
  for (std::string_view scheme : {"https://", "http://"}) {
    if (name.starts_with(scheme)) name.remove_prefix(scheme.size());
  }
  std::string host(name.substr(0, name.find('/')));
  if (host == "index.docker.io" || host == "registry-1.docker.io") return "docker.io";
  return host;
}

std::string seconds_text(std::chrono::microseconds took) {
  return fmt::format("{:.3f}s", std::chrono::duration<double>(took).count());
}

}  // namespace

std::optional<image::RegistryAuth> registry_auth(std::string_view docker_config, const std::string& registry) {
  auto document = json::parse(docker_config);
  if (!document.ok() || !document->IsObject()) return {};
  const json::Value* auths = json::find(*document, "auths");
  if (!auths) auths = &*document;  // the older dockercfg has no such level
  if (!auths->IsObject()) return {};
  for (const auto& entry : auths->GetObject()) {
    if (canonical_registry(json::view(entry.name)) != canonical_registry(registry)) continue;
    image::RegistryAuth auth{std::string(json::get_string(entry.value, "username")),
                             std::string(json::get_string(entry.value, "password"))};
    if (auth.username.empty()) {
      std::string decoded = base64::decode(json::get_string(entry.value, "auth")).value_or("");
      auto colon = decoded.find(':');
      if (colon == std::string::npos) continue;
      auth = {decoded.substr(0, colon), decoded.substr(colon + 1)};
    }
    return auth;
  }
  return {};
}

ImagePuller::Answer ImagePuller::ask(const core::Pod& pod, const core::Container& container) {
  Key key{pod.metadata.uid, container.name};
  const std::string& name = container.image;
  WallTime now = clock_.wall();
  Lock lock(mutex_);
  Attempt& attempt = attempts_[key];
  if (attempt.image != name) {
    attempt = {};
    attempt.image = name;
  }
  if (attempt.pulling) return {};
  if (attempt.got) return {attempt.got, {}, {}, {}};

  auto reference = image::Reference::parse(name);
  if (!reference.ok()) {
    std::string message = fmt::format(
        "Failed to apply default image tag \"{}\": couldn't parse image name \"{}\": invalid reference format", name,
        name);
    if (attempt.reason.empty()) note(key, true, "InspectFailed", message);
    attempt.reason = "InvalidImageName";
    return {{}, attempt.reason, message, now + kLongestDelay};
  }
  if (container.imagePullPolicy != "Always") {
    if (auto image = store_.find(name)) {
      attempt.got = std::move(image);
      note(key, false, "Pulled",
           fmt::format("Container image \"{}\" already present on machine and can be accessed by the pod", name));
      return {attempt.got, {}, {}, {}};
    }
    if (container.imagePullPolicy == "Never") {
      std::string message = fmt::format("Container image \"{}\" is not present with pull policy of Never", name);
      if (attempt.reason.empty()) note(key, true, "ErrImageNeverPull", message);
      attempt.reason = "ErrImageNeverPull";
      return {{}, attempt.reason, message, now + seconds(30)};
    }
  }
  if (attempt.retry > now) {
    if (attempt.reason == "ErrImagePull") {  // said once, then it is a back-off
      attempt.reason = "ImagePullBackOff";
      attempt.message = fmt::format("Back-off pulling image \"{}\": ErrImagePull: {}", name, attempt.message);
    }
    if (!attempt.told_backoff) note(key, false, "BackOff", fmt::format("Back-off pulling image \"{}\"", name));
    attempt.told_backoff = true;
    return {{}, attempt.reason, attempt.message, attempt.retry};
  }
  attempt.pulling = true;
  attempt.told_backoff = false;
  std::string reason = attempt.reason, message = attempt.message;
  note(key, false, "Pulling", fmt::format("Pulling image \"{}\"", name));
  tasks_.submit([this, pod, key, name] { pull(pod, key, name); });
  return {{}, std::move(reason), std::move(message), {}};
}

void ImagePuller::pull(const core::Pod& pod, const Key& key, const std::string& name) {
  WallTime began = clock_.wall();
  Result<image::Image> image = unavailable("not tried");
  for (auto& auth : credentials(pod, name)) {
    image::PullOptions options;
    if (!auth.username.empty()) options.auth = auth;
    image = store_.pull(name, options);
    if (image.ok()) break;
  }
  WallTime now = clock_.wall();
  {
    Lock lock(mutex_);
    auto it = attempts_.find(key);
    if (it == attempts_.end() || it->second.image != name) return;
    Attempt& attempt = it->second;
    attempt.pulling = false;
    if (image.ok()) {
      attempt.got = *image;
      attempt.reason.clear();
      attempt.delay = milliseconds(0);
    } else {
      attempt.reason = "ErrImagePull";
      attempt.message = fmt::format("failed to pull image \"{}\": {}", name, image.status().message());
      attempt.delay = attempt.delay.count() == 0 ? kFirstDelay : std::min(attempt.delay * 2, kLongestDelay);
      attempt.retry = now + attempt.delay;
    }
  }
  if (image.ok()) {
    std::string took = seconds_text(now - began);
    note(key, false, "Pulled",
         fmt::format("Successfully pulled image \"{}\" in {} ({} including waiting). Image size: {} bytes.", name, took,
                     took, image->size_bytes));
  } else {
    note(key, true, "Failed", fmt::format("Failed to pull image \"{}\": {}", name, image.status().message()));
    note(key, true, "Failed", "Error: ErrImagePull");
  }
  on_done_(key.first);
}

std::vector<image::RegistryAuth> ImagePuller::credentials(const core::Pod& pod, const std::string& name) {
  std::vector<image::RegistryAuth> found;
  auto reference = image::Reference::parse(name);
  for (const auto& ref : pod.spec.imagePullSecrets) {
    auto secret = sources_.secret(pod.metadata.namespace_, ref.name, seconds(60));
    if (!secret.ok() || !reference.ok()) continue;
    for (const char* entry : {".dockerconfigjson", ".dockercfg"}) {
      auto it = (*secret)->data.find(entry);
      if (it == (*secret)->data.end()) continue;
      if (auto auth = registry_auth(it->second, reference->registry)) found.push_back(std::move(*auth));
    }
  }
  found.emplace_back();  // and then without any
  return found;
}

void ImagePuller::used(const std::string& pod_uid, const std::string& container) {
  Lock lock(mutex_);
  auto it = attempts_.find({pod_uid, container});
  if (it != attempts_.end() && !it->second.pulling) attempts_.erase(it);
}

void ImagePuller::forget(const std::string& pod_uid) {
  Lock lock(mutex_);
  std::erase_if(attempts_, [&](const auto& entry) { return entry.first.first == pod_uid; });
}

}  // namespace knarr::agent
