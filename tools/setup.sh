# The door's back room: sets up what is missing. ./workshop reads it when something is.

step() {
    say "[$(($(date +%s) - began)) s] $*"
    worked=yes
}

broken() {  # shows the end of the log, then says what may cure it
    tail -n 12 "$log" | sed 's/^/    /' >&2
    if tail -n 40 "$log" | grep -v ca-certificates_ | grep -qi certificate; then
        fail "a certificate is not trusted here. Is it that of a proxy on the way? As root, put the" \
            "proxy's into /usr/local/share/ca-certificates/NAME.crt, and run update-ca-certificates;" \
            "then the same command again, with PIP_CERT=/etc/ssl/certs/ca-certificates.crt before it"
    fi
    fail "$*"
}

stopped() { say "interrupted: the same command again goes on from here" 2>&8; exit 130; }

set_up() {
    begin "$@"
    if [ "$(id -u)" = 0 ] && hand_over "$@"; then :; else set_up_python "$@"; fi
    end
}

# Only the Debian packages of a tier. Python first, which knows what else there is to know.
set_up_packages() {
    if [ ! -x "$system" ]; then begin base; end; fi
    begin "$@"
    end
}

begin() {
    [ "$(uname -s)" = Linux ] || fail "this is not Linux: use the VM: vagrant up"
    began=$(date +%s) worked= temporary= apt_state=
    trap '[ -z "$temporary$apt_state" ] || rm -rf "$temporary" "$apt_state"' EXIT
    exec 8>&2  # while a step runs, 2 is the log
    trap stopped INT
    trap 'exit 143' TERM
    tiers=$*
    install_packages
}

end() {
    trap - EXIT INT TERM
    exec 8>&-
}

# Under sudo, .venv must not become root's: the owner of the checkout makes it.
hand_over() {
    owner=$(stat -c %u "$here") group=$(stat -c %g "$here")
    home=$(getent passwd "$owner" | cut -d: -f6) || home=
    [ "$owner" != 0 ] || return 1
    as_owner() {
        setpriv --reuid "$owner" --regid "$group" --clear-groups env "HOME=${home:-/}" "$@"
    }
    as_owner test -w "$here" 2>/dev/null || return 1
    as_owner "$self" set-up-python "$@" || exit
}

set_up_python() {
    exec 9<"$here"  # one at a time; what a killed set-up left running holds the lock, too
    flock -n 9 || { say "waiting: another one is setting up"; flock 9; }
    start_bus
    make_environment
    if [ -w "$venv/bin" ]; then
        launcher crabcan '"${self%/*}/python" -I -S "${self%/*}/../../crabcan_steps/runtime/launcher.py"'
        launcher crabcan-oci '"${self%/*}/python" -I -S "${self%/*}/../../crabcan_steps/runtime/launcher.py" oci'
        launcher workshop '"${self%/*}/../../workshop"'
    fi
    for tier in "$@"; do install_tier "$tier"; done
    exec 9<&-
    [ -z "$worked" ] || step "ready"
}

# The user's D-Bus, if it was installed only now; should this fail, it is there from the next login.
start_bus() {
    runtime=/run/user/$(id -u)
    [ -d "$runtime/systemd" ] && [ ! -S "$runtime/bus" ] || return 0
    (
        export XDG_RUNTIME_DIR="$runtime"
        systemctl --user daemon-reload && systemctl --user start dbus.socket
    ) >/dev/null 2>&1 || true
}

# ---------------------------------------------------------------- Debian packages

# Names the packages of which something is missing. What counts is the thing, not the package:
# so other distributions pass that have it under another name.
missing() {
    if [ ! -x "$system" ]; then  # all of it, then
        echo python3 python3-prctl python3-pip-whl libseccomp2 uidmap procps iproute2 nftables passt
        if [ -d /run/systemd/system ]; then echo dbus-user-session; fi
        case " $tiers " in *" test "*) echo runc bubblewrap strace slirp4netns ;; esac
        case " $tiers " in *" browser "*)
            if grep -qx ID=debian /etc/os-release; then echo chromium-headless-shell; fi ;;
        esac
        return
    fi
    "$system" -IB - $tiers "$here/tools/vm" <<'END'
import ctypes, glob, importlib.util, os, platform, shutil, sys
def lacks(found):
    return "everything" in sys.argv or not found  # for a bundle: as on a machine where nothing is
def loads(library):
    try:
        return ctypes.CDLL(library)
    except OSError:
        return None
if sys.version_info < (3, 11):
    sys.exit("%d.%d" % sys.version_info[:2])
