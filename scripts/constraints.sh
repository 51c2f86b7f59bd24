#!/bin/sh
# Writes constraints.txt: the versions that are installed in .venv now, which are those that were tested.
# Left out: what follows from torch's own pins and depends on the machine (CUDA), and whatever came from a path.

set -eu
cd "$(dirname "$0")/.."
{
    printf '# Versions with which all tests passed, Python %s. On request only: make setup CONSTRAINTS=1,\n' \
        "$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    printf '# or pip install -c constraints.txt ... Made by scripts/constraints.sh.\n'
    .venv/bin/python -m pip --disable-pip-version-check freeze --exclude-editable |
        sed -n 's/^\([A-Za-z0-9._-]*==[A-Za-z0-9.]*\).*/\1/p' |
        grep -v -i -E '^(nvidia|cuda)-|^triton=='
} >constraints.txt.part
mv constraints.txt.part constraints.txt
