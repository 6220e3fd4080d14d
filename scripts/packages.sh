# Debian packages that Weir needs, and the one function that installs those that are missing. Sourced by
# ./serve and ./test.

BUILD_PACKAGES=(build-essential cmake ninja-build pkg-config libuv1-dev libcjson-dev node-llhttp
    libpcre2-dev libsqlite3-dev libutf8proc-dev libssl-dev libcurl4-openssl-dev libopenblas-dev
    liblua5.4-dev libedit-dev)
# They fetch what the web pages are made of, and bundle it.
BUILD_PACKAGES+=(nodejs npm ca-certificates)
TEST_PACKAGES=(git openssl python3 libcmocka-dev curl clang-format clang-tidy cppcheck)
# For the kernels of 64-bit Arm, which run under emulation.
TEST_PACKAGES+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
# For models that are shared out among processes; Weir builds without it too.
TEST_PACKAGES+=(libopenmpi-dev openmpi-bin)
# For the Debian package and what is in it, which are installed into throw-away machines.
TEST_PACKAGES+=(adduser dpkg-dev file iproute2 procps systemd unzip util-linux)
# For the chat page, which is tested in a browser.
TEST_PACKAGES+=(chromium)
# For the alert rules and the dashboard.
TEST_PACKAGES+=(prometheus)

# For fleets of servers.
TEST_PACKAGES+=(etcd-server etcd-client haproxy)

# Those that Debian starts and enables once they are installed, and the names of their units. Tests start
# their own.
declare -A PACKAGES_UNITS=([prometheus]=prometheus [etcd-server]=etcd [haproxy]=haproxy)

# packages_mask PACKAGE...: the units of these, which are not installed yet, are not to run. A unit that is
# there all the same is somebody's own, and stays as it is.
packages_mask() {
    local name unit
    for name in "$@"; do
        unit=${PACKAGES_UNITS[$name]:-}
        if [[ -n $unit ]] && ! packages_has_unit "$unit.service"; then
            echo "masking $unit.service, which would run from now on; undo: systemctl unmask $unit" >&2
            "${as_root[@]}" mkdir -p /etc/systemd/system &&
                "${as_root[@]}" ln -s /dev/null "/etc/systemd/system/$unit.service" || return 1
        fi
    done
}

packages_has_unit() {
    local folder
    for folder in /etc /run /usr/local/lib /usr/lib /lib; do
        if [[ -e $folder/systemd/system/$1 || -L $folder/systemd/system/$1 ]]; then
            return 0
        fi
    done
    return 1
}

# packages_install NAME...: nothing is asked of apt when everything is there.
packages_install() {
    local missing=() name as_root=()
    for name in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed ||
            missing+=("$name")
    done
    # A Node from elsewhere brings its own npm, and Debian's nodejs would clash with it.
    if command -v node >/dev/null && command -v npm >/dev/null; then
        local kept=()
        for name in "${missing[@]}"; do
            [[ $name == nodejs || $name == npm ]] || kept+=("$name")
        done
        missing=("${kept[@]}")
    fi
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "These packages are missing, and this is no Debian with apt-get: ${missing[*]}" >&2
        return 1
    fi
    if [[ $(id -u) -ne 0 ]]; then
        if ! command -v sudo >/dev/null; then
            echo "Packages are missing and installing them needs root or sudo. As root, run:" >&2
            echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "installing: ${missing[*]}" >&2
    packages_mask "${missing[@]}" &&
        "${as_root[@]}" apt-get update -q >&2 &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}
