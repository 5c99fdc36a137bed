"""claims.py - claims of a paper as data, each judged by a stated test on the runs.

Every test can end three ways: "holds", "does not hold", "undecided". Undecided is what fewer than nine
runs, missing numbers or mixed cells give; it is never counted as agreement. Cells are the vCPU counts and
fixed options that the claim's `where` leaves open.

    below    a's metric is lower than b's: two-sided Mann-Whitney in each cell, corrected by Holm. Holds
             if some cell shows it and none the opposite; does not hold if some cell shows the opposite,
             or if every cell's ratio a/b lies within the margin (90 % bootstrap intervals).
    above    the same the other way round.
    same     a/b lies within the margin in every cell (90 % bootstrap interval of the ratio of medians,
             which is two one-sided tests at 5 %). Does not hold if some cell lies wholly outside.
    steeper  over the parameter x, the log-log slope of a exceeds that of b in every cell by more than
             min_slope (95 % interval of the difference); does not hold if some cell lies wholly below.
    grows    over the parameter x, a grows (95 % interval of its linear slope) and by more per unit of x than b, in
             every cell (95 % interval of the difference); does not hold if in some cell either is wholly
             otherwise. For what both do in proportion to x, one of them at a higher price.

With `x_from` and `x_to`, `same` compares a at the two values of x instead of a with b.
"""

from __future__ import annotations

import math
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import stats
from analysis import ALPHA, ENOUGH, values_of
from errors import UsageError, unknown
from plan import Cell, Experiment, Metric

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
EQUIVALENCE_LEVEL = 0.90
Run = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    id: str
    claim: str  # the source's, in our words
    short: str  # fits into "F1 (...)"
    source: str
    test: str
    experiment: str
    metric: str  # key of the experiment's metric or of one beside it
    a: str
    b: str = ""
    where: dict[str, Any] = field(default_factory=dict)
    margin: float = 0.02
    x: str = ""
    x_from: float | None = None
    x_to: float | None = None
    min_slope: float = 0.0


@dataclass(frozen=True)
class Judged:
    claim: Claim
    verdict: str
    evidence: list[str]  # one phrase a cell


@dataclass(frozen=True)
class Evidence:
    """One cell: does it show the claim (+1), its opposite (-1), or neither (0)? near: within margin."""

    shows: int
    near: bool
    text: str


