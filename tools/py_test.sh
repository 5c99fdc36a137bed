#!/bin/sh
# Run one Python test file where it stands: py_test.sh FOLDER/NAME_test.py [unittest arguments]
set -eu
cd "$(dirname "$1")"
module=$(basename "$1" .py)
shift
exec /usr/bin/python3 -B -m unittest "$module" "$@"
