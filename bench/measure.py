"""measure.py - a suite from its file to its report: what `bench` and `paper` share."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

import claims
import linux_guest
import papers
import record
import report
import session
import suites
from binary import Binary, load_guests
from errors import BenchError

DEFAULT_SEED = 1
EXIT_INTERRUPTED = 130


def _as_interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def suite(
    path: Path,
    name: str,
    binary: Binary,
    args: argparse.Namespace,
    restore: Callable[[argparse.Namespace, Path], None],
    paper: papers.Paper | None = None,
) -> int:
    """Measure the suite in path, write its folder, print the short tables. Returns the exit code."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    signal.signal(signal.SIGHUP, _as_interrupt)
    guests = load_guests()
    folder = args.out
    if args.resume:
        folder = folder or session.latest_folder(name)
        restore(args, folder)
    loaded = suites.load(
        path, binary, guests, axis=args.axis, vcpus=args.vcpus, repeat=args.repeat, name=name
    )
    setup = session.setup_of(loaded, binary, guests)
    linux = [guests[c.guest] for e in loaded.experiments for c in e.cells if guests[c.guest].linux]
    if linux:
        print("dbtlab: preparing Linux and its programs", file=sys.stderr)
        packages = linux_guest.prepare(linux_guest.folder_of(linux[0].images[linux_guest.ISA]))
    plan = session.resolve(loaded, setup)
    with session.alone():
        if args.resume:
            manifest = session.resume(plan, setup, folder)
        else:
            folder = folder or session.new_folder(name)
            options = {"axis": args.axis, "vcpus": args.vcpus, "repeat": args.repeat}
            seed = DEFAULT_SEED if args.seed is None else args.seed
            more = {"linux": packages} if linux else {}
            manifest = session.begin(plan, setup, seed, folder, options, more)
        for sentence in plan.left_out:
            print(f"dbtlab: {sentence}", file=sys.stderr)
        outcome = _run(plan, setup, folder, manifest)
    if outcome.done == 0:
        print("dbtlab: stopped before the first run; nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    try:
        return _finish(plan, outcome, paper)
    except record.WriteError as error:
        hint = f"the runs are kept and --resume --out={folder} writes the report"
        raise BenchError(f"{error}; {hint}") from error


def _run(
    plan: session.Plan, setup: session.execute.Setup, folder: Path, manifest: report.Manifest
) -> session.Outcome:
    try:
        return session.run_all(plan, setup, folder, manifest, sys.stderr)
    except BenchError as error:
        kept = len(record.read_runs(folder))
        hint = f"; {kept} runs are kept and --resume --out={folder} goes on" if kept else ""
        raise type(error)(f"{error}{hint}") from error


def _print_tables(results: list[report.Result], crowd: dict[int, str]) -> None:
    for result in results:
        print(f"\n{result.experiment.name}: {result.experiment.question}\n")
        print("\n".join(report.short_table(result, crowd)))


def _finish(plan: session.Plan, outcome: session.Outcome, paper: papers.Paper | None) -> int:
    folder, manifest = outcome.folder, outcome.manifest
    closing: list[str] = []
    judged: list[claims.Judged] = []
    extra = []
    if paper:
        runs = record.read_runs(folder)
        judged = paper.judge(plan.experiments, runs, manifest["seed"])
        closing = claims.sentences(judged)
        extra = paper.figures(plan.experiments, runs, manifest)
    results = report.write(
        folder,
        manifest,
        plan.experiments,
        outcome.planned,
        figures_first=extra,
        claims_table=papers.claims_table(judged),
        closing=closing,
    )
    if paper:
        print("\n".join(["", f"{paper.title} ({paper.year}): {paper.question}", ""]))
        print("\n".join(papers.verdict_table(judged)))
    else:
        _print_tables(results, report.crowd_of(manifest))
    failed = sum(len(row.failures) for result in results for row in result.rows)
    if failed:
        print(f"\n{failed} runs failed their self-check; they enter no statistic (see report.md).")
    if outcome.stopped:
        left = outcome.planned - outcome.done
        print(f"\nStopped: {outcome.done} runs kept, {left} to go with --resume --out={folder}")
    print(f"\nreport: {folder / 'report.md'}")
    for plot in sorted((folder / "plots").glob("*.png")):
        print(f"plot:   {plot}")
    if closing:
        print("\n" + "\n".join(closing))
    if outcome.stopped:
        return EXIT_INTERRUPTED
    return 1 if all(not row.values for result in results for row in result.rows) else 0
