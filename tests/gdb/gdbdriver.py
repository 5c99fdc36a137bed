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
        self.process = subprocess.Popen(
            [PROGRAM, "run", f"--timeout={LIMIT_S * 4}", f"--gdb=unix:{self.socket}", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + LIMIT_S
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"no socket: {self.process.communicate()}")
            time.sleep(0.01)

    def end(self) -> tuple[str, str, int]:
        out, err = self.process.communicate(timeout=LIMIT_S)
        return out, err, self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
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

    def wait(self, mark: str) -> str:
        said = []
        until = time.monotonic() + LIMIT_S
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
