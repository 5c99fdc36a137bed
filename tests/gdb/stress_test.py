"""stress_test.py — breakpoints, watchpoints and steps by the thousand, on code that two vCPUs run hot: none is ever missed

The guest counts its calls of hot() for each vCPU. While a breakpoint stands on hot(), a vCPU gets into it only by the steps given
here, so the counters say exactly how often; and they must, under each scheme, with chaos, with code patched and blocks
flushed around it.
"""
from __future__ import annotations

import random
import re
import unittest

from gdbdriver import HERE, Guest
from remote import Client, symbols

SEED = 20161
ROUNDS = 250


class Stress(unittest.TestCase):
    def begin(self, isa: str, *options: str) -> None:
        elf = str(HERE / f"debugme.{isa}.elf")
        self.guest = Guest("--smp=2", *options, elf, "spin=1")
        self.addCleanup(self.guest.close)
        self.client = Client(self.guest.socket)
        self.addCleanup(self.client.close)
        self.at = {name: address & ~1 for name, address in symbols(elf).items()}
        self.counters = [self.at["hot_calls"] + 4 * i for i in range(2)]
        self.stop_at("spin")
        self.go()
        self.ask(f"z0,{self.at['spin']:x},4")

    def ask(self, packet: str) -> None:
        self.assertEqual(self.client.ask(packet), "OK", packet)

    def stop_at(self, name: str) -> None:
        self.ask(f"Z0,{self.at[name]:x},4")

    def go(self, packet: str = "vCont;c") -> tuple[int, str]:
        """Goes on until the next stop: its thread, and the rest of what is said of it."""
        stop = self.client.ask(packet)
        found = re.fullmatch(r"T05thread:([12]);core:[01];(.*)", stop)
        self.assertIsNotNone(found, stop)
        return int(found[1]), found[2]

    def counts(self) -> list[int]:
        return [self.client.word(c) for c in self.counters]

    def end(self) -> None:
        """The guest goes on to its usual end."""
        self.client.put_word(self.at["go_on"], 1)
        self.client.put_word(self.at["wake_up"], 1)
        self.ask("D")
        out, err, code = self.guest.end()
        self.assertEqual(code, 0, err)
        self.assertIn("PASS debugme", out)

    def breakpoints(self) -> None:
        rng = random.Random(SEED)
        hot = self.at["hot"]
        stood = False
        for n in range(ROUNDS):
            if not stood:
                self.ask(f"Z{n % 2},{hot:x},4")
                before, steps = self.counts(), [0, 0]
                stood = True
            thread, _ = self.go()
            self.assertEqual(self.client.pc(thread), hot)
            # Over it: as GDB does, without it and alone; or at once with the other one running, which may come to it.
            if rng.randrange(2):
                self.ask(f"z{n % 2},{hot:x},4")
                self.ask(f"z{(n + 1) % 2},{hot:x},4")
                self.assertEqual(self.go(f"vCont;s:{thread}"), (thread, ""))
                self.ask(f"Z{n % 2},{hot:x},4")
            else:
                self.assertEqual(self.go(f"vCont;s:{thread}")[0], thread)
            self.assertNotEqual(self.client.pc(thread), hot)
            steps[thread - 1] += 1
            now = self.counts()
            for i in range(2):  # the last step has not come to the store yet; at the first one was past the breakpoint
                self.assertIn(before[i] + steps[i] - now[i], (-1, 0, 1), f"round {n}, vCPU {i}")
            if rng.randrange(8) == 0:  # let them run hot and chained for a while
                for kind in range(2):
                    self.ask(f"z{kind},{hot:x},4")
                stood = False
                self.client.socket.sendall(b"$vCont;c#a8")
                self.client.socket.sendall(b"\x03")
                self.assertRegex(self.client.reply(), "T0[25]thread:")
        for kind in range(2):
            self.ask(f"z{kind},{hot:x},4")

    def watchpoints(self) -> None:
        """Each store is seen before it is done; what the other vCPU stores beside it on the same page is not."""
        self.ask(f"Z2,{self.counters[1]:x},4")
        value = self.client.word(self.counters[1])
        for n in range(ROUNDS // 2):
            thread, why = self.go()
            self.assertEqual((thread, why), (2, f"watch:{self.counters[1]:x};"))
            self.assertEqual(self.client.word(self.counters[1]), value)
            self.ask(f"z2,{self.counters[1]:x},4")
            self.go("vCont;s:2")
            value += 1
            self.assertEqual(self.client.word(self.counters[1]), value)
            self.ask(f"Z2,{self.counters[1]:x},4")
        self.ask(f"z2,{self.counters[1]:x},4")

    def steps(self) -> None:
        """One vCPU by steps with the other one running, and by ranges: it stays in its loop."""
        low, high = self.at["spin"], self.at["spin"] + 0x40
        for n in range(ROUNDS):
            thread = n % 2 + 1
            self.assertEqual(self.go(f"vCont;s:{thread};c"), (thread, ""))
            if n % 10 == 0:
                self.go(f"vCont;r{low:x},{high:x}:{thread};c")
                self.assertFalse(low <= self.client.pc(thread) < high)

    def run_all(self, isa: str, *options: str) -> None:
        with self.subTest(isa=isa, options=options):
            self.begin(isa, *options)
            self.both_in_the_loop()
            self.breakpoints()
            self.watchpoints()
            self.steps()
            self.end()
            self.doCleanups()

    def both_in_the_loop(self) -> None:
        self.stop_at("hot")
        seen = set()
        while len(seen) < 2:
            thread, _ = self.go()
            seen.add(thread)
            self.go(f"vCont;s:{thread}")
        self.ask(f"z0,{self.at['hot']:x},4")

    def test_schemes(self) -> None:
        for n, invalidation in enumerate(("flush-counter", "per-cpu", "per-tb")):
            for lifetime in ("flush", "rcu"):
                self.run_all(("a32", "t32")[n % 2], f"--invalidation={invalidation}", f"--tb-lifetime={lifetime}")

    def test_other_ways(self) -> None:
        self.run_all("t32", "--tb-cache=per-cpu", "--atomics=cmpxchg")
        self.run_all("a32", "--engine=interp")
        self.run_all("t32", "--no-chain", "--max-insns=3")

    def test_chaos(self) -> None:
        for n, lifetime in enumerate(("flush", "rcu")):
            self.run_all("a32", f"--chaos=all,seed={n}", "--code-memory=1M", f"--tb-lifetime={lifetime}")


if __name__ == "__main__":
    unittest.main()
