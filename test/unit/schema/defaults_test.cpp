#include <catch2/catch.hpp>

#include "knarr/schema/machinery.h"

using namespace knarr;

namespace {

std::string defaulted(std::string_view group, std::string_view kind, std::string_view text) {
  const schema::Resource* resource = schema::find_kind(group, "v1", kind);
  REQUIRE(resource);
  auto document = json::parse(text);
  REQUIRE(document.ok());
  schema::apply_defaults(*resource, *document, document->GetAllocator());
  return json::dump(*document);
}

// The defaulted object as far as `path` goes.
std::string part(std::string_view kind, std::string_view text, std::initializer_list<std::string_view> path) {
  auto document = json::parse(defaulted("", kind, text));
  REQUIRE(document.ok());
  const json::Value* value = &*document;
  for (std::string_view step : path) {
    REQUIRE(value != nullptr);
    value = value->IsArray() ? &(*value)[std::stoi(std::string(step))] : json::find(*value, step);
  }
  return value ? json::dump(*value) : "absent";
}

void same_json(const std::string& actual, std::string_view expected) {
  auto a = json::parse(actual), e = json::parse(expected);
  REQUIRE(a.ok());
  REQUIRE(e.ok());
  INFO(actual);
  CHECK(json::equal(*a, *e));
}

}  // namespace

TEST_CASE("a minimal pod gets what upstream gives it") {
  same_json(defaulted("", "Pod", R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"busybox"}]}})"),
            R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"busybox","resources":{},
               "terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"Always"}],
               "restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{},
               "schedulerName":"default-scheduler","enableServiceLinks":true},"status":{}})");
}

TEST_CASE("defaulting twice changes nothing") {
  std::string once = defaulted("", "Pod", R"({"metadata":{"name":"p"},"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"a:1",
      "ports":[{"containerPort":80}],"livenessProbe":{"httpGet":{"port":80}}}],"volumes":[{"name":"v"}]}})");
  CHECK(defaulted("", "Pod", once) == once);
}

