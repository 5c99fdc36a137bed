"""plan.py - the words of a bench: cells, variants, experiments, and the seeded order of runs.

A *cell* is one situation (guest, parameters, vCPUs, fixed options). Within a cell the *variants* of
one axis are compared. An *experiment* is a question: its cells, its variants and its one metric.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

ENGINE_AXIS = "engine"  # the axis whose variants are programs, not schemes of one program
PROGRAM = "dbtlab"
COUNTING = 2  # the `copy` of a run that counts guest instructions: slow, so no time of it is used


@dataclass(frozen=True)
class Metric:
    """The quantity an experiment reports, chosen in the suite before any run.

    key is a dotted path into a run's line; over is a second path that it is divided by.
    """

    key: str
    unit: str
    better: str  # "lower" or "higher"
    over: str = ""
    scale: float = 1.0
    label: str = ""

    def of(self, run: dict[str, Any]) -> float | None:
        top = lookup(run, self.key)
        if top is None:
            return None
        if not self.over:
            return top * self.scale
        bottom = lookup(run, self.over)
        return top * self.scale / bottom if bottom else None


def lookup(run: dict[str, Any], path: str) -> float | None:
    """Follow a dotted path; None where the run has no such number."""
    at: Any = run
    for part in path.split("."):
        if not isinstance(at, dict) or part not in at:
            return None
        at = at[part]
    return float(at) if isinstance(at, (int, float)) and not isinstance(at, bool) else None


@dataclass(frozen=True)
class Cell:
    experiment: str
    guest: str
    isa: str
    params: tuple[str, ...]  # "key=value", as passed
    vcpus: int
    fixed: tuple[str, ...]  # options besides the compared axis, as passed
    label: str  # what tells it from the other cells of its experiment, without the vCPUs
    options: tuple[str, ...] = ()  # the same in all cells of the experiment, as passed

    @property
    def id(self) -> str:
        parts = [self.experiment, self.guest, self.isa, *self.params, *self.fixed]
        return "/".join([*parts, f"smp={self.vcpus}"])

    def param(self, name: str) -> float:
        for item in self.params:
            key, _, value = item.partition("=")
            if key == name:
                return float(value)
        return 0.0


@dataclass(frozen=True)
class Experiment:
    name: str
    question: str
    axis: str
    variants: tuple[str, ...]
    baseline: str
    metric: Metric
    cells: tuple[Cell, ...]
    aa_cells: frozenset[str]  # ids of the cells in which the baseline runs as two variants
    plot: dict[str, Any] = field(hash=False, compare=False, default_factory=dict)
    also: tuple[Metric, ...] = ()  # reported beside the metric, tested by nobody
    per_round: int = 1  # runs of each variant in a round: more for what is small against the noise


@dataclass(frozen=True)
class Run:
    """One process to start. copy 1 is the second half of an A/A pair, COUNTING one that is not timed; seed
    made the order."""

    order: int
    round: int
    seed: int
    cell: Cell
    axis: str
    variant: str
    copy: int = 0


def pairs(experiment: Experiment) -> Iterable[tuple[Cell, str, int]]:
    for cell in experiment.cells:
        for variant in experiment.variants:
            yield cell, variant, 0
        if cell.id in experiment.aa_cells:
            yield cell, experiment.baseline, 1


def schedule(experiments: Iterable[Experiment], repeat: int, seed: int) -> list[Run]:
    """Every repetition is a round that holds each (cell, variant) once, or per_round times, in a seeded random order.

    So a drift of the host spreads over all variants, and a bench that is stopped early has lost
    whole rounds rather than whole variants.
    """
    rng = random.Random(seed)
    todo = [(e.axis, *pair) for e in experiments for pair in pairs(e) for _ in range(e.per_round)]
    runs: list[Run] = []
    for turn in range(repeat):
        rng.shuffle(todo)
        for axis, cell, variant, copy in todo:
            runs.append(Run(len(runs), turn, seed, cell, axis, variant, copy))
    return runs


def counting_runs(experiments: Iterable[Experiment], turn: int, seed: int, first: int) -> list[Run]:
    """After the rounds: each (cell, variant) of our program once more, counting guest instructions."""
    todo = [
        (e.axis, cell, variant)
        for e in experiments
        for cell in e.cells
        for variant in e.variants
        if e.axis != ENGINE_AXIS or variant == PROGRAM
    ]
    return [
        Run(first + number, turn, seed, cell, axis, variant, COUNTING)
        for number, (axis, cell, variant) in enumerate(todo)
    ]
