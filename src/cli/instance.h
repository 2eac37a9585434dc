// What a data directory holds and what follows from it: the one place that knows its file names, for server, agent and
// uninstall.
#pragma once

#include <string>

#include "knarr/base/result.h"
#include "knarr/cli/options.h"
#include "knarr/http/client.h"
#include "knarr/linux/fd.h"
#include "knarr/linux/tree.h"

namespace knarr::cli {

struct Instance {
  std::string data_dir;
  std::string id;  // six hex digits, made at first start: names bridges and rules, so that instances do not meet

  std::string pki() const { return data_dir + "/pki"; }
  std::string database() const { return data_dir + "/db/knarr.db"; }
  std::string agent() const { return data_dir + "/agent"; }  // the agent's certificates
  std::string images() const { return data_dir + "/images"; }
  std::string run() const { return data_dir + "/run"; }
  std::string network() const { return data_dir + "/network"; }
  std::string token_file() const { return data_dir + "/token"; }

  // Makes the directory and its id where they are missing.
  static Result<Instance> open(const Options& options);
  // The same for commands about what is there already. Error: there is no such directory.
  static Result<Instance> existing(const Options& options);
};

// Holds <data-dir>/<name>.lock until destroyed. Conflict when another process does, with its pid.
Result<linux::UniqueFd> lock_instance(const Instance& instance, std::string_view name, bool wait);

// The file's trimmed content, or what `make` answers, which is then kept in the file.
Result<std::string> keep_in_file(const std::string& path, int mode, const std::function<Result<std::string>()>& make);

// The server's address as a kubeconfig says it.
Result<std::string> server_url(const std::string& kubeconfig);

// How this machine's administrator reaches its server: the address of --kubeconfig (or of <data-dir>/kubeconfig), the
// credentials of <data-dir>/pki. NotFound: no server ran with this data directory.
Result<http::ClientOptions> admin_access(const Instance& instance, const Options& options);

std::string trimmed(std::string text);  // without white space at its end, as files of one line have it
std::string random_hex(size_t digits);
std::string host_name();
// This machine's own addresses, without those of pods' and containers' bridges.
std::vector<std::string> own_addresses();

}  // namespace knarr::cli
