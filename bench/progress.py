"""progress.py - a bar with the time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Hashable, Iterable
from typing import TextIO

PLAIN_EVERY_S = 10.0
FIRST_GUESS_S = 0.6  # a run of which nothing is known yet


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return f"{minutes}:{rest:02d}"


class Progress:
    """Time left is the sum of what each run to come took before, by kind of run."""

    def __init__(self, kinds: Iterable[Hashable], out: TextIO = sys.stderr) -> None:
        self.left = list(kinds)[::-1]
        self.total = len(self.left)
        self.seen: dict[Hashable, list[float]] = {}
        self.out = out
        self.tty = out.isatty()
        self.said = 0.0

    def time_left(self) -> float:
        known = {kind: sum(took) / len(took) for kind, took in self.seen.items()}
        guess = sum(known.values()) / len(known) if known else FIRST_GUESS_S
        return sum(known.get(kind, guess) for kind in self.left)

    def step(self, took_s: float) -> None:
        self.seen.setdefault(self.left.pop(), []).append(took_s)

    def show(self, label: str) -> None:
        done = self.total - len(self.left)
        text = f"{done}/{self.total}  {clock(self.time_left())} left  {label}"
        if self.tty:
            width = max(20, shutil.get_terminal_size().columns - 1)
            cells = 24
            full = cells * done // max(1, self.total)
            line = f"[{'█' * full}{'·' * (cells - full)}] {text}"
            self.out.write(f"\r\x1b[K{line[:width]}")
            self.out.flush()
        elif time.monotonic() - self.said >= PLAIN_EVERY_S:
            self.said = time.monotonic()
            self.out.write(f"bench: {text}\n")
            self.out.flush()

    def end(self) -> None:
        if self.tty:
            self.out.write("\r\x1b[K")
            self.out.flush()
