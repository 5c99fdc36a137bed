"""record_test.py - result files are whole or absent: torn lines, full disks, folders in use."""

from __future__ import annotations

import json
import os
import resource
import signal
import tempfile
import unittest
from pathlib import Path

import record
from errors import BenchError, UsageError


class RecordTest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def test_lines_come_back_as_written(self) -> None:
        log = record.RunLog(self.folder)
        for order in range(3):
            log.append({"order": order, "values": {"roi_ns": 7}})
        log.close()
        self.assertEqual([r["order"] for r in record.read_runs(self.folder)], [0, 1, 2])

    def test_a_torn_last_line_is_ignored_and_then_cut_off(self) -> None:
        path = self.folder / record.RUNS
        path.write_text('{"order":0}\n{"order":1,"val')
        self.assertEqual(len(record.read_runs(self.folder)), 1)
        log = record.RunLog(self.folder)
        log.append({"order": 5})
        log.close()
        self.assertEqual([r["order"] for r in record.read_runs(self.folder)], [0, 5])

    def test_damage_in_the_middle_is_told(self) -> None:
        (self.folder / record.RUNS).write_text('{"order":0\n{"order":1}\n')
        with self.assertRaisesRegex(BenchError, "line 1 is damaged"):
            record.read_runs(self.folder)

    def test_disk_full_leaves_whole_lines_only(self) -> None:
        """A limit on the file size makes write() fail half-way, as a full disk does."""
        error = self._in_child_with_limit(self._fill)
        self.assertIn("cannot write", error)
        self.assertEqual(error.count("\n"), 0)
        text = (self.folder / record.RUNS).read_text()
        self.assertTrue(text.endswith("\n"))
        self.assertGreater(len([json.loads(line) for line in text.splitlines()]), 0)

    def test_disk_full_keeps_the_old_manifest(self) -> None:
        path = self.folder / record.MANIFEST
        record.write_json(path, {"old": True})
        error = self._in_child_with_limit(lambda: record.write_json(path, {"new": "x" * 9000}))
        self.assertIn("cannot write", error)
        self.assertEqual(json.loads(path.read_text()), {"old": True})
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), [record.MANIFEST])

    def _fill(self) -> None:
        log = record.RunLog(self.folder)
        for order in range(10_000):
            log.append({"order": order, "padding": "x" * 300})

    def _in_child_with_limit(self, act: object) -> str:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
            try:
                act()  # type: ignore[operator]
            except BenchError as error:
                os.write(writer, str(error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answers:
            text = answers.read()
        os.waitpid(child, 0)
        return text

    def test_a_folder_in_use_is_refused(self) -> None:
        (self.folder / "something").write_text("")
        with self.assertRaisesRegex(UsageError, "not empty"):
            record.make_folder(self.folder)

    def test_a_folder_that_cannot_be_is_refused_in_one_sentence(self) -> None:
        (self.folder / "file").write_text("")
        with self.assertRaisesRegex(UsageError, "cannot use .* as output folder"):
            record.make_folder(self.folder / "file" / "below")


if __name__ == "__main__":
    unittest.main()
