"""linux_guest.py - Linux as the guest of a bench: what its RAM disk holds, how a run of it is started.

A program of a Linux suite is a name that linux/bench.sh knows. Every run boots anew, runs one program, and powers off.
Marks ("#! mark up", "begin", "end") come out of the serial port and get the host's time: see execute.py.
"""

from __future__ import annotations

import base64
import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from errors import BenchError

HERE = Path(__file__).resolve().parent / "linux"
TOOLS = HERE.parent.parent / "tools"
ISA = "armhf"
PACKAGES = ["openssl", "rt-tests", "stress-ng", "xz-utils"]
# What the programs measured do not open; unpacking it would only lengthen every boot.
LEFT_OUT = r"usr/(share|include|games|src|lib/(python3[^/]*|perl|valgrind|mime|udev|systemd)|lib/[^/]*/(gconv|perl|dri|bluetooth))(/|$)|usr/bin/(python|perl|dpkg|sqlite)|etc/"
KERNEL_WORDS = "console=ttyAMA0 panic=-1 loglevel=1"
OWN = ("timed", "matmul", "nbody", "intmix_dhry", "intmix_core")
PROGRAMS = (
    "boot", "intmix_dhry", "intmix_core", "matmul", "nbody", "aes", "sha256", "prime", "xz", "matrix", "hackbench",
    "syscalls",
)  # fmt: skip
PREFIX = "linux-"  # of their names among the guests


@dataclass(frozen=True)
class Images:
    kernel: Path
    dtb: Path
    initrd: Path


def images(folder: Path) -> Images:
    """Where prepare() puts them, in the folder of the guests."""
    own = folder / "linux"
    return Images(own / "zImage", own / "board.dtb", own / "initrd")


def folder_of(image: Path) -> Path:
    """The folder of the guests, from the image that load_guests() names."""
    return image.parent.parent


def linux_image() -> ModuleType:
    """tools/linux_image, which knows Debian's packages."""
    sys.path.insert(0, str(TOOLS))
    return importlib.import_module("linux_image.guest")


def prepare(folder: Path) -> dict[str, Any]:
    """Fetch what is missing, build our programs, write the RAM disk; what it is made of."""
    debian = linux_image()
    guest = debian.Guest(False, PACKAGES, LEFT_OUT)
    try:
        made: dict[str, Any] = guest.prepare()
    except debian.Problem as problem:
        raise BenchError(f"Debian's Linux cannot be prepared: {problem}") from problem
    out = images(folder)
    own = out.initrd.parent
    done = subprocess.run(["sh", HERE / "build.sh", own], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BenchError(f"the programs for Linux do not compile: {last}")
    # The kernel unpacks archives that follow each other: ours after that of the packages.
    archive = debian.Archive()
    for name in OWN:
        archive.file(f"usr/lib/dbtlab/bench/{name}", (own / name).read_bytes(), 0o755)
    archive.file("usr/lib/dbtlab/bench/bench.sh", (HERE / "bench.sh").read_bytes(), 0o755)
    with open(own / "initrd.new", "wb") as file:
        file.write(Path(guest.path("initrd")).read_bytes())
        archive.write(file)
    os.replace(own / "initrd.new", out.initrd)
    for made_file, name in ((out.kernel, "zImage"), (out.dtb, debian.DTB)):
        made_file.write_bytes(Path(guest.path(name)).read_bytes())
    return made


def load_options(i: Images) -> list[str]:
    return [f"--kernel={i.kernel}", f"--dtb={i.dtb}", f"--initrd={i.initrd}"]


def append(guest: str, params: tuple[str, ...]) -> str:
    """The kernel's command line for a program of bench.sh."""
    command = " ".join(["/usr/lib/dbtlab/bench/bench.sh", guest.removeprefix(PREFIX), *params])
    return f"{KERNEL_WORDS} dbtlab.run={base64.b64encode(command.encode()).decode()}"


def qemu_options(i: Images, line: str) -> list[str]:
    return [
        *("-display", "none", "-monitor", "none", "-serial", "stdio", "-serial", "null", "-no-reboot"),
        *("-kernel", str(i.kernel), "-dtb", str(i.dtb), "-initrd", str(i.initrd), "-append", line),
    ]
