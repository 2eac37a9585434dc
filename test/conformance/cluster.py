"""The cluster that the suite runs against: a server with its agent, and further agents as further nodes on this machine."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
import harness  # noqa: E402


class Nodes:
    def __init__(self, count, images):
        # A copy, so that a build may go on beside.
        self.programs = tempfile.mkdtemp(prefix="knarr-conformance-")
        harness.KNARR = shutil.copy(harness.KNARR, self.programs)
        self.cluster = harness.Cluster(node="node-a")
        self.workers = []
        self.count = count
        self.images = images

    def start(self):
        self.cluster.start()
        self._import(self.cluster.data)
        for i in range(1, self.count):
            self._join(f"node-{chr(ord('a') + i)}")

    @property
    def server(self):
        return f"https://127.0.0.1:{self.cluster.port}"

    def _import(self, data):
        if self.images:
            subprocess.run([harness.KNARR, "image", "import", "--data-dir", data, *self.images], check=True, stdout=subprocess.DEVNULL)

    def _join(self, name):
        data = tempfile.mkdtemp(prefix=f"knarr-{name}-")
        log = open(data + ".log", "ab")
        command = [harness.KNARR, "agent", "--data-dir", data, "--server", self.server, "--token", self.cluster.data + "/token", "--node-name", name,
                   "--node-port", str(harness.free_port()), "--log-level", "debug"]
        with open(self.cluster.data + "/token") as f:
            command[command.index("--token") + 1] = f.read().strip()
        self.workers.append((subprocess.Popen(command, stdout=log, stderr=log), data, log))
        harness.wait_until(f"{name} is there", lambda: self.cluster.run("get", "node", name, check=False).returncode == 0)
        self.cluster.kubectl("wait", "--for=condition=Ready", f"node/{name}", "--timeout=60s")
        self._import(data)

    def logs(self):
        return [self.cluster.data + ".log"] + [data + ".log" for _, data, _ in self.workers]

    def usage(self):
        """CPU seconds and resident kilobytes of the server, for the summary."""
        with open(f"/proc/{self.cluster.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        with open(f"/proc/{self.cluster.process.pid}/status") as f:
            resident = next(line.split()[1] for line in f if line.startswith("VmRSS:"))
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(resident)

    def close(self):
        """Takes all nodes down; what is left behind is an error that is said."""
        problems = []
        for process, data, log in self.workers:
            process.terminate()
            process.wait(timeout=60)
            log.close()
            done = subprocess.run([harness.KNARR, "uninstall", "--data-dir", data], capture_output=True, text=True)
            problems += [done.stdout + done.stderr] if done.returncode else []
            problems += harness.leftovers(data)
            shutil.rmtree(data, ignore_errors=True)
            os.unlink(data + ".log")
        try:
            self.cluster.close()
        except AssertionError as error:
            problems.append(str(error))
        shutil.rmtree(self.programs, ignore_errors=True)
        return problems
