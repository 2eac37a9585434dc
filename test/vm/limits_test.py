"""cgroup v2 limits on a machine that has all its controllers: what a pod asks for is what the kernel holds it to."""
from lab import *  # noqa: F403

GROUPS = "/sys/fs/cgroup/kubepods"


def pod_yaml(name, command, requests="", limits=""):
    resources = "resources: {" + ", ".join(f"{kind}: {{{what}}}" for kind, what in (("requests", requests), ("limits", limits)) if what) + "}"
    return busybox_pod(name, command, container=resources)


class Limits(LabTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.vm = cls.machine(name="node-a", memory=1024, environment={"KNARR_POD_MAX_PIDS": "64"}).start()
        cls.vm.wait_ready()
        cls.vm.import_image()

    def start(self, name, command, requests="", limits="", condition=running):
        self.vm.kubectl("apply", "-f", "-", input=pod_yaml(name, command, requests, limits))
        self.addCleanup(self.vm.kubectl, "delete", "pod", name, "--grace-period=1", "--wait=true", check=False)
        return self.vm.wait_pod(name, condition)

    def group(self, pod):
        """The pod's group, and its first container's."""
        quality = {"Guaranteed": "", "Burstable": "/burstable", "BestEffort": "/besteffort"}[pod["status"]["qosClass"]]
        group = f"{GROUPS}{quality}/pod{pod['metadata']['uid']}"
        identifier = pod["status"]["containerStatuses"][0]["containerID"].split("//")[1]
        return group, f"{group}/{identifier}"

    def read(self, *paths):
        return self.vm.run("cat " + " ".join(paths)).split("\n")[:-1]

    def test_the_node_says_that_limits_are_enforced_and_holds_pods_to_what_is_allocatable(self):
        node = self.vm.get("node", "node-a")
        condition = next(c for c in node["status"]["conditions"] if c["type"] == "KnarrLimitsEnforced")
        self.assertEqual((condition["status"], condition["reason"]), ("True", "AllAvailable"), condition["message"])
        allocatable = node["status"]["allocatable"]["memory"]
        self.assertTrue(allocatable.endswith("Ki"))
        self.assertEqual(self.read(f"{GROUPS}/memory.max"), [str(int(allocatable[:-2]) * 1024)])
        self.assertIn("resource limits are enforced", self.vm.console(400))
        controllers = self.read(f"{GROUPS}/cgroup.controllers")[0].split()
        for controller in ("cpu", "memory", "pids"):
            self.assertIn(controller, controllers)

    def test_memory_beyond_the_limit_is_OOMKilled(self):
        pod = self.start("greedy", "echo begun; dd if=/dev/zero of=/dev/shm/x bs=1M count=100; echo survived; sleep 100", limits="memory: 32Mi, cpu: 1", condition=terminated)
        ended = terminated(pod)
        self.assertEqual((ended["reason"], ended["exitCode"]), ("OOMKilled", 137))
        self.assertEqual(pod["status"]["phase"], "Failed")
        self.assertEqual(pod["status"]["qosClass"], "Guaranteed")
        self.assertEqual(self.vm.kubectl("logs", "greedy").strip(), "begun")

    def test_a_child_beyond_the_limit_takes_the_whole_container_with_it(self):
        pod = self.start("parent", "sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=100' & wait; sleep 100", limits="memory: 24Mi", condition=terminated)
        self.assertEqual((terminated(pod)["reason"], terminated(pod)["exitCode"]), ("OOMKilled", 137))

    def test_what_reaches_its_limit_without_going_beyond_runs_on(self):
        pod = self.start("modest", "dd if=/dev/zero of=/dev/shm/x bs=1M count=10; trap 'exit 0' TERM; while :; do sleep 1; done", limits="memory: 64Mi")
        group, container = self.group(pod)
        self.assertEqual(self.read(f"{container}/memory.max", f"{container}/memory.oom.group", f"{group}/memory.max"), [str(64 << 20), "1", str(64 << 20)])
        self.assertIn("oom_kill 0", self.read(f"{container}/memory.events"))

    def test_an_oom_restart_counts_and_tells_why(self):
        manifest = pod_yaml("again", "dd if=/dev/zero of=/dev/shm/x bs=1M count=100; sleep 100", limits="memory: 24Mi").replace("Never", "Always")
        self.vm.kubectl("apply", "-f", "-", input=manifest)
        self.addCleanup(self.vm.kubectl, "delete", "pod", "again", "--grace-period=0", "--force", check=False)
        pod = self.vm.wait_pod("again", lambda p: any(c["restartCount"] > 0 for c in p["status"].get("containerStatuses", [])))
        self.assertEqual(terminated(pod)["reason"], "OOMKilled")

    def test_cpu_limit_throttles(self):
        pod = self.start("busy", "while :; do :; done", limits="cpu: 200m, memory: 64Mi")
        _, container = self.group(pod)
        self.assertEqual(self.read(f"{container}/cpu.max"), ["20000 100000"])
        script = f"grep usage_usec {container}/cpu.stat; cut -d' ' -f1 /proc/uptime; sleep 4; grep usage_usec {container}/cpu.stat; cut -d' ' -f1 /proc/uptime; grep nr_throttled {container}/cpu.stat"
        first, begun, second, ended, throttled = self.vm.run(script).splitlines()
        used = (int(second.split()[1]) - int(first.split()[1])) / 1e6 / (float(ended) - float(begun))
        self.assertLess(used, 0.3)
        self.assertGreater(int(throttled.split()[1]), 0)

    def test_cpu_weight_follows_requests(self):
        small = self.start("small", "while :; do :; done", requests="cpu: 50m")
        large = self.start("large", "while :; do :; done", requests="cpu: 400m")
        groups = [self.group(pod)[0] for pod in (small, large)]
        read = "; ".join(f"grep usage_usec {group}/cpu.stat" for group in groups)
        usage = [int(line.split()[1]) for line in self.vm.run(f"{read}; sleep 5; {read}").splitlines()]
        ratio = (usage[3] - usage[1]) / max(usage[2] - usage[0], 1)
        self.assertGreater(ratio, 2, f"{usage}")
        weights = [int(w) for w in self.read(*(f"{group}/cpu.weight" for group in groups))]
        self.assertGreater(weights[1], weights[0] * 2)

    def test_classes_of_quality_have_their_groups(self):
        forever = "trap 'exit 0' TERM; while :; do sleep 1; done"
        best_effort = self.start("q-besteffort", forever)
        burstable = self.start("q-burstable", forever, requests="cpu: 300m, memory: 16Mi")
        guaranteed = self.start("q-guaranteed", forever, limits="cpu: 100m, memory: 32Mi")
        for pod in (best_effort, burstable, guaranteed):
            group, container = self.group(pod)
            self.assertTrue(self.read(f"{container}/cgroup.procs"), pod["metadata"]["name"])
        self.assertEqual(self.read(f"{GROUPS}/besteffort/cpu.weight"), ["1"])
        weight = int(self.read(f"{GROUPS}/burstable/cpu.weight")[0])
        self.assertEqual(int(self.read(f"{self.group(burstable)[0]}/cpu.weight")[0]), weight)  # the only one of its class
        self.assertEqual(self.read(f"{self.group(guaranteed)[0]}/cpu.max", f"{self.group(guaranteed)[0]}/memory.max"), ["10000 100000", str(32 << 20)])
        scores = [int(self.vm.kubectl("exec", f"q-{name}", "--", "cat", "/proc/1/oom_score_adj")) for name in ("guaranteed", "burstable", "besteffort")]
        self.assertEqual((scores[0], scores[2]), (-997, 1000))
        self.assertTrue(2 < scores[1] < 1000)
        # The burstable class weighs what its pods asked for together.
        second = self.start("q-burstable2", forever, requests="cpu: 300m")
        wait_until("the class weighs more", lambda: int(self.read(f"{GROUPS}/burstable/cpu.weight")[0]) > weight)
        self.vm.kubectl("delete", "pod", "q-burstable2", "--grace-period=1")
        wait_until("the class weighs what it did", lambda: int(self.read(f"{GROUPS}/burstable/cpu.weight")[0]) == weight)
        self.assertEqual(self.vm.run(f"[ -e {self.group(second)[0]} ]", check=False)[0], 1)

    def test_a_pod_has_no_more_processes_than_it_may(self):
        pod = self.start("forks", "sh -c 'while :; do sleep 60 & done'; trap 'exit 0' TERM; while :; do :; done")
        group, container = self.group(pod)
        self.assertEqual(self.read(f"{group}/pids.max"), ["64"])
        # Before Linux 6.11 it is counted where the fork was tried, since then where the limit stands.
        wait_until("a fork was refused", lambda: set(line.split()[1] for line in self.read(f"{group}/pids.events", f"{container}/pids.events")) != {"0"})
        self.assertLessEqual(int(self.vm.run(f"cat {group}/pids.peak 2>/dev/null || cat {group}/pids.current").strip()), 64)

    def test_pods_together_cannot_take_the_node_with_them(self):
        pod = self.start("hungry", "awk 'BEGIN { s = 1; while (1) s = s s }'; sleep 100", condition=terminated)
        self.assertEqual((terminated(pod)["reason"], terminated(pod)["exitCode"]), ("OOMKilled", 137))
        node = self.vm.get("node", "node-a")
        self.assertEqual(next(c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"), "True")
        self.assertNotIn("the agent ended", self.vm.console(400))


if __name__ == "__main__":
    unittest.main(verbosity=2)
