"""errors.py - what goes wrong in a bench, each with its exit code and one sentence for the user."""

from __future__ import annotations

from collections.abc import Iterable


class BenchError(Exception):
    """Something outside the user's command failed: disk full, a tool is missing, nothing runs."""

    exit_code = 1


class UsageError(BenchError):
    """The command or a suite asks for something that does not exist or cannot be."""

    exit_code = 2


def unknown(kind: str, name: str, choices: Iterable[str]) -> UsageError:
    """The one way to refuse a name: say what it is and list what there is."""
    listed = ", ".join(choices) or "(none)"
    return UsageError(f"unknown {kind} '{name}'; choose from: {listed}")
