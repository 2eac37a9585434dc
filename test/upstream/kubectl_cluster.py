"""kubectl about nodes (taints, cordons, drains with budgets), certificates and the health of the server."""
import base64
import subprocess
import tempfile

from kubectl_commands import in_namespace, k, manifest, pod, thing


def nodes():
    yield k("create -f -", manifest(*[thing("v1", "Node", name, metadata={"labels": {"kc": "yes", "kubernetes.io/hostname": name}}, spec={"podCIDR": f"10.97.{i}.0/24", "podCIDRs": [f"10.97.{i}.0/24"]})
                                      for i, name in enumerate(("kc-1", "kc-2"))]))
    yield from in_namespace("nodes", _nodes())


def running(name, **spec):
    return pod(name, nodeName="kc-1", terminationGracePeriodSeconds=0, tolerations=[{"operator": "Exists"}], **spec)


def _nodes():
    for line in ["get nodes -l kc", "get node kc-1 -o wide", "describe node kc-1", "taint node kc-1 a=b:NoSchedule", "taint node kc-1 a=b:NoSchedule", "taint node kc-1 a=c:NoSchedule --overwrite", "taint node kc-1 a:NoSchedule-", "taint node kc-1 a-", "taint node kc-1 a=b:None", "taint node kc-1 a=b", "taint node none a=b:NoExecute",
                 "taint node kc-1 'a b=c:NoSchedule'", "taint nodes -l kc=yes x=y:PreferNoSchedule", "taint nodes --all x- --dry-run=server", "taint nodes -l kc=yes x-", "taint node kc-1 a=b:NoSchedule a=b:NoSchedule", "cordon kc-1", "cordon kc-1", "get node kc-1", "uncordon kc-1", "uncordon kc-1", "cordon -l kc=yes --dry-run=server",
                 "cordon none", "cordon", "uncordon -l kc=none", "label node kc-1 x=y", "get nodes --show-labels -l kc"]:
        yield line
    owned = {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "0a7c6a86-0000-4000-8000-000000000001", "controller": True}]}
    yield k("create -f -", manifest(
        running("bare"), running("guarded"), running("local", volumes=[{"name": "e", "emptyDir": {}}]),
        thing("policy/v1", "PodDisruptionBudget", "guard", spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}}),
        thing("policy/v1", "PodDisruptionBudget", "second", spec={"maxUnavailable": 0, "selector": {"matchLabels": {"app": "twice"}}}),
        thing("policy/v1", "PodDisruptionBudget", "third", spec={"maxUnavailable": 0, "selector": {"matchLabels": {"app": "twice"}}}),
        running("twice")))
    for name in ["bare", "guarded", "local", "twice"]:
        yield f"""patch pod {name} --subresource=status -p '{{"status":{{"phase":"Running","conditions":[{{"type":"Ready","status":"True"}}],"podIP":"10.97.0.9"}}}}'"""
    # What the budgets' controller would have written; knarr's own has written the same.
    for name in ["guard", "second", "third"]:
        yield k(f"""-n nodes patch pdb {name} --subresource=status --type=merge -p '{{"status":{{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}}}'""", for_upstream=True)
    yield "wait --for=jsonpath={.status.currentHealthy}=1 pdb/guard --timeout=10s"
    yield "wait --for=jsonpath={.status.observedGeneration}=1 pdb/second pdb/third --timeout=10s"
    yield "get pdb"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction"}
    for name in ["guarded", "twice", "none"]:
        yield k(f"create --raw /api/v1/namespaces/nodes/pods/{name}/eviction -f -", manifest({**eviction, "metadata": {"name": name}}))
    yield k("create --raw /api/v1/namespaces/nodes/pods/bare/eviction -f -", manifest({**eviction, "metadata": {"name": "other"}}))
    yield k("create --raw /api/v1/namespaces/nodes/pods/bare/eviction?dryRun=All -f -", manifest({**eviction, "metadata": {"name": "bare"}}))
    for what in ["kc-1", "kc-1 --force", "kc-1 --force --delete-emptydir-data --dry-run=server", "kc-1 --force --delete-emptydir-data --pod-selector=app=guarded --timeout=2s", "kc-1 --force --delete-emptydir-data --pod-selector=app=twice --timeout=2s", "none", "kc-2 --ignore-daemonsets", "kc-1 --pod-selector=app=none",
                 "kc-1 --force --pod-selector=app=bare", "kc-1 --force --delete-emptydir-data --disable-eviction --timeout=10s --grace-period=0", "-l kc=yes", ""]:
        yield f"drain {what}"
    yield "get pods"
    yield "get nodes -l kc"
    yield "uncordon -l kc=yes"
    yield "delete node kc-1 kc-2"


def certificates():
    """Requests for certificates: signed by nobody here, since both servers have no signer for that name."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ann/O=team", "-keyout", f"{work}/key", "-out", f"{work}/csr"], check=True, capture_output=True)
        with open(f"{work}/csr", "rb") as f:
            request = base64.b64encode(f.read()).decode()
    requests = [thing("certificates.k8s.io/v1", "CertificateSigningRequest", f"kc-{name}", spec={"request": request, "signerName": "example.com/signer", "usages": ["client auth"]}) for name in "abc"]
    yield k("create -f -", manifest(*requests))
    yield k("create -f -", manifest(thing("certificates.k8s.io/v1", "CertificateSigningRequest", "kc-bad", spec={"request": "eA==", "signerName": "x", "usages": []})))
    for line in ["get csr -l none=x", "get csr kc-a kc-b", "describe csr kc-a", "certificate approve kc-a", "certificate approve kc-a", "certificate approve kc-a --force", "certificate deny kc-a", "certificate deny kc-b", "certificate approve kc-b", "certificate approve none", "certificate deny none", "certificate", "certificate approve",
                 "certificate approve kc-c -o yaml", "certificate approve kc-c --as=bob", "get csr kc-a kc-b kc-c", "get csr kc-a -o yaml", "get csr --field-selector=spec.signerName=example.com/signer -o name", "describe csr kc-b", "delete csr kc-a kc-b kc-c"]:
        yield k(line)


def health():
    for path in ["/healthz", "/livez", "/readyz", "/healthz?verbose", "/livez?verbose", "/readyz?verbose", "/readyz/ping", "/livez/ping", "/healthz/ping", "/healthz/none", "/livez?exclude=ping", "/readyz?exclude=none&verbose", "/version", "/.well-known/openid-configuration", "/api/", "/apis/", "/version/", "/", "/healthz/"]:
        yield k(f"get --raw '{path}'")
    for line in ["get componentstatuses", "get cs -o name", "get apiservices", "get apiservice v1.apps -o yaml", "get ns", "get ns kube-system -o yaml", "get svc -A", "get flowschemas", "get prioritylevelconfigurations", "get flowschema exempt -o yaml", "get prioritylevelconfiguration workload-low -o yaml", "describe flowschema global-default",
                 "get priorityclass", "describe priorityclass system-node-critical", "get servicecidr", "get servicecidr -o yaml", "get ipaddress", "get endpointslices -A", "get endpoints -A", "get svc kubernetes -o yaml", "describe svc kubernetes", "cluster-info dump --output-directory=none --namespaces=none -o none", "get sc,pv,ingressclass,runtimeclass,csidriver",
                 "get validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies", "get crd", "get leases -n none", "get events -n none", "get cm -n kube-system extension-apiserver-authentication -o name"]:
        yield k(line)
