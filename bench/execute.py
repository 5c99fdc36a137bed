"""execute.py - one run: start a fresh process, watch it, and turn what it left into one record.

The keys of a record carry their units. Nothing is judged here except whether the run passed its own
check; a run that did not is recorded like any other, with the reason.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment
import linux_guest
from binary import Binary, Guest
from errors import BenchError
from plan import COUNTING, ENGINE_AXIS, PROGRAM, Cell, Run

MACHINE = "vexpress-a15"
MARK_LINE = re.compile(rb"^#! mark (\w+)\s*$")
METRIC_LINE = re.compile(r"^#! metric (\w+)=(-?[\d.]+(?:[eE][-+]?\d+)?)(?: unit=(\S+))?\s*$")
OUTPUT_KEPT = 2_000  # characters of output kept of a run that failed
COUNT_OPTION = "--count-insns"
COUNTING_TIMEOUT = 4  # times that of a timed run
SAMPLE_AFTER_S = 0.05  # when the placement of the threads is looked at, once


@dataclass(frozen=True)
class Setup:
    """What is the same for all runs of a bench."""

    binary: Binary
    guests: dict[str, Guest]
    memory: str
    pin: str
    timeout_s: float


def program_options(setup: Setup, cell: Cell, axis: str, variant: str) -> list[str]:
    """The options of `run` for this cell and scheme, without the image."""
    options = [
        f"--machine={MACHINE}",
        f"--smp={cell.vcpus}",
        f"--memory={setup.memory}",
        f"--pin={setup.pin}",
    ]
    chosen = [*cell.options, *cell.fixed]
    if axis != ENGINE_AXIS:
        chosen.append(f"--{axis}={variant}")
        if variant in setup.binary.axes[axis].unsound:  # named by the suite, which knows
            chosen.append("--allow-unsound")
    named = {option.partition("=")[0] for option in chosen}
    defaults = [f"--{a.name}={a.default}" for a in setup.binary.axes.values()]
    return options + [d for d in defaults if d.partition("=")[0] not in named] + chosen


def image_of(setup: Setup, cell: Cell) -> Path:
    return setup.guests[cell.guest].images[cell.isa]


def image_files(setup: Setup, cell: Cell) -> dict[str, Path]:
    """Everything that is loaded, by name."""
    image = image_of(setup, cell)
    if not setup.guests[cell.guest].linux:
        return {f"{cell.guest}.{cell.isa}": image}
    files = linux_guest.images(linux_guest.folder_of(image))
    return {"linux.kernel": files.kernel, "linux.dtb": files.dtb, "linux.initrd": files.initrd}


def image_words(setup: Setup, cell: Cell) -> list[str]:
    """The words by which `run` is told what to load, without its parameters."""
    image = image_of(setup, cell)
    if setup.guests[cell.guest].linux:
        return linux_guest.load_options(linux_guest.images(linux_guest.folder_of(image)))
    return [str(image)]


def command(setup: Setup, run: Run, stats_file: Path) -> list[str]:
    cell, image = run.cell, image_of(setup, run.cell)
    linux = setup.guests[cell.guest].linux
    line = linux_guest.append(cell.guest, cell.params) if linux else ""
    if run.axis != ENGINE_AXIS or run.variant == PROGRAM:
        options = program_options(setup, cell, run.axis, run.variant)
        options += [COUNT_OPTION] if run.copy == COUNTING else []
        program = [str(setup.binary.path), "run", *options, f"--stats=json:{stats_file}"]
        params = [f"--append={line}"] if linux else list(cell.params)
        return [*program, *image_words(setup, cell), *params]
    peer = [
        *("qemu-system-arm", "-M", MACHINE, "-smp", str(cell.vcpus), "-m", setup.memory),
        *("-accel", f"tcg,thread={run.variant.removeprefix('qemu-')}"),
    ]
    if linux:
        return peer + linux_guest.qemu_options(linux_guest.images(linux_guest.folder_of(image)), line)
    words = ",".join(f"arg={word}" for word in [cell.guest, *cell.params])
    return [
        *peer,
        *("-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
        *("-semihosting-config", f"enable=on,target=native,{words}", "-kernel", str(image)),
    ]


def with_unit(name: str, unit: str | None) -> str:
    """Put the unit into the key, unless the name ends with it already: "lost", "1/s" -> lost_per_s."""
    over, slash, under = ("bytes" if unit == "B" else unit or "").rpartition("/")
    parts = [over if over != "1" else "", "per", under] if slash else [under if under != "1" else ""]
    tail = re.sub(r"\W+", "_", "_".join(part for part in parts if part)).strip("_")
    return name if not tail or name.endswith(f"_{tail}") else f"{name}_{tail}"


def parse_output(text: str) -> tuple[dict[str, float], str]:
    """The guest's metrics, and its verdict: "pass" or the reason why not."""
    values: dict[str, float] = {}
    verdict = "no verdict printed"
    for line in text.splitlines():
        found = METRIC_LINE.match(line)
        if found:
            number = float(found[2])
            values[with_unit(found[1], found[3])] = int(number) if number.is_integer() else number
        elif line.startswith("PASS"):
            verdict = "pass"
        elif line.startswith("FAIL"):
            verdict = line.strip()
    return values, verdict


