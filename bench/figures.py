"""figures.py - which figure an experiment's result becomes: ratios as dots, or curves over a parameter."""

from __future__ import annotations

import math
import re
from typing import Any

from analysis import Result, Row
from plan import ENGINE_AXIS, PROGRAM, Cell, Metric
from plotting import AA_HUE, CURVE, DOTS, MAX_HUES, Figure, Panel, Series
from stats import Interval

# How a unit of the runs is drawn: the unit on the axis, and what the values are multiplied by.
AXIS_UNITS = {"ns": ("s", 1e-9), "us": ("s", 1e-6), "1/s": ("", 1.0), "1": ("", 1.0)}
DODGE = 0.74  # share of a line's height that its series spread over
CURVE_DODGE = 0.08


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def vcpus_text(count: int) -> str:
    return f"{count} vCPU" if count == 1 else f"{count} vCPUs"


def _labels(cells: tuple[Cell, ...]) -> list[str]:
    return list(dict.fromkeys(cell.label for cell in cells))


def panel_title(count: int, crowd: dict[int, str]) -> str:
    return vcpus_text(count) + (f" ({crowd[count]})" if crowd.get(count) else "")


def axis_unit(unit: str) -> tuple[str, float]:
    return AXIS_UNITS.get(unit, (unit, 1.0))


def times(interval: Interval, factor: float) -> Interval:
    return Interval(interval.value * factor, interval.low * factor, interval.high * factor)


def _scaled(row: Row, base: float) -> tuple[Interval, list[float]]:
    values = [value / base for value in row.values]
    if row.versus and not math.isnan(row.versus.ratio.value):
        return row.versus.ratio, values
    assert row.median
    return times(row.median, 1 / base), values


def dots(result: Result, crowd: dict[int, str], repeat: int) -> Figure:
    """Every workload on a line of its own, as a ratio to the baseline's median of the same cell."""
    experiment = result.experiment
    labels = _labels(experiment.cells)
    counts = sorted({cell.vcpus for cell in experiment.cells})
    columns = [(v, 0) for v in experiment.variants]
    if result.aa():
        columns.insert(experiment.variants.index(experiment.baseline) + 1, (experiment.baseline, 1))
    hues = {v: 1 + i % MAX_HUES for i, v in enumerate(experiment.variants)}
    panels = []
    for count in counts:
        made = []
        for index, (variant, copy) in enumerate(columns):
            series = Series(hue=AA_HUE if copy else hues[variant])
            offset = DODGE * ((len(columns) - 1) / 2 - index) / len(columns)
            for cell in experiment.cells:
                row = result.of(cell, variant, copy)
                base = result.of(cell, experiment.baseline)
                if cell.vcpus != count or not row or not row.median or not base or not base.median:
                    continue
                if base.median.value <= 0:
                    continue
                place = -labels.index(cell.label) + offset
                interval, values = _scaled(row, base.median.value)
                series.medians.append((place, interval))
                series.raw += [(place, value) for value in values]
            made.append(series)
        panels.append(Panel(panel_title(count, crowd), made, log=True))
    legend = [(v + (" (baseline)" if v == experiment.baseline else ""), hues[v])
              for v in experiment.variants]  # fmt: skip
    if result.aa():
        legend.append((f"{experiment.baseline} again (A/A)", AA_HUE))
    metric = experiment.metric
    better = f"further {'left' if metric.better == 'lower' else 'right'} is better"
    if experiment.axis == ENGINE_AXIS:
        better = f"right of 1 {PROGRAM} is the faster one"
    return Figure(
        name=slug(experiment.name),
        template=DOTS,
        title=experiment.question,
        note=_note(repeat, better),
        panels=panels,
        columns=len(counts),
        value_label=[f"{metric.label or metric.key.split('.')[-1]}, ratio to {experiment.baseline}"],
        free_label="",
        tics=labels,
        legend=legend,
        refs=experiment.plot.get("refs", ()),
    )


def _note(repeat: int, better: str) -> str:
    return f"Median of {repeat} runs with 95 % bootstrap interval, every run a dot; {better}."


def _axis_label(metric: Metric) -> str:
    name = metric.label or metric.key.split(".")[-1]
    return f"{name} per second" if metric.unit == "1/s" else name


def curve(result: Result, crowd: dict[int, str], repeat: int) -> Figure:
    """The metric itself over a swept parameter; a column a vCPU count, a row a set of fixed options."""
    experiment = result.experiment
    x = experiment.plot["x"]
    steps = sorted({cell.param(x) for cell in experiment.cells})
    counts = sorted({cell.vcpus for cell in experiment.cells})
    fixed = list(dict.fromkeys(cell.fixed for cell in experiment.cells))
    names: dict[str, str] = experiment.plot.get("rows", {})
    metric = experiment.metric
    panels = []
    log = experiment.plot.get("log", False)
    unit, factor = axis_unit(metric.unit)
    for group, options in enumerate(fixed):
        for count in counts:
            made = []
            for index, variant in enumerate(experiment.variants):
                series = Series(hue=1 + index % MAX_HUES)
                offset = CURVE_DODGE * (index - (len(experiment.variants) - 1) / 2)
                for cell in experiment.cells:
                    row = result.of(cell, variant)
                    if (cell.vcpus, cell.fixed) == (count, options) and row and row.median:
                        place = steps.index(cell.param(x)) + offset
                        series.medians.append((place, times(row.median, factor)))
                        series.raw += [(place, value * factor) for value in row.values]
                made.append(series)
            title = panel_title(count, crowd)
            name = names.get(" ".join(options), " ".join(options))
            title = f"{title}, {name}" if name else title
            panels.append(Panel(title, made, group, log, zero=True, unit=unit))
    return Figure(
        name=slug(experiment.name),
        template=CURVE,
        title=experiment.question,
        note=_note(repeat, f"{metric.better} is better"),
        panels=panels,
        columns=len(counts),
        value_label=[_axis_label(metric)] * len(fixed),
        free_label=experiment.plot.get("x_label", x),
        tics=[f"{step:g}" for step in steps],
        legend=[(v, 1 + i % MAX_HUES) for i, v in enumerate(experiment.variants)],
    )


KINDS = {"dots": dots, "curve": curve}


def figure_of(result: Result, crowd: dict[int, str], repeat: int) -> Figure:
    plot: dict[str, Any] = result.experiment.plot
    return KINDS[plot.get("kind", "dots")](result, crowd, repeat)
