"""report_test.py - rows, verdicts and the report, from made-up runs in a temporary folder."""

from __future__ import annotations

import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import analysis
import record
import report
from plan import Cell, Experiment, Metric

METRIC = Metric("values.roi_ns", "ns", "lower", label="time")
CELLS = tuple(Cell("e", "g", "a32", (), n, (), "guest g") for n in (1, 2))
EXPERIMENT = Experiment(
    "e", "Does it matter?", "axis", ("slow", "same", "base"), "base", METRIC, CELLS,
    frozenset(c.id for c in CELLS),
)  # fmt: skip
FACTOR = {"slow": 1.3, "same": 1.0, "base": 1.0}


def made_up(count: int = 9, seed: int = 1) -> list[dict[str, Any]]:
    """Runs with 1 % of noise; "slow" takes 1.3 times as long."""
    rng = np.random.default_rng(seed)
    runs = []
    for turn in range(count):
        for cell in CELLS:
            for variant, copy in [("slow", 0), ("same", 0), ("base", 0), ("base", 1)]:
                value = 1e8 * FACTOR[variant] * rng.normal(1, 0.01)
                runs.append(
                    {
                        "order": len(runs), "round": turn, "experiment": "e", "cell": cell.id,
                        "variant": variant, "copy": copy, "self_check": "pass",
                        "values": {"roi_ns": value}, "host": {"steal_ticks": 0},
                    }
                )  # fmt: skip
    first = [r for r in runs if (r["round"], r["copy"]) == (0, 0)]
    return runs + [{**r, "copy": 2, "values": {}, "hooks_per_minsn": {"ldrex": 3.0}} for r in first]


def manifest(**changes: Any) -> dict[str, Any]:
    host = {
        "cpu_model": "a CPU", "kernel": "6.1", "governor": None, "load_1min": 0.0,
        "cpu_quota": None, "ticks_per_s": 100,
        "topology": {"usable_cpus": [0], "physical_cores": 1},
    }  # fmt: skip
    base = {
        "title": "T", "question": "Q?", "seed": 1, "repeat": 9, "vcpus": [1, 2], "host": host,
        "program": {"version": "v1\nflags"}, "pin": "auto", "memory": "256M", "left_out": [],
    }  # fmt: skip
    return {**base, **changes}


class Rows(unittest.TestCase):
    def row(self, runs: list[dict[str, Any]], variant: str, copy: int = 0) -> analysis.Row:
        result = analysis.analyse(EXPERIMENT, runs, 1)
        found = result.of(CELLS[0], variant, copy)
        assert found
        return found

    def test_a_real_difference_is_called(self) -> None:
        row = self.row(made_up(), "slow")
        assert row.versus
        self.assertRegex(row.verdict, r"^slower by (29|30|31)\.\d %$")
        self.assertEqual(row.versus.delta, 1.0)
        self.assertTrue(row.versus.ratio.low < 1.3 < row.versus.ratio.high + 0.02)

    def test_none_is_called_where_there_is_none(self) -> None:
        self.assertEqual(self.row(made_up(), "same").verdict, "no difference seen")
        self.assertEqual(self.row(made_up(), "base", 1).verdict, "A/A pair agrees")

    def test_higher_is_better_turns_the_word(self) -> None:
        rates = replace(EXPERIMENT, metric=replace(METRIC, better="higher"))
        row = analysis.analyse(rates, made_up(), 1).of(CELLS[0], "slow")
        assert row
        self.assertRegex(row.verdict, "^faster by")

    def test_failed_runs_enter_no_statistic(self) -> None:
        runs = made_up()
        for run in runs:
            if run["variant"] == "slow" and run["round"] < 2:
                run["self_check"] = "FAIL lost an update"
                run["values"]["roi_ns"] = 1.0
        row = self.row(runs, "slow")
        self.assertEqual((len(row.values), len(row.failures)), (7, 2))
        assert row.median
        self.assertGreater(row.median.low, 1e8)

    def test_outliers_stay(self) -> None:
        runs = made_up()
        next(r for r in runs if r["variant"] == "slow")["values"]["roi_ns"] = 9e9
        self.assertIn(9e9, self.row(runs, "slow").values)

    def test_too_few_runs_say_so(self) -> None:
        self.assertEqual(self.row(made_up(2), "slow").verdict, "too few runs to tell")
        self.assertIn("an indication", self.row(made_up(7), "slow").verdict)

    def test_a_difference_within_the_aa_pair_is_nothing(self) -> None:
        runs = made_up()
        for run in runs:
            if run["copy"] == 1:
                run["values"]["roi_ns"] *= 1.5
        self.assertIn("no more than the A/A pair differs", self.row(runs, "slow").verdict)
        self.assertEqual(self.row(runs, "base", 1).verdict, "A/A pair differs: distrust")

    def test_without_its_baseline_a_row_is_not_judged(self) -> None:
        runs = [run for run in made_up() if run["variant"] != "base"]
        self.assertEqual(self.row(runs, "slow").verdict, "no baseline to compare with")

    def test_no_run_passed(self) -> None:
        runs = made_up()
        for run in runs:
            run["self_check"] = "exit code 1"
        self.assertEqual(self.row(runs, "slow").verdict, "no run passed")


