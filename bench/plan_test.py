"""plan_test.py - the order of runs: seeded, interleaved, complete; and the metric paths."""

from __future__ import annotations

import unittest

from plan import Cell, Experiment, Metric, schedule

METRIC = Metric(key="values.roi_ns", unit="ns", better="lower")


def experiment(name: str = "e", cells: int = 3, aa: int = 1) -> Experiment:
    made = tuple(Cell(name, "g", "a32", (f"n={i}",), 1 + i % 2, (), f"g n={i}") for i in range(cells))
    return Experiment(
        name, "?", "axis", ("a", "b", "c"), "b", METRIC, made, frozenset(c.id for c in made[:aa])
    )


class Schedule(unittest.TestCase):
    def test_same_seed_same_order(self) -> None:
        first = schedule([experiment()], 9, 42)
        self.assertEqual(first, schedule([experiment()], 9, 42))
        self.assertNotEqual(first, schedule([experiment()], 9, 43))

    def test_each_round_holds_each_variant_once(self) -> None:
        runs = schedule([experiment("e"), experiment("f", cells=2)], 9, 1)
        per_round = (3 * 3 + 1) + (2 * 3 + 1)
        self.assertEqual(len(runs), 9 * per_round)
        for turn in range(9):
            mine = runs[turn * per_round : (turn + 1) * per_round]
            self.assertEqual({run.round for run in mine}, {turn})
            self.assertEqual(len({(r.cell, r.variant, r.copy) for r in mine}), per_round)
        self.assertEqual([run.order for run in runs], list(range(len(runs))))

    def test_rounds_are_interleaved_not_blocked(self) -> None:
        runs = schedule([experiment(cells=1)], 50, 5)
        orders = {tuple(r.variant for r in runs[i : i + 4]) for i in range(0, len(runs), 4)}
        self.assertGreater(len(orders), 6)
        same_neighbours = sum(a.variant == b.variant for a, b in zip(runs, runs[1:], strict=False))
        self.assertLess(same_neighbours, len(runs) / 2)

    def test_aa_pair_is_the_baseline_twice_in_the_same_round(self) -> None:
        runs = schedule([experiment(cells=1)], 2, 3)
        copies = [run for run in runs if run.copy == 1]
        self.assertEqual([run.variant for run in copies], ["b", "b"])
        self.assertEqual([run.round for run in copies], [0, 1])


class Paths(unittest.TestCase):
    RUN = {"values": {"roi_ns": 50}, "counters": {"loops": 100}, "histograms": {"h": {"p99": 7}}}

    def test_dotted_key(self) -> None:
        self.assertEqual(METRIC.of(self.RUN), 50)
        self.assertEqual(Metric("histograms.h.p99", "ns", "lower").of(self.RUN), 7)

    def test_quotient(self) -> None:
        rate = Metric("counters.loops", "1/s", "higher", over="values.roi_ns", scale=1e9)
        self.assertEqual(rate.of(self.RUN), 2e9)

    def test_what_is_missing_is_none_and_not_zero(self) -> None:
        self.assertIsNone(Metric("values.other_ns", "ns", "lower").of(self.RUN))
        self.assertIsNone(Metric("values", "ns", "lower").of(self.RUN))


if __name__ == "__main__":
    unittest.main()
