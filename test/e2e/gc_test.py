"""Deletion with dependents, as kubectl asks for it."""
import json
import unittest

from harness import ClusterTest, wait_until


class Cascade(ClusterTest):
    agent = False

    def family(self, name, blocks=True):
        """A config map that owns another one."""
        self.cluster.apply(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
        uid = self.cluster.get("cm", name)["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": blocks}
        self.cluster.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap",
                                       "metadata": {"name": name + "-child", "ownerReferences": [owner]}}))

    def there(self, name):
        return self.cluster.run("get", "cm", name, check=False).returncode == 0

    def gone(self, *names):
        wait_until(f"{names} are gone", lambda: not any(self.there(name) for name in names))

    def test_background(self):
        self.family("back")
        self.cluster.kubectl("delete", "cm", "back")
        self.gone("back", "back-child")

    def test_foreground(self):
        self.family("fore")
        self.cluster.kubectl("patch", "cm", "fore-child", "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/wait"]}}')
        self.cluster.kubectl("delete", "cm", "fore", "--cascade=foreground", "--wait=false")
        wait_until("the dependent is being deleted",
                   lambda: "deletionTimestamp" in self.cluster.get("cm", "fore-child")["metadata"])
        self.assertEqual(self.cluster.get("cm", "fore")["metadata"]["finalizers"], ["foregroundDeletion"])
        self.cluster.kubectl("patch", "cm", "fore-child", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        self.gone("fore", "fore-child")

    def test_orphan(self):
        self.family("orphan")
        self.cluster.kubectl("delete", "cm", "orphan", "--cascade=orphan")
        self.gone("orphan")
        self.assertNotIn("ownerReferences", self.cluster.get("cm", "orphan-child")["metadata"])

    def test_custom_resources_own_and_are_owned(self):
        self.cluster.apply(json.dumps({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}}))
        self.cluster.kubectl("wait", "--for=condition=Established", "crd/widgets.example.com")
        self.cluster.apply("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n")
        uid = self.cluster.get("widgets.example.com", "w")["metadata"]["uid"]
        owner = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": uid}
        self.cluster.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-widget", "ownerReferences": [owner]}}))
        self.cluster.kubectl("delete", "widgets.example.com", "w")
        self.gone("of-widget")

    def test_namespace_is_emptied(self):
        self.cluster.kubectl("create", "namespace", "full")
        many = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{i}", "namespace": "full"}} for i in range(200)]
        self.cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": many}))
        self.cluster.kubectl("delete", "namespace", "full", "--timeout=10s")


if __name__ == "__main__":
    unittest.main()
