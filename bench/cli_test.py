"""cli_test.py - the commands end to end on a made-up program: usage, stopping, going on, a full disk."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

MAIN = Path(__file__).resolve().parent / "main.py"

# Stands in for the emulator: "runs" in a few milliseconds and leaves a statistics file.
PROGRAM = """\
#!/bin/sh
case "$1" in
--list-strategies=json)
    echo '{"axes":[
     {"name":"invalidation","default":"per-tb","schemes":[{"name":"per-cpu"},{"name":"per-tb"}]},
     {"name":"atomics","default":"llsc","schemes":[{"name":"llsc"},{"name":"busted","unsound":true},
                                                    {"name":"htm"}]}]}'
    exit ;;
--version) echo "made-up 1"; exit ;;
esac
case "$*" in
*--atomics=htm*) echo "dbtlab: htm needs RTM, which this host has not" >&2; exit 2 ;;
*--print-config=json*) echo '{"smp":1}'; exit ;;
esac
for word; do
    case "$word" in
    --stats=json:*) echo '{"wall_ns":9,"counters":{"n":{"value":3,"unit":"1","help":"h"}},
                           "hooks_per_minsn":{"ldrex":1}}' > "${word#--stats=json:}" ;;
    --count-insns) echo "#! metric counted=1" ;;
    fail=1) echo "FAIL on purpose"; exit 1 ;;
    esac
done
if [ -n "$DBTLAB_TEST_RUNS" ]; then # after so many records a run stays until it is told to end
    records=$(cat "$TMPDIR/out/runs.jsonl" 2>/dev/null | wc -l)
    [ "$records" -lt "$DBTLAB_TEST_RUNS" ] || until [ -e "$TMPDIR/go" ]; do sleep 0.01; done
