"""claims_test.py - each kind of claim can hold, fail and stay undecided; and the last two sentences."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np

import claims
from claims import FAILS, HOLDS, UNDECIDED, Claim, Judged
from errors import UsageError
from plan import Cell, Experiment, Metric

METRIC = Metric("values.v", "1", "lower")
XS = (16, 128, 1024)
CELLS = tuple(
    Cell("e", "g", "a32", (f"x={x}",), n, (), f"g x={x}") for x in XS for n in (1, 2)
)
EXPERIMENT = Experiment("e", "?", "axis", ("a", "b"), "b", METRIC, CELLS, frozenset())


def runs(value: Any, noise: float = 0.002, count: int = 9) -> list[dict[str, Any]]:
    """value(variant, x, vcpus) with a little noise."""
    rng = np.random.default_rng(4)
    return [
        {
            "experiment": "e", "cell": cell.id, "variant": variant, "copy": 0,
            "self_check": "pass",
            "values": {"v": value(variant, cell.param("x"), cell.vcpus) * rng.normal(1, noise)},
        }
        for cell in CELLS for variant in "ab" for _ in range(count)
    ]  # fmt: skip


def verdict(test: str, measured: list[dict[str, Any]], **more: Any) -> str:
    claim = Claim("F1", "c", "s", "thread", test, "e", "values.v", "a", **{"b": "b", **more})
    return claims.judge(claim, (EXPERIMENT,), measured, 1).verdict


class Verdicts(unittest.TestCase):
    def test_below_and_above(self) -> None:
        lower = runs(lambda variant, x, n: 90 if variant == "a" else 100)
        self.assertEqual(verdict("below", lower), HOLDS)
        self.assertEqual(verdict("above", lower), FAILS)

    def test_equal_to_within_the_margin_refutes_a_difference(self) -> None:
        self.assertEqual(verdict("below", runs(lambda *_: 100)), FAILS)

    def test_noise_leaves_it_undecided(self) -> None:
        noisy = runs(lambda *_: 100, noise=0.2)
        self.assertEqual(verdict("below", noisy), UNDECIDED)
        self.assertEqual(verdict("same", noisy), UNDECIDED)

    def test_opposite_cells_refute(self) -> None:
        mixed = runs(lambda variant, x, n: 100 if variant == "b" else 80 if n == 1 else 120)
        self.assertEqual(verdict("below", mixed), FAILS)
        self.assertEqual(verdict("below", mixed, where={"vcpus": [1]}), HOLDS)

    def test_same(self) -> None:
        self.assertEqual(verdict("same", runs(lambda *_: 100)), HOLDS)
        apart = runs(lambda variant, x, n: 100 if variant == "a" else 110)
        self.assertEqual(verdict("same", apart), FAILS)
        self.assertEqual(verdict("same", apart, margin=0.15), HOLDS)

    def test_same_over_a_parameter(self) -> None:
        grows = runs(lambda variant, x, n: x)
        over = {"b": "", "x": "x", "x_from": 16, "x_to": 1024}
        self.assertEqual(verdict("same", grows, **over), FAILS)
        self.assertEqual(verdict("same", runs(lambda *_: 5), **over), HOLDS)

    def test_steeper(self) -> None:
        linear = runs(lambda variant, x, n: x if variant == "a" else 50)
        self.assertEqual(verdict("steeper", linear, x="x"), HOLDS)
        flat = runs(lambda variant, x, n: 50 if variant == "a" else x)
        self.assertEqual(verdict("steeper", flat, x="x"), FAILS)
        self.assertEqual(verdict("steeper", runs(lambda *_: 50), x="x"), UNDECIDED)

    def test_grows(self) -> None:
        # Both in proportion, so that log-log slopes cannot tell them apart.
        dearer = runs(lambda variant, x, n: 40 * x if variant == "a" else 30 * x)
        self.assertEqual(verdict("steeper", dearer, x="x"), UNDECIDED)
        self.assertEqual(verdict("grows", dearer, x="x"), HOLDS)
        cheaper = runs(lambda variant, x, n: 30 * x if variant == "a" else 40 * x)
        self.assertEqual(verdict("grows", cheaper, x="x"), FAILS)
        self.assertEqual(verdict("grows", runs(lambda v, x, n: 30 * x), x="x"), UNDECIDED)
        shrinks = runs(lambda variant, x, n: 2000 - x if variant == "a" else 4000 - 3 * x)
        self.assertEqual(verdict("grows", shrinks, x="x"), FAILS)

    def test_nothing_measured_decides_nothing(self) -> None:
        self.assertEqual(verdict("below", []), UNDECIDED)
        claim = Claim("F1", "c", "s", "t", "below", "other", "values.v", "a", "b")
        self.assertEqual(claims.judge(claim, (EXPERIMENT,), [], 1).verdict, UNDECIDED)

    def test_too_few_runs_decide_nothing(self) -> None:
        def apart(variant: str, x: float, n: int) -> float:
            return x if variant == "a" else 50

        for test, more in (("below", {}), ("same", {}), ("steeper", {"x": "x"}), ("grows", {"x": "x"})):
            self.assertEqual(verdict(test, runs(apart, count=8), **more), UNDECIDED)

    def test_failed_runs_decide_nothing(self) -> None:
        lower = runs(lambda variant, x, n: 90 if variant == "a" else 100)
        for run in lower:
            run["self_check"] = "exit code 1"
        self.assertEqual(verdict("below", lower), UNDECIDED)

    def test_unknown_names_are_told(self) -> None:
        with self.assertRaisesRegex(UsageError, "unknown test"):
            verdict("fancier", [])
        claim = Claim("F1", "c", "s", "t", "below", "e", "values.w", "a", "b")
        with self.assertRaisesRegex(UsageError, "unknown metric of e 'values.w'"):
            claims.judge(claim, (EXPERIMENT,), [], 1)


class Sentences(unittest.TestCase):
    def test_always_two(self) -> None:
        for kinds in ([HOLDS], [FAILS], [UNDECIDED], [HOLDS, FAILS, UNDECIDED], []):
            judged = [
                Judged(Claim(f"F{i}", "c", f"s{i}", "t", "same", "e", "v", "a"), kind, [])
                for i, kind in enumerate(kinds, 1)
            ]
            lines = claims.sentences(judged)
            self.assertEqual(len(lines), 2)
            for line in lines:
                self.assertTrue(line.endswith(".") and line.count(". ") == 0, line)
            for j in judged:
                self.assertIn(f"{j.claim.id} ({j.claim.short})", lines[0 if j.verdict == HOLDS else 1])


if __name__ == "__main__":
    unittest.main()
