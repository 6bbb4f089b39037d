#!/usr/bin/env bash
# Make ~/raysweep-venv, the Python environment of a node. Where an archive of the same one lies in object storage it is
# unpacked; else pip installs it, and it is archived for the nodes after this one. The same: equal constraints.txt and
# pyproject.toml, Python, machine and place. Runs again without harm.
#   bash cluster-environment.sh [s3://bucket/folder]
set -euo pipefail
cd "$(dirname "$0")"
venv=$HOME/raysweep-venv
key=$({ cat constraints.txt pyproject.toml; python3 -VV; uname -m; echo "$venv"; } | sha256sum | cut -c 1-16)
archive=${1:+$1/environment-$key.tar.gz}
[ ! -e "$venv/made-$key" ] || exit 0

rm -rf "$venv"
if [ -n "$archive" ] && (aws s3 cp --only-show-errors "$archive" - | tar -xz -C "$HOME") 2> /dev/null; then
    echo "environment: unpacked from $archive"
else
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
        --editable '.[s3,postgres,jobs]' 'boto3>=1.34'
    touch "$venv/made-$key"
    echo "environment: installed by pip"
    [ -z "$archive" ] || tar -c -C "$HOME" raysweep-venv | gzip -1 | aws s3 cp --only-show-errors - "$archive" ||
        echo "environment: not archived at $archive; other nodes install it by pip, too" >&2
fi
