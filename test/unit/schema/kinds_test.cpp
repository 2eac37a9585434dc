// Defaults, rows, conversion, warnings and sizes of the kinds beside pods, a table of cases each.
#include <catch2/catch.hpp>
#include <map>

#include "knarr/codec/time.h"
#include "knarr/schema/machinery.h"

using namespace knarr;

namespace {

const WallTime kNow = *parse_time("2026-11-21T12:00:00Z");

const schema::Resource& resource(std::string_view group, std::string_view plural, std::string_view version = "v1") {
  const schema::Resource* found = schema::find_resource(group, version, plural);
  REQUIRE(found);
  return *found;
}

json::Document parse(std::string_view text) {
  auto document = json::parse(text);
  INFO(text);
  REQUIRE(document.ok());
  return std::move(*document);
}

void same(const json::Value& actual, std::string_view expected) {
  INFO(json::dump(actual));
  CHECK(json::equal(actual, parse(expected)));
}

std::string row(const schema::Resource& resource, std::string_view text) {
  json::Document cells, object = parse(text);
  schema::print_row(resource, object, kNow, cells, cells.GetAllocator());
  std::string out;
  for (const json::Value& cell : cells.GetArray()) {
    if (!out.empty()) out += "|";
    out += cell.IsString() ? std::string(json::view(cell)) : json::dump(cell);
  }
  return out;
}

}  // namespace

TEST_CASE("every resource that is stored has one storage version, and all its types have tables") {
  std::map<std::string_view, int> storage_versions;
  for (const schema::Resource& r : schema::resources()) {
    INFO(r.group << "/" << r.version << " " << r.plural);
    CHECK(r.type != nullptr);
    storage_versions[r.storage_name] += r.storage ? 1 : 0;
  }
  for (const auto& [name, count] : storage_versions) {
    INFO(name);
    CHECK(count == 1);
  }
}

TEST_CASE("defaults of kinds") {
  struct Case {
    const char *group, *version, *plural, *object, *expected;
  };
  const Case cases[] = {
      {"apps", "v1", "statefulsets",
       R"({"spec":{"updateStrategy":{"type":"RollingUpdate"},"volumeClaimTemplates":[{"spec":{}}]}})",
       R"({"metadata":{},"spec":{"replicas":1,"selector":null,"template":{"metadata":{},"spec":{"containers":null,"restartPolicy":"Always",
           "terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{},"schedulerName":"default-scheduler"}},
           "volumeClaimTemplates":[{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{},"spec":{"resources":{},"volumeMode":"Filesystem"},
           "status":{"phase":"Pending"}}],"serviceName":"","podManagementPolicy":"OrderedReady","updateStrategy":{"type":"RollingUpdate"},
           "revisionHistoryLimit":10,"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"}},
           "status":{"replicas":0,"availableReplicas":0}})"},
      {"networking.k8s.io", "v1", "networkpolicies", R"({"spec":{"podSelector":{},"egress":[{"ports":[{"port":1}]}]}})",
       R"({"metadata":{},"spec":{"podSelector":{},"egress":[{"ports":[{"port":1,"protocol":"TCP"}]}],"policyTypes":["Ingress","Egress"]}})"},
      {"rbac.authorization.k8s.io", "v1", "rolebindings",
       R"({"subjects":[{"kind":"User","name":"u"},{"kind":"ServiceAccount","name":"s"}],"roleRef":{"kind":"Role","name":"r"}})",
       R"({"metadata":{},"subjects":[{"kind":"User","name":"u","apiGroup":"rbac.authorization.k8s.io"},{"kind":"ServiceAccount","name":"s"}],
           "roleRef":{"kind":"Role","name":"r","apiGroup":"rbac.authorization.k8s.io"}})"},
      {"rbac.authorization.k8s.io", "v1", "roles", R"({"metadata":{"name":"r"},"rules":[]})",
       R"({"metadata":{"name":"r"},"rules":null})"},
      {"", "v1", "limitranges",
       R"({"spec":{"limits":[{"type":"Container","max":{"cpu":"2"},"min":{"cpu":"1","memory":"1Gi"}}]}})",
       R"({"metadata":{},"spec":{"limits":[{"type":"Container","max":{"cpu":"2"},"min":{"cpu":"1","memory":"1Gi"},"default":{"cpu":"2"},
           "defaultRequest":{"cpu":"2","memory":"1Gi"}}]}})"},
      {"resource.k8s.io", "v1", "resourceclaims",
       R"({"spec":{"devices":{"requests":[{"name":"a","exactly":{"deviceClassName":"c"}}]}}})",
       R"({"metadata":{},"spec":{"devices":{"requests":[{"name":"a","exactly":{"deviceClassName":"c","allocationMode":"ExactCount","count":1}}]}},
           "status":{}})"},
  };
  for (const Case& c : cases) {
    INFO(c.plural);
    json::Document object = parse(c.object);
    schema::apply_defaults(resource(c.group, c.plural, c.version), object, object.GetAllocator());
    same(object, c.expected);
  }
}

