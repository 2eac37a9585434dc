"""The commands themselves: help, versions, wrong usage, configuration from three places, images and a registry."""
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import unittest
import urllib.request

import harness
from harness import Cluster, busybox_pod


def knarr(*arguments, env=None):
    return subprocess.run([harness.KNARR, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})


class Usage(unittest.TestCase):
    def test_help_names_every_command_and_option(self):
        text = knarr("--help").stdout
        for command in ("server", "agent", "image", "status", "uninstall", "version"):
            self.assertIn(f"\n  {command} ", text)
            self.assertEqual(knarr(command, "--help").returncode, 0)
        options = knarr("server", "--help").stdout
        for option in ("data-dir", "listen", "kubeconfig", "node-name", "node-ip", "cluster-cidr", "service-cidr", "token", "log-level", "log-format", "disable-agent", "keep-pods"):
            self.assertIn(f"--{option}", options)

    def test_version(self):
        self.assertRegex(knarr("version").stdout, r"^knarr \d+\.\d+\.\d+ \(Kubernetes v1\.36\.\d+\)$")

    def test_wrong_usage_says_what_is_wrong(self):
        cases = [
            (["frobnicate"], 'there is no command "frobnicate"'),
            (["server", "--data-dri", "/x"], "unknown option --data-dri"),
            (["server", "--data-dir"], "--data-dir needs a value"),
            (["server", "--listen", "nowhere", "--data-dir", "/tmp/never-made"], 'listen address "nowhere"'),
            (["server", "--cluster-cidr", "nonsense"], '--cluster-cidr "nonsense"'),
            (["server", "--node-ip", "1.2.3"], '--node-ip "1.2.3"'),
            (["server", "--node-name", "Bad_Name"], '--node-name "Bad_Name"'),
            (["server", "--kubeconfig-mode", "rw"], '--kubeconfig-mode "rw"'),
            (["server", "--log-level", "loud"], 'log level "loud"'),
            (["server", "--keep-pods=perhaps"], "keep-pods is a switch"),
            (["agent"], "--server is missing"),
            (["image", "import"], "import needs a name or a file"),
            (["image"], "what to do?"),
        ]
        for arguments, message in cases:
            with self.subTest(arguments):
                result = knarr(*arguments)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(message, result.stderr)
        self.assertFalse(os.path.exists("/tmp/never-made"))

    def test_a_taken_port_is_named_with_what_to_do(self):
        with tempfile.TemporaryDirectory() as directory, socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            result = knarr("server", "--data-dir", directory + "/data", "--listen", f"127.0.0.1:{port}", "--disable-agent")
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"listen on 127.0.0.1 port {port}: another process uses it; stop that one or choose another port", result.stderr)

    def test_uninstall_removes_only_what_is_knarrs(self):
        with tempfile.TemporaryDirectory() as directory:
            precious = os.path.join(directory, "precious")
            open(precious, "w").close()
            result = knarr("uninstall", "--data-dir", directory)
            self.assertEqual(result.returncode, 1)
            self.assertIn("is no data directory of knarr", result.stderr)
            self.assertTrue(os.path.exists(precious))


class Configuration(unittest.TestCase):
    def test_flag_goes_before_environment_before_file(self):
        with tempfile.TemporaryDirectory() as directory:
            config = os.path.join(directory, "config.yaml")
            with open(config, "w") as f:
                f.write("log-format: xml\nlog-level: error\n")
            self.assertIn('log format "xml"', knarr("status", "--config", config).stderr)
            self.assertIn('log format "csv"', knarr("status", "--config", config, env={"KNARR_LOG_FORMAT": "csv"}).stderr)
            self.assertIn('log format "ini"', knarr("status", "--config", config, "--log-format", "ini", env={"KNARR_LOG_FORMAT": "csv"}).stderr)
            with open(config, "w") as f:
                f.write("data-dri: /x\n")
            self.assertIn('unknown key "data-dri"', knarr("status", "--config", config).stderr)
            with open(config, "w") as f:
                f.write("a: [\n")
            self.assertIn(config, knarr("status", "--config", config).stderr)
            self.assertIn("missing.yaml", knarr("status", "--config", directory + "/missing.yaml").stderr)

    def test_everything_can_come_from_a_file(self):
        cluster = Cluster(agent=False)
        config = cluster.data + "/config.yaml"
        with open(config, "w") as f:
            f.write(f"node-name: from-file\nlog-format: json\nkubeconfig: {cluster.data}/elsewhere/admin.conf\nkubeconfig-mode: '0640'\ntls-san: [example.test, 192.0.2.7]\n")
        cluster.options += ["--config", config]
        try:
            process = subprocess.Popen([harness.KNARR, "server", "--data-dir", cluster.data, "--listen", f"127.0.0.1:{cluster.port}", *cluster.options],
                                       stderr=cluster.log)
            cluster.process = process
            path = cluster.data + "/elsewhere/admin.conf"
            harness.wait_until("the kubeconfig is written", lambda: os.path.exists(path))
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
            harness.wait_until("the log says ready", lambda: '"msg":"ready"' in cluster.log_tail())
            for line in cluster.log_tail().splitlines():
                json.loads(line)
            names = subprocess.run(["openssl", "x509", "-in", cluster.data + "/pki/server.crt", "-noout", "-ext", "subjectAltName"],
                                   capture_output=True, text=True).stdout
            self.assertIn("DNS:example.test", names)
            self.assertIn("IP Address:192.0.2.7", names)
        finally:
            cluster.close()