TEST_CASE("the pull policy follows the tag") {
  const std::pair<std::string, const char*> cases[] = {
      {"busybox", "\"Always\""},
      {"busybox:latest", "\"Always\""},
      {"busybox:1.36", "\"IfNotPresent\""},
      {"localhost:5000/busybox", "\"Always\""},
      {"localhost:5000/busybox:1", "\"IfNotPresent\""},
      {"busybox@sha256:0123", "\"IfNotPresent\""},
      {"busybox:latest@sha256:0123", "\"Always\""},
      {std::string(247, 'y'), "\"Always\""},  // 255 characters in the library
      {std::string(248, 'y'), "\"IfNotPresent\""},
  };
  for (const auto& [image, policy] : cases) {
    INFO(image);
    std::string pod = std::string(R"({"spec":{"containers":[{"name":"c","image":")") + image + R"("}]}})";
    CHECK(part("Pod", pod, {"spec", "containers", "0", "imagePullPolicy"}) == policy);
  }
  CHECK(part("Pod", R"({"spec":{"containers":[{"image":"a","imagePullPolicy":"Never"}]}})", {"spec", "containers", "0", "imagePullPolicy"}) ==
        "\"Never\"");
}

TEST_CASE("pods cannot end before they are asked to, their templates can") {
  const std::string negative = R"({"containers":[],"terminationGracePeriodSeconds":-1})";
  CHECK(part("Pod", R"({"spec":)" + negative + "}", {"spec", "terminationGracePeriodSeconds"}) == "1");
  CHECK(part("PodTemplate", R"({"template":{"spec":)" + negative + "}}", {"template", "spec", "terminationGracePeriodSeconds"}) == "-1");
}

TEST_CASE("parts of pods") {
  struct Case {
    const char* what;
    const char* spec;
    std::initializer_list<std::string_view> path;
    const char* expected;
  };
  const Case cases[] = {
      {"probe", R"({"containers":[{"readinessProbe":{"tcpSocket":{"port":1},"timeoutSeconds":0}}]})", {"containers", "0", "readinessProbe"},
       R"({"tcpSocket":{"port":1},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3})"},
      {"httpGet", R"({"containers":[{"lifecycle":{"preStop":{"httpGet":{"port":"x"}}}}]})", {"containers", "0", "lifecycle"},
       R"({"preStop":{"httpGet":{"port":"x","path":"/","scheme":"HTTP"}}})"},
      {"protocol", R"({"containers":[{"ports":[{"containerPort":1}]}]})", {"containers", "0", "ports"}, R"([{"containerPort":1,"protocol":"TCP"}])"},
      {"host network", R"({"hostNetwork":true,"containers":[{"ports":[{"containerPort":1,"protocol":"UDP"}]}]})", {"containers", "0", "ports"},
       R"([{"containerPort":1,"protocol":"UDP","hostPort":1}])"},
      {"requests from limits", R"({"containers":[{"resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m"}}}]})",
       {"containers", "0", "resources"}, R"({"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m","memory":"1Gi"}})"},
      {"quantities", R"({"containers":[{"resources":{"requests":{"cpu":"0.0001","memory":"1024Ki"}}}]})", {"containers", "0", "resources"},
       R"({"requests":{"cpu":"1m","memory":"1Mi"}})"},
      {"fieldRef", R"({"containers":[{"env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"x"}}}]}]})", {"containers", "0", "env"},
       R"([{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"x","apiVersion":"v1"}}}])"},
      {"ephemeral container", R"({"containers":[],"ephemeralContainers":[{"name":"d","image":"x:1"}]})", {"ephemeralContainers"},
       R"([{"name":"d","image":"x:1","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File",
           "imagePullPolicy":"IfNotPresent"}])"},
      {"volume without source", R"({"volumes":[{"name":"v"}]})", {"volumes"}, R"([{"name":"v","emptyDir":{}}])"},
      {"volume modes",
       R"({"volumes":[{"name":"a","secret":{"secretName":"s"}},{"name":"b","configMap":{"name":"c","defaultMode":0}},{"name":"c","hostPath":{"path":"/"}},
           {"name":"d","projected":{"sources":[{"serviceAccountToken":{"path":"t"}}]}}]})",
       {"volumes"},
       R"([{"name":"a","secret":{"secretName":"s","defaultMode":420}},{"name":"b","configMap":{"name":"c","defaultMode":0}},
           {"name":"c","hostPath":{"path":"/","type":""}},
           {"name":"d","projected":{"sources":[{"serviceAccountToken":{"path":"t","expirationSeconds":3600}}],"defaultMode":420}}])"},
      {"service account", R"({"serviceAccount":"a"})", {"serviceAccountName"}, "\"a\""},
      {"pod level requests", R"({"resources":{"limits":{"cpu":"2","memory":"1Gi"}},"containers":[{"resources":{"requests":{"cpu":"1"}}}]})",
       {"resources"}, R"({"limits":{"cpu":"2","memory":"1Gi"},"requests":{"cpu":"1","memory":"1Gi"}})"},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    auto document = json::parse(defaulted("", "Pod", std::string(R"({"spec":)") + c.spec + "}"));
    const json::Value* value = json::find(*document, "spec");
    for (std::string_view step : c.path) value = value->IsArray() ? &(*value)[std::stoi(std::string(step))] : json::find(*value, step);
    REQUIRE(value);
    same_json(json::dump(*value), c.expected);
  }
}

TEST_CASE("other kinds") {
  same_json(defaulted("", "Namespace", R"({"metadata":{"name":"n"}})"),
            R"({"metadata":{"name":"n","labels":{"kubernetes.io/metadata.name":"n"}},"spec":{},"status":{"phase":"Active"}})");
  same_json(defaulted("", "Secret", R"({"data":{"a":"AA=="},"stringData":{"a":"x","b":"y"}})"),
            R"({"metadata":{},"data":{"a":"eA==","b":"eQ=="},"type":"Opaque"})");
  same_json(defaulted("", "ConfigMap", R"({"data":{"a":"b"}})"), R"({"metadata":{},"data":{"a":"b"}})");
  same_json(defaulted("coordination.k8s.io", "Lease", R"({"metadata":{"name":"l"}})"), R"({"metadata":{"name":"l"},"spec":{}})");
  CHECK(part("Node", R"({"status":{"capacity":{"cpu":"2"}}})", {"status", "allocatable"}) == R"({"cpu":"2"})");
  CHECK(part("Node", R"({"spec":{"podCIDR":"10.0.0.0/24"}})", {"spec", "podCIDRs"}) == R"(["10.0.0.0/24"])");
  CHECK(part("Pod", R"({"status":{"podIPs":[{"ip":"10.0.0.1"}]}})", {"status", "podIP"}) == "\"10.0.0.1\"");
}

