#include "knarr/client/inprocess.h"

#include <condition_variable>
#include <map>
#include <set>
#include <thread>

#include "knarr/base/sync.h"
#include "knarr/codec/json.h"

namespace knarr::client {

namespace {

using apiserver::Answer;
using apiserver::Rest;
using apiserver::WatchItem;
using apiserver::WatchType;

constexpr size_t kBatch = 256;  // items of one watch before the next one has its turn

WatchEvent::Type event_type(WatchType type) {
  switch (type) {
    case WatchType::kAdded:
      return WatchEvent::Type::kAdded;
    case WatchType::kModified:
      return WatchEvent::Type::kModified;
    case WatchType::kDeleted:
      return WatchEvent::Type::kDeleted;
    case WatchType::kBookmark:
      return WatchEvent::Type::kBookmark;
    case WatchType::kError:
      return WatchEvent::Type::kError;
  }
  return WatchEvent::Type::kError;
}

// One watch: its stream and its callbacks. `running` and `stopped` are the hub's.
struct Running {
  std::unique_ptr<apiserver::Watch> watch;
  std::function<void(const WatchEvent&)> on_event;
  std::function<void(Status)> on_end;
  bool running = false;
  bool stopped = false;
  bool dirty = true;  // may have something to hand out
};

// Serves all watches of a transport on one thread, which sleeps until the store publishes or a deadline comes.
class WatchHub {
 public:
  explicit WatchHub(Rest& rest) : rest_(rest) {
    listener_ = rest_.store().add_listener(
        [this](std::span<const store::ResourceId> resources, store::Revision) { published(resources); });
    thread_ = std::thread([this] { run(); });
  }
  ~WatchHub() {
    rest_.store().remove_listener(listener_);
    {
      Lock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void add(const std::shared_ptr<Running>& watch) {
    {
      Lock lock(mutex_);
      watches_.insert(watch);
    }
    changed_.notify_all();
  }

  // Afterwards no callback of the watch runs, unless this is called by that callback itself.
  void remove(const std::shared_ptr<Running>& watch) {
    Lock lock(mutex_);
    watch->stopped = true;
    watches_.erase(watch);
    if (std::this_thread::get_id() == thread_.get_id()) return;
    idle_.wait(lock, [&]() KNARR_REQUIRES(mutex_) { return !watch->running; });
  }

 private:
  void published(std::span<const store::ResourceId> resources) {
    bool any = false;
    {
      Lock lock(mutex_);
      for (const auto& watch : watches_)
        for (const store::ResourceId id : resources)
          if (watch->watch->topic() == id) any = watch->dirty = true;
    }
    if (any) changed_.notify_all();
  }

  // The next watch with something to do, marked as running; null when there is none until `until`.
  std::shared_ptr<Running> take(MonoTime& until) KNARR_REQUIRES(mutex_) {
    const MonoTime now = rest_.clock().mono();
    until = MonoTime::max();
    for (const auto& watch : watches_) {
      if (watch->dirty || watch->watch->deadline() <= now) {
        watch->running = true;
        watch->dirty = false;
        return watch;
      }
      until = std::min(until, watch->watch->deadline());
    }
    return nullptr;
  }

  void run() {
    Lock lock(mutex_);
    while (!stopping_) {
      MonoTime until;
      const std::shared_ptr<Running> watch = take(until);
      if (!watch) {
        if (until == MonoTime::max()) {
          changed_.wait(lock);
        } else {
          changed_.wait_until(lock, until);
        }
        continue;
      }
      lock.unlock();
      const bool goes_on = serve(*watch);
      lock.lock();
      watch->running = false;
      if (!goes_on) watches_.erase(watch);
      idle_.notify_all();
    }
  }

  // One turn of a watch, without the lock: callbacks may call the API, and stop watches. False: it is over.
  bool serve(Running& watch) {
    std::vector<WatchItem> items;
    const bool goes_on = watch.watch->next(kBatch, items);
    Status error;
    for (const WatchItem& item : items) {
      if (stopped(watch)) return false;
      if (item.type == WatchType::kError) error = status_of(item.bytes());
      watch.on_event({event_type(item.type), item.bytes()});
    }
    if (stopped(watch)) return false;
    if (!goes_on) {
      watch.on_end(std::move(error));
      return false;
    }
    if (!watch.watch->idle()) {
      Lock lock(mutex_);
      watch.dirty = true;
    }
    return true;
  }

  bool stopped(const Running& watch) {
    Lock lock(mutex_);
    return watch.stopped || stopping_;
  }

  static Status status_of(std::string_view text) {
    const auto document = json::parse(text);
    if (!document.ok()) return internal_error("the watch ended with an error that cannot be read");
    return Status(static_cast<int>(json::get_int(*document, "code", 500)), json::get_string(*document, "reason"),
                  std::string(json::get_string(*document, "message")));
  }

  Rest& rest_;
  uint64_t listener_ = 0;
  Mutex mutex_;
  std::condition_variable_any changed_, idle_;
  std::set<std::shared_ptr<Running>> watches_ KNARR_GUARDED_BY(mutex_);
  bool stopping_ KNARR_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

class Handle final : public WatchHandle {
 public:
  Handle(std::shared_ptr<WatchHub> hub, std::shared_ptr<Running> watch)
      : hub_(std::move(hub)), watch_(std::move(watch)) {}
  ~Handle() override { hub_->remove(watch_); }

 private:
  std::shared_ptr<WatchHub> hub_;
  std::shared_ptr<Running> watch_;
};

// The parts of the control plane are known by upstream's names to those who read managedFields.
std::string manager_of(std::string_view user) {
  const std::string_view component = user.substr(user.rfind(':') + 1);
  if (component == "controllers") return "kube-controller-manager";
  if (component == "apiserver") return "kube-apiserver";
  if (component == "scheduler") return "kube-scheduler";
  return std::string(component);
}

class InProcessTransport final : public Transport {
 public:
  InProcessTransport(Rest& rest, auth::UserInfo user)
      : rest_(rest), user_(std::move(user)), manager_(manager_of(user_.name)), hub_(std::make_shared<WatchHub>(rest)) {}

  Result<std::string> get(const ResourceRef& ref, std::string_view ns, std::string_view name) override {
    KNARR_ASSIGN(const apiserver::Target target, target_of(ref, ns, name));
    auto context = this->context();
    return text_of(rest_.get(context, target));
  }

  Result<std::string> list(const ResourceRef& ref, const ListOptions& options) override {
    KNARR_ASSIGN(const apiserver::Target target, target_of(ref, options.namespace_, ""));
    auto context = this->context();
    KNARR_ASSIGN(const apiserver::ListAnswer answer, rest_.list(context, target, params_of(options)));
    return answer.to_json();
  }

  Result<std::string> create(const ResourceRef& ref, std::string_view ns, std::string_view name,
                             std::string_view body) override {
    KNARR_ASSIGN(const apiserver::Target target, target_of(ref, ns, name));
    auto context = this->context();
    return text_of(rest_.create(context, target, body));
  }

  Result<std::string> update(const ResourceRef& ref, std::string_view ns, std::string_view name,
                             std::string_view body) override {
    KNARR_ASSIGN(const apiserver::Target target, target_of(ref, ns, name));
    auto context = this->context();
    return text_of(rest_.update(context, target, body));
  }

  Result<std::string> patch(const ResourceRef& ref, std::string_view ns, std::string_view name,
                            std::string_view content_type, std::string_view body) override {
    KNARR_ASSIGN(const apiserver::Target target, target_of(ref, ns, name));
    auto context = this->context();
    return text_of(rest_.patch(context, target, content_type, body));
  }

  Result<std::string> remove(const ResourceRef& ref, std::string_view ns, std::string_view name,
                             const DeleteOptions& options) override {
    KNARR_ASSIGN(const apiserver::Target target, target_of(ref, ns, name));
    apiserver::DeleteParams params;
    params.grace_period_seconds = options.grace_period_seconds;
    const auto take = [](std::optional<std::string>& to, const std::string& value) {
      if (!value.empty()) to = value;
    };
    take(params.uid, options.uid);
    take(params.resource_version, options.resource_version);
    take(params.propagation_policy, options.propagation_policy);
    auto context = this->context();
    return text_of(rest_.remove(context, target, params));
  }

  Result<std::unique_ptr<WatchHandle>> watch(const ResourceRef& ref, const ListOptions& options,
                                             std::function<void(const WatchEvent&)> on_event,
                                             std::function<void(Status)> on_end) override {
    KNARR_ASSIGN(const apiserver::Target target, target_of(ref, options.namespace_, ""));
    apiserver::ListParams params = params_of(options);
    params.allow_watch_bookmarks = true;
    auto context = this->context();
    KNARR_ASSIGN(auto stream, rest_.watch(context, target, params));
    auto running = std::make_shared<Running>();
    running->watch = std::move(stream);
    running->on_event = std::move(on_event);
    running->on_end = std::move(on_end);
    auto handle = std::make_unique<Handle>(hub_, running);
    hub_->add(running);
    return std::unique_ptr<WatchHandle>(std::move(handle));
  }

 private:
  apiserver::RequestContext context() const {
    apiserver::RequestContext context;
    context.user = user_;
    context.field_manager = manager_;
    return context;
  }

  Result<apiserver::Target> target_of(const ResourceRef& ref, std::string_view ns, std::string_view name) const {
    const schema::ResourceRef resource = rest_.registry().find(ref.group, ref.version, ref.plural);
    if (!resource) return not_found("the server could not find the requested resource");
    return apiserver::Target{resource, ref.subresource, resource->namespaced ? ns : std::string_view(), name};
  }

  static apiserver::ListParams params_of(const ListOptions& options) {
    apiserver::ListParams params;
    params.label_selector = options.label_selector;
    params.field_selector = options.field_selector;
    params.resource_version = options.resource_version;
    return params;
  }

  static Result<std::string> text_of(Result<Answer> answer) {
    if (!answer.ok()) return answer.status();
    if (answer->object) return answer->object->value;
    return std::move(answer->body);
  }

  Rest& rest_;
  const auth::UserInfo user_;
  const std::string manager_;  // in managedFields
  const std::shared_ptr<WatchHub> hub_;
};

}  // namespace

std::shared_ptr<Transport> make_inprocess_transport(apiserver::Rest& rest, auth::UserInfo user) {
  return std::make_shared<InProcessTransport>(rest, std::move(user));
}

}  // namespace knarr::client
