# ./workshop setup --from BUNDLE: what the network would give comes from a file, which tools/bundle.py made.

from_bundle() {
    [ $# -gt 0 ] || misused "setup --from wants a FILE, or a directory that it was unpacked to (see $called setup --help)"
    from=$1
    shift
    [ -e "$from" ] || fail "setup --from $from: no such file: $called bundle makes one, where there is a network"
    room=
    if [ -d "$from" ]; then
        bundle=$(cd -- "$from" && pwd)
    else
        room=$(mktemp -d "${TMPDIR:-/var/tmp}/crabcan-bundle.XXXXXX") || fail "no room to unpack: set TMPDIR"
        trap 'rm -rf "$room"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        chmod 755 "$room"  # who owns the clone reads it, too
        say "unpacking $from"
        tar -xf "$from" -C "$room" --no-same-owner 2>/dev/null || fail "setup --from $from: no bundle, or a part of one:" \
            "copy it again; it takes its own size in ${TMPDIR:-/var/tmp}"
        bundle=$room/crabcan-bundle
    fi
    [ -r "$bundle/FOR" ] || fail "setup --from $from: no bundle: $called bundle makes one"
    { read -r machine && read -r tiers; } <"$bundle/FOR"
    here_is="$(. /etc/os-release && echo "$ID ${VERSION_ID-?}") $(dpkg --print-architecture)"
    case $machine in "$here_is "*) ;; *)
        fail "setup --from $from: it is for $machine, and this is $here_is: make one on such a machine" ;;
    esac
    say "looking at each file of it"
    (cd "$bundle" && sha256sum --quiet -c SHA256SUMS) >&2 || fail "setup --from $from: damaged (see above): copy it again"
    status=0
    CRABCAN_BUNDLE=$bundle PIP_NO_INDEX=1 PIP_FIND_LINKS=$bundle/wheels CRABCAN_TIERS=$tiers "$self" setup "$@" || status=$?
    if [ $status = 0 ] && [ -d "$bundle/book" ] && [ ! -e "$here/build/site" ] && [ -w "$here" ]; then
        mkdir -p "$here/build"
        cp -r "$bundle/book" "$here/build/site"
    fi
    [ $status != 0 ] || say "set up without a network. The book is $here/build/site/index.html; next: $called doctor"
    exit $status
}

# For apt-get: the bundle is all that there is. Its packages were checked by apt where it was made.
bundle_sources() {
    [ -d "$CRABCAN_BUNDLE/debs" ] || fail "Debian packages are missing, and the bundle has none:$(printf ' %s' $packages)"
    apt_state=$(mktemp -d "${TMPDIR:-/var/tmp}/crabcan-apt.XXXXXX") || fail "no room for apt-get: set TMPDIR"
    mkdir -p "$apt_state/lists/partial"
    echo "deb [trusted=yes] file:$CRABCAN_BUNDLE/debs ./" >"$apt_state/sources.list"
    sources="-o Dir::Etc::SourceList=$apt_state/sources.list -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists=$apt_state/lists -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o APT::Sandbox::User=root"
}
