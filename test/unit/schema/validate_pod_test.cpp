// Pods that are refused when they are created.
#include <catch2/catch.hpp>

#include "unit/schema/validate_case.h"

namespace knarr::schema::test {

namespace {

const Case kCases[] = {
    {"minimal",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}]}})~",
     "",
     {}},
    {"no containers",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[]}})~",
     "",
     {R"~(spec.containers: Required value)~"}},
    {"empty container",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{}]}})~",
     "",
     {R"~(spec.containers[0].image: Required value)~",
      R"~(spec.containers[0].name: Required value)~"}},
    {"bad names",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"A","image":"i"},{"name":"c_)~"
     R"~(c","image":"i"}]}})~",
     "",
     {R"~(spec.containers[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-',)~"
      R"~( and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-)~"
      R"~(z0-9]*[a-z0-9])?'))~",
      R"~(spec.containers[1].name: Invalid value: "c_c": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-)~"
      R"~(', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-)~"
      R"~(a-z0-9]*[a-z0-9])?'))~"}},
    {"duplicate names",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i"},{"name":"c")~"
     R"~(,"image":"i"}],"initContainers":[{"name":"c","image":"i"}]}})~",
     "",
     {R"~(spec.containers[1].name: Duplicate value: "c")~",
      R"~(spec.initContainers[0].name: Duplicate value: "c")~"}},
    {"image with spaces",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":" i "}]}})~",
     "",
     {R"~(spec.containers[0].image: Invalid value: " i ": must not have leading or trailing whitespace)~"}},
    {"pull policy",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","imagePull)~"
     R"~(Policy":"Sometimes","terminationMessagePolicy":"None"}]}})~",
     "",
     {R"~(spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never")~",
      R"~(spec.containers[0].terminationMessagePolicy: Unsupported value: "None": supported values: "File", "FallbackToLogsOnError")~"}},
    {"ports",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","ports":[{)~"
     R"~("containerPort":0},{"containerPort":70000,"hostPort":-1,"protocol":"ICMP"},{"containerPort":1,"name":"UPPER"},{"containerPort":2,")~"
     R"~(name":"a"},{"containerPort":3,"name":"a"}]}]}})~",
     "",
     {R"~(spec.containers[0].ports[0].containerPort: Required value)~",
      R"~(spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive)~",
      R"~(spec.containers[0].ports[1].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive)~",
      R"~(spec.containers[0].ports[1].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP")~",
      R"~(spec.containers[0].ports[2].name: Invalid value: "UPPER": must contain at least one letter (a-z))~",
      R"~(spec.containers[0].ports[2].name: Invalid value: "UPPER": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-))~",
      R"~(spec.containers[0].ports[4].name: Duplicate value: "a")~"}},
    {"host ports",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","ports":[{)~"
     R"~("containerPort":1,"hostPort":80},{"containerPort":2,"hostPort":80}]}]}})~",
     "",
     {R"~(spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80")~"}},
    {"host network ports",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","ports":[{)~"
     R"~("containerPort":1,"hostPort":80}]}],"hostNetwork":true}})~",
     "",
     {R"~(spec.containers[0].ports[0].hostPort: Invalid value: 80: must match `containerPort` when `hostNetwork` is true)~"}},
    {"env",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","env":[{"n)~"
     R"~(ame":""},{"name":"a=b","value":"x"},{"name":"v","valueFrom":{}},{"name":"w","value":"x","valueFrom":{"fieldRef":{"fieldPath":"meta)~"
     R"~(data.name"}}}]}]}})~",
     "",
     {R"~(spec.containers[0].env[0].name: Required value)~",
      R"~(spec.containers[0].env[1].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII chara)~"
      R"~(cters other than '=')~",
      R"~(spec.containers[0].env[2].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `s)~"
      R"~(ecretKeyRef` or `fileKeyRef`)~",
      R"~(spec.containers[0].env[3].valueFrom: Invalid value: "": may not be specified when `value` is not empty)~"}},
    {"env refs",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","env":[{"n)~"
     R"~(ame":"a","valueFrom":{"fieldRef":{"fieldPath":"spec.nothing"}}},{"name":"b","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels")~"
     R"~(}}},{"name":"c","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['a b']"}}},{"name":"d","valueFrom":{"configMapKeyRef":{"name)~"
     R"~(":"","key":""}}},{"name":"e","valueFrom":{"secretKeyRef":{"name":"A","key":".."}}},{"name":"f","valueFrom":{"resourceFieldRef":{"r)~"
     R"~(esource":"limits.gpu","divisor":"2"}}},{"name":"g","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"2"}}},{"nam)~"
     R"~(e":"h","valueFrom":{"fieldRef":{"fieldPath":"spec['a']"}}}]}]}})~",
     "",
     {R"~(spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nothing": error converting fieldPath: field label not)~"
      R"~( supported: spec.nothing)~",
      R"~(spec.containers[0].env[1].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", ")~"
      R"~(metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP")~"
      R"~(, "status.podIPs")~",
      R"~(spec.containers[0].env[2].valueFrom.fieldRef: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or)~"
      R"~( '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validatio)~"
      R"~(n is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'))~",
      R"~(spec.containers[0].env[3].valueFrom.configMapKeyRef.key: Required value)~",
      R"~(spec.containers[0].env[3].valueFrom.configMapKeyRef.name: Invalid value: "": a lowercase RFC 1123 subdomain must consist of lower )~"
      R"~(case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used fo)~"
      R"~(r validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(spec.containers[0].env[4].valueFrom.secretKeyRef.key: Invalid value: "..": must not be '..')~",
      R"~(spec.containers[0].env[4].valueFrom.secretKeyRef.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower ca)~"
      R"~(se alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for )~"
      R"~(validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(spec.containers[0].env[5].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", "l)~"
      R"~(imits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory")~",
      R"~(spec.containers[0].env[6].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supp)~"
      R"~(orted with the cpu resource)~",
      R"~(spec.containers[0].env[7].valueFrom.fieldRef.fieldPath: Invalid value: "spec['a']": error converting fieldPath: field label does n)~"
      R"~(ot support subscript: spec['a'])~"}},
    {"envFrom",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","envFrom":)~"
     R"~([{},{"prefix":"a=","configMapRef":{"name":""}},{"configMapRef":{"name":"a"},"secretRef":{"name":"B"}}]}]}})~",
     "",
     {R"~(spec.containers[0].envFrom: Invalid value: "": may not have more than one field specified at a time)~",
      R"~(spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`)~",
      R"~(spec.containers[0].envFrom[1].configMapRef.name: Required value)~",
      R"~(spec.containers[0].envFrom[1].prefix: Invalid value: "a=": a valid environment variable name must consist only of printable ASCII )~"
      R"~(characters other than '=')~",
      R"~(spec.containers[0].envFrom[2].secretRef.name: Invalid value: "B": a lowercase RFC 1123 subdomain must consist of lower case alphan)~"
      R"~(umeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validatio)~"
      R"~(n is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~"}},
    {"mounts",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","volumeMou)~"
     R"~(nts":[{"name":"no","mountPath":""},{"name":"v","mountPath":"/a","subPath":"/b"},{"name":"v","mountPath":"/a","subPath":"../b","sub)~"
     R"~(PathExpr":"x"}]}],"volumes":[{"name":"v","emptyDir":{}}]}})~",
     "",
     {R"~(spec.containers[0].volumeMounts.subPath: Invalid value: "../b": must not contain '..')~",
      R"~(spec.containers[0].volumeMounts.subPath: Invalid value: "/b": must be a relative path)~",
      R"~(spec.containers[0].volumeMounts[0].mountPath: Required value)~",
      R"~(spec.containers[0].volumeMounts[0].name: Not found: "no")~",
      R"~(spec.containers[0].volumeMounts[2].mountPath: Invalid value: "/a": must be unique)~",
      R"~(spec.containers[0].volumeMounts[2].subPathExpr: Invalid value: "x": subPathExpr and subPath are mutually exclusive)~"}},
    {"mount options",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","volumeMou)~"
     R"~(nts":[{"name":"v","mountPath":"/a","mountPropagation":"Bidirectional"},{"name":"v","mountPath":"/b","recursiveReadOnly":"Enabled"})~"
     R"~(,{"name":"v","mountPath":"/c","mountPropagation":"X"}]}],"volumes":[{"name":"v","emptyDir":{}}]}})~",
     "",
     {R"~(spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged conta)~"
      R"~(iners)~",
      R"~(spec.containers[0].volumeMounts.mountPropagation: Unsupported value: "X": supported values: "Bidirectional", "HostToContainer", "N)~"
      R"~(one")~",
      R"~(spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true)~"}},
    {"devices",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","volumeDev)~"
     R"~(ices":[{"name":"v","devicePath":"/a"},{"name":"n","devicePath":"../x"}],"volumeMounts":[{"name":"v","mountPath":"/a"}]}],"volumes")~"
     R"~(:[{"name":"v","emptyDir":{}}]}})~",
     "",
     {R"~(spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/a": must not already exist as a path in volumeMounts)~",
      R"~(spec.containers[0].volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemera)~"
      R"~(l for block mode)~",
      R"~(spec.containers[0].volumeDevices[0].name: Invalid value: "v": must not already exist in volumeMounts)~",
      R"~(spec.containers[0].volumeDevices[1].devicePath: Invalid value: "../x": can not contain backsteps ('..'))~",
      R"~(spec.containers[0].volumeDevices[1].name: Not found: "n")~",
      R"~(spec.containers[0].volumeMounts[0].mountPath: Invalid value: "/a": must not already exist as a path in volumeDevices)~",
      R"~(spec.containers[0].volumeMounts[0].name: Invalid value: "v": must not already exist in volumeDevices)~"}},
    {"resources",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","resources)~"
     R"~(":{"limits":{"cpu":"1","memory":"-1","gpu":"1","example.com/gpu":"1.5"},"requests":{"cpu":"2","example.com/gpu":"1","bad_/x":"1"}})~"
     R"~(}]}})~",
     "",
     {R"~(spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources)~",
      R"~(spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer)~",
      R"~(spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers)~",
      R"~(spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified)~",
      R"~(spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0)~",
      R"~(spec.containers[0].resources.requests: Invalid value: "1": must be equal to example.com/gpu limit of 1500m)~",
      R"~(spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1)~",
      R"~(spec.containers[0].resources.requests[bad_/x]: Invalid value: "bad_/x": doesn't follow extended resource name standard)~",
      R"~(spec.containers[0].resources.requests[bad_/x]: Invalid value: "bad_/x": prefix part a lowercase RFC 1123 subdomain must consist of)~"
      R"~( lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex )~"
      R"~(used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers)~",
      R"~(spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified)~",
      R"~(spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0)~"}},
    {"hugepages",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","resources)~"
     R"~(":{"limits":{"hugepages-2Mi":"3Mi"}}}]}})~",
     "",
     {R"~(spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi)~",
      R"~(spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi)~",
      R"~(spec.containers[0].resources: Forbidden: HugePages require cpu or memory)~"}},
    {"probes",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","livenessP)~"
     R"~(robe":{},"readinessProbe":{"exec":{"command":[]},"tcpSocket":{"port":0},"timeoutSeconds":-1,"terminationGracePeriodSeconds":5},"st)~"
     R"~(artupProbe":{"httpGet":{"port":"UP","scheme":"FTP","httpHeaders":[{"name":"a b","value":""}]},"successThreshold":2}}]}})~",
     "",
     {R"~(spec.containers[0].livenessProbe: Required value: must specify a handler type)~",
      R"~(spec.containers[0].readinessProbe.exec.command: Required value)~",
      R"~(spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type)~",
      R"~(spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes)~",
      R"~(spec.containers[0].readinessProbe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0)~",
      R"~(spec.containers[0].startupProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric charac)~"
      R"~(ters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+'))~",
      R"~(spec.containers[0].startupProbe.httpGet.port: Invalid value: "UP": must contain at least one letter (a-z))~",
      R"~(spec.containers[0].startupProbe.httpGet.port: Invalid value: "UP": must contain only alpha-numeric characters (a-z, 0-9), and hyph)~"
      R"~(ens (-))~",
      R"~(spec.containers[0].startupProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS")~",
      R"~(spec.containers[0].startupProbe.successThreshold: Invalid value: 2: must be 1)~"}},
    {"grpc and lifecycle",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","livenessP)~"
     R"~(robe":{"grpc":{"port":0},"terminationGracePeriodSeconds":0},"lifecycle":{"postStart":{},"preStop":{"sleep":{"seconds":100}}}}]}})~",
     "",
     {R"~(spec.containers[0].lifecycle.postStart: Required value: must specify a handler type)~",
      R"~(spec.containers[0].lifecycle.preStop.sleep: Invalid value: 100: must be non-negative and less than terminationGracePeriodSeconds ()~"
      R"~(30))~",
      R"~(spec.containers[0].livenessProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive)~",
      R"~(spec.containers[0].livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0)~"}},
    {"security",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","securityC)~"
     R"~(ontext":{"runAsUser":-1,"runAsGroup":-5,"procMount":"X","allowPrivilegeEscalation":false,"privileged":true,"seccompProfile":{"type)~"
     R"~(":"Localhost"}}}]}})~",
     "",
     {R"~(spec.containers[0].securityContext.procMount: Unsupported value: "X": supported values: "Default", "Unmasked")~",
      R"~(spec.containers[0].securityContext.runAsGroup: Invalid value: -5: must be between 0 and 2147483647, inclusive)~",
      R"~(spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive)~",
      R"~(spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost)~",
      R"~(spec.containers[0].securityContext: Invalid value: {"Capabilities":null,"Privileged":true,"SELinuxOptions":null,"WindowsOptions":)~"
      R"~(null,"RunAsUser":-1,"RunAsGroup":-5,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,)~"
      R"~("ProcMount":"X","SeccompProfile":{"Type":"Localhost","LocalhostProfile":null},"AppArmorProfile":null}: cannot set )~"
      R"~(`allowPrivilegeEscalation` to false and `privileged` to true)~"}},
    {"seccomp",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","securityC)~"
     R"~(ontext":{"seccompProfile":{"type":"RuntimeDefault","localhostProfile":"a"},"appArmorProfile":{"type":"Localhost"}}}]}})~",
     "",
     {R"~(spec.containers[0].securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost)~",
      R"~(spec.containers[0].securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"RuntimeDefault","LocalhostProfile":"a")~"
      R"~(}: can only be set when seccomp type is Localhost)~"}},
    {"rules of an init container without a policy are not looked at",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i"}],)~"
     R"~("initContainers":[{"name":"i","image":"i","restartPolicyRules":[{"action":"Go"}]}]}})~",
     "",
     {R"~(spec.initContainers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used)~"}},
    {"claims of devices",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i"}],)~"
     R"~("resourceClaims":[{"name":"x"},{"name":"x","resourceClaimName":"a b"},{"resourceClaimName":"a","resourceClaimTemplateName":"b"}]}})~",
     "",
     {R"~(spec.resourceClaims[0]: Invalid value: {"Name":"x","ResourceClaimName":null,"ResourceClaimTemplateName":null}: must specify one of: )~"
      R"~(`resourceClaimName`, `resourceClaimTemplateName`)~",
      R"~(spec.resourceClaims[1].name: Duplicate value: "x")~",
      R"~(spec.resourceClaims[1].resourceClaimName: Invalid value: "a b": a lowercase RFC 1123 subdomain must consist of lower case )~"
      R"~(alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for )~"
      R"~(validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(spec.resourceClaims[2].name: Required value)~",
      R"~(spec.resourceClaims[2]: Invalid value: {"Name":"","ResourceClaimName":"a","ResourceClaimTemplateName":"b"}: at most one of )~"
      R"~(`resourceClaimName` or `resourceClaimTemplateName` may be specified)~"}},
    {"resources of the pod as a whole",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i"}],)~"
     R"~("resources":{"limits":{"example.com/a":"-1","cpu":"1"}}}})~",
     "",
     {R"~(spec.resources.limits[example.com/a]: Unsupported value: "example.com/a": supported values: "cpu", "hugepages-", "memory")~",
      R"~(spec.resources.limits[example.com/a]: Invalid value: "-1": must be greater than or equal to 0)~"}},
    {"what SELinux may change",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i"}],)~"
     R"~("securityContext":{"seLinuxChangePolicy":"MountOption"}}})~",
     "",
     {R"~(spec.securityContext.seLinuxChangePolicy: Unsupported value: "MountOption": supported values: "Recursive")~"}},
    {"restart rules",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","restartPo)~"
     R"~(licyRules":[{"action":"Go"}]}]}})~",
     "",
     {R"~(spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used)~",
      R"~(spec.containers[0].restartPolicyRules[0].action: Unsupported value: "Go": supported values: "Restart", "RestartAllContainers")~",
      R"~(spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified)~"}},
    {"resize",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1","resizePol)~"
     R"~(icy":[{"resourceName":"gpu","restartPolicy":"X"},{"resourceName":"cpu","restartPolicy":"NotRequired"},{"resourceName":"cpu","resta)~"
     R"~(rtPolicy":"NotRequired"}]}]}})~",
     "",
     {R"~(spec.containers[0].resizePolicy: Unsupported value: "X": supported values: "NotRequired", "RestartContainer")~",
      R"~(spec.containers[0].resizePolicy: Unsupported value: "gpu": supported values: "cpu", "memory")~",
      R"~(spec.containers[0].resizePolicy[2]: Duplicate value: "cpu")~"}},
    {"init",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"initCon)~"
     R"~(tainers":[{"name":"i","image":"i","livenessProbe":{"exec":{"command":["a"]}},"lifecycle":{}},{"name":"s","image":"i","restartPolic)~"
     R"~(y":"Always","livenessProbe":{"exec":{"command":["a"]}}},{"name":"t","image":"i","restartPolicy":"Bad"}]}})~",
     "",
     {R"~(spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always)~",
      R"~(spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always)~",
      R"~(spec.initContainers[2].restartPolicy: Unsupported value: "Bad": supported values: "Always", "Never", "OnFailure")~"}},
    {"ephemeral",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"ephemer)~"
     R"~(alContainers":[{"name":"c","image":"i","targetContainerName":"q","ports":[{"containerPort":1}],"resources":{"limits":{"cpu":"1"}}})~"
     R"~(]}})~",
     "",
     {R"~(spec.ephemeralContainers: Forbidden: cannot be set on create)~",
      R"~(spec.ephemeralContainers[0].name: Duplicate value: "c")~",
      R"~(spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container)~",
      R"~(spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container)~",
      R"~(spec.ephemeralContainers[0].targetContainerName: Not found: "q")~"}},
    {"volumes",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"volumes)~"
     R"~(":[{"name":"A","emptyDir":{}},{"name":"","emptyDir":{}},{"name":"a","emptyDir":{},"hostPath":{"path":"/"}},{"name":"b","hostPath":)~"
     R"~({"path":""}},{"name":"c","hostPath":{"path":"/a/../b","type":"Cat"}},{"name":"d","secret":{}},{"name":"e","configMap":{"name":"",")~"
     R"~(defaultMode":1000,"items":[{"key":"","path":"/a"},{"key":"a","path":"..a","mode":-1}]}},{"name":"f","emptyDir":{}},{"name":"f","em)~"
     R"~(ptyDir":{}},{"name":"g","nfs":{}},{"name":"h","persistentVolumeClaim":{"claimName":""}},{"name":"i","emptyDir":{"sizeLimit":"-1"}})~"
     R"~(]}})~",
     "",
     {R"~(spec.volumes[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', an)~"
      R"~(d must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-)~"
      R"~(9]*[a-z0-9])?'))~",
      R"~(spec.volumes[10].persistentVolumeClaim.claimName: Required value)~",
      R"~(spec.volumes[11].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity)~",
      R"~(spec.volumes[1].name: Required value)~",
      R"~(spec.volumes[2].hostPath: Forbidden: may not specify more than 1 volume type)~",
      R"~(spec.volumes[3].hostPath.path: Required value)~",
      R"~(spec.volumes[4].hostPath.path: Invalid value: "/a/../b": must not contain '..')~",
      R"~(spec.volumes[4].hostPath.type: Unsupported value: "Cat": supported values: "", "BlockDevice", "CharDevice", "Directory", "Director)~"
      R"~(yOrCreate", "File", "FileOrCreate", "Socket")~",
      R"~(spec.volumes[5].secret.secretName: Required value)~",
      R"~(spec.volumes[6].configMap.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive)~",
      R"~(spec.volumes[6].configMap.items[0].key: Required value)~",
      R"~(spec.volumes[6].configMap.items[0].path: Invalid value: "/a": must be a relative path)~",
      R"~(spec.volumes[6].configMap.items[1].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive)~",
      R"~(spec.volumes[6].configMap.items[1].path: Invalid value: "..a": must not start with '..')~",
      R"~(spec.volumes[6].configMap.name: Required value)~",
      R"~(spec.volumes[8].name: Duplicate value: "f")~",
      R"~(spec.volumes[9].nfs.path: Invalid value: "": must be an absolute path)~",
      R"~(spec.volumes[9].nfs.path: Required value)~",
      R"~(spec.volumes[9].nfs.server: Required value)~"}},
    {"projected",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"volumes)~"
     R"~(":[{"name":"p","projected":{"defaultMode":-1,"sources":[{"secret":{"name":"","items":[{"key":"a","path":"x"}]}},{"configMap":{"nam)~"
     R"~(e":"c","items":[{"key":"a","path":"x"}]}},{"downwardAPI":{"items":[{"path":"x"},{"path":"y","fieldRef":{"fieldPath":"spec.nodeName)~"
     R"~("}},{"path":"z","resourceFieldRef":{"resource":"limits.cpu"}}]}},{"serviceAccountToken":{"path":"","expirationSeconds":1}},{"secre)~"
     R"~(t":{"name":"a"},"configMap":{"name":"b"}}]}}]}})~",
     "",
     {R"~(spec.volumes[0].projected.defaultMode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive)~",
      R"~(spec.volumes[0].projected.path: Required value)~",
      R"~(spec.volumes[0].projected.sources[0].secret.name: Required value)~",
      R"~(spec.volumes[0].projected.sources[2].downwardAPI.fieldRef.fieldPath: Unsupported value: "spec.nodeName": supported values: "metada)~"
      R"~(ta.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")~",
      R"~(spec.volumes[0].projected.sources[2].downwardAPI.resourceFieldRef.containerName: Required value)~",
      R"~(spec.volumes[0].projected.sources[2].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required)~",
      R"~(spec.volumes[0].projected.sources[3].serviceAccountToken.expirationSeconds: Invalid value: 1: may not specify a duration less than)~"
      R"~( 10 minutes)~",
      R"~(spec.volumes[0].projected.sources[3].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set)~",
      R"~(spec.volumes[0].projected.sources[4]: Forbidden: may not specify more than 1 volume type per source)~",
      R"~(spec.volumes[0].projected: Invalid value: "c": conflicting duplicate paths)~",
      R"~(spec.volumes[0].projected: Invalid value: "x": conflicting duplicate paths)~"}},
    {"downward",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"volumes)~"
     R"~(":[{"name":"d","downwardAPI":{"items":[{"path":"","fieldRef":{"fieldPath":"metadata.name"}},{"path":"a","fieldRef":{"fieldPath":"s)~"
     R"~(tatus.podIP"}}]}}]}})~",
     "",
     {R"~(spec.volumes[0].downwardAPI.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "meta)~"
      R"~(data.labels", "metadata.name", "metadata.namespace", "metadata.uid")~",
      R"~(spec.volumes[0].downwardAPI.path: Required value)~"}},
    {"enums",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"restart)~"
     R"~(Policy":"Sometimes","dnsPolicy":"Nope","preemptionPolicy":"X"}})~",
     "",
     {R"~(spec.dnsPolicy: Unsupported value: "Nope": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")~",
      R"~(spec.preemptionPolicy: Unsupported value: "X": supported values: "PreemptLowerPriority", "Never")~",
      R"~(spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never")~"}},
    {"dns none",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"dnsPoli)~"
     R"~(cy":"None"}})~",
     "",
     {R"~(spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None)~"}},
    {"dns none without servers",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"dnsPoli)~"
     R"~(cy":"None","dnsConfig":{"searches":["a"]}}})~",
     "",
     {R"~(spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None)~"}},
    {"dns config",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"dnsConf)~"
     R"~(ig":{"nameservers":["1.2.3.4","x","1.1.1.1","8.8.8.8"],"searches":["a_b","-x","."],"options":[{"name":""}]}}})~",
     "",
     {R"~(spec.dnsConfig.nameservers: Invalid value: ["1.2.3.4","x","1.1.1.1","8.8.8.8"]: must not have more than 3 nameservers)~",
      R"~(spec.dnsConfig.nameservers[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff))~",
      R"~(spec.dnsConfig.options[0]: Required value: must not be empty)~",
      R"~(spec.dnsConfig.searches[1]: Invalid value: "-x": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters)~"
      R"~(, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z)~"
      R"~(0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*'))~"}},
    {"names",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"service)~"
     R"~(AccountName":"A_","nodeName":"N!","hostname":"a.b","subdomain":"A","priorityClassName":"P_","runtimeClassName":"R!"}})~",
     "",
     {R"~(spec.hostname: Invalid value: "a.b": must not contain dots)~",
      R"~(spec.nodeName: Invalid value: "N!": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.',)~"
      R"~( and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0)~"
      R"~(-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(spec.priorityClassName: Invalid value: "P_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-)~"
      R"~(' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0)~"
      R"~(-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(spec.runtimeClassName: Invalid value: "R!": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-')~"
      R"~( or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-)~"
      R"~(9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(spec.serviceAccountName: Invalid value: "A_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, ')~"
      R"~(-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z)~"
      R"~(0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(spec.subdomain: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must)~"
      R"~( start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-)~"
      R"~(z0-9])?'))~"}},
    {"deadline",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"activeD)~"
     R"~(eadlineSeconds":0}})~",
     "",
     {R"~(spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive)~"}},
    {"node selector",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"nodeSel)~"
     R"~(ector":{"a b":"x","c":"y z"}}})~",
     "",
     {R"~(spec.nodeSelector: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and en)~"
      R"~(d with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0)~"
      R"~(-9_.]*)?[A-Za-z0-9]'))~",
      R"~(spec.nodeSelector: Invalid value: "y z": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or )~"
      R"~('.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation)~"
      R"~( is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'))~"}},
    {"pod security",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"securit)~"
     R"~(yContext":{"runAsUser":-1,"fsGroup":-2,"supplementalGroups":[-1],"fsGroupChangePolicy":"X","supplementalGroupsPolicy":"Y","sysctls)~"
     R"~(":[{"name":"","value":"1"},{"name":"Bad name","value":"1"},{"name":"net.a","value":"1"},{"name":"net.a","value":"1"}],"seccompProf)~"
     R"~(ile":{"type":"Z"}},"hostNetwork":true}})~",
     "",
     {R"~(spec.securityContext.fsGroup: Invalid value: -2: must be between 0 and 2147483647, inclusive)~",
      R"~(spec.securityContext.fsGroupChangePolicy: Unsupported value: "X": supported values: "Always", "OnRootMismatch")~",
      R"~(spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive)~",
      R"~(spec.securityContext.seccompProfile.type: Unsupported value: "Z": supported values: "Localhost", "RuntimeDefault", "Unconfined")~",
      R"~(spec.securityContext.supplementalGroupsPolicy: Unsupported value: "Y": supported values: "Merge", "Strict")~",
      R"~(spec.securityContext.supplementalGroups[0]: Invalid value: -1: must be between 0 and 2147483647, inclusive)~",
      R"~(spec.securityContext.sysctls[0].name: Required value)~",
      R"~(spec.securityContext.sysctls[1].name: Invalid value: "Bad name": must have at most 253 characters and match regex ^([a-z0-9]([-_a-)~"
      R"~(z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$)~",
      R"~(spec.securityContext.sysctls[2].name: Invalid value: "net.a": may not be specified when 'hostNetwork' is true)~",
      R"~(spec.securityContext.sysctls[3].name: Duplicate value: "net.a")~",
      R"~(spec.securityContext.sysctls[3].name: Invalid value: "net.a": may not be specified when 'hostNetwork' is true)~"}},
    {"share process",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"sharePr)~"
     R"~(ocessNamespace":true,"hostPID":true}})~",
     "",
     {R"~(spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled)~"}},
    {"host users",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"hostUse)~"
     R"~(rs":false,"hostPID":true,"hostIPC":true,"hostNetwork":true}})~",
     "",
     {R"~(spec.HostIPC: Forbidden: when `hostUsers` is false)~",
      R"~(spec.HostPID: Forbidden: when `hostUsers` is false)~",
      R"~(spec.hostNetwork: Forbidden: when `hostUsers` is false)~"}},
    {"tolerations",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"tolerat)~"
     R"~(ions":[{"operator":"Equal"},{"key":"a b","operator":"Exists","value":"v"},{"key":"a","operator":"X"},{"key":"a","effect":"Nope"},{)~"
     R"~("key":"a","effect":"NoSchedule","tolerationSeconds":5},{"key":"a","value":"b c"}]}})~",
     "",
     {R"~(spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values a)~"
      R"~(nd all keys")~",
      R"~(spec.tolerations[1].key: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start )~"
      R"~(and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A)~"
      R"~(-Za-z0-9_.]*)?[A-Za-z0-9]'))~",
      R"~(spec.tolerations[1].operator: Invalid value: "v": value must be empty when `operator` is 'Exists')~",
      R"~(spec.tolerations[2].operator: Unsupported value: "X": supported values: "Equal", "Exists")~",
      R"~(spec.tolerations[3].effect: Unsupported value: "Nope": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute")~",
      R"~(spec.tolerations[4].effect: Invalid value: "NoSchedule": effect must be 'NoExecute' when `tolerationSeconds` is set)~",
      R"~(spec.tolerations[5].operator: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters, ')~"
      R"~(-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for)~"
      R"~( validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'))~"}},
    {"affinity",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"affinit)~"
     R"~(y":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operat)~"
     R"~(or":"In"},{"key":"b","operator":"Exists","values":["x"]},{"key":"c d","operator":"Bad"},{"key":"e","operator":"Gt"}],"matchFields")~"
     R"~(:[{"key":"x","operator":"In","values":["a"]},{"key":"metadata.name","operator":"Exists"}]}]},"preferredDuringSchedulingIgnoredDuri)~"
     R"~(ngExecution":[{"weight":0,"preference":{}}]},"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"","n)~"
     R"~(amespaces":["A"]}]},"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":101,"podAffinityTerm":{"topolo)~"
     R"~(gyKey":"k","labelSelector":{"matchExpressions":[{"key":"a","operator":"In"}]}}}]}}}})~",
     "",
     {R"~(spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100)~",
      R"~(spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Require)~"
      R"~(d value: must be specified when `operator` is 'In' or 'NotIn')~",
      R"~(spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[1].values: Forbidd)~"
      R"~(en: may not be specified when `operator` is 'Exists' or 'DoesNotExist')~",
      R"~(spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[2].key: Invalid va)~"
      R"~(lue: "c d": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric charac)~"
      R"~(ter (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'))~",
      R"~(spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[2].operator: Inval)~"
      R"~(id value: "Bad": not a valid selector operator)~",
      R"~(spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[3].values: Require)~"
      R"~(d value: must be specified single value when `operator` is 'Lt' or 'Gt')~",
      R"~(spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Invalid value: )~"
      R"~("x": not a valid field selector key)~",
      R"~(spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[1].operator: Invalid va)~"
      R"~(lue: "Exists": not a valid selector operator)~",
      R"~(spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace: Invalid value: "A": a lowercase RFC 1123 la)~"
      R"~(bel must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-nam)~"
      R"~(e',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?'))~",
      R"~(spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-)~"
      R"~(empty)~",
      R"~(spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must consist)~"
      R"~( of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',)~"
      R"~(  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'))~",
      R"~(spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty)~",
      R"~(spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector.matchExpressions[0])~"
      R"~(.values: Required value: must be specified when `operator` is 'In' or 'NotIn')~",
      R"~(spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range )~"
      R"~(1-100)~"}},
    {"no node selector terms",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"affinit)~"
     R"~(y":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[]}}}}})~",
     "",
     {R"~(spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least on)~"
      R"~(e node selector term)~"}},
    {"spread",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"topolog)~"
     R"~(ySpreadConstraints":[{"maxSkew":0,"topologyKey":"","whenUnsatisfiable":"X"},{"maxSkew":1,"topologyKey":"a","whenUnsatisfiable":"Sc)~"
     R"~(heduleAnyway","minDomains":1},{"maxSkew":1,"topologyKey":"a","whenUnsatisfiable":"ScheduleAnyway"}]}})~",
     "",
     {R"~(spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero)~",
      R"~(spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty)~",
      R"~(spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values: "DoNotSchedule", "ScheduleAnyway")~",
      R"~(spec.topologySpreadConstraints[1].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not Sc)~"
      R"~(heduleAnyway)~",
      R"~(spec.topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}: Duplicate value: "{a, ScheduleAnyway}")~"}},
    {"aliases",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"hostAli)~"
     R"~(ases":[{"ip":"x","hostnames":["A_"]}]}})~",
     "",
     {R"~(spec.hostAliases[0].hostnames[0]: Invalid value: "A_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric char)~"
      R"~(acters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0)~"
      R"~(-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~",
      R"~(spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff))~"}},
    {"gates",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"readine)~"
     R"~(ssGates":[{"conditionType":"a b"}],"schedulingGates":[{"name":"a"},{"name":"a"}],"nodeName":"n"}})~",
     "",
     {R"~(spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared)~",
      R"~(spec.readinessGates[0].conditionType: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', an)~"
      R"~(d must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([)~"
      R"~(A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'))~",
      R"~(spec.schedulingGates[1]: Duplicate value: "a")~"}},
    {"os",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"os":{"n)~"
     R"~(ame":"plan9"}}})~",
     "",
     {R"~(spec.os: Unsupported value: "plan9": supported values: "linux", "windows")~"}},
    {"hostname override",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"hostnam)~"
     R"~(eOverride":"A","setHostnameAsFQDN":true}})~",
     "",
     {R"~(spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true)~",
      R"~(spec.hostnameOverride: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' )~"
      R"~(or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9)~"
      R"~(]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'))~"}},
    {"overhead",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"overhea)~"
     R"~(d":{"cpu":"-1"}}})~",
     "",
     {R"~(spec.overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0)~"}},
    {"pod level resources",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"resourc)~"
     R"~(es":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}}})~",
     "",
     {R"~(spec.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1)~"}},
    {"token without account",
     R"~({"kind":"Pod","apiVersion":"v1","metadata":{"name":"x","namespace":"d"},"spec":{"containers":[{"name":"c","image":"i:1"}],"volumes)~"
     R"~(":[{"name":"p","projected":{"sources":[{"serviceAccountToken":{"path":"t"}}]}}]}})~",
     "",
     {R"~(spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set)~"}},
};

}  // namespace

TEST_CASE("pods are refused in upstream's words") {
  for (const Case& c : kCases) check(c);
}

}  // namespace knarr::schema::test
