// ServiceCIDRs: says which are ready, and keeps those that are deleted as long as addresses of services would be left without a network.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/controller.h"
#include "knarr/apiserver/document.h"
#include "knarr/client/inprocess.h"
#include "knarr/codec/prefix.h"
#include "knarr/codec/time.h"

namespace knarr::controllers {

namespace {

using json::Document;
using json::Value;

constexpr std::string_view kNetworks = "servicecidrs.networking.k8s.io", kAddresses = "ipaddresses.networking.k8s.io";
constexpr client::ResourceRef kNetworkRef{"networking.k8s.io", "v1", "servicecidrs", ""}, kStatusRef{"networking.k8s.io", "v1", "servicecidrs", "status"};
constexpr std::string_view kFinalizer = "networking.k8s.io/service-cidr-finalizer";
constexpr std::string_view kManaged = "ipaddress.kubernetes.io/managed-by", kAllocator = "ipallocator.k8s.io";
constexpr seconds kGrace{10};  // for services that are being given an address while the network is deleted

struct Network {
  std::string name;
  std::vector<Prefix> prefixes;

  bool contains(const Prefix::Address& address) const {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const Prefix& p) { return p.contains(address); });
  }
  bool contains(const Prefix& other) const {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const Prefix& p) { return p.contains(other); });
  }
};

class ServiceCidrController : public Controller {
 public:
  explicit ServiceCidrController(Context context)
      : store_(context.options.rest->store()),
        transport_(client::make_inprocess_transport(*context.options.rest, auth::internal_user("service-cidr-controller"))),
        publications_(*context.publications),
        clock_(*context.options.clock) {}

  void watch(client::WorkQueue& queue) override {
    // What one network may do depends on all others; there are few.
    const auto add_all = [this, &queue] {
      for (const Network& network : networks()) queue.add(network.name);
    };
    publications_.subscribe(kNetworks, {.event =
                                            [=, &queue](const auto&, const auto& event) {
                                              // All but the changes of a status, which are our own.
                                              const bool spec = event.type != store::EventType::kModified || seems_deleting(*event.object);
                                              if (spec) return add_all();
                                              queue.add(event.object->key);
                                            },
                                        .present = [&queue](const auto&, const auto& object) { queue.add(object->key); }});
    publications_.subscribe(kAddresses, {.event =
                                             [=](const auto&, const auto& event) {
                                               if (event.type == store::EventType::kDeleted) add_all();
                                             },
                                         .present = [](const auto&, const auto&) {}});
  }

  Status reconcile(const std::string& name, client::WorkQueue& queue) override {
    const store::ObjectPtr object = store_.get(store_.resource(kNetworks), name);
    if (!object) return {};
    KNARR_ASSIGN(const Document network, json::parse(object->value));
    const std::string_view deleted = json::get_string(network, {"metadata", "deletionTimestamp"});
    if (deleted.empty()) {
      if (!has_finalizer(network))
        KNARR_RETURN_IF_ERROR(patch(kNetworkRef, name, fmt::format(R"({{"metadata":{{"finalizers":["{}"]}}}})", kFinalizer)));
      return set_ready(network, name, true, "", "Kubernetes Service CIDR is ready");
    }
    if (!has_finalizer(network)) return {};
    if (!may_go(name)) {
      return set_ready(network, name, false, "Terminating",
                       "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR");
    }
    const auto since = parse_time(deleted);
    const auto left = since.ok() ? kGrace - (clock_.wall() - *since) : WallTime::duration::zero();
    if (left > WallTime::duration::zero()) {
      queue.add_after(name, std::chrono::ceil<milliseconds>(left));
      return {};
    }
    return patch(kNetworkRef, name, fmt::format(R"({{"metadata":{{"$deleteFromPrimitiveList/finalizers":["{}"]}}}})", kFinalizer));
  }

 private:
  std::vector<Network> networks() const {
    std::vector<Network> out;
    const auto listed = store_.list(store_.resource(kNetworks), {});
    if (!listed.ok()) return out;
    for (const store::ObjectPtr& object : listed->objects) {
      Network network{object->key, {}};
      const auto document = json::parse(object->value);
      const Value* cidrs = document.ok() ? json::find(*document, {"spec", "cidrs"}) : nullptr;
      if (cidrs && cidrs->IsArray())
        for (const Value& cidr : cidrs->GetArray())
          if (auto prefix = cidr.IsString() ? Prefix::parse(json::view(cidr)) : std::nullopt) network.prefixes.push_back(std::move(*prefix));
      out.push_back(std::move(network));
    }
    return out;
  }

  // Every network in it is part of another one, or no address of a service is in it alone.
  bool may_go(const std::string& name) const {
    const std::vector<Network> all = networks();
    const auto own = std::find_if(all.begin(), all.end(), [&](const Network& n) { return n.name == name; });
    if (own == all.end()) return true;
    const auto elsewhere = [&](const auto& what) {
      return std::any_of(all.begin(), all.end(), [&](const Network& n) { return n.name != name && n.contains(what); });
    };
    if (std::all_of(own->prefixes.begin(), own->prefixes.end(), elsewhere)) return true;
    const auto addresses = store_.list(store_.resource(kAddresses), {});
    if (!addresses.ok()) return false;
    return std::none_of(addresses->objects.begin(), addresses->objects.end(), [&](const store::ObjectPtr& object) {
      const auto address = Prefix::parse_address(object->key);
      return address && own->contains(*address) && is_of_service(*object) && !elsewhere(*address);
    });
  }

  static bool is_of_service(const store::Object& object) {
    const auto document = json::parse(object.value);
    return document.ok() && json::get_string(*document, {"metadata", "labels", kManaged}) == kAllocator;
  }

  static bool has_finalizer(const Value& network) {
    const Value* list = json::find(network, {"metadata", "finalizers"});
    return list && list->IsArray() &&
           std::any_of(list->Begin(), list->End(), [](const Value& f) { return f.IsString() && json::view(f) == kFinalizer; });
  }

  Status set_ready(const Value& network, const std::string& name, bool ready, std::string_view reason, std::string_view message) {
    const std::string_view status = ready ? "True" : "False";
    const Value* conditions = json::find(network, {"status", "conditions"});
    if (conditions && conditions->IsArray())
      for (const Value& condition : conditions->GetArray())
        if (json::get_string(condition, "type") == "Ready" && json::get_string(condition, "status") == status &&
            json::get_string(condition, "reason") == reason && json::get_string(condition, "message") == message)
          return {};
    return patch(kStatusRef, name,
                 fmt::format(R"({{"status":{{"conditions":[{{"type":"Ready","status":"{}","reason":"{}","message":"{}","lastTransitionTime":"{}"}}]}}}})",
                             status, reason, message, format_time(clock_.wall())));
  }

  Status patch(const client::ResourceRef& resource, const std::string& name, const std::string& body) {
    const Status done = transport_->patch(resource, "", name, "application/strategic-merge-patch+json", body).status();
    return done.is(reason::kNotFound) ? Status() : done;
  }

  store::Store& store_;
  std::shared_ptr<client::Transport> transport_;
  Publications& publications_;
  const Clock& clock_;
};

}  // namespace

std::unique_ptr<Controller> make_service_cidr_controller(Context context) { return std::make_unique<ServiceCidrController>(context); }

}  // namespace knarr::controllers
