// Keeps the FlowSchemas and PriorityLevelConfigurations that every cluster has, and says of each FlowSchema whether its level
// exists (upstream: registry/flowcontrol/ensurer, and the status that util/flowcontrol writes).
#include <fmt/format.h>

#include <algorithm>

#include "controllers/controller.h"
#include "knarr/codec/json.h"
#include "knarr/schema/flow_defaults.h"

namespace knarr::controllers {

namespace flowcontrol = api::flowcontrol::v1;

namespace {

using flowcontrol::FlowSchema;
using flowcontrol::PriorityLevelConfiguration;

constexpr std::string_view kAutoUpdate = "apf.kubernetes.io/autoupdate-spec";
constexpr std::string_view kSchemas = "flowschemas.flowcontrol.apiserver.k8s.io",
                           kLevels = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io";
constexpr std::string_view kApply = "application/apply-patch+yaml";

std::optional<bool> auto_update(const api::meta::v1::ObjectMeta& meta) {
  const auto found = meta.annotations.find(std::string(kAutoUpdate));
  if (found == meta.annotations.end()) return {};
  const std::string& text = found->second;
  for (const char* yes : {"1", "t", "T", "TRUE", "true", "True"})
    if (text == yes) return true;
  for (const char* no : {"0", "f", "F", "FALSE", "false", "False"})
    if (text == no) return false;
  return {};
}

bool has_spec_of(const FlowSchema& object, const FlowSchema& wanted) { return object.spec == wanted.spec; }

// What the level without limits lends is an administrator's to set.
bool has_spec_of(const PriorityLevelConfiguration& object, const PriorityLevelConfiguration& wanted) {
  if (wanted.metadata.name != "exempt") return object.spec == wanted.spec;
  auto spec = object.spec;
  if (!spec.exempt) return false;
  spec.exempt = wanted.spec.exempt;
  return spec == wanted.spec;
}

// All of them are looked at together: they are few and seldom change.
class FlowConfiguration : public Controller {
 public:
  explicit FlowConfiguration(Context context)
      : clock_(*context.options.clock), rest_(*context.options.rest), publications_(*context.publications) {
    producer_.user = consumer_.user = auth::internal_user("flow-configuration");
    producer_.field_manager = "api-priority-and-fairness-config-producer-v1";
    consumer_.field_manager = "api-priority-and-fairness-config-consumer-v1";
    consumer_.force = true;
  }

  void watch(client::WorkQueue& queue) override {
    for (const std::string_view storage : {kSchemas, kLevels}) {
      publications_.subscribe(storage, {.event = [&queue](const auto&, const auto&) { queue.add("all"); },
                                        .present = [&queue](const auto&, const store::ObjectPtr&) { queue.add("all"); }});
    }
    queue.add("all");
  }

  Status reconcile(const std::string&, client::WorkQueue&) override {
    KNARR_ASSIGN(const auto levels, read_all<PriorityLevelConfiguration>(kLevels));
    KNARR_ASSIGN(const auto schemas, read_all<FlowSchema>(kSchemas));
    KNARR_RETURN_IF_ERROR(keep_defaults(levels, schema::default_priority_levels()));
    KNARR_RETURN_IF_ERROR(keep_defaults(schemas, schema::default_flow_schemas()));
    // What was made just now comes back as an event.
    for (const FlowSchema& schema : schemas) {
      const std::string& wanted = schema.spec.priorityLevelConfiguration.name;
      const bool found = std::any_of(levels.begin(), levels.end(), [&](const auto& level) { return level.metadata.name == wanted; });
      KNARR_RETURN_IF_ERROR(tell_dangling(schema, found));
    }
    return {};
  }

 private:
  template <typename T>
  static const schema::Resource* resource_of() {
    return schema::find_resource(T::kGroup, T::kVersion, T::kPlural);
  }

