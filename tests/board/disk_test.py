"""disk_test.py — --disk, --virtio-console and --net on the command line: what is wrong is said in one sentence before the guest runs"""
import os
import tempfile
import unittest
from pathlib import Path

from board import guest, run


class Refusals(unittest.TestCase):
    def test_one_sentence(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "empty").write_bytes(b"")
            (folder / "disk").write_bytes(bytes(4096))
            rows = [
                (f"--disk={folder}/none", 1, "No such file"),
                (f"--disk={folder}", 1, "Is a directory"),
                (f"--disk={folder},ro", 1, "neither a regular file nor a block device"),
                (f"--disk={folder}/empty", 1, "0 bytes are no disk"),
                ("--disk=/dev/full", 1, "neither a regular file nor a block device"),
                (f"--sd={folder}/none", 1, "No such file"),
                (f"--sd={folder}/disk", 1, "4096 bytes are no disk; it needs at least one unit of 524288"),
                ("--disk=", 2, "--disk needs a value"),
                ("--virtio-console=tty", 2, "choose one of stdio, pty, file:FILE"),
                (f"--virtio-console=file:{folder}", 1, "cannot write"),
                ("--net=wifi", 2, "choose one of none, user, tap:NAME, unix:PATH, loop"),
                (f"--net=unix:{folder}/disk", 1, "no socket of this kind"),
                ("--psci=maybe", 2, "choose one of auto|off|hvc|smc"),
            ]
            for word, code, says in rows:
                with self.subTest(word=word):
                    done = run(word, guest("wfe"))
                    self.assertEqual(done.returncode, code, done.stderr)
                    self.assertIn(says, done.stderr)
                    self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                    self.assertTrue(done.stderr.startswith("dbtlab: "), done.stderr)

    def test_all_at_once(self) -> None:
        """Every virtio device there is, and none is asked for anything."""
        with tempfile.TemporaryDirectory() as name:
            disk, console = Path(name, "disk"), Path(name, "console")
            disk.write_bytes(bytes(4096 + 100))
            done = run(f"--disk={disk}", f"--virtio-console=file:{console}", "--net=user", guest("wfe"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("the guest does not see the last 100", done.stderr)
            self.assertEqual(os.path.getsize(console), 0)


if __name__ == "__main__":
    unittest.main()
