"""board.py — where the program and the guests of this folder are, for its tests"""
import os
import subprocess
from pathlib import Path

RUNFILES = Path(os.environ.get("TEST_SRCDIR", "/nonexistent")) / os.environ.get("TEST_WORKSPACE", "")
PROGRAM = Path(os.environ.get("DBTLAB_BIN") or RUNFILES / "engine/main/dbtlab").resolve()
GUESTS = Path(os.environ.get("BOARD_GUESTS") or RUNFILES / "tests/board")
LIMIT_S = 60


def guest(name: str) -> str:
    return str(GUESTS / f"{name}.elf")


def run(*words: str, **more) -> subprocess.CompletedProcess:
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([PROGRAM, "run", f"--timeout={LIMIT_S - 10}", *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False, **more)
