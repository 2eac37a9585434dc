#!/usr/bin/env python3
"""Cuts a machine's power in the middle of writes, again and again, and looks at what is left: power_cut.py [--rounds 20] [--seed N]

Clients outside the machine create, replace and delete objects and remember each answer. Then the machine is killed, and its disk is made
anew from what it had flushed and a random part (whole, torn, or none) of each write that it had not. The next boot must have every
answered write, no revision that goes back, a database without a fault, and the pod running again."""
import argparse
import base64
import glob
import http.client
import random
import re
import sqlite3
import ssl
import threading

from disk_log import copy_sparse, disk_after_power_cut
from lab import *  # noqa: F403

DATA = "/var/lib/knarr/data"
PATH = "/api/v1/namespaces/default/configmaps"
GONE = None


class Client:
    """A keep-alive connection to the machine's API with the admin's certificate."""

    def __init__(self, machine):
        with open(machine.kubeconfig) as file:
            text = file.read()
        context = ssl.create_default_context(cadata=base64.b64decode(re.search(r"certificate-authority-data: (\S+)", text)[1]).decode())
        with tempfile.NamedTemporaryFile("wb", suffix=".pem") as pem:
            for key in ("client-certificate-data", "client-key-data"):
                pem.write(base64.b64decode(re.search(rf"{key}: (\S+)", text)[1]))
            pem.flush()
            context.load_cert_chain(pem.name)
        self.connection = http.client.HTTPSConnection("127.0.0.1", machine.api_port, context=context, timeout=20)

    def request(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())


class Writer(threading.Thread):
    """Changes its own objects until the machine is gone. `known` is what was answered, `open` the one change that was not."""

    def __init__(self, number, known):
        super().__init__()
        self.number, self.known, self.open, self.answered, self.revision, self.error = number, known, None, 0, 0, None
        self.machine, self.stopping = None, False

    def run(self):
        chance = random.Random(f"{self.number} {time.monotonic()}")
        try:
            client = Client(self.machine)
            while not self.stopping:
                self.change(client, chance)
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the power went
        except Exception as error:  # told by the main thread
            self.error = error

    def change(self, client, chance):
        name = f"w{self.number}-{chance.randrange(12)}"
        have = self.known.get(name, GONE)
        value = GONE if have is not GONE and chance.random() < 0.2 else f"{chance.getrandbits(64):x}" * chance.choice((1, 1, 1, 200))
        self.open = (name, value)
        if value is GONE:
            status, answer = client.request("DELETE", f"{PATH}/{name}")
        else:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}
            status, answer = client.request("POST", PATH, body) if have is GONE else client.request("PUT", f"{PATH}/{name}", body)
        if status not in (200, 201):
            raise AssertionError(f"{name}: {status} {answer}")
        self.revision = max(self.revision, int(answer.get("metadata", {}).get("resourceVersion") or 0))
        self.known[name] = value
        self.open = None
        self.answered += 1


def check_database(disk, directory, may_be_missing=False):
    """What SQLite says of the database on a disk, after the file system's own journal was replayed in a copy; None: it is well."""
    copy = f"{directory}/check.img"
    copy_sparse(disk, copy)
    subprocess.run(["e2fsck", "-p", "-f", copy], capture_output=True)
    fsck = subprocess.run(["e2fsck", "-n", "-f", copy], capture_output=True, text=True)
    if fsck.returncode != 0:
        return f"the file system: {fsck.stdout}"
    target = f"{directory}/db"
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    subprocess.run(["debugfs", "-R", f"rdump /data/db {target}", copy], check=True, capture_output=True)
    os.unlink(copy)
    found = [path for path in glob.glob(f"{target}/db/*") if not path.endswith(("-wal", "-shm"))]
    if not found:
        return None if may_be_missing else "there is no database"
    for path in found:
        with open(path, "rb") as file:
            if not file.read(16).startswith(b"SQLite format 3"):  # a database that had just been made
                continue
        with sqlite3.connect(path) as database:
            result = database.execute("PRAGMA integrity_check").fetchall()
        if result != [("ok",)]:
            return f"{path}: {result[:5]}"
    return None


