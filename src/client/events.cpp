#include "knarr/client/events.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <thread>

#include "knarr/base/log.h"
#include "knarr/base/sync.h"
#include "knarr/client/typed.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"

namespace knarr::client {

namespace {

constexpr ResourceRef kEvents{"", "v1", "events", ""};
constexpr int kTries = 3;
constexpr seconds kRetryDelay{1};
constexpr size_t kMaxMessage = 1024;  // upstream's limit

struct Pending {
  EventRef about;
  std::string type, reason, message;
  WallTime time;

  // What makes two events the same.
  std::string identity() const {
    return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", about.namespace_, about.kind, about.name, about.uid,
                       about.field_path, type, reason, message);
  }
};

struct Known {
  std::string ns, name;  // of the Event
  int count = 1;
};

class Recorder : public EventRecorder {
 public:
  Recorder(std::shared_ptr<Transport> transport, Options options)
      : transport_(std::move(transport)), options_(std::move(options)) {}

  ~Recorder() override {
    {
      Lock lock(mutex_);
      stop_ = true;
      wake_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  void event(const EventRef& about, std::string_view type, std::string_view reason, std::string_view message) override {
    Pending pending{about, std::string(type), std::string(reason), std::string(message.substr(0, kMaxMessage)),
                    options_.clock->wall()};
    Lock lock(mutex_);
    if (stop_) return;
    if (queue_.size() >= options_.queue_limit) {
      if (dropped_++ == 0) log::warn("client", "events come faster than the server takes them; dropping some");
      return;
    }
    queue_.push_back(std::move(pending));
    if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
    wake_.notify_one();
  }

 private:
  void loop() {
    Lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [&]() KNARR_REQUIRES(mutex_) { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Pending pending = std::move(queue_.front());
      queue_.pop_front();
      Status status;
      for (int i = 0; i < kTries; ++i) {
        lock.unlock();
        status = write(pending);
        lock.lock();
        if (status.ok() || status.code() < 500) break;
        if (stop_) return;  // the server is away, and we are asked to go
        wake_.wait_for(lock, kRetryDelay, [&]() KNARR_REQUIRES(mutex_) { return stop_; });
      }
      if (!status.ok()) {
        log::debug("client", "an event was not recorded",
                   {{"about", pending.about.name}, {"reason", pending.reason}, {"error", status}});
      }
      dropped_ = 0;
    }
  }

  // Only the recorder's thread calls these.
  Status write(const Pending& pending) {
    std::string identity = pending.identity();
    if (auto it = known_.find(identity); it != known_.end()) {
      Known& known = it->second;
      std::string body =
          fmt::format(R"({{"count":{},"lastTimestamp":"{}","message":)", known.count + 1, format_time(pending.time));
      json::append_quoted(body, pending.message);
      body += '}';
      Status status = transport_->patch(kEvents, known.ns, known.name, kMergePatch, body).status();
      if (status.ok()) ++known.count;
      if (!status.is(reason::kNotFound)) return status;
      known_.erase(it);  // its time to live is over: a new one
    }
    if (known_.size() >= options_.remember) known_.clear();
    Known known{pending.about.namespace_.empty() ? "default" : pending.about.namespace_, event_name(pending)};
    KNARR_RETURN_IF_ERROR(transport_->create(kEvents, known.ns, known.name, event_json(pending, known)).status());
    known_.emplace(std::move(identity), std::move(known));
    return {};
  }

  std::string event_name(const Pending& pending) {
    auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(pending.time.time_since_epoch()).count();
    return fmt::format("{}.{:x}", pending.about.name, nanos + serial_++ % 1000);
  }

  std::string event_json(const Pending& pending, const Known& known) const {
    json::Document document(rapidjson::kObjectType);
    auto& alloc = document.GetAllocator();
    auto put = [&](json::Value& object, std::string_view key, std::string_view text) {
      if (!text.empty()) json::set(object, key, text, alloc);
    };
    put(document, "kind", "Event");
    put(document, "apiVersion", "v1");
    json::Value& metadata = json::ensure_object(document, {"metadata"}, alloc);
    put(metadata, "name", known.name);
    put(metadata, "namespace", known.ns);
    json::Value& object = json::ensure_object(document, {"involvedObject"}, alloc);
    const EventRef& about = pending.about;
    put(object, "kind", about.kind);
    put(object, "namespace", about.namespace_);
    put(object, "name", about.name);
    put(object, "uid", about.uid);
    put(object, "apiVersion", about.api_version);
    put(object, "resourceVersion", about.resource_version);
    put(object, "fieldPath", about.field_path);
    put(document, "reason", pending.reason);
    put(document, "message", pending.message);
    json::Value& source = json::ensure_object(document, {"source"}, alloc);
    put(source, "component", options_.component);
    put(source, "host", options_.host);
    put(document, "firstTimestamp", format_time(pending.time));
    put(document, "lastTimestamp", format_time(pending.time));
    json::set(document, "count", json::Value(known.count), alloc);
    put(document, "type", pending.type);
    put(document, "reportingComponent", options_.component);
    put(document, "reportingInstance", options_.host);
    return json::dump(document);
  }

  const std::shared_ptr<Transport> transport_;
  const Options options_;
  std::map<std::string, Known> known_;  // by identity; only the recorder's thread
  uint64_t serial_ = 0;                 // likewise
  Mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Pending> queue_ KNARR_GUARDED_BY(mutex_);
  size_t dropped_ KNARR_GUARDED_BY(mutex_) = 0;
  bool stop_ KNARR_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // started with the first event
};

}  // namespace

std::shared_ptr<EventRecorder> EventRecorder::make(std::shared_ptr<Transport> transport, Options options) {
  return std::make_shared<Recorder>(std::move(transport), std::move(options));
}

}  // namespace knarr::client
