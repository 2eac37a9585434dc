// Keeps an IPAddress for each cluster address of a service, and none for an address that no service has any more. Those that others made
// are left alone.
#include <fmt/format.h>

#include <algorithm>

#include "controllers/controller.h"
#include "knarr/apiserver/document.h"
#include "knarr/client/inprocess.h"

namespace knarr::controllers {

namespace {

using json::Document;
using json::Value;

constexpr std::string_view kServices = "services", kAddresses = "ipaddresses.networking.k8s.io";
constexpr std::string_view kManaged = "ipaddress.kubernetes.io/managed-by", kAllocator = "ipallocator.k8s.io";
constexpr client::ResourceRef kAddressRef{"networking.k8s.io", "v1", "ipaddresses", ""};

std::vector<std::string> addresses_of(const Value& service) {
  std::vector<std::string> out;
  const Value* list = json::find(service, {"spec", "clusterIPs"});
  if (!list || !list->IsArray()) return out;
  for (const Value& address : list->GetArray())
    if (address.IsString() && json::view(address) != "None" && !json::view(address).empty()) out.emplace_back(json::view(address));
  return out;
}

// "namespace/name" of the service that an address of ours is for; "" for addresses of others.
std::string service_of(const Value& address) {
  if (json::get_string(address, {"metadata", "labels", kManaged}) != kAllocator) return "";
  const Value* parent = json::find(address, {"spec", "parentRef"});
  if (!parent || json::get_string(*parent, "resource") != kServices) return "";
  return apiserver::object_key(json::get_string(*parent, "namespace"), json::get_string(*parent, "name"));
}

class IpAddressController : public Controller {
 public:
  explicit IpAddressController(Context context)
      : store_(context.options.rest->store()),
        transport_(client::make_inprocess_transport(*context.options.rest, auth::internal_user("apiserver"))),  // whose they are upstream
        publications_(*context.publications) {}

  void watch(client::WorkQueue& queue) override {
    const auto add_service = [&queue](const store::Object& service) { queue.add(fmt::format("{}:{}", kServices, service.key)); };
    const auto add_addresses = [&queue](const store::Object& service) {
      const auto document = json::parse(service.value);
      if (!document.ok()) return;
      for (const std::string& address : addresses_of(*document)) queue.add(fmt::format("{}:{}", kAddresses, address));
    };
    publications_.subscribe(kServices, {.event =
                                            [=](const auto&, const auto& event) {
                                              if (event.type == store::EventType::kDeleted) return add_addresses(*event.object);
                                              add_service(*event.object);
                                              if (event.previous) add_addresses(*event.previous);
                                            },
                                        .present = [=](const auto&, const auto& object) { add_service(*object); }});
    publications_.subscribe(kAddresses, {.event =
                                             [&queue](const auto&, const auto& event) {
                                               if (event.type != store::EventType::kDeleted) return;
                                               const auto document = json::parse(event.object->value);
                                               const std::string service = document.ok() ? service_of(*document) : "";
                                               if (!service.empty()) queue.add(fmt::format("{}:{}", kServices, service));
                                             },
                                         .present =
                                             [&queue](const auto&, const auto& object) {
                                               queue.add(fmt::format("{}:{}", kAddresses, apiserver::split_key(object->key).second));
                                             }});
  }

  Status reconcile(const std::string& key, client::WorkQueue&) override {
    const size_t colon = key.find(':');
    const std::string_view resource = std::string_view(key).substr(0, colon);
    return resource == kServices ? ensure(key.substr(colon + 1)) : release(key.substr(colon + 1));
  }

 private:
  std::optional<Document> load(std::string_view resource, std::string_view key) const {
    const store::ObjectPtr object = store_.get(store_.resource(resource), key);
    if (!object) return std::nullopt;
    auto document = json::parse(object->value);
    return document.ok() ? std::optional<Document>(std::move(*document)) : std::nullopt;
  }

  Status ensure(const std::string& service_key) {
    const auto service = load(kServices, service_key);
    if (!service) return {};
    const auto [ns, name] = apiserver::split_key(service_key);
    for (const std::string& address : addresses_of(*service)) {
      if (const auto present = load(kAddresses, apiserver::object_key("", address))) {
        const std::string owner = service_of(*present);
        if (owner.empty() || owner == service_key) continue;
        KNARR_RETURN_IF_ERROR(remove(address));  // of a service that had it before
      }
      Status made =
          transport_
              ->create(kAddressRef, "", address,
                      fmt::format(R"({{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{{"name":"{}","labels":)"
                                  R"({{"ipaddress.kubernetes.io/ip-family":"{}","{}":"{}"}}}},)"
                                  R"("spec":{{"parentRef":{{"resource":"services","namespace":"{}","name":"{}"}}}}}})",
                                  address, address.find(':') == address.npos ? "IPv4" : "IPv6", kManaged, kAllocator, ns, name))
              .status();
      if (!made.ok() && !made.is(reason::kAlreadyExists)) return made.with_context("record the address of service " + service_key);
    }
    return {};
  }

  Status release(const std::string& address) {
    const auto object = load(kAddresses, apiserver::object_key("", address));
    const std::string service_key = object ? service_of(*object) : "";
    if (service_key.empty()) return {};
    if (const auto service = load(kServices, service_key)) {
      const auto kept = addresses_of(*service);
      if (std::find(kept.begin(), kept.end(), address) != kept.end()) return {};
    }
    return remove(address);
  }

  Status remove(const std::string& address) {
    const Status removed = transport_->remove(kAddressRef, "", address, {}).status();
    return removed.is(reason::kNotFound) ? Status() : removed;
  }

  store::Store& store_;
  std::shared_ptr<client::Transport> transport_;
  Publications& publications_;
};

}  // namespace

std::unique_ptr<Controller> make_ip_address_controller(Context context) { return std::make_unique<IpAddressController>(context); }

}  // namespace knarr::controllers
