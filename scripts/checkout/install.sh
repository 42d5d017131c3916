#!/usr/bin/env bash
# Make a virtual environment with exactly the packages of requirements.lock, each checked by its hash.
# Usage: install.sh DIRECTORY      uses uv where it is installed, else venv and pip.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$1

find_python() {
    for name in python3.13 python3.12 python3.11 python3.14 python3 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "Florin needs Python 3.11 or newer on the PATH" >&2
    return 1
}

python=$(find_python)
echo "Installing into $venv (the first time only)..." >&2
if uv --version >/dev/null 2>&1; then
    [ -x "$venv/bin/python" ] || uv venv -q --python "$python" "$venv"
    uv pip sync -q --require-hashes --python "$venv/bin/python" requirements.lock
else
    if [ ! -x "$venv/bin/pip" ]; then
        "$python" -m venv "$venv" || {
            echo "Python's venv module is missing: on Debian, apt-get install python3-venv" >&2
            exit 1
        }
    fi
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
fi
"$venv/bin/python" scripts/checkout/link_checkout.py
