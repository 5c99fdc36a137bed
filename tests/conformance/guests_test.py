"""guests_test.py — each scheme is held to what its `gives` says, by guests and counters

What single calls of hooks can show is in claims_test.c. The program is the one with the busted rows; each of them must fail.
"""
import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

# py_test.sh starts in this folder of the runfiles.
RUNFILES = Path(os.environ.get("TEST_SRCDIR", "/nonexistent")) / os.environ.get("TEST_WORKSPACE", "")
BINARY = Path(os.environ.get("DBTLAB_BIN") or RUNFILES / "tests/conformance/dbtlab_busted")
GUESTS = Path(os.environ.get("DBTLAB_GUESTS") or RUNFILES / "bench/guest")


def axes() -> dict[str, list[dict]]:
    out = subprocess.run([BINARY, "--list-strategies=json"], check=True, capture_output=True, text=True).stdout
    return {a["name"]: a["schemes"] for a in json.loads(out)["axes"]}


class Outcome:
    def __init__(self, code: int | None, out: str, counters: dict[str, int]):
        self.code, self.out, self.counters = code, out, counters


def run(guest: str, *options: str, smp: int = 1, words: str = "") -> Outcome:
    """A run that may fail in any way, but ends: the busted ones soon, the others when a busy host lets them."""
    seconds = 20 if any(o.endswith("=busted") for o in options) else 120
    with tempfile.TemporaryDirectory() as tmp:
        stats = Path(tmp) / "stats.json"
        command = [str(BINARY), "run", f"--smp={smp}", f"--stats=json:{stats}", f"--timeout={seconds}", *options,
                   str(GUESTS / f"{guest}.elf"), *words.split()]
        try:
            p = subprocess.run(command, capture_output=True, timeout=seconds + 20, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return Outcome(None, "", {})
        counters = {}
        if stats.exists():
            counters = {k: c["value"] for k, c in json.loads(stats.read_text())["counters"].items()}
        return Outcome(p.returncode, p.stdout.decode(errors="replace"), counters)


# Runs that any scheme of the axis must pass; each goes through what the axis decides. chain_guard.c is in the program.
DUTIES = {
    "invalidation": [
        ("intmix_core.a32", ["--chaos=flush=20000"], 1, "iters=1"),
        ("sort.t32", ["--chaos=flush=300000,delay=2000"], 2, "n=200 loops=1"),
        ("exec_loop.a32", ["--chaos=flush=100000,unchain=100000"], 2, "rounds=20 chunk=10"),
        ("fib.a32", ["--chaos=flush=100000", "--engine=interp"], 1, "n=8 loops=1"),
        ("smc_tight.a32", [], 2, "iters=100"),
    ],
    "atomics": [
        ("exclusive_rules.a32", [], 2, ""),
        ("atomic_add.t32", [], 4, "ops=5000 counters=1"),
        ("spinlock.a32", [], 4, "ops=1000"),
        ("excl_ctx.a32", [], 2, "ops=300"),
    ],
    "tb-cache": [
        ("smc_tight.a32", [], 2, "iters=100"),
        ("smc_computed.t32", [], 1, "iters=100"),
        ("churn.a32", ["--code-memory=1M"], 2, "funcs=300 passes=3"),
    ],
    "tb-lifetime": [
        ("churn.a32", ["--code-memory=1M"], 2, "funcs=2000 passes=2"),
        ("churn.t32", ["--code-memory=1M", "--chaos=unchain=50000,delay=2000"], 4, "funcs=500 passes=3"),
        ("smc_race.a32", [], 4, "iters=100"),
    ],
}


def local_objects_named_by_loop(source: str) -> set[str]:
    """Static variables of a scheme's file that its execution loop mentions."""
    symbols = subprocess.run(["readelf", "-sW", BINARY], check=True, capture_output=True, text=True).stdout
    inside, loop, objects = False, None, {}
    for line in symbols.splitlines():
        f = line.split()
        if len(f) < 8 or not f[0].endswith(":"):
            continue
        if f[3] == "FILE":
            inside = f[7] == source
        elif inside and f[3] == "FUNC" and f[7] == "loop":
            loop = (int(f[1], 16), int(f[2], 0))
        elif inside and f[3] == "OBJECT" and f[4] == "LOCAL":
            objects[f[7]] = (int(f[1], 16), int(f[2], 0))
    assert loop, f"{source} has no loop"
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", f"--start-address={loop[0]}",
                           f"--stop-address={loop[0] + loop[1]}", BINARY],
                          check=True, capture_output=True, text=True).stdout
    named = {int(a, 16) for a in re.findall(r"#\s*([0-9a-f]+)", text)}
    return {n for n, (at, size) in objects.items() if any(at <= a < at + size for a in named)}


