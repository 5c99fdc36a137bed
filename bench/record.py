"""record.py - files of a result folder: whole or not there at all.

A line of runs.jsonl is one write() and one fsync(); a write that fails is cut off again. The other
files are written beside their place and renamed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from errors import BenchError, UsageError

RUNS = "runs.jsonl"
MANIFEST = "manifest.json"


class WriteError(BenchError):
    """The file system refused; what was written before is whole."""


def _failed(path: Path, error: OSError) -> WriteError:
    return WriteError(f"cannot write {path}: {error.strerror}")


def write_whole(path: Path, data: str | bytes) -> None:
    """Replace path by data, or leave it as it was."""
    raw = data.encode() if isinstance(data, str) else data
    beside = path.with_name(f".{path.name}.new")
    try:
        with open(beside, "wb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
        beside.rename(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _failed(path, error) from error


def write_json(path: Path, value: Any) -> None:
    write_whole(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def make_folder(path: Path) -> None:
    """Create path for a new bench; it may exist only if it is empty."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise UsageError(f"{path} is not empty; name another folder or go on with --resume")
        probe = path / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot use {path} as output folder: {error.strerror}") from error


class RunLog:
    """Appends runs to runs.jsonl; a line that a crash left unfinished is cut off at opening."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / RUNS
        try:
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            data = self.path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole != len(data):
                os.ftruncate(self.fd, whole)
        except OSError as error:
            raise _failed(self.path, error) from error

    def append(self, run: dict[str, Any]) -> None:
        line = (json.dumps(run, separators=(",", ":")) + "\n").encode()
        size = os.fstat(self.fd).st_size
        try:
            if os.write(self.fd, line) != len(line):
                raise OSError(28, "No space left on device")
            os.fsync(self.fd)
        except OSError as error:
            os.ftruncate(self.fd, size)
            raise _failed(self.path, error) from error

    def close(self) -> None:
        os.close(self.fd)


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """All whole lines, in the order in which they were measured."""
    path = folder / RUNS
    if not path.exists():
        return []
    runs = []
    for number, line in enumerate(path.read_text().splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            runs.append(json.loads(line))
        except ValueError as error:
            raise BenchError(f"{path}, line {number} is damaged: {error}") from error
    return runs


def read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{folder} holds no bench to resume: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"{path} is damaged: {error}") from error
