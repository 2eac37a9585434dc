"""Several machines in one network: a server, and two workers that join with its token."""
import random

from lab import *  # noqa: F403

NETWORK = "192.168.77"
FOREVER = "echo up on $(hostname); trap 'exit 0' TERM; while :; do sleep 1; done"


class Nodes(LabTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        initrd = initramfs(f"{cls.directory}/initramfs.cpio")
        cls.lan = f"239.7.{random.randrange(256)}.{random.randrange(1, 255)}:{free_port()}"
        cls.server = cls.machine(name="server", initrd=initrd, lan=cls.lan, links=("10.0.2.15/24", f"{NETWORK}.1/24"), memory=768,
                                 environment={"KNARR_NODE_IP": f"{NETWORK}.1", "KNARR_CLUSTER_CIDR": "10.42.0.0/16"}).start()
        cls.server.wait_ready()
        token = cls.server.run("cat /var/lib/knarr/token").strip()
        cls.workers = []
        for number in (2, 3):
            name = f"worker-{number}"
            disk = make_disk(f"{cls.directory}/{name}.img")
            worker = cls.machine(name=name, initrd=initrd, lan=cls.lan, links=(f"{NETWORK}.{number}/24",), disk=disk, run="agent",
                                 environment={"KNARR_NODE_IP": f"{NETWORK}.{number}", "KNARR_SERVER": f"https://{NETWORK}.1:6443", "KNARR_TOKEN": token,
                                              "KNARR_CLUSTER_CIDR": "10.42.0.0/16"})
            cls.workers.append(worker.start())
        for worker in cls.workers:
            cls.wait_node(worker)
        cls.server.import_image()
        for worker in cls.workers:
            worker.import_image("/var/lib/knarr/data")

    @classmethod
    def wait_node(cls, worker, seconds=90):
        query = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        try:
            wait_until(f"node {worker.name} is Ready", lambda: cls.server.kubectl("get", "node", worker.name, "-o", query, check=False).stdout == "True", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{worker.console()}{cls.server.console()}") from None
        print(f"   {worker.name}: boot {worker.boots}: Ready {time.monotonic() - worker.started:.1f} s after power-on", file=sys.stderr, flush=True)

    def on(self, name, node, **replaced):
        pod = busybox_pod(name, FOREVER, more=f"nodeSelector: {{kubernetes.io/hostname: {node}}}")
        for old, new in replaced.items():
            pod = pod.replace(old, new)
        self.server.kubectl("apply", "-f", "-", input=pod)
        return self.server.wait_pod(name, running, 90)

    def test_a_pods_run_on_each_machine_and_speak_through_the_server(self):
        addresses = set()
        for node in ("server", "worker-2", "worker-3"):
            name = f"on-{node}"
            pod = self.on(name, node)
            self.assertEqual(pod["spec"]["nodeName"], node)
            addresses.add(pod["status"]["podIP"])
            self.assertEqual(self.server.kubectl("logs", name).strip(), f"up on {name}")
            self.assertEqual(self.server.kubectl("exec", name, "--", "hostname").strip(), name)
        self.assertEqual(len(addresses), 3)
        cidrs = {node["spec"]["podCIDR"] for node in self.server.get("nodes")["items"]}
        self.assertEqual(len(cidrs), 3)

    def test_b_pods_are_spread_by_the_scheduler(self):
        for number in range(3):  # each machine has one CPU: no more than two fit on one
            self.server.kubectl("apply", "-f", "-", input=busybox_pod(f"spread-{number}", FOREVER, container="resources: {requests: {cpu: 400m}}"))
        nodes = {self.server.wait_pod(f"spread-{number}", running, 90)["spec"]["nodeName"] for number in range(3)}
        self.assertGreaterEqual(len(nodes), 2)
        for number in range(3):
            self.server.kubectl("delete", "pod", f"spread-{number}", "--wait=false")

    def test_c_pods_of_different_machines_reach_each_other(self):
        first = self.on("left", "worker-2")
        self.on("right", "worker-3")
        result = self.server.kubectl("exec", "right", "--", "ping", "-c", "1", "-W", "5", first["status"]["podIP"], check=False)
        if result.returncode != 0 and "overlay" not in self.server.run("ip -d link | grep -q vxlan && echo overlay", check=False)[1]:
            self.skipTest("this knarr joins no nodes' networks yet (no VXLAN)")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_d_a_workers_reboot_brings_its_pods_back(self):
        worker = self.workers[0]
        self.on("survivor", worker.name, Never="Always")
        boot = self.server.get("node", worker.name)["status"]["nodeInfo"]["bootID"]
        worker.cut_power()
        worker.start()
        wait_until("the node tells of its new boot", lambda: self.server.get("node", worker.name)["status"]["nodeInfo"]["bootID"] != boot, 90)
        self.wait_node(worker)
        again = self.server.get("node", worker.name)["status"]["nodeInfo"]["bootID"]
        seen = lambda: self.server.kubectl("exec", "survivor", "--", "cat", "/proc/sys/kernel/random/boot_id", check=False).stdout.strip()
        wait_until("the pod runs again", lambda: seen() == again, 90)
        self.server.wait_pod("survivor", lambda pod: running(pod) and pod["status"]["containerStatuses"][0]["restartCount"] >= 1)
        self.assertIn("up on survivor", self.server.kubectl("logs", "survivor"))

    def test_e_an_orderly_restart_of_a_worker(self):
        worker = self.workers[1]
        self.on("returner", worker.name, Never="Always")
        boot = self.server.get("node", worker.name)["status"]["nodeInfo"]["bootID"]
        worker.run("kill -s 39 1", check=False)  # SIGRTMIN+5; QEMU ends instead of restarting
        worker.wait_off()
        self.assertIn("reboot: Restarting system", worker.console(100))
        worker.cut_power()
        worker.start()
        wait_until("the node tells of its new boot", lambda: self.server.get("node", worker.name)["status"]["nodeInfo"]["bootID"] != boot, 90)
        self.wait_node(worker)
        # What the API tells of the pod is of the last boot until the agent has looked; an exec sees what is.
        wait_until("the pod runs again", lambda: self.server.kubectl("exec", "returner", "--", "hostname", check=False).stdout.strip() == "returner", 90)
        self.server.wait_pod("returner", lambda pod: running(pod) and pod["status"]["containerStatuses"][0]["restartCount"] >= 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