class Images(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)

    def image(self, *arguments):
        return knarr("image", *arguments, "--data-dir", self.cluster.data)

    def test_import_list_remove(self):
        self.assertEqual(self.image("import", harness.busybox_archive()).returncode, 0)
        self.assertIn(harness.IMAGE, self.image("ls").stdout)
        self.assertEqual(self.image("rm", harness.IMAGE).returncode, 0)
        self.assertNotIn(harness.IMAGE, self.image("ls").stdout)
        missing = self.image("rm", harness.IMAGE)
        self.assertEqual(missing.returncode, 1)
        self.assertIn(harness.IMAGE, missing.stderr)
        broken = self.image("import", "/etc/hostname")
        self.assertEqual(broken.returncode, 1)
        self.assertIn("/etc/hostname", broken.stderr)

    @unittest.skipUnless(os.path.exists("/usr/bin/docker-registry"), "Debian's docker-registry is not installed")
    def test_a_pod_pulls_from_a_registry(self):
        port = harness.free_port()
        directory = tempfile.mkdtemp(prefix="knarr-registry-")
        config = directory + "/config.yml"
        with open(config, "w") as f:
            f.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {directory}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n")
        registry = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            push(harness.busybox_archive(), f"http://127.0.0.1:{port}", "tools/busybox", "7")
            name = f"127.0.0.1:{port}/tools/busybox:7"
            self.cluster.start()
            self.cluster.apply(busybox_pod("puller", "echo pulled").replace(harness.IMAGE, name))
            pod = self.cluster.wait_pod("puller", "Succeeded")
            self.assertEqual(self.cluster.kubectl("logs", "puller"), "pulled\n")
            self.assertIn("@sha256:", pod["status"]["containerStatuses"][0]["imageID"])
            self.assertIn(name, self.image("ls").stdout)
            self.assertIn("Pulled", self.cluster.kubectl("describe", "pod", "puller"))
        finally:
            registry.terminate()
            registry.wait()
            shutil.rmtree(directory, ignore_errors=True)


def push(archive, url, repository, tag):
    """Uploads an OCI archive's one image with the distribution API."""
    def request(method, target, body=None, headers=None):
        message = urllib.request.Request(target if target.startswith("http") else url + target, method=method, data=body, headers=headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(message)

    def up():
        try:
            return request("GET", "/v2/").status == 200
        except OSError:
            return False
    harness.wait_until("the registry answers", up)
    with tarfile.open(archive) as tar:
        files = {m.name.removeprefix("./"): tar.extractfile(m).read() for m in tar if m.isfile()}
    manifest_digest = json.loads(files["index.json"])["manifests"][0]["digest"]
    blob = lambda digest: files["blobs/sha256/" + digest.removeprefix("sha256:")]
    manifest = json.loads(blob(manifest_digest))
    for descriptor in [manifest["config"], *manifest["layers"]]:
        location = request("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        separator = "&" if "?" in location else "?"
        request("PUT", f"{location}{separator}digest={descriptor['digest']}", blob(descriptor["digest"]), {"Content-Type": "application/octet-stream"})
    request("PUT", f"/v2/{repository}/manifests/{tag}", blob(manifest_digest), {"Content-Type": "application/vnd.oci.image.manifest.v1+json"})


class Status(unittest.TestCase):
    def test_status_of_a_running_and_a_stopped_server(self):
        cluster = Cluster(agent=False)
        try:
            cluster.start()
            running = knarr("status", "--data-dir", cluster.data)
            self.assertEqual(running.returncode, 0, running.stderr)
            self.assertRegex(running.stdout, r"server +running, pid \d+")
            self.assertRegex(running.stdout, r"ready +yes")
            self.assertRegex(running.stdout, r"namespaces +4")
            cluster.stop()
            stopped = knarr("status", "--data-dir", cluster.data)
            self.assertEqual(stopped.returncode, 1)
            self.assertRegex(stopped.stdout, r"server +not running")
        finally:
            cluster.close()


if __name__ == "__main__":
    unittest.main()
