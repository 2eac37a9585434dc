#!/usr/bin/env bash
# Makes the images of upstream's end-to-end suite, by their exact names and tags, as OCI archives under build/test-images/.
#
#   test/images/build.sh [--list] [NAME...]      all of them, or those whose name begins with NAME, for instance busybox
#
# Nothing comes from an image registry: programs are built from Go modules or come from Debian's packages. What is there already is
# kept (delete it to make it anew). The paths of the archives are printed, one a line.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/build/test-images
cache=$out/cache
e2e=registry.k8s.io/e2e-test-images

# What the suite names and nobody can build from package registries alone, and why.
unavailable=(
  "gcr.io/k8s-authenticated-test/agnhost:2.6          a private registry, whose password the test brings along: needs that registry"
  "registry.k8s.io/build-image/distroless-iptables    needs legacy iptables wrappers of upstream's own image build"
  "registry.k8s.io/sig-storage/*                      CSI sidecars and drivers: their sources are no Go module of the suite"
  "$e2e/volume/nfs, $e2e/volume/iscsi                 need kernel modules of the host"
  "$e2e/node-perf/*                                   benchmarks, no conformance test uses them"
  "$e2e/apparmor-loader:1.4                           needs AppArmor in the host's kernel"
)

# images: NAME MAKER; a maker is a function below that fills the directory $fs and sets $config (JSON of an OCI image's config).
images=(
  "registry.k8s.io/pause:3.10.2 pause"
  "$e2e/busybox:1.37.0-1 busybox"
  "$e2e/agnhost:2.63.0 agnhost"
  "$e2e/agnhost:2.55 agnhost"
  "$e2e/nginx:1.15-4 nginx"
  "$e2e/nginx:1.27-0 nginx"
  "$e2e/nonroot:1.5 nonroot"
  "$e2e/nonewprivs:1.4 nonewprivs"
  "$e2e/kitten:1.8 kitten"
  "$e2e/nautilus:1.8 nautilus"
  "$e2e/ipc-utils:1.4 ipc_utils"
  "$e2e/glibc-dns-testing:2.0.0 dns_testing"
  "$e2e/perl:5.26 perl"
  "$e2e/resource-consumer:1.14 resource_consumer"
  "$e2e/regression-issue-74839:1.4 regression"
  "$e2e/sample-apiserver:1.29.2 sample_apiserver"
  "registry.k8s.io/etcd:3.6.8-0 etcd"
)
path='"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]'

say() { echo "$*" >&2; }

# go_program DIRECTORY PACKAGE: the path of a static program, built from the module in DIRECTORY.
go_program() {
  local program
  program=$cache/$(basename "$1")-$(echo "${2%/v3}" | tr / -)
  if [[ ! -x $program ]]; then
    command -v go >/dev/null || { say "building $2 needs Go 1.26 or newer on the PATH (https://go.dev/dl)"; return 1; }
    say "building $2"
    (cd "$1" && nice -n 15 env CGO_ENABLED=0 GOFLAGS="${GOFLAGS:--p=2}" go build -trimpath -ldflags "-s -w" -o "$program" "$2") >&2
  fi
  echo "$program"
}
upstream() { go_program "$here/../conformance" "k8s.io/kubernetes/test/images/$1"; }
upstream_directory() { (cd "$here/../conformance" && echo "$(go list -m -f '{{.Dir}}' k8s.io/kubernetes)/test/images/$1"); }

# debian PACKAGE...: unpacks packages, and what they depend on, into $fs, without documentation.
debian() {
  local packages package file
  # What the packages' install scripts would need, and what no program of ours loads.
  local unwanted='^(debconf.*|cdebconf|dpkg|tar|init-system-helpers|sensible-utils|ucf|lsb-base|sysvinit-utils|adduser|passwd|login|base-passwd|libpam.*|iproute2-doc|gcc-12-base|perl-modules.*)$'
  packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
    grep -E '^[a-z0-9]' | sed 's/:.*//' | sort -u | grep -vE "$unwanted")
  mkdir -p "$cache/debs"
  for package in $packages; do
    file=$(find "$cache/debs" -name "${package}_*.deb" -print -quit)
    if [[ -z $file ]]; then
      (cd "$cache/debs" && apt-get -o APT::Sandbox::User=root download -qq "$package" >&2) || { say "apt-get download $package failed: is the package list there (apt-get update)?"; return 1; }
      file=$(find "$cache/debs" -name "${package}_*.deb" -print -quit)
    fi
    dpkg-deb --fsys-tarfile "$file" | tar -C "$fs" -x --keep-directory-symlink --no-same-owner \
      --exclude './usr/share/doc*' --exclude './usr/share/man*' --exclude './usr/share/locale*' --exclude './usr/share/info*' \
      --exclude './usr/share/bash-completion*' --exclude './usr/share/lintian*' --exclude './usr/share/bug*' --exclude './usr/lib/systemd*'
  done
}

