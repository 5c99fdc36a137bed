"""report.py - the report of a result folder, from its manifest and its runs alone."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import environment
import figures
import plotting
import record
import stats
from analysis import ENOUGH, Result, Row, analyse, passed, values_of
from plan import COUNTING, ENGINE_AXIS, Experiment, PROGRAM
from stats import Interval

Manifest = dict[str, Any]


def si(value: float) -> str:
    """Three digits and a prefix: 12.3 M."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    power = max(-3, min(4, math.floor(math.log10(abs(value)) / 3)))
    scaled = value / 1000.0**power
    digits = max(0, 2 - math.floor(math.log10(abs(scaled))))
    prefix = {-3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T"}[power]
    return f"{scaled:.{digits}f}" + (f" {prefix}" if prefix else "")


def quantity(value: float, unit: str) -> str:
    """A value with its unit, times in seconds: 2.21e8 ns is 221 ms."""
    value, unit = (value * 1e-9, "s") if unit == "ns" else (value, unit)
    unit = {"1": "", "1/s": "/s"}.get(unit, unit)
    number, _, prefix = si(value).partition(" ")
    return f"{number} {prefix}{unit}".rstrip()


def with_interval(interval: Interval | None, form: Any = si) -> str:
    if interval is None or math.isnan(interval.value):
        return "-"
    return f"{form(interval.value)} [{form(interval.low)}, {form(interval.high)}]"


def ratio_text(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def p_text(p: float | None) -> str:
    if p is None:
        return "-"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, padded so that it also reads well as text."""
    widths = [max(3, *(len(row[i]) for row in [head, *rows])) for i in range(len(head))]
    lines = [" | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
             for row in [head, *rows]]  # fmt: skip
    rule = " | ".join("-" * w for w in widths)
    return [f"| {line} |" for line in [lines[0], rule, *lines[1:]]]


def _vcpus(row: Row, crowd: dict[int, str]) -> str:
    note = crowd.get(row.cell.vcpus)
    return f"{row.cell.vcpus}" + (f" ({note})" if note else "")


def _comparison_cells(row: Row) -> list[str]:
    if row.versus is None:
        return ["1" if row.verdict == "baseline" else "-", "", "", ""]
    v = row.versus
    return [
        with_interval(v.ratio, ratio_text),
        ratio_text(v.shift) if not math.isnan(v.shift) else "-",
        f"{v.delta:+.2f}",
        p_text(row.p_holm),
    ]


def experiment_table(result: Result, crowd: dict[int, str]) -> list[str]:
    unit = result.experiment.metric.unit
    head = ["workload", "vCPUs", result.experiment.axis, "n", "median [95 %]",
            "ratio [95 %]", "HL ratio", "Cliff's d", "p (Holm)", "verdict"]  # fmt: skip
    rows = [
        [
            row.cell.label,
            _vcpus(row, crowd),
            row.variant + (" again" if row.copy else ""),
            str(len(row.values)),
            with_interval(row.median, partial(quantity, unit=unit)),
            *_comparison_cells(row),
            row.verdict,
        ]
        for row in result.rows
    ]
    return table(head, rows)


def short_table(result: Result, crowd: dict[int, str]) -> list[str]:
    """What the terminal shows: the medians and the verdict."""
    unit = result.experiment.metric.unit
    head = ["workload", "vCPUs", result.experiment.axis, "median", "ratio", "verdict"]  # fmt: skip
    rows = [
        [
            row.cell.label,
            _vcpus(row, crowd),
            row.variant,
            quantity(row.median.value, unit) if row.median else "-",
            ratio_text(row.versus.ratio.value) if row.versus else _comparison_cells(row)[0],
            row.verdict,
        ]
        for row in result.rows
        if row.copy == 0
    ]
    return table(head, rows)


def _hooks(result: Result) -> list[str]:
    names = sorted({name for row in result.rows for name in row.hooks})
    if not names:
        return []
    rows = [
        [row.cell.label, str(row.cell.vcpus), row.variant]
        + [f"{row.hooks[name]:.3g}" if name in row.hooks else "-" for name in names]
        for row in result.rows
        if row.copy == 0 and row.hooks
    ]
    title = "Slow-path hook calls per million guest instructions, in one run of each that counts them and is not timed:"
    return ["", title, "", *table(["workload", "vCPUs", result.experiment.axis, *names], rows)]


def _also(experiment: Experiment, runs: list[dict[str, Any]], seed: int) -> list[str]:
    if not experiment.also:
        return []
    rows = []
    for cell in experiment.cells:
        for variant in experiment.variants:
            group = [r for r in runs
                     if (r["cell"], r["variant"], r["copy"]) == (cell.id, variant, 0)]  # fmt: skip
            shown = []
            for metric in experiment.also:
                values = values_of(group, metric)
                rng = stats.generator(seed, f"{cell.id}|{variant}|{metric.key}")
                median = stats.median_interval(values, rng) if values else None
                shown.append(with_interval(median, partial(quantity, unit=metric.unit)))
            rows.append([cell.label, str(cell.vcpus), variant, *shown])
    titles = [m.label or m.key for m in experiment.also]
    head = ["workload", "vCPUs", experiment.axis, *titles]
    return ["", "Beside the metric, untested:", "", *table(head, rows)]


# -- peers ----------------------------------------------------------------------------------------


def peers_tables(result: Result, seed: int) -> list[str]:
    """Geometric means by instruction set and vCPUs, and what a second copy on a second vCPU costs."""
    experiment = result.experiment
    others = [v for v in experiment.variants if v != experiment.baseline]
    lower = experiment.metric.better == "lower"
    isas = sorted({c.isa for c in experiment.cells})
    counts = sorted({c.vcpus for c in experiment.cells})
    rows = []
    for isa in [*isas, "all"]:
        for count in counts:
            shown = []
            for other in others:
                pairs = []
                for cell in experiment.cells:
                    peer, own = result.of(cell, other), result.of(cell, experiment.baseline)
                    fits = cell.vcpus == count and isa in (cell.isa, "all")
                    if fits and peer and own and peer.values and own.values:
                        up, down = (peer, own) if lower else (own, peer)
                        pairs.append((up.values, down.values))
                rng = stats.generator(seed, f"geomean|{isa}|{count}|{other}")
                mean = stats.geomean_interval(pairs, rng) if pairs else None
                shown.append(f"{with_interval(mean, ratio_text)} over {len(pairs)}")
            rows.append([isa.upper() if isa != "all" else isa, str(count), *shown])
    head = ["guests", "vCPUs", *(f"faster than {other} by" for other in others)]
    lines = ["", f"Geometric means of how many times faster {PROGRAM} is:", "", *table(head, rows)]
    return lines + _scaling(result, seed) + _copies(result, seed)


def _ratio(a: Row | None, b: Row | None, rng: Any, factor: int = 1) -> str:
    """factor * a / b, of what was measured in both."""
    if not (a and b and a.values and b.values):
        return "-"
    values = [factor * value for value in a.values]
    return with_interval(stats.ratio_interval(values, b.values, rng), ratio_text)


def _scaling(result: Result, seed: int) -> list[str]:
    experiment = result.experiment
    rows = []
    for cell in experiment.cells:
        if cell.vcpus != 1:
            continue
        twin = next((c for c in experiment.cells if c.vcpus == 2 and _same_work(c, cell)), None)
        if twin is None:
            continue
        shown = []
        for variant in experiment.variants:
            one, two = result.of(cell, variant), result.of(twin, variant)
            rng = stats.generator(seed, f"scaling|{cell.id}|{variant}")
            shown.append(_ratio(two, one, rng))
        rows.append([cell.label, *shown])
    if not rows:
        return []
    title = "Time of two copies on 2 vCPUs over the time of one copy on 1 vCPU (1 is perfect):"
    return ["", title, "", *table(["workload", *experiment.variants], rows)]


def _same_work(a: Any, b: Any) -> bool:
    return (a.guest, a.isa, a.params, a.fixed) == (b.guest, b.isa, b.params, b.fixed)


def _copies(result: Result, seed: int) -> list[str]:
    """Cells that differ in the parameter copies alone: processes side by side on one machine."""
    experiment = result.experiment
    rows = []
    for cell in experiment.cells:
        one = "copies=1"
        twin = next((c for c in experiment.cells if one in cell.params and _two_of(cell) == c.id), None)
        if twin is None:
            continue
        shown = []
        for variant in experiment.variants:
            alone, pair = result.of(cell, variant), result.of(twin, variant)
            rng = stats.generator(seed, f"copies|{cell.id}|{variant}")
            shown.append(_ratio(alone, pair, rng, 2))
        rows.append([cell.label, str(cell.vcpus), *shown])
    if not rows:
        return []
    title = "Throughput of two copies over that of one on the same machine (2 is perfect):"
    return ["", title, "", *table(["workload", "vCPUs", *experiment.variants], rows)]


def _two_of(cell: Any) -> str:
    params = tuple("copies=2" if p == "copies=1" else p for p in cell.params)
    return str(replace(cell, params=params).id)


# -- the whole report -----------------------------------------------------------------------------


def crowd_of(manifest: Manifest) -> dict[int, str]:
    host = manifest["host"]
    return {count: environment.crowding(count, host) for count in manifest["vcpus"]}


def _host_lines(manifest: Manifest) -> list[str]:
    host = manifest["host"]
    topology = host["topology"]
    governor = ", ".join(host["governor"] or ["not told"])
    facts = [
        f"CPU: {host['cpu_model']}; {len(topology['usable_cpus'])} usable CPUs on "
        f"{topology['physical_cores']} cores; governor {governor}; kernel {host['kernel']}",
        f"program: {'; '.join(manifest['program']['version'].splitlines())}",
        f"seed {manifest['seed']}, {manifest['repeat']} repetitions in interleaved random order, "
        f"a fresh process each; pinning {manifest['pin']}; guest memory {manifest['memory']}",
    ]
    if manifest.get("peer"):
        facts.append(f"peer: {manifest['peer']}")
    return [f"- {fact}" for fact in facts]


def _cautions(manifest: Manifest, runs: list[dict[str, Any]], planned: int) -> list[str]:
    out = environment.warnings(manifest["host"])
    if manifest["repeat"] < ENOUGH:
        out.append(
            f"{manifest['repeat']} repetitions a variant are fewer than the {ENOUGH} a claim needs: "
            "take the verdicts as indications."
        )
    if len(runs) < planned:
        out.append(f"Stopped early: {len(runs)} of {planned} runs; --resume goes on.")
    for count, note in crowd_of(manifest).items():
        if note:
            out.append(f"{figures.vcpus_text(count)}: {note} on this host.")
    timed = [run for run in runs if run["copy"] != COUNTING]
    steal = [run["host"]["steal_ticks"] or 0 for run in timed]
    if any(steal):
        out.append(
            f"The hypervisor took time in {sum(1 for s in steal if s)} of {len(timed)} runs "
            f"(at most {max(steal)} ticks of 1/{manifest['host']['ticks_per_s']} s in one)."
        )
    if manifest.get("resumed"):
        out.append(f"Resumed {len(manifest['resumed'])} times, last at {manifest['resumed'][-1]}.")
    return out + [f"{sentence}." for sentence in manifest["left_out"]]


def _failures(runs: list[dict[str, Any]]) -> list[str]:
    failed = Counter(
        (r["cell"], r["variant"], r["self_check"]) for r in runs if not passed(r)
    )
    if not failed:
        return []
    rows = [[cell, variant, str(n), why] for (cell, variant, why), n in sorted(failed.items())]
    intro = "These runs are kept in runs.jsonl and enter no statistic:"
    head = ["cell", "variant", "runs", "reason"]
    return ["", "## Runs that failed their self-check", "", intro, "", *table(head, rows)]


METHOD = """\
Each run is one line of runs.jsonl with its raw values. A round holds every variant of every workload
once, in random order. Intervals are percentile bootstraps of the median (10,000 resamples); p is
Mann-Whitney's two-sided test, corrected by Holm over the comparisons of one table; Cliff's d is -1 when
every run lies below every run of the baseline and +1 when above; the HL ratio is the median of all
pairwise ratios. A/A rows ("again") compare the baseline with itself in the same run: a difference no
larger than theirs is nothing. No outlier is removed. After the rounds each variant runs once more and counts
guest instructions, from which the rates of hook calls are; nothing of these runs is timed. In plots/, `gnuplot NAME.gp` draws a figure anew."""


def write(
    folder: Path,
    manifest: Manifest,
    experiments: tuple[Experiment, ...],
    planned: int,
    *,
    figures_first: Sequence[plotting.Figure] = (),
    claims_table: Sequence[str] = (),
    closing: Sequence[str] = (),
) -> list[Result]:
    """Draw the figures and write report.md; returns what was analysed.

    What follows the * is a paper's: its own figures, its claims judged, and its last sentences.
    """
    runs = record.read_runs(folder)
    results = [analyse(experiment, runs, manifest["seed"]) for experiment in experiments]
    crowd = crowd_of(manifest)
    lines = [f"# {manifest['title']}", "", manifest["question"], "", *_host_lines(manifest)]
    cautions = _cautions(manifest, runs, planned)
    if cautions:
        lines += ["", "**Mind:**", "", *(f"- {caution}" for caution in cautions)]
    for figure in figures_first:
        lines += _drawn(figure, folder)
    lines += ["", *claims_table] if claims_table else []
    for result in results:
        lines += _section(result, runs, manifest, folder, crowd)
    lines += _failures(runs)
    lines += ["", "## How this was measured", "", METHOD]
    lines += ["", "## What it says", "", *closing] if closing else []
    record.write_whole(folder / "report.md", "\n".join(lines) + "\n")
    return results


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _drawn(figure: plotting.Figure, folder: Path) -> list[str]:
    """Draw a figure and return the lines that show it; a failure is told and costs only the figure."""
    try:
        plotting.draw(figure, folder / "plots")
    except plotting.PlotError as error:
        print(f"dbtlab: {error}", file=sys.stderr)
        return ["", f"(No figure: {error}.)"]
    return ["", f"![{figure.title}](plots/{figure.name}.svg)"]


def _section(
    result: Result,
    runs: list[dict[str, Any]],
    manifest: Manifest,
    folder: Path,
    crowd: dict[int, str],
) -> list[str]:
    experiment = result.experiment
    metric = experiment.metric
    over = f" / {metric.over}" if metric.over else ""
    lines = [
        "",
        f"## {experiment.name}",
        "",
        f"{_sentence(experiment.question)} Metric, chosen beforehand: `{metric.key}{over}` in {metric.unit}, "
        f"{metric.better} is better; baseline `{experiment.baseline}`.",
    ]
    if experiment.plot.get("kind") != "none" and any(row.values for row in result.rows):
        lines += _drawn(figures.figure_of(result, crowd, manifest["repeat"]), folder)
    lines += ["", *experiment_table(result, crowd)]
    if experiment.axis == ENGINE_AXIS:
        lines += peers_tables(result, manifest["seed"])
    lines += _also(experiment, [r for r in runs if r["experiment"] == experiment.name], manifest["seed"])
    return lines + _hooks(result)
