#!/bin/sh
# Installs the official SDKs that the end-to-end tests drive, into folders of
# their own here. Run again it does nothing, unless a pinned version has changed.
set -eu
cd "$(dirname "$0")"

# fresh STAMP FILE: the folder that STAMP lies in was made from FILE as it is now.
fresh() { [ -f "$1" ] && cmp -s "$1" "$2"; }

if ! fresh python/.venv/installed.txt python/requirements.txt; then
    command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.9 or later" >&2; exit 1; }
    rm -rf python/.venv
    python3 -m venv python/.venv
    python/.venv/bin/pip install --quiet --disable-pip-version-check -r python/requirements.txt
    cp python/requirements.txt python/.venv/installed.txt
fi

if ! fresh node/node_modules/installed.json node/package-lock.json; then
    command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or later" >&2; exit 1; }
    (cd node && npm ci --silent --no-audit --no-fund)
    cp node/package-lock.json node/node_modules/installed.json
fi
