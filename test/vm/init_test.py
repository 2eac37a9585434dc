"""knarr as the first process of a machine: an initramfs whose /init execs it."""
from lab import *  # noqa: F403


class Init(LabTest):
    def boot(self, **options):
        vm = self.machine(**options).start()
        vm.wait_ready()
        return vm

    def test_it_mounts_reaps_runs_pods_and_powers_off_on_ctrl_alt_del(self):
        vm = self.boot(name="node-a")
        vm.import_image()
        with self.subTest("mounts"):
            mounts = {line.split()[1]: line.split()[2] for line in vm.run("cat /proc/1/mounts").splitlines()}
            for path, kind in {"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs", "/dev/mqueue": "mqueue",
                               "/run": "tmpfs", "/sys/fs/cgroup": "cgroup2"}.items():
                self.assertEqual(mounts.get(path), kind, path)
            self.assertIn("UP", vm.run("ip link show lo"))
        with self.subTest("what is orphaned is reaped"):
            self.assertEqual(vm.run("cat /proc/1/comm").strip(), "knarr")
            orphan = vm.run("sh -c '(sleep 0.3 & echo $!)'").strip()
            wait_until("the orphan is gone", lambda: vm.run(f"[ -e /proc/{orphan} ]", check=False)[0] == 1)
            self.assertNotIn(" Z ", vm.run("ps -o pid,stat,comm"))
        with self.subTest("a pod in an initramfs: pivot_root works there"):
            vm.kubectl("apply", "-f", "-", input=busybox_pod("hello", "echo hello; trap 'exit 0' TERM; while :; do sleep 1; done"))
            vm.wait_pod("hello", running)
            self.assertEqual(vm.kubectl("logs", "hello").strip(), "hello")
            self.assertIn("bin", vm.kubectl("exec", "hello", "--", "ls", "/"))
            self.assertNotIn("lab", vm.kubectl("exec", "hello", "--", "ls", "/"))
        with self.subTest("a killed server is started again, and its pod goes on"):
            before = vm.wait_pod("hello", running)["status"]["containerStatuses"][0]["containerID"]
            vm.run("kill -KILL $(pidof knarr | tr ' ' '\\n' | while read p; do grep -qz ^server$ /proc/$p/cmdline && [ $p != 1 ] && echo $p; done)")
            vm.wait_ready()
            self.assertEqual(vm.wait_pod("hello", running)["status"]["containerStatuses"][0]["containerID"], before)
        vm.press_ctrl_alt_del()
        vm.wait_off()
        console = vm.console(200)
        self.assertIn("reboot: Power down", console)
        self.assertNotIn("panic", console)

    def test_sigterm_ends_pods_gracefully_and_unmounts(self):
        disk = make_disk(f"{self.directory}/data.img")
        vm = self.machine(name="node-b", disk=disk, environment={"KNARR_NODE_NAME": "node-b"}).start()
        vm.wait_ready("/var/lib/knarr/data/kubeconfig")
        vm.import_image("/var/lib/knarr/data")
        pod = busybox_pod("polite", "trap 'echo farewell >/dev/kmsg; exit 0' TERM; while :; do sleep 1; done",
                          container="securityContext: {privileged: true}").replace("terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 20")
        vm.kubectl("apply", "-f", "-", input=pod)
        vm.wait_pod("polite", running)
        vm.run("dmesg -n 8; kill -TERM 1")
        vm.wait_off()
        console = vm.console(200)
        self.assertIn("farewell", console)
        self.assertIn("reboot: Power down", console)
        # A file system that was unmounted has nothing to recover.
        state = subprocess.run(["dumpe2fs", "-h", disk], capture_output=True, text=True).stdout
        self.assertRegex(state, r"Filesystem state:\s+clean\n")
        self.assertNotIn("needs_recovery", state)


if __name__ == "__main__":
    unittest.main(verbosity=2)
