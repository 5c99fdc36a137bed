#!/usr/bin/env python3
"""matrix.py — every guest under every combination of strategies, compared with QEMU and with its own self-check.

A row of bench/guest/guests.json runs with each of its test parameters; lines that begin with #! are measurements and are not
compared. A guest that needs a guarantee (lfstack: aba) runs under schemes that do not give it too, but then only has to end.
Instruction sets, parameters and --variant options take turns over the combinations, from a seeded start.
Prints one line per failure and, last, `N passed, N failed`.
"""
import argparse
import concurrent.futures
import itertools
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


@dataclass(frozen=True)
class Run:
    guest: str
    isa: str
    cpus: int
    params: tuple[tuple[str, object], ...]
    combo: tuple[tuple[str, str], ...]
    extra: tuple[str, ...] = ()

    def words(self) -> list[str]:
        return [f"{k}={v}" for k, v in self.params]

    def text(self) -> str:
        scheme = " ".join(f"--{a}={s}" for a, s in self.combo)
        return f"{self.guest}.{self.isa} {' '.join(self.words())} --smp={self.cpus} {scheme} {' '.join(self.extra)}"


@dataclass
class Lab:
    binary: str
    guests: Path
    qemu: str
    timeout: float
    expected: dict[tuple, str | None] = field(default_factory=dict)

    def elf(self, run: Run) -> str:
        return str(self.guests / f"{run.guest}.{run.isa}.elf")


def comparable(output: str) -> str:
    return "\n".join(line.rstrip() for line in output.splitlines() if not line.startswith("#!"))


