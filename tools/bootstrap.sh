#!/bin/sh
# Makes .venv with the locked dependencies and this project in it, from nothing but Python 3.11 or newer with either
# its venv module or pip. `make` calls it when the stamp is older than a lock file; it may be called by hand.
#
# $PYTHON names the interpreter; without it the first one that is new enough is taken.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.set-up
made=no

say() { printf '%s\n' "$*" >&2; }
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
works() { "$venv/bin/python" -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null; }

# What a run made and did not finish must not look like a set-up to the next one.
remove_what_failed() {
    status=$?
    if [ "$status" -ne 0 ] && [ "$made" = yes ]; then rm -rf "$venv"; fi
    exit "$status"
}
trap remove_what_failed EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A personal pip configuration must not lead packages to other places than .venv.
PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0
export PIP_DISABLE_PIP_VERSION_CHECK PIP_ROOT_USER_ACTION PIP_USER PIP_REQUIRE_VIRTUALENV
unset PYTHONHOME PIP_TARGET PIP_PREFIX

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" && return
        say "Fluence CostWatch needs Python 3.11 or newer; PYTHON=$PYTHON is $("$PYTHON" --version 2>&1 || true)."
        exit 1
    fi
    for PYTHON in python3 python3.14 python3.13 python3.12 python3.11; do
        is_new_enough "$PYTHON" && return
    done
    say "Fluence CostWatch needs Python 3.11 or newer; python3 is $(python3 --version 2>&1 || true)."
    say "Install a newer one and name it: make PYTHON=/path/to/python3.12 ..."
    exit 1
}

# Each way leaves a half-made folder behind when it fails, hence the removals.
make_venv() {
    rm -rf "$venv"
    made=yes
    if why=$("$PYTHON" -m venv "$venv" 2>&1) && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then return; fi
    rm -rf "$venv"
    if "$PYTHON" -m pip --version >/dev/null 2>&1; then
        # Debian and Ubuntu split ensurepip off: venv alone still works, and the pip outside can install into it.
        if "$PYTHON" -m venv --without-pip "$venv" >/dev/null 2>&1; then return; fi
        rm -rf "$venv"
        say "Python's venv module does not work here; taking virtualenv instead."
        "$PYTHON" -m pip install --quiet --upgrade --require-hashes --target .tools/virtualenv -r tools/virtualenv.lock
        PYTHONPATH=.tools/virtualenv "$PYTHON" -m virtualenv --quiet "$venv"
        return
    fi
    say "$why"
    say ""
    say "Neither the venv module nor pip of $PYTHON works, so there is nothing to set up with."
    say "On Debian and Ubuntu this helps: sudo apt-get install -y python3-venv"
    exit 1
}

pip() {
    if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        "$venv/bin/python" -m pip "$@"
    else
        "$PYTHON" -m pip --python "$venv/bin/python" "$@"
    fi
}

choose_python
if ! works; then
    say "Making $venv with $("$PYTHON" --version 2>&1)."
    make_venv
fi
say "Installing what requirements-dev.lock names (the first time this takes up to a minute)."
pip install --quiet --require-hashes -r requirements-dev.lock
# The build back end is in the lock, so nothing is fetched unchecked.
pip install --quiet --no-deps --no-build-isolation -e .
touch "$stamp"
say "Set up."
