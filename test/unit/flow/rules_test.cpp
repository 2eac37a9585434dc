#include "flow/rules.h"

#include <catch2/catch.hpp>

#include "knarr/schema/flow_defaults.h"

using namespace knarr;
using namespace knarr::flow;
namespace flowcontrol = knarr::api::flowcontrol::v1;

namespace {

// "user group,group" and "verb group resource/sub ns", or "verb /path"; "-" is empty.
struct Asked {
  auth::UserInfo user;
  std::vector<std::string> words;

  Asked(const std::string& who, const std::string& what) {
    const auto cut = [](const std::string& text, char separator) {
      std::vector<std::string> out(1);
      for (const char c : text) {
        if (c == separator) {
          out.emplace_back();
        } else if (c != '-' || !out.back().empty()) {
          out.back() += c;
        }
      }
      return out;
    };
    const auto parts = cut(who, ' ');
    user.name = parts[0];
    if (parts.size() > 1) user.groups = cut(parts[1], ',');
    words = cut(what, ' ');
    if (words.size() > 2) {
      const auto resource = cut(words[2], '/');
      words[2] = resource[0];
      words.push_back(resource.size() > 1 ? resource[1] : "");
    }
  }
  Question question() const {
    Question q;
    q.user = &user;
    q.verb = words[0];
    if (words.size() == 2) {
      q.path = words[1];
      return q;
    }
    q.resource_request = true;
    q.group = words[1];
    q.resource = words[2];
    q.ns = words[3];
    q.subresource = words[4];
    return q;
  }
};

std::string first_match(const Question& question) {
  const flowcontrol::FlowSchema* best = nullptr;
  for (const auto& item : schema::default_flow_schemas()) {
    if (!Matcher(item.object.spec).matches(question)) continue;
    if (!best || item.object.spec.matchingPrecedence < best->spec.matchingPrecedence) best = &item.object;
  }
  return best ? best->metadata.name : "none";
}

}  // namespace

TEST_CASE("the default schemas tell requests apart") {
  struct Case {
    const char *who, *what, *schema, *distinguisher;
  };
  const std::string authenticated = "system:authenticated";
  const Case cases[] = {
      {"admin system:masters,system:authenticated", "get - pods a", "exempt", ""},
      {"admin system:masters", "get /version", "exempt", ""},
      {"bob system:authenticated", "get /livez", "probes", ""},
      {"bob system:authenticated", "get /livez/ping", "probes", ""},
      {"bob system:authenticated", "get /livezy", "global-default", "bob"},
      {"bob system:authenticated", "post /livez", "global-default", "bob"},
      {"system:anonymous system:unauthenticated", "get - pods -", "global-default", "system:anonymous"},
      {"system:kube-scheduler system:authenticated", "update coordination.k8s.io leases kube-system", "system-leader-election", "system:kube-scheduler"},
      {"system:kube-scheduler system:authenticated", "list - pods -", "kube-scheduler", ""},
      {"system:kube-controller-manager system:authenticated", "patch - pods/status a", "kube-controller-manager", "a"},
      {"system:serviceaccount:kube-system:dns system:serviceaccounts,system:authenticated", "get coordination.k8s.io leases a", "system-leader-election",
       "system:serviceaccount:kube-system:dns"},
      {"system:serviceaccount:kube-system:dns system:serviceaccounts,system:authenticated", "list - services b", "kube-system-service-accounts", "b"},
      {"system:serviceaccount:kube-systemx:dns system:serviceaccounts,system:authenticated", "list - services b", "service-accounts",
       "system:serviceaccount:kube-systemx:dns"},
      {"system:node:a system:nodes,system:authenticated", "patch - nodes/status -", "system-node-high", "system:node:a"},
      {"system:node:a system:nodes,system:authenticated", "update coordination.k8s.io leases kube-node-lease", "system-node-high", "system:node:a"},
      {"system:node:a system:nodes,system:authenticated", "list - pods -", "system-nodes", "system:node:a"},
      {"system:node:a system:nodes,system:authenticated", "patch - nodes/other -", "system-nodes", "system:node:a"},
      {"nobody x", "get - pods a", "none", ""},
  };
  for (const Case& c : cases) {
    INFO(c.who << " " << c.what);
    const Asked asked(c.who, c.what);
    const Question question = asked.question();
    const std::string name = first_match(question);
    CHECK(name == c.schema);
    for (const auto& item : schema::default_flow_schemas())
      if (item.object.metadata.name == name) CHECK(Matcher(item.object.spec).distinguisher(question) == c.distinguisher);
  }
}

TEST_CASE("rules of one's own") {
  flowcontrol::FlowSchemaSpec spec;
  auto& rules = spec.rules.emplace_back();
  auto& subject = rules.subjects.emplace_back();
  subject.kind = "ServiceAccount";
  subject.serviceAccount.ensure().namespace_ = "a";
  subject.serviceAccount->name = "robot";
  auto& any = rules.subjects.emplace_back();
  any.kind = "Group";
  any.group.ensure().name = "ops";
  auto& resource = rules.resourceRules.emplace_back();
  resource.verbs = {"get", "list"};
  resource.apiGroups = {"apps"};
  resource.resources = {"deployments", "deployments/scale"};
  resource.namespaces = {"one", "two"};
  auto& path = rules.nonResourceRules.emplace_back();
  path.verbs = {"*"};
  path.nonResourceURLs = {"/metrics", "/logs/*"};
  const Matcher matcher(spec);
  const std::tuple<const char*, const char*, bool> cases[] = {
      {"system:serviceaccount:a:robot x", "get apps deployments one", true},
      {"system:serviceaccount:a:robots x", "get apps deployments one", false},
      {"bob ops", "list apps deployments/scale two", true},
      {"bob ops", "list apps deployments/status two", false},
      {"bob ops", "list apps deployments three", false},
      {"bob ops", "list apps deployments -", false},
      {"bob ops", "watch apps deployments one", false},
      {"bob ops", "get - deployments one", false},
      {"bob dev", "get apps deployments one", false},
      {"bob ops", "get /metrics", true},
      {"bob ops", "get /metrics/cadvisor", true},
      {"bob ops", "get /metricsx", false},
      {"bob ops", "put /logs/a/b", true},
      {"bob ops", "get /logs", false},
      {"bob ops", "get /", false},
  };
  for (const auto& [who, what, matches] : cases) {
    INFO(who << " " << what);
    const Asked asked(who, what);
    CHECK(matcher.matches(asked.question()) == matches);
  }
}