def read(path: Path) -> list[Claim]:
    try:
        data = tomllib.loads(path.read_text())
        return [Claim(**row) for row in data["claim"]]
    except (OSError, tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise UsageError(f"cannot read the claims in {path}: {error}") from error


def _metric(experiment: Experiment, key: str) -> Metric:
    known = {m.key: m for m in (experiment.metric, *experiment.also)}
    if key not in known:
        raise unknown(f"metric of {experiment.name}", key, known)
    return known[key]


def _selected(cells: Iterable[Cell], where: dict[str, Any]) -> list[Cell]:
    params = set(where.get("params", []))
    return [
        cell
        for cell in cells
        if params <= set(cell.params)
        and ("fixed" not in where or list(cell.fixed) == where["fixed"])
        and ("vcpus" not in where or cell.vcpus in where["vcpus"])
    ]


def _situation(cell: Cell) -> str:
    vcpus = f"{cell.vcpus} vCPU" + ("s" if cell.vcpus > 1 else "")
    return ", ".join([vcpus, *cell.fixed])


class _Data:
    """The values of one experiment's runs, by cell and variant, for one metric."""

    def __init__(self, experiment: Experiment, runs: list[Run], metric: Metric) -> None:
        self.groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
        self.metric = metric
        for run in runs:
            if run["experiment"] == experiment.name and run["copy"] == 0:
                self.groups[run["cell"], run["variant"]].append(run)

    def of(self, cell: Cell, variant: str) -> list[float]:
        return values_of(self.groups[cell.id, variant], self.metric)


def _pairs(claim: Claim, cells: list[Cell], data: _Data) -> list[tuple[str, list, list]]:
    """What is compared in each situation: a with b, or a at x_to with a at x_from."""
    if claim.x_from is None:
        return [(_situation(c), data.of(c, claim.a), data.of(c, claim.b)) for c in cells]
    out = []
    for cell in cells:
        if cell.param(claim.x) != claim.x_to:
            continue
        for other in cells:
            same = (other.vcpus, other.fixed) == (cell.vcpus, cell.fixed)
            if same and other.param(claim.x) == claim.x_from:
                out.append((_situation(cell), data.of(cell, claim.a), data.of(other, claim.a)))
    return out


def _ratio_evidence(claim: Claim, cells: list[Cell], data: _Data, seed: int) -> list[Evidence]:
    pairs = [pair for pair in _pairs(claim, cells, data) if pair[1] and pair[2]]
    ps = stats.holm([stats.rank_test(a, b) for _, a, b in pairs])
    out = []
    for (where, a, b), p in zip(pairs, ps, strict=True):
        rng = stats.generator(seed, f"claim|{claim.id}|{where}")
        ratio = stats.ratio_interval(a, b, rng, EQUIVALENCE_LEVEL)
        near = 1 - claim.margin <= ratio.low and ratio.high <= 1 + claim.margin
        text = f"{where}: ratio {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}], p = {p:.2g}"
        if min(len(a), len(b)) < ENOUGH:
            out.append(Evidence(0, False, f"{text}, too few runs"))
            continue
        if claim.test == "same":
            outside = ratio.low > 1 + claim.margin or ratio.high < 1 - claim.margin
            out.append(Evidence(1 if near else -1 if outside else 0, near, text))
            continue
        sign = 0
        if p < ALPHA and not math.isnan(ratio.value) and ratio.value != 1:
            sign = 1 if (ratio.value < 1) == (claim.test == "below") else -1
        out.append(Evidence(sign, near, text))
    return out


def _slope_evidence(claim: Claim, cells: list[Cell], data: _Data, seed: int) -> list[Evidence]:
    situations: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        situations[_situation(cell)].append(cell)
    out = []
    linear = claim.test == "grows"
    for where, group in situations.items():
        slopes = []
        fewest = ENOUGH
        for variant in (claim.a, claim.b):
            points = [(c.param(claim.x), data.of(c, variant)) for c in group]
            points = [(x, ys) for x, ys in points if x > 0 and ys]
            fewest = min([fewest, *(len(ys) for _, ys in points)])
            if len({x for x, _ in points}) > 1:
                rng = stats.generator(seed, f"claim|{claim.id}|{where}|{variant}")
                draws_of = stats.linear_draws if linear else stats.loglog_draws
                slopes.append(draws_of(points, rng))
        if len(slopes) < 2:
            continue
        (value_a, draws_a), (value_b, draws_b) = slopes
        low, high = np.quantile(draws_a - draws_b, [0.025, 0.975])
        shows = 1 if low > claim.min_slope else -1 if high < claim.min_slope else 0
        text = f"{where}: slopes {value_a:.2f} and {value_b:.2f}, difference [{low:.2f}, {high:.2f}]"
        if linear:
            own_low, own_high = np.quantile(draws_a, [0.025, 0.975])
            shows = min(shows, 1 if own_low > 0 else -1 if own_high < 0 else 0)
            unit = f"{data.metric.unit} per {claim.x}"
            text = f"{where}: {value_a:.3g} and {value_b:.3g} {unit}, difference [{low:.3g}, {high:.3g}]"
        if fewest < ENOUGH:
            shows, text = 0, f"{text}, too few runs"
        out.append(Evidence(shows, False, text))
    return out


def _any_shows(found: list[Evidence]) -> str:
    if any(e.shows < 0 for e in found) or all(e.near for e in found):
        return FAILS
    return HOLDS if any(e.shows > 0 for e in found) else UNDECIDED


def _all_show(found: list[Evidence]) -> str:
    if any(e.shows < 0 for e in found):
        return FAILS
    return HOLDS if all(e.shows > 0 for e in found) else UNDECIDED


Gather = Callable[[Claim, list[Cell], _Data, int], list[Evidence]]
TESTS: dict[str, tuple[Gather, Callable[[list[Evidence]], str]]] = {
    "below": (_ratio_evidence, _any_shows),
    "above": (_ratio_evidence, _any_shows),
    "same": (_ratio_evidence, _all_show),
    "steeper": (_slope_evidence, _all_show),
    "grows": (_slope_evidence, _all_show),
}


def judge(
    claim: Claim, experiments: Iterable[Experiment], runs: list[Run], seed: int
) -> Judged:
    if claim.test not in TESTS:
        raise unknown(f"test of claim {claim.id}", claim.test, TESTS)
    experiment = next((e for e in experiments if e.name == claim.experiment), None)
    if experiment is None:
        return Judged(claim, UNDECIDED, ["not measured"])
    gather, combine = TESTS[claim.test]
    cells = _selected(experiment.cells, claim.where)
    data = _Data(experiment, runs, _metric(experiment, claim.metric))
    found = gather(claim, cells, data, seed)
    if not found:
        return Judged(claim, UNDECIDED, ["no numbers for it"])
    return Judged(claim, combine(found), [e.text for e in found])


def sentences(judged: list[Judged]) -> list[str]:
    """The two sentences that a paper's output ends in: what holds here, and what does not."""

    def listed(verdict: str) -> str:
        return "; ".join(f"{j.claim.id} ({j.claim.short})" for j in judged if j.verdict == verdict)

    total = len(judged)
    holds = sum(1 for j in judged if j.verdict == HOLDS)
    first = f"On this host {holds} of {total} claims {'holds' if holds == 1 else 'hold'}"
    first += f": {listed(HOLDS)}." if holds else "."
    parts = []
    if listed(FAILS):
        parts.append(f"not confirmed: {listed(FAILS)}")
    if listed(UNDECIDED):
        parts.append(f"undecided: {listed(UNDECIDED)}")
    rest = "; ".join(parts) or "no claim fails and none is undecided"
    second = f"{rest[0].upper()}{rest[1:]}, by the tests named in the report at the 5 % level."
    return [first, second]
