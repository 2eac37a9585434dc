#!/usr/bin/env bash
# Adds a node to a running test/upstream/apiserver.sh: controller-manager, scheduler, Debian's containerd and runc with CNI's bridge, and
# the kubelet: node.sh DIR PORT IMAGE.tar
# Leaves DIR/node.pids (stop with kill, in that order) and is ready when the node is. `node.sh --stop DIR` stops and cleans up.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [[ ${1:-} == --stop ]]; then
  dir=$2
  for pid in $(<"$dir/node.pids"); do kill "$pid" 2>/dev/null || true; done
  sleep 1
  for shim in $(pgrep -f "containerd-shim-runc-v2 .*$dir/containerd.sock" || true); do
    pkill -KILL -P "$shim" || true
    kill -KILL "$shim" 2>/dev/null || true
  done
  sleep 1
  grep -oE "($dir|/run/netns/cni-)[^ ]*" /proc/self/mountinfo | sort -ru | while read -r mount; do umount -l "$mount" 2>/dev/null || true; done
  rm -f /run/netns/cni-*
  ip link delete knarr-peer 2>/dev/null || true
  exit 0
fi

dir=${1:?usage: node.sh DIR PORT IMAGE.tar}
port=${2:?usage: node.sh DIR PORT IMAGE.tar}
image=${3:?usage: node.sh DIR PORT IMAGE.tar}
cd "$dir"
: >node.pids
start() { # name command...
  local name=$1
  shift
  "$@" >"$name.log" 2>&1 &
  echo $! >>node.pids
}

start controllers "$("$here/build.sh" kube-controller-manager)" --kubeconfig=kubeconfig --leader-elect=false --bind-address=127.0.0.1 \
  --secure-port=$((port + 1)) --service-account-private-key-file=sa.key --root-ca-file=ca.crt
start scheduler "$("$here/build.sh" kube-scheduler)" --kubeconfig=kubeconfig --leader-elect=false --bind-address=127.0.0.1 --secure-port=$((port + 2))

mkdir -p cni
cat >cni/10-bridge.conflist <<'TEXT'
{"cniVersion": "0.4.0", "name": "peer", "plugins": [{"type": "bridge", "bridge": "knarr-peer", "isGateway": true,
 "ipam": {"type": "host-local", "subnet": "10.99.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}]}
TEXT
cat >containerd.toml <<TEXT
version = 2
root = "$dir/containerd/root"
state = "$dir/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "$dir/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "knarr.local/busybox:1"
restrict_oom_score_adj = true
disable_tcp_service = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$dir/cni"
TEXT
start containerd containerd --config containerd.toml
for _ in $(seq 100); do [[ -S containerd.sock ]] && break; sleep 0.1; done
ctr -a containerd.sock -n k8s.io images import "$image" >/dev/null

cat >kubelet.yaml <<TEXT
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
port: $((port + 3))
readOnlyPort: 0
healthzPort: 0
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
cgroupsPerQOS: false
makeIPTablesUtilChains: false
enforceNodeAllocatable: []
containerRuntimeEndpoint: unix://$dir/containerd.sock
TEXT
start kubelet "$("$here/build.sh" kubelet)" --config=kubelet.yaml --kubeconfig=kubeconfig --hostname-override=peer --root-dir="$dir/kubelet" --node-ip=127.0.0.1
kubectl=$("$here/build.sh" kubectl)
for _ in $(seq 60); do
  "$kubectl" --kubeconfig kubeconfig wait --for=condition=Ready node/peer --timeout=5s >/dev/null 2>&1 && exit 0
  sleep 1
done
tail -n 5 kubelet.log containerd.log >&2
echo "node.sh: the node did not become ready" >&2
exit 1
