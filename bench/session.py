"""session.py - one bench from the first run to the last: a folder, its manifest, its runs.

A bench that was stopped goes on from its own manifest; what was measured is never measured again.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import environment
import execute
import record
from binary import Binary, resolved_config
from errors import BenchError, UsageError
from plan import COUNTING, ENGINE_AXIS, PROGRAM, Experiment, Run, counting_runs, pairs, schedule
from progress import Progress
from suites import Suite

RESULTS = Path(__file__).resolve().parent.parent / "results"
SCHEMA = 1


@dataclass(frozen=True)
class Plan:
    """The experiments as they will run, and why some variants will not."""

    suite: Suite
    experiments: tuple[Experiment, ...]
    left_out: list[str]
    configs: dict[str, Any]


@contextmanager
def alone() -> Iterator[None]:
    """Only one bench on a host at a time: two would measure each other."""
    path = Path(tempfile.gettempdir()) / "dbtlab-bench.lock"
    with open(path, "a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BenchError("another bench is running on this host; wait for its end") from error
        yield


def new_folder(slug: str) -> Path:
    """results/<date>-<slug>, numbered from the second of a day on."""
    base = f"{datetime.date.today().isoformat()}-{slug}"
    for number in range(1, 1000):
        path = RESULTS / (base if number == 1 else f"{base}-{number}")
        if not path.exists():
            return path
    raise UsageError(f"{RESULTS} holds a thousand results of {base}; name a folder with --out=DIR")


def latest_folder(slug: str) -> Path:
    """The newest folder that new_folder() made for this slug."""
    found = [
        path
        for path in RESULTS.glob(f"*-{slug}*")
        if (path / record.MANIFEST).exists() and _slug(path) == slug
    ]
    if not found:
        raise UsageError(f"nothing to resume: {RESULTS} holds no result of {slug}")
    return max(found, key=lambda path: (path / record.MANIFEST).stat().st_mtime)


def _slug(folder: Path) -> str:
    return str(record.read_manifest(folder).get("suite", ""))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error


def setup_of(suite: Suite, binary: Binary, guests: dict[str, Any]) -> execute.Setup:
    return execute.Setup(binary, guests, suite.memory, suite.pin, suite.timeout_s)


def resolve(suite: Suite, setup: execute.Setup) -> Plan:
    """Ask the program for each configuration; what it refuses is left out, with its own words."""
    configs: dict[str, Any] = {}
    refused: dict[str, str] = {}
    kept = []
    for experiment in suite.experiments:
        bad: dict[str, str] = {}
        for cell, variant, _ in pairs(experiment):
            if experiment.axis == ENGINE_AXIS and variant != PROGRAM:
                continue
            options = execute.program_options(setup, cell, experiment.axis, variant)
            key = execute.config_key(setup, cell, options)
            if key not in configs and key not in refused:
                try:
                    image = execute.image_words(setup, cell)
                    config = resolved_config(setup.binary, ["run", *options], image)
                    configs[key] = execute.comparable_config(config)
                except BenchError as error:
                    refused[key] = str(error)
            if key in refused:
                bad[variant] = refused[key]
        kept.append((experiment, bad))
    left_out = [
        f"{experiment.name}: {variant} was left out ({reason})"
        for experiment, bad in kept
        for variant, reason in bad.items()
    ]
    experiments = tuple(_without(experiment, bad) for experiment, bad in kept)
    experiments = tuple(e for e in experiments if len(e.variants) > 1)
    if not experiments:
        raise BenchError(f"nothing is left to compare: {left_out[0] if left_out else 'one scheme'}")
    return Plan(suite, experiments, left_out, configs)


def _without(experiment: Experiment, bad: dict[str, str]) -> Experiment:
    variants = tuple(v for v in experiment.variants if v not in bad)
    baseline = experiment.baseline if experiment.baseline in variants else (variants or ("",))[0]
    return Experiment(**{**vars(experiment), "variants": variants, "baseline": baseline})


def _experiment_entry(experiment: Experiment) -> dict[str, Any]:
    return {
        "name": experiment.name,
        "question": experiment.question,
        "axis": experiment.axis,
        "variants": list(experiment.variants),
        "baseline": experiment.baseline,
        "per_round": experiment.per_round,
        "metric_chosen_beforehand": asdict(experiment.metric),
        "cells": [cell.id for cell in experiment.cells],
        "aa_cells": sorted(experiment.aa_cells),
    }


def _qemu_version(plan: Plan) -> str | None:
    if not any(e.axis == ENGINE_AXIS for e in plan.experiments):
        return None
    done = execute.start_and_wait(["qemu-system-arm", "--version"], 20)
    return done.output.splitlines()[0] if done.output else None


def manifest_of(plan: Plan, setup: execute.Setup, seed: int) -> dict[str, Any]:
    cells = [cell for e in plan.experiments for cell in e.cells]
    images = sorted({item for c in cells for item in execute.image_files(setup, c).items()})
    suite = plan.suite
    return {
        "schema": SCHEMA,
        "suite": suite.name,
        "title": suite.title,
        "question": suite.question,
        "seed": seed,
        "repeat": suite.repeat,
        "vcpus": sorted({c.vcpus for c in cells}),
        "memory": suite.memory,
        "pin": suite.pin,
        "timeout_s": suite.timeout_s,
        "experiments": [_experiment_entry(e) for e in plan.experiments],
        "left_out": plan.left_out,
        "program": {"version": setup.binary.version, "sha256": _sha256(setup.binary.path)},
        "peer": _qemu_version(plan),
        "axes": setup.binary.raw_axes,
        "configs": plan.configs,
        "hook_rates": f"from one run of each variant after the rounds, with {execute.COUNT_OPTION}: copy {COUNTING}, not timed",
        "guest_images_sha256": {name: _sha256(path) for name, path in images},
        "host": environment.capture(),
        "begun": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "resumed": [],
        "counter_help": {},
    }


def check_same(old: dict[str, Any], new: dict[str, Any]) -> None:
    """A bench only goes on with what it began with."""
    for key, what in [
        ("experiments", "the suite"),
        ("repeat", "the number of repetitions"),
        ("guest_images_sha256", "a guest image"),
        ("program", "the program"),
    ]:
        if old.get(key) != new[key]:
            raise UsageError(f"cannot resume: {what} changed since this bench began; start anew")


@dataclass
class Outcome:
    folder: Path
    manifest: dict[str, Any]
    done: int
    planned: int
    stopped: bool


def _without_known_config(
    line: dict[str, Any], plan: Plan, setup: execute.Setup, run: Run
) -> dict[str, Any]:
    """The manifest has the configurations asked for; a run only tells where it differs."""
    options = execute.program_options(setup, run.cell, run.axis, run.variant)
    if "config" in line:
        line["config"] = execute.comparable_config(line["config"])
        if line["config"] == plan.configs.get(execute.config_key(setup, run.cell, options)):
            del line["config"]
    return line


def _label(run: Run) -> str:
    how = " counting" if run.copy == COUNTING else ""
    return f"{run.cell.label} smp={run.cell.vcpus} {run.variant}{how}"


def run_all(
    plan: Plan, setup: execute.Setup, folder: Path, manifest: dict[str, Any], progress_out: Any
) -> Outcome:
    """Measure what is still missing; Ctrl-C ends it after throwing away the run under way only."""
    repeat, seed = manifest["repeat"], manifest["seed"]
    todo = schedule(plan.experiments, repeat, seed)
    todo += counting_runs(plan.experiments, repeat, seed, len(todo))
    done = {run["order"] for run in record.read_runs(folder)}
    left = [run for run in todo if run.order not in done]
    progress = Progress([(r.cell.id, r.variant) for r in left], progress_out)
    helps: dict[str, str] = {}
    stopped = False
    log = record.RunLog(folder)
    try:
        for run in left:
            progress.show(_label(run))
            begin = time.monotonic()
            line, said = execute.measure(setup, run)
            helps.update(said)
            log.append(_without_known_config(line, plan, setup, run))
            progress.step(time.monotonic() - begin)
    except KeyboardInterrupt:
        stopped = True
    finally:
        progress.end()
        log.close()
    runs = record.read_runs(folder)
    if not runs:
        _remove_empty(folder)
    else:
        manifest["counter_help"] = {**manifest.get("counter_help", {}), **helps}
        manifest["ended"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        manifest["complete"] = len(runs) == len(todo)
        manifest["host_after"] = {
            key: value
            for key, value in environment.capture().items()
            if key in ("load_1min", "steal_ticks", "governor")
        }
        record.write_json(folder / record.MANIFEST, manifest)
    return Outcome(folder, manifest, len(runs), len(todo), stopped)


def _remove_empty(folder: Path) -> None:
    for name in (record.RUNS, record.MANIFEST):
        (folder / name).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        pass  # someone else's files: theirs to keep


def begin(
    plan: Plan,
    setup: execute.Setup,
    seed: int,
    folder: Path,
    options: dict[str, Any],
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the folder and its manifest; options are kept so that --resume needs none. more: further entries."""
    manifest = {**manifest_of(plan, setup, seed), "options": options, **(more or {})}
    record.make_folder(folder)
    try:
        record.write_json(folder / record.MANIFEST, manifest)
    except BenchError:
        _remove_empty(folder)
        raise
    return manifest


def resume(plan: Plan, setup: execute.Setup, folder: Path) -> dict[str, Any]:
    manifest = record.read_manifest(folder)
    fresh = manifest_of(plan, setup, manifest["seed"])
    check_same(manifest, fresh)
    manifest["resumed"] = [*manifest.get("resumed", []), fresh["begun"]]
    return manifest
