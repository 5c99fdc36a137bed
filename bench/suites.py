"""suites.py - reads a suite (TOML) and expands it into experiments. suites/README.md tells the keys."""

from __future__ import annotations

import itertools
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binary import Binary, Guest
from errors import BenchError, UsageError, unknown
from plan import ENGINE_AXIS, PROGRAM, Cell, Experiment, Metric

FOLDER = Path(__file__).resolve().parent / "suites"
ENGINES = (PROGRAM, "qemu-multi", "qemu-single")
MAX_VCPUS = 8

SUITE_KEYS = {
    "title", "question", "about", "repeat", "vcpus", "memory", "pin", "timeout_s", "experiment",
}  # fmt: skip
EXPERIMENT_KEYS = {
    "name", "question", "axis", "schemes", "baseline", "metric", "also", "aa", "vcpus", "fixed",
    "options", "workload", "plot", "per_round",
}  # fmt: skip
WORKLOAD_KEYS = {"guest", "isa", "params", "sweep", "vcpus", "label"}


@dataclass(frozen=True)
class Suite:
    name: str
    title: str
    question: str
    repeat: int
    memory: str
    pin: str
    timeout_s: float
    experiments: tuple[Experiment, ...]


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def path_of(name: str) -> Path:
    if name not in names():
        raise unknown("suite", name, names())
    return FOLDER / f"{name}.toml"


def read(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the suite {path.name}: {error}") from error
    _only(path.name, data, SUITE_KEYS)
    for row in data.get("experiment", []):
        _only(f"{path.name}, experiment {row.get('name', '?')}", row, EXPERIMENT_KEYS)
        for work in row.get("workload", []):
            _only(f"{path.name}, a workload of {row.get('name', '?')}", work, WORKLOAD_KEYS)
    return data


def _only(where: str, table: dict[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise unknown(f"key in {where}", key, sorted(known))


def axes_of(data: dict[str, Any]) -> list[str]:
    return sorted({row["axis"] for row in data["experiment"]})


def load(
    path: Path,
    binary: Binary,
    guests: dict[str, Guest],
    *,
    axis: str | None = None,
    vcpus: list[int] | None = None,
    repeat: int | None = None,
    name: str | None = None,
) -> Suite:
    """Expand a suite; the arguments after * are the user's options and override the file's."""
    data = read(path)
    rows = data["experiment"]
    if axis is not None:
        rows = [row for row in rows if row["axis"] == axis]
        if not rows:
            raise unknown(f"axis in suite {path.stem}", axis, axes_of(data))
    made = [_experiment(row, data, binary, guests, vcpus) for row in rows]
    experiments = tuple(experiment for experiment in made if experiment.cells)
    if not experiments:
        raise UsageError(f"no workload of {path.stem} runs with the vCPU counts asked for")
    return Suite(
        name=name or path.stem,
        title=data["title"],
        question=data["question"],
        repeat=repeat or data.get("repeat", 9),
        memory=data.get("memory", "256M"),
        pin=data.get("pin", "auto"),
        timeout_s=data.get("timeout_s", 60),
        experiments=experiments,
    )


def _variants(row: dict[str, Any], binary: Binary) -> tuple[tuple[str, ...], str]:
    """The variants compared, and the one they are compared with."""
    if row["axis"] == ENGINE_AXIS:
        chosen = row.get("schemes", list(ENGINES))
        known: tuple[str, ...] = ENGINES
        default = PROGRAM
        if any(name != PROGRAM for name in chosen) and not shutil.which("qemu-system-arm"):
            raise BenchError("qemu-system-arm, the peer to compare with, is not installed")
    else:
        axis = binary.axis(row["axis"])
        chosen = row.get("schemes", axis.sound())
        known, default = axis.schemes, axis.default
    for name in chosen:
        if name not in known:
            raise unknown(f"scheme of {row['axis']}", name, known)
    baseline = row.get("baseline", default if default in chosen else chosen[0])
    if baseline not in chosen:
        raise unknown("baseline", baseline, chosen)
    return tuple(chosen), baseline


def _cells(
    row: dict[str, Any],
    work: dict[str, Any],
    guests: dict[str, Guest],
    counts: list[int],
) -> list[Cell]:
    guest = guests.get(work["guest"])
    if guest is None:
        raise unknown("guest", work["guest"], guests)
    sweep = work.get("sweep", {})
    fixed_sets = row.get("fixed", [[]])
    few, many = guest.cpus
    for count in counts:
        if not few <= count <= many:
            raise UsageError(f"guest {guest.name} takes {few} to {many} vCPUs, not {count}")
    cells = []
    isas = work.get("isa", ["a32"])
    for isa, values, fixed, smp in itertools.product(
        isas, itertools.product(*sweep.values()), fixed_sets, counts
    ):
        if isa not in guest.images:
            raise unknown(f"instruction set of {guest.name}", isa, guest.images)
        swept = [f"{key}={value}" for key, value in zip(sweep, values, strict=True)]
        fixed_params = [f"{key}={value}" for key, value in work.get("params", {}).items()]
        label = [work.get("label", guest.name), isa.upper() if len(isas) > 1 else "", *swept]
        if len(fixed_sets) > 1:
            label.append(" ".join(fixed))
        cells.append(
            Cell(
                experiment=row["name"],
                guest=guest.name,
                isa=isa,
                params=tuple(fixed_params + swept),
                vcpus=smp,
                fixed=tuple(fixed),
                label=" ".join(part for part in label if part),
                options=tuple(row.get("options", [])),
            )
        )
    return cells


def _experiment(
    row: dict[str, Any],
    data: dict[str, Any],
    binary: Binary,
    guests: dict[str, Guest],
    vcpus: list[int] | None,
) -> Experiment:
    variants, baseline = _variants(row, binary)
    cells: list[Cell] = []
    for work in row["workload"]:
        own = work.get("vcpus", row.get("vcpus", data.get("vcpus", [1])))
        # A workload that is only defined for some counts keeps to them whatever the user asks for.
        counts = [n for n in vcpus if n in own or "vcpus" not in work] if vcpus else own
        cells += _cells(row, work, guests, counts)
    return Experiment(
        name=row["name"],
        question=row.get("question", data["question"]),
        axis=row["axis"],
        variants=variants,
        baseline=baseline,
        metric=Metric(**row["metric"]),
        cells=tuple(cells),
        aa_cells=_aa_cells(row.get("aa", "first"), cells),
        plot=row.get("plot", {}),
        also=tuple(Metric(**item) for item in row.get("also", [])),
        per_round=row.get("per_round", 1),
    )


def _aa_cells(which: str, cells: list[Cell]) -> frozenset[str]:
    """'all': every cell has an A/A pair; 'first': the first cell of each vCPU count has one."""
    if which == "all":
        return frozenset(cell.id for cell in cells)
    if which != "first":
        raise unknown("aa", which, ["all", "first"])
    first: dict[int, str] = {}
    for cell in cells:
        first.setdefault(cell.vcpus, cell.id)
    return frozenset(first.values())