def execute(command: list[str], timeout: float) -> tuple[int | None, str, str]:
    """Exit code (None: did not end), stdout, stderr."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=timeout)
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        code = None
    return code, out.decode(errors="replace"), err.decode(errors="replace")


def qemu_output(lab: Lab, run: Run) -> str | None:
    """What QEMU prints, or None when it does not pass there (it is no oracle then)."""
    args = "".join(f",arg={word}" for word in run.words())
    command = [lab.qemu, "-M", "vexpress-a15", "-smp", str(run.cpus), "-m", "256M", "-nographic",
               "-semihosting-config", f"enable=on,target=native,arg=prog{args}", "-kernel", lab.elf(run)]
    for _ in range(2):
        code, out, _ = execute(command, lab.timeout)
        if code == 0:
            return comparable(out)
    return None


def judge(lab: Lab, run: Run, oracle: str | None, must_pass: bool) -> str | None:
    """None: fine; else what is wrong."""
    command = [lab.binary, "run", "--machine=vexpress-a15", f"--smp={run.cpus}", "--memory=256M"]
    command += [f"--{axis}={scheme}" for axis, scheme in run.combo] + list(run.extra)
    command += [lab.elf(run)] + run.words()
    code, out, err = execute(command, lab.timeout)
    tail = (err.strip().splitlines() or out.strip().splitlines() or [""])[-1]
    if "Sanitizer" in err or "runtime error:" in err or "CHECK" in err:
        return f"exit code {code}\n{err[:8000]}"
    if code is None:
        return f"did not end in {lab.timeout:.0f} s; {tail}"
    if not must_pass:
        return None if code in (0, 1) else f"exit code {code}: {tail}"
    if code != 0:
        last = (out.strip().splitlines() or [""])[-1]
        return f"exit code {code}: {last or tail}"
    if oracle is not None and comparable(out) != oracle:
        ours, theirs = comparable(out).splitlines(), oracle.splitlines()
        for a, b in itertools.zip_longest(ours, theirs):
            if a != b:
                return f"prints {a!r} where QEMU prints {b!r}"
    return None


def strategies(binary: str) -> tuple[list[tuple[tuple[str, str], ...]], dict[tuple[str, str], set[str]]]:
    listed = json.loads(subprocess.run([binary, "--list-strategies=json"], check=True, capture_output=True).stdout)
    axes, gives = [], {}
    for axis in listed["axes"]:
        axes.append([(axis["name"], s["name"]) for s in axis["schemes"]
                     if not s.get("unsound") and not s.get("busted")])
        for s in axis["schemes"]:
            gives[(axis["name"], s["name"])] = set(s["gives"])
    return [tuple(combo) for combo in itertools.product(*axes)], gives


def covering(combos: list, rng: random.Random) -> list:
    """A few combinations in which each two schemes of different axes meet at least once."""
    def pairs(combo: tuple) -> set:
        return set(itertools.combinations(combo, 2))

    wanted = set().union(*map(pairs, combos))
    chosen = []
    pool = rng.sample(combos, len(combos))
    while wanted:
        best = max(pool, key=lambda c: len(pairs(c) & wanted))
        chosen.append(best)
        wanted -= pairs(best)
    return chosen


# Guests whose vCPUs work against each other: what sanitizers and fault injection are for.
STRESS = ("lfstack", "spinlock", "ticketlock", "atomic_add", "beside", "lock_stress", "smc_tight", "smc_computed", "smc_paged",
          "smc_cross", "smc_race", "churn", "tlb_local", "tlb_remote", "sgi_pingpong", "timer_irq", "exec_loop",
          "inval_latency", "litmus_mp", "litmus_sb", "excl_ctx", "exclusive_rules", "aba")


def plan(args: argparse.Namespace, combos: list, rng: random.Random) -> list[tuple[dict, Run]]:
    rows = json.loads((ROOT / "bench/guest/guests.json").read_text())["guests"]
    runs = []
    extras = [tuple(args.option + v.split()) for v in args.variant or [""]]
    turn = rng.randrange(len(extras))
    for row in rows:
        if args.stress and row["name"] not in STRESS:
            continue
        if args.guest and row["name"] not in args.guest:
            continue
        for cpus in (int(c) for c in args.vcpus.split(",")):
            if not row["cpus"][0] <= cpus <= row["cpus"][1]:
                continue
            for n, combo in enumerate(combos):
                # Every combination meets each guest; instruction set and parameters take turns, from a seeded start.
                variants = [(isa, params) for params in row["tests"] for isa in row["isa"]]
                start = rng.randrange(len(variants))
                count = len(variants) if args.thorough else 1
                for k in range(count):
                    isa, params = variants[(start + n + k) % len(variants)]
                    for _ in range(len(extras) if args.all_variants else 1):
                        extra = extras[turn % len(extras)]
                        turn += 1
                        runs.append((row, Run(row["name"], isa, cpus, tuple(params.items()), combo, extra)))
    rng.shuffle(runs)
    return runs[: args.limit] if args.limit else runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.environ.get("DBTLAB_BIN"), help="the program (default: $DBTLAB_BIN)")
    parser.add_argument("--guests", type=Path, default=os.environ.get("DBTLAB_GUESTS"), help="folder of ELF files")
    parser.add_argument("--qemu", default="qemu-system-arm")
    parser.add_argument("--vcpus", default="1,2,4")
    parser.add_argument("--guest", action="append", default=[], help="only this one (may be repeated)")
    parser.add_argument("--combo", action="append", default=[], metavar="AXIS=SCHEME", help="only these schemes")
    parser.add_argument("--option", action="append", default=[], help="one more option of `run`, e.g. --chaos=all")
    parser.add_argument("--variant", action="append", default=[], metavar="'OPTIONS'",
                        help="options in one word; when repeated, runs take them in turn")
    parser.add_argument("--all-variants", action="store_true", help="each run with each --variant")
    parser.add_argument("--stress", action="store_true", help="only the guests whose vCPUs work against each other")
    parser.add_argument("--pairs", action="store_true",
                        help="not all combinations, but so many that each two schemes meet")
    parser.add_argument("--no-oracle", action="store_true", help="the guests' own checks only, no QEMU")
    parser.add_argument("--thorough", action="store_true", help="all parameters under each combination")
    parser.add_argument("--limit", type=int, default=0, help="a seeded sample of this many runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=180, metavar="S",
                        help="a run that has not ended by then hangs: seconds that a busy host does not need")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="show the N slowest runs")
    args = parser.parse_args()
    if not args.binary or not args.guests:
        parser.error("say --binary and --guests, or set DBTLAB_BIN and DBTLAB_GUESTS")

    lab = Lab(args.binary, Path(args.guests), args.qemu, args.timeout)
    combos, gives = strategies(args.binary)
    for want in args.combo:
        axis, scheme = want.split("=")
        combos = [c for c in combos if (axis, scheme) in c]
    rng = random.Random(args.seed)
    if args.pairs:
        combos = covering(combos, rng)
    runs = plan(args, combos, rng)
    print(f"{len(runs)} runs, {len(combos)} combinations, seed {args.seed}", flush=True)

    begin, passed, failed = time.monotonic(), 0, 0
    took: list[tuple[float, str]] = []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        keys = {(r.guest, r.isa, r.cpus, r.params): (row, r) for row, r in runs}
        wanted = {k: r for k, (row, r) in keys.items() if not args.no_oracle and
                  (row["qemu"]["status"] == "ok" or r.cpus < row["qemu"].get("from_cpus", 1))}
        lab.expected = dict(zip(wanted, pool.map(lambda r: qemu_output(lab, r), wanted.values())))
        lost = [r.text() for k, r in wanted.items() if lab.expected[k] is None]
        for text in lost:
            print(f"note: QEMU does not pass {text}; not compared")

        def one(item: tuple[dict, Run]) -> tuple[Run, str | None]:
            row, run = item
            offered = set().union(*(gives[c] for c in run.combo))
            must = set(row["needs"]) <= offered
            start = time.monotonic()
            wrong = judge(lab, run, lab.expected.get((run.guest, run.isa, run.cpus, run.params)), must)
            took.append((time.monotonic() - start, run.text()))
            return run, wrong

        for run, wrong in pool.map(one, runs):
            if wrong:
                failed += 1
                print(f"FAIL {run.text()}: {wrong}", flush=True)
            else:
                passed += 1
    for seconds, text in sorted(took, reverse=True)[: args.slowest]:
        print(f"{seconds:6.2f} s  {text}")
    print(f"{time.monotonic() - begin:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
