// Events (upstream: pkg/apis/core/validation). Those of the core group are checked leniently, as old reporters wrote them long before
// there were rules; those of events.k8s.io strictly.
#include <fmt/format.h>

#include "knarr/codec/time.h"
#include "schema/go_json.h"
#include "schema/validate.h"

namespace knarr::schema::validation {

namespace {

void length_at_most(const std::string& text, size_t max, const Path& path, FieldErrors& errors) {
  if (text.size() > max) errors.invalid(path, "", fmt::format("can have at most {} characters", max));
}

void lenient(const core::Event& event, std::string_view reporter, FieldErrors& errors) {
  const std::string &ns = event.metadata.namespace_, &object_ns = event.involvedObject.namespace_;
  bool matches;
  if (event.eventTime) {
    matches = !object_ns.empty() || ns == "default" || ns == "kube-system";
  } else {
    matches = object_ns.empty() ? ns.empty() || ns == "default" : ns == object_ns;
  }
  if (!matches) errors.invalid(Path("involvedObject.namespace"), object_ns, "does not match event.namespace");
  if (event.eventTime) {
    const Path component(reporter);
    if (event.reportingComponent.empty()) errors.required(component);
    errors.invalid(component, event.reportingComponent, names::qualified_name(event.reportingComponent));
    if (event.reportingInstance.empty()) errors.required(Path("reportingInstance"));
    length_at_most(event.reportingInstance, 128, Path("reportingInstance"), errors);
    if (event.action.empty()) errors.required(Path("action"));
    length_at_most(event.action, 128, Path("action"), errors);
    if (event.reason.empty()) errors.required(Path("reason"));
    length_at_most(event.reason, 128, Path("reason"), errors);
    length_at_most(event.message, 1024, Path("message"), errors);
  }
  errors.invalid(Path("namespace"), ns, names::dns1123_subdomain(ns));
}

void series(const core::Event& event, FieldErrors& errors) {
  if (!event.series) return;
  if (event.series->count < 2) errors.invalid(Path("series.count"), "", "should be at least 2");
  if (!event.series->lastObservedTime) errors.required(Path("series.lastObservedTime"));
}

void strictly_new(const core::Event& event, FieldErrors& errors) {
  constexpr std::string_view kUnset = "needs to be unset";
  series(event, errors);
  if (!event.eventTime) errors.required(Path("eventTime"));
  if (event.type != "Normal" && event.type != "Warning") errors.invalid(Path("type"), "", fmt::format("has invalid value: {}", event.type));
  if (event.firstTimestamp) errors.invalid(Path("firstTimestamp"), "", kUnset);
  if (event.lastTimestamp) errors.invalid(Path("lastTimestamp"), "", kUnset);
  if (event.count != 0) errors.invalid(Path("count"), "", kUnset);
  if (!event.source.component.empty() || !event.source.host.empty()) errors.invalid(Path("source"), "", kUnset);
}

void strictly_changed(const core::Event& event, const core::Event& old, FieldErrors& errors) {
  if (!(event.series == old.series)) series(event, errors);
  const auto text = [&](const char* name, const std::string& now, const std::string& before) {
    if (now != before) errors.invalid(Path(name), now, kImmutable);
  };
  const auto time = [&](const char* name, const std::optional<WallTime>& now, const std::optional<WallTime>& before, bool micro) {
    if (now == before) return;
    const std::string shown = !now ? "null" : fmt::format("\"{}\"", micro ? format_micro_time(*now) : format_time(*now));
    errors.invalid_json(Path(name), shown, kImmutable);
  };
  if (!(event.involvedObject == old.involvedObject)) errors.invalid_json(Path("involvedObject"), go_json(event.involvedObject), kImmutable);
  text("reason", event.reason, old.reason);
  text("message", event.message, old.message);
  if (!(event.source == old.source)) errors.invalid_json(Path("source"), go_json(event.source), kImmutable);
  time("firstTimestamp", event.firstTimestamp, old.firstTimestamp, false);
  time("lastTimestamp", event.lastTimestamp, old.lastTimestamp, false);
  if (event.count != old.count) errors.invalid(Path("count"), event.count, kImmutable);
  text("reason", event.reason, old.reason);
  text("type", event.type, old.type);
  time("eventTime", event.eventTime, old.eventTime, true);
  text("action", event.action, old.action);
  if (!(event.related == old.related)) errors.invalid_json(Path("related"), event.related ? go_json(*event.related) : "null", kImmutable);
  text("reportingController", event.reportingComponent, old.reportingComponent);
  text("reportingInstance", event.reportingInstance, old.reportingInstance);
}

}  // namespace

void event(const core::Event& event, const core::Event* old, FieldErrors& errors) {
  lenient(event, "reportingComponent", errors);
  if (old || errors.count() == 0) object_meta(event.metadata, old ? &old->metadata : nullptr, true, names::path_segment_name, errors);
}

void event_of_events_group(const core::Event& event, const core::Event* old, FieldErrors& errors) {
  lenient(event, "reportingController", errors);
  object_meta(event.metadata, old ? &old->metadata : nullptr, true, names::dns1123_subdomain, errors);
  if (old) {
    strictly_changed(event, *old, errors);
  } else {
    strictly_new(event, errors);
  }
}

}  // namespace knarr::schema::validation
