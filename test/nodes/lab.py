"""Network namespaces as machines: a bridge in a namespace of its own joins them; links can be slow, lossy or cut.

Everything is named after this process, and close() takes all of it down."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import harness  # noqa: E402
from harness import KNARR, PATIENCE, wait_until  # noqa: E402

PORT = 6443


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)


class Machine:
    """One namespace with the address 10.77.0.N, and perhaps a knarr in it."""

    def __init__(self, network, name, address, delay_ms, loss_percent):
        self.network, self.name, self.address = network, name, address
        self.namespace = f"{network.prefix}-{name}"
        # Not `ip netns exec`, which mounts a /sys of its own, without cgroups.
        self.inside = ["nsenter", f"--net=/run/netns/{self.namespace}"]
        self.data = tempfile.mkdtemp(prefix=f"knarr-nodes-{name}-")
        self.process = None
        self.log = open(self.data + ".log", "ab")
        self.command = None
        ip("netns", "add", self.namespace)
        self.link = f"{network.prefix}{address.rsplit('.', 1)[1]}"  # the switch's end of the cable
        self.wire = None
        if delay_ms or loss_percent:
            self.wire = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), "wire.py"), network.switch, self.link,
                                          self.namespace, "eth0", str(delay_ms), str(loss_percent)], stdout=subprocess.PIPE, text=True)
            if self.wire.stdout.readline() != "ready\n":
                raise AssertionError("the wire cannot be made (needs /dev/net/tun)")
        else:
            ip("-n", network.switch, "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        ip("-n", network.switch, "link", "set", self.link, "master", "br0", "up")
        ip("-n", self.namespace, "link", "set", "lo", "up")
        ip("-n", self.namespace, "link", "set", "eth0", "up")
        ip("-n", self.namespace, "address", "add", address + "/24", "dev", "eth0")
        ip("-n", self.namespace, "route", "add", "default", "via", network.gateway)

    def run(self, *command, **options):
        return subprocess.run([*self.inside, *command], capture_output=True, text=True, **options)

    def start(self, *command):
        """Starts knarr here; the last command again when none is given."""
        if command:
            self.command = command
        self.process = subprocess.Popen([*self.inside, KNARR, *self.command], stdout=self.log, stderr=self.log)
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=30 * PATIENCE)

    def readdress(self, address):
        """The machine gets another address, as with a new lease of DHCP."""
        ip("-n", self.namespace, "address", "del", self.address + "/24", "dev", "eth0")
        ip("-n", self.namespace, "address", "add", address + "/24", "dev", "eth0")
        ip("-n", self.namespace, "route", "replace", "default", "via", self.network.gateway)
        self.address = address

    def cut(self):
        """The cable is pulled: at the switch, so that the machine itself sees its link go down as well."""
        ip("-n", self.network.switch, "link", "set", self.link, "down")

    def heal(self):
        ip("-n", self.network.switch, "link", "set", self.link, "up")

    def drop(self, peer):
        """Nothing passes between this machine and another, though both links are up."""
        self.network.filter(f"add rule bridge lab forward ether type ip ip saddr {self.address} ip daddr {peer.address} drop; "
                            f"add rule bridge lab forward ether type ip ip saddr {peer.address} ip daddr {self.address} drop")

    def tail(self, lines=30):
        with open(self.data + ".log", errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def close(self):
        problems = []
        self.stop()
        if os.path.exists(self.data + "/instance"):
            removed = self.run(KNARR, "uninstall", "--data-dir", self.data, timeout=60 * PATIENCE)
            if removed.returncode != 0:
                problems.append(f"{self.name}: uninstall: {removed.stdout}{removed.stderr}")
        problems += [f"{self.name}: {left}" for left in harness.leftovers(self.data)]
        self.log.close()
        if self.wire:
            self.wire.kill()
            self.wire.wait()
            self.wire.stdout.close()
        ip("netns", "del", self.namespace, check=False)
        shutil.rmtree(self.data, ignore_errors=True)
        if not problems:
            os.unlink(self.data + ".log")
        return problems


class Network:
    """A switch with machines. Use as a context manager, or close() it."""

    gateway = "10.77.0.254"

    def __init__(self):
        self.prefix = f"kn{os.getpid() % 100000}"
        self.switch = self.prefix + "-switch"
        self.machines = []
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self.switch, "address", "add", self.gateway + "/24", "dev", "br0")
        ip("-n", self.switch, "link", "set", "br0", "up")
        self.filter("add table bridge lab; add chain bridge lab forward { type filter hook forward priority 0; }")

    def machine(self, name, delay_ms=0, loss_percent=0):
        """A machine; its cable may delay each packet, in each direction, and lose some."""
        machine = Machine(self, name, f"10.77.0.{len(self.machines) + 1}", delay_ms, loss_percent)
        self.machines.append(machine)
        return machine

    def filter(self, commands):
        subprocess.run(["ip", "netns", "exec", self.switch, "nft", commands], check=True, capture_output=True, text=True)

    def undo_drops(self):
        self.filter("flush chain bridge lab forward")

    def close(self):
        problems = []
        for machine in reversed(self.machines):
            try:
                machine.heal()
                problems += machine.close()
            except (OSError, subprocess.SubprocessError) as error:
                problems.append(f"{machine.name}: {error}")
        ip("netns", "del", self.switch, check=False)
        if problems:
            raise AssertionError("left behind: " + "; ".join(problems))


class Cluster:
    """knarr server on the first machine of a network, workers on others; kubectl runs on the server's machine."""

    def __init__(self, network, *options, **cable):
        self.network = network
        self.server = network.machine("server", **cable)
        self.options = options
        self.workers = {}

    def start(self):
        server = self.server
        server.start("server", "--data-dir", server.data, "--listen", f"0.0.0.0:{PORT}", "--node-name", "server", "--node-ip",
                     server.address, "--log-level", "debug", *self.options)
        self.wait_api()
        self.wait_ready("server")
        return self

    def wait_api(self):
        def answers():
            if self.server.process.poll() is not None:
                raise AssertionError("knarr server ended:\n" + self.server.tail())
            return os.path.exists(self.kubeconfig) and self.run("get", "--raw", "/readyz", check=False).returncode == 0
        wait_until("the API is ready", answers)

    @property
    def data(self):
        return self.server.data

    @property
    def kubeconfig(self):
        return self.server.data + "/kubeconfig"

    @property
    def token(self):
        with open(self.server.data + "/token") as f:
            return f.read().strip()

    def worker(self, name, ready=True, token=None):
        """A further machine, and an agent in it that joins."""
        machine = self.network.machine(name)
        self.workers[name] = machine
        machine.start("agent", "--data-dir", machine.data, "--server", f"https://{self.server.address}:{PORT}", "--token",
                      token or self.token, "--node-name", name, "--log-level", "debug")
        if ready:
            self.wait_ready(name)
        return machine

    def import_image(self, *machines):
        for machine in machines:
            done = machine.run(KNARR, "image", "import", "--data-dir", machine.data, harness.busybox_archive())
            if done.returncode != 0:
                raise AssertionError(done.stderr)

    def run(self, *arguments, check=True, input=None, timeout=60):
        command = [harness.kubectl_path(), "--kubeconfig", self.kubeconfig, "--cache-dir", self.data + "/kubectl-cache",
                   *arguments]
        result = self.server.run(*command, input=input, timeout=timeout * PATIENCE)
        if check and result.returncode != 0:
            logs = "".join(f"-- log of {m.name} --\n{m.tail()}" for m in self.network.machines)
            raise AssertionError(f"kubectl {' '.join(arguments)}: exit {result.returncode}\n{result.stdout}{result.stderr}\n{logs}")
        return result

    def kubectl(self, *arguments, input=None, timeout=60):
        return self.run(*arguments, input=input, timeout=timeout).stdout

    def get(self, *arguments):
        """The object, or None when it is not there."""
        result = self.run("get", *arguments, "-o", "json", check=False)
        return json.loads(result.stdout) if result.returncode == 0 else None

    def apply(self, manifest):
        return self.kubectl("apply", "-f", "-", input=manifest)

    def ready(self, node):
        return condition(self.get("node", node), "Ready").get("status")

    def wait_ready(self, node, status="True", seconds=30):
        wait_until(f"node {node} is Ready={status}", lambda: self.ready(node) == status, seconds)

    def taints(self, node):
        return {f"{t['key'].split('/')[-1]}:{t['effect']}" for t in (self.get("node", node) or {})["spec"].get("taints", [])}

    def wait_pod(self, name, phase="Running", seconds=30):
        def there():
            pod = self.get("pod", name)
            return pod if pod and pod["status"].get("phase") == phase else None
        try:
            return wait_until(f"pod {name} is {phase}", there, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.run('describe', 'pod', name, check=False).stdout}") from None


def condition(thing, kind):
    for found in (thing or {}).get("status", {}).get("conditions", []):
        if found["type"] == kind:
            return found
    return {}


def pod_on(node, name, command="trap exit TERM; while :; do cut -d' ' -f1 /proc/uptime; sleep 0.2; done", more=""):
    """A pod for that node. It says the uptime five times a second, so that a pause of it would be seen."""
    return harness.busybox_pod(name, command, more=f"nodeSelector: {{kubernetes.io/hostname: {node}}}\n  {more}")
