"""stats.py - the statistics of a comparison: medians, bootstrap intervals, rank test, effect size.

No function here drops a value. Every random draw comes from a generator the caller seeds, so that
a report made twice from the same runs is the same report.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as sps

LEVEL = 0.95
RESAMPLES = 10_000
EXACT_LIMIT = 2_500  # pairs up to which the rank test is exact, if there are no ties

Values = Sequence[float]


@dataclass(frozen=True)
class Interval:
    """A point estimate with its bootstrap interval (percentile method)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One variant against its baseline, both in the same unit."""

    n: int
    n_base: int
    ratio: Interval  # median of the variant / median of the baseline
    shift: float  # Hodges-Lehmann: median of all pairwise ratios
    delta: float  # Cliff's delta, -1 (always below) .. 1 (always above the baseline)
    p: float  # Mann-Whitney, two-sided


def generator(seed: int, label: str) -> np.random.Generator:
    """A generator of its own for each label, so that adding a row does not move another."""
    return np.random.default_rng([seed, zlib.crc32(label.encode())])


def _medians(x: Values, rng: np.random.Generator) -> np.ndarray:
    data = np.asarray(x, dtype=float)
    return np.median(rng.choice(data, size=(RESAMPLES, len(data))), axis=1)


def _interval(value: float, draws: np.ndarray, level: float) -> Interval:
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def median_interval(x: Values, rng: np.random.Generator, level: float = LEVEL) -> Interval:
    return _interval(np.median(x), _medians(x, rng), level)


def ratio_interval(
    x: Values, base: Values, rng: np.random.Generator, level: float = LEVEL
) -> Interval:
    """Median(x) / median(base); both samples are resampled, since both were measured."""
    below = _medians(base, rng)
    if np.median(base) <= 0 or below.min() <= 0:
        return Interval(math.nan, math.nan, math.nan)
    return _interval(np.median(x) / np.median(base), _medians(x, rng) / below, level)


def geomean_interval(
    pairs: Sequence[tuple[Values, Values]], rng: np.random.Generator, level: float = LEVEL
) -> Interval:
    """Geometric mean over rows of median(x) / median(base)."""
    logs = np.zeros(RESAMPLES)
    value = 0.0
    for x, base in pairs:
        if min(*x, *base) <= 0:
            return Interval(math.nan, math.nan, math.nan)
        logs += np.log(_medians(x, rng) / _medians(base, rng))
        value += math.log(np.median(x) / np.median(base))
    return _interval(math.exp(value / len(pairs)), np.exp(logs / len(pairs)), level)


def hodges_lehmann_ratio(x: Values, base: Values) -> float:
    """Median of all x_i / base_j, taken over logarithms so that swapping the two inverts it."""
    if min(*x, *base) <= 0:
        return math.nan
    return float(np.exp(np.median(np.subtract.outer(np.log(x), np.log(base)))))


def cliffs_delta(x: Values, base: Values) -> float:
    return float(np.mean(np.sign(np.subtract.outer(np.asarray(x), np.asarray(base)))))


def rank_test(x: Values, base: Values, alternative: str = "two-sided") -> float:
    """Mann-Whitney's p: exact where there are no ties, else with the tie correction."""
    pooled = np.concatenate([np.asarray(x, float), np.asarray(base, float)])
    if np.all(pooled == pooled[0]):
        return 1.0
    ties = len(np.unique(pooled)) < len(pooled)
    method = "asymptotic" if ties or len(x) * len(base) > EXACT_LIMIT else "exact"
    return float(sps.mannwhitneyu(x, base, alternative=alternative, method=method).pvalue)


def compare(x: Values, base: Values, rng: np.random.Generator) -> Comparison:
    return Comparison(
        n=len(x),
        n_base=len(base),
        ratio=ratio_interval(x, base, rng),
        shift=hodges_lehmann_ratio(x, base),
        delta=cliffs_delta(x, base),
        p=rank_test(x, base),
    )


def holm(ps: Values) -> list[float]:
    """Holm's step-down correction for the tests made together."""
    order = np.argsort(ps, kind="stable")
    out = [0.0] * len(ps)
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[index]))
        out[index] = worst
    return out


def loglog_draws(
    groups: Sequence[tuple[float, Values]], rng: np.random.Generator
) -> tuple[float, np.ndarray]:
    """Least-squares slope of log(median y) over log(x), and its bootstrap draws."""
    xs = np.log([x for x, _ in groups])
    xs -= xs.mean()
    norm = float(xs @ xs)
    floor = 1e-12  # a latency of zero has no logarithm
    draws = np.stack([_medians(np.maximum(ys, floor), rng) for _, ys in groups])
    value = np.log([np.median(np.maximum(ys, floor)) for _, ys in groups])
    return float(xs @ value) / norm, (xs @ np.log(draws)) / norm


def linear_draws(
    groups: Sequence[tuple[float, Values]], rng: np.random.Generator
) -> tuple[float, np.ndarray]:
    """Growth of median y per unit of x, and its bootstrap draws: least squares of the relative errors, as noise
    grows with what is measured."""
    xs = np.array([x for x, _ in groups], float)
    medians = np.array([np.median(ys) for _, ys in groups])
    draws = np.stack([_medians(ys, rng) for _, ys in groups])
    weights = 1 / np.maximum(medians, 1e-12) ** 2
    xs -= np.average(xs, weights=weights)
    norm = float(xs @ (weights * xs))
    return float((weights * xs) @ medians) / norm, ((weights * xs) @ draws) / norm


def loglog_slope(
    groups: Sequence[tuple[float, Values]], rng: np.random.Generator, level: float = LEVEL
) -> Interval:
    """The slope with its interval: 0 is flat, 1 is proportional."""
    value, draws = loglog_draws(groups, rng)
    return _interval(value, draws, level)
