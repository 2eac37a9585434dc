"""Custom resources as a user of kubectl meets them: defined, explained, changed, scaled, watched, and gone with their definition."""
import json
import subprocess
import unittest

from harness import Cluster, kubectl_path, wait_until

DEFINITION = r"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        description: A job that runs at certain times.
        type: object
        properties:
          spec:
            type: object
            required: [cronSpec]
            properties:
              cronSpec: {type: string, pattern: '^[0-9*/ ]+$', description: When it runs.}
              image: {type: string, default: nginx}
              replicas: {type: integer, minimum: 1, maximum: 10}
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [port]
                items: {type: object, required: [port], properties: {port: {type: integer}, name: {type: string}}}
          status: {type: object, properties: {replicas: {type: integer}}}
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    selectableFields: [{jsonPath: .spec.image}]
"""


def crontab(name, **spec):
    return json.dumps({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": name},
                       "spec": {"cronSpec": "* * * * */5", "replicas": 2, **spec}})


class CustomResources(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(agent=False)
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.start()
        cls.cluster.apply(DEFINITION)
        cls.cluster.kubectl("wait", "--for=condition=Established", "crd/crontabs.stable.example.com", "--timeout=5s")

    def refused(self, *arguments, input=None):
        result = self.cluster.run(*arguments, input=input, check=False)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        return result.stderr

    def test_objects_are_defaulted_printed_and_selected(self):
        self.cluster.apply(crontab("a"))
        self.cluster.apply(crontab("b", image="busybox"))
        self.assertEqual(self.cluster.get("ct", "a")["spec"]["image"], "nginx")
        self.assertRegex(self.cluster.kubectl("get", "ct", "a"), r"NAME\s+SPEC\s+REPLICAS\na\s+\* \* \* \* \*/5\s+2")
        self.assertIn("crontab.stable.example.com/a", self.cluster.kubectl("get", "all"))
        self.assertEqual(self.cluster.kubectl("get", "ct", "--field-selector", "spec.image=busybox", "-o", "name").split(),
                         ["crontab.stable.example.com/b"])
        self.assertIn("field label not supported", self.refused("get", "ct", "--field-selector", "spec.cronSpec=x"))

    def test_what_does_not_fit_is_refused(self):
        self.assertIn('unknown field "spec.foo"', self.refused("apply", "-f", "-", input=crontab("bad", foo=1)))
        said = self.refused("create", "-f", "-", input=crontab("bad", cronSpec="never", replicas=99))
        self.assertIn("should match '^[0-9*/ ]+$'", said)
        self.assertIn("should be less than or equal to 10", said)

    def test_explain_scale_and_patch(self):
        self.cluster.apply(crontab("scaled"))
        self.assertIn("When it runs.", self.cluster.kubectl("explain", "ct.spec.cronSpec"))
        self.assertIn("cronSpec\t<string> -required-", self.cluster.kubectl("explain", "ct.spec"))
        self.cluster.kubectl("scale", "ct/scaled", "--replicas=5")
        self.cluster.kubectl("patch", "ct", "scaled", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":5}}')
        now = self.cluster.get("ct", "scaled")
        self.assertEqual((now["spec"]["replicas"], now["status"]["replicas"], now["metadata"]["generation"]), (5, 5, 2))
        self.assertIn("is not supported by", self.refused("patch", "ct", "scaled", "--type=strategic", "-p", '{"spec":{"replicas":3}}'))

    def test_server_side_apply_knows_the_lists(self):
        self.cluster.kubectl("apply", "--server-side", "--field-manager=one", "-f", "-", input=crontab("shared", ports=[{"port": 80}]))
        other = json.loads(crontab("shared", ports=[{"port": 443, "name": "tls"}]))
        del other["spec"]["replicas"]
        self.cluster.kubectl("apply", "--server-side", "--field-manager=two", "-f", "-", input=json.dumps(other))
        self.assertEqual([p["port"] for p in self.cluster.get("ct", "shared")["spec"]["ports"]], [80, 443])
        self.assertIn("conflict", self.refused("apply", "--server-side", "--field-manager=two", "-f", "-", input=crontab("shared", replicas=9)))

    def test_a_new_version_is_served_at_once(self):
        definition = DEFINITION.replace("crontabs", "moments").replace("crontab", "moment").replace("CronTab", "Moment").replace("[ct]", "[mo]")
        self.cluster.apply(definition)
        self.cluster.apply(crontab("m").replace("CronTab", "Moment"))
        document = json.loads(self.cluster.kubectl("get", "crd", "moments.stable.example.com", "-o", "json"))
        document["spec"]["versions"].append({**document["spec"]["versions"][0], "name": "v2", "storage": False})
        self.cluster.kubectl("replace", "-f", "-", input=json.dumps(document))
        self.assertEqual(self.cluster.get("moments.v2.stable.example.com", "m")["apiVersion"], "stable.example.com/v2")
        groups = json.loads(self.cluster.kubectl("get", "--raw", "/apis/stable.example.com"))
        self.assertEqual([v["version"] for v in groups["versions"]], ["v2", "v1"])
        self.assertIn("/apis/stable.example.com/v2/moments", self.cluster.kubectl("get", "--raw", "/openapi/v3/apis/stable.example.com/v2"))

    def test_objects_go_before_their_definition(self):
        definition = DEFINITION.replace("crontabs", "goners").replace("crontab", "goner").replace("CronTab", "Goner").replace("[ct]", "[go]")
        self.cluster.apply(definition)
        held = json.loads(crontab("held").replace("CronTab", "Goner"))
        held["metadata"]["finalizers"] = ["example.com/hold"]
        self.cluster.apply(json.dumps(held))
        self.cluster.apply(crontab("free").replace("CronTab", "Goner"))
        with subprocess.Popen([kubectl_path(), "--kubeconfig", self.cluster.kubeconfig, "get", "goners", "-w", "--output-watch-events",
                               "-o", "jsonpath={.type}:{.object.metadata.name} "], stdout=subprocess.PIPE, text=True) as watch:
            seen = ""
            while "ADDED:held" not in seen:
                seen += watch.stdout.read(1)
            self.cluster.kubectl("delete", "crd", "goners.stable.example.com", "--wait=false")
            self.assertIn("create not allowed while custom resource definition is terminating",
                          self.refused("create", "-f", "-", input=crontab("late").replace("CronTab", "Goner")))
            self.assertEqual(self.cluster.kubectl("get", "goners", "-o", "name").split(), ["goner.stable.example.com/held"])
            self.cluster.kubectl("patch", "goner", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
            wait_until("the definition is gone", lambda: self.cluster.run("get", "crd", "goners.stable.example.com", check=False).returncode != 0)
            rest = watch.communicate(timeout=10)[0]  # the watch ended by itself
        self.assertIn("DELETED:free", rest)
        self.assertIn("DELETED:held", rest)
        self.assertIn("could not find the requested resource", self.refused("get", "--raw", "/apis/stable.example.com/v1/goners"))

    def test_names_that_are_taken(self):
        definition = DEFINITION.replace("crontabs", "others").replace("singular: crontab", "singular: other").replace("[ct]", "[ot]")
        self.cluster.apply(definition)
        conditions = {c["type"]: c for c in self.cluster.get("crd", "others.stable.example.com")["status"]["conditions"]}
        self.assertEqual(conditions["NamesAccepted"]["message"], '"CronTabList" is already in use')
        self.assertEqual(conditions["Established"]["status"], "False")

    def test_everything_is_there_after_a_restart(self):
        self.cluster.apply(crontab("kept"))
        self.cluster.stop()
        self.cluster.start()
        self.assertEqual(self.cluster.get("ct", "kept")["spec"]["image"], "nginx")
        self.assertIn("crontab", self.cluster.kubectl("api-resources", "--api-group=stable.example.com", "-o", "name"))


if __name__ == "__main__":
    unittest.main()