if lacks(sys.executable):
    print("python3")
if lacks(importlib.util.find_spec("prctl")):
    print("python3-prctl")
if lacks(glob.glob("/usr/share/python-wheels/pip-*.whl") or importlib.util.find_spec("ensurepip")):
    print("python3-pip-whl")
if lacks(loads("libseccomp.so.2")):
    print("libseccomp2")
programs = {"newuidmap": "uidmap", "ps": "procps", "ip": "iproute2",
            "nft": "nftables", "pasta": "passt"}  # chapter 11's: root's network, and a user's
if "test" in sys.argv:  # to compare ours with; to see and fail its calls
    programs |= {"runc": "runc", "bwrap": "bubblewrap", "strace": "strace",
                 "slirp4netns": "slirp4netns"}
    if os.environ.get("CI"):  # engines, to put our runtime under; without them those tests are skipped
        programs |= {"podman": "podman", "catatonit": "catatonit", "busybox": "busybox-static",
                     "skopeo": "skopeo", "umoci": "umoci", "docker-registry": "docker-registry", "zstd": "zstd",
                     "dockerd": "docker.io", "docker-init": "tini", "containerd": "containerd"}
if "classroom" in sys.argv:  # an engine for chapter 10, and a program to put into a container of its
    programs |= {"podman": "podman", "catatonit": "catatonit", "busybox": "busybox-static",
                 "pasta": "passt", "slirp4netns": "slirp4netns",  # a user's network: podman 5's, 4's
                 "nft": "nftables", "iptables": "iptables"}       # and root's
if "vm" in sys.argv:  # to make a disk with Debian on it, and to boot that
    programs |= {"debootstrap": "debootstrap", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils",
                 "ssh-keygen": "openssh-client"}
    if os.environ.get("CI"):  # to validate the Vagrantfile
        programs["vagrant"] = "vagrant-libvirt"
    sys.path.insert(0, sys.argv[-1])
    import arch
    for package in arch.missing(next(filter(arch.ARCHES.get, sys.argv), arch.HERE or "amd64")):
        print(package)
for program, package in programs.items():
    if lacks(shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")):
        print(package)
# With systemd: an ordinary user's limits are asked of the user's systemd, over D-Bus.
if lacks(not os.path.isdir("/run/systemd/system") or os.path.exists("/usr/lib/systemd/user/dbus.socket")):
    print("dbus-user-session")
# The book's tests need a browser. Ubuntu has none that apt-get installs: there they are skipped.
browsers = "chromium-headless-shell", "chromium", "google-chrome"
if "browser" in sys.argv and lacks(any(map(shutil.which, browsers))):
    if platform.freedesktop_os_release().get("ID") == "debian":
        print("chromium-headless-shell")
END
}

install_packages() {
    packages=$(missing 2>&1) || fail "$system is Python $packages, and 3.11 is needed:" \
        "use Debian 12, Ubuntu 24.04 or later, or the VM: vagrant up"
    [ -n "$packages" ] || return 0
    packages=$(echo $packages)  # on one line
    command -v apt-get >/dev/null || fail "this is not Debian or Ubuntu, so install by hand" \
        "what these packages hold there, then run the same command again: $packages"
    sudo= how=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "some packages are missing, and there is no sudo." \
            "As root: apt-get install $packages"
        sudo=sudo how=" (with sudo)"
    fi
    size= sources= apt_state=
    case $packages in *chromium*) size=" (a browser for the book's tests: 160 MB)" ;; esac
    step "installing packages$how: $packages$size"
    temporary=$(mktemp "${TMPDIR:-/tmp}/workshop.XXXXXX") ||
        fail "cannot write to ${TMPDIR:-/tmp}: set TMPDIR to a directory that can be written"
    log=$temporary
    [ -z "${CRABCAN_BUNDLE-}" ] || { . "$here/tools/offline.sh"; bundle_sources; }
    # The package lists may be missing or old, or an earlier try was killed: only then the long way.
    { apt "install $packages" && [ -z "$(missing 2>&1)" ]; } ||
        apt "update" "install --reinstall $packages" ||
        broken "apt-get failed. Is there a network? Then run the same command again;" \
            "or by hand, as root: apt-get install $packages"
    packages=$(missing 2>&1) || fail "$system is Python $packages, and 3.11 is needed:" \
        "use Debian 12, Ubuntu 24.04 or later, or the VM: vagrant up"
    [ -z "$packages" ] || broken "still missing after apt-get: $(echo $packages)"
    rm -f "$temporary"
    [ -z "$apt_state" ] || rm -rf "$apt_state"
    temporary= apt_state=
}

