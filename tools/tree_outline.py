#!/usr/bin/python3
"""Prints an outline of the tree from the first comment line of each C file: `name.c — purpose`.

The line stands right after the opening `/*` or on the line below it.

    tools/tree_outline.py [FOLDER...]       (all code folders if none is given)
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
FOLDERS = ("engine", "strategies", "machines", "bench", "tests")
FIRST_LINE = re.compile(r"^/\*(?:\s*\n \*)?[ \t]+(\S+) +— +(.*?)\s*(?:\*/)?\s*$", re.MULTILINE)


def files(folders=FOLDERS, root=ROOT):
    for top in folders:
        for folder, dirs, names in os.walk(os.path.join(root, top)):
            dirs[:] = sorted(d for d in dirs if not d.startswith((".", "bazel-")))
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def purpose(path, root=ROOT):
    """What the file's first line says it is for, or None if it is not in the form `name.c — purpose`."""
    with open(os.path.join(root, path), encoding="utf-8") as f:
        m = FIRST_LINE.match(f.readline() + f.readline())
    if not m or m.group(1) != os.path.basename(path):
        return None
    return m.group(2) or None


def main(argv):
    folder = None
    for path in files([a.rstrip("/") for a in argv] or FOLDERS):
        if os.path.dirname(path) != folder:
            folder = os.path.dirname(path)
            print(f"{folder}/")
        print(f"  {os.path.basename(path):<26} {purpose(path) or '(no purpose given)'}")


if __name__ == "__main__":
    main(sys.argv[1:])
