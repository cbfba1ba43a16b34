#!/bin/bash
# SPDX-License-Identifier: MIT
# A store on a file system that is mounted read-only: it can be verified and loaded, and what is
# loaded can be read; a writer is refused and told why.  Mounts in a namespace of its own: exit
# status 77, skipped, where that is not allowed.
set -u
if [ "${1:-}" != inside ]; then
    for user in '' r; do
        unshare -m"$user" mount -t tmpfs none /mnt 2>/dev/null || continue
        exec unshare -m"$user" bash "$0" inside
    done
    echo 'skipped: no rights to mount'
    exit 77
fi

work=$(mktemp -d)
segment=test-read-only-$$
trap 'umount -l "$work" 2>/dev/null; rmdir "$work"; "$BUILD/untorn" rm "$segment" 2>/dev/null; :' EXIT
checks=0

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# runs STATUS COMMAND...: the exit status; both outputs are in $text.
runs() {
    local wanted=$1 status
    shift
    text=$("$BUILD/untorn" "$@" 2>&1 < /dev/null)
    status=$?
    [ $status = "$wanted" ] || fail "untorn $*: exit status $status, not $wanted: $text"
    checks=$((checks + 1))
}

says() {
    case $text in *"$1"*) ;; *) fail "\"$1\" is not in: $text" ;; esac
}

mount -t tmpfs none "$work" || fail 'mount'
printf 'abcdefgh' | "$BUILD/untorn" put "$segment" a - --dtype u1 --shape 8 --store "$work/store" ||
    fail 'put'
runs 0 rm "$segment"
# With "none" mount asks for nothing but this; options such as uid= may be meaningless in a namespace.
mount -o remount,ro none "$work" || fail 'remount'

runs 0 verify "$work/store"
says ' 0 damaged'
for warm in '' --warm; do
    runs 0 load "$work/store" "$segment" $warm
    says '1 array'
    data=$("$BUILD/untorn" get "$segment" a | tail -c 8)
    [ "$data" = abcdefgh ] || fail "the data: $data"
    runs 0 verify "$segment"
    runs 1 append "$segment" a - --dtype u1
    says 'read-only file system'
    runs 0 rm "$segment"
done
runs 1 create "$segment" --store "$work/store"
says 'read-only file system'
runs 1 log "$segment" # there is none
mount -o remount,rw none "$work" || fail 'remount'
runs 0 load "$work/store" "$segment"
echo "$checks checks passed"
