"""What people type first, with an unmodified kubectl."""
import json
import os
import pty
import select
import subprocess
import time
import unittest

import harness
from harness import ClusterTest, busybox_pod, wait_until


class Objects(ClusterTest):
    agent = False

    def test_apply_creates_changes_and_keeps(self):
        manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: '1', b: '2'}\n"
        self.assertIn("configmap/settings created", self.cluster.apply(manifest))
        self.assertIn("configmap/settings unchanged", self.cluster.apply(manifest))
        self.assertIn("configmap/settings configured", self.cluster.apply(manifest.replace("b: '2'", "c: '3'")))
        self.assertEqual(self.cluster.get("configmap", "settings")["data"], {"a": "1", "c": "3"})

    def test_output_formats(self):
        self.cluster.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: formats}\ndata: {k: v}\n")
        self.assertRegex(self.cluster.kubectl("get", "cm", "formats"), r"NAME +DATA +AGE\nformats +1 +\d+s")
        self.assertIn("  k: v", self.cluster.kubectl("get", "cm", "formats", "-o", "yaml"))
        self.assertEqual(self.cluster.kubectl("get", "cm", "formats", "-o", "jsonpath={.data.k}"), "v")
        self.assertEqual(self.cluster.kubectl("get", "cm", "formats", "-o", "name"), "configmap/formats\n")
        self.assertIn("Name:         formats", self.cluster.kubectl("describe", "cm", "formats"))

    def test_label_and_annotate(self):
        self.cluster.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: marked}\n")
        self.cluster.kubectl("label", "cm", "marked", "tier=front")
        self.cluster.kubectl("annotate", "cm", "marked", "note=hello")
        self.assertEqual(self.cluster.kubectl("get", "cm", "-l", "tier=front", "-o", "name"), "configmap/marked\n")
        self.assertEqual(self.cluster.get("cm", "marked")["metadata"]["annotations"]["note"], "hello")
        self.cluster.kubectl("label", "cm", "marked", "tier-")
        self.assertEqual(self.cluster.kubectl("get", "cm", "-l", "tier=front", "-o", "name"), "")

    def test_watch_shows_changes_as_they_come(self):
        watch = subprocess.Popen([harness.kubectl_path(), "--kubeconfig", self.cluster.kubeconfig, "get", "cm", "-l", "w=1", "-w",
                                  "--output-watch-events", "--no-headers"], stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(1)
            self.cluster.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: seen, labels: {w: '1'}}\n")
            self.assertEqual(watch.stdout.readline().split()[:2], ["ADDED", "seen"])
            self.cluster.kubectl("annotate", "cm", "seen", "x=y")
            self.assertEqual(watch.stdout.readline().split()[:2], ["MODIFIED", "seen"])
            self.cluster.kubectl("label", "cm", "seen", "w-")  # it leaves the selection
            self.assertEqual(watch.stdout.readline().split()[:2], ["DELETED", "seen"])
        finally:
            watch.kill()
            watch.wait()
            watch.stdout.close()

    def test_errors_are_upstreams(self):
        cases = [
            (["get", "pod", "nope"], 'Error from server (NotFound): pods "nope" not found'),
            (["create", "namespace", "default"], 'Error from server (AlreadyExists): namespaces "default" already exists'),
            (["create", "cm", "x", "-n", "nowhere"], 'error: failed to create configmap: namespaces "nowhere" not found'),
            (["get", "gadgets"], 'error: the server doesn\'t have a resource type "gadgets"'),
        ]
        for arguments, expected in cases:
            with self.subTest(arguments):
                result = self.cluster.run(*arguments, check=False)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(expected, result.stderr)

    def test_an_invalid_pod_is_refused_with_its_causes(self):
        result = self.cluster.run("apply", "-f", "-", check=False,
                                  input="apiVersion: v1\nkind: Pod\nmetadata: {name: Bad_Name}\nspec: {containers: [{name: c}]}\n")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('The Pod "Bad_Name" is invalid', result.stderr)
        self.assertIn("metadata.name: Invalid value", result.stderr)
        self.assertIn("spec.containers[0].image: Required value", result.stderr)

    def test_unknown_fields_are_refused_by_validation(self):
        result = self.cluster.run("apply", "-f", "-", check=False, input="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: typo}\ndatas: {a: b}\n")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('unknown field "datas"', result.stderr)

    def test_a_namespace_goes_with_what_is_in_it(self):
        self.cluster.kubectl("create", "namespace", "short")
        wait_until("the namespace has its account", lambda: self.cluster.run("get", "sa", "default", "-n", "short", check=False).returncode == 0)
        wait_until("the namespace has the CA", lambda: self.cluster.run("get", "cm", "kube-root-ca.crt", "-n", "short", check=False).returncode == 0)
        self.cluster.kubectl("create", "cm", "inside", "-n", "short")
        self.cluster.kubectl("delete", "namespace", "short", "--timeout=20s")
        self.assertNotEqual(self.cluster.run("get", "namespace", "short", check=False).returncode, 0)

    def test_explain_and_api_resources(self):
        self.assertIn("containers", self.cluster.kubectl("explain", "pod.spec"))
        names = self.cluster.kubectl("api-resources", "-o", "name").split()
        for name in ("pods", "nodes", "namespaces", "configmaps", "secrets", "serviceaccounts", "events", "leases.coordination.k8s.io"):
            self.assertIn(name, names)

    def test_strangers_are_turned_away(self):
        url = f"https://127.0.0.1:{self.cluster.port}"
        def code(path):
            return subprocess.run(["curl", "-sk", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", url + path], capture_output=True, text=True).stdout
        self.assertEqual(code("/api/v1/pods"), "403")
        self.assertEqual(code("/readyz"), "200")
        self.assertEqual(code("/version"), "200")
        body = subprocess.run(["curl", "-sk", "--noproxy", "*", url + "/api/v1/pods"], capture_output=True, text=True).stdout
        self.assertEqual((json.loads(body)["kind"], json.loads(body)["reason"]), ("Status", "Forbidden"))

    def test_version(self):
        version = json.loads(self.cluster.kubectl("version", "-o", "json"))
        self.assertEqual((version["serverVersion"]["major"], version["serverVersion"]["minor"]), ("1", "36"))


class Pods(ClusterTest):
    def tearDown(self):
        self.cluster.run("delete", "pod", "--all", "--grace-period=1", "--timeout=20s", check=False)

    def test_a_pod_runs_to_its_end(self):
        self.cluster.apply(busybox_pod("once", "echo out; echo err >&2; exit 3"))
        pod = self.cluster.wait_pod("once", "Failed")
        state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        self.assertEqual((state["exitCode"], state["reason"]), (3, "Error"))
        self.assertEqual(sorted(self.cluster.kubectl("logs", "once").split()), ["err", "out"])

    def test_get_wide_and_describe(self):
        self.cluster.apply(busybox_pod("shown", "sleep 60"))
        self.cluster.wait_pod("shown")
        self.assertRegex(self.cluster.kubectl("get", "pods", "-o", "wide"), r"shown +1/1 +Running +0 +\d+s +10\.\d+\.\d+\.\d+ +node-a")
        described = self.cluster.kubectl("describe", "pod", "shown")
        self.assertIn("Status:           Running", described)
        self.assertIn("Successfully assigned default/shown to node-a", described)

    def test_logs_follow_tail_and_previous(self):
        self.cluster.apply(busybox_pod("chatty", "for i in 1 2 3; do echo line $i; sleep 0.3; done"))
        wait_until("its log can be read", lambda: self.cluster.run("logs", "chatty", check=False).returncode == 0)
        self.assertEqual(self.cluster.kubectl("logs", "-f", "chatty").splitlines(), ["line 1", "line 2", "line 3"])
        self.assertEqual(self.cluster.kubectl("logs", "--tail=1", "chatty"), "line 3\n")

        self.cluster.apply(busybox_pod("again", "echo run; [ -e /data/second ] && sleep 60; touch /data/second; exit 1").replace(
            "restartPolicy: Never", "restartPolicy: Always\n  volumes: [{name: d, emptyDir: {}}]").replace(
            "    command:", "    volumeMounts: [{name: d, mountPath: /data}]\n    command:"))
        wait_until("it was restarted", lambda: self.cluster.pod("again")["status"].get("containerStatuses", [{}])[0].get("restartCount") == 1)
        self.cluster.wait_pod("again")
        self.assertEqual(self.cluster.kubectl("logs", "--previous", "again"), "run\n")

    def test_exec(self):
        self.cluster.apply(busybox_pod("shell", "sleep 60"))
        self.cluster.wait_pod("shell")
        self.assertEqual(self.cluster.kubectl("exec", "shell", "--", "echo", "hello"), "hello\n")
        self.assertEqual(self.cluster.kubectl("exec", "-i", "shell", "--", "cat", input="from stdin\n"), "from stdin\n")
        result = self.cluster.run("exec", "shell", "--", "sh", "-c", "echo no >&2; exit 7", check=False)
        self.assertEqual((result.returncode, "no\n" in result.stderr), (7, True))

    def test_exec_with_a_terminal(self):
        self.cluster.apply(busybox_pod("term", "sleep 60"))
        self.cluster.wait_pod("term")
        master, slave = pty.openpty()
        process = subprocess.Popen([harness.kubectl_path(), "--kubeconfig", self.cluster.kubeconfig, "exec", "-it", "term", "--", "sh"],
                                   stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        seen = b""

        def read_until(mark):
            nonlocal seen
            deadline = time.monotonic() + 20 * harness.PATIENCE
            while mark not in seen:
                self.assertLess(time.monotonic(), deadline, seen)
                if select.select([master], [], [], 0.2)[0]:
                    try:
                        seen += os.read(master, 4096)
                    except OSError:
                        self.fail(f"the terminal closed: {seen}")
        try:
            read_until(b"# ")
            os.write(master, b"tty; echo $((40 + 2))\n")
            read_until(b"/dev/pts/")
            read_until(b"42")
            os.write(master, b"exit 5\n")
            self.assertEqual(process.wait(timeout=20 * harness.PATIENCE), 5)
        finally:
            process.kill()
            process.wait()
            os.close(master)

    def test_volumes_and_environment(self):
        self.cluster.apply("""
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {greeting: hello, file.txt: from a file}
---
apiVersion: v1
kind: Secret
metadata: {name: hush}
stringData: {password: s3cret}
""")
        self.cluster.apply(busybox_pod(
            "full", "echo $GREETING $POD $NODE; cat /conf/file.txt; echo; cat /hush/password; echo; stat -Lc %a /hush/password; echo x > /scratch/y && cat /scratch/y",
            more="volumes: [{name: conf, configMap: {name: conf}}, {name: hush, secret: {secretName: hush, defaultMode: 0400}}, {name: scratch, emptyDir: {}}]",
            container="""volumeMounts: [{name: conf, mountPath: /conf}, {name: hush, mountPath: /hush}, {name: scratch, mountPath: /scratch}]
    env:
    - {name: GREETING, valueFrom: {configMapKeyRef: {name: conf, key: greeting}}}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}"""))
        self.cluster.wait_pod("full", "Succeeded")
        self.assertEqual(self.cluster.kubectl("logs", "full").splitlines(),
                         ["hello full node-a", "from a file", "s3cret", "400", "x"])

    def test_the_security_context_holds(self):
        self.cluster.apply(busybox_pod(
            "meek", "id -u; id -g; grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status; hostname; touch /x || echo read-only",
            container="securityContext: {runAsUser: 1234, runAsGroup: 99, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false}"))
        self.cluster.wait_pod("meek", "Succeeded")
        lines = self.cluster.kubectl("logs", "meek").splitlines()
        self.assertEqual(lines[:2], ["1234", "99"])
        self.assertIn("CapEff:\t0000000000000000", lines)
        self.assertIn("Seccomp:\t2", lines)
        self.assertIn("NoNewPrivs:\t1", lines)
        self.assertIn("meek", lines)
        self.assertIn("read-only", lines)

    def test_pods_share_a_network_within_and_reach_each_other(self):
        self.cluster.apply(busybox_pod("web", "mkdir /www; echo page > /www/index.html; httpd -f -p 80 -h /www"))
        address = wait_until("it has an address", lambda: self.cluster.wait_pod("web")["status"].get("podIP"))
        self.cluster.apply(busybox_pod("asker", f"until wget -qO- http://{address}/; do sleep 0.2; done").replace(
            "  containers:\n", f"  containers:\n  - {{name: second, image: {harness.IMAGE}, command: [sh, -c, 'ip -o link show eth0']}}\n"))
        self.cluster.wait_pod("asker", "Succeeded")
        self.assertEqual(self.cluster.kubectl("logs", "asker", "-c", "main"), "page\n")
        self.assertIn("eth0", self.cluster.kubectl("logs", "asker", "-c", "second"))
        from_host = wait_until("the host reaches the pod", lambda: subprocess.run(
            ["curl", "-s", "--noproxy", "*", "--max-time", "3", f"http://{address}/"], capture_output=True, text=True).stdout)
        self.assertEqual(from_host, "page\n")

    def test_deletion_is_graceful(self):
        self.cluster.apply(busybox_pod("polite", "trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done").replace(
            "terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 20"))
        self.cluster.wait_pod("polite")
        log = subprocess.Popen([harness.kubectl_path(), "--kubeconfig", self.cluster.kubeconfig, "logs", "-f", "polite"],
                               stdout=subprocess.PIPE, text=True)
        begun = time.monotonic()
        self.cluster.kubectl("delete", "pod", "polite")
        self.assertLess(time.monotonic() - begun, 15 * harness.PATIENCE)  # of 20 allowed
        self.assertEqual(log.communicate(timeout=20)[0], "bye\n")

    def test_an_image_that_is_nowhere_is_said_so(self):
        self.cluster.apply(busybox_pod("lost", "true").replace(harness.IMAGE, "127.0.0.1:9/nothing:1"))
        def reason():
            statuses = self.cluster.pod("lost")["status"].get("containerStatuses", [{}])
            return statuses[0].get("state", {}).get("waiting", {}).get("reason")
        wait_until("the pull fails", lambda: reason() in ("ErrImagePull", "ImagePullBackOff"))
        self.assertIn("127.0.0.1:9/nothing:1", self.cluster.kubectl("describe", "pod", "lost"))

    def test_init_containers_come_first(self):
        manifest = busybox_pod("staged", "cat /w/a", more="volumes: [{name: w, emptyDir: {}}]",
                               container="volumeMounts: [{name: w, mountPath: /w}]")
        manifest += f"""  initContainers:
  - {{name: one, image: {harness.IMAGE}, command: [sh, -c, 'echo 1 > /w/a'], volumeMounts: [{{name: w, mountPath: /w}}]}}
  - {{name: two, image: {harness.IMAGE}, command: [sh, -c, 'echo 2 >> /w/a'], volumeMounts: [{{name: w, mountPath: /w}}]}}
"""
        self.cluster.apply(manifest)
        self.cluster.wait_pod("staged", "Succeeded")
        self.assertEqual(self.cluster.kubectl("logs", "staged"), "1\n2\n")

    def test_readiness_follows_the_probe(self):
        self.cluster.apply(busybox_pod("slow", "sleep 1; touch /tmp/ready; sleep 60", container="readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 1}"))
        self.cluster.wait_pod("slow")
        self.cluster.kubectl("wait", "--for=condition=Ready", "pod/slow", "--timeout=20s")


if __name__ == "__main__":
    unittest.main()
