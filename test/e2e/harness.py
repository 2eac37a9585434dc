"""Runs the shipped binary as a user would: a server in a temporary data directory, driven by the real kubectl."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KNARR = os.environ.get("KNARR", os.path.join(ROOT, "build/release/knarr"))
IMAGE = "knarr.local/busybox:1"
# Sanitizers slow everything down; what waits for something waits this many times longer.
PATIENCE = 4 if any(name in KNARR for name in ("asan", "tsan")) else 1

_kubectl = None


def kubectl_path():
    """An unmodified kubectl of a version that goes with 1.36, built from its Go module where the machine has none."""
    global _kubectl
    if _kubectl is None:
        found = shutil.which("kubectl")
        if found:
            version = subprocess.run([found, "version", "--client"], capture_output=True, text=True).stdout
            if any(f"v1.{minor}." in version for minor in (35, 36, 37)):
                _kubectl = found
        if _kubectl is None:
            _kubectl = subprocess.run([os.path.join(ROOT, "test/upstream/build.sh"), "kubectl"], check=True,
                                      capture_output=True, text=True).stdout.strip()
    return _kubectl


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, condition, seconds=30):
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds * PATIENCE} s in vain: {what}")
        time.sleep(0.05)


def busybox_archive():
    """The image that the tests run, made once."""
    path = os.path.join(ROOT, "build/test-images/busybox.tar")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        subprocess.run([os.path.join(ROOT, "examples/make-image.sh"), IMAGE, path + ".new"], check=True, capture_output=True)
        os.rename(path + ".new", path)
    return path


class Cluster:
    """One knarr server with its agent, in a data directory of its own."""

    def __init__(self, *options, node="node-a", agent=True):
        self.data = tempfile.mkdtemp(prefix="knarr-e2e-")
        self.node = node
        self.port = free_port()
        self.options = list(options) + ([] if agent else ["--disable-agent"])
        self.agent = agent
        self.log = open(self.data + ".log", "ab")
        self.process = None

    @property
    def kubeconfig(self):
        return self.data + "/kubeconfig"

    def start(self, *more):
        command = [KNARR, "server", "--data-dir", self.data, "--listen", f"127.0.0.1:{self.port}", "--node-name", self.node,
                   "--node-port", str(free_port()), "--log-level", "debug", *self.options, *more]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        wait_until("the API is ready", lambda: self._alive() and os.path.exists(self.kubeconfig) and
                   self.run("get", "--raw", "/readyz", check=False).returncode == 0)
        if self.agent:
            # kubectl wait does not wait for what is not there yet, and pods need their namespace's account.
            wait_until("the node is registered and namespaces have accounts", lambda: self._alive() and
                       self.run("get", f"node/{self.node}", "serviceaccount/default", check=False).returncode == 0)
            self.kubectl("wait", "--for=condition=Ready", f"node/{self.node}", f"--timeout={30 * PATIENCE}s")
        return self

    def _alive(self):
        if self.process.poll() is not None:
            raise AssertionError("knarr server ended:\n" + self.log_tail())
        return True

    def log_tail(self, lines=40):
        with open(self.data + ".log", errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def import_image(self):
        subprocess.run([KNARR, "image", "import", "--data-dir", self.data, busybox_archive()], check=True, capture_output=True)

    def run(self, *arguments, check=True, input=None, timeout=60):
        result = subprocess.run([kubectl_path(), "--kubeconfig", self.kubeconfig, "--cache-dir", self.data + "/kubectl-cache", *arguments],
                                capture_output=True, text=True, input=input, timeout=timeout * PATIENCE)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: exit {result.returncode}\n{result.stdout}{result.stderr}\n"
                                 f"-- knarr's log --\n{self.log_tail()}")
        return result

    def kubectl(self, *arguments, input=None, timeout=60):
        return self.run(*arguments, input=input, timeout=timeout).stdout

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, manifest):
        return self.kubectl("apply", "-f", "-", input=manifest)

    def pod(self, name, namespace="default"):
        return self.get("pod", name, "-n", namespace)

    def wait_pod(self, name, phase="Running", namespace="default", seconds=30):
        def there():
            result = self.run("get", "pod", name, "-n", namespace, "-o", "json", check=False)
            pod = json.loads(result.stdout) if result.returncode == 0 else None
            return pod if pod and pod.get("status", {}).get("phase") == phase else None
        try:
            return wait_until(f"pod {name} is {phase}", there, seconds)
        except AssertionError as error:
            seen = self.run("describe", "pod", name, "-n", namespace, check=False)
            raise AssertionError(f"{error}\n{seen.stdout}{seen.stderr}\n-- knarr's log --\n{self.log_tail()}") from None

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=30 * PATIENCE)

    def close(self):
        """Takes everything down and fails when something is left behind."""
        self.stop()
        self.log.close()
        problems = []
        if os.path.exists(self.data + "/instance"):  # it was started
            result = subprocess.run([KNARR, "uninstall", "--data-dir", self.data], capture_output=True, text=True, timeout=60 * PATIENCE)
            if result.returncode != 0:
                problems.append(f"uninstall: {result.stdout}{result.stderr}")
        problems += leftovers(self.data)
        shutil.rmtree(self.data, ignore_errors=True)
        if os.path.exists(self.data + ".log") and not problems:
            os.unlink(self.data + ".log")
        if problems:
            raise AssertionError("left behind: " + "; ".join(problems))


def leftovers(data):
    """Mounts and processes that still speak of a data directory."""
    found = []
    with open("/proc/self/mountinfo") as f:
        found += [f"mount {line.split()[4]}" for line in f if data in line]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                command = f.read().replace(b"\0", b" ").decode(errors="replace")
            if " shim " in command:  # it names its pod; what it writes to says whose it is
                command += os.readlink(f"/proc/{pid}/fd/2")
        except OSError:
            continue
        if data in command and "knarr" in command and int(pid) != os.getpid():
            found.append(f"process {pid}: {command}")
    return found


def sanitizer_report(cluster):
    """The first report that a sanitizer wrote to the log, with its stacks; "" when there is none."""
    with open(cluster.data + ".log", errors="replace") as f:
        lines = f.readlines()
    for i, line in enumerate(lines):
        if "Sanitizer" in line or "runtime error:" in line:
            return "".join(lines[i:i + 80])
    return ""


class ClusterTest(unittest.TestCase):
    """A test case with one cluster for all its tests."""
    agent = True
    options = ()

    @classmethod
    def setUpClass(cls):
        if cls.agent and os.geteuid() != 0:
            raise unittest.SkipTest("running pods needs root")
        cls.cluster = Cluster(*cls.options, agent=cls.agent)
        try:
            cls.cluster.start()
            if cls.agent:
                cls.cluster.import_image()
        except BaseException:
            cls.cluster.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        report = sanitizer_report(cls.cluster)
        cls.cluster.close()
        if report:
            raise AssertionError("a sanitizer's report in the log:\n" + report)


def busybox_pod(name, command, namespace="default", more="", container=""):
    """A pod of one busybox container that runs a shell command; `more` is YAML for the spec, `container` for the container."""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: Never
  {more}
  containers:
  - name: main
    image: {IMAGE}
    command: ["sh", "-c", {json.dumps(command)}]
    {container}
"""
