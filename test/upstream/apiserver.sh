#!/usr/bin/env bash
# Starts upstream's kube-apiserver over kine/SQLite in a directory and waits until it is ready: apiserver.sh DIR PORT
# Leaves DIR/{ca.crt,admin.crt,admin.key,kubeconfig}, DIR/kine.pid, DIR/apiserver.pid and DIR/ready-ms; stops with `kill` of both pids.
# DISABLED_PLUGINS: admission plugins that are off; by default ServiceAccount, since nobody makes accounts there.
set -euo pipefail
dir=${1:?usage: apiserver.sh DIR PORT}
port=${2:?usage: apiserver.sh DIR PORT}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kine=$("$here/build.sh" kine)
apiserver=$("$here/build.sh" kube-apiserver)
mkdir -p "$dir"
cd "$dir"

# One authority for everything, as a test needs it.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ca -keyout ca.key -out ca.crt 2>/dev/null
sign() { # name subject extensions
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile <(echo "$3") -out "$1.crt" 2>/dev/null
}
sign server /CN=kube-apiserver "subjectAltName=IP:127.0.0.1,DNS:localhost"
sign admin /O=system:masters/CN=admin "extendedKeyUsage=clientAuth"
openssl genrsa -out sa.key 2048 2>/dev/null

started=$(date +%s%N)
"$kine" --listen-address "unix://$dir/kine.sock" --endpoint "sqlite://$dir/kine.db?_journal=WAL&_synchronous=FULL&cache=shared" \
  --metrics-bind-address 0 >kine.log 2>&1 &
echo $! >kine.pid
for _ in $(seq 100); do [[ -S kine.sock ]] && break; sleep 0.05; done
"$apiserver" --etcd-servers="unix://$dir/kine.sock" --bind-address=127.0.0.1 --secure-port="$port" --advertise-address=127.0.0.1 \
  --tls-cert-file=server.crt --tls-private-key-file=server.key --client-ca-file=ca.crt --authorization-mode=Node,RBAC \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file=sa.key --service-account-signing-key-file=sa.key \
  --service-cluster-ip-range=10.96.0.0/16 --allow-privileged --disable-admission-plugins="${DISABLED_PLUGINS-ServiceAccount}" --enable-admission-plugins=NodeRestriction \
  --endpoint-reconciler-type=none >apiserver.log 2>&1 &
echo $! >apiserver.pid
for _ in $(seq 1200); do
  if curl -sf --noproxy '*' --cacert ca.crt --cert admin.crt --key admin.key "https://127.0.0.1:$port/readyz" >/dev/null; then
    echo $((($(date +%s%N) - started) / 1000000)) >ready-ms
    cat >kubeconfig <<TEXT
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:$port", certificate-authority: $dir/ca.crt}}]
users: [{name: u, user: {client-certificate: $dir/admin.crt, client-key: $dir/admin.key}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
TEXT
    exit 0
  fi
  kill -0 "$(cat apiserver.pid)" 2>/dev/null || break
  sleep 0.05
done
tail -n 5 apiserver.log >&2
echo "kube-apiserver did not become ready" >&2
exit 1
