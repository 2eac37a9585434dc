#include "knarr/apiserver/node_proxy.h"

#include <fmt/format.h>

#include <map>

#include "knarr/base/sync.h"

namespace knarr::apiserver {

namespace {

class DirectNodeProxy : public NodeProxy {
 public:
  explicit DirectNodeProxy(http::ClientOptions base) : base_(std::move(base)) {}

  Result<std::shared_ptr<http::Client>> client(const NodeAddress& address) override {
    const bool v6 = address.host.find(':') != std::string::npos;
    const std::string url = v6 ? fmt::format("https://[{}]:{}", address.host, address.port)
                               : fmt::format("https://{}:{}", address.host, address.port);
    Lock lock(mutex_);
    auto& client = clients_[address.node];
    if (client.url == url) return client.client;
    http::ClientOptions options = base_;
    options.url = url;
    options.server_name = address.node;  // its certificate names the node, whose address may change
    KNARR_ASSIGN(auto made, http::Client::make(std::move(options)));
    client = {url, std::move(made)};
    return client.client;
  }

  Status reload_tls() override {
    Lock lock(mutex_);
    for (const auto& [node, entry] : clients_)
      if (entry.client) KNARR_RETURN_IF_ERROR(entry.client->reload_tls());
    return {};
  }

 private:
  struct Entry {
    std::string url;
    std::shared_ptr<http::Client> client;
  };
  const http::ClientOptions base_;
  Mutex mutex_;
  std::map<std::string, Entry> clients_ KNARR_GUARDED_BY(mutex_);  // by node: a node that moves replaces its old one
};

}  // namespace

std::shared_ptr<NodeProxy> make_direct_node_proxy(http::ClientOptions base) {
  return std::make_shared<DirectNodeProxy>(std::move(base));
}

}  // namespace knarr::apiserver
