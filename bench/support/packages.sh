#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages of peers:
#
#   packages.sh PACKAGE...
#
# One by one, since a peer that cannot be had must not keep the others out: it is reported, and the
# exit status is 0.  A package may bring a server (redis-server): it is neither started now nor at
# boot, because the benchmarks start their own, and one that idles beside them would be measured.
set -u

skip() {
    echo "SKIPPED: peers that need $1: $2" >&2
}

command -v apt-get >/dev/null || {
    skip "$*" "only Debian and Ubuntu are known here; please install them with your system's means"
    exit 0
}
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive

# What Debian's policy asks of who wants no service started: a program that says 101.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap '$sudo rm -f $policy' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # It says whose it is, should it ever be left behind.
    printf '#!/bin/sh\n# made by untorn: make deps-bench\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod 755 $policy
fi

echo "Installing: $*"
$sudo apt-get update -qq </dev/null
for package in "$@"; do
    $sudo apt-get install -y -qq --no-install-recommends "$package" </dev/null ||
        skip "$package" "apt-get cannot install it"
    case $package in
    redis-server)
        command -v systemctl >/dev/null &&
            $sudo systemctl disable --quiet redis-server >/dev/null 2>&1
        ;;
    esac
done
exit 0
