#!/bin/sh
# Makes .venv with everything the models side needs; with "radio" as its argument also looks for the distribution's
# packages of the radio side. Quick when there is nothing to do. Works from any folder, whatever its name.
#
#   PRIVSC_PYTHON=...   the Python to use (3.11 or newer); found on PATH if left out
#   PRIVSC_NO_APT=1     never call apt-get; say what is missing instead
#   CONSTRAINTS=1       the versions of constraints.txt, which were tested, instead of the newest

set -eu
cd "$(dirname "$0")/.."

# What other programs set for their own Python (ROS, a pip.conf with user = true) is not meant for .venv.
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_ROOT
export PIP_USER=0

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
    if ! has_venv "$python"; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        may_install && apt_install "$package" || die "$python has no venv module; run: sudo apt-get install $package"
        has_venv "$python" || die "$python has no venv module, and $package did not bring it; set PRIVSC_PYTHON to another Python"
    fi
    "$python" -m venv --clear .venv || die "$python cannot make .venv; set PRIVSC_PYTHON to another Python"
}

has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# What .venv must hold: the declared dependencies, constrained or not, at the place where the folder lies now.
wanted() { { cat pyproject.toml; [ -z "$1" ] || cat constraints.txt; pwd; } | cksum; }

# .venv holds it. What was installed with constraints serves without them too.
ready() {
    [ -x .venv/bin/python ] || return 1
    held=$(cat "$stamp" 2>/dev/null) || return 1
    [ "$held" = "$(wanted "$constraints")" ] || { [ -z "$constraints" ] && [ "$held" = "$(wanted 1)" ]; }
}

# A pip that is too old for pyproject.toml (before 22.3) is renewed, or with it the whole .venv.
pip_is_new_enough() {
    version=$(.venv/bin/python -m pip --version 2>/dev/null | cut -d' ' -f2)
    major=${version%%.*}
    minor=${version#*.}
    minor=${minor%%.*}
    case "$major$minor" in '' | *[!0-9]*) return 1 ;; esac
    [ "$major" -gt 22 ] || { [ "$major" -eq 22 ] && [ "$minor" -ge 3 ]; }
}

models_side() {
    stamp=.venv/.privsc-ready
    constraints=${CONSTRAINTS:-}
    [ -z "$constraints" ] || [ -e constraints.txt ] || die "constraints.txt is missing; run without CONSTRAINTS"
    ready && return
    if ! pip_is_new_enough; then
        .venv/bin/python -m pip install --disable-pip-version-check --quiet --upgrade 'pip>=22.3' >/dev/null 2>&1 &&
            pip_is_new_enough || make_venv
    fi
    say "installing the Python packages into .venv (a few minutes the first time)"
    quiet=--quiet
    [ -t 2 ] && quiet=
    # shellcheck disable=SC2086  # options or nothing
    .venv/bin/python -m pip install --disable-pip-version-check $quiet ${constraints:+-c constraints.txt} -e '.[dev]' >&2
    wanted "$constraints" >"$stamp"
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