def flatten_stats(stats: dict[str, Any]) -> dict[str, Any]:
    """The statistics file with units moved into the keys and help texts left to the manifest."""
    out = {key: value for key, value in stats.items() if key != "counters"}
    if "histograms" in stats:
        out["histograms"] = {
            name: {key: value for key, value in row.items() if key != "help"}
            for name, row in stats["histograms"].items()
        }
    out["counters"] = {
        with_unit(name, row.get("unit")): row.get("value")
        for name, row in stats.get("counters", {}).items()
    }
    return out


def config_key(setup: Setup, cell: Cell, options: list[str]) -> str:
    """Under which the manifest keeps a configuration: the options, and whether a kernel is loaded."""
    return " ".join([*options, *(["linux"] if setup.guests[cell.guest].linux else [])])


WHAT_RUNS = ("image", "guest_args", "append")


def comparable_config(config: Any) -> Any:
    """A configuration without the guest and its arguments, which every run tells anyway."""
    if not isinstance(config, dict):
        return config
    return portable({k: v for k, v in config.items() if k not in WHAT_RUNS})


def portable(value: Any) -> Any:
    """The same without absolute paths: a record tells what ran, not where it lay."""
    if isinstance(value, dict):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def counter_help(stats: dict[str, Any]) -> dict[str, str]:
    rows = stats.get("counters", {}).items()
    helps = {with_unit(name, row.get("unit")): row.get("help", "") for name, row in rows}
    spread = stats.get("histograms", {}).items()
    return helps | {name: row["help"] for name, row in spread if "help" in row}


def _threads(pid: int) -> list[dict[str, Any]]:
    """Name, allowed CPUs and present CPU of each thread of a process, as the kernel has them."""
    out = []
    try:
        tasks = sorted(os.listdir(f"/proc/{pid}/task"))
    except OSError:  # it has ended
        return out
    for task in (Path(f"/proc/{pid}/task") / name for name in tasks):
        try:
            status = (task / "status").read_text()
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        allowed = lines.get("Cpus_allowed_list", "").strip()
        out.append({"name": lines["Name"].strip(), "allowed": allowed, "cpu": int(fields[36])})
    return out


@dataclass
class Finished:
    output: str
    errors: str
    exit_code: int
    timed_out: bool
    wall_ns: int
    usage: Any
    threads: list[dict[str, Any]]
    marks: dict[str, int]  # "#! mark NAME" on standard output: ns from the start of the process


