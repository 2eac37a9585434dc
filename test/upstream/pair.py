"""Upstream's kube-apiserver and knarr side by side, each in a directory of its own: what compare.py and kubectl.py start."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Pair:
    """`with Pair(knarr) as pair:` both servers are ready; afterwards they are gone with all they wrote."""

    def __init__(self, knarr=None, *options):
        self.knarr = knarr or os.path.join(ROOT, "build/release/knarr")
        self.options = options
        self.own, self.pids = None, []

    def __enter__(self):
        self._work = tempfile.TemporaryDirectory(prefix="knarr-compare-")
        self.work = self._work.name
        self.up_port, self.kn_port = free_port(), free_port()
        self.up_dir, self.kn_dir = os.path.join(self.work, "upstream"), os.path.join(self.work, "knarr")
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        self.own = subprocess.Popen([self.knarr, "server", "--disable-agent", "--data-dir", self.kn_dir, "--listen",
                                     f"127.0.0.1:{self.kn_port}", "--service-cidr", "10.96.0.0/16", "--cluster-cidr", "10.97.0.0/16",
                                     *self.options])
        subprocess.run([os.path.join(HERE, "apiserver.sh"), self.up_dir, str(self.up_port)], check=True, stdin=subprocess.DEVNULL,
                       env={**os.environ, "DISABLED_PLUGINS": ""})
        self.pids = [int(open(os.path.join(self.up_dir, name)).read()) for name in ("apiserver.pid", "kine.pid")]
        while not os.path.exists(os.path.join(self.kn_dir, "kubeconfig")):
            if self.own.poll() is not None:
                sys.exit("knarr did not start")
            time.sleep(0.05)

    def __exit__(self, *_):
        if self.own:
            self.own.terminate()
            self.own.wait()
        for pid in self.pids:  # the API server first: it hangs when its kine goes before it
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                try:
                    os.kill(pid, 0)
                except ProcessLookupError:
                    break
                time.sleep(0.05)
        self._work.cleanup()


def differences(up, kn, path=""):
    if isinstance(up, dict) and isinstance(kn, dict):
        for key in sorted(set(up) | set(kn)):
            here = f"{path}.{key}"
            if key not in up or key not in kn:
                yield f"{here}: UP {json.dumps(up.get(key))} KN {json.dumps(kn.get(key))}"
            else:
                yield from differences(up[key], kn[key], here)
    elif isinstance(up, list) and isinstance(kn, list) and len(up) == len(kn):
        for i, (a, b) in enumerate(zip(up, kn)):
            yield from differences(a, b, f"{path}[{i}]")
    elif up != kn:
        yield f"{path}: UP {json.dumps(up)} KN {json.dumps(kn)}"
