"""Runs the clients' scripts one after the other, each against a knarr of its own, and says what became of them.

A script is test_NAME.py with a function run(client) that raises when something is not as it should be. It may raise Missing
for what knarr does not serve yet: that counts as failed, with that as the cause."""
import importlib
import os
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "test/e2e"))
sys.path.insert(0, os.path.join(ROOT, "test/nodes"))
sys.path.insert(0, HERE)
import harness  # noqa: E402
import lab  # noqa: E402


class Skipped(Exception):
    """The machine lacks what the client needs."""


class Missing(Exception):
    """knarr lacks what the client needs."""


class Client:
    """What a script gets: a running cluster and the programs that were built for it."""

    def __init__(self, name, cluster, log, prefix=()):
        self.name, self.cluster, self.log, self.prefix = name, cluster, log, prefix

    @staticmethod
    def built(name):
        made = subprocess.run([os.path.join(HERE, "build.sh"), name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if made.returncode == 3:
            raise Skipped(made.stderr.strip())
        if made.returncode != 0:
            raise AssertionError(f"{name} cannot be built:\n{made.stderr}")
        return made.stdout.strip()

    def path(self, *parts):
        return os.path.join(HERE, *parts)

    @property
    def environment(self):
        home = self.cluster.data + "/home"
        os.makedirs(home, exist_ok=True)
        return {**os.environ, "KUBECONFIG": self.cluster.kubeconfig, "HOME": home, "XDG_CONFIG_HOME": home + "/config",
                "XDG_CACHE_HOME": home + "/cache", "XDG_DATA_HOME": home + "/share", "XDG_STATE_HOME": home + "/state"}

    def call(self, *command, check=True, timeout=120, input=None, cwd=None):
        """Runs a program with the cluster's kubeconfig; what it says goes to the log."""
        result = subprocess.run([*self.prefix, *command], capture_output=True, text=True, env=self.environment, input=input, cwd=cwd,
                                timeout=timeout * harness.PATIENCE)
        self.log.write(f"$ {' '.join(command)}\n{result.stdout}{result.stderr}\n")
        if check and result.returncode != 0:
            raise AssertionError(f"{os.path.basename(command[0])} {' '.join(command[1:])}: exit {result.returncode}\n"
                                 f"{result.stdout}{result.stderr}".strip())
        return result

    def start(self, *command):
        """A program that runs beside the script; the caller ends it."""
        return subprocess.Popen([*self.prefix, *command], stdout=self.log, stderr=self.log, env=self.environment)

    def serves(self, kind):
        """Whether the API has a resource: "sites.test.knarr.dev", "deployments.apps"."""
        names = self.cluster.kubectl("api-resources", "-o", "name", "--cached=false").split()
        return kind in names

    def needs(self, *resources):
        missing = [resource for resource in resources if not self.serves(resource)]
        if missing:
            raise Missing(f"knarr does not serve {', '.join(missing)}")


def run_one(name, log):
    script = importlib.import_module("test_" + name)
    prepare = getattr(script, "BUILD", [])
    for program in prepare:
        Client.built(program)
    if getattr(script, "PODS_REACH_THE_API", False):
        run_in_namespace(name, script, log)
        return
    cluster = harness.Cluster(node="node-a", agent=getattr(script, "AGENT", True))
    try:
        cluster.start()
        if cluster.agent:
            cluster.import_image()
        script.run(Client(name, cluster, log))
    finally:
        log.write("-- knarr's log --\n" + cluster.log_tail(200))
        cluster.close()


def run_in_namespace(name, script, log):
    """knarr on an address of its own, in a network namespace, where pods reach it; client and programs are there too."""
    network = lab.Network()
    try:
        cluster = lab.Cluster(network).start()
        cluster.import_image(cluster.server)
        try:
            script.run(Client(name, cluster, log, cluster.server.inside))
        finally:
            log.write("-- knarr's log --\n" + cluster.server.tail(200))
    finally:
        network.close()


def main(names):
    logs = os.path.join(ROOT, "build/test-logs")
    os.makedirs(logs, exist_ok=True)
    if os.geteuid() != 0:
        print("clients: skipped, running pods needs root")
        return 0
    outcome = {"passed": 0, "failed": 0, "skipped": 0}
    for name in names:
        begun = time.monotonic()
        path = os.path.join(logs, f"client-{name}.log")
        reason = ""
        with open(path, "w") as log:
            try:
                run_one(name, log)
                result = "passed"
            except Skipped as cause:
                result, reason = "skipped", str(cause)
            except Missing as cause:
                result, reason = "failed", str(cause)
            except Exception as error:  # whatever a client's script meets is its outcome
                log.write(traceback.format_exc())
                # What failed, and the end of what it said; a cluster's own log stands in the test's.
                said = str(error).split("-- knarr's log --")[0]
                lines = [line for line in said.splitlines() if line.strip()] or [repr(error)]
                shown = lines if len(lines) <= 10 else lines[:1] + lines[-9:]
                result, reason = "failed", "\n".join(shown) + f"\n(see {os.path.relpath(path, ROOT)})"
        outcome[result] += 1
        head, *rest = reason.splitlines() or [""]
        print(f"{result:8} {name:10} {time.monotonic() - begun:5.1f}s  {head}".rstrip(), flush=True)
        for line in rest:
            print(" " * 28 + line, flush=True)
    print(", ".join(f"{count} {word}" for word, count in outcome.items()))
    return 1 if outcome["failed"] else 0


if __name__ == "__main__":
    sys.modules["clients"] = sys.modules["__main__"]
    sys.exit(main(sys.argv[1:]))
