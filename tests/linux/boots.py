#!/usr/bin/python3
"""boots.py — boots of Linux under combinations of strategies, each to a command, its exit code, and power-off.

    boots.py [--all] [--smp=1,2,4] [--in-a-row=N] [--list]

By itself every pair of schemes of two axes, and of a scheme and a number of vCPUs, is in some boot. --all makes every
combination; --in-a-row boots the default strategies N times instead. The last line is `N passed, N failed`.
"""
import argparse
import itertools
import sys

import guest

COMMAND = 'n=$(nproc); echo "cpus=$n $(uname -m)"; exit $((40 + n))'


def pairwise(choices):
    """Rows of values, one for each key, in which every two values of different keys meet. Greedy, always the same."""
    keys = list(choices)
    want = {((a, x), (b, y)) for a, b in itertools.combinations(keys, 2) for x in choices[a] for y in choices[b]}
    rows = []
    everything = [tuple(zip(keys, r)) for r in itertools.product(*choices.values())]
    while want:
        best = max(everything, key=lambda r: sum(p in want for p in itertools.combinations(r, 2)))
        want -= set(itertools.combinations(best, 2))
        rows.append(dict(best))
    return rows


def combinations(smp, every):
    choices = {"smp": smp} | guest.axes()
    if every:
        return [dict(zip(choices, r)) for r in itertools.product(*choices.values())]
    return pairwise(choices)


def check(row):
    """What is wrong with a boot, or None; and its time."""
    options = [f"--{axis}={scheme}" for axis, scheme in row.items() if axis != "smp"]
    done = guest.boot(COMMAND, *options, smp=row["smp"])
    if done.code != 40 + row["smp"] or f"cpus={row['smp']} armv7l" not in done.out:
        return str(done), done.seconds
    if "Oops" in done.out or "BUG:" in done.out or "rcu:" in done.out:
        return "the kernel complained: " + done.out[-2000:], done.seconds
    return None, done.seconds


def main(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    p.add_argument("--all", action="store_true", help="every combination")
    p.add_argument("--smp", default="1,2,4", help="numbers of vCPUs")
    p.add_argument("--in-a-row", type=int, default=0, metavar="N", help="the default strategies, N times, with 2 vCPUs")
    p.add_argument("--list", action="store_true", help="only say what would be booted")
    args = p.parse_args(argv)
    smp = [int(n) for n in args.smp.split(",")]
    rows = [{"smp": 2}] * args.in_a_row if args.in_a_row else combinations(smp, args.all)
    if args.list:
        print("\n".join(" ".join(f"{k}={v}" for k, v in r.items()) for r in rows))
        return 0
    try:
        guest.prepare()
    except guest.CannotFetch as reason:
        print(f"skipped: {reason}\n0 passed, 0 failed")
        return 0
    failed, times = 0, []
    for n, row in enumerate(rows, 1):
        wrong, seconds = check(row)
        times.append(seconds)
        failed += bool(wrong)
        name = " ".join(f"{k}={v}" for k, v in row.items())
        print(f"[{n}/{len(rows)}] {'FAIL' if wrong else 'ok  '} {name}, {seconds:.1f} s", flush=True)
        if wrong:
            print(wrong, flush=True)
    times.sort()
    print(f"seconds a boot, power-off included: least {times[0]:.1f}, median {times[len(times) // 2]:.1f}, most {times[-1]:.1f}")
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