  template <typename T>
  Result<std::vector<T>> read_all(std::string_view storage) {
    store::Store& store = rest_.store();
    KNARR_ASSIGN(const store::ListResult listed, store.list(store.resource(storage), {}));
    std::vector<T> out;
    for (const store::ObjectPtr& object : listed.objects) {
      KNARR_ASSIGN(T decoded, api::decode_as<T>(object->value));
      out.push_back(std::move(decoded));
    }
    return out;
  }

  template <typename T>
  Status keep_defaults(const std::vector<T>& existing, std::span<const schema::FlowDefault<T>> defaults) {
    for (const auto& wanted : defaults) {
      const std::string& name = wanted.object.metadata.name;
      const auto found = std::find_if(existing.begin(), existing.end(), [&](const T& object) { return object.metadata.name == name; });
      Status status;
      if (found == existing.end()) {
        status = rest_.create(producer_, {resource_of<T>(), "", "", ""}, api::encode(wanted.object)).status();
        if (status.is(reason::kAlreadyExists)) continue;
      } else {
        status = mend(*found, wanted);
        if (status.is(reason::kConflict) || status.is(reason::kNotFound)) continue;  // it changed: there will be an event
      }
      if (!status.ok()) return status.with_context(fmt::format("default {} {}", T::kPlural, name));
    }
    for (const T& object : existing) {
      const bool known = std::any_of(defaults.begin(), defaults.end(),
                                     [&](const auto& wanted) { return wanted.object.metadata.name == object.metadata.name; });
      if (known || auto_update(object.metadata) != true) continue;
      const Status status = rest_.remove(producer_, {resource_of<T>(), "", "", object.metadata.name}, {}).status();
      if (!status.ok() && !status.is(reason::kNotFound)) return status;
    }
    return {};
  }

  // Suggested ones that nobody changed, or that are annotated so, follow the defaults; mandatory ones always.
  template <typename T>
  Status mend(const T& object, const schema::FlowDefault<T>& wanted) {
    const auto annotated = auto_update(object.metadata);
    const bool follows = wanted.mandatory || annotated.value_or(object.metadata.generation == 1);
    const bool other = follows && !has_spec_of(object, wanted.object);
    if (annotated == follows && !other) return {};
    T mended = object;
    if (other) mended.spec = wanted.object.spec;
    mended.metadata.annotations[std::string(kAutoUpdate)] = follows ? "true" : "false";
    return rest_.update(producer_, {resource_of<T>(), "", "", object.metadata.name}, api::encode(mended)).status();
  }

  Status tell_dangling(const FlowSchema& schema, bool found) {
    const std::string message =
        fmt::format("This FlowSchema references the PriorityLevelConfiguration object named \"{}\" {}",
                    schema.spec.priorityLevelConfiguration.name, found ? "and it exists" : "but there is no such object");
    const std::string_view status = found ? "False" : "True", reason = found ? "Found" : "NotFound";
    for (const auto& condition : schema.status.conditions)
      if (condition.type == "Dangling" && condition.status == status && condition.reason == reason && condition.message == message) return {};
    FlowSchema patch;
    patch.metadata.name = schema.metadata.name;
    patch.status.conditions.push_back({"Dangling", std::string(status), clock_.wall(), std::string(reason), message});
    json::Document body = *json::parse(api::encode(patch));
    json::remove(body, "spec");  // not what an apply of the status is about
    const Status done =
        rest_.patch(consumer_, {resource_of<FlowSchema>(), "status", "", schema.metadata.name}, kApply, json::dump(body)).status();
    return done.is(reason::kNotFound) ? Status() : done;
  }

  const Clock& clock_;
  apiserver::Rest& rest_;
  Publications& publications_;
  apiserver::RequestContext producer_, consumer_;
};

}  // namespace

std::unique_ptr<Controller> make_flow_configuration_controller(Context context) {
  return std::make_unique<FlowConfiguration>(context);
}

}  // namespace knarr::controllers
