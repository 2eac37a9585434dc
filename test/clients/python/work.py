"""What scripts do with the official Python client: typed and dynamic calls, watches, exec, streams, patches, errors."""
import threading

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

NAMESPACE = "py"
IMAGE = "knarr.local/busybox:1"

config.load_kube_config()
core = client.CoreV1Api()


def expect(status, reason, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except ApiException as error:
        assert error.status == status and reason in error.body, (error.status, error.body)
        return
    raise AssertionError(f"expected {status} {reason}")


info = client.VersionApi().get_code()
assert (info.major, info.minor) == ("1", "36"), info
core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
expect(409, "AlreadyExists", core.create_namespace, client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
expect(404, "NotFound", core.read_namespaced_config_map, "none", NAMESPACE)
expect(422, "Invalid", core.create_namespaced_config_map, NAMESPACE,
       client.V1ConfigMap(metadata=client.V1ObjectMeta(name="Bad Name")))

# create, optimistic concurrency, patches of each type, lists by page and by selector
for i in range(25):
    core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name=f"c{i:02}", labels={"parity": str(i % 2)}), data={"i": str(i)}))
stale = core.read_namespaced_config_map("c00", NAMESPACE)
core.patch_namespaced_config_map("c00", NAMESPACE, {"data": {"more": "yes"}})
stale.data["i"] = "lost"
expect(409, "Conflict", core.replace_namespaced_config_map, "c00", NAMESPACE, stale)
core.patch_namespaced_config_map("c00", NAMESPACE, [{"op": "remove", "path": "/data/more"}])
assert core.read_namespaced_config_map("c00", NAMESPACE).data == {"i": "0"}
names, token = [], None
while True:
    page = core.list_namespaced_config_map(NAMESPACE, limit=10, _continue=token)
    names += [item.metadata.name for item in page.items]
    token = page.metadata._continue
    if not token:
        break
assert [name for name in names if name.startswith("c")] == [f"c{i:02}" for i in range(25)], names
assert len(core.list_namespaced_config_map(NAMESPACE, label_selector="parity=1").items) == 12

# a watch from a list's revision hears all and in order
start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
heard, watcher, ready = [], watch.Watch(), threading.Event()


def listen():
    ready.set()
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, resource_version=start, timeout_seconds=20):
        heard.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watcher.stop()


listener = threading.Thread(target=listen)
listener.start()
ready.wait()
core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="w")))
core.patch_namespaced_config_map("w", NAMESPACE, {"data": {"a": "b"}})
core.delete_namespaced_config_map("w", NAMESPACE)
listener.join(30)
assert heard == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")], heard

# secrets are base64 in the object, bytes as text in string_data
core.create_namespaced_secret(NAMESPACE, client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"k": "v"}))
assert core.read_namespaced_secret("s", NAMESPACE).data == {"k": "dg=="}

# a pod: from a dictionary, watched until it runs; exec over WebSocket, logs, delete
utils.create_from_dict(client.ApiClient(), {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": NAMESPACE},
    "spec": {"terminationGracePeriodSeconds": 1, "containers": [
        {"name": "main", "image": IMAGE, "command": ["sh", "-c", "echo started; trap exit TERM; while :; do sleep 0.1; done"]}]}})
for event in watch.Watch().stream(core.list_namespaced_pod, NAMESPACE, field_selector="metadata.name=p", timeout_seconds=30):
    if event["object"].status.phase == "Running":
        break
else:
    raise AssertionError("the pod never ran")
assert stream(core.connect_get_namespaced_pod_exec, "p", NAMESPACE, command=["echo", "hi"], stdout=True, stderr=True) == "hi\n"
session = stream(core.connect_get_namespaced_pod_exec, "p", NAMESPACE, command=["sh"], stdin=True, stdout=True, stderr=True,
                 _preload_content=False)
session.write_stdin("echo one; echo two >&2; exit 3\n")
session.run_forever(timeout=10)
assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("one\n", "two\n", 3)
assert core.read_namespaced_pod_log("p", NAMESPACE) == "started\n"
usage = core.read_namespaced_pod_status("p", NAMESPACE)
assert usage.status.container_statuses[0].ready
core.delete_namespaced_pod("p", NAMESPACE)

# the dynamic client knows kinds by discovery
found = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")
found.server_side_apply(namespace=NAMESPACE, field_manager="py", body={
    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"by": "apply"}})
assert found.get(name="applied", namespace=NAMESPACE).data.by == "apply"
core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="parity=0")
assert len(core.list_namespaced_config_map(NAMESPACE, label_selector="parity").items) == 12
nodes = core.list_node().items
assert nodes[0].metadata.name == "node-a" and nodes[0].status.node_info.kubelet_version.startswith("v1.36")
allowed = client.AuthorizationV1Api().create_self_subject_access_review(client.V1SelfSubjectAccessReview(
    spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=client.V1ResourceAttributes(verb="create", resource="pods"))))
assert allowed.status.allowed
core.delete_namespace(NAMESPACE)
for event in watch.Watch().stream(core.list_namespace, field_selector=f"metadata.name={NAMESPACE}", timeout_seconds=30):
    if event["type"] == "DELETED":
        break
else:
    raise AssertionError("the namespace was not deleted in time")
apps = client.AppsV1Api()
apps.create_namespaced_deployment("default", client.V1Deployment(
    metadata=client.V1ObjectMeta(name="d"), spec=client.V1DeploymentSpec(
        replicas=2, selector=client.V1LabelSelector(match_labels={"app": "d"}),
        template=client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels={"app": "d"}), spec=client.V1PodSpec(
            containers=[client.V1Container(name="c", image=IMAGE, command=["sleep", "1000"])])))))
assert apps.read_namespaced_deployment_scale("d", "default").spec.replicas == 2
assert apps.patch_namespaced_deployment_scale("d", "default", {"spec": {"replicas": 1}}).spec.replicas == 1
print("done")
