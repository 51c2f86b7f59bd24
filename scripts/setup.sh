#!/bin/sh
# Makes .venv with everything the models side needs; with "radio" as its argument also looks for the distribution's
# packages of the radio side. Quick when there is nothing to do. Works from any folder, whatever its name.
#
#   PRIVSC_PYTHON=...   the Python to use (3.11 or newer); found on PATH if left out
#   PRIVSC_NO_APT=1     never call apt-get; say what is missing instead

set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# "sudo" and its like in front of apt-get: nothing for root, sudo where it asks for no password, or fail.
may_install() {
    [ -z "${PRIVSC_NO_APT:-}" ] && command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null
}

apt_install() {
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    say "installing with apt-get: $*"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y update >&2 || say "apt-get update failed, going on with the present lists"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "$@" >&2
}

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PRIVSC_PYTHON:-}" ]; then
        usable "$PRIVSC_PYTHON" || die "PRIVSC_PYTHON=$PRIVSC_PYTHON is not a Python of version 3.11 or newer"
        echo "$PRIVSC_PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 /usr/bin/python3 python; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

make_venv() {
    python=$(find_python)
    if [ -z "$python" ]; then
        may_install && apt_install python3 python3-venv || die "no Python of version 3.11 or newer on PATH; install one"
        python=$(find_python)
        [ -n "$python" ] || die "the distribution's Python is older than 3.11; install a newer one and set PRIVSC_PYTHON"
    fi
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        may_install && apt_install "$package" || die "$python has no venv module; run: sudo apt-get install $package"
    fi
    "$python" -m venv --clear .venv
}

# What .venv must hold: the declared dependencies, at the place where the folder lies now.
wanted() { { cat pyproject.toml; pwd; } | cksum; }

models_side() {
    stamp=.venv/.privsc-ready
    [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(wanted)" ] && return
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        make_venv
    fi
    say "installing the Python packages into .venv (a few minutes the first time)"
    quiet=--quiet
    [ -t 2 ] && quiet=
    # shellcheck disable=SC2086  # an option or nothing
    .venv/bin/python -m pip install --disable-pip-version-check $quiet -e '.[dev]' >&2
    wanted >"$stamp"
}

# Imports a module as the radio side does: -s keeps what the user installed with pip (a numpy 2, say) out of it.
imports() { /usr/bin/python3 -s -c "$1" >/dev/null 2>&1; }

# The radio side runs in the distribution's Python: its GNU Radio is built against the distribution's numpy.
radio_side() {
    missing=
    # module or command : package
    for need in numpy:python3-numpy scipy:python3-scipy zmq:python3-zmq SoapySDR:python3-soapysdr uhd:python3-uhd; do
        imports "import ${need%%:*}" || missing="$missing ${need#*:}"
    done
    imports "from gnuradio import gr" || missing="$missing gnuradio"
    # the companion's window and the pictures of flowgraphs; the recommended packages of gnuradio are not all installed
    imports "import gi; gi.require_version('Gtk', '3.0'); gi.require_version('PangoCairo', '1.0')" ||
        missing="$missing python3-gi python3-gi-cairo gir1.2-gtk-3.0"
    for need in xvfb-run:xvfb xauth:xauth; do
        command -v "${need%%:*}" >/dev/null 2>&1 || missing="$missing ${need#*:}"
    done
    command -v SoapySDRUtil >/dev/null 2>&1 || missing="$missing soapysdr-tools"
    # the virtual radio is built here
    [ -e /usr/include/SoapySDR/Device.hpp ] || missing="$missing libsoapysdr-dev"
    [ -e /usr/include/zmq.h ] || missing="$missing libzmq3-dev"
    for need in cmake:cmake c++:g++ make:make pkg-config:pkg-config; do
        command -v "${need%%:*}" >/dev/null 2>&1 || missing="$missing ${need#*:}"
    done
    [ -n "$missing" ] || return 0
    if may_install; then
        # shellcheck disable=SC2086  # a list of words
        apt_install $missing || say "apt-get failed; tests of the radio side will be skipped"
        imports "from gnuradio import gr" || {
            say "GNU Radio is installed but cannot be imported by /usr/bin/python3 -s:"
            /usr/bin/python3 -s -c "from gnuradio import gr" 2>&1 | tail -n 1 >&2
        }
    else
        say "tests of the radio side will be skipped; for them run: sudo apt-get install$missing"
    fi
}

if command -v flock >/dev/null 2>&1; then # two set-ups at once would fill one folder
    exec 9<scripts/setup.sh
    flock 9
fi
models_side
if [ "${1:-}" = radio ]; then radio_side; fi