TEST_CASE("jobs and autoscalers get what belongs together") {
  json::Document job = parse(
      R"({"spec":{"parallelism":3,"backoffLimitPerIndex":1,"template":{"metadata":{"labels":{"a":"b"}},"spec":{}}}})");
  schema::apply_defaults(resource("batch", "jobs"), job, job.GetAllocator());
  CHECK(json::find(job, {"spec", "completions"}) == nullptr);
  CHECK(json::get_int(*json::find(job, "spec"), "backoffLimit") == 2147483647);
  CHECK(json::get_string(job, {"metadata", "labels", "a"}) == "b");
  CHECK(json::get_string(job, {"spec", "podReplacementPolicy"}) == "TerminatingOrFailed");

  json::Document hpa = parse(R"({"spec":{"maxReplicas":3,"behavior":{"scaleDown":{"stabilizationWindowSeconds":5}}}})");
  schema::apply_defaults(resource("autoscaling", "horizontalpodautoscalers", "v2"), hpa, hpa.GetAllocator());
  same(*json::find(hpa, {"spec", "metrics"}),
       R"([{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}])");
  same(
      *json::find(hpa, {"spec", "behavior", "scaleDown"}),
      R"({"stabilizationWindowSeconds":5,"selectPolicy":"Max","policies":[{"type":"Percent","value":100,"periodSeconds":15}]})");
}

TEST_CASE("rows of kinds") {
  struct Case {
    const char *group, *plural, *object, *expected;
  };
  const Case cases[] = {
      {"apps", "deployments",
       R"({"metadata":{"name":"d","creationTimestamp":"2026-11-21T11:59:00Z"},"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}},
           "template":{"spec":{"containers":[{"name":"c","image":"i"},{"name":"d","image":"j"}]}}},"status":{"readyReplicas":1,"updatedReplicas":2}})",
       "d|1/3|2|0|60s|c,d|i,j|a=b"},
      {"", "services",
       R"({"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","clusterIPs":["10.0.0.1"],"ports":[{"port":80,"nodePort":30080,"protocol":"TCP"}]},
           "status":{"loadBalancer":{"ingress":[{"hostname":"b"},{"ip":"1.2.3.4"}]}}})",
       "s|LoadBalancer|10.0.0.1|1.2.3.4,b|80:30080/TCP|<unknown>|<none>"},
      {"", "services", R"({"metadata":{"name":"s"},"spec":{"type":"LoadBalancer"}})",
       "s|LoadBalancer|<none>|<pending>|<none>|<unknown>|<none>"},
      {"", "endpoints",
       R"({"metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"}],"ports":[{"port":1},{"port":2}]}]})",
       "e|1.1.1.1:1,1.1.1.2:1,1.1.1.1:2 + 1 more...|<unknown>"},
      {"batch", "jobs",
       R"({"metadata":{"name":"j"},"spec":{"parallelism":2},"status":{"succeeded":1,"startTime":"2026-11-21T11:58:20Z",
           "conditions":[{"type":"Failed","status":"True"}]}})",
       "j|Failed|1/1 of 2|100s|<unknown>|||<none>"},
      {"batch", "cronjobs",
       R"({"metadata":{"name":"c"},"spec":{"schedule":"@daily","suspend":false},"status":{"active":[{}]}})",
       "c|@daily|<none>|False|1|<none>|<unknown>|||<none>"},
      {"", "resourcequotas",
       R"({"metadata":{"name":"q"},"status":{"hard":{"pods":"3","limits.cpu":"2","configmaps":"5"},"used":{"pods":"1"}}})",
       "q|configmaps: 0/5, pods: 1/3|limits.cpu: 0/2|<unknown>"},
      {"", "persistentvolumeclaims",
       R"({"metadata":{"name":"c","deletionTimestamp":"2026-11-21T11:59:00Z"},"spec":{"volumeName":"v","storageClassName":"s"},
           "status":{"phase":"Bound","capacity":{"storage":"1Gi"},"accessModes":["ReadWriteMany","ReadWriteOnce"]}})",
       "c|Terminating|v|1Gi|RWO,RWX|s|<unset>|<unknown>|<unset>"},
      {"networking.k8s.io", "ingresses",
       R"({"metadata":{"name":"i"},"spec":{"tls":[{}],"rules":[{"host":"a"},{"host":"b"},{"host":"c"},{"host":"d"}]}})",
       "i|<none>|a,b,c + 1 more...||80, 443|<unknown>"},
      {"networking.k8s.io", "networkpolicies", R"({"metadata":{"name":"n"},"spec":{"podSelector":{}}})",
       "n|<none>|<unknown>"},
      {"policy", "poddisruptionbudgets",
       R"({"metadata":{"name":"p"},"spec":{"minAvailable":"50%"},"status":{"disruptionsAllowed":1}})",
       "p|50%|N/A|1|<unknown>"},
      {"certificates.k8s.io", "certificatesigningrequests",
       R"({"metadata":{"name":"c"},"spec":{"username":"u","expirationSeconds":3600},"status":{"certificate":"eA==","conditions":[{"type":"Approved"}]}})",
       "c|<unknown>|<none>|u|60m|Approved,Issued"},
      {"rbac.authorization.k8s.io", "roles", R"({"metadata":{"name":"r","creationTimestamp":"2026-11-21T11:59:00Z"}})",
       "r|2026-11-21T11:59:00Z"},
      {"apps", "controllerrevisions",
       R"({"metadata":{"name":"c","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"d","controller":true}]},"revision":4})",
       "c|daemonset.apps/d|4|<unknown>"},
      {"flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations",
       R"({"metadata":{"name":"p"},"spec":{"type":"Exempt"}})", "p|Exempt|<none>|<none>|<none>|<none>|<unknown>"},
  };
  for (const Case& c : cases) CHECK(row(resource(c.group, c.plural), c.object) == c.expected);
}

