#!/bin/sh
# Writes the lock files from pyproject.toml: exact versions with hashes, for every platform and Python from 3.11 on,
# without the address of any package index (set-up uses the one that pip is configured for).
# Versions already locked are kept where they still fit; --upgrade takes newer ones.
set -eu
cd "$(dirname "$0")/.."

# uv makes the locks but is needed for nothing else, so it stays out of .venv.
if [ ! -x .tools/uv/bin/uv ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --target .tools/uv uv
fi

lock() {
    output=$1
    shift
    .tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o "$output" "$@" >/dev/null
}

lock requirements.lock pyproject.toml "$@"
lock requirements-dev.lock pyproject.toml --group dev "$@"
lock tools/virtualenv.lock --group bootstrap "$@"
