// Defaults, minimums, maximums and ratios of what containers, pods and claims may ask for, as the LimitRanges of their
// namespace say.
#include <array>

#include "admission/plugins.h"
#include "admission/pod_resources.h"

namespace knarr::admission {

namespace {

constexpr std::string_view kAnnotation = "kubernetes.io/limit-ranger";

// Both sides of what something asks for.
struct Asked {
  Amounts requests, limits;
};

// Amounts in thousandths where all of them are small enough for that.
std::array<int64_t, 3> comparable(const Quantity& request, const Quantity& limit, const Quantity& enforced) {
  constexpr int64_t kMaxMilli = INT64_MAX / 1000;
  if (request.value() <= kMaxMilli && limit.value() <= kMaxMilli && enforced.value() <= kMaxMilli)
    return {request.milli_value(), limit.milli_value(), enforced.milli_value()};
  return {request.value(), limit.value(), enforced.value()};
}

class Checker {
 public:
  Checker(std::string_view type, std::vector<std::string>& problems) : type_(type), problems_(problems) {}

  void check(const Value& limit, const Asked& asked) {
    for (const auto& [name, enforced] : amounts_of(json::find(limit, "min"))) minimum(name, enforced, asked);
    for (const auto& [name, enforced] : amounts_of(json::find(limit, "max"))) maximum(name, enforced, asked);
    for (const auto& [name, enforced] : amounts_of(json::find(limit, "maxLimitRequestRatio")))
      ratio(name, enforced, asked);
  }

  // Of claims only requests count.
  void check_requests(const Value& limit, const Amounts& requests) {
    for (const auto& [name, enforced] : amounts_of(json::find(limit, "min"))) minimum(name, enforced, {requests, {}});
    for (const auto& [name, enforced] : amounts_of(json::find(limit, "max"))) {
      const Quantity* request = find(requests, name);
      const auto [asked, none, most] = comparable(request ? *request : Quantity(), Quantity(), enforced);
      if (!request) {
        say("maximum {} usage per {} is {}.  No request is specified", name, enforced);
      } else if (asked > most) {
        say("maximum {} usage per {} is {}, but request is {}", name, enforced, *request);
      }
    }
  }

 private:
  static const Quantity* find(const Amounts& amounts, std::string_view name) {
    const auto it = amounts.find(name);
    return it == amounts.end() ? nullptr : &it->second;
  }

  template <typename... Rest>
  void say(fmt::string_view format, std::string_view name, const Quantity& enforced, const Rest&... rest) {
    problems_.push_back(fmt::format(fmt::runtime(format), name, type_, enforced.to_string(), rest.to_string()...));
  }

  void minimum(std::string_view name, const Quantity& enforced, const Asked& asked) {
    const Quantity *request = find(asked.requests, name), *limit = find(asked.limits, name);
    const auto [requested, limited, least] =
        comparable(request ? *request : Quantity(), limit ? *limit : Quantity(), enforced);
    if (!request) {
      say("minimum {} usage per {} is {}.  No request is specified", name, enforced);
    } else if (requested < least) {
      say("minimum {} usage per {} is {}, but request is {}", name, enforced, *request);
    } else if (limit && limited < least) {
      say("minimum {} usage per {} is {}, but limit is {}", name, enforced, *limit);
    }
  }

  void maximum(std::string_view name, const Quantity& enforced, const Asked& asked) {
    const Quantity *request = find(asked.requests, name), *limit = find(asked.limits, name);
    const auto [requested, limited, most] =
        comparable(request ? *request : Quantity(), limit ? *limit : Quantity(), enforced);
    if (!limit) {
      say("maximum {} usage per {} is {}.  No limit is specified", name, enforced);
    } else if (limited > most) {
      say("maximum {} usage per {} is {}, but limit is {}", name, enforced, *limit);
    } else if (request && requested > most) {
      say("maximum {} usage per {} is {}, but request is {}", name, enforced, *request);
    }
  }

  void ratio(std::string_view name, const Quantity& enforced, const Asked& asked) {
    const Quantity *request = find(asked.requests, name), *limit = find(asked.limits, name);
    const auto [requested, limited, unused] =
        comparable(request ? *request : Quantity(), limit ? *limit : Quantity(), enforced);
    if (requested == 0) {
      problems_.push_back(
          fmt::format("{} max limit to request ratio per {} is {}, but no request is specified or request is 0", name,
                      type_, enforced.to_string()));
    } else if (limited == 0) {
      problems_.push_back(
          fmt::format("{} max limit to request ratio per {} is {}, but no limit is specified or limit is 0", name,
                      type_, enforced.to_string()));
    } else if (const double actual = static_cast<double>(limited) / static_cast<double>(requested);
               actual > enforced.to_double()) {
      problems_.push_back(fmt::format("{} max limit to request ratio per {} is {}, but provided ratio is {:f}", name,
                                      type_, enforced.to_string(), actual));
    }
  }

  const std::string_view type_;
  std::vector<std::string>& problems_;
};

class LimitRanger : public AdmissionPlugin {
 public:
  explicit LimitRanger(store::Store& store) : store_(store), ranges_(store.resource("limitranges")) {}
  std::string_view name() const override { return "LimitRanger"; }

