#!/usr/bin/env bash
# The kernel tests for 64-bit Arm, cross-compiled and run under emulation: tests/kernels/aarch64.sh
#
# Needs gcc-aarch64-linux-gnu and qemu-user, which ./test installs. cmocka for Arm is unpacked into the build
# folder: nothing foreign is installed on this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$PWD/build/aarch64
mkdir -p "$build"

fetch_cmocka() {
    local apt=$build/apt
    mkdir -p "$apt"/{lists/partial,cache/archives/partial}
    local options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::status=/dev/null
        -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)")
    apt-get "${options[@]}" update
    (cd "$apt" && apt-get "${options[@]}" download libcmocka0 libcmocka-dev)
    local package
    for package in "$apt"/*.deb; do
        dpkg -x "$package" "$build/cmocka"
    done
}

[[ -f $build/cmocka/usr/include/cmocka.h ]] || fetch_cmocka
cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DKERNELS_ONLY=ON \
    -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-gnu.cmake" -DCMOCKA_ROOT="$build/cmocka/usr" >/dev/null
cmake --build "$build" >/dev/null
ctest --test-dir "$build" --output-on-failure --test-output-size-passed 1048576 --no-tests=error "$@"