apt() {
    if [ $# -gt 1 ]; then as_root dpkg --configure -a || return 1; fi
    for words in "$@"; do
        as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l LC_ALL=C.UTF-8 apt-get -q -y \
            -o DPkg::Lock::Timeout=600 --no-install-recommends $sources $words || return 1
    done
}

# sudo may keep the terminal, and its Ctrl-C, from us: the status tells of it.
as_root() {
    status=0
    $sudo "$@" >>"$log" 2>&1 || status=$?
    [ $status -ne 130 ] || stopped
    return $status
}

# ---------------------------------------------------------------- Python packages

may_write() {
    if [ ! -w "$here" ]; then
        why=$(mkdir "$here/.venv.new" 2>&1) || true
        why=${why##*: } cure="run $called setup as its owner ($(stat -c %U "$here")) first, or "
        case $why in Read-only*) cure= ;; esac
        fail "cannot write to $here ($why): ${cure}use a copy: cp -r '$here' ~/crabcan"
    fi
    [ ! -e "$venv" ] || [ -w "$venv" ] || fail "$venv belongs to $(stat -c %U "$venv") and is" \
        "unfinished or out of date: run $called setup as that user, or: sudo rm -r '$venv'"
}

make_environment() {
    log=$venv/setup.log
    made && return 0
    may_write
    if [ -e "$venv" ] && [ ! -e "$log" ] && [ ! -e "$venv/base.done" ]; then
        fail "$venv is there, but this script did not make it: move it away, then run this again"
    fi
    step "making a Python environment in .venv"
    rm -rf "$venv" "$venv.new"
    mkdir "$venv.new"
    : >"$venv.new/setup.log"
    mv "$venv.new" "$venv"
    # Debian's pip runs from where it is: a copy in .venv would cost as much as all the rest.
    if pip_of_the_system; then without=--without-pip; else without=; fi
    "$system" -I -m venv --system-site-packages $without "$venv" >>"$log" 2>&1 ||
        broken "python3 -m venv failed. Is the disk full? (all of it: $log)"
    version=$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    # The package is used from the checkout, by a relative path: a moved checkout still works.
    echo ../../../.. >"$venv/lib/python$version/site-packages/crabcan.pth"
    "$python" -I -m compileall -q "$here/crabcan_steps" "$here/crabcan_workshop" >>"$log" 2>&1 || true
    echo "$version" >"$venv/made.new"
    mv "$venv/made.new" "$venv/made"
}

launcher() {
    {
        echo '#!/bin/sh'
        echo 'self=$0'
        echo 'if [ -L "$self" ]; then self=$(readlink -f -- "$self"); fi'
        echo "exec $2 \"\$@\""
    } >"$venv/bin/$1"
    chmod +x "$venv/bin/$1"
}

pip_of_the_system() {
    for wheel in /usr/share/python-wheels/pip-*.whl; do [ -e "$wheel" ] && return 0; done
    return 1
}

# Installs the Python packages of requirements/TIER.txt, if they are not there.
install_tier() {
    list=$here/requirements/$1.txt
    if cmp -s "$list" "$venv/$1.done" && there "$1"; then
        touch "$venv/$1.done" 2>/dev/null || true  # the list is newer, but the same
        return 0
    fi
    may_write
    step "installing the Python packages of requirements/$1.txt"
    again=
    if [ -e "$venv/$1.busy" ]; then again=--again; fi  # pip was killed half-way
    : >"$venv/$1.busy"
    "$python" -I "$here/tools/packages.py" $again "$list" >"$venv/$1.there.new" 2>>"$log" ||
        broken "pip failed. Is there a network? Then run the same command again (all of it: $log)"
    if [ "$1" = base ]; then  # the rest is compiled when it is used
        for package in pyseccomp.py rich; do
            "$python" -I -m compileall -q "$venv"/lib/python*/site-packages/$package >>"$log" 2>&1 || true
        done
    fi
    if [ "$1" = lab ]; then  # what each kernel loads, from its start on
        mkdir -p "$venv/etc/ipython"
        echo 'c.InteractiveShellApp.extensions = ["crabcan_workshop.first_cell"]' \
            >"$venv/etc/ipython/ipython_config.py"
        echo etc/ipython/ipython_config.py >>"$venv/$1.there.new"
    fi
    mv "$venv/$1.there.new" "$venv/$1.there"
    cp "$list" "$venv/$1.busy"
    mv "$venv/$1.busy" "$venv/$1.done"
}
