#!/usr/bin/env bash
# The tests of the Debian package on a fresh Debian 12 instead of this machine: a root of the smallest variant, and on
# it only what the package says it depends on, systemd, and what the tests themselves call. Downloads about 100 MB;
# needs root and mmdebstrap. WEIR_BUILD names another build than build/release.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${WEIR_BUILD:-$PWD/build/release}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

(cd "$folder" && cpack --config "$build/CPackConfig.cmake" -B "$folder/packed" -G DEB >/dev/null)
depends=$(dpkg-deb --field "$folder"/packed/weir_*.deb Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/ //g')
mmdebstrap --quiet --variant=minbase --include="$depends,systemd,systemd-sysv,curl,iproute2,openssl" bookworm "$folder/root"
if [[ -n $(chroot "$folder/root" dpkg-query -W -f '${Package}\n' | grep -E '^(build-essential|.*-dev)$') ]]; then
    echo "this is no fresh root" >&2
    exit 1
fi
WEIR_TEST_ROOT=$folder/root node --test tests/package/debian.test.js
