"""plotting.py - figures as data, drawn by the gnuplot templates in plots/.

A figure becomes NAME.dat and NAME.gp (variables, style, template) in the result's plots folder, and
gnuplot makes NAME.svg and NAME.png of them; the folder can draw itself again without this program.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import record
from errors import BenchError
from stats import Interval

TEMPLATES = Path(__file__).resolve().parent / "plots"
DOTS = TEMPLATES / "dots.gp"
CURVE = TEMPLATES / "curve.gp"
AA_HUE = 9  # the grey of style.gp, for the second half of an A/A pair
MAX_HUES = 8
GNUPLOT_TIMEOUT_S = 60
TITLE_CHAR = 9.2  # width of a letter of the title
LINE_BREAK = "\x1e"


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
    """Panels of one group share the range of their value axis, so that they can be compared."""

    title: str
    series: list[Series]
    group: int = 0
    log: bool = False
    zero: bool = False  # a linear value axis begins at zero
    unit: str = ""  # of the values, such as "s"; its prefix is chosen for each tic


@dataclass
class Figure:
    name: str
    template: Path
    title: str
    note: str
    panels: list[Panel]  # row by row, each with the same number of series
    columns: int
    value_label: list[str]  # one a row
    free_label: str
    tics: list[str]
    legend: list[tuple[str, int]]
    refs: Sequence[float] = ()
    more: dict[str, str] = field(default_factory=dict)  # further variables of a template of one's own
    size: tuple[int, int] | None = None  # without the head; otherwise by the number of panels


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def tics_text(labels: Sequence[str], sign: int = 1) -> str:
    """Labels at 0, 1, 2, ... (or 0, -1, -2, ...) as gnuplot wants them."""
    return "(" + ", ".join(f"{quoted(text)} {sign * i}" for i, text in enumerate(labels)) + ")"


def _array(name: str, items: Sequence[str]) -> str:
    return f"array {name}[{len(items)}] = [{', '.join(items)}]"


def _range(figure: Figure, group: int) -> tuple[float, float]:
    """A range that shows every point of a group of panels."""
    panels = [panel for panel in figure.panels if panel.group == group]
    log, zero = panels[0].log, panels[0].zero
    seen = [v for panel in panels for s in panel.series for _, v in s.raw]
    seen += [v for p in panels for s in p.series for _, m in s.medians for v in (m.low, m.high)]
    seen += figure.refs
    finite = [v for v in seen if math.isfinite(v) and (v > 0 or not log)]
    if not finite:
        return (0.5, 2.0)
    low, high = min(finite), max(finite)
    if log:
        pad = max(1.03, (high / low) ** 0.06)
        return low / pad, high * pad
    pad = (high - low or abs(high) or 1.0) * 0.06
    return (0.0 if zero and low >= 0 else low - pad), high + pad


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


def _ratio_tics(low: float, high: float) -> list[float]:
    """Round ratios, not too many: fine ones for a narrow range, 1-2-5 for a wide one."""
    if low <= 0:
        return []
    if high / low < 1.15:
        candidates = [round(0.5 + 0.02 * i, 2) for i in range(100)]
    elif high / low < 1.7:
        candidates = [round(0.1 + 0.1 * i, 1) for i in range(100)]
    elif high / low < 8:
        candidates = [0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50]
    else:
        candidates = [m * 10.0**e for e in range(-4, 6) for m in (1, 2, 5)]
    return [tic for tic in candidates if low <= tic <= high]


def si_text(value: float, unit: str) -> str:
    """A tic's label: 20 µs, 3 M/s, 100."""
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)) / 3 + 1e-9)
    power = max(-3, min(3, power))
    prefix = ("n", "µ", "m", "", "k", "M", "G")[power + 3]
    return f"{value / 1000.0**power:g} {prefix}{unit}".rstrip()


def _log_tics(low: float, high: float) -> list[float]:
    """Powers of ten, with steps between them where the range is narrow."""
    wide = high / low
    steps = (1.0,) if wide > 1000 else (1.0, 2.0, 5.0) if wide > 4 else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    tics = [m * 10.0**e for e in range(first, last + 1) for m in steps]
    shown = [tic for tic in tics if low <= tic <= high]
    return shown if len(shown) > 2 else _linear_tics(low, high)


def _linear_tics(low: float, high: float) -> list[float]:
    """About five round steps."""
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = min((m * size for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - rough))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _value_tics(panel: Panel, bounds: tuple[float, float], labelled: bool) -> str:
    tics = (_log_tics if panel.log else _linear_tics)(*bounds)
    texts = [si_text(tic, panel.unit) if labelled else "" for tic in tics]
    return "(" + ", ".join(f"{quoted(t)} {v:.9g}" for t, v in zip(texts, tics, strict=True)) + ")"


def _all_tics(figure: Figure, ranges: list[tuple[float, float]], labelled: bool) -> list[str]:
    panels = zip(figure.panels, ranges, strict=True)
    return [quoted(_value_tics(panel, bounds, labelled)) for panel, bounds in panels]


