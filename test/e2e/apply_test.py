"""Server-side apply as people use it: an unmodified kubectl."""
import unittest

from harness import ClusterTest

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: %s\n"


def managers(found):
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in found["metadata"]["managedFields"]}


class Apply(ClusterTest):
    agent = False

    def apply(self, manifest, *options):
        return self.cluster.kubectl("apply", "--server-side", "-f", "-", *options, input=manifest)

    def found(self, name):
        return self.cluster.get("configmap", name, "--show-managed-fields")

    def refused(self, manifest, *options):
        result = self.cluster.run("apply", "--server-side", "-f", "-", *options, input=manifest, check=False)
        self.assertNotEqual(result.returncode, 0)
        return result.stderr

    def test_creates_changes_and_gives_up(self):
        self.assertIn("serverside-applied", self.apply(MAP % ("own", "{a: '1', b: '2'}")))
        self.assertEqual(managers(self.found("own")), {("kubectl", "Apply"): {"f:data": {"f:a": {}, "f:b": {}}}})
        self.apply(MAP % ("own", "{b: '3'}"))
        self.assertEqual(self.found("own")["data"], {"b": "3"})
        before = self.found("own")["metadata"]["resourceVersion"]
        self.apply(MAP % ("own", "{b: '3'}"))
        self.assertEqual(self.found("own")["metadata"]["resourceVersion"], before)

    def test_conflicts_are_told_and_forced(self):
        self.apply(MAP % ("fought", "{a: '1'}"))
        error = self.refused(MAP % ("fought", "{a: '2'}"), "--field-manager=other")
        self.assertIn('Apply failed with 1 conflict: conflict with "kubectl": .data.a', error)
        self.apply(MAP % ("fought", "{a: '2'}"), "--field-manager=other", "--force-conflicts")
        self.assertEqual(managers(self.found("fought")), {("other", "Apply"): {"f:data": {"f:a": {}}}})

    def test_other_writers_are_remembered(self):
        self.cluster.kubectl("create", "configmap", "written", "--from-literal=a=1")
        self.cluster.kubectl("label", "configmap", "written", "tier=front")
        self.assertEqual(managers(self.found("written")), {
            ("kubectl-create", "Update"): {"f:data": {".": {}, "f:a": {}}},
            ("kubectl-label", "Update"): {"f:metadata": {"f:labels": {".": {}, "f:tier": {}}}}})
        self.assertNotIn("managedFields", self.cluster.kubectl("get", "configmap", "written", "-o", "yaml"))

    def test_from_client_side_apply_and_back(self):
        self.cluster.apply(MAP % ("moved", "{a: '1', b: '2'}"))
        self.apply(MAP % ("moved", "{a: '3'}"))
        found = self.found("moved")
        self.assertEqual(found["data"], {"a": "3"})
        # kubectl keeps the annotation of client-side apply under a name of its own.
        self.assertEqual(set(managers(found)), {("kubectl", "Apply"), ("kubectl-last-applied", "Apply")})
        self.assertIn("configmap/moved configured", self.cluster.apply(MAP % ("moved", "{a: '4'}")))
        self.assertEqual(self.found("moved")["data"], {"a": "4"})

    def test_dry_run_and_diff(self):
        self.assertIn("serverside-applied (server dry run)", self.apply(MAP % ("dry", "{a: '1'}"), "--dry-run=server"))
        self.assertEqual(self.cluster.kubectl("get", "configmap", "dry", "--ignore-not-found"), "")

    def test_what_does_not_fit_is_refused(self):
        error = self.refused("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\nspec: {replicaz: 1}\n", "--validate=false")
        self.assertIn(".spec.replicaz: field not declared in schema", error)


if __name__ == "__main__":
    unittest.main()
