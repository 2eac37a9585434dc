"""An operator with controller-runtime: leader election, informers over a restart of the server, owners, finalizers, status."""
import signal
import subprocess

from harness import busybox_pod, wait_until

BUILD = ["operator"]


def source(name, data):
    return (f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{operator.knarr.dev/mirror: 'true'}}}}\n"
            f"data: {{value: '{data}'}}\n")


def run(client):
    cluster = client.cluster
    program = client.built("operator")
    processes = {}

    def start(identity):
        processes[identity] = client.start(program, "--identity", identity)

    def get(kind, name):
        result = cluster.run("get", kind, name, "-o", "jsonpath={.data.value}/{.metadata.annotations.operator\\.knarr\\.dev/done-by}", check=False)
        return result.stdout if result.returncode == 0 else None

    def holder():
        return cluster.run("get", "lease", "knarr-test-operator", "-o", "jsonpath={.spec.holderIdentity}", check=False).stdout

    try:
        start("one")
        wait_until("the first leads", holder)
        first_holder = holder()
        start("two")
        cluster.apply(source("a", 1))
        wait_until("a is mirrored by the leader", lambda: get("configmap", "a-mirror") == "1/one")
        cluster.apply(source("a", 2))
        wait_until("the change is mirrored", lambda: get("configmap", "a-mirror") == "2/one")
        cluster.kubectl("delete", "configmap", "a-mirror")
        wait_until("what is owned comes back", lambda: get("configmap", "a-mirror") == "2/one")
        owner = cluster.get("configmap", "a-mirror")["metadata"]["ownerReferences"][0]
        assert owner["controller"] and owner["blockOwnerDeletion"] and owner["uid"] == cluster.get("configmap", "a")["metadata"]["uid"]
        wait_until("an event", lambda: "mirror was created" in cluster.kubectl("get", "events", "-o", "jsonpath={.items[*].message}"))

        # A readiness gate: the pod is ready when the operator has answered it.
        cluster.apply(busybox_pod("gated", "trap exit TERM; while :; do sleep 0.1; done",
                                  more="readinessGates: [{conditionType: operator.knarr.dev/checked}]"))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/gated", "--timeout=30s")

        # The server is killed: the operator goes on with its watches, or lists anew, and hears of what comes next.
        cluster.stop(signal.SIGKILL)
        cluster.start()
        cluster.apply(source("b", 1))
        wait_until("b is mirrored after the restart", lambda: (get("configmap", "b-mirror") or "").startswith("1/"), 40)

        # The leader dies without a word: the other takes over when the lease has run out.
        leader = get("configmap", "b-mirror").split("/")[1]
        other = "two" if leader == "one" else "one"
        if processes[other].poll() is not None:  # it may have ended with the lease it lost while the server was away
            start(other)
        processes[leader].kill()
        processes[leader].wait()
        cluster.apply(source("c", 1))
        wait_until("the other took over", lambda: get("configmap", "c-mirror") == f"1/{other}", 30)
        assert holder() != first_holder or leader != "one"

        # Deletion waits for the finalizer, and takes along what is outside.
        assert get("configmap", "a-outside") is not None
        cluster.kubectl("delete", "configmap", "a", "--timeout=20s")
        assert get("configmap", "a-outside") is None
        wait_until("the owned mirror is collected", lambda: get("configmap", "a-mirror") is None)
    finally:
        for process in processes.values():
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
