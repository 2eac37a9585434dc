#include <fmt/format.h>

#include <random>

#include "knarr/codec/json.h"
#include "knarr/schema/custom.h"
#include "rest_impl.h"
#include "selection.h"

namespace knarr::apiserver {

namespace {

using std::chrono::seconds;

constexpr seconds kBookmarkInterval{60};
constexpr seconds kBookmarkBeforeEnd{2};  // the last one: who watches again goes on from there
constexpr int64_t kMinTimeout = 1800;  // a watch without timeoutSeconds ends at random within 30 to 60 minutes

// What Go writes of an object that nobody filled: the members that are never left out. Behind others, if there are any.
void append_empty(std::string& out, const schema::Type& type) {
  for (const schema::Field& field : type.fields) {
    if (field.name == "kind" || field.name == "apiVersion" || field.name == "metadata" || field.pointer) continue;
    if (field.omit_empty && field.shape != schema::Shape::kObject) continue;
    if (out.back() != '{') out += ',';
    json::append_quoted(out, field.name);
    switch (field.shape) {
      case schema::Shape::kObject:
        append_empty(out += ":{", *field.type);
        out += '}';
        break;
      case schema::Shape::kString:
        out += ":\"\"";
        break;
      case schema::Shape::kQuantity:
        out += ":\"0\"";
        break;
      case schema::Shape::kBool:
        out += ":false";
        break;
      case schema::Shape::kInt32:
      case schema::Shape::kInt64:
      case schema::Shape::kDouble:
      case schema::Shape::kIntOrString:
        out += ":0";
        break;
      default:
        out += ":null";
    }
  }
}

class WatchImpl final : public Watch {
 public:
  WatchImpl(const Clock& clock, const schema::Registry& registry, schema::ResourceRef resource,
            store::ResourceId topic, Selection selection)
      : clock_(clock),
        resource_(std::move(resource)),
        present_(registry, *resource_),
        topic_(topic),
        selection_(std::move(selection)) {}

  bool next(size_t max, std::vector<WatchItem>& out) override;
  bool idle() const override { return idle_; }
  MonoTime deadline() const override { return bookmarks_ ? std::min(end_, next_bookmark_) : end_; }
  store::ResourceId topic() const override { return topic_; }

  void set_timeout(std::optional<int64_t> timeout) {
    int64_t wait = timeout.value_or(0);
    if (wait <= 0) wait = kMinTimeout + static_cast<int64_t>(random_number() % kMinTimeout);
    end_ = clock_.mono() + seconds(wait);
  }
  void set_bookmarks(bool on) {
    bookmarks_ = on;
    plan_bookmark(clock_.mono());
  }
  // Begins with the state as ADDED events, then (where wanted) the bookmark that says so.
  void set_initial(store::ListResult state, bool mark_end) {
    initial_ = std::move(state.objects);
    skip_until_ = state.revision;
    mark_initial_end_ = mark_end && bookmarks_;
  }
  void skip_until(store::Revision revision) { skip_until_ = revision; }
  void set_cursor(std::unique_ptr<store::Cursor> cursor) { cursor_ = std::move(cursor); }
  void fail(Status status) { failure_ = std::move(status); }

 private:
  // Every minute, and shortly before the end; a watch that ends sooner than that has none.
  void plan_bookmark(MonoTime now) {
    next_bookmark_ = std::min(now + kBookmarkInterval, end_ - kBookmarkBeforeEnd);
    if (next_bookmark_ <= now) next_bookmark_ = end_ + kBookmarkInterval;
  }
  void deliver(const store::Event& event, std::vector<WatchItem>& out) const;
  WatchItem bookmark(store::Revision revision, bool initial_end) const;

