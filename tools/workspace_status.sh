#!/bin/sh
# What Bazel bakes into the binary: the revision, with -dirty when tracked files differ from it.
rev=$(git rev-parse --short=12 HEAD 2>/dev/null) || rev=unknown
if [ "$rev" != unknown ] && ! git diff --quiet HEAD -- 2>/dev/null; then
    rev="$rev-dirty"
fi
echo "STABLE_DBT_REVISION $rev"
