"""plotting.py - figures as data, drawn by the gnuplot templates in plots/.

A figure becomes NAME.dat and NAME.gp (variables, style, template) in the result's plots folder, and
gnuplot makes NAME.svg and NAME.png of them; the folder can draw itself again without this program.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import record
from errors import BenchError
from stats import Interval

TEMPLATES = Path(__file__).resolve().parent / "plots"
AA_HUE = 9  # the grey of style.gp, for the second half of an A/A pair
MAX_HUES = 8
GNUPLOT_TIMEOUT_S = 60


class PlotError(BenchError):
    """A figure could not be drawn; the numbers are none the worse for it."""


@dataclass
class Series:
    """One colour of one panel. Positions are on the free axis, values on the measured one."""

    hue: int
    dash: int = 1
    medians: list[tuple[float, Interval]] = field(default_factory=list)
    raw: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class Panel:
    title: str
    series: list[Series]


@dataclass
class Figure:
    name: str
    template: str  # file name in plots/
    title: str
    note: str
    panels: list[Panel]  # row by row, each with the same number of series
    columns: int
    value_label: list[str]  # one a row
    free_label: str
    tics: list[str]
    legend: list[tuple[str, int]]
    log: bool = False
    refs: Sequence[float] = ()
    zero: bool = False  # a linear value axis begins at zero


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(name: str, items: Sequence[str]) -> str:
    return f"array {name}[{len(items)}] = [{', '.join(items)}]"


def _range(figure: Figure, row: int) -> tuple[float, float]:
    """A range that shows every point of the row, so that its panels can be compared."""
    panels = figure.panels[row * figure.columns : (row + 1) * figure.columns]
    seen = [v for panel in panels for s in panel.series for _, v in s.raw]
    seen += [v for p in panels for s in p.series for _, m in s.medians for v in (m.low, m.high)]
    seen += figure.refs
    finite = [v for v in seen if math.isfinite(v) and (v > 0 or not figure.log)]
    if not finite:
        return (0.5, 2.0)
    low, high = min(finite), max(finite)
    if figure.log:
        pad = max(1.03, (high / low) ** 0.06)
        return low / pad, high * pad
    pad = (high - low or abs(high) or 1.0) * 0.06
    return (0.0 if figure.zero and low >= 0 else low - pad), high + pad


def _data(figure: Figure) -> str:
    lines = [f"# {figure.title}", "# two blocks a series: position median low high; position value"]
    for panel in figure.panels:
        for number, series in enumerate(panel.series, 1):
            lines.append(f"# panel {panel.title!r}, series {number}: medians")
            lines += [f"{x:.6g} {m.value:.9g} {m.low:.9g} {m.high:.9g}" for x, m in series.medians]
            lines += [] if series.medians else ["NaN NaN NaN NaN"]
            lines += ["", "", f"# panel {panel.title!r}, series {number}: every run"]
            lines += [f"{x:.6g} {y:.9g}" for x, y in series.raw] or ["NaN NaN"]
            lines += ["", ""]
    return "\n".join(lines) + "\n"


def _text_width(text: str) -> float:
    return 7.2 * len(text)


def _script(figure: Figure, width: int, height: int, left: float) -> str:
    series = figure.panels[0].series
    rows = len(figure.panels) // figure.columns
    ranges = [_range(figure, row) for row in range(rows)]
    at, places = left, []
    for text, _ in figure.legend:
        places.append(at)
        at += _text_width(text) + 40
    horizontal = figure.template == "dots.gp"
    positions = [-i if horizontal else i for i in range(len(figure.tics))]
    tics = ", ".join(f"{quoted(t)} {p}" for t, p in zip(figure.tics, positions, strict=True))
    blanks = ", ".join(f'"" {p}' for p in positions)
    log = int(figure.log)
    head = [
        f"OUT = {quoted(figure.name)}",
        f"DATA = {quoted(figure.name + '.dat')}",
        f"TITLE = {quoted(figure.title)}",
        f"NOTE = {quoted(figure.note)}",
        f"W = {width}; H = {height}; LEFT = {left:.0f}",
        f"NR = {rows}; NC = {figure.columns}; NS = {len(series)}; LOGV = {log}",
        f"NCELLS = {len(figure.tics)}; NSTEPS = {len(figure.tics)}",
        f"XLABEL = {quoted(figure.value_label[0] if horizontal else figure.free_label)}",
        f"TICS = {quoted('(' + tics + ')')}",
        f"BLANKS = {quoted('(' + blanks + ')')}",
        f"VFORMAT = {quoted('%.0s%c')}",
        _array("PANEL", [quoted(panel.title) for panel in figure.panels]),
        _array("YLABEL", [quoted(text) for text in figure.value_label]),
        _array("HUE", [str(s.hue) for s in series]),
        _array("DASH", [str(s.dash) for s in series]),
        _array("LEGEND", [quoted(text) for text, _ in figure.legend]),
        _array("LHUE", [str(hue) for _, hue in figure.legend]),
        _array("LEGENDX", [f"{place:.0f}" for place in places]),
        _array("REFS", [f"{ref:g}" for ref in figure.refs] or ["NaN"]),
        _array("LO", [f"{low:.9g}" for low, _ in ranges]),
        _array("HI", [f"{high:.9g}" for _, high in ranges]),
    ]
    parts = [(TEMPLATES / name).read_text() for name in ("style.gp", figure.template)]
    return "\n".join([*head, "", *parts])


def _size(figure: Figure) -> tuple[int, int, float]:
    rows = len(figure.panels) // figure.columns
    if figure.template == "dots.gp":
        left = 30 + max(_text_width(text) for text in figure.tics)
        line = max(26, 11 * len(figure.panels[0].series))
        width = left + 20 + figure.columns * max(300, 640 // figure.columns)
        return int(width), 170 + line * len(figure.tics), left
    return max(760, 110 + 390 * figure.columns), 150 + 250 * rows, 78


def draw(figure: Figure, folder: Path) -> Path:
    """Write the figure's four files into folder; returns the SVG."""
    if not shutil.which("gnuplot"):
        raise PlotError("gnuplot is not installed; ./dbtlab setup installs it")
    folder.mkdir(exist_ok=True)
    width, height, left = _size(figure)
    record.write_whole(folder / f"{figure.name}.dat", _data(figure))
    script = folder / f"{figure.name}.gp"
    record.write_whole(script, _script(figure, width, height, left))
    done = subprocess.run(
        ["gnuplot", script.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=GNUPLOT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise PlotError(f"gnuplot failed on {script}: {said[-1] if said else 'no reason given'}")
    return folder / f"{figure.name}.svg"