# skeleton: the directories and accounts that every root has, with Debian's merged /usr.
skeleton() {
  local link
  mkdir -p "$fs"/{etc,tmp,root,home,var/tmp,var/log,run,proc,sys,dev} "$fs"/usr/{bin,sbin,lib,lib64,local/bin}
  chmod 1777 "$fs/tmp" "$fs/var/tmp"
  for link in bin sbin lib lib64; do ln -sfn "usr/$link" "$fs/$link"; done
  printf '%s\n' root:x:0:0:root:/root:/bin/sh daemon:x:1:1:daemon:/usr/sbin:/bin/false www-data:x:33:33:www-data:/var/www:/bin/false \
    nobody:x:65534:65534:nobody:/:/bin/false >"$fs/etc/passwd"
  printf '%s\n' root:x:0: daemon:x:1: www-data:x:33: nogroup:x:65534: >"$fs/etc/group"
}

# static_busybox: /bin/busybox with a link for each applet, and a shell in front of its own (why: see sh.c).
static_busybox() {
  local busybox applet
  busybox=$(command -v busybox) || { say "busybox is missing (Debian package busybox-static)"; return 1; }
  cp "$busybox" "$fs/usr/bin/busybox"
  for applet in $("$busybox" --list); do [[ -e $fs/usr/bin/$applet ]] || ln -s busybox "$fs/usr/bin/$applet"; done
  rm -f "$fs/usr/bin/sh"
  gcc -static -Os -s -o "$fs/usr/bin/sh" "$here/sh.c"
}

# bash_as_shell: where there are programs beside busybox's, of which busybox's own shell would take its own.
bash_as_shell() { ln -sf bash "$fs/usr/bin/sh"; }

