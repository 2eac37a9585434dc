// Rows of services, endpoints, ingresses and policies.
#include <fmt/format.h>

#include <set>

#include "schema/documents.h"
#include "schema/print.h"

namespace knarr::schema::printing {

namespace {

using json::Value;

// Addresses and names of a load balancer, sorted.
std::string balancer_text(const Value& object) {
  std::set<std::string> points;
  for (const Value& point : items(child(child(object, "status"), "loadBalancer"), "ingress")) {
    std::string_view text = json::get_string(point, "ip");
    if (text.empty()) text = json::get_string(point, "hostname");
    if (!text.empty()) points.emplace(text);
  }
  return fmt::format("{}", fmt::join(points, ","));
}

std::string external_text(const Value& service) {
  const Value& spec = child(service, "spec");
  const std::string_view type = json::get_string(spec, "type");
  const Value* list = json::find(spec, "externalIPs");
  const std::string addresses = list != nullptr ? joined(*list) : "";
  if (type == "ClusterIP" || type == "NodePort") return addresses.empty() ? "<none>" : addresses;
  if (type == "ExternalName") return std::string(json::get_string(spec, "externalName"));
  if (type != "LoadBalancer") return "<unknown>";
  const std::string balancer = balancer_text(service);
  if (balancer.empty() && addresses.empty()) return "<pending>";
  return balancer.empty() || addresses.empty() ? balancer + addresses : balancer + "," + addresses;
}

std::string ports_text(const Value& service) {
  std::vector<std::string> ports;
  for (const Value& port : items(child(service, "spec"), "ports")) {
    const int64_t node_port = json::get_int(port, "nodePort");
    ports.push_back(fmt::format("{}{}/{}", json::get_int(port, "port"),
                                node_port > 0 ? fmt::format(":{}", node_port) : "",
                                json::get_string(port, "protocol")));
  }
  return fmt::format("{}", fmt::join(ports, ","));
}

void print_service(const Value& service, Row& row) {
  const Value& spec = child(service, "spec");
  const auto addresses = items(spec, "clusterIPs");
  row.name(service);
  row.text(json::get_string(spec, "type"));
  row.text(addresses.Empty() || !addresses[0].IsString() ? "<none>" : json::view(addresses[0]));
  row.text(external_text(service));
  row.text(ports_text(service), "<none>");
  row.age(service);
  row.text(labels_text(json::find(spec, "selector")));
}

// host:port, with brackets around what has colons.
std::string host_port(std::string_view host, int64_t port) {
  return host.find(':') == std::string_view::npos ? fmt::format("{}:{}", host, port)
                                                  : fmt::format("[{}]:{}", host, port);
}

void print_endpoints(const Value& object, Row& row) {
  constexpr size_t kShown = 3;
  std::vector<std::string> list;
  size_t count = 0;
  bool more = false;
  const auto add = [&](const Value& subset, const Value* port) {
    const auto addresses = items(subset, "addresses");
    count += addresses.Size();
    for (const Value& address : addresses) {
      if (list.size() == kShown) {
        more = true;
        break;
      }
      const std::string_view ip = json::get_string(address, "ip");
      list.push_back(port != nullptr ? host_port(ip, json::get_int(*port, "port")) : std::string(ip));
    }
  };
  const auto subsets = items(object, "subsets");
  for (const Value& subset : subsets) {
    const auto ports = items(subset, "ports");
    if (ports.Empty()) add(subset, nullptr);
    for (const Value& port : ports) add(subset, &port);
  }
  std::string text = fmt::format("{}", fmt::join(list, ","));
  if (more) text += fmt::format(" + {} more...", count - kShown);
  row.name(object);
  row.text(subsets.Empty() ? "<none>" : text);
  row.age(object);
}

void print_endpoint_slice(const Value& slice, Row& row) {
  std::vector<std::string> ports, addresses;
  for (const Value& port : items(slice, "ports")) {
    const Value *number = json::find(port, "port"), *name = json::find(port, "name");
    if (number != nullptr && number->IsInt()) {
      ports.push_back(std::to_string(number->GetInt()));
    } else {
      ports.push_back(name != nullptr && name->IsString() ? std::string(json::view(*name)) : "*");
    }
  }
  for (const Value& endpoint : items(slice, "endpoints")) {
    for (const Value& address : items(endpoint, "addresses")) {
      if (address.IsString()) addresses.emplace_back(json::view(address));
    }
  }
  row.name(slice);
  row.text(json::get_string(slice, "addressType"));
  row.text(ports.empty() ? "<unset>" : first_of(ports, 3, ports.size()));
  row.text(addresses.empty() ? "<unset>" : first_of(addresses, 3, addresses.size()));
  row.age(slice);
}

std::string hosts_text(const Value& ingress) {
  constexpr size_t kShown = 3;
  std::vector<std::string> hosts;
  bool more = false;
  const auto rules = items(child(ingress, "spec"), "rules");
  for (const Value& rule : rules) {
    if (hosts.size() == kShown) more = true;
    if (const std::string_view host = json::get_string(rule, "host"); !more && !host.empty()) hosts.emplace_back(host);
  }
  if (hosts.empty()) return "*";
  std::string text = fmt::format("{}", fmt::join(hosts, ","));
  return more ? fmt::format("{} + {} more...", text, rules.Size() - kShown) : text;
}

void print_ingress(const Value& ingress, Row& row) {
  const Value& spec = child(ingress, "spec");
  row.name(ingress);
  row.text(json::find(spec, "ingressClassName") ? json::get_string(spec, "ingressClassName") : "<none>");
  row.text(hosts_text(ingress));
  row.text(balancer_text(ingress));
  row.text(items(spec, "tls").Empty() ? "80" : "80, 443");
  row.age(ingress);
}

void print_ingress_class(const Value& object, Row& row) {
  const bool is_default =
      json::get_string(object, {"metadata", "annotations", "ingressclass.kubernetes.io/is-default-class"}) == "true";
  const Value* parameters = json::find(object, {"spec", "parameters"});
  std::string text = "<none>";
  if (parameters != nullptr && parameters->IsObject()) {
    text = json::get_string(*parameters, "kind");
    if (json::find(*parameters, "apiGroup")) text.append(".").append(json::get_string(*parameters, "apiGroup"));
    text.append("/").append(json::get_string(*parameters, "name"));
  }
  row.text(fmt::format("{}{}", json::get_string(object, {"metadata", "name"}), is_default ? " (default)" : ""));
  row.text(json::get_string(object, {"spec", "controller"}));
  row.text(text);
  row.age(object);
}

void print_network_policy(const Value& policy, Row& row) {
  row.name(policy);
  row.text(selector_text(json::find(policy, {"spec", "podSelector"})));
  row.age(policy);
}

void print_service_cidr(const Value& object, Row& row) {
  const Value* cidrs = json::find(object, {"spec", "cidrs"});
  row.name(object);
  row.text(cidrs != nullptr ? joined(*cidrs) : "");
  row.age(object);
}

// Upstream has no column for the third cell and sends it all the same.
void print_ip_address(const Value& object, Row& row) {
  const Value* parent = json::find(object, {"spec", "parentRef"});
  std::string text = "<none>";
  if (parent != nullptr && parent->IsObject()) {
    text = json::get_string(*parent, "resource");
    if (const auto group = json::get_string(*parent, "group"); !group.empty()) text.append(".").append(group);
    if (const auto ns = json::get_string(*parent, "namespace"); !ns.empty()) text.append("/").append(ns);
    text.append("/").append(json::get_string(*parent, "name"));
  }
  row.name(object);
  row.text(text);
  row.age(object);
}

}  // namespace

void add_network_printers(Printers& printers) {
  printers.insert({
      {"core/v1.Endpoints", print_endpoints},
      {"core/v1.Service", print_service},
      {"discovery/v1.EndpointSlice", print_endpoint_slice},
      {"networking/v1.IPAddress", print_ip_address},
      {"networking/v1.Ingress", print_ingress},
      {"networking/v1.IngressClass", print_ingress_class},
      {"networking/v1.NetworkPolicy", print_network_policy},
      {"networking/v1.ServiceCIDR", print_service_cidr},
  });
}

}  // namespace knarr::schema::printing
