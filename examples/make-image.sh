#!/usr/bin/env bash
# Makes an OCI image archive with nothing but shell, tar and sha256sum: make-image.sh NAME:TAG OUT.tar [ROOT [CONFIG]]
# Its file system is the directory ROOT, or Debian's static busybox with a link for each of its applets; CONFIG is the JSON of what a
# container takes from it (Entrypoint, Cmd, Env, User, ...), a shell when none is given.
set -euo pipefail
name=${1:?usage: make-image.sh NAME:TAG OUT.tar [ROOT [CONFIG]]}
out=$(realpath -m "${2:?usage: make-image.sh NAME:TAG OUT.tar [ROOT [CONFIG]]}")
root=${3:-}
settings=${4:-'{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["sh"]}'}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/image/blobs/sha256"

if [[ -z $root ]]; then
  root=$work/root
  mkdir -p "$root"/{bin,etc,tmp,root,usr,var}
  chmod 1777 "$root/tmp"
  ln -s ../bin "$root/usr/bin"
  busybox=$(command -v busybox) || { echo "make-image.sh: busybox is missing (Debian package busybox-static)" >&2; exit 1; }
  cp "$busybox" "$root/bin/busybox"
  for applet in $("$busybox" --list); do
    [[ -e $root/bin/$applet ]] || ln -s busybox "$root/bin/$applet"
  done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'nobody:x:65534:65534:nobody:/:/bin/false' >>"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
fi

# put FILE: moves it in among the blobs and prints its digest.
put() {
  local digest
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$work/image/blobs/sha256/$digest"
  echo "$digest"
}
size() { stat -c %s "$work/image/blobs/sha256/$1"; }

case $(uname -m) in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
  *) architecture=$(uname -m) ;;
esac
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$root" -cf "$work/layer" .
layer=$(put "$work/layer")
cat >"$work/config" <<JSON
{"architecture":"$architecture","os":"linux","config":$settings,"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
JSON
config=$(put "$work/config")
cat >"$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$(size "$config")},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer","size":$(size "$layer")}]}
JSON
manifest=$(put "$work/manifest")
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/image/oci-layout"
cat >"$work/image/index.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$(size "$manifest"),"annotations":{"io.containerd.image.name":"$name","org.opencontainers.image.ref.name":"$name"}}]}
JSON
tar -C "$work/image" -cf "$out" oci-layout index.json blobs
echo "made $out: $name"
