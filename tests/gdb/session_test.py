"""session_test.py — GDB with a guest of two vCPUs: what a user does, under every invalidation scheme

Each combination of schemes has a class of its own, which a target of BUILD names. The guest (debugme.c) must print what it
prints without a debugger, whatever has been done to it.
"""
from __future__ import annotations

import re
import time
import unittest

from gdbdriver import HERE, Gdb, Guest

OUTPUT = "cpu 0: result 219, product 7 halves\ncpu 1: result 1533, product 11 halves\nwatched 30\nPASS debugme\n"



class Session:
    """The tests; the classes below say with which options."""

    options: list[str] = []

    def setUp(self) -> None:
        self.guest: Guest | None = None
        self.gdb: Gdb | None = None

    def tearDown(self) -> None:
        for it in (self.gdb, self.guest):
            if it:
                it.close()

    def begin(self, isa: str, *words: str) -> Gdb:
        elf = HERE / f"debugme.{isa}.elf"
        self.guest = Guest("--smp=2", *self.options, str(elf), *words)
        self.gdb = Gdb(elf, self.guest.socket)
        return self.gdb

    def ends_well(self) -> None:
        out, err, code = self.guest.end()
        self.assertEqual((out, code), (OUTPUT, 0), err)

    def number(self, expression: str) -> int:
        said = self.gdb.do(f"printf \"%ld\\n\", (long)({expression})")
        return int(said.split()[-1])

    def until_thread(self, thread: int, what: str, command: str = "continue") -> str:
        """Go on until this thread has stopped there; others may stop there first."""
        for _ in range(200):  # each time it gets on by a block at least, however busy the host
            said = self.gdb.do(command)
            self.assertIn(what, said)
            if f"Thread {thread} " in said:
                return said
        self.fail(f"thread {thread} never came: {said}")

    # -- The script of the README ---------------------------------------------------------------------------------------

    def test_script(self) -> None:
        for isa in ("a32", "t32"):
            with self.subTest(isa=isa):
                gdb = self.begin(isa)
                said = gdb.do(f"source {HERE / 'session.gdb'}")
                for part in (r'Thread 1 "vCPU 0" \(svc\)\s+_start', r'Thread 2 "vCPU 1" \(svc\)\s+_start',
                             r"hit Breakpoint 1, factorial \(n=[56]\)", r"in work \(cpu=[01]",
                             r"hit Breakpoint 2, product \(a=[12]\.5, b=2\)", r"d0\s+0 ", r"fpscr\s+0x0",
                             r"hit Hardware watchpoint 3: watched\n\nOld value = 0\nNew value = 16",
                             r"in write_watched \(x=", r"invalidation\s+[a-z-]+:", r"vCPU 1: pc [0-9a-f]{8}",
                             r"\[Inferior 1 \(Remote target\) detached\]"):
                    self.assertRegex(said, part)
                self.ends_well()
                self.tearDown()

    # -- Breakpoints, registers ----------------------------------------------------------------------------------------

    def test_breakpoint_on_both_vcpus(self) -> None:
        gdb = self.begin("a32")
        gdb.do("break factorial if n == 3")
        seen = set()
        for _ in range(2):
            said = gdb.do("continue")
            self.assertIn("factorial (n=", said)
            seen.add(re.search(r"Thread (\d) ", said)[1])
            frames = gdb.do("backtrace")
            self.assertGreaterEqual(frames.count("factorial (n="), 3, frames)
            self.assertEqual(self.number("n"), 3)
        self.assertEqual(seen, {"1", "2"})
        self.assertIn("Value returned is $", gdb.do("delete", "finish"))
        gdb.do("break product")
        gdb.do("continue")
        gdb.do("hbreak *$lr", "delete 2")  # back in work(), where the product is in r0 and r1
        self.assertIn("work (", gdb.do("continue"))
        gdb.do("delete", "detach")
        self.ends_well()

    def test_registers(self) -> None:
        gdb = self.begin("t32")
        gdb.do("break product")
        gdb.do("continue")
        names = [f"r{i}" for i in range(13)] + ["sp", "lr", "pc", "cpsr", "fpscr"] + [f"d{i}" for i in range(32)]
        said = gdb.do("info registers " + " ".join(names))
        for name in names:
            self.assertRegex(said, rf"(?m)^{name}\s")
        self.assertTrue(self.number("$cpsr") & 0x20)  # Thumb
        # The arguments come in r0..r3; a double's worth of steps later they are in d registers.
        a = gdb.do("printf \"%.1f\\n\", a").split()[-1]
        self.assertIn(a, ("1.5", "2.5"))
        gdb.do("set $d31 = 2.25", "set $r12 = 0x12345678", "set $fpscr = 0x00400000")
        self.assertIn("2.25", gdb.do("print $d31"))
        self.assertEqual(self.number("$r12"), 0x12345678)
        self.assertEqual(self.number("$fpscr"), 0x400000)
        gdb.do("set $fpscr = 0")
        gdb.do("stepi 8")
        self.assertRegex(gdb.do("info all-registers"), rf"d\d+\s+{re.escape(a)}\b")
        gdb.do("delete", "detach")
        self.ends_well()

    def test_memory(self) -> None:
        gdb = self.begin("a32")
        gdb.do("break steps")
        gdb.do("continue")
        before = self.number("read_me")
        gdb.do("set var read_me = 41")
        self.assertEqual((before, self.number("read_me")), (0, 41))
        self.assertIn("Cannot access memory", gdb.do("x/x 0x1c090000"))  # the UART: a look would take a byte
        self.assertIn("Cannot access memory", gdb.do("set var *(int *)0x1c090000 = 65"))
        gdb.do("set var read_me = 0", "delete", "detach")
        self.ends_well()

    # -- Steps ----------------------------------------------------------------------------------------------------------

    def test_steps(self) -> None:
        for isa in ("a32", "t32"):
            for locking in ("off", "on", "step"):
                with self.subTest(isa=isa, locking=locking):
                    gdb = self.begin(isa)
                    gdb.do("break steps thread 2")
                    self.assertIn("steps (cpu=1)", gdb.do("continue"))
                    gdb.do("delete", f"set scheduler-locking {locking}")
                    other = self.number_in(1, "$pc")
                    self.assertIn("factorial (n=6)", gdb.do("next", "next", "step"))
                    self.assertRegex(gdb.do("finish"), r"Value returned is \$\d+ = 720")
                    self.assertIn("work (cpu=1", gdb.do("next"))
                    if locking == "on":
                        self.assertEqual(self.number_in(1, "$pc"), other)
                    pc = self.number("$pc")
                    gdb.do("stepi")
                    self.assertNotEqual(self.number("$pc"), pc)
                    gdb.do("nexti")
                    gdb.do("set scheduler-locking off", "detach")
                    self.ends_well()
                    self.tearDown()

    def number_in(self, thread: int, expression: str) -> int:
        back = self.number("$_thread")
        self.gdb.do(f"thread {thread}")
        x = self.number(expression)
        self.gdb.do(f"thread {back}")
        return x

    # -- Watchpoints ----------------------------------------------------------------------------------------------------

    def test_watchpoints(self) -> None:
        gdb = self.begin("a32")
        self.assertIn("Hardware watchpoint 1", gdb.do("watch watched"))
        self.assertIn("Hardware read watchpoint 2", gdb.do("rwatch read_me"))
        for old, new in ((0, 16), (16, 32), (32, 48)):
            said = gdb.do("continue")
            if "read_me" in said:  # vCPU 0 is faster
                said = gdb.do("continue")
            self.assertIn(f"Old value = {old}\nNew value = {new}", said)
            self.assertIn("Thread 2", said)
        gdb.do("delete 1")
        gdb.do("awatch results[1]")
        said = gdb.do("continue")
        self.assertTrue("read_me" in said or "results[1]" in said, said)
        gdb.do("delete", "detach")
        self.ends_well()

    # -- While all runs ---------------------------------------------------------------------------------------------------

    def running(self, seconds: float) -> str:
        """Go on, interrupt, and say what was said."""
        for _ in range(5):
            mark = self.gdb.start("continue")
            self.gdb.wait("Continuing.")
            time.sleep(seconds)
            self.gdb.interrupt()
            said = self.gdb.wait(mark)
            if "Quit" not in said:  # on a busy host GDB had not come to let the guest go
                break
        return said

    def test_interrupt_and_hot_breakpoints(self) -> None:
        gdb = self.begin("a32", "spin=1")
        gdb.do("tbreak spin")
        gdb.do("continue")
        self.assertIn("SIGINT", self.running(0.3))
        counts = [self.number(f"hot_calls[{i}]") for i in range(2)]
        for turn in range(4):  # while the loop is hot and chained on both
            for thread in (1, 2):
                gdb.do("break hot")
                self.until_thread(thread, "hot (cpu=")
                gdb.do("delete")
                self.assertIn("SIGINT", self.running(0.05))
        for i in range(2):
            self.assertGreater(self.number(f"hot_calls[{i}]"), counts[i])
        gdb.do("set var go_on = 1")
        # The code is patched eight times with a breakpoint in it, on its second instruction.
        gdb.do("break *((char *)patched_code + 4)")
        values = []
        for _ in range(16):
            self.assertIn("patched", gdb.do("continue"))
            values.append(self.number("$r0"))
        self.assertEqual(sorted(values), sorted(2 * [3 * i for i in range(8)]))
        gdb.do("delete")
        # And now all of them sleep, sooner or later.
        for _ in range(20):
            self.assertIn("SIGINT", self.running(0.5))
            threads, frames = gdb.do("info threads"), gdb.do("backtrace")
            if "waits for an interrupt" in threads and "rt_" in frames:
                break
        self.assertRegex(threads, r"waits for an interrupt")
        self.assertIn("rt_", frames)
        gdb.do("set var wake_up = 1", "detach")
        self.ends_well()

    # -- The monitor, and the end -------------------------------------------------------------------------------------------

    def test_monitor(self) -> None:
        gdb = self.begin("a32")
        gdb.do("break steps")
        gdb.do("continue")
        self.assertIn("info strategies|tb|vcpus|mtree", gdb.do("monitor help"))
        self.assertIn("live blocks", gdb.do("monitor info tb"))
        self.assertIn("uart0", gdb.do("monitor info mtree"))
        self.assertRegex(gdb.do("monitor info vcpus"), r"vCPU 0: pc [0-9a-f]{8} sp")
        gdb.do("monitor reset", "flushregs")
        self.assertIn("_start", gdb.do("backtrace"))
        self.assertIn("steps (cpu=", gdb.do("continue"))
        gdb.do("delete")
        said = gdb.do("continue")
        self.assertIn("exited normally", said)
        self.ends_well()

    def test_kill_and_disconnect(self) -> None:
        gdb = self.begin("a32", "spin=1")
        gdb.do("kill")
        out, err, code = self.guest.end()
        self.assertEqual((out, code), ("", 0), err)
        self.assertIn("ended by the debugger", err)
        self.tearDown()
        # A client that is gone leaves no breakpoint behind.
        gdb = self.begin("t32")
        gdb.do("break factorial")
        gdb.do("continue")
        gdb.close()
        self.gdb = None
        self.ends_well()
        self.tearDown()
        gdb = self.begin("t32")
        gdb.do("break hot")
        gdb.do("continue")
        self.assertRegex(gdb.do("monitor quit"), ".*")
        out, err, code = self.guest.end()
        self.assertEqual((out, code), ("", 0), err)


def make_classes() -> None:
    rows = {"interp": ["--engine=interp"]}
    for invalidation in ("flush-counter", "per-cpu", "per-tb"):
        for lifetime in ("flush", "rcu"):
            rows[f"{invalidation}_{lifetime}".replace("-", "_")] = [
                f"--invalidation={invalidation}", f"--tb-lifetime={lifetime}"]
    for name, options in rows.items():
        name = f"session_{name}"
        globals()[name] = type(name, (Session, unittest.TestCase), {"options": options, "__module__": __name__})


make_classes()

if __name__ == "__main__":
    unittest.main()
