#!/usr/bin/env bash
# Makes what the machines of this lab boot from, once, in build/vm: Debian's cloud kernel (unpacked, not installed), an initramfs with
# its modules and busybox, and with --systemd the disk of a Debian with systemd. All from Debian packages. Prints the directory.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/build/vm
"$root/third_party/pins/install.sh" debian-test.txt debian-vm.txt >&2
mkdir -p "$out"
exec 9>"$out/.lock"
flock 9

# Modules that the lab's init loads, and what knarr's work makes the kernel load by itself.
modules=(virtio_pci virtio_blk virtio_net virtio_console overlay bridge veth vxlan tun dummy br_netfilter nf_tables nf_conntrack nf_nat
  nft_ct nft_nat nft_masq nft_redir nft_numgen nft_hash nft_limit nft_reject nft_reject_inet nft_reject_ipv4 nft_reject_ipv6 nft_fib
  nft_fib_inet nft_fib_ipv4 nft_fib_ipv6 nft_chain_nat nft_log nft_quota nft_objref nft_socket nft_tproxy nft_connlimit nft_queue
  nft_dup_netdev nft_fwd_netdev sch_netem sch_ingress sch_tbf sch_htb cls_u32 act_mirred ipip ip6_tunnel wireguard)

if [[ ! -e $out/vmlinuz ]]; then
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
  [[ -n $package ]] || { echo "build.sh: apt knows no linux-image-cloud-amd64; run apt-get update" >&2; exit 1; }
  rm -rf "$out/kernel" && mkdir -p "$out/kernel/deb"
  (cd "$out/kernel/deb" && apt-get download -q "$package" >/dev/null 2>&1) || { echo "build.sh: apt-get download $package failed" >&2; exit 1; }
  dpkg-deb -x "$out"/kernel/deb/*.deb "$out/kernel"
  cp "$out"/kernel/boot/vmlinuz-* "$out/vmlinuz"
fi
version=$(ls "$out/kernel/lib/modules")

base=$out/base.cpio
if [[ ! -e $base || ${BASH_SOURCE[0]} -nt $base ]]; then
  tree=$(mktemp -d)
  trap 'rm -rf "$tree"' EXIT
  mkdir -p "$tree"/{bin,sbin,etc,proc,sys,dev,run,tmp,var/lib/knarr,lab,lib/modules/"$version"}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  for applet in $(busybox --list); do ln -s busybox "$tree/bin/$applet"; done 2>/dev/null || true
  ln -s ../bin/busybox "$tree/sbin/modprobe"  # which the kernel calls
  all=$out/kernel/lib/modules/$version
  [[ -s $all/modules.dep ]] || busybox depmod -b "$out/kernel" "$version"
  declare -A wanted=()
  want() { # a path below the modules' directory, and what it depends on
    [[ -n ${wanted[$1]:-} ]] && return
    wanted[$1]=1
    local needs need
    needs=$(sed -n "s|^$1:||p" "$all/modules.dep")
    for need in $needs; do want "$need"; done
  }
  for module in "${modules[@]}"; do
    path=$(sed -nE "s|^([^:]*/${module//[-_]/[-_]}\.ko):.*|\1|p" "$all/modules.dep" | head -n 1)
    if [[ -n $path ]]; then want "$path"; fi
  done
  for path in "${!wanted[@]}"; do install -D -m 0644 "$all/$path" "$tree/lib/modules/$version/$path"; done
  cp "$all"/modules.{order,builtin} "$tree/lib/modules/$version/" 2>/dev/null || true
  busybox depmod -b "$tree" "$version"
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$tree/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$tree/etc/group"
  (cd "$tree" && find . | cpio -o -H newc --quiet) >"$base.new"
  mv "$base.new" "$base"
fi

if [[ ${1:-} == --systemd && ! -e $out/debian.ext4 ]]; then
  ((EUID == 0)) || { echo "build.sh: making the systemd machine needs root" >&2; exit 1; }
  packages=$(grep -v '^#' "$root/third_party/pins/debian-vm-guest.txt" | paste -sd,)
  tree=$(mktemp -d)
  trap 'rm -rf "$tree"' EXIT
  mmdebstrap --quiet --variant=essential --mode=root --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    bookworm "$tree" 'deb http://deb.debian.org/debian bookworm main' 'deb http://deb.debian.org/debian-security bookworm-security main' >&2
  rm -rf "$tree"/var/lib/apt "$tree"/var/cache/apt "$tree/usr/share/i18n"
  mkdir -p "$tree/usr/lib/modules" "$tree/lab"
  cp -a "$out/kernel/lib/modules/$version" "$tree/usr/lib/modules/"
  chroot "$tree" depmod "$version"
  ln -sf /dev/null "$tree/etc/systemd/system/serial-getty@.service"
  truncate -s 0 "$tree/etc/machine-id"
  truncate -s 1G "$out/debian.ext4.new"
  mke2fs -q -t ext4 -E lazy_itable_init=1 -d "$tree" "$out/debian.ext4.new"
  mv "$out/debian.ext4.new" "$out/debian.ext4"
fi
echo "$out"