def _drain(stream: Any, into: list[bytes]) -> threading.Thread:
    def read() -> None:
        with stream:
            into.append(stream.read())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _drain_marked(stream: Any, into: list[bytes], marks: dict[str, int], begin: int) -> threading.Thread:
    """The same, noting when each line that is a mark came in; of several with one name the first counts."""

    def read() -> None:
        rest = b""
        with stream:
            while chunk := os.read(stream.fileno(), 65536):
                now = time.monotonic_ns() - begin
                into.append(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if found := MARK_LINE.match(line):
                        marks.setdefault(found[1].decode(), now)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def start_and_wait(args: list[str], timeout_s: float) -> Finished:
    """Run args in a process group of its own, so that Ctrl-C reaches only the bench."""
    begin = time.monotonic_ns()
    try:
        process = subprocess.Popen(
            args,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "QEMU_AUDIO_DRV": "none"},  # else QEMU looks for a sound card
        )
    except OSError as error:
        raise BenchError(f"cannot start {args[0]}: {error.strerror}") from error
    out: list[bytes] = []
    err: list[bytes] = []
    marks: dict[str, int] = {}
    readers = [_drain_marked(process.stdout, out, marks, begin), _drain(process.stderr, err)]
    fired = threading.Event()
    threads: list[dict[str, Any]] = []

    def expire() -> None:
        fired.set()
        _kill(process)

    timers = [
        threading.Timer(timeout_s, expire),
        threading.Timer(SAMPLE_AFTER_S, lambda: threads.extend(_threads(process.pid))),
    ]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        # wait4 and not wait(): it alone gives the resource usage of this one child.
        _, status, usage = os.wait4(process.pid, 0)
        wall_ns = time.monotonic_ns() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        _kill(process)
        process.wait()
        raise
    finally:
        for timer in timers:
            timer.cancel()
    for reader in readers:
        reader.join(timeout=5)
    return Finished(
        output=b"".join(out).decode(errors="replace"),
        errors=b"".join(err).decode(errors="replace"),
        exit_code=process.returncode,
        timed_out=fired.is_set(),
        wall_ns=wall_ns,
        usage=usage,
        threads=threads,
        marks=marks,
    )


def mark_values(marks: dict[str, int]) -> dict[str, float]:
    """Times by the host's clock: until the guest was up, and of its region of interest."""
    out: dict[str, float] = {}
    if "up" in marks:
        out["boot_ns"] = marks["up"]
    if "begin" in marks and "end" in marks:
        out["roi_ns"] = marks["end"] - marks["begin"]
    return out


def _verdict(done: Finished, printed: str, timeout_s: float) -> str:
    if done.timed_out:
        return f"killed after {timeout_s:g} s"
    if printed.startswith("FAIL"):
        return printed
    if done.exit_code != 0:
        said = done.errors.strip().splitlines()
        reason = f"exit code {done.exit_code}"
        return f"{reason}: {said[-1]}" if said else reason
    return printed


def _read_stats(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def measure(setup: Setup, run: Run) -> tuple[dict[str, Any], dict[str, str]]:
    """One line for runs.jsonl, and the help texts of the counters that it holds."""
    folder = Path(tempfile.mkdtemp(prefix="dbtlab-run-"))
    try:
        args = command(setup, run, folder / "stats.json")
        timeout_s = setup.timeout_s * (COUNTING_TIMEOUT if run.copy == COUNTING else 1)
        steal = environment.steal_ticks()
        load = os.getloadavg()[0]
        begun = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        done = start_and_wait(args, timeout_s)
        stats = _read_stats(folder / "stats.json")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    stolen = environment.steal_ticks()
    values, printed = parse_output(done.output)
    values |= mark_values(done.marks)
    verdict = _verdict(done, printed, timeout_s)
    cell = run.cell
    record: dict[str, Any] = {
        "order": run.order,
        "round": run.round,
        "seed": run.seed,
        "experiment": cell.experiment,
        "cell": cell.id,
        "variant": run.variant,
        "copy": run.copy,
        "guest": cell.guest,
        "isa": cell.isa,
        "params": list(cell.params),
        "vcpus": cell.vcpus,
        "fixed": list(cell.fixed),
        "options": list(cell.options),
        "begun": begun,
        "self_check": verdict,
        "exit_code": done.exit_code,
        "values": values,
        "process": {
            "wall_ns": done.wall_ns,
            "user_us": round(done.usage.ru_utime * 1e6),
            "system_us": round(done.usage.ru_stime * 1e6),
            "maxrss_kib": done.usage.ru_maxrss,
            "involuntary_switches": done.usage.ru_nivcsw,
            "voluntary_switches": done.usage.ru_nvcsw,
            "major_faults": done.usage.ru_majflt,
        },
        "host": {
            "steal_ticks": None if steal is None or stolen is None else stolen - steal,
            "load_1min": load,
            "threads": done.threads,
        },
        **portable(flatten_stats(stats)),
    }
    if verdict != "pass":
        record["output"] = done.output[-OUTPUT_KEPT:]
        record["errors"] = done.errors[-OUTPUT_KEPT:]
    return record, counter_help(stats)
