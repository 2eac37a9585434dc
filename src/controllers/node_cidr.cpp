#include "controllers/node_cidr.h"

#include <arpa/inet.h>

#include <cstdlib>

#include "controllers/controller.h"

namespace knarr::controllers {

std::optional<std::string> next_node_cidr(const std::string& cluster_cidr, const std::set<std::string>& taken) {
  auto slash = cluster_cidr.find('/');
  in_addr address{};
  if (slash == std::string::npos || inet_pton(AF_INET, cluster_cidr.substr(0, slash).c_str(), &address) != 1) return {};
  int length = std::atoi(cluster_cidr.c_str() + slash + 1);
  if (length < 1 || length > 24) return {};
  uint32_t base = ntohl(address.s_addr) & ~((uint64_t{1} << (32 - length)) - 1);
  for (uint32_t i = 0; i < 1U << (24 - length); ++i) {
    in_addr network{htonl(base + (i << 8))};
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &network, text, sizeof text);
    std::string cidr = std::string(text) + "/24";
    if (!taken.contains(cidr)) return cidr;
  }
  return {};
}

namespace {

// Gives each node a /24 of the cluster's addresses for its pods.
class NodeCidrController : public Controller {
 public:
  explicit NodeCidrController(Context context) : context_(context), nodes_(context.informers.of<Node>()) {}

  void watch(client::WorkQueue& queue) override {
    auto look_at = [&queue](const auto& node) {
      if (node->spec.podCIDR.empty()) queue.add(node->metadata.name);
    };
    nodes_->add_handlers(
        {.add = look_at, .update = [look_at](const auto&, const auto& node) { look_at(node); }, .remove = {}});
  }

  Status reconcile(const std::string& key, client::WorkQueue&) override {
    // From the truth, not from the copy, which may not show what the last call gave away.
    KNARR_ASSIGN(auto nodes, client::Typed<Node>(context_.options.transport).list());
    std::set<std::string> taken;
    bool wanted = false;
    for (const Node& node : nodes.items) {
      if (!node.spec.podCIDR.empty()) taken.insert(node.spec.podCIDR);
      wanted |= node.metadata.name == key && node.spec.podCIDR.empty();
    }
    if (!wanted) return {};
    auto cidr = next_node_cidr(context_.options.cluster_cidr, taken);
    if (!cidr)
      return internal_error(
          fmt::format("cluster CIDR {} has no /24 left for node {}", context_.options.cluster_cidr, key));
    std::string patch = fmt::format(R"({{"spec":{{"podCIDR":"{0}","podCIDRs":["{0}"]}}}})", *cidr);
    Status status = context_.transport.patch({"", "v1", "nodes", ""}, "", key, client::kMergePatch, patch).status();
    return status.is(reason::kNotFound) ? Status() : status;
  }

 private:
  Context context_;
  std::shared_ptr<client::Informer<Node>> nodes_;
};

}  // namespace

std::unique_ptr<Controller> make_node_cidr_controller(Context context) {
  return std::make_unique<NodeCidrController>(context);
}

}  // namespace knarr::controllers