def verify(machine, writers, revision):
    """Compares the API's objects with what was answered; answers the list's revision."""
    status, answer = Client(machine).request("GET", PATH)
    assert status == 200, answer
    have = {item["metadata"]["name"]: item for item in answer["items"]}
    now = int(answer["metadata"]["resourceVersion"])
    if now < revision:
        raise AssertionError(f"the revision went back from {revision} to {now}")
    for writer in writers:
        names = set(writer.known) | {name for name in have if name.startswith(f"w{writer.number}-")}
        for name in sorted(names):
            found = have[name]["data"]["value"] if name in have else GONE
            allowed = {writer.known.get(name, GONE)}
            if writer.open and writer.open[0] == name:
                allowed.add(writer.open[1])  # not answered: it may or may not be
            if found not in allowed:
                raise AssertionError(f"{name} is {str(found)[:20]}, answered was {str(writer.known.get(name, GONE))[:20]}; not answered: {str(writer.open)[:40]}")
            writer.known[name] = found
        writer.open = None
    return now


def run(rounds, seed, writers_count=4, keep=False):
    chance = random.Random(seed)
    directory = tempfile.mkdtemp(prefix="knarr-power-")
    base, running_disk, log = (f"{directory}/{name}" for name in ("base.img", "running.img", "writes.log"))
    make_disk(base)
    initrd = initramfs(f"{directory}/initramfs.cpio")
    known = [{} for _ in range(writers_count)]
    writers, revision, total = [], 0, 0
    machine = Machine(directory, initrd=initrd, disk=running_disk, write_log=log, environment={"KNARR_NODE_NAME": "node-a"})
    try:
        for number in range(rounds + 1):
            copy_sparse(base, running_disk)
            machine.start()
            machine.wait_ready(f"{DATA}/kubeconfig", node="node-a")
            revision = verify(machine, writers, max([revision, *(w.revision for w in writers)]))
            if number == 0:
                machine.import_image(DATA)
                machine.kubectl("apply", "-f", "-", input=busybox_pod("steady", "trap 'exit 0' TERM; while :; do sleep 1; done").replace("Never", "Always"))
            # Each boot is one more restart of its container, and it is this boot's kernel that runs it.
            machine.wait_pod("steady", lambda pod: running(pod) and pod["status"]["containerStatuses"][0]["restartCount"] >= number)
            boot = machine.run("cat /proc/sys/kernel/random/boot_id").strip()
            assert machine.kubectl("exec", "steady", "--", "cat", "/proc/sys/kernel/random/boot_id").strip() == boot
            # Writes that nobody flushes: some of them are always on their way when the power goes.
            machine.run("echo 10 >/proc/sys/vm/dirty_writeback_centisecs; echo 10 >/proc/sys/vm/dirty_expire_centisecs; (while :; do "
                        "dd if=/dev/urandom of=/var/lib/knarr/noise bs=16k count=32 conv=notrunc; usleep 100000; done) >/dev/null 2>&1 </dev/null &")
            if number == rounds:
                break
            writers = [Writer(i, known[i]) for i in range(writers_count)]
            for writer in writers:
                writer.machine = machine
                writer.start()
            wait_until("some answers", lambda: sum(writer.answered for writer in writers) > 30 or any(writer.error for writer in writers))
            time.sleep(chance.uniform(0, 2.0))
            machine.cut_power()
            for writer in writers:
                writer.stopping = True
                writer.join(timeout=40)
                if writer.error:
                    raise writer.error
            answered = sum(writer.answered for writer in writers)
            total += answered
            # Cuts anywhere in what was written: nobody can say which answers they would have left, but all must be whole.
            for _ in range(2):
                disk_after_power_cut(base, log, f"{directory}/somewhere.img", chance, somewhere=True)
                problem = check_database(f"{directory}/somewhere.img", directory, may_be_missing=number == 0)
                if problem:
                    raise AssertionError(f"after a cut somewhere: {problem}")
            writes, lost = disk_after_power_cut(base, log, f"{directory}/next.img", chance)
            os.rename(f"{directory}/next.img", base)
            problem = check_database(base, directory)
            if problem:
                raise AssertionError(problem)
            print(f"round {number + 1}: {answered} answered, {writes} disk writes, {lost} of them not flushed; revision {revision}", flush=True)
        machine.cut_power()
        print(f"{rounds} power cuts, {total} answered writes, none lost (seed {seed})", flush=True)
        return total
    except BaseException:
        print(f"seed {seed}\n{machine.console(80)}", file=sys.stderr)
        raise
    finally:
        machine.cut_power()
        for writer in writers:
            writer.stopping = True
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--keep", action="store_true", help="leave the disks where they are")
    options = parser.parse_args()
    begun = time.monotonic()
    run(options.rounds, options.seed, keep=options.keep)
    print(f"{time.monotonic() - begun:.0f} s")
