#include <catch2/catch.hpp>

#include "knarr/codec/time.h"
#include "knarr/schema/machinery.h"

using namespace knarr;

namespace {

const WallTime kNow = *parse_time("2026-11-21T12:00:00Z");

std::string row(std::string_view group, std::string_view kind, std::string_view text) {
  const schema::Resource* resource = schema::find_kind(group, "v1", kind);
  REQUIRE(resource);
  auto document = json::parse(text);
  REQUIRE(document.ok());
  json::Document cells;
  schema::print_row(*resource, *document, kNow, cells, cells.GetAllocator());
  CHECK(cells.Size() == schema::columns(*resource).size());
  std::string out;
  for (const json::Value& cell : cells.GetArray()) {
    if (!out.empty()) out += "|";
    out += cell.IsString() ? std::string(json::view(cell)) : json::dump(cell);
  }
  return out;
}

// The first five cells of a pod with that spec and status, its name left out.
std::string pod(std::string_view spec, std::string_view status, std::string_view meta = "") {
  std::string text = std::string(R"({"metadata":{"name":"p","creationTimestamp":"2026-11-21T11:58:00Z")") + std::string(meta) + R"(},"spec":)" +
                     std::string(spec) + R"(,"status":)" + std::string(status) + "}";
  std::string all = row("", "Pod", text);
  size_t end = all.find("|", all.find("2m"));
  return all.substr(2, end - 2);
}

}  // namespace

TEST_CASE("pods print their state") {
  const char* one = R"({"containers":[{"name":"c"}]})";
  const char* two = R"({"containers":[{"name":"c"},{"name":"d"}]})";
  const char* init = R"({"initContainers":[{"name":"i"},{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"c"}]})";
  struct Case {
    const char *spec, *status, *meta, *expected;
  };
  const Case cases[] = {
      {one, R"({"phase":"Pending"})", "", "0/1|Pending|0|2m"},
      {one, R"({"phase":"Failed","reason":"Evicted"})", "", "0/1|Evicted|0|2m"},
      {one, R"({"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}]})", "",
       "0/1|SchedulingGated|0|2m"},
      {one, R"({"phase":"Running","containerStatuses":[{"name":"c","ready":true,"restartCount":0,"state":{"running":{}}}]})", "",
       "1/1|Running|0|2m"},
      {one, R"({"phase":"Running","containerStatuses":[{"name":"c","restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff"}},
          "lastState":{"terminated":{"exitCode":1,"finishedAt":"2026-11-21T11:59:30Z"}}}]})", "", "0/1|CrashLoopBackOff|3 (30s ago)|2m"},
      {one, R"({"phase":"Pending","containerStatuses":[{"name":"c","state":{"waiting":{"reason":"ContainerCreating"}}}]})", "",
       "0/1|ContainerCreating|0|2m"},
      {one, R"({"phase":"Succeeded","containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]})", "",
       "0/1|Completed|0|2m"},
      {one, R"({"phase":"Failed","containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":3}}}]})", "", "0/1|ExitCode:3|0|2m"},
      {one, R"({"phase":"Failed","containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":137,"signal":9}}}]})", "",
       "0/1|Signal:9|0|2m"},
      {two, R"({"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[
          {"name":"c","state":{"terminated":{"reason":"Completed"}}},{"name":"d","ready":true,"state":{"running":{}}}]})", "", "1/2|Running|0|2m"},
      {two, R"({"phase":"Running","containerStatuses":[
          {"name":"c","state":{"terminated":{"reason":"Completed"}}},{"name":"d","ready":true,"state":{"running":{}}}]})", "", "1/2|NotReady|0|2m"},
      {one, R"({"phase":"Running"})", R"(,"deletionTimestamp":"2026-11-21T11:59:00Z")", "0/1|Terminating|0|2m"},
      {one, R"({"phase":"Running","reason":"NodeLost"})", R"(,"deletionTimestamp":"2026-11-21T11:59:00Z")", "0/1|Unknown|0|2m"},
      {init, R"({"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"running":{}}}]})", "", "0/2|Init:0/2|0|2m"},
      {init, R"({"phase":"Pending","initContainerStatuses":[{"name":"i","restartCount":1,"state":{"terminated":{"exitCode":2,"reason":"Error"}}}]})", "",
       "0/2|Init:Error|1|2m"},
      {init, R"({"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":0}}},
          {"name":"s","state":{"waiting":{"reason":"ErrImagePull"}}}]})", "", "0/2|Init:ErrImagePull|0|2m"},
      {init, R"({"phase":"Running","initContainerStatuses":[{"name":"i","restartCount":2,"state":{"terminated":{"exitCode":0}}},
          {"name":"s","restartCount":1,"ready":true,"started":true,"state":{"running":{}}}],
          "containerStatuses":[{"name":"c","ready":true,"state":{"running":{}}}]})", "", "2/2|Running|1|2m"},
  };
  for (const Case& c : cases) {
    INFO(c.status);
    CHECK(pod(c.spec, c.status, c.meta) == c.expected);
  }
  CHECK(row("", "Pod", R"({"metadata":{"name":"p"},"spec":{"nodeName":"n","containers":[{}],"readinessGates":[{"conditionType":"x"}]},
      "status":{"phase":"Running","podIPs":[{"ip":"10.1.2.3"}],"conditions":[{"type":"x","status":"True"}]}})") ==
        "p|0/1|Running|0|<unknown>|10.1.2.3|n|<none>|1/1");
}

