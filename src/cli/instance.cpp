#include "cli/instance.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "knarr/codec/json.h"
#include "knarr/codec/yaml.h"

namespace knarr::cli {

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

std::string random_hex(size_t digits) {
  std::vector<unsigned char> bytes((digits + 1) / 2);
  while (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
  }
  std::string text;
  for (unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  text.resize(digits);
  return text;
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  std::string lower;
  for (char* c = name; *c; ++c) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  return lower.empty() ? "knarr" : lower;
}

std::vector<std::string> own_addresses() {
  std::vector<std::string> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  for (ifaddrs* i = list; i; i = i->ifa_next) {
    if (!i->ifa_addr || (i->ifa_flags & IFF_LOOPBACK) || std::string_view(i->ifa_name).starts_with("kn-")) continue;
    char text[INET6_ADDRSTRLEN];
    if (i->ifa_addr->sa_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr, text, sizeof text);
      addresses.emplace_back(text);
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      auto& address = reinterpret_cast<sockaddr_in6*>(i->ifa_addr)->sin6_addr;
      if (IN6_IS_ADDR_LINKLOCAL(&address)) continue;
      inet_ntop(AF_INET6, &address, text, sizeof text);
      addresses.emplace_back(text);
    }
  }
  freeifaddrs(list);
  return addresses;
}

Result<std::string> keep_in_file(const std::string& path, int mode, const std::function<Result<std::string>()>& make) {
  if (access(path.c_str(), F_OK) == 0) {
    KNARR_ASSIGN(std::string text, linux::read_file(path));
    text = trimmed(std::move(text));
    if (!text.empty()) return text;
  }
  KNARR_ASSIGN(std::string text, make());
  KNARR_RETURN_IF_ERROR(linux::replace_file(path, text + "\n", mode));
  return text;
}

Result<Instance> Instance::open(const Options& options) {
  Instance instance;
  std::error_code error;
  instance.data_dir = std::filesystem::absolute(options.text("data-dir"), error).lexically_normal().string();
  if (instance.data_dir.ends_with('/')) instance.data_dir.pop_back();
  KNARR_RETURN_IF_ERROR(linux::make_directories(instance.data_dir, 0755));
  KNARR_ASSIGN(instance.id,
               keep_in_file(instance.data_dir + "/instance", 0644, [] { return Result<std::string>(random_hex(6)); }));
  return instance;
}

Result<Instance> Instance::existing(const Options& options) {
  const std::string& data_dir = options.text("data-dir");
  if (access(data_dir.c_str(), F_OK) != 0) {
    return not_found(fmt::format("there is no data directory {}; is knarr installed here? (--data-dir chooses another)", data_dir));
  }
  return open(options);
}

Result<std::string> server_url(const std::string& kubeconfig) {
  KNARR_ASSIGN(std::string text, linux::read_file(kubeconfig));
  KNARR_ASSIGN(json::Document document, yaml::parse(text));
  const json::Value* clusters = json::find(document, "clusters");
  if (!clusters || !clusters->IsArray() || clusters->Empty()) return bad_request(kubeconfig + ": there is no cluster in it");
  std::string url(json::get_string((*clusters)[0], {"cluster", "server"}));
  if (url.empty()) return bad_request(kubeconfig + ": its cluster has no server");
  return url;
}

Result<http::ClientOptions> admin_access(const Instance& instance, const Options& options) {
  const std::string file =
      options.text("kubeconfig").empty() ? instance.data_dir + "/kubeconfig" : options.text("kubeconfig");
  if (access(file.c_str(), F_OK) != 0) {
    return not_found(fmt::format("there is no {}: this is done where the server runs (--data-dir chooses another)", file));
  }
  KNARR_ASSIGN(std::string url, server_url(file));
  return http::ClientOptions{.url = std::move(url),
                             .ca_file = instance.pki() + "/ca.crt",
                             .certificate_file = instance.pki() + "/admin.crt",
                             .key_file = instance.pki() + "/admin.key"};
}

Result<linux::UniqueFd> lock_instance(const Instance& instance, std::string_view name, bool wait) {
  std::string path = fmt::format("{}/{}.lock", instance.data_dir, name);
  linux::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return errno_status(errno, "open " + path);
  if (flock(fd.get(), LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
    if (errno != EWOULDBLOCK) return errno_status(errno, "lock " + path);
    auto holder = linux::read_file(path);
    return Status(
        409, reason::kConflict,
        fmt::format("another knarr {} (pid {}) runs with data directory {}; stop it, or choose another --data-dir",
                    name, trimmed(holder.value_or("?")), instance.data_dir));
  }
  std::string pid = fmt::format("{}\n", getpid());
  if (ftruncate(fd.get(), 0) != 0 || pwrite(fd.get(), pid.data(), pid.size(), 0) < 0)
    return errno_status(errno, "write " + path);
  return fd;
}

}  // namespace knarr::cli