class Report(unittest.TestCase):
    def write(self, runs: list[dict[str, Any]], **changes: Any) -> str:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            lines = "".join(json.dumps(run) + "\n" for run in runs)
            (folder / record.RUNS).write_text(lines)
            report.write(folder, manifest(**changes), (EXPERIMENT,), len(runs))
            self.files = sorted(p.name for p in (folder / "plots").glob("*"))
            return (folder / "report.md").read_text()

    def test_the_whole_report(self) -> None:
        text = self.write(made_up())
        for part in ("slower by", "A/A pair agrees", "base again", "chosen beforehand", "ldrex"):
            self.assertIn(part, text)
        self.assertIn("2 (over-committed)", text)
        self.assertIn("2 vCPUs: over-committed on this host", text)
        self.assertEqual(self.files, ["e.dat", "e.gp", "e.png", "e.svg"])

    def test_same_runs_same_report(self) -> None:
        self.assertEqual(self.write(made_up()), self.write(made_up()))

    def test_failures_are_listed(self) -> None:
        runs = made_up()
        runs[0]["self_check"] = "killed after 60 s"
        text = self.write(runs)
        self.assertIn("Runs that failed their self-check", text)
        self.assertIn("killed after 60 s", text)

    def test_cautions(self) -> None:
        text = self.write(made_up(5), repeat=5, left_out=["e: x was left out (no RTM)"])
        self.assertIn("fewer than the 9 a claim needs", text)
        self.assertIn("no RTM", text)
        runs = made_up()
        runs[3]["host"]["steal_ticks"] = 4
        self.assertIn("in 1 of 72 runs", self.write(runs))

    def test_quantities(self) -> None:
        self.assertEqual(report.quantity(2.21e8, "ns"), "221 ms")
        self.assertEqual(report.quantity(3.2e9, "ns"), "3.20 s")
        self.assertEqual(report.quantity(12.34e6, "1/s"), "12.3 M/s")
        self.assertEqual(report.quantity(5, "1"), "5.00")
        self.assertEqual(report.quantity(0, "ns"), "0 s")


class Copies(unittest.TestCase):
    def test_throughput_of_two_over_one(self) -> None:
        metric = Metric("values.roi_ns", "ns", "lower")
        one, two = (
            Cell("e", "g", "a32", ("loops=9", f"copies={n}"), 2, (), f"g copies={n}") for n in (1, 2)
        )
        experiment = Experiment("e", "q", "engine", ("dbtlab",), "dbtlab", metric, (one, two), frozenset())
        runs = [
            {"experiment": "e", "cell": cell.id, "variant": "dbtlab", "copy": 0, "self_check": "pass",
             "values": {"roi_ns": ns}}
            for cell, ns in ((one, 100), (two, 105)) for _ in range(3)
        ]  # fmt: skip
        lines = report._copies(report.analyse(experiment, runs, 1), 1)
        self.assertIn("1.905", lines[-1])
        self.assertEqual(len([line for line in lines if "copies=" in line]), 1)


if __name__ == "__main__":
    unittest.main()
