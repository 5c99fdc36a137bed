"""binary.py - what the built program and the guest folder say of themselves.

The schemes of each axis come from `--list-strategies=json` and from nowhere else; the guests come
from guests.json beside their images. Neither list is repeated in Python.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import linux_guest
from errors import BenchError, unknown

QUERY_TIMEOUT_S = 20
GUEST_LIST = Path(__file__).resolve().parent / "guest" / "guests.json"


@dataclass(frozen=True)
class Axis:
    name: str
    default: str
    schemes: tuple[str, ...]  # as listed, the unsound ones included
    unsound: frozenset[str] = frozenset()

    def sound(self) -> list[str]:
        return [s for s in self.schemes if s not in self.unsound]


@dataclass(frozen=True)
class Guest:
    name: str
    images: dict[str, Path]  # by instruction set, "a32" or "t32"
    cpus: tuple[int, int] = (1, 8)  # fewest and most
    linux: bool = False  # a program of linux/bench.sh; the image is the RAM disk


@dataclass(frozen=True)
class Binary:
    """The program under test, asked once at the start."""

    path: Path
    version: str
    axes: dict[str, Axis]
    raw_axes: dict[str, Any] = field(hash=False, compare=False, default_factory=dict)

    def axis(self, name: str) -> Axis:
        if name not in self.axes:
            raise unknown("axis", name, self.axes)
        return self.axes[name]


def _ask(path: Path, *args: str) -> str:
    try:
        done = subprocess.run(
            [path, *args], capture_output=True, text=True, timeout=QUERY_TIMEOUT_S, check=False
        )
    except OSError as error:
        raise BenchError(f"cannot start {path}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{path} {' '.join(args)} gave no answer") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise BenchError(f"{path.name} {' '.join(args)} failed: {said[-1]}")
    return done.stdout


def _axis(row: dict[str, Any]) -> Axis:
    schemes = row["schemes"]
    return Axis(
        name=row["name"],
        default=row["default"],
        schemes=tuple(s["name"] for s in schemes),
        unsound=frozenset(s["name"] for s in schemes if s.get("unsound") or s.get("busted")),
    )


def load_binary() -> Binary:
    """The binary that the launcher built, named in DBTLAB_BIN."""
    named = os.environ.get("DBTLAB_BIN")
    if not named:
        raise BenchError("DBTLAB_BIN names no binary; start this through ./dbtlab bench")
    path = Path(named)
    raw = json.loads(_ask(path, "--list-strategies=json"))
    axes = {row["name"]: _axis(row) for row in raw["axes"]}
    return Binary(path, _ask(path, "--version").strip(), axes, raw)


def resolved_config(binary: Binary, args: list[str], image: list[str]) -> dict[str, Any]:
    """What the program makes of these options; raises its own sentence if it refuses them.

    image: the words that name what is run, which come last.
    """
    done = subprocess.run(
        [binary.path, *args, "--print-config=json", *image],
        capture_output=True,
        text=True,
        timeout=QUERY_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["refused without a word"]
        raise BenchError(said[-1])
    return json.loads(done.stdout)


def load_guests() -> dict[str, Guest]:
    """The guests by name: images in DBTLAB_GUESTS, described by the guests.json there or here."""
    named = os.environ.get("DBTLAB_GUESTS")
    if not named:
        raise BenchError("DBTLAB_GUESTS names no folder; start this through ./dbtlab bench")
    folder = Path(named)
    listed = folder / "guests.json"
    if not listed.exists():
        listed = GUEST_LIST
    try:
        rows = json.loads(listed.read_text())["guests"]
    except OSError as error:
        raise BenchError(f"cannot read {listed}: {error.strerror}") from error
    except (ValueError, KeyError) as error:
        raise BenchError(f"{listed} is not a list of guests: {error!r}") from error
    guests = {}
    for row in rows:
        images = {isa: folder / f"{row['name']}.{isa}.elf" for isa in row["isa"]}
        cpus = row.get("cpus", [1, 8])
        guests[row["name"]] = Guest(row["name"], images, (cpus[0], cpus[1]))
    return guests | linux_guests(folder)


def linux_guests(folder: Path) -> dict[str, Guest]:
    """The programs under Linux; their images are made when a suite has them (linux_guest.prepare)."""
    image = {linux_guest.ISA: linux_guest.images(folder).initrd}
    names = [linux_guest.PREFIX + name for name in linux_guest.PROGRAMS]
    return {name: Guest(name, image, (1, 8), linux=True) for name in names}