TEST_CASE("an autoscaler's row shows two metrics") {
  const char* hpa =
      R"({"metadata":{"name":"h"},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d"},"maxReplicas":9,"metrics":[
      {"type":"Resource","resource":{"name":"cpu","target":{"averageUtilization":50}}},
      {"type":"External","external":{"target":{"averageValue":"30"}}},{"type":"Pods"}]},
      "status":{"currentReplicas":2,"currentMetrics":[{"type":"Resource","resource":{"name":"cpu","current":{"averageUtilization":40}}}]}})";
  CHECK(row(resource("autoscaling", "horizontalpodautoscalers", "v2"), hpa) ==
        "h|Deployment/d|cpu: 40%/50%, <unknown>/30 (avg) + 1 more...|<unset>|9|2|<unknown>");
}

TEST_CASE("events and autoscalers are the same in each version") {
  SECTION("events") {
    const auto &core = resource("", "events"), &newer = resource("events.k8s.io", "events");
    CHECK(core.storage_name == newer.storage_name);
    json::Document event =
        parse(R"({"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":{"name":"e"},"note":"n","reason":"r",
        "regarding":{"kind":"Pod"},"reportingController":"c","eventTime":"2026-01-01T00:00:00.000000Z"})");
    REQUIRE(schema::convert(newer, core, event, event.GetAllocator()).ok());
    CHECK(json::get_string(event, "apiVersion") == "v1");
    CHECK(json::get_string(event, "message") == "n");
    CHECK(json::get_string(event, {"involvedObject", "kind"}) == "Pod");
    CHECK(json::get_string(event, "reportingComponent") == "c");
    CHECK(schema::field_value(core, event, "involvedObject.kind") == "Pod");
    REQUIRE(schema::convert(core, newer, event, event.GetAllocator()).ok());
    CHECK(json::get_string(event, "note") == "n");
    CHECK(json::find(event, "message") == nullptr);
  }
  SECTION("autoscalers") {
    const auto &old = resource("autoscaling", "horizontalpodautoscalers"),
               &now = resource("autoscaling", "horizontalpodautoscalers", "v2");
    CHECK_FALSE(old.storage);
    CHECK(now.storage);
    json::Document hpa =
        parse(R"({"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v2","metadata":{"name":"h"},
        "spec":{"scaleTargetRef":{"kind":"D","name":"d"},"minReplicas":1,"maxReplicas":3,"metrics":[
          {"type":"Pods","pods":{"metric":{"name":"m"},"target":{"type":"AverageValue","averageValue":"10"}}},
          {"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}],
        "behavior":{"scaleUp":{"stabilizationWindowSeconds":0,"selectPolicy":"Max","policies":[{"type":"Pods","value":4,"periodSeconds":15}]},
                    "scaleDown":{"selectPolicy":"Max","policies":[{"type":"Percent","value":100,"periodSeconds":15}]}}},
        "status":{"desiredReplicas":1,"currentMetrics":null}})");
    const json::Document before = json::copy(hpa);
    REQUIRE(schema::convert(now, old, hpa, hpa.GetAllocator()).ok());
    CHECK(json::get_int(*json::find(hpa, "spec"), "targetCPUUtilizationPercentage") == 50);
    CHECK(json::get_string(hpa, {"metadata", "annotations", "autoscaling.alpha.kubernetes.io/metrics"}) ==
          R"([{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"10"}}])");
    CHECK(json::find(hpa, {"spec", "behavior"}) == nullptr);
    REQUIRE(schema::convert(old, now, hpa, hpa.GetAllocator()).ok());
    same(hpa, json::dump(before));
  }
  SECTION("versions of different resources") {
    json::Document map = parse("{}");
    CHECK_FALSE(schema::convert(resource("", "configmaps"), resource("", "events"), map, map.GetAllocator()).ok());
  }
}

