"""Machines to try knarr on a real kernel: QEMU without hardware help (TCG), Debian's cloud kernel, made by build.sh."""
import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "test/vm")
sys.path.insert(0, os.path.join(ROOT, "test/e2e"))
from harness import IMAGE, busybox_archive, busybox_pod, free_port, kubectl_path  # noqa: E402,F401

PATIENCE = float(os.environ.get("LAB_PATIENCE", "1"))  # for hosts that are busy with other things


def knarr_binary():
    """The binary under test: $KNARR, or the newest build."""
    if "KNARR" in os.environ:
        return os.environ["KNARR"]
    found = [path for path in (os.path.join(ROOT, f"build/{preset}/knarr") for preset in ("static", "release")) if os.path.exists(path)]
    if not found:
        raise unittest.SkipTest("no knarr to test: cmake --preset static && cmake --build --preset static --target knarr")
    return max(found, key=os.path.getmtime)


def build(*options):
    """The directory with kernel and initramfs."""
    return subprocess.run([os.path.join(HERE, "build.sh"), *options], check=True, capture_output=True, text=True).stdout.strip()


def wait_until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds * PATIENCE:.0f} s in vain: {what}")
        time.sleep(0.2)


def shared_libraries(program):
    """What a program needs, as {path in the machine: path here}; nothing for a static one."""
    files = {}
    listed = subprocess.run(["ldd", program], capture_output=True, text=True)
    for line in listed.stdout.splitlines() if listed.returncode == 0 else []:
        words = line.split()
        path = words[2] if "=>" in words else words[0]
        if path.startswith("/"):
            files[path.lstrip("/")] = path
    return files


def binary_files():
    return {"bin/knarr": knarr_binary(), **shared_libraries(knarr_binary())}


def cpio_record(name, mode, content):
    """One file of an initramfs (cpio, "newc")."""
    def padded(data):
        return data + b"\0" * (-len(data) % 4)
    encoded = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
    return padded(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded) + padded(content)


def overlay(extra):
    """What is laid over the disk of the systemd machine: the binary, the unit, the lab's agent, more files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        def put(name, content, mode):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
        for name, path in extra.items():
            if isinstance(path, bytes):
                put(name, path, 0o644)
            else:
                with open(path, "rb") as file:
                    put(name, file.read(), 0o755 if os.access(path, os.X_OK) else 0o644)
    return buffer.getvalue()


def initramfs(path, extra=()):
    """The lab's base, and on top of it knarr, the image that pods run, and more files {name: bytes or path}."""
    files = {"init": os.path.join(HERE, "guest/init"), "lab/agent": os.path.join(HERE, "guest/agent"), "lab/busybox": shutil.which("busybox"),
             "lab/busybox.tar": busybox_archive(), **binary_files(), **dict(extra)}
    directories = {"lab"}
    for name in files:
        parts = name.split("/")[:-1]
        directories.update("/".join(parts[:i + 1]) for i in range(len(parts)))
    with open(path, "wb") as out:
        with open(os.path.join(build(), "base.cpio"), "rb") as base:
            shutil.copyfileobj(base, out)
        for name in sorted(directories):
            out.write(cpio_record(name, 0o40755, b""))
        for name, source in files.items():
            content = source
            if not isinstance(source, bytes):
                with open(source, "rb") as file:
                    content = file.read()
            out.write(cpio_record(name, 0o100755, content))
        out.write(cpio_record("TRAILER!!!", 0, b""))
    return path


def make_disk(path, megabytes=512):
    """An empty file system for knarr's data directory."""
    with open(path, "wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1", path], check=True)
    return path


