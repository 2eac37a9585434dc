// pods/proxy, services/proxy and nodes/proxy: HTTP through the API server, upgrades too. The client's connection is taken over, so
// that no worker waits; links and redirects in answers are rewritten, so that they stay behind the API server.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "connect_impl.h"
#include "knarr/apiserver/document.h"
#include "proxy_rewrite.h"

namespace knarr::apiserver {

namespace {

using json::Document;
using json::Value;

constexpr size_t kMaxPage = 8 << 20;  // larger pages pass as they are

// [scheme:]name[:port]
struct Id {
  std::string scheme, name, port;
};
std::optional<Id> split_id(std::string_view text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ':') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  Id id;
  if (parts.size() == 1) {
    id.name = parts[0];
  } else if (parts.size() == 2) {
    id.name = parts[0], id.port = parts[1];
  } else if (parts.size() == 3) {
    id.scheme = parts[0], id.name = parts[1], id.port = parts[2];
  } else {
    return {};
  }
  const bool known = id.scheme.empty() || id.scheme == "http" || id.scheme == "https";
  return known && !id.name.empty() ? std::optional(id) : std::nullopt;
}

Result<Document> read(Rest& rest, std::string_view group, std::string_view plural, std::string_view ns, std::string_view name) {
  const schema::Resource* resource = schema::find_resource(group, "v1", plural);
  if (!resource) return not_found(fmt::format("{} are not served", plural));
  RequestContext context;
  KNARR_ASSIGN(const Answer found, rest.get(context, {resource, "", ns, name}));
  return json::parse(found.bytes());
}

std::string host_port(std::string_view host, std::string_view port) {
  const std::string shown = host.find(':') == std::string_view::npos ? std::string(host) : fmt::format("[{}]", host);
  return port.empty() ? shown : fmt::format("{}:{}", shown, port);
}

// Neither of this machine nor of many: what a pod may have.
bool is_global_unicast(std::string_view ip) {
  const std::string text(ip);
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    const uint32_t address = ntohl(v4.s_addr);
    const uint32_t top = address >> 24;
    return address != 0 && top != 127 && (top < 224 || top > 239) && address != 0xffffffff && (address >> 16) != 0xa9fe;
  }
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1) return false;
  return !IN6_IS_ADDR_UNSPECIFIED(&v6) && !IN6_IS_ADDR_LOOPBACK(&v6) && !IN6_IS_ADDR_MULTICAST(&v6) && !IN6_IS_ADDR_LINKLOCAL(&v6);
}

// What is asked: http://10.244.0.7:80
struct Place {
  std::string scheme, host;
};

Result<Place> place_of_pod(Rest& rest, const Target& target) {
  const auto id = split_id(target.name);
  if (!id) return bad_request(fmt::format("invalid pod request \"{}\"", target.name));
  KNARR_ASSIGN(const Document pod, read(rest, "", "pods", target.ns, id->name));
  std::string port = id->port;
  if (const Value* containers = json::find(pod, {"spec", "containers"}); port.empty() && containers && containers->IsArray()) {
    for (const Value& container : containers->GetArray()) {
      const Value* ports = json::find(container, "ports");
      if (!ports || !ports->IsArray() || ports->Empty()) continue;
      port = fmt::format("{}", json::get_int((*ports)[0], "containerPort"));
      break;
    }
  }
  const std::string_view ip = json::get_string(pod, {"status", "podIP"});
  if (!is_global_unicast(ip)) return bad_request("address not allowed");
  return Place{id->scheme, host_port(ip, port)};
}

