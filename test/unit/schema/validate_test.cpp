// Updates of pods, metadata, and the other kinds.
#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "knarr/schema/machinery.h"
#include "unit/schema/validate_case.h"

namespace knarr::schema::test {

namespace {

const Case kCases[] = {
    {"meta name",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"A_b","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     "",
     {R"~(metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.')~"
      R"~(, and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z)~"
      R"~(0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~"}},
    {"meta no name",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     "",
     {R"~(metadata.name: Required value: name or generateName is required)~"}},
    {"meta labels",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","labels":{"a b":"c","ok":"-"},"annotations":{"x y":"z","UPP)~"
     R"~(ER":"ok"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     "",
     {R"~(metadata.annotations: Invalid value: "x y": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and)~"
      R"~( end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za)~"
      R"~(-z0-9_.]*)?[A-Za-z0-9]'))~",
      R"~(metadata.labels: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.',)~"
      R"~( and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is )~"
      R"~('(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'))~",
      R"~(metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end )~"
      R"~(with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9)~"
      R"~(_.]*)?[A-Za-z0-9]'))~"}},
    {"meta owners",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","ownerReferences":[{"apiVersion":"","kind":"","name":"","ui)~"
     R"~(d":""},{"apiVersion":"v1","kind":"Event","name":"e","uid":"u"},{"apiVersion":"v1","kind":"A","name":"a","uid":"u","controller":tru)~"
     R"~(e},{"apiVersion":"v1","kind":"B","name":"b","uid":"v","controller":true}]},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     "",
     {R"~(metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty)~",
      R"~(metadata.ownerReferences.kind: Invalid value: "": must not be empty)~",
      R"~(metadata.ownerReferences.name: Invalid value: "": must not be empty)~",
      R"~(metadata.ownerReferences.uid: Invalid value: "": must not be empty)~",
      R"~(metadata.ownerReferences: Invalid value: [{"apiVersion":"","kind":"","name":"","uid":""},{"apiVersion":"v1","kind":"Event","name":)~"
      R"~("e","uid":"u"},{"apiVersion":"v1","kind":"A","name":"a","uid":"u","controller":true},{"apiVersion":"v1","kind":"B","name":"b","uid)~"
      R"~(":"v","controller":true}]: Only one reference can have Controller set to true. Found "true" in references for A/a and B/b)~",
      R"~(metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"e","uid":"u"}: /v1, Kind=Event is disallowed fr)~"
      R"~(om being an owner)~"}},
    {"meta finalizers",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","finalizers":["a b","orphan","foregroundDeletion"]},"spec":)~"
     R"~({"containers":[{"name":"c","image":"i:1"}]}})~",
     "",
     {R"~(metadata.finalizers: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and )~"
      R"~(end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-)~"
      R"~(z0-9_.]*)?[A-Za-z0-9]'))~",
      R"~(metadata.finalizers: Invalid value: ["a b","orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both )~"
      R"~(set)~",
      R"~(metadata.finalizers[0]: Invalid value: "a b": name is neither a standard finalizer name nor is it fully qualified)~"}},
    {"meta namespace",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":""},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     "",
     {R"~(metadata.namespace: Required value)~"}},
    {"update image",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:2"}]}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     {}},
    {"update containers",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:2"},{"name":"d","image":"i:2"}]}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     {R"~(spec.containers: Forbidden: pod updates may not add or remove containers)~"}},
    {"update node",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"nodeName":"n"}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     {R"~(spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.acti)~"
      R"~(veDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to b)~"
      R"~(e set to 1 if it was previously negative))~"}},
    {"update deadline",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"activeDeadlineSeconds":7}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"activeDeadlineSeconds":5}})~",
     {R"~(spec.activeDeadlineSeconds: Invalid value: 7: must be less than or equal to previous value)~"}},
    {"remove deadline",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"activeDeadlineSeconds":5}})~",
     {R"~(spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value)~"}},
    {"add toleration",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"tolerations":[{"key":"a","operator":"Exists"},{"key":"b","oper)~"
     R"~(ator":"Exists"}]}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"tolerations":[{"key":"a","operator":"Exists"}]}})~",
     {}},
    {"remove toleration",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"tolerations":[{"key":"a","operator":"Exists"}]}})~",
     {R"~(spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds)~"}},
    {"add gate",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"schedulingGates":[{"name":"b"}]}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"schedulingGates":[{"name":"a"}]}})~",
     {R"~(spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'b')~"}},
    {"narrow while gated",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"schedulingGates":[{"name":"a"}],"nodeSelector":{"a":"c"}}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"schedulingGates":[{"name":"a"}],"nodeSelector":{"a":"b"}}})~",
     {R"~(spec.nodeSelector: Invalid value: {"a":"c"}: only additions to spec.nodeSelector are allowed (no mutations or deletions))~"}},
    {"affinity while gated",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"schedulingGates":[{"name":"a"}],"affinity":{"nodeAffinity":{"r)~"
     R"~(equiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"Exists"}]}]}}}}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"schedulingGates":[{"name":"a"}]}})~",
     {}},
    {"meta immutable",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"v","resourceVersion":"","creationTimestamp":"2026-01)~"
     R"~(-02T00:00:00Z","generation":1},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z","generation":2},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     {R"~(metadata.creationTimestamp: Invalid value: "2026-01-02T00:00:00Z": field is immutable)~",
      R"~(metadata.generation: Invalid value: 1: must not be decremented)~",
      R"~(metadata.resourceVersion: Invalid value: "": must be specified for an update)~",
      R"~(metadata.uid: Invalid value: "v": field is immutable)~"}},
    {"finalizer while deleting",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z","finalizers":["a.b/c"],"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1")~"
     R"~(}]}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z","deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     {R"~(metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a.b/)~"
      R"~(c"})~"}},
    {"status",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"restartPolicy":"Never"},"status":{"qosClass":"BestEffort","con)~"
     R"~(ditions":[{"type":"a b","status":"True"}],"containerStatuses":[{"name":"c","state":{"running":{}}}],"podIPs":[{"ip":"1.2.3.4"},{"i)~"
     R"~(p":"1.2.3.5"}]}})~",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5","creationTimestamp":"2026-0)~"
     R"~(1-01T00:00:00Z"},"spec":{"containers":[{"name":"c","image":"i:1"}],"restartPolicy":"Never"},"status":{"qosClass":"Burstable","cont)~"
     R"~(ainerStatuses":[{"name":"c","state":{"terminated":{"exitCode":1}}}]}})~",
     {R"~(status.conditions[0].Type: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must star)~"
      R"~(t and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][)~"
      R"~(-A-Za-z0-9_.]*)?[A-Za-z0-9]'))~",
      R"~(status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state)~",
      R"~(status.podIPs: Invalid value: [{"ip":"1.2.3.4"},{"ip":"1.2.3.5"}]: may specify no more than one IP for each IP family)~",
      R"~(status.qosClass: Invalid value: "BestEffort": field is immutable)~"}},
    {"config map",
     R"~({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"data":{"a b":"x","..":"y","k":"z"},"binaryData":{"k)~"
     R"~(":"AA==","b/":""}})~",
     "",
     {R"~(binaryData[b/]: Invalid value: "b/": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',)~"
      R"~(  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+'))~",
      R"~(data[..]: Invalid value: "..": must not be '..')~",
      R"~(data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or)~"
      R"~( 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+'))~",
      R"~(data[k]: Invalid value: "k": duplicate of key present in binaryData)~"}},
    {"config map frozen",
     R"~({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5"},"data":{"a":"2"}})~",
     R"~({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5"},"immutable":true,"da)~"
     R"~(ta":{"a":"1"},"binaryData":{"b":"AA=="}})~",
     {R"~(binaryData: Forbidden: field is immutable when `immutable` is set)~",
      R"~(data: Forbidden: field is immutable when `immutable` is set)~",
      R"~(immutable: Forbidden: field is immutable when `immutable` is set)~"}},
    {"secret keys",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"type":"Opaque","data":{"a b":""}})~",
     "",
     {R"~(data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or)~"
      R"~( 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+'))~"}},
    {"secret type",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5"},"type":"x"})~",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5"},"type":"y"})~",
     {R"~(type: Invalid value: "x": field is immutable)~"}},
    {"secret frozen",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5"},"type":"x","data":{"a":)~"
     R"~(""}})~",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d","uid":"u","resourceVersion":"5"},"type":"x","immutable":)~"
     R"~(true})~",
     {R"~(data: Forbidden: field is immutable when `immutable` is set)~",
      R"~(immutable: Forbidden: field is immutable when `immutable` is set)~"}},
    {"secret tls",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"type":"kubernetes.io/tls","data":{"tls.crt":""}})~",
     "",
     {R"~(data[tls.key]: Required value)~"}},
    {"secret basic",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"type":"kubernetes.io/basic-auth"})~",
     "",
     {R"~(data[password]: Required value)~",
      R"~(data[username]: Required value)~"}},
    {"secret ssh",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"type":"kubernetes.io/ssh-auth"})~",
     "",
     {R"~(data[ssh-privatekey]: Required value)~"}},
    {"secret docker",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"type":"kubernetes.io/dockerconfigjson"})~",
     "",
     {R"~(data[.dockerconfigjson]: Required value)~"}},
    {"secret token",
     R"~({"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"type":"kubernetes.io/service-account-token"})~",
     "",
     {R"~(metadata.annotations[kubernetes.io/service-account.name]: Required value)~"}},
    {"namespace",
     R"~({"kind":"Namespace","apiVersion":"v1","metadata":{"name":"a.b"},"spec":{"finalizers":["x","kubernetes"]}})~",
     "",
     {R"~(metadata.name: Invalid value: "a.b": must not contain dots)~",
      R"~(spec.finalizers: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified)~"}},
    {"namespace in namespace",
     R"~({"kind":"Namespace","apiVersion":"v1","metadata":{"name":"x","namespace":"d"}})~",
     "",
     {R"~(metadata.namespace: Forbidden: not allowed on this type)~"}},
    {"service account",
     R"~({"kind":"ServiceAccount","apiVersion":"v1","metadata":{"name":"A","namespace":"d"}})~",
     "",
     {R"~(metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', )~"
      R"~(and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-)~"
      R"~(9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~"}},
    {"node",
     R"~({"kind":"Node","apiVersion":"v1","metadata":{"name":"N"},"spec":{"podCIDRs":["10.0.0.0/24","10.0.1.0/24"],"taints":[{"key":"","eff)~"
     R"~(ect":""},{"key":"a","effect":"X","value":"b c"},{"key":"a","effect":"NoSchedule"},{"key":"a","effect":"NoSchedule"}]},"status":{"c)~"
     R"~(apacity":{"cpu":"-1","pods":"1.5"}}})~",
     "",
     {R"~(metadata.name: Invalid value: "N": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', )~"
      R"~(and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-)~"
      R"~(9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(metadata.taints[0].effect: Required value)~",
      R"~(metadata.taints[0].key: Invalid value: "": name part must be non-empty)~",
      R"~(metadata.taints[0].key: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and )~"
      R"~(end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-)~"
      R"~(z0-9_.]*)?[A-Za-z0-9]'))~",
      R"~(metadata.taints[1].effect: Unsupported value: "X": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute")~",
      R"~(metadata.taints[1].value: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters, '-', )~"
      R"~('_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for val)~"
      R"~(idation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'))~",
      R"~(metadata.taints[3]: Duplicate value: {"Key":"a","Value":"","Effect":"NoSchedule","TimeAdded":null}: taints must be unique by key and effect pair)~",
      R"~(spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family)~",
      R"~(status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0)~",
      R"~(status.allocatable.pods: Invalid value: "1500m": must be an integer)~",
      R"~(status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0)~",
      R"~(status.capacity.pods: Invalid value: "1500m": must be an integer)~"}},
    {"node update",
     R"~({"kind":"Node","apiVersion":"v1","metadata":{"name":"x","uid":"u","resourceVersion":"5"},"spec":{"podCIDR":"10.0.1.0/24","podCIDRs)~"
     R"~(":["10.0.1.0/24"],"providerID":"b"},"status":{"addresses":[{"type":"InternalIP","address":"1"},{"type":"InternalIP","address":"1"})~"
     R"~(]}})~",
     R"~({"kind":"Node","apiVersion":"v1","metadata":{"name":"x","uid":"u","resourceVersion":"5"},"spec":{"podCIDR":"10.0.0.0/24","podCIDRs)~"
     R"~(":["10.0.0.0/24"],"providerID":"a"}})~",
     {R"~(spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid)~",
      R"~(spec.providerID: Forbidden: node updates may not change providerID except from "" to valid)~",
      R"~(status.addresses[1]: Duplicate value: {"type":"InternalIP","address":"1"})~"}},
    {"event",
     R"~({"kind":"Event","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"involvedObject":{"namespace":"e"}})~",
     "",
     {R"~(involvedObject.namespace: Invalid value: "e": does not match event.namespace)~"}},
    {"new event",
     R"~({"kind":"Event","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"involvedObject":{"namespace":"d"},"eventTime":"2026-01-)~"
     R"~(01T00:00:00.000000Z","reason":"rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr)~"
     R"~(rrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"})~",
     "",
     {R"~(action: Required value)~",
      R"~(reason: Invalid value: "": can have at most 128 characters)~",
      R"~(reportingComponent: Invalid value: "": name part must be non-empty)~",
      R"~(reportingComponent: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end )~"
      R"~(with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9)~"
      R"~(_.]*)?[A-Za-z0-9]'))~",
      R"~(reportingComponent: Required value)~",
      R"~(reportingInstance: Required value)~"}},
    {"lease",
     R"~({"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"x","namespace":"d"},"spec":{"leaseDurationSeconds":0,"le)~"
     R"~(aseTransitions":-1,"preferredHolder":"x"}})~",
     "",
     {R"~(spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0)~",
      R"~(spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0)~",
      R"~(spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined)~"}},
    {"binding",
     R"~({"kind":"Binding","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"target":{"kind":"Cat","name":""}})~",
     "",
     {R"~(target.kind: Unsupported value: "Cat": supported values: "Node", "<empty>")~",
      R"~(target.name: Required value)~"}},
};

