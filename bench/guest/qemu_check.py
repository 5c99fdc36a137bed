#!/usr/bin/env python3
"""qemu_check.py — runs the guests with their test parameters under qemu-system-arm and prints a table.

The guests that guests.json marks qemu "ok" must pass; for the others the outcome is shown but does not count.
Exit code 0 when all that must pass did, else 1.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def qemu_command(elf: Path, cpus: int, params: dict[str, object], qemu: str = "qemu-system-arm") -> list[str]:
    args = "".join(f",arg={k}={v}" for k, v in params.items())
    return [qemu, "-M", "vexpress-a15", "-smp", str(cpus), "-m", "256M", "-nographic",
            "-semihosting-config", f"enable=on,target=native,arg=prog{args}", "-kernel", str(elf)]


def run_one(elf: Path, cpus: int, params: dict[str, object], limit_s: float) -> tuple[str, float, str]:
    """(ok | fail | hang, seconds, console)"""
    start = time.monotonic()
    process = subprocess.Popen(qemu_command(elf, cpus, params), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env={**os.environ, "QEMU_AUDIO_DRV": "none"})
    try:
        out, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
        return "hang", time.monotonic() - start, out.decode(errors="replace")
    text = out.decode(errors="replace")
    lines = text.splitlines()
    passed = process.returncode == 0 and bool(lines) and lines[-1].startswith("PASS ")
    return "ok" if passed else "fail", time.monotonic() - start, text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("elfs", type=Path, help="folder with GUEST.a32.elf and GUEST.t32.elf")
    parser.add_argument("guests", nargs="*", help="only these")
    parser.add_argument("--cpus", default="1,2,4")
    parser.add_argument("--timeout", type=float, default=20, metavar="S")
    parser.add_argument("--set", default="tests", choices=["tests", "bench"])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="print what the guests print")
    args = parser.parse_args()

    rows = json.loads((HERE / "guests.json").read_text())["guests"]
    sources = {p.stem for p in HERE.glob("*.c")}
    listed = {r["name"] for r in rows}
    if sources != listed:
        print(f"guests.json and the sources differ: {sorted(sources ^ listed)}")
        return 1
    unknown = set(args.guests) - listed
    if unknown:
        print(f"no such guest: {', '.join(sorted(unknown))}")
        return 2

    bad = 0
    for row in rows:
        if args.guests and row["name"] not in args.guests:
            continue
        for isa in row["isa"]:
            for params in row[args.set]:
                cells = []
                for cpus in (int(c) for c in args.cpus.split(",")):
                    if not row["cpus"][0] <= cpus <= row["cpus"][1]:
                        continue
                    for _ in range(args.repeat):
                        result, seconds, text = run_one(args.elfs / f"{row['name']}.{isa}.elf", cpus, params,
                                                        args.timeout)
                        must = row["qemu"]["status"] == "ok" or cpus < row["qemu"].get("from_cpus", 1)
                        bad += must and result != "ok"
                        excuse = "" if must or result == "ok" else f"({row['qemu']['status']})"
                        cells.append(f"{cpus}:{result}{excuse} {seconds:.2f}s")
                        if args.verbose or (must and result != "ok"):
                            print(text, end="")
                shown = " ".join(f"{k}={v}" for k, v in params.items())
                print(f"{row['name']:14} {isa} {shown:36} {'  '.join(cells)}", flush=True)
    print("all that must pass under QEMU did" if not bad else f"{bad} that must pass under QEMU did not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