// Addresses that serve a service's port of that name, "ip:port".
struct Backends {
  std::vector<std::string> ready;
  bool known = false;  // somebody keeps a list for the service
  bool any = false;    // and it is not empty
};
Backends backends(Rest& rest, const Target& target, const std::string& service, std::string_view port_name) {
  Backends found;
  std::vector<std::string>& out = found.ready;
  bool& any = found.any;
  const auto add = [&](const Value& ports, const auto& addresses) {
    for (const Value& port : ports.GetArray()) {
      if (json::get_string(port, "name") != port_name) continue;
      const std::string number = fmt::format("{}", json::get_int(port, "port"));
      for (const std::string_view ip : addresses) out.push_back(host_port(ip, number));
    }
  };
  if (const auto endpoints = read(rest, "", "endpoints", target.ns, service); endpoints.ok()) {
    found.known = true;
    const Value* subsets = json::find(*endpoints, "subsets");
    if (!subsets || !subsets->IsArray()) return found;
    for (const Value& subset : subsets->GetArray()) {
      any = true;
      std::vector<std::string_view> ips;
      const Value *addresses = json::find(subset, "addresses"), *ports = json::find(subset, "ports");
      if (!addresses || !addresses->IsArray() || !ports || !ports->IsArray()) continue;
      for (const Value& address : addresses->GetArray())
        if (json::find(address, "targetRef")) ips.push_back(json::get_string(address, "ip"));  // only what is a pod
      add(*ports, ips);
    }
    return found;
  }
  const schema::Resource* slices = schema::find_resource("discovery.k8s.io", "v1", "endpointslices");
  if (!slices) return found;
  RequestContext context;
  ListParams params;
  params.label_selector = fmt::format("kubernetes.io/service-name={}", service);
  const auto listed = rest.list(context, {slices, "", target.ns, ""}, params);
  if (!listed.ok()) return found;
  for (const auto& object : listed->objects) {
    found.known = true;
    const auto slice = json::parse(object->value);
    if (!slice.ok()) continue;
    const Value *endpoints = json::find(*slice, "endpoints"), *ports = json::find(*slice, "ports");
    if (!endpoints || !endpoints->IsArray() || !ports || !ports->IsArray()) continue;
    std::vector<std::string_view> ips;
    for (const Value& endpoint : endpoints->GetArray()) {
      any = true;
      const Value *conditions = json::find(endpoint, "conditions"), *addresses = json::find(endpoint, "addresses");
      const bool ready = !conditions || json::get_bool(*conditions, "ready", true);
      if (!ready || !json::find(endpoint, "targetRef") || !addresses || !addresses->IsArray()) continue;
      for (const Value& address : addresses->GetArray())
        if (address.IsString()) ips.push_back(json::view(address));
    }
    add(*ports, ips);
  }
  return found;
}

Result<Place> place_of_service(Rest& rest, const Target& target) {
  const auto id = split_id(target.name);
  if (!id) return bad_request(fmt::format("invalid service request \"{}\"", target.name));
  std::string port = id->port;
  const bool number = !port.empty() && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  KNARR_ASSIGN(const Document service, read(rest, "", "services", target.ns, id->name));
  if (number) {
    const Value* ports = json::find(service, {"spec", "ports"});
    const Value* found = nullptr;
    if (ports && ports->IsArray())
      for (const Value& one : ports->GetArray())
        if (!found && fmt::format("{}", json::get_int(one, "port")) == port) found = &one;
    if (!found) return unavailable(fmt::format("no service port {} found for service \"{}\"", port, id->name));
    port = json::get_string(*found, "name");
  }
  const Backends found = backends(rest, target, id->name, port);
  if (!found.known) return not_found_error(*target.resource, id->name);
  if (found.ready.empty())
    return unavailable(
        fmt::format("no endpoints available for service \"{}\"", found.any ? std::string(target.name) : id->name));
  return Place{id->scheme, found.ready[random_number() % found.ready.size()]};
}

bool is_hop_by_hop(std::string_view name) {
  for (const std::string_view hop : {"connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
                                     "te", "trailer", "transfer-encoding", "upgrade"})
    if (name == hop) return true;
  return false;
}

// The request as the backend gets it.
http::ClientRequest request_for(const http::Request& request, std::string target, const std::string& forwarded, bool upgrade) {
  http::ClientRequest out;
  out.method = request.method;
  out.target = std::move(target);
  out.body = request.body;
  std::string via;
  for (const auto& [name, value] : request.headers) {
    const std::string lower = media_type(name);
    if (lower == "authorization" || lower == "content-length" || lower.starts_with("impersonate-")) continue;
    if (is_hop_by_hop(lower) && !(upgrade && (lower == "connection" || lower == "upgrade"))) continue;
    if (lower == "x-forwarded-for") {
      via = value + ", ";
      continue;
    }
    out.headers.emplace_back(name, value);
  }
  const std::string_view from = request.remote_address;
  out.headers.emplace_back("X-Forwarded-For", via + std::string(from.substr(0, from.rfind(':'))));
  if (!upgrade) out.headers.emplace_back("X-Forwarded-Uri", forwarded);
  return out;
}

// The answer on its way back: head first, then the body as it comes, unless it is a page whose links are rewritten.
class Passing {
 public:
  Passing(http::Reply& client, const ProxyPlace& place) : client_(client), place_(place) {}

  bool begun() const { return begun_; }

  bool head(const http::ClientResponse& answer) {
    head_ = answer;
    const bool moved = !answer.header("Location").empty();
    rewrite_ = !moved && media_type(answer.header("Content-Type")) == "text/html" && answer.header("Content-Encoding").empty();
    return rewrite_ || write_head({});
  }
  bool data(std::string_view bytes) {
    if (!rewrite_) return write_data(bytes);
    page_ += bytes;
    if (page_.size() <= kMaxPage) return true;
    rewrite_ = false;
    return write_head({}) && write_data(std::exchange(page_, {}));
  }
  void end() {
    if (rewrite_) {
      const std::string page = rewrite_html(page_, place_);
      if (write_head(page.size())) (void)client_.write(page);
    }
    client_.end();
  }

