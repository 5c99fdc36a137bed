"""analysis.py - from the runs to rows: one row for each variant of each cell, compared and judged."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import stats
from plan import COUNTING, Cell, Experiment, Metric

ALPHA = 0.05
ENOUGH = 9  # repetitions from which on a difference may be claimed

Run = dict[str, Any]


@dataclass
class Row:
    cell: Cell
    variant: str
    copy: int
    values: list[float]
    failures: list[str]
    median: stats.Interval | None = None
    versus: stats.Comparison | None = None  # against the baseline; None for the baseline itself
    p_holm: float | None = None
    verdict: str = ""
    hooks: dict[str, float] = field(default_factory=dict)  # per million instructions, of the counting run


@dataclass
class Result:
    experiment: Experiment
    rows: list[Row]

    def of(self, cell: Cell, variant: str, copy: int = 0) -> Row | None:
        for row in self.rows:
            if (row.cell, row.variant, row.copy) == (cell, variant, copy):
                return row
        return None

    def comparisons(self) -> list[Row]:
        return [r for r in self.rows if r.versus and r.copy == 0]

    def aa(self) -> list[Row]:
        return [r for r in self.rows if r.versus and r.copy == 1]


def passed(run: Run) -> bool:
    return bool(run["self_check"] == "pass")


def values_of(runs: list[Run], metric: Metric) -> list[float]:
    """Every run that passed its self-check; none of them is dropped as an outlier."""
    found = (metric.of(run) for run in runs if passed(run))
    return [value for value in found if value is not None]


def analyse(experiment: Experiment, runs: list[Run], seed: int) -> Result:
    mine: dict[tuple[str, str, int], list[Run]] = defaultdict(list)
    for run in runs:
        if run["experiment"] == experiment.name:
            mine[run["cell"], run["variant"], run["copy"]].append(run)
    result = Result(experiment, [])
    for cell in experiment.cells:
        for variant in experiment.variants:
            copies = (0, 1) if variant == experiment.baseline else (0,)
            for copy in copies:
                group = mine.get((cell.id, variant, copy), [])
                if group:
                    row = _row(experiment, cell, variant, copy, group, seed)
                    row.hooks = _hooks(mine.get((cell.id, variant, COUNTING), []))
                    result.rows.append(row)
    for row in result.rows:
        _compare(result, row, seed)
    _correct(result)
    for row in result.rows:
        row.verdict = _verdict(result, row, len(result.comparisons()) if row.copy == 0 else 1)
    return result


def _row(
    experiment: Experiment, cell: Cell, variant: str, copy: int, group: list[Run], seed: int
) -> Row:
    metric = experiment.metric
    row = Row(cell, variant, copy, values_of(group, metric), [])
    for run in group:
        if not passed(run):
            row.failures.append(run["self_check"])
        elif metric.of(run) is None:
            row.failures.append(f"no {metric.key} in its output")
    if row.values:
        label = f"{cell.id}|{variant}|{copy}"
        row.median = stats.median_interval(row.values, stats.generator(seed, label))
    return row


def _hooks(counting: list[Run]) -> dict[str, float]:
    """The rates of the one run that counted instructions."""
    for run in counting:
        if passed(run):
            return dict(run.get("hooks_per_minsn") or {})
    return {}


def _compare(result: Result, row: Row, seed: int) -> None:
    experiment = result.experiment
    base = result.of(row.cell, experiment.baseline)
    if base is None or base is row or not base.values or not row.values:
        return
    rng = stats.generator(seed, f"{row.cell.id}|{row.variant}|{row.copy}|ratio")
    row.versus = stats.compare(row.values, base.values, rng)


def _correct(result: Result) -> None:
    """Holm over the comparisons of one experiment; each A/A pair keeps its own p."""
    rows = result.comparisons()
    ps = [row.versus.p for row in rows if row.versus]
    for row, p in zip(rows, stats.holm(ps), strict=True):
        row.p_holm = p
    for row in result.aa():
        row.p_holm = row.versus.p if row.versus else None


def aa_spread(result: Result, vcpus: int) -> float:
    """The largest difference between two samples of the same variant, as a fraction."""
    seen = [
        abs(math.log(row.versus.ratio.value))
        for row in result.aa()
        if row.versus and row.cell.vcpus == vcpus and row.versus.ratio.value > 0
    ]
    return math.exp(max(seen)) - 1 if seen else 0.0


def _verdict(result: Result, row: Row, family: int) -> str:
    if not row.values:
        return "no run passed"
    if row.versus is None:
        own = (row.variant, row.copy) == (result.experiment.baseline, 0)
        return "baseline" if own else "no baseline to compare with"
    ratio, p = row.versus.ratio, row.p_holm
    if math.isnan(ratio.value) or p is None:
        return "not comparable"
    real = p < ALPHA and not ratio.low <= 1 <= ratio.high
    if not real and smallest_p(row.versus) * family >= ALPHA:
        return "too few runs to tell"
    if row.copy == 1:
        return "A/A pair differs: distrust" if real else "A/A pair agrees"
    if not real:
        return "no difference seen"
    better = (ratio.value < 1) == (result.experiment.metric.better == "lower")
    good, bad = ("faster", "slower") if metric_is_speed(result) else ("better", "worse")
    word = f"{good if better else bad} by {amount(ratio.value)}"
    effect = max(ratio.value, 1 / ratio.value) - 1
    if effect <= aa_spread(result, row.cell.vcpus):
        return f"{word}, but no more than the A/A pair differs"
    if min(row.versus.n, row.versus.n_base) < ENOUGH:
        return f"{word} (an indication: fewer than {ENOUGH} runs)"
    return word


def metric_is_speed(result: Result) -> bool:
    return result.experiment.metric.unit in ("ns", "s", "1/s")


def smallest_p(versus: stats.Comparison) -> float:
    """What the rank test gives at most distance between samples of these sizes."""
    return 2 / math.comb(versus.n + versus.n_base, versus.n)


def amount(ratio: float) -> str:
    """A ratio in words: percent near one, a factor beyond."""
    if 0.5 <= ratio < 2:
        return f"{abs(ratio - 1) * 100:.1f} %"
    return f"{max(ratio, 1 / ratio):.2f}x"
