#!/usr/bin/python3
"""Rules for every file of the tree: C files say what they are for, and nothing names one machine."""
import os
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import tree_outline  # noqa: E402

SELF = os.path.relpath(os.path.realpath(__file__), ROOT)

# Pieces are joined here so that this file does not match itself.
FORBIDDEN = [
    (re.compile(r"(?<![\w.$}/-])/" + r"(home|work|root|Users)/[\w.-]+"), "an absolute path of one machine"),
    (re.compile(r"\b(pypi|" + r"files\.pythonhosted|registry\.npmjs|crates|proxy\.golang|rubygems|" +
                r"packages\.cloud\.google|repo\.maven|repo1\.maven)\." + r"(org|io|com)\b"), "a package registry's host"),
    (re.compile(r"\b(deb|security|snapshot|archive)\." + r"(debian\.org|ubuntu\.com)\b"), "a package registry's host"),
    (re.compile(r"\b(mirror\.|bcr\.)" + r"bazel\.build\b"), "a package registry's host"),
]

SKIP = (".git", ".dbtlab", "__pycache__", ".cache")
# Raw results record where they were measured; they are data, and append-only.
SKIP_FOLDERS = ("results",)


def tree_files():
    """Tracked and new files, without ignored ones; all files where there is no git."""
    try:
        out = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "-co", "--exclude-standard"],
                             capture_output=True, check=True).stdout
        names = [n for n in out.decode().split("\0") if n]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, dirs, files in os.walk(ROOT):
            dirs[:] = [d for d in dirs if d not in SKIP and not d.startswith("bazel-")]
            names += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files]
    return sorted(n for n in set(names)
                  if n.split("/")[0] not in SKIP_FOLDERS and os.path.isfile(os.path.join(ROOT, n)))


class TreeRules(unittest.TestCase):
    def test_every_c_file_says_what_it_is_for(self):
        missing = [p for p in tree_outline.files() if tree_outline.purpose(p) is None]
        self.assertEqual([], missing, "\nthe file's comment must begin with `name.c — purpose`:\n" + "\n".join(missing))

    def test_no_file_names_a_machine_or_a_registry(self):
        found = []
        for name in tree_files():
            if name == SELF:
                continue
            with open(os.path.join(ROOT, name), "rb") as f:
                data = f.read()
            if b"\0" in data[:8192]:
                continue  # binary
            for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
                for pattern, what in FORBIDDEN:
                    m = pattern.search(line)
                    if m:
                        found.append(f"{name}:{number}: {m.group(0)}: {what}")
        self.assertEqual([], found, "\n" + "\n".join(found))

    def test_the_patterns_see_what_they_should(self):
        bad = ["/" + "home/someone/x", "see /" + "work/tree", "pypi" + ".org/simple", "deb" + ".debian.org"]
        good = ["bench/" + "work/x", "$HOME/" + "work", "a/" + "home/b", "guest:/dev/" + "root", "${ROOT}/" + "work/a"]
        for text in bad:
            self.assertTrue(any(p.search(text) for p, _ in FORBIDDEN), text)
        for text in good:
            self.assertFalse(any(p.search(text) for p, _ in FORBIDDEN), text)

    def test_packages_list_says_why(self):
        with open(os.path.join(ROOT, "tools/packages.txt"), encoding="utf-8") as f:
            rows = [line.split(None, 1) for line in f if line.strip() and not line.startswith("#")]
        self.assertTrue(rows)
        for row in rows:
            self.assertEqual(2, len(row), f"{row}: name, then what it is for")


if __name__ == "__main__":
    unittest.main()
