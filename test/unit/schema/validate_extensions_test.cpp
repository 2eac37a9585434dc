// Policies of admission, and devices.
#include <catch2/catch.hpp>

#include "unit/schema/validate_case.h"

namespace knarr::schema::test {

namespace {

const Case kCases[] = {
    {"policy without anything",
     R"~({"kind":"ValidatingAdmissionPolicy","apiVersion":"admissionregistration.k8s.io/v1","metadata":{"name":"p"},"spec":{"failurePolicy":"x"}})~",
     "",
     {R"~(spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item)~",
      R"~(spec.failurePolicy: Unsupported value: "x": supported values: "Fail", "Ignore")~", R"~(spec.matchConstraints: Required value)~",
      R"~(spec.validations: Required value: validations or auditAnnotations must contain at least one item)~"}},
    {"policy whose variables have no names",
     R"~({"kind":"ValidatingAdmissionPolicy","apiVersion":"admissionregistration.k8s.io/v1","metadata":{"name":"p"},"spec":{"failurePolicy":"Fail",)~"
     R"~("matchConstraints":{"matchPolicy":"Exact","namespaceSelector":{},"objectSelector":{},"resourceRules":[{"operations":["*"],"apiGroups":["*"],)~"
     R"~("apiVersions":["*"],"resources":["*"],"resourceNames":["a","a"]}]},"variables":[{"name":"in","expression":"1"},{"name":"ok","expression":" "}],)~"
     R"~("validations":[{"expression":"true","message":"a\nb","reason":"x"}],"auditAnnotations":[{"key":"k","valueExpression":""}]}})~",
     "",
     {R"~(spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified)~",
      R"~(spec.matchConstraints.resourceRules[0].resourceNames[1]: Duplicate value: "a")~",
      R"~(spec.validations[0].message: Invalid value: "a\nb": must not contain line breaks)~",
      R"~(spec.validations[0].reason: Unsupported value: "x": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge")~",
      R"~(spec.variables[0].name: Invalid value: "in": must be a valid CEL identifier)~",
      R"~(spec.variables[1].expression: Required value: expression is not specified)~"}},
    {"binding of a policy",
     R"~({"kind":"ValidatingAdmissionPolicyBinding","apiVersion":"admissionregistration.k8s.io/v1","metadata":{"name":"b"},"spec":{"policyName":"p",)~"
     R"~("paramRef":{"name":"a","selector":{}},"validationActions":["Audit","Audit"]}})~",
     "",
     {R"~(spec.paramRef.name: Forbidden: name and selector are mutually exclusive)~", R"~(spec.paramRef.parameterNotFoundAction: Required value)~",
      R"~(spec.paramRef.selector: Forbidden: name and selector are mutually exclusive)~", R"~(spec.validationActions[1]: Duplicate value: "Audit")~"}},
    {"mutation of two sorts",
     R"~({"kind":"MutatingAdmissionPolicy","apiVersion":"admissionregistration.k8s.io/v1","metadata":{"name":"p"},"spec":{"failurePolicy":"Fail",)~"
     R"~("reinvocationPolicy":"Never","matchConstraints":{"matchPolicy":"Exact","namespaceSelector":{},"objectSelector":{},"resourceRules":[{"operations":)~"
     R"~(["DELETE"],"apiGroups":["*"],"apiVersions":["*"],"resources":["*"]}]},"mutations":[{"patchType":"JSONPatch","applyConfiguration":{"expression":"x"}}]}})~",
     "",
     {R"~(spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE")~",
      R"~(spec.mutations[0].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified when patchType is JSONPatch)~",
      R"~(spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch)~"}},
    {"claim for devices",
     R"~({"kind":"ResourceClaim","apiVersion":"resource.k8s.io/v1","metadata":{"name":"c","namespace":"n"},"spec":{"devices":{"requests":[{"name":"a"},)~"
     R"~({"name":"b","firstAvailable":[{"name":"x","deviceClassName":"g","allocationMode":"All","count":1},{"name":"x","deviceClassName":"g",)~"
     R"~("allocationMode":"ExactCount","count":1}]}],"constraints":[{"requests":["b/x","b/y"],"matchAttribute":"a"}]}}})~",
     "",
     {R"~(spec.devices.constraints[0].matchAttribute: Invalid value: "a": a fully qualified name must be a domain and a name separated by a slash)~",
      R"~(spec.devices.constraints[0].requests[1]: Invalid value: "b/y": must be the name of a request in the claim or the name of a request and a subrequest separated by '/')~",
      R"~(spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required)~",
      R"~(spec.devices.requests[1].firstAvailable[0].count: Invalid value: 1: must not be specified when allocationMode is 'All')~",
      R"~(spec.devices.requests[1].firstAvailable[1]: Duplicate value: "x")~"}},
    {"capacity that can be shared",
     R"~({"kind":"ResourceSlice","apiVersion":"resource.k8s.io/v1","metadata":{"name":"s"},"spec":{"driver":"d.example.com","pool":{"name":"p","generation":1,)~"
     R"~("resourceSliceCount":1},"allNodes":true,"devices":[{"name":"d","allowMultipleAllocations":true,"capacity":{"m":{"value":"10","requestPolicy":)~"
     R"~({"default":"4","validRange":{"min":"1","max":"20","step":"2"}}}}}]}})~",
     "",
     {R"~(spec.devices[0].capacity[m].requestPolicy.validRange.max: Invalid value: "20": max is larger than capacity value: 10)~",
      R"~(spec.devices[0].capacity[m].requestPolicy.validRange.step: Invalid value: "20": value is not a multiple of a given step (2) from (1))~",
      R"~(spec.devices[0].capacity[m].requestPolicy.validRange.step: Invalid value: "4": value is not a multiple of a given step (2) from (1))~"}},
    {"slice on two sorts of nodes",
     R"~({"kind":"ResourceSlice","apiVersion":"resource.k8s.io/v1","metadata":{"name":"s"},"spec":{"driver":"d.example.com","pool":{"name":"p","generation":1,)~"
     R"~("resourceSliceCount":1},"allNodes":true,"nodeName":"n","devices":[{"name":"d","attributes":{"v":{"version":"1.2"}},"bindingConditions":["a"]}]}})~",
     "",
     {R"~(spec.devices[0].attributes[v].version: Invalid value: "1.2": must be a string compatible with semver.org spec 2.0.0)~",
      R"~(spec.devices[0].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions)~",
      R"~(spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set)~"}},
};

}  // namespace

TEST_CASE("extensions that cannot be right are refused in upstream's words", "[validate]") {
  for (const Case& c : kCases) check(c);
}

}  // namespace knarr::schema::test
