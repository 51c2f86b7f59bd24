#!/bin/sh
# Builds the virtual radio's SoapySDR module in hardware/soapy_zmq/build. With "if-possible" as its argument it ends well where
# the tools for that are missing, and says which. Quick when there is nothing to do.

set -eu
cd "$(dirname "$0")/../hardware/soapy_zmq"

say() { printf 'driver: %s\n' "$*" >&2; }

missing=
for need in cmake:cmake c++:g++ make:make pkg-config:pkg-config; do
    command -v "${need%%:*}" >/dev/null 2>&1 || missing="$missing ${need#*:}"
done
[ -e /usr/include/SoapySDR/Device.hpp ] || missing="$missing libsoapysdr-dev"
[ -e /usr/include/zmq.h ] || missing="$missing libzmq3-dev"
if [ -n "$missing" ]; then
    say "not built: run sudo apt-get install$missing"
    [ "${1:-}" = if-possible ] && exit 0
    exit 1
fi

if command -v flock >/dev/null 2>&1; then # two builds at once would fill one folder
    exec 9<CMakeLists.txt
    flock 9
fi
# A folder that was moved or copied with its build in it begins anew.
if [ -e build/CMakeCache.txt ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$(pwd -P)" build/CMakeCache.txt; then
    rm -rf build
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake -S . -B build -Wno-dev && cmake --build build; } >"$log" 2>&1; then
    cat "$log" >&2
    say "the build failed; its messages are above"
    exit 1
fi
