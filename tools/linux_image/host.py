"""host.py - the cache folder on this host, one that changes it at a time, and trouble told in one sentence."""
import contextlib
import fcntl
import os
import sys


class Problem(Exception):
    """Told in one sentence; the exit code is the second argument."""

    def __init__(self, text, exit_code=1):
        super().__init__(text)
        self.exit_code = exit_code


def say(text):
    print(f"dbtlab: {text}", file=sys.stderr, flush=True)


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "dbtlab")


@contextlib.contextmanager
def locked(folder):
    """One at a time changes the cache."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another one that prepares a guest")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
