"""programs_test.py — real programs under Linux print what they print under QEMU (golden/programs.txt)

To record it anew: ./dbtlab run linux --qemu --smp=2 --add=PACKAGES --file=tests/linux/programs.sh --run='sh ./programs.sh all'.
By hand: ./dbtlab run linux ... --run='sh ./programs.sh stress_long python_tests'.
"""
import unittest

import guest

PACKAGES = ("openssl", "pigz", "rt-tests", "sqlite3", "stress-ng", "xz-utils")
SCRIPT = str(guest.HERE / "programs.sh")
SECONDS = 1000  # a quiet host takes less than a minute


def setUpModule():
    try:
        guest.prepare(PACKAGES)
    except guest.CannotFetch as reason:
        raise unittest.SkipTest(f"skipped: {reason}") from reason


def sections(text):
    """{name: its lines}; what comes before the first one is under ""."""
    out, name = {"": []}, ""
    for line in text.splitlines():
        if line.startswith("== "):
            name = line[3:]
            out[name] = []
        else:
            out[name].append(line)
    return out


def programs(names, *options, smp=2):
    return guest.boot(f"sh ./programs.sh {names}", *options, smp=smp, packages=PACKAGES, files=[SCRIPT], seconds=SECONDS)


class Programs(unittest.TestCase):
    maxDiff = None

    def test_the_same_as_under_qemu(self):
        done = programs("all")
        self.assertEqual(done.code, 0, done)
        want = sections((guest.HERE / "golden/programs.txt").read_text())
        got = sections(done.out)
        self.assertEqual(list(got), list(want), done)
        for name, lines in want.items():
            with self.subTest(program=name):
                self.assertEqual(got[name], lines)

    def test_one_vcpu_keeps_its_reservations_apart(self):
        """Threads that take turns on one vCPU in the middle of load- and store-exclusives."""
        for atomics in guest.axes()["atomics"]:
            with self.subTest(atomics=atomics):
                done = programs("locks", f"--atomics={atomics}", smp=1)
                self.assertEqual(done.code, 0, done)
                want = [f"stress-ng {s}: exit 0" for s in ("atomic", "futex", "mutex", "switch", "sem")]
                self.assertEqual(done.out.splitlines(), ["== locks", *want, "32000", "-- exit 0"], done)


if __name__ == "__main__":
    unittest.main()