make_pause() {
  mkdir -p "$cache"
  gcc -static -Os -s -o "$fs/pause" "$here/pause.c"
  config='{"User":"65535:65535","Entrypoint":["/pause"],'$path'}'
}
make_busybox() {
  skeleton
  static_busybox
  config='{"Cmd":["sh"],'$path'}'
}
make_agnhost() {
  skeleton
  static_busybox
  debian bind9-dnsutils curl netcat-openbsd iproute2 iperf bash ca-certificates
  bash_as_shell
  ln -sf nc.openbsd "$fs/usr/bin/nc"
  ln -sf ../../bin/iperf "$fs/usr/local/bin/iperf"
  mkdir -p "$fs/uploads"
  cp "$(upstream agnhost)" "$fs/agnhost"
  ln -s agnhost "$fs/agnhost-2"
  cp "$(upstream_directory agnhost/porter)"/localhost.{crt,key} "$fs/"
  echo user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh >>"$fs/etc/passwd"
  printf '%s\n' user-defined-in-image:x:1000: group-defined-in-image:x:50000:user-defined-in-image >>"$fs/etc/group"
  config='{"Entrypoint":["/agnhost"],"Cmd":["pause"],"ExposedPorts":{"80/tcp":{},"8080/tcp":{},"8081/tcp":{},"9376/tcp":{},"5000/tcp":{}},'$path'}'
}
make_nginx() {
  skeleton
  static_busybox
  debian nginx-light
  mkdir -p "$fs"/var/{log,lib}/nginx "$fs/usr/share/nginx/html" "$fs/var/www/html"
  ln -sf /dev/stdout "$fs/var/log/nginx/access.log"
  ln -sf /dev/stderr "$fs/var/log/nginx/error.log"
  rm -rf "$fs/var/www/html"
  ln -s /usr/share/nginx/html "$fs/var/www/html"
  echo '<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>' >"$fs/usr/share/nginx/html/index.html"
  mkdir -p "$fs/etc/nginx/sites-enabled"
  ln -sf /etc/nginx/sites-available/default "$fs/etc/nginx/sites-enabled/default"
  sed -i '/^error_log/d' "$fs/etc/nginx/nginx.conf"
  config='{"Cmd":["nginx","-g","daemon off; error_log /dev/stderr notice;"],"ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGQUIT",'$path'}'
}
make_nonroot() {
  make_busybox
  config='{"User":"1234","Cmd":["sh"],'$path'}'
}
make_nonewprivs() {
  skeleton
  static_busybox
  cp "$(upstream nonewprivs)" "$fs/usr/local/bin/nnp"
  chmod 4755 "$fs/usr/local/bin/nnp"
  config='{"Cmd":["nnp"],'$path'}'
}
# pet NAME: agnhost as a web server of two files.
pet() {
  skeleton
  static_busybox
  cp "$(upstream agnhost)" "$fs/agnhost"
  cp "$(upstream_directory "$1")"/html/* "$fs/"
  config='{"Entrypoint":["/agnhost"],"Cmd":["test-webserver"],'$path'}'
}
make_kitten() { pet kitten; }
make_nautilus() { pet nautilus; }
make_ipc_utils() {
  skeleton
  static_busybox
  debian util-linux
  config='{"Cmd":["sh"],'$path'}'
}
make_dns_testing() {
  skeleton
  static_busybox
  debian bind9-dnsutils bash libc-bin
  bash_as_shell
  config='{"Cmd":["bash"],'$path'}'
}
make_perl() {
  skeleton
  static_busybox
  debian perl-base
  config='{"Cmd":["perl"],'$path'}'
}
make_resource_consumer() {
  skeleton
  static_busybox
  debian stress
  cp "$(upstream resource-consumer)" "$fs/consumer"
  cp "$(upstream resource-consumer/consume-cpu)" "$fs/consume-cpu"
  mkdir -p "$fs/consume-cpu.d"
  config='{"Entrypoint":["/consumer"],"ExposedPorts":{"8080/tcp":{}},'$path'}'
}
make_regression() {
  cp "$(upstream regression-issue-74839)" "$fs/regression-issue-74839"
  mkdir -p "$fs/tmp"
  config='{"Entrypoint":["/regression-issue-74839"],'$path'}'
}
make_sample_apiserver() {
  mkdir -p "$fs/tmp"
  cp "$(go_program "$here/sample-apiserver" k8s.io/sample-apiserver)" "$fs/sample-apiserver"
  config='{"Entrypoint":["/sample-apiserver"],'$path'}'
}
make_etcd() {
  skeleton
  cp "$(go_program "$here/etcd" go.etcd.io/etcd/server/v3)" "$fs/usr/local/bin/etcd"
  cp "$(go_program "$here/etcd" go.etcd.io/etcd/etcdctl/v3)" "$fs/usr/local/bin/etcdctl"
  config='{'$path'}'
}

# archive NAME: where its archive is.
archive() { echo "$out/$(echo "$1" | tr '/:' '__').tar"; }

make() { # NAME MAKER
  local name=$1 file
  file=$(archive "$name")
  if [[ ! -f $file ]]; then
    say "making $name"
    fs=$(mktemp -d)
    chmod 755 "$fs"
    config=
    if ! ("make_$2" && "$root/examples/make-image.sh" "$name" "$file.new" "$fs" "$config" >&2); then
      rm -rf "$fs" "$file.new"
      return 1
    fi
    mv "$file.new" "$file"
    rm -rf "$fs"
  fi
  echo "$file"
}

case ${1-} in
  --list)
    for image in "${images[@]}"; do echo "${image% *}"; done
    exit
    ;;
  -h | --help)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit
    ;;
esac

mkdir -p "$cache"
failed=0
for image in "${images[@]}"; do
  name=${image% *}
  short=${name##*/}
  if (($#)); then
    wanted=false
    for prefix; do [[ $short == "$prefix"* ]] && wanted=true; done
    $wanted || continue
  fi
  make "$name" "${image##* }" || { say "FAILED: $name"; failed=$((failed + 1)); }
done
if (($# == 0)); then
  say "not to be had from package registries:"
  printf '  %s\n' "${unavailable[@]}" >&2
fi
((failed == 0))