TEST_CASE("a pod with a bit of everything becomes what upstream 1.36 makes of it") {
  constexpr std::string_view kGiven =
    R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"r","namespace":"d","labels":{"a":"b"}},"spec":{"hostNetwork":true,"serviceAccoun)~"
    R"~(t":"sa","resources":{"limits":{"cpu":"3","memory":"2Gi","hugepages-2Mi":"4Mi"}},"containers":[{"name":"a","image":"reg:5000/x","port)~"
    R"~(s":[{"containerPort":80},{"containerPort":81,"hostPort":81}],"env":[{"name":"n","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"})~"
    R"~(}},{"name":"m","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}},{"name":"f","valueFrom":{"fileKeyRef":{"volumeName":"v",")~"
    R"~(path":"p","key":"k"}}}],"resources":{"limits":{"cpu":"1500m","memory":"1024Mi","ephemeral-storage":"1e3"},"requests":{"cpu":"0.0005")~"
    R"~(}},"livenessProbe":{"httpGet":{"port":80}},"readinessProbe":{"grpc":{"port":1}},"startupProbe":{"exec":{"command":["a"]},"failureThr)~"
    R"~(eshold":9},"lifecycle":{"preStop":{"httpGet":{"port":"x","path":"/y","scheme":"HTTPS"}}},"restartPolicyRules":[]},{"name":"b","image)~"
    R"~(":"x@sha256:aaaa","imagePullPolicy":"Never","resizePolicy":[{"resourceName":"cpu","restartPolicy":"NotRequired"}]}],"initContainers")~"
    R"~(:[{"name":"i","image":"x:1","resources":{"limits":{"cpu":"100m"}},"ports":[{"containerPort":5}]}],"ephemeralContainers":[{"name":"e")~"
    R"~(,"image":"x:latest"}],"volumes":[{"name":"a"},{"name":"b","secret":{"secretName":"s"}},{"name":"c","hostPath":{"path":"/x"}},{"name")~"
    R"~(:"d","projected":{"sources":[{"serviceAccountToken":{"path":"t"}},{"downwardAPI":{"items":[{"path":"l","fieldRef":{"fieldPath":"meta)~"
    R"~(data.labels"}}]}},{"clusterTrustBundle":{"path":"x","name":"n"}}]}},{"name":"e","iscsi":{"targetPortal":"1","iqn":"q","lun":0}},{"na)~"
    R"~(me":"f","rbd":{"monitors":["m"],"image":"i"}},{"name":"g","azureDisk":{"diskName":"a","diskURI":"b"}},{"name":"h","scaleIO":{"gatewa)~"
    R"~(y":"g","system":"s","secretRef":{"name":"n"}}},{"name":"i","image":{"reference":"x"}},{"name":"j","ephemeral":{"volumeClaimTemplate")~"
    R"~(:{"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1024Mi"}}}}}},{"name":"k","downwardAPI":{}},{"name":"l)~"
    R"~(","csi":{"driver":"d"}},{"name":"m","emptyDir":{"medium":"Memory","sizeLimit":"1000Ki"}},{"name":"n","configMap":{"name":"c","items")~"
    R"~(:[{"key":"k","path":"p"}],"optional":true}}],"tolerations":[{"key":"k","operator":"Exists","tolerationSeconds":0}],"affinity":{"node)~"
    R"~(Affinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"preference":{}}]}},"topologySpreadConstraints":[{"maxSkew)~"
    R"~(":1,"topologyKey":"a","whenUnsatisfiable":"DoNotSchedule"}],"overhead":{"cpu":"10m"},"dnsConfig":{"options":[{"name":"a"}]}},"status)~"
    R"~(":{"phase":"Running","podIP":"1.2.3.4","hostIP":"1.1.1.1","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"nam)~"
    R"~(e":"a","state":{"running":{}},"image":"x"}]}})~";
  constexpr std::string_view kUpstream =
    R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"r","namespace":"d","labels":{"a":"b"}},"spec":{"volumes":[{"name":"a","emptyDir")~"
    R"~(:{}},{"name":"b","secret":{"secretName":"s","defaultMode":420}},{"name":"c","hostPath":{"path":"/x","type":""}},{"name":"d","project)~"
    R"~(ed":{"sources":[{"serviceAccountToken":{"expirationSeconds":3600,"path":"t"}},{"downwardAPI":{"items":[{"path":"l","fieldRef":{"apiV)~"
    R"~(ersion":"v1","fieldPath":"metadata.labels"}}]}},{"clusterTrustBundle":{"name":"n","path":"x"}}],"defaultMode":420}},{"name":"e","isc)~"
    R"~(si":{"targetPortal":"1","iqn":"q","lun":0,"iscsiInterface":"default"}},{"name":"f","rbd":{"monitors":["m"],"image":"i","pool":"rbd",)~"
    R"~("user":"admin","keyring":"/etc/ceph/keyring"}},{"name":"g","azureDisk":{"diskName":"a","diskURI":"b","cachingMode":"ReadWrite","fsTy)~"
    R"~(pe":"ext4","readOnly":false,"kind":"Shared"}},{"name":"h","scaleIO":{"gateway":"g","system":"s","secretRef":{"name":"n"},"storageMod)~"
    R"~(e":"ThinProvisioned","fsType":"xfs"}},{"name":"i","image":{"reference":"x","pullPolicy":"Always"}},{"name":"j","ephemeral":{"volumeC)~"
    R"~(laimTemplate":{"metadata":{},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}},"volumeMode":"Filesy)~"
    R"~(stem"}}}},{"name":"k","downwardAPI":{"defaultMode":420}},{"name":"l","csi":{"driver":"d"}},{"name":"m","emptyDir":{"medium":"Memory")~"
    R"~(,"sizeLimit":"1000Ki"}},{"name":"n","configMap":{"name":"c","items":[{"key":"k","path":"p"}],"defaultMode":420,"optional":true}}],"i)~"
    R"~(nitContainers":[{"name":"i","image":"x:1","ports":[{"hostPort":5,"containerPort":5,"protocol":"TCP"}],"resources":{"limits":{"cpu":")~"
    R"~(100m"},"requests":{"cpu":"100m"}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy)~"
    R"~(":"IfNotPresent"}],"containers":[{"name":"a","image":"reg:5000/x","ports":[{"hostPort":80,"containerPort":80,"protocol":"TCP"},{"hos)~"
    R"~(tPort":81,"containerPort":81,"protocol":"TCP"}],"env":[{"name":"n","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"status.po)~"
    R"~(dIP"}}},{"name":"m","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"0"}}},{"name":"f","valueFrom":{"fileKeyRef":)~"
    R"~({"volumeName":"v","path":"p","key":"k","optional":false}}}],"resources":{"limits":{"cpu":"1500m","ephemeral-storage":"1e3","memory":)~"
    R"~("1Gi"},"requests":{"cpu":"1m","ephemeral-storage":"1e3","memory":"1Gi"}},"livenessProbe":{"httpGet":{"path":"/","port":80,"scheme":")~"
    R"~(HTTP"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},"readinessProbe":{"grpc":{"port":1,"service")~"
    R"~(:""},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},"startupProbe":{"exec":{"command":["a"]},"time)~"
    R"~(outSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":9},"lifecycle":{"preStop":{"httpGet":{"path":"/y","port":"x)~"
    R"~(","scheme":"HTTPS"}}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"Always"},)~"
    R"~({"name":"b","image":"x@sha256:aaaa","resources":{},"resizePolicy":[{"resourceName":"cpu","restartPolicy":"NotRequired"}],"terminatio)~"
    R"~(nMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"Never"}],"ephemeralContainers":[{"name":"e)~"
    R"~(","image":"x:latest","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPoli)~"
    R"~(cy":"Always"}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"sa","ser)~"
    R"~(viceAccount":"sa","hostNetwork":true,"securityContext":{},"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecuti)~"
    R"~(on":[{"weight":1,"preference":{}}]}},"schedulerName":"default-scheduler","tolerations":[{"key":"k","operator":"Exists","tolerationSe)~"
    R"~(conds":0}],"dnsConfig":{"options":[{"name":"a"}]},"enableServiceLinks":true,"overhead":{"cpu":"10m"},"topologySpreadConstraints":[{")~"
    R"~(maxSkew":1,"topologyKey":"a","whenUnsatisfiable":"DoNotSchedule"}],"resources":{"limits":{"cpu":"3","hugepages-2Mi":"4Mi","memory":")~"
    R"~(2Gi"},"requests":{"cpu":"100m","hugepages-2Mi":"4Mi","memory":"1Gi"}}},"status":{"phase":"Running","conditions":[{"type":"Ready","st)~"
    R"~(atus":"True","lastProbeTime":null,"lastTransitionTime":null}],"hostIP":"1.1.1.1","podIP":"1.2.3.4","podIPs":[{"ip":"1.2.3.4"}],"cont)~"
    R"~(ainerStatuses":[{"name":"a","state":{"running":{"startedAt":null}},"lastState":{},"ready":false,"restartCount":0,"image":"x","imageI)~"
    R"~(D":""}]}})~";
  auto document = json::parse(kGiven);
  REQUIRE(document.ok());
  const schema::Resource* pods = schema::find_kind("", "v1", "Pod");
  std::vector<std::string> unknown;
  REQUIRE(schema::normalize(*pods->type, *document, document->GetAllocator(), unknown).ok());
  CHECK(unknown.empty());
  schema::apply_defaults(*pods, *document, document->GetAllocator());
  same_json(json::dump(*document), kUpstream);
}
