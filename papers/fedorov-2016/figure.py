"""figure.py - the figure of fedorov-2016: blocks through the loop on the left, latencies on the right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import stats
from analysis import values_of
from figures import CURVE_DODGE, axis_unit, panel_title, times
from plan import Cell, Experiment, Metric
from plotting import Figure, Panel, Series, quoted, tics_text

HERE = Path(__file__).resolve().parent
DASHED = 2
LATENCIES = [
    ("time of a flush", ["histograms.flush_latency_ns.p50", "histograms.flush_latency_ns.p99"]),
    ("time of one invalidation", ["histograms.inval_latency_ns.p50", "histograms.inval_latency_ns.p99"]),
    ("longest stop of a vCPU", ["histograms.stop_latency_ns.max"]),
]  # fmt: skip


class Source:
    """Series out of the runs: one scheme, one metric, over the steps of one parameter."""

    def __init__(self, experiment: Experiment, runs: list[dict[str, Any]], x: str, seed: int):
        self.experiment, self.x, self.seed = experiment, x, seed
        self.runs = [r for r in runs if r["experiment"] == experiment.name and r["copy"] == 0]
        self.steps = sorted({cell.param(x) for cell in experiment.cells})

    def series(self, cells: list[Cell], variant: str, metric: Metric, hue: int, dash: int) -> Series:
        count = len(self.experiment.variants)
        out = Series(hue=hue, dash=dash)
        for cell in sorted(cells, key=lambda c: c.param(self.x)):
            mine = [r for r in self.runs if r["cell"] == cell.id and r["variant"] == variant]
            values = values_of(mine, metric)
            if values:
                place = self.steps.index(cell.param(self.x)) + CURVE_DODGE * (hue - (count + 1) / 2)
                rng = stats.generator(self.seed, f"figure|{cell.id}|{variant}|{metric.key}")
                _, factor = axis_unit(metric.unit)
                out.medians.append((place, times(stats.median_interval(values, rng), factor)))
                out.raw += [(place, value * factor) for value in values]
        return out

    def panel(self, cells: list[Cell], metrics: list[Metric], **about: Any) -> Panel:
        """Two lines a scheme at most: the first metric solid, the second dashed."""
        made = []
        for index in range(2):
            for hue, variant in enumerate(self.experiment.variants, 1):
                dash = 1 if index == 0 else DASHED
                if index < len(metrics):
                    made.append(self.series(cells, variant, metrics[index], hue, dash))
                else:
                    made.append(Series(hue=hue, dash=dash))
        unit, _ = axis_unit(metrics[0].unit)
        return Panel(series=made, unit=unit, **about)


def _passes(source: Source, crowd: dict[int, str]) -> list[Panel]:
    cells = source.experiment.cells
    counts = sorted({cell.vcpus for cell in cells})
    names = {(): "chained", ("--no-chain",): "not chained"}
    panels = []
    for group, fixed in enumerate(names):
        for count in (counts * 2)[:2]:
            mine = [c for c in cells if (c.vcpus, c.fixed) == (count, fixed)]
            title = f"{panel_title(count, crowd)}, {names[fixed]}"
            panels.append(source.panel(mine, [source.experiment.metric], title=title, group=group))
    return panels


def _latencies(source: Source, first_group: int) -> list[Panel]:
    experiment = source.experiment
    known = {m.key: m for m in (experiment.metric, *experiment.also)}
    panels = []
    for row, (name, keys) in enumerate(LATENCIES):
        for lifetime in ("flush", "rcu"):
            mine = [c for c in experiment.cells if c.fixed == (f"--tb-lifetime={lifetime}",)]
            metrics = [known[key] for key in keys]
            title = f"{name}, lifetime {lifetime}"
            panels.append(source.panel(mine, metrics, title=title, group=first_group + row, log=True))
    return panels


def figures(
    experiments: tuple[Experiment, ...],
    runs: list[dict[str, Any]],
    crowd: dict[int, str],
    repeat: int,
    seed: int,
) -> list[Figure]:
    found = {e.name: e for e in experiments}
    if not {"passes", "latency"} <= set(found):
        return []
    passes = Source(found["passes"], runs, "flushes", seed)
    latency = Source(found["latency"], runs, "blocks", seed)
    blocks = [f"{step:g}" for step in latency.steps]
    return [
        Figure(
            name="fedorov-2016",
            template=HERE / "figure.gp",
            title="Three ways to tell a vCPU that a block has died",
            note=f"Median of {repeat} runs with 95 % bootstrap interval, every run a dot. "
            "Left: higher is better; not chained, each block "
            "is a pass of the loop. Right, 2 vCPUs: lower is better; solid p50, dashed p99.",
            panels=_passes(passes, crowd) + _latencies(latency, 2),
            columns=2,
            value_label=["blocks per second", "time"],
            free_label="flushes a second",
            tics=[f"{step:g}" for step in passes.steps],
            legend=[(variant, hue) for hue, variant in enumerate(passes.experiment.variants, 1)],
            more={
                "TICS2": quoted(tics_text(blocks)),
                "NSTEPS2": str(len(blocks)),
                "XLABEL2": quoted("live blocks"),
            },
            size=(1180, 640),
        )
    ]