json::Document defaulted(const schema::Resource& resource, std::string_view text) {
  auto document = json::parse(text);
  REQUIRE(document.ok());
  schema::apply_defaults(resource, *document, document->GetAllocator());
  return std::move(*document);
}

// The first line of each message: what follows is a difference in our own form.
std::set<std::string> messages(const std::vector<Cause>& causes) {
  std::set<std::string> out;
  for (const Cause& cause : causes) {
    CHECK_FALSE(cause.reason.empty());
    out.insert(cause.field + ": " + cause.message.substr(0, cause.message.find('\n')));
  }
  return out;
}

}  // namespace

void check(const Case& c) {
  INFO(c.title);
  auto header = json::parse(c.object);
  REQUIRE(header.ok());
  std::string_view version = json::get_string(*header, "apiVersion");
  size_t slash = version.find('/');
  std::string_view group = slash == std::string_view::npos ? "" : version.substr(0, slash);
  const schema::Resource* resource = schema::find_kind(group, "v1", json::get_string(*header, "kind"));
  REQUIRE(resource);
  json::Document object = defaulted(*resource, c.object), old;
  if (*c.old) old = defaulted(*resource, c.old);
  std::set<std::string> expected(c.expected.begin(), c.expected.end());
  CHECK(messages(schema::validate(*resource, object, *c.old ? &old : nullptr)) == expected);
}

TEST_CASE("objects are refused in upstream's words") {
  for (const Case& c : kCases) check(c);
}

TEST_CASE("causes have upstream's reasons") {
  const schema::Resource* pods = schema::find_kind("", "v1", "Pod");
  json::Document pod = defaulted(*pods, R"({"metadata":{"name":"p","namespace":"d"},"spec":{"containers":[{"name":"","image":"i"}]}})");
  auto causes = schema::validate(*pods, pod, nullptr);
  REQUIRE(causes.size() == 1);
  CHECK(causes[0] == Cause{"FieldValueRequired", "Required value", "spec.containers[0].name"});
}

}  // namespace knarr::schema::test
