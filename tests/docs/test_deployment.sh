#!/bin/bash
# SPDX-License-Identifier: MIT
# What docs/deployment.md says holds, as far as it can be tried here:
#   1. the unit is one that systemd accepts;
#   2. the backup script copies one commit, whole, beside a live writer;
#   3. as root, with the kernel's namespaces in place of containers: a /dev/shm that is too small, one
#      that is read-only, a writer in another pid namespace, another user and another group.
# Environment: TOP, BUILD.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
. "$TOP/tests/support/scratch.sh"
chmod 755 "$shm"
PATH=$(cd "$BUILD" && pwd):$PATH
page=$TOP/docs/deployment.md
block() { # language, a text on its first lines
    awk -v fence="\`\`\`$1" -v mark="$2" '
        $0 == fence { inside = 1; text = ""; next }
        /^```/ { if (inside && index(text, mark)) { printf "%s", text; exit } inside = 0 }
        inside { text = text $0 "\n" }' "$page"
}
wait_for() { # command...
    for _ in $(seq 3000); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    fail "did not come about: $*"
}
state_of() { shmstat "$1" --no-header | awk 'NR == 1 { print $2 }'; }
skipped=

echo "== the unit"
block ini untorn-record.service >"$scratch/untorn-record.service"
grep -q '^ExecStart=/usr/local/bin/untorn record' "$scratch/untorn-record.service" || fail "no unit in the page"
# The command is one that untorn understands, but for the time it runs and where it writes.
command=$(sed -n 's|^ExecStart=/usr/local/bin/||p' "$scratch/untorn-record.service")
read -ra words <<<"${command/\/var\/lib\/untorn/$scratch}"
"${words[@]}" --max-rows 2 2>/dev/null
[ -e "$scratch/machine.store/latest" ] || fail "the unit's command made no store"
untorn rm machine
if command -v systemd-analyze >/dev/null; then
    sed -i "s|/usr/local/bin/untorn|$(command -v untorn)|" "$scratch/untorn-record.service"
    systemd-analyze verify --man=no "$scratch/untorn-record.service" >"$scratch/verdict" 2>&1 ||
        status=$?
    # It also complains of other units of the machine, and where there is no systemd of that.
    if grep -F untorn-record "$scratch/verdict"; then fail "systemd-analyze verify: see above"; fi
    [ "${status:-0}" = 0 ] || { sed 's/^/    /' "$scratch/verdict"; skipped="the unit was not verified"; }
else
    skipped="no systemd-analyze"
fi

echo "== backup"
block sh untorn-backup >"$scratch/untorn-backup"
[ -s "$scratch/untorn-backup" ] || fail "no backup script in the page"
untorn create live --size 16M --store "$scratch/live.store" --flush-interval 50ms --keep 1 --keep-time 1ms
untorn record live --rate 200 --for 600 2>/dev/null &
writer=$!
wait_for untorn get live kernel/time
if command -v flock >/dev/null; then
    length() { untorn get live kernel/time | wc -c; }
    is_longer() { [ "$(length)" -gt "$before" ]; }
    # Its snapshot may have gone before it could be held: then it fails.
    backup() { rm -rf "$1.new" && sh "$scratch/untorn-backup" live "$1"; }
    for i in 1 2 3; do
        wait_for backup "$scratch/copy-$i"
        before=$(length)
        wait_for is_longer
    done
    [ -z "$(find "$scratch"/copy-* -type l)" ] || fail "links were left"
    rows() { sed -n 's/.*"shape":[^0-9]*\([0-9]*\).*/\1/p' <(tr -d '\n ' <"$1/.zarray"); }
    for i in 1 2 3; do # all arrays of one commit
        for array in time check cpu memory; do
            [ "$(rows "$scratch/copy-$i/kernel/$array")" = "$(rows "$scratch/copy-$i/kernel/time")" ] ||
                fail "copy $i: kernel/$array is of another commit"
            [ -n "$(find "$scratch/copy-$i/kernel/$array" -name '[0-9]*')" ] || fail "copy $i: no chunks"
        done
    done
    [ "$(rows "$scratch/copy-1/kernel/time")" -lt "$(rows "$scratch/copy-3/kernel/time")" ] ||
        fail "the copies are of the same commit"
    if sh "$scratch/untorn-backup" live "$scratch/copy-1" 2>/dev/null; then fail "a copy was replaced"; fi
    # The lease is what keeps it: with it a snapshot stays while others go, without it is gone.
    # It may have gone before it could be held: then another.
    hold() { # with fd 9, a snapshot whose lease is there still once it is locked
        held=$(untorn flush live)
        { exec 9<"$held/.lease"; } 2>/dev/null && flock --shared 9 && [ -e "$held/.lease" ]
    }
    is_later() { later=$(realpath "$scratch/live.store/latest") && [ "$later" != "$held" ]; }
    wait_for hold
    wait_for is_later
    wait_for test ! -e "$later"
    ls "$held" >"$scratch/listing" || fail "the held one went"
    grep -q kernel "$scratch/listing" || fail "the held one is empty"
    exec 9<&-
    wait_for test ! -e "$held"
else
    skipped="no flock"
fi
kill -TERM "$writer"
wait "$writer" || fail "SIGTERM did not end the recorder with status 0: $?"
[ "$(state_of live)" = closed ] || fail "after SIGTERM the writer is $(state_of live)"
untorn verify "$scratch/live.store" 2>/dev/null
# A last flush was made: the store has the segment's last row.
untorn get live kernel/time -o "$scratch/memory.npy"
untorn rm live
untorn load "$scratch/live.store" live >/dev/null
untorn get live kernel/time -o "$scratch/disk.npy"
cmp "$scratch/memory.npy" "$scratch/disk.npy" || fail "rows were lost at SIGTERM"
untorn rm live

echo "== a limit of file sizes"
# Ends the writer by SIGXFSZ, or is an error where that is ignored; the last commit stays, and the next
# writer goes on.  bash counts in KiB.
large() { head -c 4000000 /dev/zero | untorn put limited large --dtype u1 --shape 4000000; }
head -c 1000 /dev/zero | untorn put limited small --dtype u1 --shape 1000
status=0
(ulimit -S -c 0 -f 1000 && large) 2>/dev/null || status=$?
[ "$(kill -l "$status")" = XFSZ ] || fail "beyond a limit of file sizes: status $status"
[ "$(untorn get limited small | tail -c 1000 | wc -c)" = 1000 ] || fail "a commit was lost by it"
if (trap '' XFSZ && ulimit -S -f 1000 && large) 2>"$scratch/error"; then fail "the limit was no limit"; fi
grep -q 'no space .* could not grow: File too large' "$scratch/error" ||
    fail "message: $(cat "$scratch/error")"
large
untorn rm limited

echo "== namespaces"
if [ "$(id -u)" != 0 ] || ! unshare --mount --pid --fork --mount-proc true 2>/dev/null; then
    echo "skipped: no rights to namespaces${skipped:+; $skipped}"
    exit 77
fi
in_mount() { # size, commands: with a fresh tmpfs as the directory of segments
    # shellcheck disable=SC2016
    SIZE=$1 unshare --mount sh -c 'mount -t tmpfs -o size=$SIZE,mode=1777 none /mnt || exit 90
        export UNTORN_SHM_DIR=/mnt; '"$2"
}

# Too small a mount: an error of the call, and what was committed stays.
# shellcheck disable=SC2016
in_mount 1m 'untorn create a --size 64M || exit 1
    head -c 1000 /dev/zero | untorn put a small --dtype u1 --shape 1000 || exit 2
    head -c 4000000 /dev/zero | untorn put a large --dtype u1 --shape 4000000 2>/mnt/error && exit 3
    grep -q "no space" /mnt/error || exit 4
    [ "$(untorn get a small | tail -c 1000 | wc -c)" = 1000 ] || exit 5' ||
    fail "on a small mount: step $?"

# Read-only: reads and waits, and cannot write.
# shellcheck disable=SC2016
in_mount 8m 'head -c 80 /dev/zero | untorn put a x --dtype u1 --shape 80 || exit 1
    mount -o remount,ro /mnt || exit 2
    [ "$(untorn get a x | tail -c 80 | wc -c)" = 80 ] || exit 3
    timeout 100 untorn follow a x --count 1 >/dev/null || exit 4
    echo | untorn append a x --dtype u1 2>/dev/null && exit 5
    exit 0' || fail "on a read-only mount: step $?"

# Another pid namespace: alive is seen, also from a third one; so is death.
unshare --pid --fork --kill-child untorn record far --rate 100 --for 600 --size 16M 2>/dev/null &
writer=$!
wait_for untorn get far kernel/time
[ "$(state_of far)" = alive ] || fail "from outside the writer is $(state_of far)"
timeout 100 unshare --pid --fork --mount-proc untorn follow far kernel/time --count 5 --region -1: >/dev/null ||
    fail "no generations in another pid namespace"
if untorn append far kernel/time --dtype i8 </dev/null 2>"$scratch/error"; then fail "a second writer"; fi
grep -q 'is its writer' "$scratch/error" || fail "message: $(cat "$scratch/error")"
kill -KILL "$writer"
wait "$writer" 2>/dev/null || true
is_dead() { [ "$(state_of far)" = dead ]; }
wait_for is_dead
rm -f "$shm"/untorn.far*

# Another user, with and without the group.
as() { setpriv --reuid 65534 --regid "$1" --clear-groups "${@:2}"; }
if command -v setpriv >/dev/null && as 65534 untorn --version >/dev/null 2>&1; then
    head -c 80 /dev/zero | untorn put lab x --dtype u1 --shape 80 --mode 0640 --control-mode 0660
    as 0 untorn get lab x >/dev/null || fail "the group may not read"
    if as 65534 untorn get lab x >/dev/null 2>"$scratch/error"; then fail "others may read"; fi
    grep -q 'Permission denied' "$scratch/error" || fail "message: $(cat "$scratch/error")"
    if as 0 untorn rm lab 2>/dev/null; then fail "the group may remove"; fi
    [ "$(stat -c %a "$shm/untorn.lab~ctl")" = 660 ] || fail "the control file's mode"
fi
[ -z "$skipped" ] || { echo "skipped: $skipped"; exit 77; }
