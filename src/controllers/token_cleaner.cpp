// Bootstrap tokens go when they expire: each Secret is looked at when it changes and once more at its own end.
#include <algorithm>

#include "controllers/controller.h"
#include "knarr/apiserver/document.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"

namespace knarr::controllers {

namespace {

constexpr std::string_view kNamespace = "kube-system", kType = "bootstrap.kubernetes.io/token";
constexpr std::chrono::hours kLongestWait{24 * 30};  // then it is looked at again: far ends would not fit a timer

class TokenCleaner : public Controller {
 public:
  explicit TokenCleaner(Context context) : context_(context), publications_(*context.publications) {}

  void watch(client::WorkQueue& queue) override {
    const auto look = [&queue](const store::ObjectPtr& object) {
      if (object->key.starts_with("kube-system/") && mentions(*object, kType)) queue.add(object->key);
    };
    publications_.subscribe("secrets", {.event =
                                            [look](const auto&, const auto& event) {
                                              if (event.type != store::EventType::kDeleted) look(event.object);
                                            },
                                        .present = [look](const auto&, const auto& object) { look(object); }});
  }

  Status reconcile(const std::string& key, client::WorkQueue& queue) override {
    const auto [ns, name] = apiserver::split_key(key);
    const auto found = context_.transport.get({"", "v1", "secrets", ""}, kNamespace, name);
    if (!found.ok()) return found.status().is(reason::kNotFound) ? Status() : found.status();
    KNARR_ASSIGN(const json::Document secret, json::parse(*found));
    if (json::get_string(secret, "type") != kType) return {};
    const std::string text = base64::decode(json::get_string(secret, {"data", "expiration"})).value_or("");
    if (text.empty()) return {};  // for ever
    const auto end = parse_time(text);
    const WallTime now = context_.options.clock->wall();
    if (end.ok() && *end > now) {
      queue.add_after(key, std::min<milliseconds>(std::chrono::ceil<milliseconds>(*end - now), kLongestWait));
      return {};
    }
    client::DeleteOptions options;  // what was changed meanwhile is looked at again
    options.uid = json::get_string(secret, {"metadata", "uid"});
    options.resource_version = json::get_string(secret, {"metadata", "resourceVersion"});
    const Status gone = context_.transport.remove({"", "v1", "secrets", ""}, kNamespace, name, options).status();
    return gone.is(reason::kNotFound) || gone.is(reason::kConflict) ? Status() : gone;
  }

 private:
  Context context_;
  Publications& publications_;
};

}  // namespace

std::unique_ptr<Controller> make_token_cleaner(Context context) { return std::make_unique<TokenCleaner>(context); }

}  // namespace knarr::controllers
