"""Kinds beside pods, by an unmodified kubectl: what is served, explained, printed and scaled."""
import unittest

from harness import ClusterTest

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: nginx}]}}
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
"""
AUTOSCALER = """apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 5, targetCPUUtilizationPercentage: 60}
"""


class Kinds(ClusterTest):
    agent = False

    def apply(self, manifest):
        return self.cluster.kubectl("apply", "-f", "-", input=manifest)

    def test_resources_are_told_and_explained(self):
        lines = self.cluster.kubectl("api-resources", "--no-headers").splitlines()
        self.assertGreater(len(lines), 60)
        names = {line.split()[0] for line in lines}
        self.assertTrue({"deployments", "jobs", "horizontalpodautoscalers", "resourceclaims", "customresourcedefinitions"} <= names)
        self.assertIn("maxUnavailable", self.cluster.kubectl("explain", "deployment.spec.strategy", "--recursive"))
        self.assertIn("VERSION:    v2", self.cluster.kubectl("explain", "hpa.spec.metrics", "--api-version=autoscaling/v2"))

    def test_workloads_are_scaled(self):
        self.apply(DEPLOYMENT)
        self.cluster.kubectl("scale", "deployment/web", "--replicas=4")
        self.assertEqual(self.cluster.get("deployment", "web")["spec"]["replicas"], 4)
        self.assertIn("0/4", self.cluster.kubectl("get", "deployment", "web"))

    def test_services_have_addresses(self):
        self.apply(SERVICE)
        found = self.cluster.get("service", "web")["spec"]
        self.assertEqual(found["clusterIPs"], [found["clusterIP"]])
        self.assertGreaterEqual(found["ports"][0]["nodePort"], 30000)
        self.assertIn(f"80:{found['ports'][0]['nodePort']}/TCP", self.cluster.kubectl("get", "service", "web"))
        self.assertIn("unchanged", self.apply(SERVICE))

    def test_autoscalers_are_the_same_in_both_versions(self):
        self.apply(AUTOSCALER)
        newer = self.cluster.get("horizontalpodautoscalers.v2.autoscaling", "web")
        self.assertEqual(newer["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 60)
        older = self.cluster.get("horizontalpodautoscalers.v1.autoscaling", "web")
        self.assertEqual(older["spec"]["targetCPUUtilizationPercentage"], 60)


if __name__ == "__main__":
    unittest.main()