def _script(figure: Figure, width: int, height: int, left: float, title: list[str]) -> str:
    series = figure.panels[0].series
    rows = len(figure.panels) // figure.columns
    ranges = [_range(figure, panel.group) for panel in figure.panels]
    at, places = 16.0, []
    for text, _ in figure.legend:
        places.append(at)
        at += _text_width(text) + 40
    horizontal = figure.template == DOTS
    sign = -1 if horizontal else 1
    blanks = tics_text([""] * len(figure.tics), sign)
    head = [
        f"OUT = {quoted(figure.name)}",
        f"DATA = {quoted(figure.name + '.dat')}",
        f"TITLE = {quoted(LINE_BREAK.join(title))}".replace(LINE_BREAK, "\\n"),
        f"NOTE = {quoted(figure.note)}",
        f"W = {width}; H = {height}; LEFT = {left:.0f}; HEAD = {_head(title)}.0",
        f"NR = {rows}; NC = {figure.columns}; NS = {len(series)}",
        f"NCELLS = {len(figure.tics)}; NSTEPS = {len(figure.tics)}",
        f"XLABEL = {quoted(figure.value_label[0] if horizontal else figure.free_label)}",
        f"TICS = {quoted(tics_text(figure.tics, sign))}",
        f"BLANKS = {quoted(blanks)}",
        f"VTICS = {quoted('(' + ', '.join(f'{t:g}' for t in _ratio_tics(*ranges[0])) + ')')}",
        f"RAWSHIFT = {0.3 / max(2, len(series)):.3f}",
        _array("PANEL", [quoted(panel.title) for panel in figure.panels]),
        _array("YLABEL", [quoted(text) for text in figure.value_label]),
        _array("HUE", [str(s.hue) for s in series]),
        _array("DASH", [str(s.dash) for s in series]),
        _array("LEGEND", [quoted(text) for text, _ in figure.legend]),
        _array("LHUE", [str(hue) for _, hue in figure.legend]),
        _array("LEGENDX", [f"{place:.0f}" for place in places]),
        _array("REFS", [f"{ref:g}" for ref in figure.refs] or ["NaN"]),
        _array("LOGV", [str(int(panel.log)) for panel in figure.panels]),
        _array("YTICS", _all_tics(figure, ranges, True)),
        _array("YBLANK", _all_tics(figure, ranges, False)),
        _array("LO", [f"{low:.9g}" for low, _ in ranges]),
        _array("HI", [f"{high:.9g}" for _, high in ranges]),
    ]
    head += [f"{name} = {value}" for name, value in figure.more.items()]
    parts = [path.read_text() for path in (TEMPLATES / "style.gp", figure.template)]
    return "\n".join([*head, "", *parts])


def _head(title: list[str]) -> int:
    return 66 + 20 * len(title)


def _size(figure: Figure) -> tuple[int, int, float]:
    rows = len(figure.panels) // figure.columns
    if figure.size:
        return (*figure.size, 78)
    if figure.template == DOTS:
        left = 30 + max(_text_width(text) for text in figure.tics)
        line = max(26, 11 * len(figure.panels[0].series))
        width = left + 20 + figure.columns * max(300, 640 // figure.columns)
        return int(width), 86 + line * len(figure.tics), left
    return max(760, 110 + 390 * figure.columns), 66 + 250 * rows, 78


def _render(figure: Figure, data: str, script: str) -> dict[str, bytes]:
    """Run gnuplot in a folder of its own, so that a failure leaves no half-drawn picture behind."""
    with tempfile.TemporaryDirectory(prefix="dbtlab-plot-") as scratch:
        place = Path(scratch)
        (place / f"{figure.name}.dat").write_text(data)
        (place / f"{figure.name}.gp").write_text(script)
        done = subprocess.run(
            ["gnuplot", f"{figure.name}.gp"],
            cwd=place,
            capture_output=True,
            text=True,
            timeout=GNUPLOT_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise PlotError(f"gnuplot failed on {figure.name}.gp: {said[-1] if said else 'no reason'}")
        return {kind: (place / f"{figure.name}.{kind}").read_bytes() for kind in ("svg", "png")}


def draw(figure: Figure, folder: Path) -> None:
    """Write the figure's four files into folder, each of them whole."""
    if not shutil.which("gnuplot"):
        raise PlotError("gnuplot is not installed; ./dbtlab setup installs it")
    width, height, left = _size(figure)
    title = textwrap.wrap(figure.title, int((width - 32) / TITLE_CHAR))
    height += _head(title)
    data = _data(figure)
    script = _script(figure, width, height, left, title)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise BenchError(f"cannot write {folder}: {error.strerror}") from error
    record.write_whole(folder / f"{figure.name}.dat", data)
    record.write_whole(folder / f"{figure.name}.gp", script)
    for kind, picture in _render(figure, data, script).items():
        record.write_whole(folder / f"{figure.name}.{kind}", picture)