fi
echo "#! metric roi_ns=$$ unit=ns"
echo "PASS g"
"""

GUESTS = {
    "guests": [
        {"name": name, "isa": ["a32", "t32"], "cpus": [1, 8]}
        for name in ("intmix_dhry", "icall", "smc_tight", "churn", "atomic_add", "spinlock")
    ]
}


class Cli(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.out = self.scratch / "out"
        program = self.scratch / "program"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        (self.scratch / "guests.json").write_text(json.dumps(GUESTS))
        for guest in GUESTS["guests"]:
            for isa in ("a32", "t32"):
                (self.scratch / f"{guest['name']}.{isa}.elf").write_text(f"{guest['name']} {isa}")
        self.env = {
            **os.environ,
            "DBTLAB_BIN": str(program),
            "DBTLAB_GUESTS": str(self.scratch),
            "TMPDIR": str(self.scratch),  # also the place of the lock against a second bench
        }

    def start(self, *args: object, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, MAIN, *map(str, args)],
            env={**self.env, **more.pop("env", {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def call(self, *args: object, **more: Any) -> tuple[int, str, str]:
        process = self.start(*args, **more)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def runs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "runs.jsonl").read_text().splitlines()]

    def bench(self, *args: object, **more: Any) -> tuple[int, str, str]:
        return self.call("bench", "--axis=invalidation", f"--out={self.out}", *args, **more)

    # -- usage --

    def refused(self, sentence: str, *args: object) -> None:
        code, out, err = self.call(*args)
        self.assertEqual((code, out), (2, ""), err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertRegex(err, sentence)

    def test_bad_usage_is_one_sentence_with_the_choices(self) -> None:
        self.refused("unknown suite 'x'; choose from: .*default", "bench", "x")
        choices = "unknown axis 'x'; choose from: invalidation, atomics"
        self.refused(choices, "bench", "--axis=x")
        self.refused("unknown paper 'x'; choose from: .*fedorov-2016", "paper", "x")
        self.refused("name a paper: .*fedorov-2016", "paper")
        self.refused("between 1 and 8", "bench", "--vcpus=9")
        self.refused("'0' is not a number", "bench", "--repeat=0")
        self.refused("unrecognized arguments: --nosuch", "bench", "--nosuch")
        self.refused("cannot use .* as output folder", "bench", "--out=/dev/null/x")
        self.refused("holds no bench to resume", "bench", "--resume", f"--out={self.out}")

    def test_help_and_lists(self) -> None:
        for args in (["bench", "--help"], ["paper", "--help"]):
            code, out, _ = self.call(*args)
            self.assertEqual(code, 0)
            self.assertIn("examples:", out)
        self.assertIn("peers", self.call("bench", "--list")[1])
        self.assertIn("fedorov-2016", self.call("paper", "--list")[1])

    def test_no_program_is_one_sentence(self) -> None:
        code, _, err = self.call("bench", env={"DBTLAB_BIN": "/nowhere/dbtlab"})
        self.assertEqual((code, err.count("\n")), (1, 1))

    # -- a bench --

    def test_a_whole_bench(self) -> None:
        code, out, err = self.bench("--repeat=3", "--vcpus=1", "--seed=7")
        self.assertEqual(code, 0, err)
        runs = self.runs()
        self.assertEqual([r["order"] for r in runs], list(range(3 * (4 * 2 + 1) + 4 * 2)))
        counting = [r for r in runs if r["copy"] == 2]
        self.assertEqual(len({(r["cell"], r["variant"]) for r in counting}), 8)
        self.assertEqual({r["values"]["counted"] for r in counting}, {1})
        self.assertTrue(all("counted" not in r["values"] for r in runs if r["copy"] != 2))
        report = (self.out / "report.md").read_text()
        self.assertIn("Slow-path hook calls per million guest instructions", report)
        first = runs[0]
        self.assertEqual((first["seed"], first["self_check"], first["vcpus"]), (7, "pass", 1))
        self.assertEqual((first["wall_ns"], first["counters"]), (9, {"n": 3}))
        self.assertEqual(first["hooks_per_minsn"], {"ldrex": 1})
        self.assertIn("involuntary_switches", first["process"])
        self.assertIn("steal_ticks", first["host"])
        manifest = json.loads((self.out / "manifest.json").read_text())
        self.assertTrue(manifest["complete"])
        self.assertEqual(manifest["counter_help"], {"n": "h"})
        self.assertEqual(len(manifest["guest_images_sha256"]), 4)
        chosen = manifest["experiments"][0]["metric_chosen_beforehand"]
        self.assertEqual(chosen["key"], "values.roi_ns")
        names = sorted(path.name for path in self.out.iterdir())
        self.assertEqual(names, ["manifest.json", "plots", "report.md", "runs.jsonl"])
        self.assertIn("bench: 0/35", err)
        self.assertIn("report:", out)

    def test_what_the_program_refuses_is_left_out_with_its_words(self) -> None:
        code, _, err = self.call("bench", "--axis=atomics", "--repeat=1", f"--out={self.out}")
        self.assertEqual(code, 1)
        self.assertIn("nothing is left to compare", err)
        self.assertIn("htm needs RTM", err)
        self.assertFalse(self.out.exists())

    def test_a_folder_with_something_in_it_is_refused(self) -> None:
        self.out.mkdir()
        (self.out / "mine").write_text("")
        self.refused("is not empty", "bench", "--axis=invalidation", f"--out={self.out}")
        self.assertEqual([p.name for p in self.out.iterdir()], ["mine"])

    def test_two_benches_never_run_side_by_side(self) -> None:
        with open(self.scratch / "dbtlab-bench.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            code, _, err = self.bench("--repeat=1")
        self.assertEqual(code, 1)
        self.assertIn("another bench is running", err)

    # -- stopping and going on --

    def stop_after(self, count: int) -> tuple[int, str]:
        process = self.start(
            "bench", "--axis=invalidation", "--repeat=2", "--vcpus=1", f"--out={self.out}",
            env={"DBTLAB_TEST_RUNS": str(count)},
        )  # fmt: skip
        log = self.out / "runs.jsonl"
        deadline = time.monotonic() + 60
        while not log.exists() or log.read_bytes().count(b"\n") < count:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        (self.scratch / "go").touch()
        out, _ = process.communicate(timeout=60)
        return process.returncode, out

    def test_ctrl_c_keeps_and_resume_goes_on(self) -> None:
        code, out = self.stop_after(3)
        self.assertEqual(code, 130)
        kept = self.runs()
        self.assertGreaterEqual(len(kept), 3)
        self.assertLess(len(kept), 18 + 8)
        self.assertIn("Stopped:", out)
        self.assertIn("Stopped early", (self.out / "report.md").read_text())
        code, _, err = self.call("bench", "--resume", f"--out={self.out}")
        self.assertEqual(code, 0, err)
        runs = self.runs()
        self.assertEqual(runs[: len(kept)], kept)
        self.assertEqual([r["order"] for r in runs], list(range(18 + 8)))
        manifest = json.loads((self.out / "manifest.json").read_text())
        self.assertEqual(len(manifest["resumed"]), 1)

    def test_resume_with_another_program_is_refused(self) -> None:
        self.stop_after(1)
        with open(self.scratch / "program", "a") as program:
            program.write("# changed\n")
        self.refused("the program changed", "bench", "--resume", f"--out={self.out}")

    # -- trouble --

    def test_failing_runs_are_kept_and_marked(self) -> None:
        program = self.scratch / "program"
        text = program.read_text().replace("fail=1)", "*churn*.elf)")
        program.write_text(text)
        code, out, err = self.bench("--repeat=1", "--vcpus=1")
        self.assertEqual(code, 0, err)
        marked = [r for r in self.runs() if r["self_check"] == "FAIL on purpose"]
        self.assertEqual({r["guest"] for r in marked}, {"churn"})
        self.assertIn("2 runs failed their self-check", out)
        self.assertIn("no run passed", out)

    def test_disk_full_is_one_sentence_and_leaves_whole_lines(self) -> None:
        """A limit on file sizes stands in for the full disk; the manifest (6 kB) still fits."""
        limit = 9_000

        def small() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        code, out, err = self.bench("--repeat=9", preexec_fn=small)
        self.assertEqual(code, 1, err)
        last = err.strip().splitlines()[-1]
        self.assertRegex(last, r"cannot write .*runs\.jsonl: .*; \d+ runs are kept and --resume")
        self.assertNotIn("Traceback", err)
        self.assertTrue(self.runs())
        self.assertTrue((self.out / "runs.jsonl").read_text().endswith("\n"))
        code, _, err = self.call("bench", "--resume", f"--out={self.out}")
        self.assertEqual(code, 0, err)


if __name__ == "__main__":
    unittest.main()