  const Clock& clock_;
  const schema::ResourceRef resource_;
  const Presenter present_;
  const store::ResourceId topic_;
  const Selection selection_;
  std::unique_ptr<store::Cursor> cursor_;
  std::vector<store::ObjectPtr> initial_;
  size_t initial_done_ = 0;
  store::Revision skip_until_ = 0;  // events up to here are in the initial state
  bool mark_initial_end_ = false, bookmarks_ = false, idle_ = false, over_ = false;
  MonoTime end_{}, next_bookmark_{};
  Status failure_;
};

WatchItem WatchImpl::bookmark(store::Revision revision, bool initial_end) const {
  std::string body = object_prefix(*resource_);
  body += fmt::format("\"metadata\":{{\"resourceVersion\":\"{}\"", revision);
  if (initial_end) body += R"(,"annotations":{"k8s.io/initial-events-end":"true"})";
  body += '}';
  if (!resource_->custom) append_empty(body, *resource_->type);
  body += '}';
  return {WatchType::kBookmark, nullptr, std::move(body)};
}

// What a watcher with a selector sees of a change: objects begin and cease to match.
void WatchImpl::deliver(const store::Event& event, std::vector<WatchItem>& out) const {
  const bool now = event.type != store::EventType::kDeleted && selection_.matches(*event.object);
  bool before = false;
  if (event.previous) {
    before = selection_.matches(*event.previous);
  } else if (event.type != store::EventType::kAdded) {
    before = true;  // unknown, from before a restart: a needless DELETED or MODIFIED does no harm, a missing one does
    if (event.type == store::EventType::kDeleted) before = selection_.matches(*event.object);
  }
  if (now) {
    out.push_back({before ? WatchType::kModified : WatchType::kAdded, present_(event.object), {}});
  } else if (before) {
    WatchItem item{WatchType::kDeleted, present_(event.object), {}};
    if (event.type != store::EventType::kDeleted && event.previous)
      item.body = with_revision(*present_(event.previous), event.revision());
    out.push_back(std::move(item));
  }
}

bool WatchImpl::next(size_t max, std::vector<WatchItem>& out) {
  idle_ = false;
  if (over_) return false;
  if (!failure_.ok()) {
    out.push_back({WatchType::kError, nullptr, status_json(failure_)});
    over_ = true;
    return false;
  }
  size_t room = max;
  for (; initial_done_ < initial_.size() && room > 0; ++initial_done_, --room) {
    out.push_back({WatchType::kAdded, present_(std::move(initial_[initial_done_])), {}});
  }
  if (initial_done_ < initial_.size()) return true;
  if (!initial_.empty()) {
    initial_ = {};
    initial_done_ = 0;
  }
  if (mark_initial_end_) {
    mark_initial_end_ = false;
    out.push_back(bookmark(skip_until_, true));
  }
  size_t told = 0;
  if (room > 0) {
    thread_local std::vector<store::EventPtr> events;  // one for thousands of watches
    events.clear();
    Status status = cursor_->next(room, events);
    for (const auto& event : events)
      if (event->revision() > skip_until_) deliver(*event, out);
    told = events.size();
    events.clear();
    if (!status.ok()) {
      fail(status.code() == 410 ? expired_error("too old resource version: the watch fell behind") : std::move(status));
      return true;
    }
  }
  idle_ = told < room;
  if (idle_ && resource_->custom && resource_->custom->retired()) {  // clients look again at what is served now
    over_ = true;
    return false;
  }
  const MonoTime now = clock_.mono();
  if (idle_ && now >= end_) {
    over_ = true;
    return false;
  }
  if (idle_ && bookmarks_ && now >= next_bookmark_) {
    out.push_back(bookmark(std::max(cursor_->position(), skip_until_), false));
    plan_bookmark(now);
  }
  return true;
}

}  // namespace

std::string_view to_string(WatchType type) {
  switch (type) {
    case WatchType::kAdded:
      return "ADDED";
    case WatchType::kModified:
      return "MODIFIED";
    case WatchType::kDeleted:
      return "DELETED";
    case WatchType::kBookmark:
      return "BOOKMARK";
    case WatchType::kError:
      return "ERROR";
  }
  return "";
}

Result<std::unique_ptr<Watch>> make_watch(const Rest::Impl& rest, const Target& target, const ListParams& params) {
  KNARR_RETURN_IF_ERROR(validate_list_params(params, true));
  KNARR_ASSIGN(Selection selection, Selection::make(target, params));
  const store::ResourceId id = rest.id(*target.resource);
  const bool legacy = params.resource_version.empty() || params.resource_version == "0";
  store::Revision since = 0;
  bool future = false;  // then nothing is told until that revision has come, as upstream does
  if (!legacy) {
    const auto parsed = parse_revision(params.resource_version);
    if (!parsed.ok()) return late_revision_error(parsed.status());
    since = *parsed;
    future = since > rest.store->revision();
  }
  const bool initial = params.send_initial_events.value_or(legacy);

  auto watch = std::make_unique<WatchImpl>(*rest.clock, rest.registry, target.resource, id, selection);
  watch->set_timeout(params.timeout_seconds);
  watch->set_bookmarks(params.allow_watch_bookmarks);
  if (future && params.send_initial_events.value_or(false)) {
    watch->fail(too_large_revision_error(since, rest.store->revision(), true));
    return std::unique_ptr<Watch>(std::move(watch));
  }
  // The cursor comes first, so that no event falls between the state and the stream.
  auto cursor = rest.store->watch(id, initial || legacy || future ? 0 : since);
  if (!cursor.ok()) {
    if (cursor.status().code() != 410) return cursor.status();
    watch->fail(
        expired_error(fmt::format("too old resource version: {} ({})", since, rest.store->compacted_revision())));
    return std::unique_ptr<Watch>(std::move(watch));
  }
  watch->set_cursor(std::move(*cursor));
  if (future) watch->skip_until(since);
  if (initial) {
    store::ListOptions options;
    options.prefix = selection.prefix();
    options.labels = selection.exact_labels();
    KNARR_ASSIGN(auto state, rest.store->list(id, options));
    if (!selection.everything())
      std::erase_if(state.objects, [&](const store::ObjectPtr& object) { return !selection.matches(*object); });
    watch->set_initial(std::move(state), true);
  }
  return std::unique_ptr<Watch>(std::move(watch));
}

}  // namespace knarr::apiserver
