"""knarr under systemd: packaging/knarr.service in a Debian that systemd boots."""
import os
import time

from disk_log import copy_sparse
from lab import *  # noqa: F403

AGENT_UNIT = b"""[Unit]
DefaultDependencies=no
[Service]
ExecStart=/lab/agent
KillMode=process
[Install]
WantedBy=sysinit.target
"""


def systemd_machine(test, more=()):
    """A Debian with knarr and its unit; `more`: further files {path there: path here}."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("making the disk of the systemd machine needs root")
    disk = f"{test.directory}/root.img"
    copy_sparse(build("--systemd") + "/debian.ext4", disk)
    files = {name if not name.startswith("bin/") else "usr/local/" + name: path for name, path in binary_files().items()}
    files.update({**dict(more), "etc/systemd/system/knarr.service": os.path.join(ROOT, "packaging/knarr.service"), "lab/agent": os.path.join(HERE, "guest/agent"),
                  "lab/busybox": shutil.which("busybox"), "lab/busybox.tar": busybox_archive(), "etc/systemd/system/lab-agent.service": AGENT_UNIT,
                  "etc/hostname": b"node-a\n"})
    # Libraries of this machine beside Debian's: those of the same Debian release fit.
    files = {("usr/" + name if name.startswith(("lib/", "lib64/")) else name): path for name, path in files.items()}
    initrd = initramfs(f"{test.directory}/initramfs.cpio", {"lab/overlay.tar": overlay(files)})
    return test.machine(initrd=initrd, disk=disk, disk_is_root=True, throw_away=True, memory=1024,
                        environment={"systemd.wants": "lab-agent.service", "SYSTEMD_COLORS": "0"})


class Systemd(LabTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.vm = systemd_machine(cls)
        cls.vm.start()
        cls.vm.run("systemctl enable --now knarr", seconds=180)
        cls.vm.wait_ready(seconds=40)
        cls.vm.import_image()

    def main_pid(self):
        return self.vm.run("systemctl show -p MainPID --value knarr").strip()

    def test_a_started_is_told_when_the_api_serves(self):
        self.assertEqual(self.vm.run("systemctl show -p Type --value knarr").strip(), "notify")
        self.vm.run("systemctl restart knarr && knarr status", seconds=120)  # no waiting in between

    def test_b_a_restart_keeps_containers(self):
        self.vm.kubectl("apply", "-f", "-", input=busybox_pod("keeper", "trap 'exit 0' TERM; while :; do sleep 1; done"))
        before = self.vm.wait_pod("keeper", running)["status"]["containerStatuses"][0]
        pid = self.main_pid()
        self.vm.run("systemctl restart knarr", seconds=120)
        self.assertNotEqual(self.main_pid(), pid)
        self.vm.wait_ready()
        after = self.vm.wait_pod("keeper", running)["status"]["containerStatuses"][0]
        self.assertEqual((after["containerID"], after["restartCount"]), (before["containerID"], 0))
        self.assertEqual(after["state"], before["state"])

    def test_c_the_unit_owns_the_server_and_the_agent_only(self):
        tree = self.vm.run("systemctl show -p ControlGroup --value knarr; cat /sys/fs/cgroup/system.slice/knarr.service/cgroup.procs | while read p; do tr '\\0' ' ' </proc/$p/cmdline; echo; done")
        self.assertIn("knarr server", tree)
        self.assertIn("knarr agent", tree)
        self.assertNotIn("shim", tree)
        shims = self.vm.run("for p in $(cat /sys/fs/cgroup/knarr/cgroup.procs); do tr '\\0' ' ' </proc/$p/cmdline; echo; done")
        self.assertIn("default/keeper", shims)
        self.assertNotIn("left-over", self.vm.run("journalctl -u knarr --no-pager"))

    def test_d_a_killed_server_is_started_again(self):
        before = self.vm.wait_pod("keeper", running)["status"]["containerStatuses"][0]["containerID"]
        pid = self.main_pid()
        self.vm.run(f"kill -KILL {pid}")
        wait_until("a new server", lambda: self.main_pid() not in ("0", pid))
        self.vm.wait_ready()
        self.assertEqual(self.vm.wait_pod("keeper", running)["status"]["containerStatuses"][0]["containerID"], before)

    def test_e_stop_leaves_pods_and_start_adopts_them(self):
        before = self.vm.wait_pod("keeper", running)["status"]["containerStatuses"][0]["containerID"]
        self.vm.run("systemctl stop knarr", seconds=120)
        self.assertIn("knarr", self.vm.run("cat /proc/$(head -n 1 /sys/fs/cgroup/knarr/cgroup.procs)/comm"))
        self.vm.run("systemctl start knarr", seconds=120)
        self.vm.wait_ready()
        self.assertEqual(self.vm.wait_pod("keeper", running)["status"]["containerStatuses"][0]["containerID"], before)

    def test_f_shutdown_ends_pods_gracefully(self):
        pod = busybox_pod("polite", "trap 'echo farewell >/out/farewell; sync; exit 0' TERM; while :; do sleep 1; done",
                          more="volumes: [{name: out, hostPath: {path: /root/out}}]", container="volumeMounts: [{name: out, mountPath: /out}]")
        self.vm.kubectl("apply", "-f", "-", input=pod.replace("terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 20"))
        self.vm.wait_pod("polite", running)
        # What is said at the end goes to the console, before the disk goes.
        self.vm.run("mkdir -p /run/systemd/system/knarr.service.d; printf '[Service]\\nExecStopPost=/bin/sh -c \"cat /root/out/farewell >/dev/console\"\\n'"
                    " >/run/systemd/system/knarr.service.d/lab.conf; systemctl daemon-reload")
        begun = time.monotonic()
        self.vm.run("systemctl poweroff", check=False)
        self.vm.wait_off(120)
        self.assertIn("farewell", self.vm.console(400))
        print(f"   power off took {time.monotonic() - begun:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
