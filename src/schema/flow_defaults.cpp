#include "knarr/schema/flow_defaults.h"

#include <algorithm>
#include <array>

namespace knarr::schema {

namespace flowcontrol = api::flowcontrol::v1;

namespace {

constexpr std::string_view kAutoUpdate = "apf.kubernetes.io/autoupdate-spec";

struct LevelRow {
  std::string_view name;
  int shares, lendable, queues, hand_size;  // queues 0: nobody waits
};
constexpr LevelRow kLevels[] = {
    {"system", 30, 33, 64, 6},         {"node-high", 40, 25, 64, 6},     {"leader-election", 10, 0, 16, 4}, {"workload-high", 40, 50, 128, 6},
    {"workload-low", 100, 90, 128, 6}, {"global-default", 20, 50, 128, 6}, {"catch-all", 5, 0, 0, 0},         {"exempt", 0, 0, 0, 0},
};
constexpr int kQueueLength = 50;

// Who: words "group:<name>", "user:<name>" and "account:<namespace>/<name>". What: "*" everything, or rules, each a word
// <verbs>|<group>|<resources> (with + behind it also for what has no namespace), or "get|<paths>".
struct SchemaRow {
  std::string_view name, level;
  int precedence;
  std::string_view distinguisher, who, what;
};
constexpr std::string_view kEverybody = "group:system:unauthenticated group:system:authenticated";
constexpr SchemaRow kSchemas[] = {
    {"system-nodes", "system", 500, "ByUser", "group:system:nodes", "*"},
    {"system-node-high", "node-high", 400, "ByUser", "group:system:nodes", "*||nodes,nodes/status|+ *|coordination.k8s.io|leases|"},
    {"probes", "exempt", 2, "", kEverybody, "get|/healthz,/readyz,/livez"},
    {"system-leader-election", "leader-election", 100, "ByUser",
     "user:system:kube-controller-manager user:system:kube-scheduler account:kube-system/*", "get,create,update|coordination.k8s.io|leases|"},
    {"kube-controller-manager", "workload-high", 800, "ByNamespace", "user:system:kube-controller-manager", "*"},
    {"kube-scheduler", "workload-high", 800, "ByNamespace", "user:system:kube-scheduler", "*"},
    {"kube-system-service-accounts", "workload-high", 900, "ByNamespace", "account:kube-system/*", "*"},
    {"service-accounts", "workload-low", 9000, "ByUser", "group:system:serviceaccounts", "*"},
    {"global-default", "global-default", 9900, "ByUser", kEverybody, "*"},
    {"exempt", "exempt", 1, "", "group:system:masters", "*"},
    {"catch-all", "catch-all", 10000, "ByUser", kEverybody, "*"},
};

bool is_mandatory(std::string_view name) { return name == "exempt" || name == "catch-all"; }

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <typename T>
void name_it(T& object, std::string_view name) {
  object.metadata.name = name;
  object.metadata.annotations[std::string(kAutoUpdate)] = "true";
}

flowcontrol::PriorityLevelConfiguration make_level(const LevelRow& row) {
  flowcontrol::PriorityLevelConfiguration level;
  name_it(level, row.name);
  if (row.name == "exempt") {
    level.spec.type = "Exempt";
    level.spec.exempt.ensure().nominalConcurrencyShares = row.shares;
    level.spec.exempt->lendablePercent = row.lendable;
    return level;
  }
  level.spec.type = "Limited";
  auto& limited = level.spec.limited.ensure();
  limited.nominalConcurrencyShares = row.shares;
  limited.lendablePercent = row.lendable;
  limited.limitResponse.type = row.queues > 0 ? "Queue" : "Reject";
  if (row.queues > 0) {
    auto& queuing = limited.limitResponse.queuing.ensure();
    queuing.queues = row.queues;
    queuing.handSize = row.hand_size;
    queuing.queueLengthLimit = kQueueLength;
  }
  return level;
}

flowcontrol::Subject make_subject(const std::string& word) {
  const size_t colon = word.find(':');
  const std::string kind = word.substr(0, colon), name = word.substr(colon + 1);
  flowcontrol::Subject subject;
  if (kind == "group") {
    subject.kind = "Group";
    subject.group.ensure().name = name;
  } else if (kind == "user") {
    subject.kind = "User";
    subject.user.ensure().name = name;
  } else {
    subject.kind = "ServiceAccount";
    subject.serviceAccount.ensure().namespace_ = name.substr(0, name.find('/'));
    subject.serviceAccount->name = name.substr(name.find('/') + 1);
  }
  return subject;
}

void add_rule(flowcontrol::PolicyRulesWithSubjects& rules, const std::string& word) {
  const auto parts = split(word, '|');
  if (parts.size() == 2) {
    auto& rule = rules.nonResourceRules.emplace_back();
    rule.verbs = split(parts[0], ',');
    rule.nonResourceURLs = split(parts[1], ',');
    return;
  }
  auto& rule = rules.resourceRules.emplace_back();
  rule.verbs = split(parts[0], ',');
  rule.apiGroups = split(parts[1], ',');
  rule.resources = split(parts[2], ',');
  rule.namespaces = {"*"};
  rule.clusterScope = parts[3] == "+";
}

flowcontrol::FlowSchema make_schema(const SchemaRow& row) {
  flowcontrol::FlowSchema schema;
  name_it(schema, row.name);
  schema.spec.priorityLevelConfiguration.name = row.level;
  schema.spec.matchingPrecedence = row.precedence;
  if (!row.distinguisher.empty()) schema.spec.distinguisherMethod.ensure().type = row.distinguisher;
  auto& rules = schema.spec.rules.emplace_back();
  for (const std::string& word : split(row.who, ' ')) rules.subjects.push_back(make_subject(word));
  for (const std::string& word : split(row.what == "*" ? "*|*|*|+ *|*" : row.what, ' ')) add_rule(rules, word);
  return schema;
}

template <typename T>
const T* find_mandatory(std::span<const FlowDefault<T>> defaults, std::string_view name) {
  if (!is_mandatory(name)) return nullptr;
  const auto found = std::find_if(defaults.begin(), defaults.end(), [&](const auto& item) { return item.object.metadata.name == name; });
  return found == defaults.end() ? nullptr : &found->object;
}

}  // namespace

std::span<const FlowDefault<flowcontrol::PriorityLevelConfiguration>> default_priority_levels() {
  static const auto kMade = [] {
    std::vector<FlowDefault<flowcontrol::PriorityLevelConfiguration>> out;
    for (const LevelRow& row : kLevels) out.push_back({make_level(row), is_mandatory(row.name)});
    return out;
  }();
  return kMade;
}

std::span<const FlowDefault<flowcontrol::FlowSchema>> default_flow_schemas() {
  static const auto kMade = [] {
    std::vector<FlowDefault<flowcontrol::FlowSchema>> out;
    for (const SchemaRow& row : kSchemas) out.push_back({make_schema(row), is_mandatory(row.name)});
    return out;
  }();
  return kMade;
}

const flowcontrol::PriorityLevelConfiguration* mandatory_priority_level(std::string_view name) {
  return find_mandatory(default_priority_levels(), name);
}

const flowcontrol::FlowSchema* mandatory_flow_schema(std::string_view name) { return find_mandatory(default_flow_schemas(), name); }

}  // namespace knarr::schema