  Status admit(AdmissionRequest& request) override {
    if (!concerns(request) || request.resource->storage_name != "pods") return Status::OK();
    for (const Document& range : ranges_of(request.ns)) set_defaults(range, *request.object);
    return Status::OK();
  }

  Status validate(const AdmissionRequest& request) override {
    if (!concerns(request)) return Status::OK();
    for (const Document& range : ranges_of(request.ns)) {
      std::vector<std::string> problems;
      for_each_limit(range, [&](std::string_view type, const Value& limit) {
        if (request.resource->storage_name == "pods") {
          check_pod(type, limit, *request.object, problems);
        } else if (type == "PersistentVolumeClaim") {
          Checker(type, problems)
              .check_requests(limit, amounts_of(json::find(*request.object, {"spec", "resources", "requests"})));
        }
      });
      if (!problems.empty()) return refuse(request, aggregate(problems));
    }
    return Status::OK();
  }

 private:
  bool concerns(const AdmissionRequest& request) const {
    if (!request.object || store_.count(ranges_) == 0) return false;
    if (request.operation != Operation::kCreate && request.operation != Operation::kUpdate) return false;
    if (request.old && apiserver::is_deleting(*request.old)) return false;
    if (request.resource->storage_name == "pods")
      return request.operation == Operation::kCreate ? request.subresource.empty() : request.subresource == "resize";
    return is_about(request, "persistentvolumeclaims");
  }

  std::vector<Document> ranges_of(std::string_view ns) const {
    std::vector<Document> out;
    const auto listed = store_.list(ranges_, {.prefix = std::string(ns) + "/"});
    if (!listed.ok()) return out;
    for (const store::ObjectPtr& object : listed->objects)
      if (auto range = json::parse(object->value); range.ok()) out.push_back(std::move(*range));
    return out;
  }

  template <typename F>
  static void for_each_limit(const Document& range, F visit) {
    const Value* limits = json::find(range, {"spec", "limits"});
    if (!limits || !limits->IsArray()) return;
    for (const Value& limit : limits->GetArray()) visit(json::get_string(limit, "type"), limit);
  }

  static void check_pod(std::string_view type, const Value& limit, const Value& pod,
                        std::vector<std::string>& problems) {
    Checker checker(type, problems);
    if (type == "Container") {
      for (std::string_view list : {"containers", "initContainers"}) {
        const Value* containers = json::find(pod, {"spec", list});
        if (!containers || !containers->IsArray()) continue;
        for (const Value& container : containers->GetArray())
          checker.check(limit, {amounts_of(json::find(container, {"resources", "requests"})),
                                amounts_of(json::find(container, {"resources", "limits"}))});
      }
    } else if (type == "Pod") {
      checker.check(
          limit, {pod_amounts(pod, "requests", {.overhead = false}), pod_amounts(pod, "limits", {.overhead = false})});
    }
  }

  static void set_defaults(const Document& range, Document& pod) {
    Amounts requests, limits;
    for_each_limit(range, [&](std::string_view type, const Value& limit) {
      if (type != "Container") return;
      for (const auto& [name, amount] : amounts_of(json::find(limit, "defaultRequest")))
        requests.insert_or_assign(name, amount);
      for (const auto& [name, amount] : amounts_of(json::find(limit, "default"))) limits.insert_or_assign(name, amount);
    });
    auto& alloc = pod.GetAllocator();
    std::vector<std::string> notes;
    // The names that were missing.
    const auto fill = [&](Value& container, std::string_view side, const Amounts& defaults) {
      std::vector<std::string> set;
      for (const auto& [name, amount] : defaults) {
        Value& list = json::ensure_object(container, {"resources", side}, alloc);
        if (json::find(list, name)) continue;
        json::set(list, name, amount.to_string(), alloc);
        set.push_back(name);
      }
      return set;
    };
    const auto note = [&](const std::vector<std::string>& set, std::string_view what, const Value& container) {
      if (!set.empty())
        notes.push_back(fmt::format("{} {} {}", fmt::join(set, ", "), what, json::get_string(container, "name")));
    };
    for (const auto& [list, kind] :
         {std::pair("containers", "container"), std::pair("initContainers", "init container")}) {
      Value* containers = json::find(pod, {"spec", list});
      if (!containers || !containers->IsArray()) continue;
      for (Value& container : containers->GetArray()) {
        const auto set_limits = fill(container, "limits", limits), set_requests = fill(container, "requests", requests);
        note(set_requests, fmt::format("request for {}", kind), container);
        note(set_limits, fmt::format("limit for {}", kind), container);
      }
    }
    if (notes.empty()) return;
    json::set(json::ensure_object(pod, {"metadata", "annotations"}, alloc), kAnnotation,
              fmt::format("LimitRanger plugin set: {}", fmt::join(notes, "; ")), alloc);
  }

  store::Store& store_;
  const store::ResourceId ranges_;
};

}  // namespace

PluginPtr make_limit_ranger(store::Store& store) { return std::make_unique<LimitRanger>(store); }

}  // namespace knarr::admission
