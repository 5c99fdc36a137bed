"""insn_count_test.py — guest instructions are counted exactly: by the interpreter, and by translated code when asked

insn_count runs the same instructions each time and leaves its blocks in every way there is, also by exceptions in their midst. Blocks
of one instruction, single steps and the interpreter are the reference of long, chained blocks.
"""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

RUNFILES = Path(os.environ.get("TEST_SRCDIR", "/nonexistent")) / os.environ.get("TEST_WORKSPACE", "")
BINARY = Path(os.environ.get("DBTLAB_BIN") or RUNFILES / "engine/main/dbtlab")
GUESTS = Path(os.environ.get("DBTLAB_GUESTS") or RUNFILES / "bench/guest")
LIMIT_S = 120


def stats_of(isa: str, *options: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stats.json"
        command = [BINARY, "run", f"--stats=json:{file}", *options, GUESTS / f"insn_count.{isa}.elf"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if done.returncode or "PASS insn_count" not in done.stdout:
            raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(file.read_text())


def insns(stats: dict) -> int:
    return stats["counters"]["guest_insns"]["value"]


class Counts(unittest.TestCase):
    def test_all_ways_to_run_count_the_same(self) -> None:
        for isa in ("a32", "t32"):
            want = insns(stats_of(isa, "--engine=interp"))
            self.assertGreater(want, 100_000)
            ways = [["--engine=interp", "--step=1"], ["--engine=interp", "--max-insns=1"]]
            for options in ([], ["--no-chain"], ["--max-insns=1"], ["--max-insns=3"], ["--step=1"], ["--step=7"],
                            ["--tb-cache=per-cpu", "--tb-lifetime=rcu", "--code-memory=1M"], ["--atomics=cmpxchg"],
                            ["--chaos=seed=3,flush=100000,unchain=100000,alloc=20000"]):
                ways.append(["--count-insns", *options])
            for options in ways:
                with self.subTest(isa=isa, options=options):
                    self.assertEqual(insns(stats_of(isa, *options)), want)

    def test_helper_calls(self) -> None:
        want = stats_of("a32", "--engine=interp")["counters"]["helper_calls"]["value"]
        self.assertGreater(want, 100)
        for options in ([], ["--no-chain"], ["--max-insns=2"]):
            self.assertEqual(stats_of("a32", "--count-insns", *options)["counters"]["helper_calls"]["value"], want)

    def test_code_counts_only_when_asked(self) -> None:
        plain, counting = stats_of("a32"), stats_of("a32", "--count-insns")
        self.assertEqual(insns(plain), 0)
        self.assertIsNone(plain["hooks_per_minsn"])
        self.assertLess(plain["counters"]["tb_code_bytes"]["value"], counting["counters"]["tb_code_bytes"]["value"])

    def test_rates_are_calls_over_counted_instructions(self) -> None:
        stats = stats_of("t32", "--count-insns")
        rates, total = stats["hooks_per_minsn"], insns(stats)
        self.assertIn("slow_stores", rates)
        for name, rate in rates.items():
            self.assertAlmostEqual(rate, stats["counters"][name]["value"] * 1e6 / total, places=2)


if __name__ == "__main__":
    unittest.main()
