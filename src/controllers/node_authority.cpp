// Tells agents of another certificate authority: a Node says by an annotation which authorities its agent has, and is
// told by another which it should have. Agents that say nothing are not ours.
#include <fmt/format.h>

#include "controllers/controller.h"
#include "knarr/codec/json.h"

namespace knarr::controllers {

namespace {

class NodeAuthority : public Controller {
 public:
  explicit NodeAuthority(Context context) : context_(context), nodes_(context.informers.of<Node>()) {}

  void watch(client::WorkQueue& queue) override {
    const auto tell = [this](const auto&) {
      const auto* authority = context_.options.ca;
      if (authority && authority->turning_back()) context_.options.node_followed();
    };
    const auto look = [this, &queue, tell](const std::shared_ptr<const Node>& node) {
      if (is_behind(*node)) queue.add(node->metadata.name);
      tell(node);
    };
    nodes_->add_handlers(
        {.add = look, .update = [look](const auto&, const auto& node) { look(node); }, .remove = tell});
  }

  void authority_changed(client::WorkQueue& queue) override {
    for (const auto& node : nodes_->list())
      if (is_behind(*node)) queue.add(node->metadata.name);
  }

  Status reconcile(const std::string& key, client::WorkQueue&) override {
    const auto node = nodes_->get(key);
    if (!node || !is_behind(*node)) return {};
    json::Document patch(rapidjson::kObjectType);
    auto& alloc = patch.GetAllocator();
    json::set(json::ensure_object(patch, {"metadata", "annotations"}, alloc), auth::kAuthorityWanted, wanted(), alloc);
    const Status status =
        context_.transport.patch({"", "v1", "nodes", ""}, "", key, client::kMergePatch, json::dump(patch)).status();
    return status.is(reason::kNotFound) ? Status() : status;
  }

 private:
  std::string wanted() const { return auth::authority_id(context_.options.trusted_ca()); }

  // It has others than it should, and was not told of these yet.
  bool is_behind(const Node& node) const {
    const auto annotation = [&](std::string_view name) {
      const auto it = node.metadata.annotations.find(std::string(name));
      return it == node.metadata.annotations.end() ? std::string() : it->second;
    };
    const std::string held = annotation(auth::kAuthorityHeld);
    if (held.empty()) return false;
    const std::string want = wanted();
    return held != want && annotation(auth::kAuthorityWanted) != want;
  }

  Context context_;
  std::shared_ptr<client::Informer<Node>> nodes_;
};

}  // namespace

std::unique_ptr<Controller> make_node_authority_controller(Context context) {
  return std::make_unique<NodeAuthority>(context);
}

}  // namespace knarr::controllers