TEST_CASE("sizes") {
  const json::Document deployment = parse(R"({"metadata":{"name":"d","namespace":"n","uid":"u","labels":{"a":"b"}},
      "spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"k","operator":"Exists"}]}},"status":{"replicas":2}})");
  same(
      schema::scale_of(resource("apps", "deployments"), deployment),
      R"({"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"d","namespace":"n","uid":"u"},"spec":{"replicas":3},
           "status":{"replicas":2,"selector":"a=b,k"}})");
  json::Document changed = json::copy(deployment);
  schema::set_scale(resource("apps", "deployments"), 0, changed, changed.GetAllocator());
  CHECK(json::get_int(*json::find(changed, "spec"), "replicas", 9) == 0);
}

TEST_CASE("warnings of kinds") {
  struct Case {
    const char *group, *plural, *object;
    std::vector<std::string> expected;
  };
  const Case cases[] = {
      {"apps",
       "deployments",
       R"({"metadata":{"name":"a.b"}})",
       {"metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label "
        "is recommended: "
        "[must not contain dots]"}},
      {"apps",
       "daemonsets",
       R"({"metadata":{"name":"a.b"},"spec":{"template":{"spec":{"nodeSelector":{"beta.kubernetes.io/os":"linux"}}}}})",
       {R"(spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead)"}},
      {"",
       "pods",
       R"({"spec":{"containers":[{"name":"c","env":[{"name":"A","value":"1"},{"name":"A","value":"2"}],"ports":[{"containerPort":80},{"containerPort":80}]}],
           "volumes":[{"name":"g","gitRepo":{}}],"terminationGracePeriodSeconds":-1}})",
       {"spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
        R"(spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply)",
        "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"}},
      {"",
       "services",
       R"({"spec":{"type":"ClusterIP","clusterIP":"None","externalIPs":["1.2.3.4"],"sessionAffinity":"None"}})",
       {"spec.externalIPs is ignored for headless services"}},
      {"networking.k8s.io",
       "ingresses",
       R"({"metadata":{"annotations":{"kubernetes.io/ingress.class":"n"}}})",
       {R"(annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead)"}},
      {"",
       "pods",
       R"({"spec":{"containers":[{"name":"c","ports":[{"name":"p","containerPort":80,"protocol":"TCP","hostIP":"1.2.3.4"}]}],"volumes":[
           {"name":"m","configMap":{"name":"x","items":[{"key":"a","path":"d/"},{"key":"b","path":"d/e"},{"key":"c","path":"de"}]}},
           {"name":"p","projected":{"sources":[{},{"secret":{"name":"s","items":[{"key":"a","path":"t"}]}},{"serviceAccountToken":{"path":"t"}}]}}]}})",
       {R"(volume "m" (ConfigMap "x"): overlapping paths: "d/e" with "d")",
        R"(volume "p" (Projected) has no sources provided)",
        R"(volume "p" (Projected): overlapping paths: "t" (ServiceAccountToken) with "t" (Secret "s"))",
        "spec.containers[0].ports[0]: hostIP set without hostPort: {Name:p HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.2.3.4}"}},
      {"",
       "nodes",
       R"({"spec":{"externalID":"x","configSource":{},"podCIDRs":["10.0.0.0/8","FD00::/64"]}})",
       {"spec.configSource: the feature is removed",
        "spec.externalID: this field is deprecated, and is unused by Kubernetes",
        R"(spec.podCIDRs[1]: IPv6 CIDR value "FD00::/64" should be in RFC 5952 canonical format ("fd00::/64"))"}},
      {"networking.k8s.io",
       "networkpolicies",
       R"({"spec":{"egress":[{"to":[{"ipBlock":{"cidr":"fd00:0::/64","except":["fd00::/65"]}}]}]}})",
       {R"(spec.egress[0].to[0].ipBlock.cidr: IPv6 CIDR value "fd00:0::/64" should be in RFC 5952 canonical format ("fd00::/64"))"}},
      {"", "configmaps", R"({"metadata":{"name":"c"}})", {}},
  };
  for (const Case& c : cases) {
    const json::Document object = parse(c.object);
    CHECK(schema::warnings(resource(c.group, c.plural), "", object, nullptr) == c.expected);
  }
}
