"""terminal_test.py — a guest at a terminal: its keys, ours behind Ctrl-A, the monitor, and the terminal as it was afterwards"""
import os
import pty
import re
import select
import signal
import termios
import time
import unittest

from board import GUESTS, LIMIT_S, PROGRAM

CTRL_A, CTRL_C = b"\x01", b"\x03"


class Session:
    """The program with a terminal of its own, which this side types into and reads."""

    def __init__(self, *words: str) -> None:
        self.master, slave = pty.openpty()
        self.slave = slave  # stays open here, so that the terminal can be asked after the program's end
        self.before = termios.tcgetattr(slave)
        self.said = b""
        args = [str(PROGRAM), "run", f"--timeout={LIMIT_S}", f"--kernel={GUESTS / 'serial.bin'}", f"--dtb={GUESTS / 'serial.dtb'}",
                *words]
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.master)
            os.login_tty(slave) if hasattr(os, "login_tty") else self._login(slave)
            os.execv(args[0], args)
        self.expect(rb"up")

    @staticmethod
    def _login(slave: int) -> None:
        import fcntl  # pylint: disable=import-outside-toplevel
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def expect(self, pattern: bytes) -> bytes:
        """Read until the pattern has come; what came up to its end is then forgotten."""
        until = time.monotonic() + LIMIT_S / 2
        while not (found := re.search(pattern, self.said)):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"{pattern!r} did not come; {self.said!r} did")
            self.said += os.read(self.master, 4096)
        text, self.said = self.said[:found.end()], self.said[found.end():]
        return text

    def end(self) -> int:
        """The wait status; the terminal is as it was before."""
        until = time.monotonic() + LIMIT_S / 2
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
            if select.select([self.master], [], [], 0.01)[0]:
                self.said += os.read(self.master, 4096)
        after = termios.tcgetattr(self.slave)
        os.close(self.slave)
        os.close(self.master)
        if after != self.before:
            raise AssertionError("the terminal is not as it was")
        return status


class Terminal(unittest.TestCase):
    def test_keys_go_to_the_guest(self) -> None:
        s = Session()
        self.assertNotEqual(termios.tcgetattr(s.slave), s.before)
        s.type(b"Hello")
        s.expect(rb"hELLO")
        s.type(CTRL_C)
        s.expect(rb"#")
        s.type(CTRL_A + CTRL_A + CTRL_A + b"a")
        s.expect(rb"!!")
        s.type(b"?")
        self.assertEqual(s.end(), 0)

    def test_monitor(self) -> None:
        s = Session("--smp=2")
        s.type(CTRL_A + b"c")
        s.expect(rb"\(dbtlab\) ")
        for line, answer in ((b"info strategies", rb"invalidation +per-tb: "), (b"info tb", rb"live blocks +[1-9]\d*\s"),
                             (b"info mtree", rb"uart0"), (b"what now", rb"info strategies\|tb\|vcpus\|mtree"),
                             (b"inxx\x7f\x08fo tb", rb"live blocks")):
            s.type(line + b"\r")
            self.assertRegex(s.expect(rb"\(dbtlab\) "), re.compile(answer, re.S))
        self.until_asleep(s)
        s.type(b"continue\r")
        s.type(b"x")
        s.expect(rb"X")
        s.type(CTRL_A + b"c")
        s.expect(rb"\(dbtlab\) ")
        s.type(CTRL_A + b"c" + b"y")
        s.expect(rb"Y")
        s.type(CTRL_A + b"c" + b"quit\r")
        self.assertEqual(s.end(), 0)

    def until_asleep(self, s: Session) -> None:
        """The second vCPU comes to its sleep in the pen when the host lets it."""
        want = re.compile(rb"vCPU 0: pc 8000[0-9a-f]{4} .*vCPU 1: pc 1400[0-9a-f]{4} .*asleep", re.S)
        until = time.monotonic() + LIMIT_S / 2
        said = b""
        while not want.search(said):
            self.assertLess(time.monotonic(), until, said)
            s.type(b"info vcpus\r")
            said = s.expect(rb"\(dbtlab\) ")

    def test_leave(self) -> None:
        s = Session()
        s.type(CTRL_A + b"x")
        self.assertEqual(s.end(), 0)

    def test_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            s = Session()
            os.kill(s.pid, number)
            status = s.end()
            self.assertTrue(os.WIFSIGNALED(status))
            self.assertEqual(os.WTERMSIG(status), number)

    def test_restart_and_power_off(self) -> None:
        """The kernel boots again, and the terminal is still the guest's."""
        s = Session("--smp=2")
        for _ in range(3):
            s.type(b"!")
            s.expect(rb"up")
            s.type(b"k")
            s.expect(rb"K")
        s.type(b"?")
        self.assertEqual(s.end(), 0)


if __name__ == "__main__":
    unittest.main()