 private:
  bool write_head(std::optional<size_t> size) {
    begun_ = true;
    http::Headers headers;
    for (const auto& [name, value] : head_.headers) {
      const std::string lower = media_type(name);
      if (is_hop_by_hop(lower) || (size && lower == "content-length")) continue;
      headers.emplace_back(name, lower == "location" ? rewrite_url(value, place_) : value);
    }
    if (size) headers.emplace_back("Content-Length", std::to_string(*size));
    return client_.begin(head_.status, headers).ok();
  }
  bool write_data(std::string_view bytes) { return client_.write(bytes).ok(); }

  http::Reply& client_;
  const ProxyPlace& place_;
  http::ClientResponse head_;
  std::string page_;
  bool begun_ = false, rewrite_ = false;
};

void pass(http::Client& backend, const http::ClientRequest& wanted, const ProxyPlace& place, http::Reply& client) {
  Passing passing(client, place);
  const auto cancel = http::Client::make_cancel();
  client.on_gone([cancel] { cancel->cancel(); });
  const Status status = backend.stream(
      wanted, [&](const http::ClientResponse& head) { return passing.head(head); },
      [&](std::string_view data) { return passing.data(data); }, cancel);
  if (status.ok()) return passing.end();
  if (!passing.begun()) reply_status(client, unavailable(fmt::format("error trying to reach service: {}", status.message())));
}

// The part of a request's target behind /proxy, as it was sent: encoded, without the query.
std::string_view path_behind(std::string_view target, bool namespaced) {
  target = target.substr(0, target.find('?'));
  for (int slashes = namespaced ? 8 : 6; !target.empty(); target.remove_prefix(1))
    if (target.front() == '/' && --slashes == 0) return target;
  return {};
}

}  // namespace

Status serve_proxy(Rest& rest, NodeProxy* nodes, const Target& target, Exchange& exchange) {
  const http::Request& request = exchange.request;
  const bool namespaced = target.resource->namespaced;
  const std::string_view sent = std::string_view(request.target).substr(0, request.target.find('?'));
  const std::string_view behind = path_behind(request.target, namespaced);
  const size_t question = request.target.find('?');
  const std::string query = question == std::string::npos ? "" : request.target.substr(question);
  const bool upgrade = !request.header("Upgrade").empty();

  Place place;
  std::shared_ptr<http::Client> backend;
  if (target.resource->storage_name == "nodes") {
    const auto id = split_id(target.name);
    if (!id) return bad_request(fmt::format("invalid node request \"{}\"", target.name));
    KNARR_ASSIGN(const NodeAddress node, find_node(rest, id->name));
    place = {id->scheme, host_port(node.host, id->port.empty() ? fmt::format("{}", node.port) : id->port)};
    if (id->port.empty() || id->port == fmt::format("{}", node.port)) {
      KNARR_ASSIGN(backend, client_of_node(rest, nodes, id->name));
    }
  } else {
    KNARR_ASSIGN(place, target.resource->storage_name == "pods" ? place_of_pod(rest, target) : place_of_service(rest, target));
  }
  if (behind.empty() && !upgrade && (request.method == "GET" || request.method == "HEAD")) {  // relative links need the slash
    exchange.response.status = 301;
    exchange.response.set_header("Location", fmt::format("{}/{}", sent, query));
    return Status::OK();
  }
  if (!backend) {
    http::ClientOptions options;
    options.url = fmt::format("{}://{}", place.scheme.empty() ? "http" : place.scheme, place.host);
    options.insecure_skip_verify = true;  // as upstream: nobody could sign for a pod's address
    options.max_idle_connections = 0;
    KNARR_ASSIGN(backend, http::Client::make(std::move(options)));
  }
  const ProxyPlace seen{std::string(sent.substr(0, sent.size() - behind.size())), place.host, std::string(request.header("Host"))};
  const http::ClientRequest wanted =
      request_for(request, (behind.empty() ? "/" : std::string(behind)) + query, join_paths(seen.prefix, behind), upgrade);
  if (!upgrade) {
    exchange.response.reply([backend, wanted, seen](http::Reply& client) { pass(*backend, wanted, seen, client); });
    return Status::OK();
  }
  exchange.response.status = 101;
  exchange.response.take_over([backend, wanted](std::unique_ptr<http::Stream> client, std::string early) {
    relay_upgrade(*backend, wanted, *client, early);
  });
  return Status::OK();
}

}  // namespace knarr::apiserver
