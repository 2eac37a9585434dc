#include "agent/service_environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace knarr::agent {

namespace {

// "my-service" becomes MY_SERVICE.
std::string variable_name(std::string text) {
  for (char& c : text) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

struct Port {
  std::string name, protocol;
  std::string number, called;  // called: the number in the names of its variables
};

void add_service(const std::string& service, const std::string& host, const std::vector<Port>& ports, Variables& out) {
  const std::string name = variable_name(service);
  const std::string in_url = host.find(':') == std::string::npos ? host : "[" + host + "]";
  out.emplace_back(name + "_SERVICE_HOST", host);
  out.emplace_back(name + "_SERVICE_PORT", ports.front().number);
  for (const Port& port : ports)
    if (!port.name.empty()) out.emplace_back(name + "_SERVICE_PORT_" + variable_name(port.name), port.number);
  for (const Port& port : ports) {
    std::string protocol = port.protocol;
    std::transform(protocol.begin(), protocol.end(), protocol.begin(), [](unsigned char c) { return std::tolower(c); });
    const std::string url = fmt::format("{}://{}:{}", protocol, in_url, port.number);
    if (&port == &ports.front()) out.emplace_back(name + "_PORT", url);
    const std::string prefix = fmt::format("{}_PORT_{}_{}", name, port.called, port.protocol);
    out.emplace_back(prefix, url);
    out.emplace_back(prefix + "_PROTO", protocol);
    out.emplace_back(prefix + "_PORT", port.number);
    out.emplace_back(prefix + "_ADDR", host);
  }
}

}  // namespace

Variables service_variables(const std::vector<std::shared_ptr<const core::Service>>& services) {
  Variables out;
  for (const auto& service : services) {
    const auto& spec = service->spec;
    if (spec.clusterIP.empty() || spec.clusterIP == "None" || spec.ports.empty()) continue;
    std::vector<Port> ports;
    for (const auto& port : spec.ports) {
      const std::string number = std::to_string(port.port);
      ports.push_back({port.name, port.protocol, number, number});
    }
    add_service(service->metadata.name, spec.clusterIP, ports, out);
  }
  return out;
}

Variables api_variables(const std::string& host, const std::string& port) {
  Variables out;
  if (host.empty()) return out;
  add_service("kubernetes", host, {{"https", "TCP", port, "443"}}, out);
  return out;
}

}  // namespace knarr::agent
