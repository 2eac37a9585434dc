#include "controllers/publications.h"

#include <algorithm>

#include "knarr/base/log.h"

namespace knarr::controllers {

namespace {

constexpr size_t kEventsAtOnce = 256;
constexpr milliseconds kGathering{5};  // so that many writes in a row wake the thread up once

bool has_verb(const schema::Resource& resource, std::string_view verb) {
  return std::find(resource.verbs.begin(), resource.verbs.end(), verb) != resource.verbs.end();
}

}  // namespace

std::vector<schema::ResourceRef> stored_resources(const schema::Registry& registry) {
  std::vector<schema::ResourceRef> out;
  for (const schema::ResourceRef& resource : registry.catalog()->resources()) {
    if (!resource->storage || !has_verb(*resource, "list") || !has_verb(*resource, "delete")) continue;
    const bool seen = std::any_of(out.begin(), out.end(),
                                  [&](const auto& other) { return other->storage_name == resource->storage_name; });
    if (!seen) out.push_back(resource);
  }
  return out;
}

Publications::Publications(apiserver::Rest& rest)
    : rest_(rest), store_(rest.store()), resources_(std::make_shared<const List>()) {}

void Publications::subscribe(std::string_view resource, Handlers handlers) {
  subscribers_.emplace_back(resource, std::make_unique<Handlers>(std::move(handlers)));
}

void Publications::start() {
  if (subscribers_.empty()) return;
  follow_new();
  listener_ = store_.add_listener([this](std::span<const store::ResourceId> resources, store::Revision) {
    Lock lock(mutex_);
    const bool first = published_.empty();
    published_.insert(resources.begin(), resources.end());
    if (first) wake_.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

void Publications::stop() {
  if (!thread_.joinable()) return;
  store_.remove_listener(listener_);
  {
    Lock lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

std::shared_ptr<const Publications::List> Publications::resources() const {
  Lock lock(mutex_);
  return resources_;
}

void Publications::run() {
  for (Followed& followed : followed_) begin(followed);
  Lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&]() KNARR_REQUIRES(mutex_) { return stop_ || !published_.empty(); });
    wake_.wait_for(lock, kGathering, [&]() KNARR_REQUIRES(mutex_) { return stop_; });
    if (stop_) return;
    const std::set<store::ResourceId> published = std::exchange(published_, {});
    lock.unlock();
    const size_t before = followed_.size();
    follow_new();
    for (size_t i = before; i < followed_.size(); ++i) begin(followed_[i]);
    drain(published);
    lock.lock();
  }
}

// Takes up resources that were made since, and what is new of those that are known.
void Publications::follow_new() {
  const schema::CatalogPtr catalog = rest_.registry().catalog();
  if (!followed_.empty() && catalog->number() == catalog_) return;
  catalog_ = catalog->number();
  for (const schema::ResourceRef& resource : stored_resources(rest_.registry())) {
    if (resource->plural == "events") continue;
    const store::ResourceId id = store_.resource(resource->storage_name);
    const auto known =
        std::find_if(followed_.begin(), followed_.end(), [&](const Followed& followed) { return followed.id == id; });
    if (known != followed_.end()) {
      known->resource = resource;
      continue;
    }
    Followed& followed = followed_.emplace_back();
    followed.resource = resource;
    followed.id = id;
    for (const auto& [name, handlers] : subscribers_)
      if (name.empty() || name == resource->storage_name) followed.handlers.push_back(handlers.get());
  }
  auto list = std::make_shared<List>();
  for (const Followed& followed : followed_) list->push_back(followed);
  Lock lock(mutex_);
  resources_ = std::move(list);
}

void Publications::begin(Followed& followed) {
  auto cursor = store_.watch(followed.id, 0);
  auto listed = store_.list(followed.id, {});
  if (!cursor.ok() || !listed.ok()) {
    log::error(
        "controllers", "a resource cannot be followed",
        {{"resource", followed.resource->storage_name}, {"error", cursor.ok() ? listed.status() : cursor.status()}});
    return;
  }
  followed.cursor = std::move(*cursor);
  for (const store::ObjectPtr& object : listed->objects)
    for (const Handlers* handlers : followed.handlers)
      if (handlers->present) handlers->present(*followed.resource, object);
}

void Publications::drain(const std::set<store::ResourceId>& published) {
  for (Followed& followed : followed_) {
    if (!published.contains(followed.id) || !followed.cursor) continue;
    std::vector<store::EventPtr> events;
    do {
      events.clear();
      if (const Status status = followed.cursor->next(kEventsAtOnce, events); !status.ok()) {
        log::warn("controllers", "the store went on faster than it was followed: looking at everything again",
                  {{"resource", followed.resource->storage_name}, {"error", status}});
        begin(followed);
        break;
      }
      for (const store::EventPtr& event : events)
        for (const Handlers* handlers : followed.handlers) handlers->event(*followed.resource, *event);
    } while (events.size() == kEventsAtOnce);
  }
}

}  // namespace knarr::controllers
