// /healthz, /livez and /readyz: one report of many checks, and each of them by itself.
#include <fmt/format.h>

#include <algorithm>

#include "server_impl.h"

namespace knarr::apiserver {

namespace {

enum Endpoint : unsigned { kHealth = 1, kLive = 2, kReady = 4, kAll = 7 };

// Upstream's names of what is done or running here as soon as anything is answered: clients ask for them by name. In
// upstream's order, in which our own checks stand where "etcd" does, which is the name of our store's.
struct Known {
  std::string_view name;
  unsigned endpoints = kAll;
};
constexpr std::string_view kOwn = "etcd";
constexpr Known kKnown[] = {
    {"ping"},
    {"log"},
    {"loopback-serving-certificate", kHealth | kLive},
    {kOwn},
    {"etcd-readiness", kReady},
    {"informer-sync", kReady},
    {"poststarthook/start-apiserver-admission-initializer"},
    {"poststarthook/generic-apiserver-start-informers"},
    {"poststarthook/priority-and-fairness-config-consumer"},
    {"poststarthook/priority-and-fairness-filter"},
    {"poststarthook/storage-object-count-tracker-hook"},
    {"poststarthook/start-apiextensions-informers"},
    {"poststarthook/start-apiextensions-controllers"},
    {"poststarthook/crd-informer-synced"},
    {"poststarthook/start-system-namespaces-controller"},
    {"poststarthook/peer-endpoint-reconciler-controller"},
    {"poststarthook/start-cluster-authentication-info-controller"},
    {"poststarthook/start-kube-apiserver-identity-lease-controller"},
    {"poststarthook/start-kube-apiserver-identity-lease-garbage-collector"},
    {"poststarthook/storage-readiness"},
    {"poststarthook/start-legacy-token-tracking-controller"},
    {"poststarthook/start-service-ip-repair-controllers"},
    {"poststarthook/rbac/bootstrap-roles"},
    {"poststarthook/scheduling/bootstrap-system-priority-classes"},
    {"poststarthook/priority-and-fairness-config-producer"},
    {"poststarthook/bootstrap-controller"},
    {"poststarthook/start-kubernetes-service-cidr-controller"},
    {"poststarthook/start-kube-aggregator-informers"},
    {"poststarthook/apiservice-status-local-available-controller"},
    {"poststarthook/apiservice-status-remote-available-controller"},
    {"poststarthook/apiservice-registration-controller"},
    {"poststarthook/apiservice-discovery-controller"},
    {"poststarthook/kube-apiserver-autoregistration"},
    {"autoregister-completion"},
    {"poststarthook/apiservice-openapi-controller"},
    {"poststarthook/apiservice-openapiv3-controller"},
    {"shutdown", kReady},
};

struct Named {
  std::string_view name;
  const Check* check = nullptr;  // null: what is well by being there
};

std::vector<Named> checks_of(unsigned endpoint, const std::vector<Check>& checks) {
  std::vector<Named> out;
  for (const Known& known : kKnown) {
    if (!(known.endpoints & endpoint)) continue;
    if (known.name != kOwn) {
      out.push_back({known.name});
      continue;
    }
    for (const Check& check : checks)
      if (check.live || endpoint == kReady) out.push_back({check.name == "store" ? kOwn : std::string_view(check.name), &check});
  }
  return out;
}

void answer_text(http::Response& response, int code, std::string text, bool whole = true) {
  response.status = code;
  response.set_header("Content-Type", "text/plain; charset=utf-8");
  if (whole || code != 200) response.set_header("X-Content-Type-Options", "nosniff");
  response.body = std::move(text);
}

void answer_report(const http::Request& request, http::Response& response, std::string_view name, const std::vector<Named>& checks) {
  const auto excluded = request.params("exclude");
  std::string report;
  bool failed = false;
  for (const Named& check : checks) {
    if (std::find(excluded.begin(), excluded.end(), check.name) != excluded.end()) {
      report += fmt::format("[+]{} excluded: ok\n", check.name);
    } else if (!check.check || check.check->check().ok()) {
      report += fmt::format("[+]{} ok\n", check.name);
    } else {
      report += fmt::format("[-]{} failed: reason withheld\n", check.name);
      failed = true;
    }
  }
  std::vector<std::string> unmatched;
  for (const std::string_view check : excluded)
    if (std::none_of(checks.begin(), checks.end(), [&](const Named& c) { return c.name == check; }))
      unmatched.push_back(fmt::format("\"{}\"", check));
  if (!unmatched.empty())
    report += fmt::format("warn: some health checks cannot be excluded: no matches for {}\n", fmt::join(unmatched, ", "));
  if (failed) {
    answer_text(response, 500, fmt::format("{}{} check failed\n", report, name));
  } else if (request.param("verbose")) {
    answer_text(response, 200, fmt::format("{}{} check passed\n", report, name));
  } else {
    answer_text(response, 200, "ok");
  }
}

}  // namespace

std::vector<std::string> health_paths() {
  std::vector<std::string> out;
  for (const auto& [endpoint, name] : {std::pair(kHealth, "/healthz"), std::pair(kLive, "/livez"), std::pair(kReady, "/readyz")}) {
    out.emplace_back(name);
    for (const Known& known : kKnown)
      if (known.endpoints & endpoint) out.push_back(fmt::format("{}/{}", name, known.name));
  }
  return out;
}

bool serve_health(const http::Request& request, http::Response& response, const std::vector<Check>& checks) {
  const std::string_view path = request.path;
  const size_t slash = path.find('/', 1);
  const std::string_view endpoint = path.substr(0, slash);
  if (endpoint != "/healthz" && endpoint != "/livez" && endpoint != "/readyz") return false;
  const unsigned which = endpoint == "/readyz" ? kReady : endpoint == "/livez" ? kLive : kHealth;
  const std::vector<Named> known = checks_of(which, checks);
  if (slash == std::string_view::npos) {
    answer_report(request, response, endpoint.substr(1), known);
    return true;
  }
  const auto one = std::find_if(known.begin(), known.end(), [&](const Named& check) { return check.name == path.substr(slash + 1); });
  if (one == known.end()) {
    answer_no_such_path(response);
  } else if (const Status status = one->check ? one->check->check() : Status::OK(); status.ok()) {
    answer_text(response, 200, "ok", false);
  } else {
    answer_text(response, 500, fmt::format("internal server error: {}\n", status.message()));
  }
  return true;
}

}  // namespace knarr::apiserver
