#!/bin/sh
# An image of the classroom, by buildah, from Debian's packages and a bundle of the course (./workshop
# bundle --no-browser). Nothing of it comes from a registry of images.
#
#   sudo deploy/image.sh crabcan-bundle.tar [NAME]      (localhost/crabcan-classroom)
set -eu
fail() { printf 'image: %s\n' "$*" >&2; exit 1; }
step() { printf 'image: [%s s] %s\n' "$(($(date +%s) - began))" "$*" >&2; }

case ${1---help} in -h|--help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit ;; esac
bundle=$1 name=${2-localhost/crabcan-classroom} began=$(date +%s)
[ -f "$bundle" ] || fail "$bundle: no such file: ./workshop bundle --no-browser makes one"
[ "$(id -u)" = 0 ] || fail "debootstrap wants root: use sudo"
for program in buildah debootstrap; do
    command -v $program >/dev/null || fail "$program is missing: apt-get install $program"
done
suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")  # the bundle's own: setup --from looks at it
mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \([^[ ]*\) .*/\1/p' /etc/apt/sources.list.d/*.sources \
    /etc/apt/sources.list 2>/dev/null | grep -v security | head -n 1)

ctr=$(buildah from scratch)
trap 'buildah rm "$ctr" >/dev/null' EXIT
root=$(buildah mount "$ctr")

step "Debian, the smallest ($suite)"
debootstrap --variant=minbase "$suite" "$root" $mirror >"$root.log" 2>&1 || { tail -n 5 "$root.log" >&2; fail "debootstrap"; }
rm -f "$root.log"

step "the course, from the bundle and without a network"
mkdir -p "$root/opt"
tar -xf "$bundle" -C "$root/opt"
mv "$root/opt/crabcan-bundle/crabcan" "$root/opt/crabcan"
mv "$root/opt/crabcan-bundle" "$root/root/bundle"
mkdir "$root/root/bundle/crabcan"  # SHA256SUMS names what is in it
cp -a "$root/opt/crabcan/." "$root/root/bundle/crabcan"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 unshare --net --mount --pid --fork sh -ec '
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    exec chroot "$1" /opt/crabcan/workshop setup --from /root/bundle' sh "$root"
rm -rf "$root/root/bundle" "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*

step "the learner"
# A pod's own user namespace has 65536 ids: the ranges that containers in it are given must be among them.
chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash learner
printf 'learner:2000:60000\n' | tee "$root/etc/subuid" >"$root/etc/subgid"
# As set-user-ID programs these two would want much of root's power in the pod; each needs one capability.
chroot "$root" /usr/bin/python3 -I - <<'END'
import os, struct
for program, capability in ("newuidmap", 7), ("newgidmap", 6):  # CAP_SETUID, CAP_SETGID
    os.chmod(f"/usr/bin/{program}", 0o755)
    os.setxattr(f"/usr/bin/{program}", "security.capability", struct.pack("<5I", 0x02000001, 1 << capability, 0, 0, 0))
END
ln -s /opt/crabcan/workshop "$root/usr/local/bin/workshop"
ln -s /opt/crabcan/.venv/bin/crabcan "$root/usr/local/bin/crabcan"
buildah config --user learner --workingdir /home/learner --env LANG=C.UTF-8 --env HOME=/home/learner --port 8888 \
    --cmd '["/opt/crabcan/workshop", "lab", "--host", "0.0.0.0"]' \
    --label org.opencontainers.image.title="Crabcan, step by step: the classroom" \
    --label org.opencontainers.image.licenses="see /opt/crabcan/LICENSE" "$ctr"
step "writing $name"
buildah commit --quiet "$ctr" "$name" >/dev/null
step "done: $(buildah images --format '{{.Size}}' "$name")"
