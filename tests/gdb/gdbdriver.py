"""gdbdriver.py — a guest under --gdb, and a GDB that is told what to do and says what it sees"""
from __future__ import annotations

import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

RUNFILES = Path(os.environ.get("TEST_SRCDIR", "/nonexistent")) / os.environ.get("TEST_WORKSPACE", "")
PROGRAM = Path(os.environ.get("DBTLAB_BIN") or RUNFILES / "engine/main/dbtlab").resolve()
HERE = Path(os.environ.get("DEBUGME_GUESTS") or RUNFILES / "tests/gdb")
GDB = os.environ.get("GDB", "gdb-multiarch")
# A command's answer; the sanitizers and other tests at the same time make all of it slow.
LIMIT_S = 60 if "tsan" not in os.environ.get("TEST_BINARY", "") + str(PROGRAM) else 200


class Guest:
    """One run of the program; its debugger's socket is in a folder of its own."""

    def __init__(self, *words: str):
        self.folder = tempfile.TemporaryDirectory(prefix="gdb")
        self.socket = os.path.join(self.folder.name, "s")
        self.errors = open(os.path.join(self.folder.name, "errors"), "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [PROGRAM, "run", f"--timeout={LIMIT_S * 4}", f"--gdb=unix:{self.socket}", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        until = time.monotonic() + LIMIT_S
        while "for a debugger" not in self.said():  # the socket is there a little before somebody listens
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"nobody listens: {self.said()}")
            time.sleep(0.01)

    def said(self) -> str:
        """What has come on its stderr."""
        return Path(self.errors.name).read_text()

    def end(self) -> tuple[str, str, int]:
        out, _ = self.process.communicate(timeout=LIMIT_S)
        return out, self.said(), self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        if not self.process.stdout.closed:
            self.process.communicate()
        self.errors.close()
        self.folder.cleanup()


class Gdb:
    """A GDB on pipes. do() gives a command and returns all that was said until the next prompt."""

    def __init__(self, program: Path, target: str | None = None):
        self.process = subprocess.Popen(
            [GDB, "-nx", "-q", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, bufsize=0, start_new_session=True)
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.said = []
        threading.Thread(target=self._read, daemon=True).start()
        self.marks = 0
        for setting in ("prompt", "pagination off", "confirm off", "width 0", "print entry-values no",
                        "debuginfod enabled off", f"remotetimeout {LIMIT_S}"):
            self.do(f"set {setting}")
        if target:
            self.do(f"target remote {target}")

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def start(self, command: str) -> str:
        """Give a command without waiting; what wait() takes."""
        self.marks += 1
        mark = f"--- {self.marks} ---"
        self.process.stdin.write(f"{command}\necho \\n{mark}\\n\n")
        return mark

    def wait(self, mark: str, seconds: float = LIMIT_S) -> str:
        """All that is said up to the mark, or to the line that is it."""
        said = []
        until = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"GDB does not answer; so far: {''.join(self.said[-40:])}{''.join(said)}") from None
            if line is None:
                raise AssertionError(f"GDB ended: {''.join(self.said[-40:])}{''.join(said)}")
            if line.strip().removeprefix("(gdb) ") == mark:
                break
            if line.strip() != "(gdb)":
                said.append(line)
        self.said += said
        return "".join(said)

    def do(self, *commands: str) -> str:
        return "".join([self.wait(self.start(c)) for c in commands])

    def interrupt(self) -> None:
        os.kill(self.process.pid, signal.SIGINT)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