TEST_CASE("rows of the other kinds") {
  struct Case {
    const char *group, *kind, *object, *expected;
  };
  const Case cases[] = {
      {"", "Node", R"({"metadata":{"name":"n","labels":{"node-role.kubernetes.io/control-plane":""}},"spec":{"unschedulable":true},
          "status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"10.0.0.1"}],
          "nodeInfo":{"kubeletVersion":"v1","osImage":"Debian","kernelVersion":"6.1","architecture":"amd64","containerRuntimeVersion":"knarr://1"}}})",
       "n|Ready,SchedulingDisabled|control-plane|<unknown>|v1|10.0.0.1|<none>|Debian|6.1 (amd64)|knarr://1"},
      {"", "Node", R"({"metadata":{"name":"n"}})", "n|Unknown|<none>|<unknown>||<none>|<none>|<unknown>|<unknown>|<unknown>"},
      {"", "Namespace", R"({"metadata":{"name":"n","creationTimestamp":"2026-11-21T11:59:55Z"},"status":{"phase":"Active"}})", "n|Active|5s"},
      {"", "ConfigMap", R"({"metadata":{"name":"m"},"data":{"a":"","b":""},"binaryData":{"c":""}})", "m|3|<unknown>"},
      {"", "Secret", R"({"metadata":{"name":"s"},"type":"Opaque","data":{"a":""}})", "s|Opaque|1|<unknown>"},
      {"", "ServiceAccount", R"({"metadata":{"name":"a","creationTimestamp":"2026-11-18T12:00:00Z"}})", "a|3d"},
      {"coordination.k8s.io", "Lease", R"({"metadata":{"name":"l"},"spec":{"holderIdentity":"me"}})", "l|me|<unknown>"},
      {"", "Event", R"({"metadata":{"name":"e"},"type":"Normal","reason":"Pulled","message":" done\n","involvedObject":{"kind":"Pod","name":"p",
          "fieldPath":"spec.containers{c}"},"source":{"component":"agent","host":"n"},"firstTimestamp":"2026-11-21T11:59:00Z",
          "lastTimestamp":"2026-11-21T11:59:50Z","count":4})",
       "10s|Normal|Pulled|pod/p|spec.containers{c}|agent, n|done|60s|4|e"},
      {"", "Event", R"({"metadata":{"name":"e"},"type":"Normal","reason":"R","involvedObject":{"kind":"Node"},"reportingComponent":"s",
          "eventTime":"2026-11-21T11:59:58.5Z","firstTimestamp":null})",
       "1s|Normal|R|node||s||1s|1|e"},
  };
  for (const Case& c : cases) {
    INFO(c.object);
    CHECK(row(c.group, c.kind, c.object) == c.expected);
  }
}

TEST_CASE("field selectors read their fields") {
  const char* pod = R"({"metadata":{"name":"p","namespace":"d"},"spec":{"nodeName":"n"},"status":{"phase":"Running","podIPs":[{"ip":"1.2.3.4"}]}})";
  const char* event = R"({"involvedObject":{"kind":"Pod"},"source":{"component":"c"},"reportingComponent":"r"})";
  struct Case {
    const char *kind, *object, *field, *expected;
  };
  const Case cases[] = {
      {"Pod", pod, "metadata.name", "p"},
      {"Pod", pod, "metadata.namespace", "d"},
      {"Pod", pod, "spec.nodeName", "n"},
      {"Pod", pod, "spec.host", "n"},
      {"Pod", pod, "spec.hostNetwork", "false"},
      {"Pod", pod, "spec.schedulerName", ""},
      {"Pod", pod, "status.phase", "Running"},
      {"Pod", pod, "status.podIPs", "1.2.3.4"},
      {"Node", R"({"spec":{"unschedulable":true}})", "spec.unschedulable", "true"},
      {"Node", "{}", "spec.unschedulable", "false"},
      {"Event", event, "involvedObject.kind", "Pod"},
      {"Event", event, "source", "c"},
      {"Event", R"({"reportingComponent":"r"})", "source", "r"},
      {"Secret", R"({"type":"Opaque"})", "type", "Opaque"},
  };
  for (const Case& c : cases) {
    INFO(c.field);
    auto document = json::parse(c.object);
    CHECK(schema::field_value(*schema::find_kind("", "v1", c.kind), *document, c.field) == c.expected);
  }
}
