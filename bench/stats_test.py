"""stats_test.py - the statistics against known values and against scipy."""

from __future__ import annotations

import math
import unittest

import numpy as np
from scipy import stats as sps

import stats


class RankTest(unittest.TestCase):
    def test_fully_separated_samples_have_the_known_exact_p(self) -> None:
        # 5 against 5 without overlap: 2 of C(10,5) = 252 orders are as extreme.
        self.assertAlmostEqual(stats.rank_test([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]), 2 / 252)

    def test_nine_against_nine_is_exact(self) -> None:
        rng = np.random.default_rng(1)
        x, y = rng.normal(0, 1, 9), rng.normal(0.7, 1, 9)
        want = sps.mannwhitneyu(x, y, method="exact").pvalue
        self.assertAlmostEqual(stats.rank_test(x, y), want)

    def test_ties_take_the_corrected_approximation(self) -> None:
        x, y = [1, 1, 2, 2, 3], [2, 2, 3, 3, 3]
        want = sps.mannwhitneyu(x, y, method="asymptotic").pvalue
        self.assertAlmostEqual(stats.rank_test(x, y), want)

    def test_equal_constants_show_nothing(self) -> None:
        self.assertEqual(stats.rank_test([3, 3, 3], [3, 3, 3]), 1.0)

    def test_false_alarms_come_at_the_stated_rate(self) -> None:
        rng = np.random.default_rng(7)
        hits = sum(stats.rank_test(rng.random(9), rng.random(9)) < 0.05 for _ in range(1000))
        self.assertLess(hits, 70)
        self.assertGreater(hits, 20)

    def test_holm_known_values(self) -> None:
        adjusted = stats.holm([0.01, 0.04, 0.03])
        for got, want in zip(adjusted, [0.03, 0.06, 0.06], strict=True):
            self.assertAlmostEqual(got, want)


class EffectSize(unittest.TestCase):
    def test_cliffs_delta(self) -> None:
        self.assertEqual(stats.cliffs_delta([4, 5], [1, 2, 3]), 1.0)
        self.assertEqual(stats.cliffs_delta([1, 2], [4, 5]), -1.0)
        self.assertAlmostEqual(stats.cliffs_delta([1, 3], [2, 3]), -0.25)

    def test_delta_agrees_with_scipys_u(self) -> None:
        rng = np.random.default_rng(3)
        x, y = rng.random(11), rng.random(8)
        u = sps.mannwhitneyu(x, y).statistic
        self.assertAlmostEqual(stats.cliffs_delta(x, y), 2 * u / (11 * 8) - 1)

    def test_hodges_lehmann_inverts(self) -> None:
        x, y = [1.0, 2.0, 4.0], [3.0, 5.0, 9.0, 11.0]
        product = stats.hodges_lehmann_ratio(x, y) * stats.hodges_lehmann_ratio(y, x)
        self.assertAlmostEqual(product, 1.0)
        self.assertAlmostEqual(stats.hodges_lehmann_ratio([2, 4, 8], [1, 2, 4]), 2.0)


class Bootstrap(unittest.TestCase):
    def test_interval_holds_the_median_as_often_as_it_says(self) -> None:
        truth, inside, tries = math.exp(1.0), 0, 300
        data = np.random.default_rng(11)
        for i in range(tries):
            sample = data.lognormal(1.0, 0.3, 15)
            iv = stats.median_interval(sample, stats.generator(5, str(i)))
            inside += iv.low <= truth <= iv.high
        self.assertGreater(inside / tries, 0.90)

    def test_near_scipys_percentile_bootstrap(self) -> None:
        x = np.random.default_rng(2).normal(100, 5, 20)
        want = sps.bootstrap((x,), np.median, method="percentile", random_state=1)
        got = stats.median_interval(x, stats.generator(1, "x"))
        self.assertAlmostEqual(got.low, want.confidence_interval.low, delta=1.0)
        self.assertAlmostEqual(got.high, want.confidence_interval.high, delta=1.0)

    def test_same_seed_same_interval_and_labels_are_apart(self) -> None:
        x = [1.0, 2.0, 3.5, 7.0, 8.0, 9.0]
        a = stats.median_interval(x, stats.generator(1, "a"))
        self.assertEqual(a, stats.median_interval(x, stats.generator(1, "a")))
        draws = [stats.generator(1, label).random() for label in "ab"]
        self.assertNotEqual(draws[0], draws[1])

    def test_ratio_of_zero_baseline_is_not_a_number(self) -> None:
        iv = stats.ratio_interval([1, 2], [0, 0], stats.generator(1, "z"))
        self.assertTrue(math.isnan(iv.value))

    def test_geomean(self) -> None:
        pairs = [([2.0] * 3, [1.0] * 3), ([8.0] * 3, [1.0] * 3)]
        iv = stats.geomean_interval(pairs, stats.generator(1, "g"))
        self.assertAlmostEqual(iv.value, 4.0)
        self.assertAlmostEqual(iv.low, 4.0)

    def test_slope_of_a_power_law(self) -> None:
        groups = [(x, [3 * x**0.5] * 5) for x in (1, 10, 100)]
        iv = stats.loglog_slope(groups, stats.generator(1, "s"))
        self.assertAlmostEqual(iv.value, 0.5)
        self.assertAlmostEqual(iv.high, 0.5)


if __name__ == "__main__":
    unittest.main()
