#!/usr/bin/python3
"""Every C file is laid out as .clang-format says."""
import os
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import tree_outline  # noqa: E402


def complaints(names):
    """What clang-format would change, one line a place."""
    run = subprocess.run(["clang-format", "--dry-run", "--Werror", "--style=file", *names], cwd=ROOT,
                         capture_output=True, text=True)
    return [line for line in run.stderr.splitlines() if "error:" in line], run.returncode


class Format(unittest.TestCase):
    def test_all_files(self):
        self.assertIsNotNone(shutil.which("clang-format"), "clang-format is missing; ./dbtlab setup installs it")
        names = [n for n in tree_outline.files() if n.endswith((".c", ".h"))]
        self.assertGreater(len(names), 100)
        lines, code = complaints(names)
        self.assertEqual([], lines, "\n`clang-format -i FILE` mends these:\n" + "\n".join(lines))
        self.assertEqual(0, code)

    def test_a_crooked_file_is_found(self):
        name = os.path.join(os.environ.get("TEST_TMPDIR", "."), "crooked.c")
        with open(name, "w") as f:
            f.write("int  x ;\n")
        with open(os.path.join(os.path.dirname(name), ".clang-format"), "w") as f, \
                open(os.path.join(ROOT, ".clang-format")) as style:
            f.write(style.read())
        lines, code = complaints([name])
        self.assertTrue(lines)
        self.assertNotEqual(0, code)


if __name__ == "__main__":
    unittest.main()
