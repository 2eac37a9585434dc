#include "knarr/client/reflector.h"

#include "client/status_json.h"
#include "knarr/base/log.h"
#include "knarr/client/typed.h"

namespace knarr::client {

namespace {
// A watch that ended sooner than this and told nothing counts as a failure, so that a server that ends them at once is
// not hammered.
constexpr seconds kWatchThatWorked{5};
}  // namespace

milliseconds Backoff::next() {
  milliseconds now = next_;
  next_ = std::min(next_ * 2, limit_);
  return now / 2 + milliseconds(random_() % (now.count() / 2 + 1));
}

Reflector::Reflector(std::shared_ptr<Transport> transport, ResourceRef resource, Options options, Sink sink)
    : transport_(std::move(transport)),
      resource_(resource),
      options_(std::move(options)),
      sink_(std::move(sink)),
      backoff_(options_.retry_base, options_.retry_limit) {}

Reflector::~Reflector() { stop(); }

void Reflector::start() {
  Lock lock(mutex_);
  if (stopped_ || timer_ != 0) return;
  timer_ = options_.timers->run_after(milliseconds(0), [this] { run(); });
}

void Reflector::stop() {
  Timers::Id timer;
  {
    Lock lock(mutex_);
    stopped_ = true;
    timer = timer_;
  }
  options_.timers->cancel(timer);
  Lock last_run(run_mutex_);
  watch_.reset();
}

void Reflector::schedule(milliseconds delay) {
  Lock lock(mutex_);
  if (stopped_) return;
  timer_ = options_.timers->run_after(delay, [this] { run(); });
}

void Reflector::run() {
  Lock one_run(run_mutex_);
  watch_.reset();
  bool need_list;
  {
    Lock lock(mutex_);
    if (stopped_) return;
    need_list = resource_version_.empty();
  }
  Status status;
  if (need_list) status = list();
  if (status.ok()) status = watch();
  Lock lock(mutex_);
  if (status.ok()) {
    if (away_) log::info("client", "the server answers again", {{"resource", resource_.plural}});
    away_ = false;
    return;
  }
  if (stopped_) return;
  if (!away_) {
    log::warn("client", "cannot follow a resource, trying again", {{"resource", resource_.plural}, {"error", status}});
  }
  away_ = true;
  if (status.code() == 410) resource_version_.clear();
  timer_ = options_.timers->run_after(backoff_.next(), [this] { run(); });
}

Status Reflector::list() {
  KNARR_ASSIGN(std::string text, transport_->list(resource_, options_.list));
  KNARR_ASSIGN(ListText parts, split_list(text));
  sink_.replace(parts.items);
  Lock lock(mutex_);
  resource_version_ = std::move(parts.resource_version);
  return {};
}

Status Reflector::watch() {
  ListOptions from = options_.list;
  {
    Lock lock(mutex_);
    from.resource_version = resource_version_;
    watch_since_ = Clock::system().mono();
  }
  KNARR_ASSIGN(watch_, transport_->watch(
                           resource_, from, [this](const WatchEvent& event) { on_event(event); },
                           [this](Status why) { on_end(why); }));
  return {};
}

void Reflector::on_event(const WatchEvent& event) {
  if (event.type == WatchEvent::Type::kError) {
    Status error = parse_status(event.object);
    log::debug("client", "a watch was ended by the server", {{"resource", resource_.plural}, {"error", error}});
    Lock lock(mutex_);
    if (error.code() == 410) resource_version_.clear();
    return;
  }
  if (event.type != WatchEvent::Type::kBookmark) sink_.change(event.type, event.object);
  std::string version = resource_version_of(event.object);
  Lock lock(mutex_);
  if (!version.empty()) resource_version_ = std::move(version);
  backoff_.reset();
}

void Reflector::on_end(const Status& why) {
  milliseconds delay{0};
  {
    Lock lock(mutex_);
    if (!why.ok()) {
      log::debug("client", "a watch ended", {{"resource", resource_.plural}, {"why", why}});
    }
    if (why.code() == 410) resource_version_.clear();
    if (Clock::system().mono() - watch_since_ < kWatchThatWorked) {
      delay = backoff_.next();
    } else {
      backoff_.reset();
    }
  }
  schedule(delay);
}

}  // namespace knarr::client