class Machine:
    """One virtual machine. Its console is in console(); run() runs a shell script in it."""

    def __init__(self, directory, name="node-a", memory=768, cpus=1, links=("10.0.2.15/24",), lan=None, disk=None, disk_is_root=False, initrd=None,
                 environment=None, run="", throw_away=False, write_log=None):
        self.directory = os.path.join(directory, name)
        os.makedirs(self.directory, exist_ok=True)
        self.name, self.memory, self.cpus, self.links, self.lan = name, memory, cpus, links, lan
        self.disk, self.disk_is_root, self.initrd = disk, disk_is_root, initrd
        self.throw_away = throw_away  # the disk is of no use after this boot: nothing is flushed
        self.write_log = write_log    # what the machine writes and flushes is recorded here, see disk_log.py
        self.environment = dict(environment or {})
        self.words = run
        self.api_port = free_port()
        self.process = None
        self.boots = self.told = 0  # told: the last boot whose time was printed
        self.started = 0.0

    def command(self):
        kernel = build()
        values = {"LAB_NAME": self.name, "LAB_LINKS": ",".join(self.links), **self.environment}
        if self.disk:
            values["LAB_DISK"] = "root" if self.disk_is_root else "data"
        if self.words:
            values["LAB_RUN"] = self.words
        append = "console=ttyS0 panic=-1 quiet no_timer_check mitigations=off nokaslr random.trust_cpu=on " + " ".join(
            f'"{key}={value}"' if " " in value else f"{key}={value}" for key, value in values.items())
        command = ["nice", "-n", "10", "qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-cpu", "max", "-smp", str(self.cpus), "-m", str(self.memory),
                   "-nodefaults", "-display", "none", "-no-reboot", "-kernel", f"{kernel}/vmlinuz", "-initrd", self.initrd, "-append", append,
                   "-chardev", f"file,id=console,path={self.directory}/console.log,append=on", "-serial", "chardev:console",
                   "-device", "virtio-serial-pci", "-chardev", f"socket,id=lab,path={self.directory}/lab.sock,server=on,wait=off",
                   "-device", "virtserialport,chardev=lab,name=lab,nr=1", "-qmp", f"unix:{self.directory}/qmp.sock,server=on,wait=off"]
        for link in self.links:
            if link.startswith("10.0.2."):
                command += ["-netdev", f"user,id=user,hostfwd=tcp:127.0.0.1:{self.api_port}-:6443", "-device", "virtio-net-pci,netdev=user,romfile="]
            else:
                command += ["-netdev", f"socket,id=lan,mcast={self.lan},localaddr=127.0.0.1",
                            "-device", f"virtio-net-pci,netdev=lan,romfile=,mac=52:54:00:00:00:{int(link.split('/')[0].split('.')[-1]):02x}"]
        if self.disk:
            command += ["-blockdev", f"driver=raw,node-name=image,file.driver=file,file.filename={self.disk}" + (",file.cache.no-flush=on" if self.throw_away else "")]
            if self.write_log:
                open(self.write_log, "wb").close()
                command += ["-blockdev", f"driver=blklogwrites,node-name=logged,file=image,log.driver=file,log.filename={self.write_log}"]
            command += ["-device", f"virtio-blk-pci,drive={'logged' if self.write_log else 'image'}"]
        return command

    def start(self):
        for name in ("lab.sock", "qmp.sock"):
            if os.path.exists(f"{self.directory}/{name}"):
                os.unlink(f"{self.directory}/{name}")
        self.boots += 1
        self.started = time.monotonic()
        self.channel = None
        with open(f"{self.directory}/qemu.log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def console(self, lines=60):
        text = ""
        for name in ("qemu.log", "console.log"):
            if os.path.exists(f"{self.directory}/{name}"):
                with open(f"{self.directory}/{name}", errors="replace") as file:
                    text += f"-- {self.name}: {name} --\n" + "".join(file.readlines()[-lines:])
        return text

    def _connect(self, seconds):
        def attempt():
            if not self.alive():
                raise AssertionError(f"machine {self.name} ended\n{self.console()}")
            channel = socket.socket(socket.AF_UNIX)
            try:
                channel.connect(f"{self.directory}/lab.sock")
                return channel
            except OSError:
                channel.close()
                return None
        self.channel = wait_until(f"machine {self.name} exists", attempt, seconds)

    def run(self, script, check=True, seconds=120):
        """Runs a shell script in the machine; answers (exit code, output), or the output alone when `check`."""
        if self.channel is None:
            self._connect(30)
        self.channel.settimeout(seconds * PATIENCE)
        try:
            self.channel.sendall(base64.b64encode(script.encode()) + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                got = self.channel.recv(1 << 16)
                if not got:
                    raise OSError("the machine is gone")
                answer += got
        except OSError as error:
            self.channel.close()
            self.channel = None
            raise AssertionError(f"machine {self.name}: {script!r}: {error}\n{self.console()}") from None
        code, _, text = answer.decode().partition(" ")
        output = base64.b64decode(text).decode(errors="replace")
        if check and code != "0":
            raise AssertionError(f"machine {self.name}: {script!r}: exit {code}\n{output}\n{self.console()}")
        return output if check else (int(code), output)

    def qmp(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.settimeout(20)
            qmp.connect(f"{self.directory}/qmp.sock")
            stream = qmp.makefile("rw")
            stream.readline()
            for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                stream.readline()

    def press_ctrl_alt_del(self):
        self.qmp("send-key", keys=[{"type": "qcode", "data": key} for key in ("ctrl", "alt", "delete")])

    def wait_off(self, seconds=60):
        try:
            self.process.wait(timeout=seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"machine {self.name} is still on after {seconds} s\n{self.console()}") from None

    def cut_power(self):
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.channel:
            self.channel.close()
            self.channel = None

    # knarr in the machine, from outside
    @property
    def kubeconfig(self):
        return f"{self.directory}/kubeconfig"

    def fetch_kubeconfig(self, path="/var/lib/knarr/kubeconfig"):
        code, text = self.run(f"cat {path}", check=False)
        if code != 0 or "client-key-data" not in text:
            return False
        text = text.replace("https://127.0.0.1:6443", f"https://127.0.0.1:{self.api_port}")
        with open(os.open(self.kubeconfig, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return True

    def kubectl(self, *arguments, check=True, input=None, seconds=60):
        result = subprocess.run([kubectl_path(), "--kubeconfig", self.kubeconfig, "--cache-dir", self.directory + "/cache", "--request-timeout=20s", *arguments],
                                capture_output=True, text=True, input=input, timeout=seconds * PATIENCE)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: exit {result.returncode}\n{result.stdout}{result.stderr}\n{self.console()}")
        return result.stdout if check else result

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def wait_ready(self, path="/var/lib/knarr/kubeconfig", node=None, seconds=90):
        """Until the node is Ready; prints once what it took since power-on."""
        wait_until(f"machine {self.name}: kubeconfig", lambda: self.fetch_kubeconfig(path), seconds)
        def ready():
            if not self.alive():
                raise AssertionError(f"machine {self.name} ended\n{self.console()}")
            found = self.kubectl("get", "node", node or self.name, "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}', check=False)
            return found.stdout == "True"
        try:
            wait_until(f"machine {self.name}: node Ready", ready, seconds)
        except AssertionError as error:
            journal = self.run("journalctl -u knarr --no-pager 2>/dev/null | tail -n 40", check=False)[1] if self.alive() else ""
            raise AssertionError(f"{error}\n{journal}{self.console()}") from None
        if self.told == self.boots:
            return
        self.told = self.boots
        up = float(self.run("cat /proc/uptime").split()[0])
        print(f"   {self.name}: boot {self.boots}: Ready {time.monotonic() - self.started:.1f} s after power-on (kernel's clock {up:.1f} s)", file=sys.stderr, flush=True)

    def wait_pod(self, name, condition, seconds=60, namespace="default"):
        def there():
            result = self.kubectl("get", "pod", name, "-n", namespace, "-o", "json", check=False)
            pod = json.loads(result.stdout) if result.returncode == 0 else None
            return pod if pod and condition(pod) else None
        try:
            return wait_until(f"pod {name}", there, seconds)
        except AssertionError as error:
            seen = self.kubectl("describe", "pod", name, "-n", namespace, check=False)
            raise AssertionError(f"{error}\n{seen.stdout}{seen.stderr}\n{self.console()}") from None

    def import_image(self, data="/var/lib/knarr"):
        self.run(f"knarr image import --data-dir {data} /lab/busybox.tar")


def running(pod):
    return pod["status"].get("phase") == "Running" and all(c.get("ready") for c in pod["status"].get("containerStatuses", []))


def terminated(pod):
    """The state of the first container, when it has ended."""
    for status in pod["status"].get("containerStatuses", []):
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
        if ended:
            return ended
    return None


class LabTest(unittest.TestCase):
    """A test case with a directory for its machines; a failing test shows its own machines' consoles."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("apt-get"):
            raise unittest.SkipTest("the machines are made from Debian packages: no apt-get here")
        cls.directory = tempfile.mkdtemp(prefix="knarr-vm-")
        cls.machines = []

    @classmethod
    def machine(cls, **options):
        if "initrd" not in options:
            options["initrd"] = initramfs(f"{cls.directory}/initramfs.cpio")
        made = Machine(cls.directory, **options)
        cls.machines.append(made)
        return made

    @classmethod
    def tearDownClass(cls):
        for machine in cls.machines:
            machine.cut_power()
        shutil.rmtree(cls.directory, ignore_errors=True)