# -- Guarantees: true when it holds ---------------------------------------------------------------

def no_stop(axis: str, scheme: str) -> bool:
    """Code memory runs over without a flush of everything; exclusives ask for no quiescent section of theirs."""
    if axis == "tb-lifetime":
        o = run("churn.a32", "--tb-lifetime=" + scheme, "--code-memory=1M", smp=2, words="funcs=3000 passes=2")
        return o.code == 0 and o.counters["tb_code_bytes"] > 1 << 20 and o.counters["tb_flushes"] == 0
    o = run("spinlock.a32", "--atomics=" + scheme, smp=4, words="ops=1000")
    return o.code == 0 and o.counters["excl_pages"] == 0


def no_hot_cost(_axis: str, scheme: str) -> bool:
    return not local_objects_named_by_loop(scheme.replace("-", "_") + ".c")


def partial(axis: str, scheme: str) -> bool:
    o = run("smc_tight.a32", f"--{axis}={scheme}", words="iters=100")
    return o.code == 0 and o.counters["tb_invalidated"] > 50 and o.counters["tb_flushes"] == 0


def shared(axis: str, scheme: str) -> bool:
    one, four = (run("intmix_dhry.a32", f"--{axis}={scheme}", smp=n, words="loops=500") for n in (1, 4))
    return one.code == four.code == 0 and four.counters["tb_translated"] < 2 * one.counters["tb_translated"]


def strict_exclusives(axis: str, scheme: str) -> bool:
    return all(run(f"{g}.{isa}", f"--{axis}={scheme}", smp=2, words="strict=1").code == 0
               for g in ("aba", "exclusive_rules") for isa in ("a32", "t32"))


def pairs_end(axis: str, scheme: str) -> bool:
    return run("atomic_add.a32", f"--{axis}={scheme}", smp=4, words="ops=5000 counters=1").code == 0


def wakes_wfe(axis: str, scheme: str) -> bool:
    """A lock goes round by plain stores alone, in translated code; four vCPUs, so that some sleep."""
    return all(run(f"spinlock.{isa}", f"--{axis}={scheme}", smp=4, words="ops=500 wait=turn").code == 0
               for isa in ("a32", "t32"))


# A guarantee that is not here is claims_test.c's.
CLAIMS = {"no-stop": no_stop, "no-hot-cost": no_hot_cost, "partial": partial, "shared": shared,
          "aba": strict_exclusives, "progress": pairs_end, "wakes-wfe": wakes_wfe}


class Conformance(unittest.TestCase):
    def suite(self, axis: str) -> None:
        schemes = axes()[axis]
        self.assertTrue(schemes[-1]["busted"])
        for s in schemes:
            broken = []
            for guest, options, smp, words in DUTIES[axis]:
                o = run(guest, f"--{axis}={s['name']}", *options, smp=smp, words=words)
                if o.code != 0:
                    broken.append(f"{guest} {words} {' '.join(options)}: exit code {o.code}")
            for claim in s["gives"]:
                if claim in CLAIMS and not CLAIMS[claim](axis, s["name"]):
                    broken.append(f"{claim} is claimed and does not hold")
            for line in broken:
                print(f"{axis}={s['name']}: {line}")
            if s["busted"]:
                self.assertTrue(broken, f"--{axis}=busted passes: the suite is wrong")
            else:
                self.assertFalse(broken, f"--{axis}={s['name']}: {broken}")

    def test_invalidation(self) -> None:
        self.suite("invalidation")

    def test_atomics(self) -> None:
        self.suite("atomics")

    def test_tb_cache(self) -> None:
        self.suite("tb-cache")

    def test_tb_lifetime(self) -> None:
        self.suite("tb-lifetime")

    def test_hot_cost_is_seen(self) -> None:
        """The check of no-hot-cost finds what the schemes that do not claim it cost."""
        self.assertEqual(local_objects_named_by_loop("flush_counter.c"), {"flushes"})
        self.assertEqual(local_objects_named_by_loop("per_cpu.c") & {"flags"}, {"flags"})


if __name__ == "__main__":
    unittest.main()
