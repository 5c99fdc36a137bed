"""waiting_test.py — a guest that waits: for an event, for a key, for nothing; and how its clock goes meanwhile"""
import os
import subprocess
import time
import unittest
from pathlib import Path

from board import LIMIT_S, PROGRAM, guest, run

ENGINES = ("jit", "interp")


def start(*words: str) -> subprocess.Popen:
    return subprocess.Popen([PROGRAM, "run", f"--timeout={LIMIT_S}", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def end(child: subprocess.Popen) -> None:
    child.kill()
    child.communicate()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Waiting(unittest.TestCase):
    def test_event_stream_wakes_wfe(self) -> None:
        for engine in ENGINES:
            begin = time.monotonic()
            done = run(f"--engine={engine}", guest("wfe"))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertGreater(time.monotonic() - begin, 0.2)

    def test_a_vcpu_that_waits_for_a_key_holds_up_nobody(self) -> None:
        for engine in ENGINES:
            child = start(f"--engine={engine}", "--smp=2", "--iciallu=flush", guest("readc"))
            self.addCleanup(end, child)
            self.assertEqual(child.stdout.read(1), b"D")  # before any key
            child.stdin.write(b"k")
            child.stdin.flush()
            self.assertEqual(child.wait(LIMIT_S), ord("k"))

    def test_an_end_while_a_vcpu_waits_for_a_key(self) -> None:
        child = subprocess.run([PROGRAM, "run", "--smp=2", "--timeout=1", guest("readc")], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_S, check=False, input=None)
        self.assertIn(child.returncode, (124, 255), child.stderr)  # 255: the input ended, and -1 came of it

    def test_idle_costs_little(self) -> None:
        """Less than 3 % of a core on a quiet host; the bound leaves room for a busy one and for sanitizers."""
        child = start("--smp=4", guest("idle"))
        self.addCleanup(end, child)
        shares = []
        for _ in range(5):  # on a busy host it may still be starting; a guest that never idles costs each time
            time.sleep(1)
            before, begin = cpu_seconds(child.pid), time.monotonic()
            time.sleep(2)
            shares.append((cpu_seconds(child.pid) - before) / (time.monotonic() - begin))
            self.assertIsNone(child.poll())
            if shares[-1] < 0.1:
                return
        self.fail(f"it takes {shares} of a core")


class Clock(unittest.TestCase):
    """The guest says its count; lines come late, never early, so the least delay of many is what the clocks differ by."""

    SECONDS = (4, 4, 8, 16, 32)  # a busy host moves the least delays by what counts the less the longer it takes
    HZ = 62_500_000

    def drift_ms_per_minute(self, engine: str, seconds: int) -> float | None:
        """None: too few lines came to say."""
        child = start(f"--engine={engine}", guest("clock"))
        self.addCleanup(end, child)
        samples = []
        begin = time.monotonic_ns()
        while time.monotonic_ns() - begin < seconds * 1e9:
            line = child.stdout.readline()
            now = time.monotonic_ns()
            samples.append((now, now - int(line, 16) * 1_000_000_000 // self.HZ))
        end(child)
        if len(samples) <= seconds * 8:  # every 20 ms on a quiet host
            return None
        third = len(samples) // 3
        first = min(samples[:third], key=lambda s: s[1])
        last = min(samples[-third:], key=lambda s: s[1])
        return (last[1] - first[1]) / 1e6 / ((last[0] - first[0]) / 60e9)

    def test_generic_timer_keeps_the_hosts_time(self) -> None:
        for engine in ENGINES:
            seen = []
            for seconds in self.SECONDS:  # a wrong clock is wrong each time, a busy host is not
                seen.append(self.drift_ms_per_minute(engine, seconds))
                if seen[-1] is not None and abs(seen[-1]) < 50:
                    break
            else:
                self.fail(f"{engine}: the guest's clock is off by {seen} ms a minute")


if __name__ == "__main__":
    unittest.main()
